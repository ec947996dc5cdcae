//! Usage objects: how each provider's API and each SDK spells the tokens of one call in JSON.
//!
//! One table from path to part serves them all: OpenAI (chat and responses), Anthropic, Gemini,
//! Bedrock, Cohere, DeepSeek, LangChain's `usage_metadata`, Langfuse's buckets, the Vercel AI SDK.
//! A path is matched by its end, so it does not matter what the object is wrapped in. Some parts
//! tell by their very name that they stand beside the whole and not inside it: Anthropic's and
//! Bedrock's cache counts, Langfuse's buckets, Gemini's thoughts.

mod paths;

use serde_json::Value as Json;

use self::paths::{PATHS, Part, Part::*, Place::*};
use super::{
    accounting::{self, Reported},
    fields,
};
use crate::{otlp::Value, record::Usage};

/// Objects inside objects beyond this are not looked into.
const MAX_DEPTH: usize = 8;

const PARTS: usize = MoreInput as usize + 1;

/// What a usage object says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    found: [Option<(usize, i64)>; PARTS],
}

impl Counts {
    /// Reads a usage object, or whatever holds one.
    pub fn read(json: &Json) -> Self {
        let mut counts = Self::default();
        counts.walk(json, &mut Vec::new());
        counts
    }

    fn walk<'j>(&mut self, json: &'j Json, path: &mut Vec<&'j str>) {
        let Json::Object(object) = json else { return };
        for (key, value) in object {
            path.push(key);
            match value {
                Json::Number(_) | Json::String(_) => self.take(path, value),
                Json::Object(_) if path.len() < MAX_DEPTH => self.walk(value, path),
                _ => {}
            }
            path.pop();
        }
    }

    fn take(&mut self, path: &[&str], value: &Json) {
        let number = value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok());
        let Some(count) = number.and_then(|n| fields::count(Value::Double(n))) else {
            return;
        };
        let [.., last] = path else { return };
        let outer = path.len().checked_sub(2).and_then(|at| path.get(at));
        for (line, (ends, part, _)) in PATHS.iter().enumerate() {
            let fits = match ends.split_once('.') {
                Some((first, second)) => second == *last && outer == Some(&first),
                None => ends == last,
            };
            if fits {
                if let Some(slot) = self.found.get_mut(*part as usize)
                    && slot.is_none_or(|(known, _)| line < known)
                {
                    *slot = Some((line, count));
                }
                break;
            }
        }
    }

    fn count(&self, part: Part) -> Option<i64> {
        self.line(part).map(|(_, count)| count)
    }

    fn line(&self, part: Part) -> Option<(usize, i64)> {
        self.found.get(part as usize).copied().flatten()
    }

    /// True if the part stands beside the whole.
    fn is_beside(&self, part: Part, whole: Part) -> bool {
        let place = |part| {
            let (line, _) = self.line(part)?;
            PATHS.get(line).map(|(.., place)| *place)
        };
        match place(part) {
            Some(Beside) => true,
            Some(Bucket) => place(whole) == Some(Bucket),
            _ => false,
        }
    }

    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.iter().all(Option::is_none)
    }

    /// Cache tokens, read and written.
    fn cache(&self) -> i64 {
        self.count(CacheRead).unwrap_or(0) + self.cache_write().unwrap_or(0)
    }

    fn cache_write(&self) -> Option<i64> {
        let split = || match (self.count(CacheWrite5m), self.count(CacheWrite1h)) {
            (None, None) => None,
            (five, hour) => Some(five.unwrap_or(0) + hour.unwrap_or(0)),
        };
        self.count(CacheWrite).or_else(split)
    }

    /// Whether a number reported elsewhere for the input of the same call leaves out the cache;
    /// `None` if this object can't tell.
    pub fn says_exclusive(&self, input: i64) -> Option<bool> {
        let cache = self.cache();
        if cache == 0 {
            return None;
        }
        if let Some(uncached) = self.count(Uncached) {
            return Some(input == uncached);
        }
        let raw = self
            .count(Input)
            .filter(|_| self.is_beside(CacheRead, Input) || self.is_beside(CacheWrite, Input))?;
        if input == raw {
            Some(true)
        } else {
            (input == raw + cache).then_some(false)
        }
    }

    /// Whether a number reported elsewhere for the output of the same call leaves out the
    /// reasoning; `None` if this object can't tell.
    pub fn says_reasoning_beside(&self, output: i64) -> Option<bool> {
        let reasoning = self.count(Reasoning).filter(|count| *count > 0)?;
        let raw = self
            .count(Output)
            .filter(|_| self.is_beside(Reasoning, Output))?;
        if output == raw {
            Some(true)
        } else {
            (output == raw + reasoning).then_some(false)
        }
    }

    /// The object's own numbers, made inclusive.
    pub fn usage(&self) -> Usage {
        let output = self.count(Output);
        let input = self
            .count(Input)
            .map(|input| input + self.count(MoreInput).unwrap_or(0));
        let total = self.count(Total);
        let parts = |input: i64| input + output.unwrap_or(0);
        // A total that is the sum of the two wholes says that nothing stands beside them.
        let all_inside = input.is_some_and(|input| total == Some(parts(input)));
        let mut reported = Reported {
            input,
            output,
            total,
            cache_read: self.count(CacheRead),
            cache_write: self.cache_write(),
            reasoning: self.count(Reasoning),
        };
        let beside = self.is_beside(CacheRead, Input)
            || self.is_beside(CacheWrite, Input)
            || (self.line(CacheWrite).is_none() && self.is_beside(CacheWrite5m, Input));
        if !all_inside && self.is_beside(AudioInput, Input) {
            reported.input = input.map(|input| input + self.count(AudioInput).unwrap_or(0));
        }
        if !all_inside && self.is_beside(AudioOutput, Output) {
            reported.output = output.map(|output| output + self.count(AudioOutput).unwrap_or(0));
        }
        let excludes = accounting::Excludes {
            cache: beside && !all_inside,
            reasoning: self.is_beside(Reasoning, Output) && !all_inside,
        };
        let (mut usage, ..) = accounting::normalise(reported, excludes);
        usage.cache_write_1h = self.count(CacheWrite1h);
        usage.audio_input = self.count(AudioInput);
        usage.audio_output = self.count(AudioOutput);
        usage
    }
}

