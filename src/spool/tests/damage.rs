use std::{collections::BTreeSet, ops::Range};

use proptest::{prelude::*, sample::Index};

use super::{super::frame::HEADER_LEN, *};

#[derive(Debug, Clone)]
enum Damage {
    /// These bits of a byte are turned.
    Turned(Index, Index, u8),
    /// A file ends here.
    Cut(Index, Index),
    /// A file is gone.
    Gone(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        6 => (index(), index(), 1u8..=255).prop_map(|(file, at, bits)| Damage::Turned(file, at, bits)),
        2 => (index(), index()).prop_map(|(file, at)| Damage::Cut(file, at)),
        1 => index().prop_map(Damage::Gone),
    ]
}

proptest! {
    #![proptest_config(crate::property_tests(200))]

    /// Scenario: while no process has the folder open, bits are turned, files end early or are gone,
    /// in any number and place. (Not the format's version: another one is refused by name.)
    /// Guarantees: the folder opens; every entry that was not hit is handed out, once and in order,
    /// and no other; appends go on.
    #[test]
    fn what_was_not_hit_is_handed_out(
        lens in prop::collection::vec(0usize..900, 1..25),
        damages in prop::collection::vec(damage(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(lens, damages))?;
    }
}

async fn run(lens: Vec<usize>, damages: Vec<Damage>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        segment_max_bytes: 1500,
        max_bytes: 1 << 20,
    };
    let spool = open(dir.path(), &config);
    // (segment, where its bytes lie, body)
    let mut entries: Vec<(u64, Range<usize>, Bytes)> = Vec::new();
    for (number, len) in lens.into_iter().enumerate() {
        let body = body(number as u32, len);
        let (segment, end) = append(&spool, &body).await.to_parts();
        let end = end as usize;
        entries.push((segment, end - HEADER_LEN - body.len()..end, body));
    }
    spool.close().await;

    let files = segments(dir.path());
    let mut hit: BTreeSet<usize> = BTreeSet::new();
    for damage in damages {
        let (Damage::Turned(file, ..) | Damage::Cut(file, _) | Damage::Gone(file)) = &damage;
        let path = file.get(&files);
        let segment = super::super::segment::number(path).unwrap();
        let Ok(mut bytes) = std::fs::read(path) else {
            continue;
        };
        let bytes_hit = match damage {
            Damage::Turned(_, at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                if (8..12).contains(&at) {
                    continue;
                }
                bytes[at] ^= bits;
                std::fs::write(path, bytes).unwrap();
                at..at + 1
            }
            Damage::Turned(..) => continue,
            Damage::Cut(_, at) => {
                let at = at.index(bytes.len() + 1);
                bytes.truncate(at);
                std::fs::write(path, bytes).unwrap();
                at..usize::MAX
            }
            Damage::Gone(_) => {
                std::fs::remove_file(path).unwrap();
                0..usize::MAX
            }
        };
        let overlaps =
            |bytes: &Range<usize>| bytes.start < bytes_hit.end && bytes_hit.start < bytes.end;
        let hits = entries.iter().enumerate();
        hit.extend(
            hits.filter(|(_, (number, bytes, _))| *number == segment && overlaps(bytes))
                .map(|(at, _)| at),
        );
    }

    let spool = open(dir.path(), &config);
    let more = body(999, 50);
    append(&spool, &more).await;
    let expected: Vec<Bytes> = entries
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !hit.contains(at))
        .map(|(_, (.., body))| body)
        .chain([more])
        .collect();
    prop_assert_eq!(bodies(&mut spool.reader(None)), expected);
    spool.close().await;
    Ok(())
}
