//! Label values, kept short, clean and few, whatever apps send.

use prometheus::{IntCounter, IntCounterVec};
use rustc_hash::FxHashSet;

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
    /// All of them, in order.
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
    known: FxHashSet<&'static str>,
    folded: IntCounter,
}

/// The values each label has taken. First come, first served. A value that was given out stays for
/// as long as the process runs, as its series do: it is found by its address from then on. That is
/// 128 bytes for each value of the budgets.
#[derive(Debug)]
pub struct Labels {
    /// By label.
    budgets: [Budget; Label::ALL.len()],
    max_values: usize,
}

impl Labels {
    /// With nothing spent. `folded` has the one label `label`.
    pub fn new(max_values: usize, folded: &IntCounterVec) -> Self {
        Self {
            budgets: Label::ALL.map(|label| Budget {
                known: FxHashSet::default(),
                folded: folded.with_label_values(&[label.as_str()]),
            }),
            max_values,
        }
    }

    /// The value to show for `raw`; `unknown` where there is none.
    pub fn value(&mut self, label: Label, raw: Option<&str>) -> &'static str {
        raw.and_then(|raw| self.known(label, raw))
            .unwrap_or(UNKNOWN)
    }

    /// The same, but empty where there is none.
    pub fn value_or_empty(&mut self, label: Label, raw: Option<&str>) -> &'static str {
        raw.and_then(|raw| self.known(label, raw)).unwrap_or("")
    }

    /// `None` for blank text.
    fn known(&mut self, label: Label, raw: &str) -> Option<&'static str> {
        let Some(budget) = self.budgets.get_mut(label as usize) else {
            return Some(OTHER);
        };
        match budget.known.get(raw) {
            Some(known) => Some(known),
            None => budget.take(raw, self.max_values),
        }
    }
}

impl Budget {
    /// What becomes of a value that was not given out as it is.
    #[cold]
    fn take(&mut self, raw: &str, most: usize) -> Option<&'static str> {
        let raw = raw.trim();
        let text = clean(raw);
        // It may have been cut at a blank.
        let text = match text.trim_end() {
            "" => return None,
            UNKNOWN => return Some(UNKNOWN),
            text => text,
        };
        if let Some(known) = self.known.get(text) {
            return Some(known);
        }
        if text == OTHER || self.known.len() >= most {
            self.folded.inc();
            return Some(OTHER);
        }
        let value: &'static str = Box::leak(text.into());
        self.known.insert(value);
        Some(value)
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
        assert_eq!(labels.value(Label::Model, Some("a")), "a");
        assert_eq!(labels.value(Label::Model, None), UNKNOWN);
        assert_eq!(labels.value(Label::Model, Some(" ")), UNKNOWN);
        assert_eq!(labels.value(Label::Model, Some(UNKNOWN)), UNKNOWN);
        assert_eq!(labels.value(Label::Model, Some("b")), "b");
        assert_eq!(labels.value(Label::Model, Some("c")), OTHER);
        assert_eq!(labels.value(Label::Model, Some("a")), "a");
        assert_eq!(
            labels.value(Label::Provider, Some("c")),
            "c",
            "budgets are per label"
        );
        assert_eq!(labels.value_or_empty(Label::ErrorType, None), "");
        assert_eq!(folded.with_label_values(&["model"]).get(), 1);
        assert_eq!(folded.with_label_values(&["provider"]).get(), 0);
    }

    /// However often it is asked for, and in whatever order.
    #[test]
    fn the_same_text_is_the_same_value() {
        let long = format!("{} end", "x".repeat(LONGEST - 1));
        let cut = &long[..LONGEST];
        assert!(cut.ends_with(' '));
        for texts in [[&long, cut, " m "], [" m ", cut, &long]] {
            let (mut labels, _) = labels(9);
            let mut value = |text| labels.value(Label::Model, Some(text));
            let values = texts.map(&mut value);
            assert_eq!(values, texts.map(|text| value(text.trim())));
            assert!(values.iter().all(|text| text.trim() == *text), "{values:?}");
        }
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
