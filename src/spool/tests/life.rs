use std::{fs::OpenOptions, io::Write, time::Duration};

use super::{
    super::{
        Error, Position,
        frame::{HEADER_LEN, Header},
    },
    *,
};

#[tokio::test]
async fn entries_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let id = spool.id().to_owned();
    let mut reader = spool.reader(None);
    assert_eq!(reader.try_next().unwrap(), None);
    let mut sent = Vec::new();
    for (n, signal) in Signal::ALL.into_iter().cycle().take(50).enumerate() {
        let body = body(n as u32, 10 + n * 3);
        let received_at = -3 + n as i64;
        let position = spool
            .appender()
            .append(signal, received_at, body.clone(), 0)
            .await
            .unwrap();
        sent.push(Entry {
            position,
            signal,
            received_at,
            body,
        });
    }
    assert!(segments(dir.path()).len() > 3, "several segments");
    assert_eq!(drain(&mut reader), sent);
    spool.close().await;
    let spool = open(dir.path(), &small());
    assert_eq!(spool.id(), id);
    assert_eq!(drain(&mut spool.reader(None)), sent);
    for (n, entry) in sent.iter().enumerate() {
        let (segment, offset) = entry.position.to_parts();
        let from = Position::from_parts(segment, offset);
        assert_eq!(drain(&mut spool.reader(Some(from))), sent[n + 1..]);
    }
    spool.close().await;
}

#[tokio::test]
async fn a_reader_waits_at_the_tail_and_ends_with_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let mut reader = spool.reader(None);
    let read = tokio::spawn(async move {
        let mut seen = Vec::new();
        loop {
            match reader.next().await {
                Ok(entry) => seen.push(entry.body),
                Err(error) => return (seen, error),
            }
        }
    });
    let sent: Vec<_> = (0..30).map(|n| body(n, 200)).collect();
    for one in &sent {
        append(&spool, one).await;
        tokio::task::yield_now().await;
    }
    spool.close().await;
    let (seen, error) = read.await.unwrap();
    assert_eq!(seen, sent);
    assert!(matches!(error, Error::Closed), "{error:?}");
    let late = spool
        .appender()
        .append(Signal::Logs, 0, body(1, 1), 0)
        .await;
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    assert!(spool.ended().await.is_ok());
}

#[tokio::test]
async fn a_second_process_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let error = Spool::open(dir.path(), &small(), &Registry::new()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }));
    let said = error.to_string();
    assert!(said.contains(dir.path().to_str().unwrap()), "{said}");
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    spool.close().await;
    open(dir.path(), &small()).close().await;
}

#[tokio::test]
async fn the_limit_refuses_and_trimming_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let appender = spool.appender();
    let mut kept = Vec::new();
    let error = loop {
        match appender.append(Signal::Traces, 1, body(0, 700), 0).await {
            Ok(position) => kept.push(position),
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && error.is_retryable(), "{error:?}");
    assert!(appender.is_full());
    assert!(spool.bytes() <= small().max_bytes);
    assert_eq!(drain(&mut spool.reader(None)).len(), kept.len());
    let middle = kept[kept.len() / 2];
    spool.trim(middle);
    // The trim stands before this append in the writer's queue, but not before its reservation.
    let mut room = appender.append(Signal::Traces, 1, body(1, 700), 0).await;
    while room.as_ref().is_err_and(Error::is_full) {
        tokio::task::yield_now().await;
        room = appender.append(Signal::Traces, 1, body(1, 700), 0).await;
    }
    room.unwrap();
    let left = drain(&mut spool.reader(Some(kept[0])));
    assert_eq!(left.len(), kept.len() - kept.len() / 2);
    assert_eq!(drain(&mut spool.reader(Some(middle))), left);
    let error = appender.append(Signal::Traces, 1, body(0, 20_000), 0).await;
    assert!(error.is_err_and(|e| matches!(e, Error::TooLarge { .. }) && !e.is_retryable()));
    spool.close().await;
}

/// Scenario: everything is consumed, in a spool whose segments may be as large as itself.
/// Guarantees: the active segment is sealed and deleted, so room comes back; ages say zero.
#[tokio::test]
async fn a_consumed_spool_always_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        segment_max_bytes: u64::MAX,
        max_bytes: 4096,
    };
    let spool = open(dir.path(), &config);
    for round in 0..50 {
        let last = append(&spool, &body(round, 900)).await;
        assert!(
            spool.oldest_age() > Duration::from_secs(3600),
            "received at 5 ns"
        );
        spool.trim(last);
        while spool.oldest_age() > Duration::ZERO {
            tokio::task::yield_now().await;
        }
    }
    assert!(segments(dir.path()).len() <= 2);
    spool.close().await;
}

/// Scenario: the process was killed in the middle of a write.
/// Guarantees: the half entry is cut off and counted, and no position is used twice.
#[tokio::test]
async fn a_torn_tail_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let last = append(&spool, &body(1, 100)).await;
    spool.close().await;
    let path = segments(dir.path()).pop().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&whole[16..60]).unwrap();
    let spool = open(dir.path(), &small());
    assert_eq!(spool.state.metrics.torn(), 44);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    let next = append(&spool, &body(2, 100)).await;
    assert!(next.to_parts().0 > last.to_parts().0);
    assert_eq!(bodies(&mut spool.reader(Some(last))), [body(2, 100)]);
    spool.close().await;
}

