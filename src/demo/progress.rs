//! How far a run is: a bar on a terminal, a plain line every tenth elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// How far a run is, over all apps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests to come in all.
    pub requests_planned: u64,
    /// Requests handed to the SDK.
    pub requests: u64,
    /// Spans acknowledged.
    pub exported: u64,
    /// Spans in exports that failed.
    pub failed: u64,
}

impl Progress {
    /// In words.
    fn line(&self) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} spans failed"),
        };
        format!(
            "{} of {} requests sent, {} spans acknowledged{failed}",
            self.requests, self.requests_planned, self.exported,
        )
    }

    /// Finished tenths, 0 to 10.
    fn tenths(&self) -> u64 {
        self.requests * 10 / self.requests_planned.max(1)
    }
}

/// Shows progress on stderr.
#[derive(Debug)]
pub struct Display {
    bar: Option<ProgressBar>,
    tenths: AtomicU64,
}

impl Display {
    /// A bar if stderr is a terminal, else lines.
    pub fn stderr() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Display {
            bar,
            tenths: AtomicU64::new(0),
        }
    }

    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.requests_planned);
            bar.set_position(progress.requests);
            bar.set_message(progress.line());
        } else if self.tenths.fetch_max(progress.tenths(), Ordering::Relaxed) < progress.tenths() {
            eprintln!("{}", progress.line());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_failed_and_tenths_survive_an_empty_plan() {
        let progress = Progress {
            requests_planned: 30,
            requests: 29,
            exported: 200,
            failed: 7,
        };
        assert_eq!(
            progress.line(),
            "29 of 30 requests sent, 200 spans acknowledged, 7 spans failed"
        );
        assert_eq!(progress.tenths(), 9);
        assert_eq!(Progress::default().tenths(), 0);
    }
}
