use std::{fs::OpenOptions, io::Write};

use proptest::prelude::*;

use super::{
    super::{
        Position,
        frame::{HEADER_LEN, Header},
    },
    *,
};

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// Some entries at the reader.
    Read(usize),
    /// Trim to what was read.
    Trim,
    /// The process dies while it writes this many bodies; this part of their bytes is on disk.
    Crash(Vec<usize>, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..900).prop_map(Step::Append),
        4 => (1usize..6).prop_map(Step::Read),
        1 => Just(Step::Trim),
        2 => (prop::collection::vec(0usize..300, 0..3), any::<prop::sample::Index>())
            .prop_map(|(lens, cut)| Step::Crash(lens, cut)),
    ]
}

proptest! {
    #![proptest_config(crate::property_tests(64))]

    /// Scenario: any order of appends, reads, trims and crashes that leave any part of an unsynced
    /// write behind.
    /// Guarantees: the reader sees each acked entry once and in order; of an unacked write it sees
    /// whole entries or nothing.
    #[test]
    fn the_spool_is_a_queue(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps))?;
    }
}

async fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        segment_max_bytes: 1500,
        max_bytes: 1 << 20,
    };
    let mut spool = open(dir.path(), &config);
    let mut model: Vec<Bytes> = Vec::new();
    let mut seen = 0;
    let mut checkpoint: Option<Position> = None;
    let mut reader = spool.reader(None);
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append(len) => {
                let body = body(number as u32, len);
                append(&spool, &body).await;
                model.push(body);
            }
            Step::Read(count) => {
                for _ in 0..count {
                    let entry = reader.try_next().unwrap();
                    prop_assert_eq!(entry.as_ref().map(|e| &e.body), model.get(seen));
                    if let Some(entry) = entry {
                        prop_assert!(checkpoint < Some(entry.position));
                        checkpoint = Some(entry.position);
                        seen += 1;
                    }
                }
            }
            Step::Trim => {
                if let Some(checkpoint) = checkpoint {
                    spool.trim(checkpoint);
                }
            }
            Step::Crash(lens, cut) => {
                spool.close().await;
                let mut unsynced = Vec::new();
                let mut ends = Vec::new();
                for len in lens {
                    let body = body(number as u32, len);
                    let header = Header::new(Signal::Traces, 5, &body).unwrap();
                    unsynced.extend_from_slice(&header.encode());
                    unsynced.extend_from_slice(&body);
                    ends.push((unsynced.len(), body));
                    prop_assert!(unsynced.len() >= HEADER_LEN);
                }
                let kept = cut.index(unsynced.len() + 1);
                let path = segments(dir.path()).pop().unwrap();
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(&unsynced[..kept]).unwrap();
                let whole = ends.into_iter().filter(|(end, _)| *end <= kept);
                model.extend(whole.map(|(_, body)| body));
                spool = open(dir.path(), &config);
                reader = spool.reader(checkpoint);
            }
        }
    }
    prop_assert_eq!(bodies(&mut reader), &model[seen..]);
    spool.close().await;
    Ok(())
}
