//! A folder of segment files of any content. It opens (or says that a segment is of another version);
//! every entry that was written whole and not damaged is handed out, once and in order; what else
//! is handed out stands in the files as a sound frame; opening again changes nothing; appends go on.

use std::path::{Path, PathBuf};

use spanledger::{
    otlp::Signal,
    spool::{Config, Error, Spool},
};

use super::segments::{self, Entry, HEAD, HEADER_LEN, frame};

pub fn run(input: &[u8]) {
    let folder = folder();
    let (files, unhurt): (Vec<Vec<u8>>, Vec<Vec<Entry>>) = segments::of(input).into_iter().unzip();
    let unhurt = unhurt.concat();
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
                file.starts_with(&HEAD[..8]) && file[8..12] == version.to_le_bytes()
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
