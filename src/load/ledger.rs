//! The notes of runs in a file: what was sent, what was acked.
//!
//! ```text
//! {"spanledger_ledger":1,"run":"<16 hex digits>","seed":42,…}   a run begins
//! sent 0 102                                                    requests 0 to 101 are about to be sent
//! acked 0 102                                                   and the server answered success
//! partial 102 102 3                                             it took all but 3 spans of these
//! rejected 204 102                                              it will never take these
//! ```
//!
//! A request is a trace of five spans, in the order of the first line's `spans`; there it says
//! which row each leaves, with which tokens. Trace ids begin with the run; [`super::ids`] has the
//! rest. A line is written whole before its request goes out, or once its answer is in: whoever
//! kills the sender loses at most an ack that was not noted, and that request is then "sent, not
//! acked", of which any part may be stored. Files are appended to; one process at a time.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read as _, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Error, Protocol,
    ids::RunId,
    spans::{EXPECTED, Tokens},
};

const VERSION: u64 = 1;
/// More than any run sends: a damaged line must not fill the memory.
const MOST_REQUESTS: u64 = 1 << 32;

/// Appends the notes of one run.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Opens the file, or makes it, and begins a run.
    pub fn open(path: &Path, seed: u64, protocol: Protocol) -> Result<Self, Error> {
        let failed = |action| {
            let path = path.to_owned();
            move |source| Error::Ledger {
                action,
                path,
                source,
            }
        };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed("open"))?;
        file.try_lock()
            .map_err(|error| failed("lock")(error.into()))?;
        cut_half_a_line(&mut file).map_err(failed("bring in order"))?;
        let spans = EXPECTED.map(|span| {
            json!({
                "name": span.name,
                "table": span.table,
                "counted": span.counted,
                "prompt_tokens": tokens(span.prompt_tokens),
                "completion_tokens": tokens(span.completion_tokens),
            })
        });
        let begin = json!({
            "spanledger_ledger": VERSION,
            "run": RunId::of_seed(seed).prefix(),
            "seed": seed,
            "protocol": protocol.as_str(),
            "started_at": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            "spans": spans,
        });
        let mut writer = Self {
            file,
            path: path.to_owned(),
        };
        writer.line(&begin.to_string())?;
        Ok(writer)
    }

    /// These requests are about to be sent.
    pub fn sent(&mut self, first: u64, requests: u64) -> Result<(), Error> {
        self.line(&format!("sent {first} {requests}"))
    }

    /// The server answered success.
    pub fn acked(&mut self, first: u64, requests: u64) -> Result<(), Error> {
        self.line(&format!("acked {first} {requests}"))
    }

    /// The server took all but some spans.
    pub fn partial(&mut self, first: u64, requests: u64, spans: u64) -> Result<(), Error> {
        self.line(&format!("partial {first} {requests} {spans}"))
    }

    /// The server will never take these.
    pub fn rejected(&mut self, first: u64, requests: u64) -> Result<(), Error> {
        self.line(&format!("rejected {first} {requests}"))
    }

    fn line(&mut self, text: &str) -> Result<(), Error> {
        let written = self.file.write_all(format!("{text}\n").as_bytes());
        written.map_err(|source| Error::Ledger {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }
}

fn tokens(tokens: Tokens) -> Value {
    match tokens {
        Tokens::None => Value::Null,
        Tokens::Always(tokens) => tokens.into(),
        Tokens::ChatInput => "1000 + request % 1000".into(),
    }
}

/// A sender that was killed, or whose disk was full, may have left half a line.
fn cut_half_a_line(file: &mut File) -> std::io::Result<()> {
    let mut end = file.metadata()?.len();
    let mut last = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            break;
        }
        end -= 1;
    }
    file.set_len(end)
}

/// All that a ledger says, by run.
#[derive(Debug, Default)]
pub struct Notes {
    /// By run; two runs of one seed are one.
    pub runs: BTreeMap<RunId, RunNotes>,
}

/// What a ledger says of one run.
#[derive(Debug, Default)]
pub struct RunNotes {
    /// The seed.
    pub seed: u64,
    /// Requests that were sent.
    pub sent: Numbers,
    /// Requests that were acked.
    pub acked: Numbers,
    /// Spans that the server said it will never take.
    pub rejected_spans: u64,
}

impl Notes {
    /// Reads a ledger. Half a line at its end is passed over.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Ledger {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let (mut notes, mut run, mut number, mut line) = (Self::default(), None, 0, String::new());
        while file.read_line(&mut line).map_err(failed)? > 0 {
            number += 1;
            let Some(text) = line.strip_suffix('\n') else {
                break;
            };
            notes.take(text, &mut run).map_err(|why| Error::Line {
                path: path.to_owned(),
                line: number,
                why,
            })?;
            line.clear();
        }
        Ok(notes)
    }

    fn take(&mut self, line: &str, run: &mut Option<RunId>) -> Result<(), String> {
        if line.starts_with('{') {
            let begin: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            if begin["spanledger_ledger"] != VERSION {
                return Err(format!("this release reads version {VERSION}"));
            }
            let seed = begin["seed"].as_u64().ok_or("a run without a seed")?;
            let id = RunId::of_seed(seed);
            if begin["run"] != id.prefix() {
                return Err(format!("the run of seed {seed} is {}", id.prefix()));
            }
            self.runs.entry(id).or_default().seed = seed;
            *run = Some(id);
            return Ok(());
        }
        let notes = run.and_then(|run| self.runs.get_mut(&run));
        let notes = notes.ok_or("no run has begun")?;
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let numbers: Result<Vec<u64>, _> = words.map(str::parse).collect();
        let numbers = numbers.map_err(|_| format!("{line:?} is not a word and numbers"))?;
        let range = |first: u64, requests: u64| {
            let end = first.checked_add(requests);
            let end = end.filter(|end| *end <= MOST_REQUESTS);
            end.map(|end| first..end).ok_or("too many requests")
        };
        match (word, &*numbers) {
            ("sent", &[first, requests]) => notes.sent.add(range(first, requests)?),
            ("acked", &[first, requests]) => notes.acked.add(range(first, requests)?),
            // Which spans of them were taken is not known.
            ("partial", &[_, _, spans]) => notes.rejected_spans += spans,
            ("rejected", &[_, requests]) => notes.rejected_spans += requests * super::SPANS as u64,
            _ => return Err(format!("{line:?} is no note")),
        }
        Ok(())
    }
}

/// A set of requests: a bit each.
#[derive(Debug, Default, Clone)]
pub struct Numbers {
    words: Vec<u64>,
}

impl Numbers {
    /// Adds them.
    pub fn add(&mut self, range: std::ops::Range<u64>) {
        for number in range {
            self.insert(number);
        }
    }

    /// Adds one; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// Whether it is there.
    pub fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok();
        let word = word.and_then(|word| self.words.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let words = (0u64..).zip(&self.words);
        words.flat_map(|(at, word)| {
            (0..64).filter_map(move |bit| (word >> bit & 1 == 1).then_some(at * 64 + bit))
        })
    }
}
