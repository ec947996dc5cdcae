//! How far the newest values of one kind lie above what is usual for them.
//!
//! Values are compared as logarithms: durations and token counts are skewed, and "three times as
//! long" means the same for a fast model and a slow one.
//!
//! ```text
//! score = (median of the newest 30 - median of the baseline) / error
//! error = spread * sqrt(pi / 2 * (1 / 30 + 1 / 100))
//! spread = max(1.4826 * MAD, (p90 - median) / 1.2816, 0.2)
//! ```
//!
//! `error` is the standard deviation that the difference of two such medians has by chance, so the
//! score counts standard deviations, whatever the values' unit. MAD is the median distance from
//! the baseline's median; 1.4826 = 1 / Φ⁻¹(3/4) and 1.2816 = Φ⁻¹(0.9) make a standard deviation of
//! it and of the 90th percentile where logarithms are normally distributed (Rousseeuw and Croux,
//! *Alternatives to the Median Absolute Deviation*, 1993). The percentile is there for mixtures:
//! where 8 of 10 answers come from a cache, MAD knows only the cache. The least spread keeps the
//! score of values that hardly vary below 5 until they have grown by 30 %.

use std::{collections::VecDeque, f64::consts::FRAC_PI_2};

/// Values that stand for what is usual.
const BASELINE: usize = 100;
/// Values that are compared with them.
const NEWEST: usize = 30;
/// Once the baseline is full, a value enters it this long after the last one, ns. However much
/// traffic there is, it then reaches back for hours, and a shift takes hours to become usual.
const SPACING: u64 = 600_000_000_000;

const MAD_TO_DEVIATION: f64 = 1.4826;
const P90_TO_DEVIATION: f64 = 1.0 / 1.2816;
const LEAST_SPREAD: f64 = 0.2;

/// The middle of the baseline, and how far values stray from it.
#[derive(Debug, Clone, Copy)]
struct Usual {
    median: f64,
    spread: f64,
}

/// Watches the values of one kind. Holds 130 of them at most; what they mean is worked out when it
/// is asked for, since values come a thousand times as often.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// (when it was received, value)
    newest: VecDeque<(i64, f64)>,
    /// Logarithms of values older than all in `newest`.
    baseline: VecDeque<f64>,
    /// When the baseline's newest was received.
    renewed: i64,
    /// `None`: the baseline has changed since.
    usual: Option<Usual>,
}

impl Watch {
    /// Takes a value above 0, received at `at`, Unix ns.
    pub fn take(&mut self, value: f64, at: i64) {
        self.newest.push_back((at, value));
        if self.newest.len() > NEWEST
            && let Some((at, value)) = self.newest.pop_front()
        {
            self.renew(value, at);
        }
    }

    /// Standard deviations above what is usual; below it, negative. `None` until enough is known.
    pub fn score(&mut self) -> Option<f64> {
        if self.baseline.len() < BASELINE {
            return None;
        }
        let baseline = &self.baseline;
        let usual = *self.usual.get_or_insert_with(|| Usual::of(baseline));
        let newest = sorted(self.newest.iter().map(|(_, value)| value.ln()));
        let sizes = 1.0 / NEWEST as f64 + 1.0 / BASELINE as f64;
        let error = usual.spread * (FRAC_PI_2 * sizes).sqrt();
        Some((quantile(&newest, 0.5) - usual.median) / error)
    }

    fn renew(&mut self, value: f64, at: i64) {
        if self.baseline.len() == BASELINE {
            if at.abs_diff(self.renewed) < SPACING {
                return;
            }
            self.baseline.pop_front();
        }
        self.baseline.push_back(value.ln());
        self.renewed = at;
        self.usual = None;
    }
}

