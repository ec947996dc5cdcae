//! Tokens, normalised: `prompt` holds all input, cache included; `completion` all output,
//! reasoning included, whatever the emitter reports.
//!
//! Most emitters report inclusive counts. One that does not is known by name (its dialect says
//! so), or by counts that would be impossible otherwise: more cache than input, or a reported
//! total that is the sum of the parts. Absent stays absent; nothing becomes zero here.

use super::{
    fields::{self, Field},
    read::{Got, Reading},
    usage::Counts,
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
const PART_OF_SUM: &str = "part of the sum";
const IN_ITS_JSON: &str = "read in its JSON";

/// What an emitter leaves out of its wholes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excludes {
    /// The input leaves out the cache.
    pub cache: bool,
    /// The output leaves out the reasoning.
    pub reasoning: bool,
}

/// The inclusive counts, and what was done to input and output to get them.
pub fn normalise(reported: Reported, excludes: Excludes) -> (Usage, &'static str, &'static str) {
    let (read, write) = (
        reported.cache_read.unwrap_or(0),
        reported.cache_write.unwrap_or(0),
    );
    let cache = read + write;
    let (mut input_note, mut output_note) = ("", "");
    let prompt = reported.input.map(|input| {
        let output = reported.output.unwrap_or(0);
        let total_says = reported.total == Some(input + output + cache);
        if cache > 0 && (excludes.cache || cache > input || total_says) {
            input_note = CACHE_ADDED;
            input + cache
        } else {
            input
        }
    });
    let completion = reported.output.map(|output| match reported.reasoning {
        Some(reasoning) if reasoning > 0 && (excludes.reasoning || reasoning > output) => {
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

/// The usage that stands on a span, in attributes of their own or in a JSON object; where it came
/// from goes to `origin`.
pub fn usage(reading: &Reading<'_, '_>, provider: Option<&str>, origin: &mut Origin) -> Usage {
    // The details of one side are read as they stand inside a whole object.
    let objects: Vec<(Got<'_>, Counts)> = [
        (Field::UsageObject, ""),
        (Field::InputDetails, "input_token_details"),
        (Field::OutputDetails, "output_token_details"),
    ]
    .into_iter()
    .filter_map(|(field, place)| {
        let got = reading.got(field)?;
        let mut json = fields::json(got.value)?;
        if !place.is_empty() {
            json = serde_json::json!({ place: json });
        }
        let counts = Counts::read(&json);
        (!counts.is_empty()).then_some((got, counts))
    })
    .collect();
    let mut usage = from_attributes(reading, provider, &objects, origin);
    for (got, counts) in &objects {
        complete(&mut usage, counts.usage(), got.key, IN_ITS_JSON, origin);
    }
    usage
}

/// Fills what `usage` does not say from another report of the same call.
pub fn complete(
    usage: &mut Usage,
    more: Usage,
    key: &'static str,
    done: &'static str,
    origin: &mut Origin,
) {
    let was_known = usage.is_known();
    let is_same = usage.prompt == more.prompt || usage.prompt.is_none() || more.prompt.is_none();
    if was_known && !is_same {
        return;
    }
    let mut take = |slot: &mut Option<i64>, value: Option<i64>, column: &'static str| {
        if slot.is_none() && value.is_some() {
            *slot = value;
            if !column.is_empty() {
                origin.numbers.push((column, key, done));
            }
        }
    };
    take(&mut usage.prompt, more.prompt, "prompt_tokens");
    take(&mut usage.completion, more.completion, "completion_tokens");
    take(&mut usage.cache_read, more.cache_read, "cache_read_tokens");
    take(
        &mut usage.cache_write,
        more.cache_write,
        "cache_write_tokens",
    );
    take(&mut usage.reasoning, more.reasoning, "reasoning_tokens");
    take(&mut usage.cache_write_1h, more.cache_write_1h, "");
    take(&mut usage.audio_input, more.audio_input, "");
    take(&mut usage.audio_output, more.audio_output, "");
    usage.total = match (usage.prompt, usage.completion) {
        (None, None) => usage.total.or(more.total),
        (prompt, completion) => Some(prompt.unwrap_or(0) + completion.unwrap_or(0)),
    };
}

fn from_attributes(
    reading: &Reading<'_, '_>,
    provider: Option<&str>,
    objects: &[(Got<'_>, Counts)],
    origin: &mut Origin,
) -> Usage {
    let count = |field| reading.count(field);
    let cache_write_1h = count(Field::CacheWrite1h);
    let cache_write = count(Field::CacheWrite).or_else(|| {
        let five = count(Field::CacheWrite5m);
        (five.is_some() || cache_write_1h.is_some())
            .then(|| five.unwrap_or(0) + cache_write_1h.unwrap_or(0))
    });
    let mut reported = Reported {
        input: count(Field::InputTokens),
        output: count(Field::OutputTokens),
        total: count(Field::TotalTokens),
        cache_read: count(Field::CacheRead),
        cache_write,
        reasoning: count(Field::Reasoning),
    };
    // The cache may be told by the object alone.
    for (_, counts) in objects {
        let told = counts.usage();
        reported.cache_read = reported.cache_read.or(told.cache_read);
        reported.cache_write = reported.cache_write.or(told.cache_write);
        reported.reasoning = reported.reasoning.or(told.reasoning);
    }
    let mut excludes = (reading.dialect.excludes)(reading, provider);
    let said = reported.input.and_then(|input| {
        let uncached = count(Field::UncachedInput).map(|uncached| input == uncached);
        uncached.or_else(|| objects.iter().find_map(|(_, c)| c.says_exclusive(input)))
    });
    excludes.cache = said.unwrap_or(excludes.cache);
    let said = reported.output.and_then(|output| {
        let mut all = objects.iter();
        all.find_map(|(_, counts)| counts.says_reasoning_beside(output))
    });
    excludes.reasoning = said.unwrap_or(excludes.reasoning);
    let (mut usage, input_note, output_note) = normalise(reported, excludes);
    usage.cache_read = count(Field::CacheRead);
    usage.cache_write = cache_write;
    usage.reasoning = count(Field::Reasoning);
    usage.cache_write_1h = cache_write_1h;
    usage.audio_input = count(Field::AudioInput);
    usage.audio_output = count(Field::AudioOutput);
    let mut note = |column, field, done| note(reading, origin, column, field, done);
    note("prompt_tokens", Field::InputTokens, input_note);
    note("completion_tokens", Field::OutputTokens, output_note);
    if usage.prompt.is_none() && usage.completion.is_none() {
        note("total_tokens", Field::TotalTokens, "");
    }
    note("cache_read_tokens", Field::CacheRead, "");
    if reading.has(Field::CacheWrite) {
        note("cache_write_tokens", Field::CacheWrite, "");
    } else {
        note("cache_write_tokens", Field::CacheWrite5m, PART_OF_SUM);
        note("cache_write_tokens", Field::CacheWrite1h, PART_OF_SUM);
    }
    note("reasoning_tokens", Field::Reasoning, "");
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
        origin.numbers.push((column, got.key, done));
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
        let prompt = |reported, cache| {
            let excludes = Excludes {
                cache,
                reasoning: false,
            };
            normalise(reported, excludes).0.prompt.unwrap()
        };
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
        let (usage, _, done) = normalise(reported, Excludes::default());
        assert_eq!((usage.completion, done), (Some(136), REASONING_ADDED));
    }

    #[test]
    fn unknown_stays_unknown() {
        let (usage, ..) = normalise(Reported::default(), Excludes::default());
        assert_eq!(usage, Usage::default());
        let total = Reported {
            total: Some(7),
            ..Reported::default()
        };
        assert_eq!(normalise(total, Excludes::default()).0.total, Some(7));
    }
}
