//! Fields to `SttEvent`: one row a span, and one for each step that came as a span event.
//!
//! A span without a lifecycle word and with a chunk index is that chunk; without one it is the
//! whole transcription. Lengths are counted from the text where they are missing.
//!
//! Who is billed: the span or event that covers audio which was really sent. A start or an error
//! never is. A `complete` that says how many chunks it sums up is a summary of chunks that were
//! reported (and billed) one by one; any other `complete` is billed itself, and chunks that are
//! events of the same span are then part of it.

use smol_str::SmolStr;

use super::{
    accounting,
    failure::Ending,
    fields,
    fields::Field,
    limits,
    lookup::Lookup,
    normal,
    read::{Reading, Scratch},
    subject::Subject,
};
use crate::record::{Header, Origin, Record, Status, SttEvent, SttEventType};

/// The span's own row, then those of its events.
pub fn records(subject: &Subject<'_, '_>, lookup: &Lookup) -> Vec<Record> {
    let names = Names::of(subject.reading);
    let own = event(
        subject.reading,
        subject,
        &names,
        subject.header.clone(),
        None,
        subject.ending,
    );
    let says_nothing = own.model.is_none()
        && own.transcript_length.is_none()
        && own.audio_duration_seconds.is_none()
        && own.chunk_index.is_none()
        && own.event_type == SttEventType::Complete;
    if says_nothing && subject.events.speech.is_empty() {
        // A turn of silence: nothing was transcribed.
        return Vec::new();
    }
    let mut records = Vec::with_capacity(1 + subject.events.speech.len());
    let own_is_whole = own.event_type == SttEventType::Complete && own.billed;
    records.push(Record::SttEvent(Box::new(own)));
    let mut scratch = Scratch::default();
    for (ordinal, (kind, view)) in (1u32..).zip(&subject.events.speech) {
        lookup.walk(view.attributes(), &mut scratch);
        let reading = scratch.settle(subject.reading.scope, None);
        let at = i64::try_from(view.time_unix_ns).ok().filter(|at| {
            let end = subject.header.completed_at.unwrap_or(i64::MAX);
            (subject.header.started_at..=end).contains(at)
        });
        let header = Header {
            completed_at: at,
            ..subject.header.clone()
        };
        let failed = *kind == "error";
        let ending = Ending {
            status: if failed {
                Status::Error
            } else {
                Status::Success
            },
            error_type: reading.name(Field::ErrorType),
            ..Ending::default()
        };
        let mut step = event(&reading, subject, &names, header, Some(kind), &ending);
        step.ordinal = ordinal;
        step.billed &= !own_is_whole;
        records.push(Record::SttEvent(Box::new(step)));
    }
    records
}

/// What holds for a span's events, too, if they don't say otherwise.
struct Names {
    provider: Option<SmolStr>,
    request_model: Option<SmolStr>,
    response_model: Option<SmolStr>,
    language: Option<SmolStr>,
}

impl Names {
    fn of(reading: &Reading<'_, '_>) -> Self {
        Self {
            provider: reading.name(Field::Provider),
            request_model: reading.name(Field::RequestModel),
            response_model: reading.name(Field::ResponseModel),
            language: reading.name(Field::Language),
        }
    }

    fn or(self, span: &Self) -> Self {
        let or = |own: Option<SmolStr>, span: &Option<SmolStr>| own.or_else(|| span.clone());
        Self {
            provider: or(self.provider, &span.provider),
            request_model: or(self.request_model, &span.request_model),
            response_model: or(self.response_model, &span.response_model),
            language: or(self.language, &span.language),
        }
    }
}

/// `names`: the span's own, read once for all of its events.
fn event(
    reading: &Reading<'_, '_>,
    subject: &Subject<'_, '_>,
    names: &Names,
    header: Header,
    said: Option<&str>,
    ending: &Ending,
) -> SttEvent {
    let names = Names::of(reading).or(names);
    let provider = names.provider.and_then(|sent| normal::provider(&sent));
    let model = names.request_model.or(names.response_model);
    let transcript = reading.text(Field::Transcript).or_else(|| {
        let mut said = super::transcript::Transcript::of(reading, false);
        said.response().map(Into::into)
    });
    let event_type = event_type(reading, said, ending);
    let total_chunks = reading.count(Field::ChunkCount);
    let mut origin = Origin {
        dialect: subject.reading.dialect.name,
        numbers: Vec::new(),
    };
    for (column, field) in [
        ("audio_duration_seconds", Field::AudioDuration),
        ("audio_file_size_bytes", Field::AudioSize),
        ("transcript_length", Field::TranscriptLength),
        ("word_count", Field::WordCount),
    ] {
        accounting::note(reading, &mut origin, column, field, "");
    }
    SttEvent {
        event_type,
        ordinal: 0,
        chunk_index: reading.count(Field::ChunkIndex),
        total_chunks,
        audio_duration_seconds: reading
            .number(Field::AudioDuration)
            .filter(|seconds| (0.0..=limits::AUDIO_SECONDS).contains(seconds)),
        audio_file_size_bytes: reading.count(Field::AudioSize),
        transcript_length: reading
            .count(Field::TranscriptLength)
            .or_else(|| transcript.as_deref().map(limits::characters)),
        word_count: reading
            .count(Field::WordCount)
            .or_else(|| transcript.as_deref().map(words)),
        model: model
            .as_deref()
            .and_then(|name| normal::model(name, provider.as_deref())),
        provider,
        language: names.language,
        cost: None,
        billed: match event_type {
            SttEventType::Start | SttEventType::Error => false,
            SttEventType::ChunkComplete => true,
            SttEventType::Complete => total_chunks.is_none_or(|chunks| chunks == 0),
        },
        status: ending.status,
        error_type: ending.error_type.clone(),
        error_message: ending.message.clone(),
        error_context: ending.context.clone(),
        context: subject.context(),
        origin,
        header,
    }
}

fn words(text: &str) -> i64 {
    i64::try_from(text.split_whitespace().count()).unwrap_or(i64::MAX)
}

fn event_type(reading: &Reading<'_, '_>, said: Option<&str>, ending: &Ending) -> SttEventType {
    let word = said.map(str::to_owned).or_else(|| {
        let got = reading.got(Field::SpeechEvent)?;
        fields::scalar(got.value).map(|word| word.trim().to_ascii_lowercase())
    });
    let failed = !matches!(ending.status, Status::Success | Status::Pending);
    match word.as_deref().map(|word| word.trim_start_matches("stt.")) {
        _ if failed => SttEventType::Error,
        Some("start" | "started" | "begin") => SttEventType::Start,
        Some("chunk_complete" | "chunk" | "chunk_completed") => SttEventType::ChunkComplete,
        Some("error" | "failed") => SttEventType::Error,
        Some(_) => SttEventType::Complete,
        None if reading.has(Field::ChunkIndex) => SttEventType::ChunkComplete,
        None => SttEventType::Complete,
    }
}
