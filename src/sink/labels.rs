//! Label values, kept short, clean and few, whatever apps send.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec};
use rustc_hash::{FxHashMap, FxHashSet};

/// What a value beyond its label's budget becomes.
pub const OTHER: &str = "__other__";
/// What a missing value becomes.
pub const UNKNOWN: &str = "unknown";

const LONGEST: usize = 128;

/// A label whose values come from outside. Labels with two names (`model` and
/// `gen_ai_request_model`) share one budget, so that the same values survive in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// `provider`, `gen_ai_provider_name`
    Provider,
    /// `model`, `gen_ai_request_model`
    Model,
    /// `service`, `service_name`
    Service,
    /// `error_type`
    ErrorType,
    /// `operation`
    Operation,
    /// `pipeline`
    Pipeline,
    /// `framework`
    Framework,
    /// `cache`
    Cache,
}

impl Label {
    /// All of them.
    pub const ALL: [Label; 8] = [
        Label::Provider,
        Label::Model,
        Label::Service,
        Label::ErrorType,
        Label::Operation,
        Label::Pipeline,
        Label::Framework,
        Label::Cache,
    ];

    /// Label value of `spanledger_labels_folded_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Label::Provider => "provider",
            Label::Model => "model",
            Label::Service => "service",
            Label::ErrorType => "error_type",
            Label::Operation => "operation",
            Label::Pipeline => "pipeline",
            Label::Framework => "framework",
            Label::Cache => "cache",
        }
    }
}

#[derive(Debug)]
struct Budget {
    known: FxHashSet<Arc<str>>,
    folded: IntCounter,
}

/// The values each label has taken. First come, first served.
#[derive(Debug)]
pub struct Labels {
    budgets: FxHashMap<Label, Budget>,
    max_values: usize,
    unknown: Arc<str>,
    other: Arc<str>,
    empty: Arc<str>,
}

impl Labels {
    /// With nothing spent. `folded` has the one label `label`.
    pub fn new(max_values: usize, folded: &IntCounterVec) -> Self {
        let budget = |label: Label| {
            let folded = folded.with_label_values(&[label.as_str()]);
            (
                label,
                Budget {
                    known: FxHashSet::default(),
                    folded,
                },
            )
        };
        Self {
            budgets: Label::ALL.into_iter().map(budget).collect(),
            max_values,
            unknown: UNKNOWN.into(),
            other: OTHER.into(),
            empty: "".into(),
        }
    }

    /// The value to show for `raw`; `unknown` where there is none.
    pub fn value(&mut self, label: Label, raw: Option<&str>) -> Arc<str> {
        match raw.map(str::trim).filter(|raw| !raw.is_empty()) {
            Some(raw) => self.known(label, raw),
            None => Arc::clone(&self.unknown),
        }
    }

    /// The same, but empty where there is none.
    pub fn value_or_empty(&mut self, label: Label, raw: Option<&str>) -> Arc<str> {
        match raw.map(str::trim).filter(|raw| !raw.is_empty()) {
            Some(raw) => self.known(label, raw),
            None => Arc::clone(&self.empty),
        }
    }

    /// The value that was given out for `raw`, or `None` where it became `__other__`. Counts nothing.
    pub fn within_budget(&self, label: Label, raw: Option<&str>) -> Option<Arc<str>> {
        let Some(raw) = raw.map(str::trim).filter(|raw| !raw.is_empty()) else {
            return Some(Arc::clone(&self.unknown));
        };
        let text = clean(raw);
        if text == UNKNOWN {
            return Some(Arc::clone(&self.unknown));
        }
        self.budgets.get(&label)?.known.get(text.as_ref()).cloned()
    }

    fn known(&mut self, label: Label, raw: &str) -> Arc<str> {
        let text = clean(raw);
        if text == UNKNOWN {
            return Arc::clone(&self.unknown);
        }
        let Some(budget) = self.budgets.get_mut(&label) else {
            return Arc::clone(&self.other);
        };
        if let Some(known) = budget.known.get(text.as_ref()) {
            return Arc::clone(known);
        }
        if text == OTHER || budget.known.len() >= self.max_values {
            budget.folded.inc();
            return Arc::clone(&self.other);
        }
        let value: Arc<str> = text.as_ref().into();
        budget.known.insert(Arc::clone(&value));
        value
    }
}

/// At most 128 bytes, cut between characters, and no control characters.
fn clean(raw: &str) -> std::borrow::Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..0x7f).contains(&byte);
    if raw.len() <= LONGEST && raw.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return raw.into();
    }
    let cut = |text: &str| {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        end
    };
    let short = raw.get(..cut(raw)).unwrap_or_default();
    if !short.contains(char::is_control) {
        return short.into();
    }
    // The replacement is longer than what it replaces.
    let mut replaced = short.replace(char::is_control, "\u{FFFD}");
    replaced.truncate(cut(&replaced));
    replaced.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use proptest::prelude::*;

    fn labels(max: usize) -> (Labels, IntCounterVec) {
        let folded = IntCounterVec::new(Opts::new("folded_total", "help"), &["label"]).unwrap();
        (Labels::new(max, &folded), folded)
    }

    #[test]
    fn first_come_first_served() {
        let (mut labels, folded) = labels(2);
        assert_eq!(&*labels.value(Label::Model, Some("a")), "a");
        assert_eq!(&*labels.value(Label::Model, None), UNKNOWN);
        assert_eq!(&*labels.value(Label::Model, Some(" ")), UNKNOWN);
        assert_eq!(&*labels.value(Label::Model, Some(UNKNOWN)), UNKNOWN);
        assert_eq!(&*labels.value(Label::Model, Some("b")), "b");
        assert_eq!(&*labels.value(Label::Model, Some("c")), OTHER);
        assert_eq!(&*labels.value(Label::Model, Some("a")), "a");
        assert_eq!(
            &*labels.value(Label::Provider, Some("c")),
            "c",
            "budgets are per label"
        );
        assert_eq!(&*labels.value_or_empty(Label::ErrorType, None), "");
        let kept = |raw| labels.within_budget(Label::Model, raw);
        for (raw, value) in [
            (Some("a"), Some("a")),
            (Some("c"), None),
            (Some(OTHER), None),
            (Some(UNKNOWN), Some(UNKNOWN)),
            (None, Some(UNKNOWN)),
        ] {
            assert_eq!(kept(raw).as_deref(), value, "{raw:?}");
        }
        assert_eq!(folded.with_label_values(&["model"]).get(), 1);
        assert_eq!(folded.with_label_values(&["provider"]).get(), 0);
    }

    proptest! {
        #![proptest_config(crate::property_tests(256))]

        #[test]
        fn values_are_short_and_clean(raw in "(?s).{0,300}") {
            let text = clean(&raw);
            prop_assert!(text.len() <= LONGEST);
            prop_assert!(!text.contains(char::is_control));
            if raw.len() <= LONGEST && !raw.contains(char::is_control) {
                prop_assert_eq!(text.as_ref(), raw.as_str());
            }
        }
    }
}
