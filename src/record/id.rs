//! Trace and span ids: bytes inside, lower-case hex outside.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// From the wire: exactly the right length and not all zero, else `None`
            /// (W3C Trace Context: an all-zero id is invalid).
            pub fn from_wire(bytes: &[u8]) -> Option<Self> {
                let id: [u8; $len] = bytes.try_into().ok()?;
                (id != [0; $len]).then_some(Self(id))
            }

            /// From hex text of either case; `None` if it is not exactly one valid id.
            pub fn from_hex(text: &str) -> Option<Self> {
                if text.len() != $len * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                let mut id = [0u8; $len];
                for (slot, i) in id.iter_mut().zip((0..text.len()).step_by(2)) {
                    *slot = u8::from_str_radix(text.get(i..i + 2)?, 16).ok()?;
                }
                Self::from_wire(&id)
            }

            /// Lower-case hex as ASCII bytes, without an allocation.
            pub fn hex(&self) -> [u8; $len * 2] {
                // Computed, not looked up: so the compiler does many at once.
                let digit = |half: u8| half + if half > 9 { b'a' - 10 } else { b'0' };
                let mut out = [0u8; $len * 2];
                for (pair, byte) in out.as_chunks_mut().0.iter_mut().zip(self.0) {
                    *pair = [digit(byte >> 4), digit(byte & 15)];
                }
                out
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(super) use id;

id!(
    /// A trace id of 16 bytes.
    TraceId,
    16
);
id!(
    /// A span id of 8 bytes.
    SpanId,
    8
);

/// The identity of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SpanKey {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

impl SpanKey {
    /// From the `id` column's text; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (trace_id, span_id) = text.split_once('-')?;
        Some(Self {
            trace_id: TraceId::from_hex(trace_id)?,
            span_id: SpanId::from_hex(span_id)?,
        })
    }
}

impl fmt::Display for SpanKey {
    /// `trace_id-span_id`: the `id` column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.trace_id, self.span_id)
    }
}

/// How ids are hashed: with a key that each process draws. Whoever sends spans chooses their ids, and
/// under a hash without one could choose thousands that all land in one place.
pub type IdHasher = foldhash::fast::RandomState;

/// A map by ids from the wire, or by hashes of them.
pub type IdMap<K, V> = HashMap<K, V, IdHasher>;

/// A set of ids from the wire, or of hashes of them.
pub type IdSet<K> = HashSet<K, IdHasher>;

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn hex_goes_both_ways_and_invalid_ids_do_not() {
        let id = SpanId::from_hex("00F067aa0BA902b7").unwrap();
        assert_eq!(id.to_string(), "00f067aa0ba902b7");
        assert_eq!(&id.hex(), b"00f067aa0ba902b7");
        for bad in [
            "",
            "0000000000000000",
            "00f067aa0ba902b",
            "+0f067aa0ba902b7",
            "00f067aa0ba902b7ff",
        ] {
            assert_eq!(SpanId::from_hex(bad), None, "{bad}");
        }
    }

    /// Scenario: trace ids whose first half is chosen so that a hash without a key is the same for
    /// all (this one is so for rustc-hash 2.1).
    /// Guarantees: they land in different places of a map.
    #[test]
    fn ids_that_are_chosen_to_collide_do_not() {
        let traces = IdMap::<TraceId, ()>::default();
        let hash_of = |n: u64| {
            let mut id = [
                0xd3, 8, 0xa3, 0x85, 0x88, 0x6a, 0x3f, 0x24, 0, 0, 0, 0, 0, 0, 0, 0,
            ];
            id[8..].copy_from_slice(&n.to_be_bytes());
            traces.hasher().hash_one(TraceId(id))
        };
        let places: IdSet<u64> = (0..1000).map(hash_of).collect();
        assert!(places.len() > 990, "{}", places.len());
    }

    #[test]
    fn the_id_of_a_row_is_read_back() {
        let key = SpanKey {
            trace_id: TraceId([0xab; 16]),
            span_id: SpanId([7; 8]),
        };
        assert_eq!(SpanKey::parse(&key.to_string()), Some(key));
        for bad in ["", "-", "ab-07", &key.trace_id.to_string()] {
            assert_eq!(SpanKey::parse(bad), None, "{bad}");
        }
    }
}
