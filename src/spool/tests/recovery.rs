use std::{fs::OpenOptions, sync::Arc};

use super::*;
use faulty::FaultyDisk;

/// Cuts the newest segment to `len` bytes.
fn cut_newest(dir: &Path, len: u64) {
    let path = segments(dir).pop().unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

/// Scenario: the spool's folder is made, and two above it.
/// Guarantees: the names of all three are made durable. What is there already is left alone.
#[tokio::test]
async fn a_new_folder_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (above, path) = (dir.path().join("a/b"), dir.path().join("a/b/spool"));
    let disk = FaultyDisk::default();
    open_on(Arc::new(disk.clone()), &path, &small())
        .close()
        .await;
    let synced = std::mem::take(&mut disk.faults().folders);
    for parent in [dir.path(), &dir.path().join("a"), &above] {
        assert!(synced.iter().any(|one| one == parent), "{synced:?}");
    }
    open_on(Arc::new(disk.clone()), &path, &small())
        .close()
        .await;
    assert!(!disk.faults().folders.contains(&above));
}

/// Scenario: a process begins a segment and stops before the segment's name is durable; the next one
/// goes on with it.
/// Guarantees: the name is made durable before anything is acked.
#[tokio::test]
async fn the_name_of_a_segment_gone_on_with_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), &small()).close().await;
    let disk = FaultyDisk::default();
    let spool = open_on(Arc::new(disk.clone()), dir.path(), &small());
    assert_eq!(disk.faults().folders, [dir.path()]);
    append(&spool, &body(1, 10)).await;
    assert_eq!(segments(dir.path()).len(), 1);
    spool.close().await;
}

/// Scenario: somebody removes all segments, and leaves the id.
/// Guarantees: there is a new id, so that the checkpoints of the old one, which lie past what is
/// appended now, are not asked for. It stays.
#[tokio::test]
async fn a_spool_without_segments_gets_a_new_id() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let old = spool.id().to_owned();
    append(&spool, &body(1, 100)).await;
    spool.close().await;
    for segment in segments(dir.path()) {
        std::fs::remove_file(segment).unwrap();
    }
    let spool = open(dir.path(), &small());
    let new = spool.id().to_owned();
    assert_ne!(new, old);
    append(&spool, &body(2, 10)).await;
    spool.close().await;
    let spool = open(dir.path(), &small());
    assert_eq!(spool.id(), new);
    assert_eq!(bodies(&mut spool.reader(None)), [body(2, 10)]);
    spool.close().await;
}

/// Scenario: the id is no text at all.
/// Guarantees: the spool opens with a new one, and what it holds is delivered.
#[tokio::test]
async fn an_id_of_any_bytes_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    append(&spool, &body(1, 100)).await;
    spool.close().await;
    std::fs::write(dir.path().join("id"), [0xff; 32]).unwrap();
    let spool = open(dir.path(), &small());
    assert!(spool.id().len() == 32 && spool.id().is_ascii());
    assert_eq!(bodies(&mut spool.reader(None)), [body(1, 100)]);
    spool.close().await;
}

/// Scenario: the newest segment ends within its header, though entries in it were delivered.
/// Guarantees: its number is not used again: what is appended lies past the checkpoint, is read
/// from there, and the segment goes once that is consumed.
#[tokio::test]
async fn the_number_of_a_cut_segment_is_not_used_again() {
    for len in [0, 9] {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(dir.path(), &small());
        let checkpoint = append(&spool, &body(1, 100)).await;
        spool.close().await;
        cut_newest(dir.path(), len);
        let spool = open(dir.path(), &small());
        let next = append(&spool, &body(2, 100)).await;
        assert_eq!(next.to_parts().0, checkpoint.to_parts().0 + 1);
        let from = spool.known(Some(checkpoint));
        assert_eq!(bodies(&mut spool.reader(from)), [body(2, 100)]);
        spool.trim(next);
        // The writer trims before it takes the second.
        append(&spool, &body(3, 10)).await;
        append(&spool, &body(4, 10)).await;
        assert_eq!(segments(dir.path()).len(), 1);
        spool.close().await;
    }
}

/// Scenario: the process stopped while it began a segment, since the disk was full, and it still is.
/// Guarantees: what is kept is delivered; appends go on when there is room, past that segment.
#[tokio::test]
async fn a_start_on_a_full_disk_passes_over_a_cut_segment() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    append(&spool, &body(1, 100)).await;
    spool.close().await;
    open(dir.path(), &small()).close().await;
    cut_newest(dir.path(), 0);
    let disk = FaultyDisk::default();
    disk.faults().room = Some(0);
    let spool = open_on(Arc::new(disk.clone()), dir.path(), &small());
    let mut reader = spool.reader(None);
    assert_eq!(bodies(&mut reader), [body(1, 100)]);
    disk.faults().room = None;
    let next = append(&spool, &body(2, 100)).await;
    assert_eq!(next.to_parts().0, 3);
    assert_eq!(bodies(&mut reader), [body(2, 100)]);
    spool.close().await;
}
