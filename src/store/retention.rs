//! What retention asks of a store, and what the store answers.

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

use super::days::{Clock, Keep};

/// Clocks that differ by more than this are not both right.
const APART: TimeDelta = TimeDelta::hours(1);

/// What may go, by the store's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Days to let go, oldest first; none of them while `waits` is set.
    pub days: Vec<NaiveDate>,
    /// The oldest day that has a partition, or in SQLite a row.
    pub oldest: Option<NaiveDate>,
    /// Why nothing may go now.
    pub waits: Option<Waits>,
}

/// Why nothing may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// The database's clock shows this, ours something else: one of them is wrong.
    ClocksDiffer(DateTime<Utc>),
    /// The clock stepped, or is new to us: it is believed from then on.
    ClockStepped(DateTime<Utc>),
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match self {
            Self::ClocksDiffer(theirs) => write!(
                f,
                "the database's clock shows {}, more than an hour from this machine's",
                text(theirs)
            ),
            Self::ClockStepped(until) => write!(
                f,
                "the clock has not run evenly for a day yet; it is believed from {} on",
                text(until)
            ),
        }
    }
}

/// What letting a day go did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gone {
    /// Partitions dropped.
    pub partitions: u64,
    /// Bytes that they took.
    pub bytes: u64,
    /// Rows deleted: in SQLite all, in Postgres those of days without a partition.
    pub rows: u64,
    /// Tables whose part of the day stays for now, since somebody was reading.
    pub held: u64,
}

/// What a store knows before it decides.
pub(super) struct Known {
    pub clock: Clock,
    /// Days that rows are stored of, and days that rows came of from afar, old enough or not.
    pub days: Vec<NaiveDate>,
    /// Days of which rows came from afar within `keep_days`.
    pub recent: Vec<NaiveDate>,
}

/// Decides; `now` is this machine's clock.
pub(super) fn due(known: Known, keep: Keep, now: DateTime<Utc>) -> Due {
    let Known {
        clock,
        mut days,
        recent,
    } = known;
    days.sort_unstable();
    days.dedup();
    let oldest = days.first().copied();
    let first = keep.first_day(clock.seen_at);
    days.retain(|day| first.is_some_and(|first| *day < first) && !recent.contains(day));
    let waits = if (clock.seen_at - now).abs() > APART {
        Some(Waits::ClocksDiffer(clock.seen_at))
    } else {
        clock.believed_from().map(Waits::ClockStepped)
    };
    Due {
        days,
        oldest,
        waits: waits.filter(|_| first.is_some()),
    }
}
