//! Content that comes in log events, put together for each call of one payload.
//!
//! One call's messages come as several events, in order; the newest user input among them is the
//! prompt, so they are gathered before they are handed on. Memory is bounded by the payload. What
//! joins them to the call is the trace and span id; an event without them has no call.

use smol_str::SmolStr;

use super::{
    accounting,
    dialect::Event,
    fields::{self, Field},
    limits,
    lookup::Lookup,
    normal,
    read::Scratch,
    transcript::Transcript,
};
use crate::{
    otlp::{LogView, Value},
    record::{CallContent, IdMap, Origin, SpanKey, Usage},
};

/// The content events of one payload.
#[derive(Default)]
pub struct Joined {
    calls: Vec<(SpanKey, Heard)>,
    places: IdMap<SpanKey, usize>,
}

#[derive(Default)]
struct Heard {
    transcript: Transcript,
    finish: Option<SmolStr>,
    usage: Usage,
}

impl Joined {
    /// Adds a log record; false if it is no content of a call.
    pub fn add<'a>(
        &mut self,
        log: &LogView<'a>,
        scope: &str,
        lookup: &Lookup,
        scratch: &mut Scratch<'a>,
    ) -> bool {
        let (Some(key), Some(event)) = (log.span, lookup.event(log.event_name)) else {
            return false;
        };
        if !matches!(
            event,
            Event::Message(_)
                | Event::Choice
                | Event::Prompt(_)
                | Event::Completion(_)
                | Event::Details
        ) {
            return false;
        }
        let place = *self.places.entry(key).or_insert(self.calls.len());
        if place == self.calls.len() {
            self.calls.push((key, Heard::default()));
        }
        let Some((_, heard)) = self.calls.get_mut(place) else {
            return false;
        };
        if event == Event::Details {
            heard.add_details(log, scope, lookup, scratch);
        } else {
            let body = if fields::is_blank(log.body) {
                Value::Empty
            } else {
                log.body
            };
            heard.transcript.add_event(event, body, log.attributes());
        }
        true
    }

    /// One content a call; calls whose events were all empty have none.
    pub fn finish(self, received_at: i64, keep_content: bool, out: &mut Vec<CallContent>) {
        for (key, mut heard) in self.calls {
            let kept = |text: Option<String>| {
                text.filter(|_| keep_content)
                    .map(|text| limits::content(&text, limits::CONTENT_BYTES))
            };
            // The history is what these two leave.
            let (prompt, system) = (heard.transcript.prompt(false), heard.transcript.system());
            let history = || heard.transcript.history();
            let content = CallContent {
                key,
                received_at,
                history: keep_content.then(history).flatten(),
                prompt: kept(prompt),
                system_prompt: kept(system),
                response: kept(heard.transcript.response()),
                finish_reason: heard.finish.or_else(|| heard.transcript.finish_reason()),
                usage: heard.usage,
            };
            let empty = CallContent {
                key,
                received_at,
                ..CallContent::default()
            };
            if content != empty {
                out.push(content);
            }
        }
    }
}

impl Heard {
    fn add_details<'a>(
        &mut self,
        log: &LogView<'a>,
        scope: &str,
        lookup: &Lookup,
        scratch: &mut Scratch<'a>,
    ) {
        lookup.walk(log.attributes(), scratch);
        let reading = scratch.settle(scope, None);
        let said = Transcript::of(&reading, false);
        self.transcript.input.extend(said.input);
        self.transcript.output.extend(said.output);
        let reasons = reading
            .got(Field::FinishReason)
            .map(|got| fields::list(got.value));
        let finish = reasons
            .unwrap_or_default()
            .iter()
            .find_map(|word| normal::finish_reason(word));
        self.finish = self.finish.take().or(finish);
        let provider = reading
            .text(Field::Provider)
            .and_then(|sent| normal::provider(&sent));
        let usage = accounting::usage(&reading, provider.as_deref(), &mut Origin::default());
        // A failed call's zeros are a counter that was never set, not a count.
        if usage.is_known() && !(reading.has(Field::ErrorType) && usage.total == Some(0)) {
            self.usage = usage;
        }
    }
}
