use std::{io::ErrorKind, sync::Arc};

use super::{super::Error, *};
use faulty::FaultyDisk;

fn faulty_spool(dir: &Path) -> (FaultyDisk, Spool) {
    let disk = FaultyDisk::default();
    let spool = open_on(Arc::new(disk.clone()), dir, &small());
    (disk, spool)
}

async fn try_append(spool: &Spool, body: &Bytes) -> Result<super::super::Position, Error> {
    let appender = spool.appender();
    appender.append(Signal::Traces, 5, body.clone(), 0).await
}

/// Scenario: every write takes only some of the bytes.
/// Guarantees: entries are whole all the same.
#[tokio::test]
async fn short_writes_are_continued() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = faulty_spool(dir.path());
    disk.faults().short = Some(7);
    let sent: Vec<_> = (0..5).map(|n| body(n, 100)).collect();
    for one in &sent {
        append(&spool, one).await;
    }
    assert_eq!(bodies(&mut spool.reader(None)), sent);
    spool.close().await;
}

/// Scenario: the disk runs full in the middle of a write, and later has room again.
/// Guarantees: the append is refused as full and can be tried again, no half entry stays, what was
/// acked stays readable, and appends go on without a restart.
#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = faulty_spool(dir.path());
    let (first, second) = (body(1, 100), body(2, 100));
    append(&spool, &first).await;
    disk.faults().room = Some(50);
    let error = try_append(&spool, &second).await.unwrap_err();
    assert!(error.is_full() && error.is_retryable(), "{error:?}");
    assert!(spool.appender().is_full() && !spool.appender().is_writable());
    disk.faults().room = None;
    assert_eq!(
        bodies(&mut spool.reader(None)),
        std::slice::from_ref(&first)
    );
    append(&spool, &second).await;
    assert!(spool.appender().is_writable());
    spool.close().await;
    let spool = open(dir.path(), &small());
    assert_eq!(bodies(&mut spool.reader(None)), [first, second]);
    spool.close().await;
}

/// Scenario: the disk is full, and everything in the active segment is consumed.
/// Guarantees: the segment is given up, so the next try succeeds.
#[tokio::test]
async fn a_full_disk_gives_up_what_is_consumed() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = faulty_spool(dir.path());
    let mut last = None;
    for n in 0..3 {
        last = Some(append(&spool, &body(n, 15)).await);
    }
    disk.faults().room = Some(30);
    spool.trim(last.unwrap());
    // The writer meets the full disk before it takes note of the trim, or after: then the
    // segment is gone already and there is room at once.
    match try_append(&spool, &body(9, 100)).await {
        Ok(_) => assert_eq!(bodies(&mut spool.reader(last)), [body(9, 100)]),
        Err(error) => {
            assert!(error.is_full(), "{error:?}");
            append(&spool, &body(9, 10)).await;
            assert_eq!(bodies(&mut spool.reader(last)), [body(9, 10)]);
        }
    }
    spool.close().await;
}

/// Scenario: somebody deletes segments that are consumed, before the spool does.
/// Guarantees: their room is given back; what counts is what is on disk.
#[tokio::test]
async fn room_of_a_segment_that_is_gone_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let mut last = None;
    for n in 0..4 {
        last = Some(append(&spool, &body(n, 700)).await);
    }
    for path in &segments(dir.path())[..2] {
        std::fs::remove_file(path).unwrap();
    }
    spool.trim(last.unwrap());
    // The writer trims before it takes the second.
    append(&spool, &body(8, 10)).await;
    append(&spool, &body(9, 10)).await;
    let files = segments(dir.path());
    let sizes = files.iter().map(|path| path.metadata().unwrap().len());
    assert_eq!(spool.bytes(), sizes.sum::<u64>());
    spool.close().await;
}

/// Scenario: fsync fails once, then works again.
/// Guarantees: neither that append nor any later one is acked; a reader never sees the entry; the
/// next process goes on.
#[tokio::test]
async fn a_failed_fsync_stops_the_writer_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = faulty_spool(dir.path());
    append(&spool, &body(1, 100)).await;
    let mut reader = spool.reader(None);
    disk.faults().sync = Some(ErrorKind::Other);
    let error = try_append(&spool, &body(2, 100)).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert!(error.is_retryable() && !error.is_full());
    disk.faults().sync = None;
    let error = try_append(&spool, &body(3, 100)).await.unwrap_err();
    assert!(error.to_string().contains("fsync failed"), "{error}");
    assert!(!spool.appender().is_writable());
    assert!(spool.ended().await.is_err());
    assert_eq!(reader.next().await.unwrap().body, body(1, 100));
    assert!(matches!(reader.next().await, Err(Error::Broken { .. })));
    spool.close().await;
    let spool = open(dir.path(), &small());
    append(&spool, &body(4, 100)).await;
    assert_eq!(
        bodies(&mut spool.reader(None)),
        [body(1, 100), body(4, 100)]
    );
    spool.close().await;
}

/// Scenario: a write fails, and what it left behind can't be cut off.
/// Guarantees: the writer stops; the next process cuts the tail and counts it.
#[tokio::test]
async fn a_tail_that_cannot_be_cut_stops_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, spool) = faulty_spool(dir.path());
    append(&spool, &body(1, 100)).await;
    disk.faults().room = Some(60);
    disk.faults().cut = Some(ErrorKind::Other);
    let error = try_append(&spool, &body(2, 100)).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    spool.close().await;
    let registry = Registry::new();
    let spool = Spool::open(dir.path(), &small(), &registry).unwrap();
    assert_eq!(bodies(&mut spool.reader(None)), [body(1, 100)]);
    let torn = spool.state.metrics.torn();
    assert_eq!(torn, 60);
    spool.close().await;
}

/// Scenario: a hundred appends wait at once.
/// Guarantees: they share fsyncs, and each gets its own position.
#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "the writer is held up on purpose"
)]
async fn waiting_appends_share_an_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let spool = open_on(Arc::new(disk.clone()), dir.path(), &Config::default());
    let guard = disk.faults(); // The writer waits for it in its first write.
    let appends: Vec<_> = (0..100)
        .map(|n| {
            let appender = spool.appender();
            tokio::spawn(async move { appender.append(Signal::Logs, 5, body(n, 50), 0).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let before = guard.syncs;
    drop(guard);
    let mut positions = Vec::new();
    for append in appends {
        positions.push(append.await.unwrap().unwrap());
    }
    positions.sort();
    positions.dedup();
    assert_eq!(positions.len(), 100);
    let syncs = disk.faults().syncs - before;
    assert!(syncs <= 3, "{syncs} fsyncs for 100 waiting appends");
    spool.close().await;
}

/// Scenario: the process starts on a full disk with entries of an earlier one.
/// Guarantees: what is kept is delivered, appends are refused as full, and go on when there is room.
#[tokio::test]
async fn a_start_on_a_full_disk_still_delivers() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    append(&spool, &body(1, 100)).await;
    spool.close().await;
    let disk = FaultyDisk::default();
    disk.faults().room = Some(0);
    let spool = open_on(Arc::new(disk.clone()), dir.path(), &small());
    let mut reader = spool.reader(None);
    assert_eq!(bodies(&mut reader), [body(1, 100)]);
    assert!(
        try_append(&spool, &body(2, 100))
            .await
            .unwrap_err()
            .is_full()
    );
    disk.faults().room = None;
    append(&spool, &body(2, 100)).await;
    assert_eq!(bodies(&mut reader), [body(2, 100)]);
    spool.close().await;
}
