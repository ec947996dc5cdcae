//! Colours for people.

use std::io::{self, IsTerminal};

/// Whether to write colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Terminal colours.
    Colour,
    /// None.
    Plain,
}

impl Paint {
    /// Colour on a terminal, unless `NO_COLOR` says no (<https://no-color.org>).
    pub fn for_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !unwanted {
            Paint::Colour
        } else {
            Paint::Plain
        }
    }

    fn code(self, code: &str, text: &str) -> String {
        match self {
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.code("1;32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.code("1;31", text)
    }

    pub(super) fn warn(self, text: &str, is_warning: bool) -> String {
        if is_warning {
            self.code("33", text)
        } else {
            text.to_owned()
        }
    }
}