impl Usual {
    fn of(values: &VecDeque<f64>) -> Self {
        let values = sorted(values.iter().copied());
        let median = quantile(&values, 0.5);
        let distances = sorted(values.iter().map(|value| (value - median).abs()));
        let spread = (MAD_TO_DEVIATION * quantile(&distances, 0.5))
            .max(P90_TO_DEVIATION * (quantile(&values, 0.9) - median))
            .max(LEAST_SPREAD);
        Usual { median, spread }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Interpolated between the two values nearest to it.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * sorted.len().saturating_sub(1) as f64;
    let value = |place: f64| sorted.get(place as usize).copied().unwrap_or_default();
    let (low, high) = (value(place.floor()), value(place.ceil()));
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Levels;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn warning() -> f64 {
        Levels::shipped().get("anomaly_score", "warning")
    }

    /// Durations around a second, the same for the same seed.
    struct Durations {
        state: u64,
        sigma: f64,
    }

    impl Durations {
        fn fraction(&mut self) -> f64 {
            // Knuth's MMIX generator; its upper bits are random enough.
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.state >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// Log-normal: twelve uniform numbers add up to nearly a normal one, variance 1.
        fn next(&mut self) -> f64 {
            let normal: f64 = (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0;
            (self.sigma * normal).exp()
        }
    }

    /// Highest score while `n` values come, one every `gap` seconds.
    fn highest(
        watch: &mut Watch,
        now: &mut i64,
        gap: i64,
        n: usize,
        mut value: impl FnMut() -> f64,
    ) -> f64 {
        let mut highest = f64::NEG_INFINITY;
        for _ in 0..n {
            *now += gap * SECOND;
            watch.take(value(), *now);
            highest = watch.score().unwrap_or(highest).max(highest);
        }
        highest
    }

    #[test]
    fn nothing_is_said_before_enough_is_known() {
        let mut watch = Watch::default();
        for n in 0..BASELINE + NEWEST {
            assert_eq!(watch.score(), None, "after {n} values");
            watch.take(1.0, n as i64);
        }
        assert_eq!(watch.score(), Some(0.0));
    }

    /// Busy or not, narrow or wide: a healthy app is never an anomaly.
    #[test]
    fn what_only_varies_stays_below_the_level() {
        for (seed, sigma) in (0..40).zip([0.1, 0.3, 0.5, 0.8, 1.2].into_iter().cycle()) {
            for gap in [0, 1, 60, 3600] {
                let mut durations = Durations { state: seed, sigma };
                let highest = highest(&mut Watch::default(), &mut 0, gap, 3_000, || {
                    durations.next()
                });
                assert!(
                    highest > 0.0 && highest < warning(),
                    "{seed}, {sigma}, {gap} s: {highest}"
                );
            }
        }
    }

    /// Answers from a cache and answers that are not: 50 times as slow.
    #[test]
    fn a_mixture_of_fast_and_slow_is_usual_too() {
        for (seed, slow) in (0..40).zip([0.02, 0.05, 0.15, 0.3, 0.5].into_iter().cycle()) {
            let mut durations = Durations {
                state: seed,
                sigma: 0.2,
            };
            let highest = highest(&mut Watch::default(), &mut 0, 10, 3_000, || {
                let is_slow = durations.fraction() < slow;
                durations.next() * if is_slow { 50.0 } else { 1.0 }
            });
            assert!(highest < warning(), "{seed}, {slow}: {highest}");
        }
    }

    /// Three times as long for half an hour: told within two minutes, nearly all of the time, and
    /// then over.
    #[test]
    fn a_shift_is_told_and_ends_when_it_is_over() {
        let mut above_in_all = 0;
        for seed in 0..20 {
            let mut durations = Durations {
                state: seed,
                sigma: 0.45,
            };
            let (mut watch, mut now) = (Watch::default(), 0);
            let before = highest(&mut watch, &mut now, 2, 2_000, || durations.next());
            assert!(before < warning(), "{seed}: {before} before it began");
            let began = highest(&mut watch, &mut now, 2, 60, || 3.0 * durations.next());
            assert!(began > warning(), "{seed}: {began} after two minutes");
            let mut above = 0;
            for _ in 0..840 {
                now += 2 * SECOND;
                watch.take(3.0 * durations.next(), now);
                above += usize::from(watch.score().unwrap() > warning());
            }
            assert!(above > 756, "{seed}: {above} of 840");
            above_in_all += above;
            highest(&mut watch, &mut now, 2, 60, || durations.next());
            let after = highest(&mut watch, &mut now, 2, 2_000, || durations.next());
            assert!(after < warning(), "{seed}: {after} after it was over");
        }
        assert!(above_in_all > 20 * 840 * 98 / 100, "{above_in_all}");
    }

    #[test]
    fn faster_is_no_anomaly_and_what_lasts_becomes_usual() {
        let mut durations = Durations {
            state: 1,
            sigma: 0.45,
        };
        let (mut watch, mut now) = (Watch::default(), 0);
        highest(&mut watch, &mut now, 60, 500, || durations.next());
        highest(&mut watch, &mut now, 60, 60, || durations.next() / 3.0);
        assert!(watch.score().unwrap() < -warning());
        highest(&mut watch, &mut now, 60, 700, || durations.next() / 3.0);
        assert!(watch.score().unwrap().abs() < warning());
    }

    #[test]
    fn values_that_never_vary_are_told_when_they_grow_by_much() {
        for (factor, is_told) in [(1.0, false), (1.25, false), (1.4, true), (3.0, true)] {
            let (mut watch, mut now) = (Watch::default(), 0);
            highest(&mut watch, &mut now, 1, 200, || 2.0);
            assert_eq!(watch.score(), Some(0.0));
            let score = highest(&mut watch, &mut now, 1, NEWEST, || 2.0 * factor);
            assert_eq!(score > warning(), is_told, "{factor}: {score}");
        }
    }

    proptest! {
        #![proptest_config(crate::property_tests(64))]

        #[test]
        fn a_score_is_a_number_and_memory_is_bounded(
            values in prop::collection::vec((1e-3..1e15_f64, any::<i64>()), 0..400)
        ) {
            let mut watch = Watch::default();
            for (value, at) in &values {
                watch.take(*value, *at);
            }
            prop_assert_eq!(watch.score().is_some(), values.len() >= BASELINE + NEWEST);
            prop_assert!(watch.score().is_none_or(f64::is_finite));
            prop_assert!(watch.newest.len() <= NEWEST && watch.baseline.len() <= BASELINE);
        }
    }
}
