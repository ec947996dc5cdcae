//! Transcript: what was said in one call, gathered from attributes, span events and log events.

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    dialect::Event,
    fields,
    fields::Field,
    limits, literal,
    messages::{self, Family, Message, Speaker},
    normal,
    read::Reading,
};
use crate::{
    otlp::{Attributes, Value, value::text},
    record::{History, MessageText},
};

/// What was said in one call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// Everything sent, in order.
    pub input: Vec<Message>,
    /// Everything answered, in order.
    pub output: Vec<Message>,
    /// Where the prompt stood in `input`, once it was taken out.
    pub(super) prompt_at: Option<usize>,
}

impl Transcript {
    /// What the attributes of a span or event say. `whole` lets the span's whole input and output
    /// stand in where no messages are.
    pub fn of(reading: &Reading<'_, '_>, whole: bool) -> Self {
        let list = |family, field, stand_in| {
            let indexed = match reading.members {
                [] => Vec::new(),
                _ => messages::from_members(reading.family(family)),
            };
            if indexed
                .iter()
                .any(|m| !m.text.is_empty() || !m.calls.is_empty())
            {
                return indexed;
            }
            let got = reading
                .got(field)
                .or_else(|| whole.then(|| reading.got(stand_in)).flatten());
            let mut read = got.map(|got| messages::read(got.value)).unwrap_or_default();
            // An answer without text still says why the model stopped.
            read.extend(indexed.into_iter().filter(|m| m.finish.is_some()));
            read
        };
        let mut transcript = Transcript {
            input: list(Family::Input, Field::InputMessages, Field::Input),
            output: match reading.got(Field::OutputText).map(|got| got.value) {
                Some(Value::Str(bytes)) => vec![Message {
                    text: text(bytes).into_owned(),
                    ..Message::default()
                }],
                _ => list(Family::Output, Field::OutputMessages, Field::Output),
            },
            prompt_at: None,
        };
        if let Some(Json::Array(events)) = reading
            .got(Field::EventList)
            .and_then(|got| fields::json(got.value))
        {
            transcript.add_list(&events);
        }
        if let Some(got) = reading.got(Field::SystemPrompt) {
            let mut texts = messages::read(got.value).into_iter().map(|m| m.text);
            let mut text = texts.next().unwrap_or_default();
            for more in texts {
                text.push('\n');
                text.push_str(&more);
            }
            let system = Message {
                speaker: Speaker::System,
                text,
                ..Message::default()
            };
            transcript.input.insert(0, system);
        }
        transcript
    }

    /// Adds message events that stand in one list. Where no event is a choice, the assistant's
    /// last words are the answer.
    fn add_list(&mut self, events: &[Json]) {
        let before = (self.input.len(), self.output.len());
        for event in events {
            if event.get("event.name").and_then(Json::as_str) == Some("gen_ai.choice") {
                self.output
                    .extend(messages::read_json(event, Speaker::Assistant));
            } else {
                self.input
                    .extend(messages::read_json(event, Speaker::Unknown));
            }
        }
        if self.output.len() == before.1 {
            let is_answer = |m: &Message| m.speaker == Speaker::Assistant;
            let end = self.input.iter().rposition(|m| !is_answer(m));
            let end = end.map_or(before.0, |last| last + 1).max(before.0);
            self.output.extend(self.input.split_off(end));
        }
        // The attributes may have told the same conversation.
        let (told, listed) = self.input.split_at(before.0);
        let newest = |list: &[Message]| list.iter().rposition(is_asked);
        if let (Some(one), Some(two)) = (newest(told), newest(listed))
            && told.get(one).map(|m| &m.text) == listed.get(two).map(|m| &m.text)
        {
            let mut told = before.0;
            self.input.retain(|message| {
                let is_listed = told == 0;
                told = told.saturating_sub(1);
                is_listed || message.speaker == Speaker::System
            });
        }
    }

    /// Adds what an event brings; log events carry it in their body, span events as attributes.
    pub fn add_event(&mut self, event: Event, body: Value<'_>, attributes: Attributes<'_>) {
        let find = |key: &str| {
            let mut all = attributes.clone();
            all.find(|(k, _)| *k == key.as_bytes())
                .map(|(_, value)| value)
        };
        match event {
            Event::Prompt(key) => {
                self.input
                    .extend(find(key).map(messages::read).unwrap_or_default());
            }
            Event::Completion(key) => {
                self.output
                    .extend(find(key).map(messages::read).unwrap_or_default());
            }
            Event::Message(speaker) => {
                let json = whole(body, attributes);
                self.input.extend(messages::read_json(&json, speaker));
            }
            Event::Choice => {
                let mut json = whole(body, attributes);
                // As span attributes, the message inside may be JSON text.
                if let Some(Json::String(inner)) = json.get("message")
                    && let Some(parsed) = literal::json(inner)
                    && let Some(object) = json.as_object_mut()
                {
                    object.insert("message".to_owned(), parsed);
                }
                self.output
                    .extend(messages::read_json(&json, Speaker::Assistant));
            }
            _ => {}
        }
    }

