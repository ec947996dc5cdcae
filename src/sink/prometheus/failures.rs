//! What failed, by what the error means; what last succeeded; and who sends at all.

use prometheus::{Error, Gauge};

use super::family::{Gauges, IntCounters, Maker};
use crate::{
    record::{CallType, ErrorClass, LlmCall, Record, Retrieval, Stage, Status, SttEventType},
    sink::names,
};

/// Stages there are.
const STAGES: usize = Stage::Stt as usize + 1;

#[derive(Debug)]
pub(super) struct Failures {
    errors: IntCounters<5>,
    services: IntCounters<1>,
    succeeded: Gauges<1>,
    /// The newest success of each stage, Unix ns, and where it is shown.
    newest: [Option<(i64, Gauge)>; STAGES],
}

impl Failures {
    pub fn new(maker: &Maker<'_>) -> Result<Self, Error> {
        Ok(Self {
            errors: maker.int_counters(&names::ERRORS)?,
            services: maker.int_counters(&names::SERVICE_RECORDS)?,
            succeeded: maker.gauges(&names::STAGE_SUCCESS)?,
            newest: [const { None }; STAGES],
        })
    }

    pub fn record(&mut self, record: &Record, service: &'static str) {
        self.services.with([service]).inc();
        if let (Some(stage), Some(end)) = (success(record), record.header().completed_at) {
            self.success(stage, end);
        }
        if let Some((stage, class)) = failure(record) {
            let alerts = if class.alerts() { "yes" } else { "no" };
            let (severity, stage) = (class.severity().as_str(), stage.as_str());
            self.errors
                .with([stage, class.as_str(), severity, alerts, service])
                .inc();
        }
    }

    fn success(&mut self, stage: Stage, end: i64) {
        let Some(newest) = self.newest.get_mut(stage as usize) else {
            return;
        };
        let (at, gauge) =
            newest.get_or_insert_with(|| (i64::MIN, self.succeeded.with([stage.as_str()]).clone()));
        if end > *at {
            *at = end;
            gauge.set(end as f64 / 1e9);
        }
    }
}

/// The stage that succeeded.
fn success(record: &Record) -> Option<Stage> {
    match record {
        Record::LlmCall(call) if call.status == Status::Success => Some(stage_of(call)),
        Record::SttEvent(event) if event.event_type == SttEventType::Complete => Some(Stage::Stt),
        Record::Retrieval(search) if search.status == Status::Success => {
            Some(stage_of_search(search))
        }
        Record::JsonParse(parse) if parse.success => Some(Stage::JsonParsing),
        _ => None,
    }
}

fn stage_of(call: &LlmCall) -> Stage {
    match call.call_type {
        CallType::Embedding => Stage::Embedding,
        _ => Stage::Llm,
    }
}

fn stage_of_search(search: &Retrieval) -> Stage {
    match search.rerank_model {
        Some(_) => Stage::Rerank,
        None => Stage::VectorSearch,
    }
}

/// The stage that failed, and what its error means. A request is none: what failed below it is
/// counted already.
fn failure(record: &Record) -> Option<(Stage, ErrorClass)> {
    match record {
        Record::LlmCall(call) if call.counted.is_yes() => Some((stage_of(call), call.error_class?)),
        Record::SttEvent(event) if event.event_type == SttEventType::Error => {
            let said = event.error_message.as_deref();
            Some((
                Stage::Stt,
                ErrorClass::of(event.error_type.as_deref(), said, None),
            ))
        }
        Record::Retrieval(search) if search.counted.is_yes() => {
            let class = match search.status {
                Status::Success | Status::Pending => return None,
                Status::Cancelled => ErrorClass::Cancelled,
                Status::Timeout => ErrorClass::Timeout,
                Status::Error => ErrorClass::of(search.error_type.as_deref(), None, None),
            };
            Some((stage_of_search(search), class))
        }
        Record::JsonParse(parse) if !parse.success => {
            Some((Stage::JsonParsing, ErrorClass::ParseFailure))
        }
        _ => None,
    }
}
