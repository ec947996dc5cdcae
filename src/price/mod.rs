//! STATION 4: usage to money. Pure: a table and a record in, a cost or the reason why not out.
//!
//! A cost is a sum of lines (part, quantity, rate), and names the rule and the table version that
//! gave it. What has no price stays without one: never zero, never guessed.
//!
//! | file | what |
//! |---|---|
//! | `table` | the TOML table: lists of models, dated prices, context tiers |
//! | `lookup` | provider and model to rule, in the documented order |
//! | `charge` | the sum |
//! | `import` | other people's price files |

#![deny(clippy::unwrap_used, clippy::indexing_slicing)]

mod charge;
pub mod import;
mod lookup;
mod table;

#[cfg(test)]
mod tests;

pub use charge::{Charge, Line};
pub use table::{Entry, Error, Model, Own, OwnModel, Rate, Rates, Table};

use crate::record::{Record, Unpriced};

impl Table {
    /// Gives a record its cost: every model call with usage, counted or not, and every event of a
    /// transcription that is billed. Other records have none.
    pub fn price(&self, record: &mut Record) {
        match record {
            Record::LlmCall(call) => {
                call.cost = Some(self.charge(call).map(|charge| charge.cost(self.version())));
            }
            Record::SttEvent(event) if event.billed => {
                event.cost = Some(self.charge_speech(event).map(|c| c.cost(self.version())));
            }
            _ => {}
        }
    }

    /// The sum behind a call's cost.
    pub fn charge(&self, call: &crate::record::LlmCall) -> Result<Charge, Unpriced> {
        let at = call.header.started_at;
        let provider = call.provider.as_deref();
        let models = [call.model.as_deref(), call.response_model.as_deref()];
        let mut found = Err(Unpriced::NoModel);
        for model in models.into_iter().flatten() {
            found = self.rule(provider, model, at).ok_or(Unpriced::UnknownModel);
            if found.is_ok() {
                break;
            }
        }
        let rule = found?;
        let charge = charge::call(rule, &call.usage, call.audio_seconds)?;
        Ok(charge.at_tier(rule, call.service_tier.as_deref()))
    }

    /// The sum behind the cost of a rerank, which is sold by the query. Its row has no column for
    /// it.
    pub fn charge_rerank(&self, search: &crate::record::Retrieval) -> Result<Charge, Unpriced> {
        let model = search.rerank_model.as_deref().ok_or(Unpriced::NoModel)?;
        let rule = self
            .rule(None, model, search.header.started_at)
            .or_else(|| self.rule(Some("cohere"), model, search.header.started_at))
            .ok_or(Unpriced::UnknownModel)?;
        charge::rerank(rule)
    }

    /// The sum behind the cost of an event of a transcription.
    pub fn charge_speech(&self, event: &crate::record::SttEvent) -> Result<Charge, Unpriced> {
        let model = event.model.as_deref().ok_or(Unpriced::NoModel)?;
        let rule = self
            .rule(event.provider.as_deref(), model, event.header.started_at)
            .ok_or(Unpriced::UnknownModel)?;
        charge::speech(rule, event.audio_duration_seconds)
    }
}
