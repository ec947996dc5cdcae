//! A meeting assistant: a recording is transcribed in chunks, then tasks make the summary, the
//! open questions and the agenda of it.

use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::call::{self, Ask, tokens_of};
use super::dice::Dice;
use super::model::{CLAUDE_HAIKU, GEMINI_FLASH, GPT_4_1_MINI, GROQ_WHISPER, Listener, WHISPER};
use super::planned::{Fact, Planned};
use super::stage::{self, Parsed};
use super::text::{MEETING_TASKS, SPEECH};

const SYSTEM: &str = "당신은 회의 비서입니다. 회의록에 있는 내용만 사용해 답하세요.";

/// Bytes of one second of the recordings (64 kbit/s).
const BYTES_PER_SECOND: f64 = 8_000.0;

/// The app between two requests: each meeting is a transcription and three tasks.
pub(super) struct Meeting {
    dice: Dice,
    ids: Dice,
    step: usize,
    meeting: i64,
    user: i64,
}

impl Meeting {
    pub(super) fn new(dice: Dice, ids: Dice) -> Self {
        Meeting {
            dice,
            ids,
            step: 0,
            meeting: 0,
            user: 0,
        }
    }

    /// The next request.
    pub(super) fn request(&mut self) -> Planned {
        let step = self.step;
        self.step = (step + 1) % (MEETING_TASKS.len() + 1);
        if step == 0 {
            self.meeting = self.ids.between(10_000, 99_999_999);
            self.user = self.dice.between(1, 25);
            return self.transcribe();
        }
        match MEETING_TASKS.get(step - 1) {
            Some(task) => self.task(task),
            None => self.transcribe(),
        }
    }

    /// Root of a worker's task.
    fn root(&mut self, name: &'static str, pipeline: &'static str) -> Planned {
        Planned::root(name, SpanKind::Consumer)
            .with("pipeline.name", pipeline)
            .with("user.id", format!("user-{}", 100 + self.user))
            .with("session.id", format!("meeting-{}", self.meeting))
            .with("request.id", self.ids.uuid())
            .with("task.id", self.ids.uuid())
            .with("meeting.id", self.meeting.to_string())
    }

    /// Speech to text. The span of the whole transcription ends as complete or error; below it
    /// are its start and a span a chunk. A complete one is charged for the whole recording, a
    /// broken one for the chunks that were transcribed.
    fn transcribe(&mut self) -> Planned {
        let recording = self.ids.between(1_000, 9_999_999);
        let mut root = self
            .root("meeting.transcribe", "meeting_transcription")
            .with("recording.id", recording.to_string());
        let listener = if self.dice.percent(60) {
            &WHISPER
        } else {
            &GROQ_WHISPER
        };
        let job = format!("stt-{}", self.ids.hex(16));
        let chunks = self.dice.between(3, 9);
        let broken_at = self
            .dice
            .percent(8)
            .then(|| self.dice.between(1, chunks - 1));
        let seconds: Vec<f64> = (0..chunks)
            .map(|_| self.dice.between(450, 600) as f64 / 10.0)
            .collect();
        let total: f64 = seconds.iter().sum();

        let (event, billed) = match broken_at {
            None => ("complete", total),
            Some(_) => ("error", 0.0),
        };
        let mut whole = speech(root.next(), Duration::ZERO, listener, &job, event, billed)
            .with("stt.chunk.count", chunks)
            .with("stt.audio.duration", total)
            .with("stt.audio.size", (total * BYTES_PER_SECOND) as i64)
            .with("stt.audio.mime_type", "audio/mpeg");
        let length = self.dice.latency(4.0);
        let start = speech(whole.next(), length, listener, &job, "start", 0.0)
            .with("stt.chunk.count", chunks)
            .with("stt.language.requested", "ko");
        whole.push(start);

        let (mut characters, mut words) = (0_i64, 0_i64);
        for (index, &seconds) in (0_i64..).zip(&seconds) {
            let length = self.dice.latency(seconds * 45.0);
            let chunk = |event, billed| {
                speech(whole.next(), length, listener, &job, event, billed)
                    .with("stt.chunk.index", index)
                    .with("stt.chunk.count", chunks)
                    .with("stt.audio.duration", seconds)
                    .with("stt.audio.size", (seconds * BYTES_PER_SECOND) as i64)
            };
            if broken_at == Some(index) {
                let failed = chunk("error", 0.0).failed(
                    "audio_decode_error",
                    "could not decode the audio of a chunk",
                );
                whole.push(failed);
                break;
            }
            let text = *self.dice.pick(&SPEECH);
            let billed = if broken_at.is_some() { seconds } else { 0.0 };
            let (length, count) = (text.chars().count() as i64, text.split_whitespace().count());
            characters += length;
            words += count as i64;
            let done = chunk("chunk_complete", billed)
                .with("stt.language.detected", "ko")
                .with("stt.transcript.length", length)
                .with("stt.transcript.word_count", count as i64)
                .with(
                    "stt.transcript.confidence",
                    0.8 + self.dice.fraction() * 0.19,
                )
                .with("stt.transcript.text", text);
            whole.push(done);
        }
        if broken_at.is_some() {
            root.push(whole.failed(
                "audio_decode_error",
                "could not decode the audio of a chunk",
            ));
            return root.failed(
                "audio_decode_error",
                "the recording could not be transcribed",
            );
        }
        root.push(
            whole
                .with("stt.transcript.length", characters)
                .with("stt.transcript.word_count", words)
                .with("stt.transcript.is_final", true),
        );
        root
    }

