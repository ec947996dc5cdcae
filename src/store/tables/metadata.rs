//! The `metadata` column of `llm_calls`: the attributes that no column takes, where the row's
//! numbers came from, and what counting and pricing need to know of the row later.

use crate::record::{History, LlmCall, MessageText, Origin, Role};

/// The column's text; `None` where there is nothing to say.
pub(super) fn metadata(call: &LlmCall) -> Option<String> {
    let mut all = Object::of(call.metadata.as_deref());
    if !call.origin.numbers.is_empty() {
        all.key("spanledger.origin");
        origin(&call.origin, &mut all.text);
    }
    if let Some(known) = &call.history {
        all.key("spanledger.history");
        all.text.push_str(&history(known));
    }
    if let Some(id) = &call.response_id {
        all.member("gen_ai.response.id", id);
    }
    // A row is a call unless it says otherwise; counting needs to know after a restart.
    if matches!(call.role, Role::Rollup | Role::Attempt) {
        all.key("spanledger.role");
        all.word(call.role.as_str());
    }
    let mut billing = Object::default();
    if let Some(tier) = &call.service_tier {
        billing.member("service_tier", tier);
    }
    let some = |count: Option<i64>| count.filter(|n| *n > 0);
    for (name, count) in [
        ("cache_write_1h_tokens", call.usage.cache_write_1h),
        ("audio_input_tokens", some(call.usage.audio_input)),
        ("audio_output_tokens", some(call.usage.audio_output)),
    ] {
        if let Some(count) = count {
            billing.key(name);
            billing.text.push_str(&count.to_string());
        }
    }
    if let Some(billing) = billing.finish() {
        all.key("spanledger.billing");
        all.text.push_str(&billing);
    }
    if let Some(Err(why)) = &call.cost {
        all.member("spanledger.unpriced", why.as_str());
    }
    all.finish()
}

/// `{"prompt_tokens":{"attribute":"…","rule":"…"}}`; of a column that several attributes gave, the
/// last one.
fn origin(origin: &Origin, text: &mut String) {
    let mut columns = Object {
        text: std::mem::take(text),
        is_begun: false,
    };
    let mut numbers = origin.numbers.iter();
    while let Some((column, attribute, rule)) = numbers.next() {
        if numbers.as_slice().iter().any(|(later, ..)| later == column) {
            continue;
        }
        columns.key(column);
        columns.text.push_str("{\"attribute\":");
        columns.word(attribute);
        if !rule.is_empty() {
            columns.text.push_str(",\"rule\":");
            columns.word(rule);
        }
        columns.text.push('}');
    }
    *text = columns.finish().unwrap_or_default();
}

/// `{"before":["…"],"after":["…"],"left_out":3}`: the hashes of the messages around the newest
/// prompt, which `message_texts` holds; what is empty is not there.
pub(in crate::store) fn history(history: &History) -> String {
    let mut all = Object::default();
    for (name, messages) in [("before", &history.before), ("after", &history.after)] {
        if !messages.is_empty() {
            all.key(name);
            all.hashes(messages);
        }
    }
    if history.left_out > 0 {
        all.key("left_out");
        all.text.push_str(&history.left_out.to_string());
    }
    all.finish().unwrap_or_else(|| "{}".to_owned())
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// A JSON object that is being written.
#[derive(Default)]
struct Object {
    /// Everything so far, what stands before the object included.
    text: String,
    is_begun: bool,
}

impl Object {
    /// Goes on where the text of another object ends.
    fn of(text: Option<&str>) -> Self {
        let inner = text.and_then(|text| text.strip_suffix('}'));
        let inner = inner.filter(|inner| inner.len() > 1 && inner.starts_with('{'));
        let mut text = String::with_capacity(inner.map_or(0, str::len) + 768);
        text.push_str(inner.unwrap_or_default());
        Object {
            text,
            is_begun: inner.is_some(),
        }
    }

    fn key(&mut self, name: &'static str) {
        self.text.push(if self.is_begun { ',' } else { '{' });
        self.is_begun = true;
        self.word(name);
        self.text.push(':');
    }

    /// One of our own words, or a dialect's name of an attribute: none needs an escape.
    fn word(&mut self, word: &'static str) {
        self.text.push('"');
        self.text.push_str(word);
        self.text.push('"');
    }

    fn member(&mut self, name: &'static str, value: &str) {
        self.key(name);
        self.value(value);
    }

    fn hashes(&mut self, messages: &[MessageText]) {
        self.text.reserve(messages.len() * 35 + 2);
        for (at, message) in messages.iter().enumerate() {
            self.text.push_str(if at == 0 { "[\"" } else { "\",\"" });
            let hex = message.hash.hex();
            self.text
                .push_str(std::str::from_utf8(&hex).unwrap_or_default());
        }
        self.text.push_str("\"]");
    }

    /// Most texts need no escape.
    fn value(&mut self, text: &str) {
        if text.bytes().all(is_plain) {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        } else {
            let escaped = serde_json::Value::from(text).to_string();
            self.text.push_str(&escaped);
        }
    }

    /// The object's text; `None` if it is empty.
    fn finish(mut self) -> Option<String> {
        if !self.is_begun {
            return None;
        }
        self.text.push('}');
        Some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(call: &LlmCall) -> Option<serde_json::Value> {
        metadata(call).map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn the_apps_own_and_ours_stand_in_one_object() {
        let mut call = LlmCall::default();
        assert_eq!(json(&call), None);
        call.metadata = Some("{}".to_owned());
        assert_eq!(json(&call), None);
        call.metadata = Some(r#"{"app":{"k":"{"}}"#.to_owned());
        assert_eq!(json(&call), Some(serde_json::json!({"app": {"k": "{"}})));
        call.response_id = Some("an \"id\"".into());
        call.origin.numbers = vec![
            ("reported_cost", "in", ""),
            ("reported_cost", "out", "part of the sum"),
        ];
        assert_eq!(
            json(&call),
            Some(serde_json::json!({
                "app": {"k": "{"},
                "gen_ai.response.id": "an \"id\"",
                "spanledger.origin": {
                    "reported_cost": {"attribute": "out", "rule": "part of the sum"}
                },
            }))
        );
    }
}
