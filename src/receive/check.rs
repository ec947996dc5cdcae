//! What is wrong with a payload, pure.

use crate::otlp::{
    self, Malformed, Signal,
    wire::{Fields, Wire},
};

/// A payload whose frame is sound.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Checked {
    /// Spans, log records or metrics that can be used.
    pub(super) usable: u64,
    /// Those that can't.
    pub(super) rejected: u64,
    /// What is wrong with the first of those.
    pub(super) first: Option<Malformed>,
}

impl Checked {
    /// Takes what was found of the next part of a request.
    pub(super) fn add(&mut self, part: Checked) {
        self.usable += part.usable;
        self.rejected += part.rejected;
        self.first = self.first.take().or(part.first);
    }

    fn count<T>(&mut self, item: Result<T, Malformed>) {
        match item {
            Ok(_) => self.usable += 1,
            Err(malformed) => {
                self.rejected += 1;
                self.first.get_or_insert(malformed);
            }
        }
    }
}

/// Walks the payload with the reader that maps it later, so both skip the same items. An error: its
/// frame is broken, and nothing of it can be used.
pub(super) fn check(signal: Signal, body: &[u8]) -> Result<Checked, Malformed> {
    let mut checked = Checked::default();
    match signal {
        Signal::Traces => otlp::spans(body, |_, span| checked.count(span))?,
        Signal::Logs => otlp::logs(body, |_, log| checked.count(log))?,
        Signal::Metrics => checked.usable = metrics(body)?,
    }
    Ok(checked)
}

/// Number of metrics (resource groups, scope groups, metrics: each field as in metrics.proto).
fn metrics(body: &[u8]) -> Result<u64, Malformed> {
    let mut count = 0;
    for resource in messages(body, 1) {
        for scope in messages(resource?, 2) {
            for metric in messages(scope?, 2) {
                Fields::new(metric?).try_for_each(|field| field.map(drop))?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn messages(body: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::new(body).filter_map(move |field| match field {
        Ok((found, Wire::Bytes(message))) if found == number => Some(Ok(message)),
        Ok((found, _)) if found == number => Some(Err(Malformed {
            what: "a message field has the wrong wire type",
            at: 0,
        })),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metrics_payload_is_walked_down_to_the_metric() {
        // resource_metrics { scope_metrics { metrics { name: "a" } metrics {} } }
        let body = [0x0A, 9, 0x12, 7, 0x12, 3, 0x0A, 1, b'a', 0x12, 0];
        assert_eq!(check(Signal::Metrics, &body).unwrap().usable, 2);
        for end in 1..body.len() {
            assert!(check(Signal::Metrics, &body[..end]).is_err(), "{end}");
        }
        assert_eq!(check(Signal::Metrics, &[]).unwrap(), Checked::default());
    }
}
