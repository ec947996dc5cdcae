//! The numbers that alerts look at, computed from what the metrics were: the same sums as in
//! `config/rules/recording.yml`.

use std::time::{Duration, Instant};

use super::{
    history::{Groups, History, Of, Total},
    levels::Levels,
};
use crate::query::day::Day;

pub(super) const M5: Duration = minutes(5);
pub(super) const M10: Duration = minutes(10);
pub(super) const M15: Duration = minutes(15);
pub(super) const M30: Duration = minutes(30);
pub(super) const H1: Duration = minutes(60);
pub(super) const H6: Duration = minutes(6 * 60);
const D1: Duration = minutes(24 * 60);

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// One look.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub history: &'a History,
    pub levels: &'a Levels,
    /// `None`: the store is down, or was not asked yet.
    pub day: Option<Day>,
    pub now: Instant,
}

impl View<'_> {
    /// What a share or percentile needs to mean something.
    pub fn enough(&self) -> f64 {
        self.levels.get("events_in_window", "floor")
    }

    fn growth(&self, of: Of, window: Duration) -> std::collections::BTreeMap<String, Total> {
        self.history.growth(of, self.now, window, Duration::ZERO)
    }

    /// By how much a counter grew.
    pub fn count(&self, of: Of, window: Duration) -> Groups {
        let grown = self.growth(of, window).into_iter();
        grown.map(|(group, total)| (group, total.sum)).collect()
    }

    /// A gauge.
    pub fn gauge(&self, of: Of) -> Groups {
        let newest = self.history.newest(of).into_iter().flatten();
        newest
            .map(|(group, total)| (group.clone(), total.sum))
            .collect()
    }

    /// How long ago the time is that a gauge holds, seconds.
    pub fn age(&self, of: Of) -> Groups {
        let now = chrono::Utc::now().timestamp_millis() as f64 / 1e3;
        let times = self.gauge(of).into_iter();
        times.map(|(group, at)| (group, now - at)).collect()
    }

    /// `part` of `whole`, where there is at least `floor` of it.
    pub fn share_over(&self, part: Of, whole: Of, window: Duration, floor: f64) -> Groups {
        let parts = self.count(part, window);
        let wholes = self.count(whole, window).into_iter();
        wholes
            .filter(|(_, whole)| *whole > 0.0 && *whole >= floor)
            .map(|(group, whole)| {
                let part = parts.get(&group).copied().unwrap_or(0.0);
                (group, part / whole)
            })
            .collect()
    }

    /// The same, where there is enough to mean something.
    pub fn share(&self, part: Of, whole: Of, window: Duration) -> Groups {
        self.share_over(part, whole, window, self.enough())
    }

    /// A histogram's percentile.
    pub fn quantile(&self, of: Of, q: f64, window: Duration) -> Groups {
        let grown = self.growth(of, window).into_iter();
        let enough = self.enough();
        grown
            .filter(|(_, total)| total.count >= enough)
            .map(|(group, total)| (group, total.quantile(q)))
            .collect()
    }

    /// A histogram's mean.
    pub fn mean(&self, of: Of, window: Duration) -> Groups {
        let grown = self.growth(of, window).into_iter();
        let enough = self.enough();
        grown
            .filter(|(_, total)| total.count > 0.0 && total.count >= enough)
            .map(|(group, total)| (group, total.sum / total.count))
            .collect()
    }

    /// Requests a minute, while there is traffic.
    pub fn throughput(&self) -> Groups {
        let minutes = self.history.reach(self.now, M10).as_secs_f64() / 60.0;
        let floor = self.levels.get("traffic_per_minute", "floor");
        let requests = self.count(Of::Requests, M10).into_iter();
        requests
            .map(|(group, n)| (group, n / minutes))
            .filter(|(_, rate)| *rate >= floor)
            .collect()
    }

    /// A share of the last hour, against what it was the day before.
    pub fn of_day_before(&self, part: Of, whole: Of) -> Groups {
        let before = |of| self.history.growth(of, self.now, D1, H1);
        let (parts, wholes) = (before(part), before(whole));
        let now = self.share(part, whole, H1).into_iter();
        now.filter_map(|(group, share)| {
            let was = parts.get(&group)?.sum / wholes.get(&group)?.sum;
            (was > 0.0).then_some((group, share / was))
        })
        .collect()
    }

    /// What the last hour cost, against a mean hour of the day before.
    pub fn spike(&self) -> Groups {
        let before = self.history.growth(Of::Cost, self.now, D1, H1);
        let hours = self.history.reach(self.now, D1 + H1).saturating_sub(H1);
        let hours = hours.as_secs_f64() / 3600.0;
        let floor = self.levels.get("cost_spike_usd_per_hour", "floor");
        let now = self.count(Of::Cost, H1).into_iter();
        now.filter(|(_, cost)| *cost > floor)
            .filter_map(|(service, cost)| {
                let mean = before.get(&service)?.sum / hours;
                (hours >= 1.0 && mean > 0.0).then_some((service, cost / mean))
            })
            .collect()
    }

    /// How many times too fast the error budget burns; over both windows, so the smaller of the
    /// two.
    pub fn burn(&self, long: Duration, short: Duration) -> Groups {
        let budget = self.levels.get("error_budget_ratio", "goal");
        let busy = self.count(Of::CallsEnded, H1);
        let recent = self.share_over(Of::CallsFailed, Of::CallsEnded, short, 0.0);
        let whole = self.share_over(Of::CallsFailed, Of::CallsEnded, long, 0.0);
        whole
            .into_iter()
            .filter(|(service, _)| busy.get(service).is_some_and(|n| *n >= self.enough()))
            .filter_map(|(service, share)| {
                let burn = share.min(*recent.get(&service)?) / budget;
                Some((service, burn))
            })
            .collect()
    }

    /// Services that sent steadily and are silent: what they sent in an hour before.
    pub fn silent(&self) -> Groups {
        let before = self.history.growth(Of::Records, self.now, H1, M30);
        let recent = self.count(Of::Records, M15);
        let floor = self.levels.get("records_per_hour", "floor");
        before
            .into_iter()
            .map(|(service, total)| (service, total.sum))
            .filter(|(service, before)| {
                *before > floor && recent.get(service).is_none_or(|n| *n <= 0.0)
            })
            .collect()
    }

    /// A number of the last 24 hours, from the rows.
    pub fn day(&self, number: impl Fn(&Day) -> Option<f64>) -> Groups {
        let number = self.day.as_ref().and_then(number);
        number.into_iter().map(|n| (String::new(), n)).collect()
    }
}