    /// Takes out the newest user input. `every` joins all of them: the texts of an embedding call.
    pub fn prompt(&mut self, every: bool) -> Option<String> {
        if every {
            let all = self.input.iter().filter(|m| is_asked(m));
            let texts: Vec<&str> = all.map(|m| &*m.text).collect();
            return (!texts.is_empty()).then(|| texts.join("\n"));
        }
        let newest = self.input.iter().rposition(is_asked)?;
        self.prompt_at = Some(newest);
        let message = self.input.get_mut(newest)?;
        Some(std::mem::take(&mut message.text))
    }

    /// Takes out the system prompt among the messages sent, which some SDKs export twice.
    pub fn system(&mut self) -> Option<String> {
        let is_system = |m: &&mut Message| m.speaker == Speaker::System && !m.text.is_empty();
        let mut all = self.input.iter_mut().filter(is_system);
        let prompt = std::mem::take(&mut all.next()?.text);
        for again in all.filter(|m| m.text == prompt) {
            again.text.clear();
        }
        Some(prompt)
    }

    /// Takes out the messages sent that are neither the prompt nor the system prompt, which were
    /// taken out before; most calls have none.
    pub fn history(&mut self) -> Option<Box<History>> {
        // Texts that nobody says, and tools that are only described, are no turns.
        let holds = |m: &Message| match m.speaker {
            Speaker::Unknown => !m.calls.is_empty(),
            Speaker::Tool => !m.text.is_empty(),
            _ => !m.text.is_empty() || !m.calls.is_empty(),
        };
        let number = self.input.iter().filter(|m| holds(m)).count();
        if number == 0 {
            return None;
        }
        let left_out = number.saturating_sub(limits::HISTORY_MESSAGES);
        let prompt_at = self.prompt_at.unwrap_or(usize::MAX);
        let messages = self.input.drain(..).enumerate();
        let mut history = Box::new(History {
            left_out: left_out as u64,
            ..History::default()
        });
        for (at, message) in messages.filter(|(_, m)| holds(m)).skip(left_out) {
            let side = match at < prompt_at {
                true => &mut history.before,
                false => &mut history.after,
            };
            side.push(message.into_text());
        }
        Some(history)
    }

    /// The answer's text; its tool calls as JSON where it has no text. Pieces of one streamed
    /// answer (a message that says it goes on) are put together without a break. Takes them out.
    pub fn response(&mut self) -> Option<String> {
        let mut answer = String::new();
        let mut goes_on = true;
        for message in self.output.iter_mut().filter(|m| !m.text.is_empty()) {
            if !goes_on {
                answer.push('\n');
            }
            if answer.is_empty() {
                answer = std::mem::take(&mut message.text);
            } else {
                answer.push_str(&message.text);
            }
            goes_on = message.finish.as_deref() == Some("");
        }
        if !answer.is_empty() {
            return Some(answer);
        }
        let calls: Vec<&Json> = self.output.iter().flat_map(|m| &m.calls).collect();
        serde_json::to_string(&calls)
            .ok()
            .filter(|_| !calls.is_empty())
    }

    /// Why the model stopped, normalised.
    pub fn finish_reason(&self) -> Option<SmolStr> {
        let words = self.output.iter().filter_map(|m| m.finish.as_deref());
        words.filter_map(normal::finish_reason).next_back()
    }
}

impl Message {
    /// As it is stored.
    fn into_text(self) -> MessageText {
        let calls = (!self.calls.is_empty()).then(|| Json::Array(self.calls).to_string());
        let speaker = match self.speaker {
            Speaker::Unknown if calls.is_some() => Speaker::Assistant,
            speaker => speaker,
        };
        let kept = |text| limits::cut(text, limits::CONTENT_BYTES);
        MessageText::new(speaker.as_str(), Some(kept(self.text)), calls.map(kept))
    }
}

/// True for what may be a prompt.
fn is_asked(message: &Message) -> bool {
    matches!(message.speaker, Speaker::User | Speaker::Unknown) && !message.text.is_empty()
}

/// The body, or else the attributes as one object.
fn whole(body: Value<'_>, attributes: Attributes<'_>) -> Json {
    match body {
        Value::Empty => Json::Object(
            attributes
                .take(64)
                .filter(|(_, value)| !fields::is_blank(*value))
                .map(|(key, value)| (text(key).into_owned(), value.to_json()))
                .collect(),
        ),
        Value::Str(_) => {
            let words = fields::scalar(body).unwrap_or_default();
            literal::json(&words).unwrap_or_else(|| serde_json::json!({"content": &*words}))
        }
        other => other.to_json(),
    }
}
