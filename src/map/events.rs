//! One pass over a span's events: exceptions, content, hits, the first piece of a stream.

use super::{
    dialect::Event, fields, limits, lookup::Lookup, read::Scratch, transcript::Transcript,
};
use crate::otlp::{EventView, SpanView, Value};

/// One hit of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// More is better.
    Similarity(f64),
    /// Less is better.
    Distance(f64),
    /// A hit without a score.
    Unscored,
}

/// What a span's events bring.
#[derive(Default)]
pub struct Events<'a> {
    /// The last exception.
    pub exception: Option<EventView<'a>>,
    /// When the first piece of a streamed answer came, Unix ns.
    pub first_chunk: Option<u64>,
    /// Hits, in their order.
    pub hits: Vec<Score>,
    /// Content.
    pub transcript: Transcript,
    /// Steps of a transcription, with their type.
    pub speech: Vec<(&'static str, EventView<'a>)>,
}

impl<'a> Events<'a> {
    /// Reads the events of a span.
    pub fn read(span: &SpanView<'a>, lookup: &Lookup) -> Self {
        let mut found = Events::default();
        for event in span.events().take(limits::EVENTS) {
            match lookup.event(event.name) {
                Some(Event::Exception) => found.exception = Some(event),
                Some(Event::FirstChunk) => {
                    found.first_chunk.get_or_insert(event.time_unix_ns);
                }
                Some(Event::Hit) => found.hits.push(score(&event)),
                Some(Event::Speech(kind)) => found.speech.push((kind, event)),
                Some(Event::Details) => {
                    let mut scratch = Scratch::default();
                    lookup.walk(event.attributes(), &mut scratch);
                    let details = Transcript::of(&scratch.settle("", None), false);
                    found.transcript.input.extend(details.input);
                    found.transcript.output.extend(details.output);
                }
                Some(brings) => {
                    found
                        .transcript
                        .add_event(brings, Value::Empty, event.attributes());
                }
                None => {}
            }
        }
        found
    }
}

/// `score` and `distance` are the last part of the key in every spelling.
fn score(event: &EventView<'_>) -> Score {
    for (key, value) in event.attributes().take(64) {
        let last = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        match (last, fields::number(value)) {
            (b"score" | b"similarity", Some(number)) => return Score::Similarity(number),
            (b"distance", Some(number)) => return Score::Distance(number),
            _ => {}
        }
    }
    Score::Unscored
}
