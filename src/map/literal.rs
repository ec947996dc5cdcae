//! JSON, and Python's `repr` where an SDK prints an object instead of exporting it:
//! `{'cache_read': 128}`, `Usage(prompt_tokens=3, details=Details(cached_tokens=None))`.
//!
//! A call becomes an object of its named arguments; `None` becomes null. What is neither JSON nor
//! a `repr` is nothing.

use serde_json::{Map, Number, Value as Json};

/// Nesting beyond this is not read.
const MAX_DEPTH: usize = 16;
/// Text up to this is read whatever it holds.
const SMALL_BYTES: usize = 1 << 20;
/// Values of larger text that is read. What has more is no message: a value of two bytes takes many
/// times that in memory.
const MOST_VALUES: usize = 1 << 18;

/// Reads JSON.
pub fn json(text: &str) -> Option<Json> {
    (!is_vast(text))
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// True if it may hold more values than are read.
fn is_vast(text: &str) -> bool {
    text.len() > SMALL_BYTES
        && memchr::memchr3_iter(b',', b'[', b'{', text.as_bytes())
            .nth(MOST_VALUES)
            .is_some()
}

/// Reads JSON, or a `repr` of an object or a list.
pub fn read(text: &str) -> Option<Json> {
    let text = text.trim();
    if !text.starts_with(|first: char| "{[(\"".contains(first) || first.is_ascii_alphabetic()) {
        return None;
    }
    match json(text) {
        // JSON inside JSON.
        Some(Json::String(inner)) if inner.trim_start().starts_with(['{', '[']) => json(&inner),
        Some(json) => Some(json),
        None if is_vast(text) => None,
        None => {
            let mut literal = Literal { rest: text };
            let value = literal.value(0)?;
            (literal.skip().is_empty() && (value.is_object() || value.is_array())).then_some(value)
        }
    }
}

struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn skip(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn takes(&mut self, expected: char) -> bool {
        match self.skip().strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.skip().chars().next()? {
            '\'' | '"' => self.text().map(Json::String),
            '{' => self.object(depth),
            '[' => self.list('[', ']', depth),
            '(' => self.list('(', ')', depth),
            '0'..='9' | '-' | '+' | '.' => self.number(),
            _ => self.word(depth),
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut found = String::new();
        let mut chars = self.rest.char_indices();
        let (_, quote) = chars.next()?;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => found.push('\n'),
                    't' => found.push('\t'),
                    'r' => found.push('\r'),
                    other => found.push(other),
                },
                c if c == quote => {
                    self.rest = self.rest.get(at + c.len_utf8()..)?;
                    return Some(found);
                }
                c => found.push(c),
            }
        }
        None
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.takes('{');
        let mut object = Map::new();
        while !self.takes('}') {
            let key = match self.value(depth + 1)? {
                Json::String(key) => key,
                other => other.to_string(),
            };
            if !self.takes(':') {
                return None;
            }
            object.insert(key, self.value(depth + 1)?);
            if !self.takes(',') {
                return self.takes('}').then_some(Json::Object(object));
            }
        }
        Some(Json::Object(object))
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Json> {
        self.takes(open);
        let mut list = Vec::new();
        while !self.takes(close) {
            list.push(self.value(depth + 1)?);
            if !self.takes(',') {
                return self.takes(close).then_some(Json::Array(list));
            }
        }
        Some(Json::Array(list))
    }

    fn number(&mut self) -> Option<Json> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c)))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        match number.parse::<i64>() {
            Ok(whole) => Some(Json::from(whole)),
            Err(_) => Some(Number::from_f64(number.parse().ok()?).map_or(Json::Null, Json::Number)),
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || "_.".contains(c)))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    /// The name of an argument, if one with a name is next.
    fn argument(&mut self) -> Option<String> {
        let before = self.rest;
        let name = self.name();
        if name.is_some() && self.takes('=') {
            return name.map(str::to_owned);
        }
        self.rest = before;
        None
    }

    /// `None`, `True`, a bare name, or a call with named arguments.
    fn word(&mut self, depth: usize) -> Option<Json> {
        let name = self.name()?;
        match name {
            "None" | "null" | "nan" | "NaN" | "inf" => return Some(Json::Null),
            "True" | "true" => return Some(Json::Bool(true)),
            "False" | "false" => return Some(Json::Bool(false)),
            _ => {}
        }
        if !self.takes('(') {
            return Some(Json::String(name.to_owned()));
        }
        let mut object = Map::new();
        while !self.takes(')') {
            // An argument without a name says nothing that is looked for.
            match self.argument() {
                Some(name) => drop(object.insert(name, self.value(depth + 1)?)),
                None => drop(self.value(depth + 1)?),
            }
            if !self.takes(',') {
                return self.takes(')').then_some(Json::Object(object));
            }
        }
        Some(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Scenario: more than a megabyte of JSON or of a `repr`, of few values and of very many.
    /// Guarantees: the first is read, the second is text.
    #[test]
    fn what_would_take_many_times_its_size_is_not_read() {
        let long = format!("[{:?}]", "x".repeat(2 << 20));
        assert!(json(&long).is_some() && read(&long).is_some());
        let vast = format!("[{}1]", "1,".repeat(MOST_VALUES * 3));
        assert_eq!((json(&vast), read(&vast)), (None, None));
        assert_eq!(read(&vast.replacen('[', "['a', ", 1)), None);
    }

    #[test]
    fn json_and_reprs_are_read() {
        for (text, want) in [
            ("{\"a\": 1}", json!({"a": 1})),
            ("\"{\\\"a\\\": 1}\"", json!({"a": 1})),
            (
                "{'cache_read': 128, 'x': None, 'y': [True, 'it\\'s'],}",
                json!({"cache_read": 128, "x": null, "y": [true, "it's"]}),
            ),
            (
                "CompletionUsage(completion_tokens=12, details=Details(cached_tokens=None, f=-1.5))",
                json!({"completion_tokens": 12, "details": {"cached_tokens": null, "f": -1.5}}),
            ),
            ("(1, 'a')", json!([1, "a"])),
        ] {
            assert_eq!(read(text), Some(want), "{text}");
        }
    }

    /// Each of these once took a stack frame or twice the time for each level.
    #[test]
    fn nesting_costs_neither_stack_nor_time() {
        for open in ["A(", "A(x=", "A(B(", "[", "{'a':", "(", "A([", "A=("] {
            assert_eq!(read(&open.repeat(200_000)), None, "{open}");
        }
        let calls = format!("{}{}", "A(".repeat(60), ")".repeat(60));
        assert_eq!(read(&calls), None);
        assert_eq!(
            read("A(B(C(1)), D(), x=E(f=2), G)"),
            Some(json!({"x": {"f": 2}}))
        );
    }

    #[test]
    fn anything_else_is_nothing() {
        for text in [
            "",
            "hello there",
            "{'a': ",
            "{'a'}",
            "Usage(",
            "{\"a\": 1} x",
            "'",
            "nothing",
            "{'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': {'a': 1}}}}}}}}}}}}}}}}}}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
