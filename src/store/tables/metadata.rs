//! The `metadata` column of `llm_calls`: the attributes that no column takes, where the row's
//! numbers came from, and what counting and pricing need to know of the row later.

use serde::Serialize;

use super::{Cell, clean_json_text};
use crate::record::{LlmCall, Origin, Role};

/// The column's cell.
pub(super) fn metadata(call: &LlmCall) -> Cell<'static> {
    let mut all = Object::of(call.metadata.as_deref());
    if !call.origin.numbers.is_empty() {
        all.key("spanledger.origin");
        origin(&call.origin, &mut all.text);
    }
    if let Some(id) = &call.response_id {
        all.member("gen_ai.response.id", id);
    }
    // A row is a call unless it says otherwise; counting needs to know after a restart.
    if matches!(call.role, Role::Rollup | Role::Attempt) {
        all.member("spanledger.role", call.role.as_str());
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
            billing.member(name, &count);
        }
    }
    if let Some(billing) = billing.finish() {
        all.key("spanledger.billing");
        all.text.push_str(&billing);
    }
    if let Some(Err(why)) = &call.cost {
        all.member("spanledger.unpriced", why.as_str());
    }
    all.finish().map_or(Cell::Null, clean_json_text)
}

/// `{"prompt_tokens":{"attribute":"…","rule":"…"}}`; of a column that several attributes gave, the
/// last one.
fn origin(origin: &Origin, text: &mut String) {
    let mut columns = Object::default();
    let mut numbers = origin.numbers.iter();
    while let Some((column, attribute, rule)) = numbers.next() {
        if numbers.as_slice().iter().any(|(later, ..)| later == column) {
            continue;
        }
        columns.key(column);
        let mut one = Object::default();
        one.member("attribute", *attribute);
        if !rule.is_empty() {
            one.member("rule", *rule);
        }
        columns.text.push_str(&one.finish().unwrap_or_default());
    }
    text.push_str(&columns.finish().unwrap_or_default());
}

/// A JSON object that is being written.
#[derive(Default)]
struct Object {
    text: String,
}

impl Object {
    /// Goes on where the text of another object ends.
    fn of(text: Option<&str>) -> Self {
        let inner = text.and_then(|text| text.strip_suffix('}'));
        let mut object = Object::default();
        if let Some(inner) = inner.filter(|inner| inner.len() > 1 && inner.starts_with('{')) {
            object.text.reserve(inner.len() + 512);
            object.text.push_str(inner);
        }
        object
    }

    fn key(&mut self, name: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.value(name);
        self.text.push(':');
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.key(name);
        self.value(value);
    }

    /// Texts and numbers are written without fail.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.text.push_str(&text),
            Err(_) => self.text.push_str("null"),
        }
    }

    /// The object's text; `None` if it is empty.
    fn finish(mut self) -> Option<String> {
        if self.text.is_empty() {
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
        match metadata(call) {
            Cell::Json(text) => Some(serde_json::from_str(&text).expect("JSON")),
            Cell::Null => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_apps_own_and_ours_stand_in_one_object() {
        let mut call = LlmCall::default();
        assert_eq!(json(&call), None);
        call.metadata = Some("{}".to_owned());
        assert_eq!(json(&call), None);
        call.metadata = Some(r#"{"app":{"k":"{"}}"#.to_owned());
        assert_eq!(json(&call), Some(serde_json::json!({"app": {"k": "{"}})));
        call.response_id = Some("an \"id\"".to_owned());
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
