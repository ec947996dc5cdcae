//! Segment files as the format says (see `spool::frame`), some of them damaged.

use spanledger::otlp::Signal;

use super::draw::Draw;

pub const HEAD: &[u8; 16] = b"SPANLSEG\x01\0\0\0\0\0\0\0";
pub const HEADER_LEN: usize = 24;
const MARK: [u8; 4] = [0xF5, b'S', b'L', 0xFE];

pub type Entry = (Signal, i64, Vec<u8>);

/// Segments and, of each, the entries that were not hit, in order. A first byte of 0xFF: the rest
/// is one segment, byte by byte. Else choices.
pub fn of(input: &[u8]) -> Vec<(Vec<u8>, Vec<Entry>)> {
    let mut draw = Draw::new(input);
    match draw.byte() {
        0xFF => vec![(draw.rest().to_vec(), Vec::new())],
        segments => (0..=segments % 3).map(|_| damaged(&mut draw)).collect(),
    }
}

/// One entry as the format says (see `spool::frame`).
pub fn frame(signal: Signal, received_at: i64, body: &[u8]) -> Vec<u8> {
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

/// A segment of entries, then damaged. Also the entries that were not hit, in order.
fn damaged(draw: &mut Draw<'_>) -> (Vec<u8>, Vec<Entry>) {
    let mut file = HEAD.to_vec();
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
                if file.len() < HEAD.len() {
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
    (file, entries.into_iter().map(|(_, entry)| entry).collect())
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
