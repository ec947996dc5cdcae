//! Times of acks in bounded memory: buckets of 1/64 of a power of two, so within 1.6 %.

use std::time::Duration;

/// Steps in each power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How often each time was seen, microseconds.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// The time that this part (0 to 1) of all did not exceed, ms; `None` if there are none.
    pub fn quantile_ms(&self, part: f64) -> Option<f64> {
        let rank = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some((upper(bucket) as f64 / 1e3).min(self.max_ms()?))
    }

    /// The longest, ms; `None` if there are none.
    pub fn max_ms(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max.as_secs_f64() * 1e3)
    }
}

fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let shift = micros.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (micros >> shift)) as usize
}

/// The largest time of a bucket, microseconds.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let from = bucket - shift * STEPS;
    ((from + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_to_the_truth() {
        assert_eq!(Latencies::default().quantile_ms(0.5), None);
        let mut seen = Latencies::default();
        for micros in 1..=100_000 {
            seen.add(Duration::from_micros(micros));
        }
        for part in [0.01, 0.5, 0.9, 0.99] {
            let (found, true_ms) = (seen.quantile_ms(part).unwrap(), part * 100.0);
            assert!((found / true_ms - 1.0).abs() < 0.017, "{part}: {found}");
        }
        assert_eq!(seen.quantile_ms(1.0), Some(100.0));
        for micros in [0, 63, 64, 65, 127, 128, 1 << 40, u64::MAX >> 1] {
            let at = bucket(micros);
            assert!(upper(at) >= micros && (at == 0 || upper(at - 1) < micros));
        }
    }
}
