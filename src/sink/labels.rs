//! Label values within a budget: what comes from outside must not make series without end.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use prometheus::IntCounterVec;
use rustc_hash::{FxHashMap, FxHashSet};

/// What a value beyond its label's budget becomes.
const OTHER: &str = "__other__";
/// What a missing value becomes.
const UNKNOWN: &str = "unknown";
const MAX_BYTES: usize = 128;

/// The values that each label has had, first come, first served.
#[derive(Debug)]
pub(super) struct Labels {
    budget: usize,
    seen: Mutex<FxHashMap<&'static str, FxHashSet<String>>>,
    folded: IntCounterVec,
}

impl Labels {
    pub fn new(budget: usize, folded: IntCounterVec) -> Self {
        Self {
            budget,
            seen: Mutex::default(),
            folded,
        }
    }

    /// The value to show for `label`.
    pub fn value<'a>(&self, label: &'static str, value: Option<&'a str>) -> Cow<'a, str> {
        let value = tidy(value.filter(|text| !text.is_empty()).unwrap_or(UNKNOWN));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let values = seen.entry(label).or_default();
        if values.contains(value.as_ref()) {
            return value;
        }
        if values.len() < self.budget {
            values.insert(value.clone().into_owned());
            return value;
        }
        self.folded.with_label_values(&[label]).inc();
        OTHER.into()
    }
}

/// Short, and without control characters.
fn tidy(value: &str) -> Cow<'_, str> {
    let mut end = value.len().min(MAX_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let short = value.get(..end).unwrap_or_default();
    if short.chars().any(char::is_control) {
        return short.replace(char::is_control, "\u{FFFD}").into();
    }
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_budget_fold_and_are_counted() {
        let folded = IntCounterVec::new(prometheus::Opts::new("f", "f"), &["label"]).unwrap();
        let labels = Labels::new(2, folded.clone());
        let shown: Vec<_> = ["a", "b", "c", "a", "d"]
            .iter()
            .map(|v| labels.value("model", Some(v)))
            .collect();
        assert_eq!(shown, ["a", "b", OTHER, "a", OTHER]);
        assert_eq!(folded.with_label_values(&["model"]).get(), 2);
        assert_eq!(labels.value("service", None), UNKNOWN);
    }

    #[test]
    fn long_and_hostile_values_are_tidied() {
        assert_eq!(tidy(&"ä".repeat(100)).len(), 128);
        assert_eq!(tidy("a\n\0b"), "a\u{FFFD}\u{FFFD}b");
    }
}
