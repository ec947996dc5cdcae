//! Entries from a position on; waits at the tail.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Error, Position,
    frame::Header,
    segment::{self, SegmentFile, Step},
    state::{Next, State},
};
use crate::otlp::Signal;

/// After a segment could not be opened since the process has too many files open: they are closed
/// with no event to wait for.
const FILES_PAUSE: Duration = Duration::from_millis(100);

/// One request as it was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Just past this entry: a checkpoint once it is done with.
    pub position: Position,
    /// Which service it came through.
    pub signal: Signal,
    /// When, Unix ns.
    pub received_at: i64,
    /// The request's protobuf bytes.
    pub body: Bytes,
}

impl Entry {
    fn new(position: Position, header: &Header, body: Bytes) -> Self {
        Self {
            position,
            signal: header.signal,
            received_at: header.received_at,
            body,
        }
    }
}

/// The entries of a segment that is no file: what a reader hands out of its bytes. For fuzzing,
/// which can't wait for files.
pub fn salvage(segment: &[u8]) -> Vec<Entry> {
    let limit = segment.len() as u64;
    let mut file = SegmentFile::of(io::Cursor::new(segment));
    let mut at = Position::from_parts(0, segment::HEADER_LEN);
    let mut entries = Vec::new();
    while at.offset < limit
        && let Ok(step) = file.step(at.offset, limit)
    {
        match step {
            Step::Entry(header, body) => {
                at.offset += header.frame_len();
                entries.push(Entry::new(at, &header, body));
            }
            Step::Skip(next) => at.offset = next,
        }
    }
    entries
}

/// Hands on entries in order. Each consumer has its own.
#[derive(Debug)]
pub struct Reader {
    state: Arc<State>,
    at: Position,
    /// Up to where the current segment may be read.
    limit: u64,
    file: Option<SegmentFile>,
    /// The newest try to open a segment found no file to be had.
    is_starved: bool,
}

impl Reader {
    pub(super) fn new(state: Arc<State>, at: Position) -> Self {
        Self {
            state,
            at,
            limit: 0,
            file: None,
            is_starved: false,
        }
    }

    /// The next entry; waits for one at the tail. Safe to cancel.
    pub async fn next(&mut self) -> Result<Entry, Error> {
        loop {
            if let Some(entry) = self.try_next()? {
                return Ok(entry);
            }
            if self.is_starved {
                tokio::time::sleep(FILES_PAUSE).await;
                continue;
            }
            if self.state.is_ended() {
                // What was made durable just before the end is still handed on.
                return match self.try_next()? {
                    Some(entry) => Ok(entry),
                    None => Err(self.state.end_error()),
                };
            }
            self.state.until_past(self.at).await;
        }
    }

    /// The next entry, or `None` at the tail; also while no more files can be opened.
    pub fn try_next(&mut self) -> Result<Option<Entry>, Error> {
        self.is_starved = false;
        loop {
            if self.at.offset >= self.limit {
                match self.state.next(self.at) {
                    Next::Here(limit) => self.limit = limit,
                    Next::There(segment, limit) => {
                        self.file = None;
                        self.at = Position::from_parts(segment, segment::HEADER_LEN);
                        self.limit = limit;
                    }
                    Next::Tail => return Ok(None),
                }
                continue;
            }
            match self.read() {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                Err(source) if source.kind() == io::ErrorKind::NotFound => {
                    // Trimmed under a slow reader, or deleted by someone else.
                    if self.state.has_segment(self.at.segment) {
                        self.skip_to(self.limit, "the segment's file is gone");
                    } else {
                        self.limit = 0;
                    }
                }
                Err(source) if segment::is_out_of_files(&source) => {
                    self.is_starved = true;
                    return Ok(None);
                }
                Err(source) => {
                    let path = segment::path(&self.state.dir, self.at.segment);
                    return Err(Error::io("read", &path)(source));
                }
            }
        }
    }

    /// The entry here; `None` if something was skipped instead.
    fn read(&mut self) -> io::Result<Option<Entry>> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SegmentFile::open(&self.state.dir, self.at.segment)?),
        };
        match file.step(self.at.offset, self.limit)? {
            Step::Entry(header, body) => {
                self.at.offset += header.frame_len();
                Ok(Some(Entry::new(self.at, &header, body)))
            }
            Step::Skip(next) => {
                self.skip_to(next, "the bytes are damaged");
                Ok(None)
            }
        }
    }

    fn skip_to(&mut self, offset: u64, why: &str) {
        let bytes = offset - self.at.offset;
        let path = segment::path(&self.state.dir, self.at.segment);
        tracing::error!(segment = %path.display(), at = self.at.offset, bytes,
            "skipped a part of the spool: {why}; entries in it are lost");
        self.state.metrics.damaged_bytes(bytes);
        self.at.offset = offset;
    }
}
