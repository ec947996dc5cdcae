//! Segments of any content, read in memory; `spool_folder` does it with files, at a hundredth of the
//! pace. Every entry that was written whole and not damaged is handed out, once and in order; what
//! else is handed out stands there as a sound frame.

use spanledger::spool;

use super::segments::{self, Entry, HEADER_LEN, frame};

pub fn run(input: &[u8]) {
    for (segment, unhurt) in segments::of(input) {
        let mut read: Vec<Entry> = Vec::new();
        let mut before = 0;
        for entry in spool::salvage(&segment) {
            let end = entry.position.to_parts().1 as usize;
            let start = end - HEADER_LEN - entry.body.len();
            assert!(before <= start, "entries overlap");
            before = end;
            let frame = frame(entry.signal, entry.received_at, &entry.body);
            assert_eq!(segment.get(start..end), Some(&*frame));
            read.push((entry.signal, entry.received_at, entry.body.to_vec()));
        }
        let mut rest = read.iter();
        for entry in &unhurt {
            assert!(
                rest.any(|read| read == entry),
                "an entry of {} bytes that was not hit is lost or out of order",
                entry.2.len()
            );
        }
    }
}