/// The usage object in a provider's answer that says most, wherever it stands in it.
pub fn find(json: &Json) -> Option<Usage> {
    const NAMES: [&str; 6] = [
        "usage",
        "usage_metadata",
        "usageMetadata",
        "token_usage",
        "tokenUsage",
        "billed_units",
    ];
    let parts = |usage: &Usage| {
        let parts = [
            usage.prompt,
            usage.completion,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
        ];
        parts.iter().flatten().count()
    };
    let mut best: Option<Usage> = None;
    let mut open = vec![(json, 0)];
    while let Some((json, depth)) = open.pop() {
        match json {
            Json::Object(object) => {
                for name in NAMES {
                    let counts = object.get(name).map(Counts::read).unwrap_or_default();
                    let usage = counts.usage();
                    if usage.is_known() && best.is_none_or(|best| parts(&usage) > parts(&best)) {
                        best = Some(usage);
                    }
                }
                if depth < MAX_DEPTH {
                    open.extend(object.values().map(|inner| (inner, depth + 1)));
                }
            }
            Json::Array(list) if depth < MAX_DEPTH => {
                // A list of answers has a usage each, of which none is that of the call.
                if let [only] = list.as_slice() {
                    open.push((only, depth + 1));
                }
            }
            _ => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// prompt, completion, cache read, cache write, reasoning.
    type Row = (
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
    );

    fn row(json: &Json) -> Row {
        let usage = Counts::read(json).usage();
        (
            usage.prompt,
            usage.completion,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
        )
    }

    #[test]
    fn every_api_has_its_own_arithmetic() {
        let s = Some;
        let cases: [(&str, Json, Row); 11] = [
            (
                "OpenAI chat",
                json!({"prompt_tokens": 1212, "completion_tokens": 644, "total_tokens": 1856,
                    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 512}}),
                (s(1212), s(644), s(1024), None, s(512)),
            ),
            (
                "OpenAI responses",
                json!({"input_tokens": 91, "input_tokens_details": {"cached_tokens": 64},
                    "output_tokens": 15, "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": 106}),
                (s(91), s(15), s(64), None, s(0)),
            ),
            (
                "Anthropic",
                json!({"input_tokens": 88, "output_tokens": 12, "cache_read_input_tokens": 50,
                    "cache_creation_input_tokens": 30,
                    "cache_creation": {"ephemeral_5m_input_tokens": 10,
                        "ephemeral_1h_input_tokens": 20}}),
                (s(168), s(12), s(50), s(30), None),
            ),
            (
                "Anthropic's names, but the total says inclusive (MLflow)",
                json!({"input_tokens": 667, "output_tokens": 23, "total_tokens": 690,
                    "cache_read_input_tokens": 512, "cache_creation_input_tokens": 100}),
                (s(667), s(23), s(512), s(100), None),
            ),
            (
                "Gemini",
                json!({"promptTokenCount": 9, "toolUsePromptTokenCount": 5,
                    "candidatesTokenCount": 9, "thoughtsTokenCount": 127,
                    "cachedContentTokenCount": 4, "totalTokenCount": 150}),
                (s(14), s(136), s(4), None, s(127)),
            ),
            (
                "Bedrock",
                json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 115,
                    "cacheReadInputTokens": 80, "cacheWriteInputTokens": 20}),
                (s(110), s(5), s(80), s(20), None),
            ),
            (
                "LangChain",
                json!({"input_tokens": 333, "output_tokens": 12, "total_tokens": 345,
                    "input_token_details": {"cache_read": 128},
                    "output_token_details": {"reasoning": 3}}),
                (s(333), s(12), s(128), None, s(3)),
            ),
            (
                "Langfuse's buckets",
                json!({"input": 205, "output": 12, "total": 348, "input_cache_read": 128,
                    "output_reasoning": 3}),
                (s(333), s(15), s(128), None, s(3)),
            ),
            (
                "Langfuse, by hand, in Anthropic's words",
                json!({"input": 120, "output": 30, "cache_read_input_tokens": 9,
                    "cache_creation_input_tokens": 4}),
                (s(133), s(30), s(9), s(4), None),
            ),
            (
                "Vercel AI SDK 6",
                json!({"inputTokens": {"total": 1388, "noCache": 88, "cacheRead": 1000,
                    "cacheWrite": 300}, "outputTokens": {"total": 12, "reasoning": 2}}),
                (s(1388), s(12), s(1000), s(300), s(2)),
            ),
            (
                "Cohere",
                json!({"billed_units": {"input_tokens": 5, "output_tokens": 7},
                    "tokens": {"input_tokens": 71, "output_tokens": 8}}),
                (s(5), s(7), None, None, None),
            ),
        ];
        for (name, json, want) in cases {
            assert_eq!(row(&json), want, "{name}");
        }
    }

    #[test]
    fn usage_is_found_in_an_answer() {
        let answer = json!({"replies": [{"content": "x", "meta": {"usage": {
            "prompt_tokens": 3, "completion_tokens": 4}}}]});
        assert_eq!(find(&answer).unwrap().prompt, Some(3));
        assert_eq!(find(&json!({"usage": {}, "input": "a question"})), None);
        assert_eq!(find(&json!({"text": {"tokens": 3}})), None);
    }

    #[test]
    fn raw_numbers_tell_whether_another_number_has_the_cache() {
        let raw = Counts::read(&json!({"anthropic": {"usage": {"input_tokens": 88,
            "cache_read_input_tokens": 1000}}}));
        assert_eq!(raw.says_exclusive(88), Some(true));
        assert_eq!(raw.says_exclusive(1088), Some(false));
        assert_eq!(raw.says_exclusive(7), None);
    }
}
