//! Synthetic apps that send through the real OpenTelemetry SDK.
//!
//! [`fleet::run`] plays three apps, each with its own tracer provider, batch processor and OTLP
//! gRPC exporter, and returns a [`Ledger`] of exactly what was handed over and what the receiver
//! acknowledged. Nobody waits for a model: spans carry explicit times, spread over the hour
//! before [`Plan::end`] and never after it.
//!
//! The same seed gives the same requests, numbers and texts. Ids come from the seed and the end
//! time together, so a repeated run repeats its ids only when it repeats its times, and two demos
//! into one ledger don't shadow each other.
//!
//! | file | what |
//! |---|---|
//! | `fleet` | plays a plan: the providers, the back-pressure, the totals |
//! | `exporter` | the OTLP exporter, counting what was acknowledged |
//! | `ledger` | what was sent |
//! | `summary` | sent against landed, for people and as JSON |
//! | `progress` `paint` | a bar on a terminal, plain lines elsewhere; colours |
//! | `chatbot` `mapper` `meeting` | the three apps |
//! | `call` `stage` | the spans they share: chat calls; cache, embedding, search, rerank, parse |
//! | `planned` | a span before it is sent, with what it means for the ledger |
//! | `model` `text` `dice` `ids` | models, sentences, seeded numbers and ids |
//!
//! # Attribute names
//!
//! Model calls, retrievals and vector stores use the OpenTelemetry names as they are
//! (`gen_ai.*`, `db.*`, `error.type`, `http.request.resend_count`). Where OpenTelemetry has no
//! name, our own apps use these:
//!
//! | key | on | meaning |
//! |---|---|---|
//! | `pipeline.name` | root | the pipeline |
//! | `pipeline.framework` | root | standard the request is for: GRI, ESRS, … |
//! | `pipeline.matched`, `pipeline.match_count`, `pipeline.confidence` | root | the outcome; confidence is 0 to 1 |
//! | `pipeline.fallback`, `pipeline.timed_out`, `pipeline.regenerated` | root | how it got there |
//! | `experiment.name`, `experiment.variant` | root | A/B test |
//! | `user.id`, `session.id`, `request.id`, `company.id` | root | who and where; hold for all spans below |
//! | `meeting.id`, `agenda.id`, `task.id`, `recording.id` | root | the same, of the meeting app |
//! | `app.operation` | call | the app's own name of the operation: summary, questions, agenda_parse |
//! | `app.call_type` | call | what kind of call that is: chat, rag_query, rag_synthesis, classification, … |
//! | `cache.name`, `cache.hit`, `cache.key_hash` | cache lookup | |
//! | `parse.format`, `parse.success`, `parse.repaired`, `parse.fallback`, `parse.error.type` | parse | |
//! | `stt.event.type`, `stt.request.id`, `stt.chunk.index`, `stt.chunk.count`, `stt.audio.duration`, `stt.audio.size`, `stt.language.requested`, `stt.language.detected`, `stt.transcript.length`, `stt.transcript.word_count`, `stt.transcript.confidence` | speech to text | durations in seconds, size in bytes, lengths in characters |

mod call;
mod chatbot;
mod dice;
mod exporter;
pub mod fleet;
mod ids;
pub mod ledger;
mod mapper;
mod meeting;
mod model;
mod paint;
mod planned;
pub mod progress;
mod stage;
pub mod summary;
#[cfg(test)]
mod tests;
mod text;

pub use fleet::{Error, Plan};
pub use ledger::Ledger;
pub use paint::Paint;
pub use progress::Progress;
