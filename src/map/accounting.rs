//! Tokens, normalised: `prompt` holds all input, cache included; `completion` all output,
//! reasoning included, whatever the emitter reports.
//!
//! Most emitters report inclusive counts. One that does not is known by name (its dialect says
//! so), or by counts that would be impossible otherwise: more cache than input, or a reported
//! total that is the sum of the parts. Absent stays absent; nothing becomes zero here.

use super::{
    fields::{self, Field},
    read::Reading,
};
use crate::record::{Origin, Usage};

/// The parts as reported; `None` = not reported.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reported {
    /// Input.
    pub input: Option<i64>,
    /// Output.
    pub output: Option<i64>,
    /// Sum.
    pub total: Option<i64>,
    /// Part of the input, or beside it.
    pub cache_read: Option<i64>,
    /// Part of the input, or beside it.
    pub cache_write: Option<i64>,
    /// Part of the output, or beside it.
    pub reasoning: Option<i64>,
}

/// What was done to a number, for `Origin`.
const CACHE_ADDED: &str = "cache added";
const REASONING_ADDED: &str = "reasoning added";

/// The inclusive counts, and what was done to get them.
pub fn normalise(reported: Reported, excludes_cache: bool) -> (Usage, &'static str, &'static str) {
    let (read, write) = (
        reported.cache_read.unwrap_or(0),
        reported.cache_write.unwrap_or(0),
    );
    let cache = read + write;
    let (mut input_note, mut output_note) = ("", "");
    let prompt = reported.input.map(|input| {
        let output = reported.output.unwrap_or(0);
        let total_says = reported.total == Some(input + output + cache);
        if cache > 0 && (excludes_cache || cache > input || total_says) {
            input_note = CACHE_ADDED;
            input + cache
        } else {
            input
        }
    });
    let completion = reported.output.map(|output| match reported.reasoning {
        Some(reasoning) if reasoning > output => {
            output_note = REASONING_ADDED;
            output + reasoning
        }
        _ => output,
    });
    let total = match (prompt, completion) {
        (None, None) => reported.total,
        (prompt, completion) => Some(prompt.unwrap_or(0) + completion.unwrap_or(0)),
    };
    let usage = Usage {
        prompt,
        completion,
        total,
        cache_read: reported.cache_read,
        cache_write: reported.cache_write,
        reasoning: reported.reasoning,
        ..Usage::default()
    };
    (usage, input_note, output_note)
}

/// The usage that stands on a span; where it came from goes to `origin`.
pub fn usage(reading: &Reading<'_, '_>, provider: Option<&str>, origin: &mut Origin) -> Usage {
    let count = |field| reading.count(field);
    let cache_write_1h = count(Field::CacheWrite1h);
    let cache_write = count(Field::CacheWrite).or_else(|| {
        let five = count(Field::CacheWrite5m);
        (five.is_some() || cache_write_1h.is_some())
            .then(|| five.unwrap_or(0) + cache_write_1h.unwrap_or(0))
    });
    let reported = Reported {
        input: count(Field::InputTokens),
        output: count(Field::OutputTokens),
        total: count(Field::TotalTokens),
        cache_read: count(Field::CacheRead),
        cache_write,
        reasoning: count(Field::Reasoning),
    };
    let excludes = (reading.dialect.input_excludes_cache)(reading.scope, provider);
    let (mut usage, input_note, output_note) = normalise(reported, excludes);
    usage.cache_write_1h = cache_write_1h;
    usage.audio_input = count(Field::AudioInput);
    usage.audio_output = count(Field::AudioOutput);
    note(
        reading,
        origin,
        "prompt_tokens",
        Field::InputTokens,
        input_note,
    );
    note(
        reading,
        origin,
        "completion_tokens",
        Field::OutputTokens,
        output_note,
    );
    if usage.prompt.is_none() && usage.completion.is_none() {
        note(reading, origin, "total_tokens", Field::TotalTokens, "");
    }
    note(reading, origin, "cache_read_tokens", Field::CacheRead, "");
    if reading.has(Field::CacheWrite) {
        note(reading, origin, "cache_write_tokens", Field::CacheWrite, "");
    } else {
        note(
            reading,
            origin,
            "cache_write_tokens",
            Field::CacheWrite5m,
            "part of the sum",
        );
        note(
            reading,
            origin,
            "cache_write_tokens",
            Field::CacheWrite1h,
            "part of the sum",
        );
    }
    note(reading, origin, "reasoning_tokens", Field::Reasoning, "");
    usage
}

/// Writes down which attribute gave a column its number.
pub fn note(
    reading: &Reading<'_, '_>,
    origin: &mut Origin,
    column: &'static str,
    field: Field,
    done: &'static str,
) {
    if let Some(got) = reading.got(field)
        && fields::number(got.value).is_some()
    {
        let key = String::from_utf8_lossy(got.key).into_owned();
        origin.numbers.push((column, key, done));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: i64, output: i64, read: i64, write: i64, total: Option<i64>) -> Reported {
        Reported {
            input: Some(input),
            output: Some(output),
            total,
            cache_read: Some(read),
            cache_write: Some(write),
            reasoning: None,
        }
    }

    #[test]
    fn inclusive_and_exclusive_inputs_are_told_apart() {
        let prompt = |reported, known| normalise(reported, known).0.prompt.unwrap();
        assert_eq!(prompt(of(6347, 61, 4096, 2048, None), false), 6347);
        assert_eq!(
            prompt(of(203, 61, 4096, 2048, None), false),
            6347,
            "more cache than input"
        );
        assert_eq!(
            prompt(of(900, 10, 50, 0, Some(960)), false),
            950,
            "the total says so"
        );
        assert_eq!(prompt(of(900, 10, 50, 0, Some(910)), false), 900);
        assert_eq!(
            prompt(of(900, 10, 50, 0, Some(910)), true),
            950,
            "a known emitter overrides"
        );
        assert_eq!(prompt(of(900, 10, 0, 0, Some(910)), true), 900);
    }

    #[test]
    fn reasoning_beside_the_output_is_added() {
        let reported = Reported {
            output: Some(9),
            reasoning: Some(127),
            ..Reported::default()
        };
        let (usage, _, done) = normalise(reported, false);
        assert_eq!((usage.completion, done), (Some(136), REASONING_ADDED));
    }

    #[test]
    fn unknown_stays_unknown() {
        let (usage, ..) = normalise(Reported::default(), true);
        assert_eq!(usage, Usage::default());
        let total = Reported {
            total: Some(7),
            ..Reported::default()
        };
        assert_eq!(normalise(total, false).0.total, Some(7));
    }
}
