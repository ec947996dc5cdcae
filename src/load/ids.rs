//! Ids and numbers of a run, as functions of its seed: nothing has to be remembered to know them
//! again. Two different seeds never share a trace id.

use crate::record::{SpanId, TraceId};

/// Spans of one request.
pub const SPANS: usize = 5;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The name of a run: the first half of all its trace ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub u64);

impl RunId {
    /// One run for each seed: the mixing is a bijection.
    pub fn of_seed(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)))
    }

    /// The trace of the run's request `number`.
    pub fn trace(self, number: u64) -> Trace {
        Trace {
            run: self,
            number,
            low: mix(number ^ self.salt()),
        }
    }

    /// The trace that has this id; `None` if it is another run's.
    pub fn trace_of(self, id: TraceId) -> Option<Trace> {
        let whole = u128::from_be_bytes(id.0);
        let low = whole as u64;
        ((whole >> 64) as u64 == self.0).then(|| Trace {
            run: self,
            number: unmix(low) ^ self.salt(),
            low,
        })
    }

    /// What all its trace ids begin with, lower-case hex.
    pub fn prefix(self) -> String {
        format!("{:016x}", self.0)
    }

    fn salt(self) -> u64 {
        mix(self.0)
    }
}

/// One request of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    run: RunId,
    /// 0 for the run's first.
    pub number: u64,
    low: u64,
}

impl Trace {
    /// Its trace id: the run, then a number that looks random and belongs to this request alone.
    pub fn id(&self) -> TraceId {
        TraceId((u128::from(self.run.0) << 64 | u128::from(self.low)).to_be_bytes())
    }

    /// The id of its span `index`.
    pub fn span(&self, index: usize) -> SpanId {
        let id = mix(self.low.wrapping_add(STEP.wrapping_mul(index as u64 + 1)));
        // All zero is no id.
        SpanId(id.max(1).to_be_bytes())
    }

    /// Which of its spans has this id.
    pub fn index_of(&self, span: SpanId) -> Option<usize> {
        (0..SPANS).find(|index| self.span(*index) == span)
    }

    /// The number in the id of the model's answer: no two answers share one.
    pub fn answer(&self) -> u64 {
        self.low
    }

    /// Input tokens of the chat call: always four digits, and two bytes as a varint, so that they
    /// can be written over one another.
    pub fn chat_input_tokens(&self) -> i64 {
        1000 + (self.number % 1000) as i64
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Its inverse: the multipliers' inverses modulo 2^64, the shifts undone.
fn unmix(mut z: u64) -> u64 {
    z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_ids() {
        for seed in [0, 1, 42, u64::MAX] {
            let run = RunId::of_seed(seed);
            for number in [0, 1, 2, 999, 1 << 40, u64::MAX] {
                let trace = run.trace(number);
                assert_eq!(run.trace_of(trace.id()), Some(trace));
                assert_eq!(RunId::of_seed(seed ^ 7).trace_of(trace.id()), None);
                for index in 0..SPANS {
                    assert_eq!(trace.index_of(trace.span(index)), Some(index));
                }
                assert!((1000..2000).contains(&trace.chat_input_tokens()));
            }
        }
    }

    #[test]
    fn mixing_is_undone() {
        for n in 0..10_000u64 {
            let n = n.wrapping_mul(STEP);
            assert_eq!(unmix(mix(n)), n);
        }
    }
}
