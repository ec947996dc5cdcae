//! Segment files of any content. The folder opens (or says that a segment is of another version);
//! every entry that was written whole and not damaged is handed out, once and in order; what else
//! is handed out stands in the files as a sound frame; opening again changes nothing; appends go on.

use std::path::{Path, PathBuf};

use spanledger::{
    otlp::Signal,
    spool::{Config, Error, Spool},
};

use super::draw::Draw;

const SEGMENT: &[u8; 16] = b"SPANLSEG\x01\0\0\0\0\0\0\0";
const MARK: [u8; 4] = [0xF5, b'S', b'L', 0xFE];
const HEADER_LEN: usize = 24;

type Entry = (Signal, i64, Vec<u8>);

/// A first byte of 0xFF: the rest is one segment, byte by byte. Else choices.
pub fn run(input: &[u8]) {
    let folder = folder();
    let mut draw = Draw::new(input);
    let (files, unhurt) = match draw.byte() {
        0xFF => (vec![draw.rest().to_vec()], Vec::new()),
        segments => damaged(usize::from(segments % 3) + 1, &mut draw),
    };
    for (number, file) in files.iter().enumerate() {
        std::fs::write(segment(folder.path(), number + 1), file).expect("a segment");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(read_all(folder.path(), &files, &unhurt));
}

/// Where syncing costs nothing, if there is such a place.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
    .expect("a folder")
}

fn segment(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:020}.log"))
}

async fn read_all(folder: &Path, files: &[Vec<u8>], unhurt: &[Entry]) {
    let spool = match open(folder) {
        Ok(spool) => spool,
        Err(Error::UnknownVersion { version, .. }) => {
            assert!(files.iter().any(|file| {
                file.starts_with(&SEGMENT[..8]) && file[8..12] == version.to_le_bytes()
            }));
            return;
        }
        Err(error) => panic!("the folder does not open: {error}"),
    };
    let read = drain(&spool, files);
    let mut rest = read.iter();
    for entry in unhurt {
        assert!(
            rest.any(|read| read == entry),
            "an entry of {} bytes that was not hit is lost or out of order",
            entry.2.len()
        );
    }
    spool.close().await;

    let spool = open(folder).expect("what was brought in order opens");
    assert!(
        drain(&spool, files) == read,
        "opened again, it reads another way"
    );
    let last = (Signal::Logs, 7, b"appended".to_vec());
    let appender = spool.appender();
    let body = last.2.clone().into();
    let at = appender
        .append(last.0, last.1, body, 1)
        .await
        .expect("room");
    let mut reader = spool.reader(None);
    let mut all = Vec::new();
    while let Some(entry) = reader.try_next().expect("it reads") {
        all.push(entry);
    }
    assert_eq!(all.len(), read.len() + 1);
    assert!(
        all.last()
            .is_some_and(|entry| entry.position == at && entry.body == last.2)
    );
    spool.close().await;
}

fn open(folder: &Path) -> Result<Spool, Error> {
    let config = Config {
        segment_max_bytes: 1 << 16,
        max_bytes: 1 << 20,
    };
    Spool::open(folder, &config, &prometheus::Registry::new())
}

/// Everything, each entry a sound frame where it says it lies, positions rising.
fn drain(spool: &Spool, files: &[Vec<u8>]) -> Vec<Entry> {
    let mut reader = spool.reader(None);
    let (mut read, mut before) = (Vec::new(), (0, 0));
    while let Some(entry) = reader.try_next().expect("it reads") {
        let (number, end) = entry.position.to_parts();
        let start = end as usize - HEADER_LEN - entry.body.len();
        assert!(before < (number, end) && (before.0 < number || before.1 <= start as u64));
        before = (number, end);
        let frame = frame(entry.signal, entry.received_at, &entry.body);
        assert_eq!(
            files[number as usize - 1].get(start..end as usize),
            Some(&*frame)
        );
        read.push((entry.signal, entry.received_at, entry.body.to_vec()));
    }
    read
}

/// One entry as the format says (see `spool::frame`).
fn frame(signal: Signal, received_at: i64, body: &[u8]) -> Vec<u8> {
    let kind = match signal {
        Signal::Traces => 1,
        Signal::Logs => 2,
        Signal::Metrics => 3,
    };
    let len = (body.len() as u32).to_le_bytes();
    let checked = [&len, &[kind, 0, 0, 0][..], &received_at.to_le_bytes(), body].concat();
    let crc = crc32c::crc32c(&checked).to_le_bytes();
    [&MARK, &len, &crc, &checked[4..]].concat()
}

/// Segments of entries, then damaged. Also the entries that were not hit, in order.
fn damaged(segments: usize, draw: &mut Draw<'_>) -> (Vec<Vec<u8>>, Vec<Entry>) {
    let mut files = Vec::new();
    let mut unhurt = Vec::new();
    for _ in 0..segments {
        let mut file = SEGMENT.to_vec();
        let mut entries = Vec::new();
        for _ in 0..draw.below(6) {
            let entry = entry(draw);
            let start = file.len();
            file.extend(frame(entry.0, entry.1, &entry.2));
            entries.push((start..file.len(), entry));
        }
        for _ in 0..draw.below(4) {
            let at = draw.below(file.len().min(0xFFFF));
            // The version is another promise, and only ours is written here.
            let hit = match draw.below(4) {
                _ if (8..12).contains(&at) => continue,
                0 => {
                    file.truncate(at);
                    if file.len() < SEGMENT.len() {
                        // A file that never held an entry, or one whose head is gone.
                        entries.clear();
                    }
                    at..usize::MAX
                }
                1 => {
                    let len = draw.below(40).min(file.len() - at);
                    let zeros = at..at + len;
                    if zeros.start < 12 && zeros.end > 8 {
                        continue;
                    }
                    file[zeros.clone()].fill(0);
                    zeros
                }
                _ => {
                    file[at] ^= draw.byte() | 1;
                    at..at + 1
                }
            };
            entries.retain(|(place, _)| hit.end <= place.start || place.end <= hit.start);
            if file.is_empty() {
                break;
            }
        }
        if draw.once_in(4) {
            file.extend_from_slice(draw.bytes(30));
        }
        unhurt.extend(entries.into_iter().map(|(_, entry)| entry));
        files.push(file);
    }
    (files, unhurt)
}

fn entry(draw: &mut Draw<'_>) -> Entry {
    let signal = draw.one_of(&Signal::ALL);
    let received_at = draw.u64() as i64;
    let len = draw.below(80);
    let body = match draw.below(8) {
        // What looks like the start of a frame.
        0 => [&MARK, draw.bytes(len)].concat(),
        1 => vec![0; len * 9],
        2 => MARK.repeat(len),
        _ => draw.bytes(len).to_vec(),
    };
    (signal, received_at, body)
}