/// Scenario: bytes in the middle of a segment are damaged; in a header, in a body, in both.
/// Guarantees: only the entries they belong to are lost, and the loss is counted.
#[tokio::test]
async fn damage_costs_the_damaged_entries_only() {
    for (offset, lost) in [(16, 0), (16 + 5, 0), (16 + 60, 0), (16 + 124 + 30, 1)] {
        for newest in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let spool = open(dir.path(), &Config::default());
            let sent: Vec<_> = (0..4).map(|n| body(n, 100)).collect();
            for one in &sent {
                append(&spool, one).await;
            }
            spool.close().await;
            if !newest {
                open(dir.path(), &small()).close().await;
            }
            let path = segments(dir.path()).remove(0);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[offset] ^= 0x40;
            std::fs::write(&path, bytes).unwrap();
            let spool = open(dir.path(), &small());
            let mut expected = sent.clone();
            expected.remove(lost);
            assert_eq!(bodies(&mut spool.reader(None)), expected, "byte {offset}");
            assert_eq!(spool.state.metrics.damaged(), 124);
            spool.close().await;
        }
    }
}

/// Scenario: an entry's length is damaged so that it points just behind the entry after it.
/// Guarantees: the entry after it is handed out.
#[tokio::test]
async fn a_wrong_length_passes_over_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &Config::default());
    // 40 bytes and a frame's header are 64: one bit more in the first length spans the second entry.
    let sent = [body(1, 100 & !64), body(2, 40), body(3, 100)];
    for one in &sent {
        append(&spool, one).await;
    }
    spool.close().await;
    let path = segments(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16 + 4] ^= 64;
    std::fs::write(&path, bytes).unwrap();
    let spool = open(dir.path(), &small());
    assert_eq!(bodies(&mut spool.reader(None)), sent[1..]);
    spool.close().await;
}

/// Scenario: the process dies while it writes a body that is made of the starts of frames, each of
/// a length that would have to be checked.
/// Guarantees: the folder opens (it took hours), the torn entry is cut, what was whole is there.
#[tokio::test]
async fn a_body_of_false_frames_is_cut_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &Config::default());
    append(&spool, &body(1, 100)).await;
    spool.close().await;
    let len = 8 << 20;
    let mut start = Header::new(Signal::Traces, 5, b"").unwrap().encode();
    start[4..8].copy_from_slice(&(len / 2u32).to_le_bytes());
    let mut torn = Header::new(Signal::Traces, 5, &vec![0; len as usize])
        .unwrap()
        .encode()
        .to_vec();
    torn.extend(start.repeat(len as usize / HEADER_LEN));
    let path = segments(dir.path()).pop().unwrap();
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&torn).unwrap();
    let spool = open(dir.path(), &small());
    assert_eq!(bodies(&mut spool.reader(None)), [body(1, 100)]);
    spool.close().await;
}

/// Scenario: a segment is damaged beyond repair, or deleted, or begins with nonsense.
/// Guarantees: the entries of the others are read, the spool opens and goes on.
#[tokio::test]
async fn a_lost_segment_is_passed_over() {
    for damage in ["zeros", "gone", "short", "magic"] {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(dir.path(), &small());
        let sent: Vec<_> = (0..4).map(|n| body(n, 600)).collect();
        for one in &sent {
            append(&spool, one).await;
        }
        let mut reader = spool.reader(None);
        let path = segments(dir.path()).remove(1);
        let bytes = std::fs::read(&path).unwrap();
        let mut expected = sent.clone();
        match damage {
            "zeros" => std::fs::write(&path, vec![0; bytes.len()]).unwrap(),
            "gone" => std::fs::remove_file(&path).unwrap(),
            "short" => std::fs::write(&path, &bytes[..9]).unwrap(),
            _ => std::fs::write(&path, [&[0; 8], &bytes[8..]].concat()).unwrap(),
        }
        if damage != "magic" {
            expected.remove(1);
        }
        assert_eq!(bodies(&mut reader), expected, "{damage}, while open");
        spool.close().await;
        let spool = open(dir.path(), &small());
        assert_eq!(
            bodies(&mut spool.reader(None)),
            expected,
            "{damage}, reopened"
        );
        spool.close().await;
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    append(&spool, &body(1, 10)).await;
    spool.close().await;
    let path = segments(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    std::fs::write(&path, bytes).unwrap();
    let error = Spool::open(dir.path(), &small(), &Registry::new()).unwrap_err();
    assert!(
        matches!(error, Error::UnknownVersion { version: 2, .. }),
        "{error}"
    );
}

/// Scenario: the folder was put back from an old copy, and the checkpoint is newer; it is asked for
/// before entries are appended, and after the end has grown past it.
/// Guarantees: everything is read again; nothing new is skipped. A checkpoint of this folder counts.
#[tokio::test]
async fn a_checkpoint_past_the_end_reads_everything() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path(), &small());
    let first = append(&spool, &body(1, 10)).await;
    spool.close().await;
    let spool = open(dir.path(), &small());
    assert_eq!(spool.known(Some(first)), Some(first));
    let (segment, offset) = spool.end().to_parts();
    let stale = Position::from_parts(segment, offset + 10);
    let mut reader = spool.reader(spool.known(Some(stale)));
    append(&spool, &body(2, 10)).await;
    append(&spool, &body(3, 10)).await;
    let all = [body(1, 10), body(2, 10), body(3, 10)];
    assert_eq!(bodies(&mut reader), all);
    assert!(spool.end() > stale);
    assert_eq!(bodies(&mut spool.reader(spool.known(Some(stale)))), all);
    spool.close().await;
}
