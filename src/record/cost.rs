//! What a record cost, and why.

use smol_str::SmolStr;

/// A cost in USD and the rule that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// USD; finite and ≥ 0.
    pub usd: f64,
    /// The rule's name in the price table, `provider/model` and its tier or start date if any.
    pub rule: SmolStr,
    /// The version of the table.
    pub version: SmolStr,
}

/// Why a record has no cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unpriced {
    /// The table has no rule for the model.
    UnknownModel,
    /// The span names no model.
    NoModel,
    /// There is a rule, but the usage it charges was not exported.
    NoUsage,
}

impl Unpriced {
    /// Label value of `genai_unpriced_calls_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Unpriced::UnknownModel => "unknown_model",
            Unpriced::NoModel => "no_model",
            Unpriced::NoUsage => "no_usage",
        }
    }

    /// For people.
    pub fn as_words(self) -> &'static str {
        match self {
            Unpriced::UnknownModel => {
                "the price table has no rule for this provider and model; give it one in [price]"
            }
            Unpriced::NoModel => "the span names no model",
            Unpriced::NoUsage => "the span has no usage that the rule charges for",
        }
    }
}
