//! How fast something grows, and when it is full.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Three days: day and night are both in it, and a new pace shows within one day.
const WINDOW: Duration = Duration::from_secs(3 * 24 * 3600);
/// What is known of less time than this says nothing.
const ENOUGH: Duration = Duration::from_secs(3600);
/// Samples that follow each other closer than this say the same.
const FINE: Duration = Duration::from_secs(240);
/// After [`FINE_FOR`], one sample in [`COARSE`] stays.
const FINE_FOR: Duration = Duration::from_secs(2 * 3600);
const COARSE: Duration = Duration::from_secs(1800);
const DAY_SECONDS: f64 = 24.0 * 3600.0;

/// Ten years stand for "it does not fill up", and for anything beyond.
pub(super) const NEVER_DAYS: f64 = 3650.0;

/// Samples of what something takes, and what is free for it.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// (when, bytes taken), oldest first.
    samples: VecDeque<(Instant, u64)>,
    free: Option<u64>,
}

impl Forecast {
    /// At `at`, `used` bytes were taken; `free` more were there, if that can be known.
    pub fn add(&mut self, at: Instant, used: u64, free: Option<u64>) {
        self.free = free;
        let age = |of: Instant| at.saturating_duration_since(of);
        if self
            .samples
            .back()
            .is_some_and(|(last, _)| age(*last) < FINE)
        {
            return;
        }
        self.samples.push_back((at, used));
        let mut kept: Option<Instant> = None;
        self.samples.retain(|(sampled, _)| {
            if age(*sampled) <= FINE_FOR {
                return true;
            }
            let is_apart = kept.is_none_or(|kept| sampled.duration_since(kept) >= COARSE);
            let keep = age(*sampled) <= WINDOW && is_apart;
            if keep {
                kept = Some(*sampled);
            }
            keep
        });
    }

    /// Bytes a day, less than zero if it shrinks; `None` while too little is known. The median of
    /// the slopes between any two samples: an import, a clean-up or a sawtooth does not bend it.
    pub fn growth(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        if last.0.duration_since(first.0) < ENOUGH {
            return None;
        }
        let mut slopes = Vec::new();
        for (i, (from, before)) in self.samples.iter().enumerate() {
            for (to, after) in self.samples.iter().skip(i + 1) {
                let seconds = to.duration_since(*from).as_secs_f64();
                slopes.push((*after as f64 - *before as f64) / seconds);
            }
        }
        let middle = slopes.len() / 2;
        let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        Some(*median * DAY_SECONDS)
    }

    /// Days until nothing is free at this pace, at the most [`NEVER_DAYS`], which is also said of
    /// what does not grow. `None` while the pace, or what is free, is not known.
    pub fn days_left(&self) -> Option<f64> {
        let free = self.free?;
        if free == 0 {
            return Some(0.0);
        }
        let growth = self.growth()?;
        match growth > 0.0 {
            true => Some((free as f64 / growth).min(NEVER_DAYS)),
            false => Some(NEVER_DAYS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    /// Samples every five minutes for some hours; `used` says what is taken after how many hours.
    fn sampled(hours: f64, free: Option<u64>, used: impl Fn(f64) -> f64) -> Forecast {
        let (start, mut forecast) = (Instant::now(), Forecast::default());
        for n in 0..=(hours * 12.0) as u32 {
            let at = start + Duration::from_secs(300) * n;
            forecast.add(at, used(f64::from(n) / 12.0) as u64, free);
        }
        forecast
    }

    fn about(found: Option<f64>, wanted: f64) {
        let found = found.expect("known");
        let off = (found - wanted).abs() / wanted;
        assert!(off < 0.01, "{found}, not {wanted}");
    }

    #[test]
    fn a_steady_pace_is_told_after_an_hour() {
        let a_day = |hours: f64| 5e9 + 2e9 * hours / 24.0;
        let early = sampled(0.9, Some(10 * GB), a_day);
        assert_eq!((early.growth(), early.days_left()), (None, None));
        assert_eq!(early.free, Some(10 * GB));
        for hours in [1.0, 5.0, 24.0, 24.0 * 30.0] {
            let forecast = sampled(hours, Some(10 * GB), a_day);
            about(forecast.growth(), 2e9);
            about(forecast.days_left(), 5.0);
        }
    }

    #[test]
    fn what_does_not_grow_lasts_and_what_is_full_is_full() {
        let flat = sampled(3.0, Some(GB), |_| 5e9);
        assert_eq!(flat.days_left(), Some(NEVER_DAYS));
        let shrinking = sampled(3.0, Some(GB), |hours| 5e9 - 1e8 * hours);
        about(shrinking.growth().map(|growth| -growth), 2.4e9);
        assert_eq!(shrinking.days_left(), Some(NEVER_DAYS));
        let slow = sampled(3.0, Some(1000 * GB), |hours| 5e9 + hours);
        assert_eq!(slow.days_left(), Some(NEVER_DAYS));
        let full = sampled(0.0, Some(0), |_| 5e9);
        assert_eq!(full.days_left(), Some(0.0), "without waiting for a pace");
        let unseen = sampled(3.0, None, |hours| 1e9 * hours);
        about(unseen.growth(), 24e9);
        assert_eq!(unseen.days_left(), None, "nobody knows what is free");
    }

    #[test]
    fn neither_an_import_nor_a_sawtooth_bends_the_pace() {
        // 1 GB a day, and 50 GB at once in the second day.
        let import = |hours: f64| 1e9 * hours / 24.0 + if hours > 40.0 { 50e9 } else { 0.0 };
        about(sampled(48.0, None, import).growth(), 1e9);
        // Yesterday's partition goes as today's comes: little is left of a day's pace.
        for hours in [72.0, 78.0, 84.0, 90.0] {
            let saw = sampled(hours, None, |hours| 7e9 + 1e9 * (hours % 24.0) / 24.0);
            let growth = saw.growth().unwrap();
            assert!(growth.abs() < 1e9 / 3.0, "{growth} after {hours} hours");
        }
    }

    #[test]
    fn a_new_pace_shows_within_a_day_and_samples_stay_few() {
        let faster = |hours: f64| match hours > 72.0 {
            true => 3e9 + 10e9 * (hours - 72.0) / 24.0,
            false => 1e9 * hours / 24.0,
        };
        let forecast = sampled(72.0 + 24.0, Some(10 * GB), faster);
        let growth = forecast.growth().unwrap();
        assert!(growth > 1.5e9, "{growth}");
        about(sampled(144.0, Some(10 * GB), faster).growth(), 10e9);
        let count = sampled(24.0 * 30.0, None, faster).samples.len();
        assert!((100..200).contains(&count), "{count}");
    }

    #[test]
    fn samples_in_a_hurry_renew_what_is_free_alone() {
        let (start, mut forecast) = (Instant::now(), Forecast::default());
        for second in 0..100 {
            forecast.add(start + Duration::from_secs(second), second, Some(second));
        }
        assert_eq!((forecast.samples.len(), forecast.free), (1, Some(99)));
    }
}