    /// A task over the transcript.
    fn task(&mut self, task: &(&'static str, &'static str, &'static str)) -> Planned {
        let (operation, prompt, answer) = *task;
        let (name, pipeline, call_type, model) = match operation {
            "summary" => (
                "meeting.summary",
                "meeting_summary",
                "summarization",
                &GEMINI_FLASH,
            ),
            "questions" => (
                "meeting.questions",
                "meeting_questions",
                "other",
                &CLAUDE_HAIKU,
            ),
            _ => (
                "meeting.agenda_parse",
                "meeting_agenda",
                "extraction",
                &GPT_4_1_MINI,
            ),
        };
        let agenda = operation == "agenda_parse";
        let mut root = self.root(name, pipeline);
        root.set("agenda.id", (self.meeting * 10 + 1).to_string());
        let ask = Ask {
            model,
            operation,
            call_type,
            system: SYSTEM,
            history: &[],
            prompt,
            answer,
            input: tokens_of(prompt)
                + if agenda {
                    self.dice.between(90, 260)
                } else {
                    self.dice.between(1800, 7200)
                },
            output: tokens_of(answer) + self.dice.between(10, 160),
            finish: "stop",
            temperature: 0.2,
            streamed: false,
            json: agenda,
        };
        let start = root.next();
        let tries = call::chat_with_retries(&mut self.dice, &mut self.ids, start, &ask);
        let error = tries.last().and_then(|last| match &last.fact {
            Fact::Call(call) if call.timed_out => Some("timeout"),
            Fact::Call(call) if call.failed => Some("upstream_error"),
            _ => None,
        });
        tries.into_iter().for_each(|span| root.push(span));
        if let Some(error) = error {
            return root
                .with("pipeline.timed_out", error == "timeout")
                .failed(error, "no answer from the model");
        }
        if agenda {
            let parsed = match self.dice.between(0, 99) {
                0..=3 => Parsed::FellBack,
                4..=13 => Parsed::Repaired,
                _ => Parsed::Clean,
            };
            let parse = stage::json_parsing(&mut self.dice, root.next(), parsed);
            root.push(parse);
            root.set("pipeline.fallback", parsed == Parsed::FellBack);
        }
        root
    }
}

/// A span of an event of a transcription.
fn speech(
    start: Duration,
    length: Duration,
    listener: &'static Listener,
    job: &str,
    event: &'static str,
    billed_seconds: f64,
) -> Planned {
    let fact = Fact::Speech {
        event,
        billed_seconds,
    };
    let name = format!("speech_to_text {}", listener.name);
    Planned::new(name, SpanKind::Client, start, length, fact)
        .with("gen_ai.operation.name", "speech_to_text")
        .with("gen_ai.provider.name", listener.provider)
        .with("gen_ai.request.model", listener.name)
        .with("server.address", listener.server)
        .with("stt.event.type", event)
        .with("stt.request.id", job.to_owned())
}
