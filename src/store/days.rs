//! Days: of which ones a batch's rows are, which of them go, and when a clock may be believed.
//!
//! A day goes, whole, once it ended more than `keep_days` and a day ago: the day more is a clock's
//! that is a day off. Two things hold it back:
//!
//! - **Rows from afar.** A row may come long after its span started: an import, an app whose clock
//!   is years behind. `far_days` has the days of such rows and when the last one came; the day is
//!   kept for as long after that, or what was imported today would be gone within the hour.
//! - **A clock that stepped.** What is days off drops what is fresh. `retention_clock` remembers
//!   from turn to turn, over restarts, since when the clock has run evenly; nothing goes before
//!   that is a day.

use std::{collections::BTreeSet, num::NonZeroU32};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::Batch;

/// Rows of more days ago than this come from afar. A clock that is years off must not make
/// thousands of partitions.
const BACK: u32 = 30;
/// Days ahead that are near: in them midnight falls, and clocks are off.
pub(super) const AHEAD: u64 = 2;
/// A clock that went on by more than this from one hourly turn to the next stepped, or nobody
/// looked; back by an hour, it stepped.
const LONGEST_GAP: TimeDelta = TimeDelta::days(1);
const BACKWARDS: TimeDelta = TimeDelta::hours(1);
/// For how long a clock must have run evenly.
const EVEN: TimeDelta = TimeDelta::days(1);

/// How long rows are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep(pub Option<NonZeroU32>);

impl Keep {
    /// The first day that is kept; `None` if all are.
    pub fn first_day(self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let days = u64::from(self.0?.get());
        now.date_naive().checked_sub_days(Days::new(days + 1))
    }

    /// How many they are; where rows are kept for ever, more than there are.
    pub fn days(self) -> i32 {
        const MANY: u32 = 1_000_000;
        self.0.map_or(MANY, |days| days.get().min(MANY)) as i32
    }

    fn back(self) -> u64 {
        u64::from(self.0.map_or(BACK, |days| days.get().min(BACK)))
    }
}

/// The days of a batch's rows, by how far they are from when the rows came.
#[derive(Debug, Default)]
pub(super) struct DaysOf {
    pub near: BTreeSet<NaiveDate>,
    pub far: BTreeSet<NaiveDate>,
}

impl DaysOf {
    pub fn batch(batch: &Batch, keep: Keep) -> Self {
        let mut days = Self::default();
        let rows = &batch.rows;
        for &(started, received) in &rows.days {
            days.add(date(started), date(received), keep);
        }
        // Links don't say when they were received; the batch's other rows, or now, stand for it.
        let received = rows.newest.map_or_else(|| Utc::now().date_naive(), day);
        for &started in &rows.link_days {
            days.add(date(started), received, keep);
        }
        // The texts of content are stored for the day it came.
        for content in &batch.contents {
            let came = day(content.received_at);
            days.add(came, came, keep);
        }
        days
    }

    fn add(&mut self, started: NaiveDate, received: NaiveDate, keep: Keep) {
        let is_near =
            started >= received - Days::new(keep.back()) && started <= received + Days::new(AHEAD);
        match is_near {
            true => self.near.insert(started),
            false => self.far.insert(started),
        };
    }
}

fn day(unix_ns: i64) -> NaiveDate {
    date(day_number(unix_ns))
}

/// Days since 1970.
pub(super) fn day_number(unix_ns: i64) -> i64 {
    unix_ns.div_euclid(86_400_000_000_000)
}

/// The day of that number: of a time in nanoseconds, so it can be told.
fn date(day_number: i64) -> NaiveDate {
    NaiveDate::default() + TimeDelta::days(day_number)
}

/// What is known of a store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// What it showed at the last turn.
    pub seen_at: DateTime<Utc>,
    /// Since when it has run evenly, by its own account.
    pub even_since: DateTime<Utc>,
}

impl Clock {
    /// What is known after a turn at `now`.
    pub fn after(before: Option<Self>, now: DateTime<Utc>) -> Self {
        let even = before.filter(|clock| {
            let passed = now - clock.seen_at;
            passed >= -BACKWARDS && passed <= LONGEST_GAP
        });
        Self {
            seen_at: now,
            even_since: even.map_or(now, |clock| clock.even_since),
        }
    }

    /// When it may be believed; `None`: now.
    pub fn believed_from(self) -> Option<DateTime<Utc>> {
        let from = self.even_since + EVEN;
        (from > self.seen_at).then_some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hours)
    }

    #[test]
    fn whole_days_go_a_day_later_than_they_may() {
        let keep = |days| Keep(NonZeroU32::new(days));
        let date = |day: &str| day.parse::<NaiveDate>().ok();
        let now = "2026-11-28T23:59:59Z".parse().unwrap();
        assert_eq!(keep(30).first_day(now), date("2026-10-28"));
        assert_eq!(keep(1).first_day(now), date("2026-11-26"));
        assert_eq!(keep(0).first_day(now), None, "all are kept");
        assert_eq!(keep(u32::MAX).first_day(now), None);
    }

    #[test]
    fn a_clock_is_believed_after_a_day_without_a_step() {
        let mut clock = Clock::after(None, at(0));
        for hour in 1..24 {
            clock = Clock::after(Some(clock), at(hour));
            assert_eq!(clock.believed_from(), Some(at(24)));
        }
        clock = Clock::after(Some(clock), at(24));
        assert_eq!(clock.believed_from(), None);
        // A night without the service, a summer time that is none: no step.
        for hour in [36, 60, 59] {
            clock = Clock::after(Some(clock), at(hour));
            assert_eq!(clock.believed_from(), None, "{hour}");
        }
        for step in [59 + 25, -2, 365 * 24] {
            let stepped = Clock::after(Some(clock), at(step));
            assert_eq!(stepped.believed_from(), Some(at(step + 24)), "{step}");
        }
    }
}
