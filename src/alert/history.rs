//! What the metrics were: enough of the past to say by how much they grew.
//!
//! The service's own counters start at zero with the process, so growth since before the start is
//! growth since zero, and nothing has to be extrapolated.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Numbers by what they are grouped by; "" where they are not.
pub type Groups = BTreeMap<String, f64>;

/// Full detail is kept this long; after that one moment in [`COARSE`], without histograms.
const FINE_FOR: Duration = Duration::from_secs(2 * 3600);
const COARSE: Duration = Duration::from_secs(300);

/// Which series of a metric, and what they are summed by.
#[derive(Debug)]
pub struct Select {
    /// The metric.
    pub name: &'static str,
    /// Labels, and the values that are wanted.
    pub only: &'static [(&'static str, &'static [&'static str])],
    /// Labels that tell groups apart.
    pub by: &'static [&'static str],
}

macro_rules! selects {
    ($($id:ident = $name:literal {$($label:literal: [$($value:literal),+]),*} by [$($by:literal),*];)+) => {
        /// What is remembered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "SELECTS says what each is")]
        pub enum Of { $($id),+ }

        /// In the order of [`Of`].
        pub const SELECTS: &[Select] = &[$(Select {
            name: $name,
            only: &[$(($label, &[$($value),+])),*],
            by: &[$($by),*],
        }),+];
    };
}

selects! {
    RequestTimes = "genai_request_duration_seconds" {} by ["pipeline"];
    StageTimes = "genai_stage_duration_seconds" {} by ["stage"];
    StageErrors = "genai_errors_total" {"alerts": ["yes"]} by ["stage"];
    StageSuccess = "genai_stage_last_success_timestamp_seconds" {} by ["stage"];
    InProgress = "genai_requests_in_progress" {} by [];
    Gpu = "genai_gpu_utilization_ratio" {} by ["service", "gpu"];
    ProbeUp = "spanledger_probe_up" {} by ["probe"];
    CanaryArrived = "spanledger_canary_last_success_timestamp_seconds" {} by [];
    Requests = "genai_requests_total" {} by [];
    RequestsEnded = "genai_requests_total" {"status": ["success", "error", "timeout"]} by ["pipeline"];
    RequestsFailed = "genai_requests_total" {"status": ["error", "timeout"]} by ["pipeline"];
    Anomaly = "genai_anomaly_score" {} by ["signal", "name"];
    Matched = "genai_matches_total" {"result": ["matched"]} by [];
    MatchesSaid = "genai_matches_total" {} by [];
    Confidence = "genai_confidence" {} by [];
    Parsed = "genai_json_parse_total" {"result": ["success", "repaired"]} by [];
    Parses = "genai_json_parse_total" {} by [];
    FellBack = "genai_fallbacks_total" {"result": ["used"]} by [];
    FallbacksSaid = "genai_fallbacks_total" {} by [];
    Hits = "genai_retrievals_total" {"result": ["hit"]} by [];
    HitsSaid = "genai_retrievals_total" {"result": ["hit", "miss"]} by [];
    Retrievals = "genai_retrievals_total" {} by [];
    Reranks = "genai_rerank_total" {} by [];
    CacheHits = "genai_cache_lookups_total" {"result": ["hit"]} by ["cache"];
    CacheLookups = "genai_cache_lookups_total" {} by ["cache"];
    InputTokens = "gen_ai_client_token_usage" {"gen_ai_operation_name": ["chat"], "gen_ai_token_type": ["input"]} by [];
    OutputTokens = "gen_ai_client_token_usage" {"gen_ai_operation_name": ["chat"], "gen_ai_token_type": ["output"]} by [];
    Cost = "genai_cost_usd_total" {} by ["service"];
    Unpriced = "genai_unpriced_calls_total" {} by ["provider", "model"];
    Calls = "genai_calls_total" {} by [];
    CallsEnded = "genai_calls_total" {"status": ["success", "error", "timeout"]} by ["service"];
    CallsOk = "genai_calls_total" {"status": ["success"]} by ["service"];
    CallsFailed = "genai_calls_total" {"status": ["error", "timeout"]} by ["service"];
    Retries = "genai_retries_total" {} by [];
    Timeouts = "genai_timeouts_total" {} by [];
    ErrorsMinor = "genai_errors_total" {"severity": ["warning", "error"], "alerts": ["yes"]} by ["class", "service"];
    ErrorsCritical = "genai_errors_total" {"severity": ["critical"], "alerts": ["yes"]} by ["class", "service"];
    StoreUp = "spanledger_store_up" {} by [];
    SpoolAge = "spanledger_spool_oldest_age_seconds" {} by [];
    SpoolBytes = "spanledger_spool_bytes" {} by [];
    SpoolMax = "spanledger_spool_max_bytes" {} by [];
    DiskDays = "spanledger_disk_days_left" {} by ["disk"];
    Refused = "spanledger_receive_requests_total" {"outcome": ["refused"]} by [];
    Received = "spanledger_receive_requests_total" {} by [];
    RejectedRequests = "spanledger_receive_requests_total" {"outcome": ["rejected"]} by [];
    RejectedSpans = "spanledger_receive_rejected_spans_total" {} by [];
    Lost = "spanledger_books_spans" {"entry": ["lost"]} by [];
    Unbalanced = "spanledger_books_unbalanced_spans" {} by [];
    Damaged = "spanledger_spool_damaged_bytes_total" {"kind": ["damaged"]} by [];
    SetAside = "spanledger_store_quarantined_rows_total" {} by ["table"];
    Records = "spanledger_service_records_total" {} by ["service"];
    Folded = "spanledger_labels_folded_total" {} by ["label"];
}

/// A counter's or gauge's number, or a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Total {
    /// Value, or a histogram's sum.
    pub sum: f64,
    /// A histogram's count.
    pub count: f64,
    /// A histogram's buckets: (upper bound, cumulative count).
    pub buckets: Vec<(f64, f64)>,
}

impl Total {
    fn of(metric: &Metric, kind: MetricType) -> Self {
        if kind == MetricType::HISTOGRAM {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            return Self {
                sum: histogram.get_sample_sum(),
                count: histogram.get_sample_count() as f64,
                buckets: buckets
                    .map(|b| (b.upper_bound(), b.cumulative_count() as f64))
                    .collect(),
            };
        }
        let value = match kind {
            MetricType::GAUGE => metric.get_gauge().get_value(),
            _ => metric.get_counter().get_value(),
        };
        Self {
            sum: value,
            ..Self::default()
        }
    }

    fn add(&mut self, other: &Self, sign: f64) {
        self.sum += sign * other.sum;
        self.count += sign * other.count;
        if self.buckets.is_empty() && sign > 0.0 {
            self.buckets.clone_from(&other.buckets);
        } else {
            for ((_, mine), (_, theirs)) in self.buckets.iter_mut().zip(&other.buckets) {
                *mine += sign * theirs;
            }
        }
    }

    /// The value below which a share `q` of a histogram lies; interpolated within its bucket, as
    /// Prometheus does.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = q * self.count;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, upto) in &self.buckets {
            if *upto >= rank && bound.is_finite() {
                let within = (upto - below).max(f64::MIN_POSITIVE);
                return low + (bound - low) * ((rank - below) / within);
            }
            if bound.is_finite() {
                (low, below) = (*bound, *upto);
            }
        }
        low
    }
}

type Moment = Vec<BTreeMap<String, Total>>;

/// The past, oldest first.
#[derive(Debug)]
pub struct History {
    started: Instant,
    kept_for: Duration,
    /// What is remembered; all if empty.
    only: &'static [Of],
    moments: VecDeque<(Instant, Moment)>,
}

impl History {
    /// Of a process whose counters were zero at `started`; remembers the last `kept_for`.
    pub fn new(started: Instant, kept_for: Duration) -> Self {
        Self {
            started,
            kept_for,
            only: &[],
            moments: VecDeque::new(),
        }
    }

    /// Remembers these alone.
    #[must_use]
    pub fn only(mut self, only: &'static [Of]) -> Self {
        self.only = only;
        self
    }

    /// Remembers the metrics as they are now.
    pub fn note(&mut self, now: Instant, families: &[MetricFamily]) {
        let is_wanted =
            |at: usize| self.only.is_empty() || self.only.iter().any(|of| *of as usize == at);
        let moment = SELECTS
            .iter()
            .enumerate()
            .map(|(at, select)| match is_wanted(at) {
                true => sums(select, families),
                false => BTreeMap::new(),
            });
        let moment = moment.collect();
        self.moments.push_back((now, moment));
        while let Some((at, _)) = self.moments.front()
            && now.duration_since(*at) > self.kept_for
        {
            self.moments.pop_front();
        }
        let mut last: Option<Instant> = None;
        self.moments.retain_mut(|(at, moment)| {
            if now.duration_since(*at) <= FINE_FOR {
                return true;
            }
            let keep = last.is_none_or(|last| at.duration_since(last) >= COARSE);
            if keep {
                last = Some(*at);
                for total in moment.iter_mut().flat_map(BTreeMap::values_mut) {
                    total.buckets = Vec::new();
                }
            }
            keep
        });
    }

    /// How long the past is, at the most `window`.
    pub fn reach(&self, now: Instant, window: Duration) -> Duration {
        now.duration_since(self.started).min(window)
    }

    /// The newest numbers.
    pub fn newest(&self, of: Of) -> Option<&BTreeMap<String, Total>> {
        self.moments.back()?.1.get(of as usize)
    }

    fn at(&self, of: Of, moment: Instant) -> Option<&BTreeMap<String, Total>> {
        let after = self.moments.partition_point(|(at, _)| *at <= moment);
        self.moments.get(after.checked_sub(1)?)?.1.get(of as usize)
    }

    /// By how much each group grew in the `window` that ended `before` ago. What was not there at
    /// its start was zero.
    pub fn growth(
        &self,
        of: Of,
        now: Instant,
        window: Duration,
        before: Duration,
    ) -> BTreeMap<String, Total> {
        let end = match before.is_zero() {
            true => self.newest(of),
            false => now.checked_sub(before).and_then(|at| self.at(of, at)),
        };
        let start = now.checked_sub(before + window);
        let start = start.and_then(|at| self.at(of, at));
        let mut grown = end.cloned().unwrap_or_default();
        for (group, total) in &mut grown {
            if let Some(old) = start.and_then(|start| start.get(group)) {
                total.add(old, -1.0);
            }
        }
        grown
    }
}

fn sums(select: &Select, families: &[MetricFamily]) -> BTreeMap<String, Total> {
    let mut sums: BTreeMap<String, Total> = BTreeMap::new();
    let family = families.iter().find(|family| family.name() == select.name);
    let Some(family) = family else { return sums };
    for metric in family.get_metric() {
        let label = |name: &str| {
            let labels = metric.get_label().iter();
            labels
                .clone()
                .find(|l| l.name() == name)
                .map_or("", |l| l.value())
        };
        if select
            .only
            .iter()
            .all(|(name, values)| values.contains(&label(name)))
        {
            let group: Vec<&str> = select.by.iter().map(|name| label(name)).collect();
            sums.entry(group.join(" "))
                .or_default()
                .add(&Total::of(metric, family.get_field_type()), 1.0);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts, Registry};

    #[test]
    fn growth_is_what_was_added_in_the_window() {
        let registry = Registry::new();
        let records = IntCounterVec::new(
            Opts::new("spanledger_service_records_total", "help"),
            &["service"],
        )
        .unwrap();
        registry.register(Box::new(records.clone())).unwrap();
        let start = Instant::now();
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let mut history = History::new(start, minutes(25 * 60));
        for minute in 1..=300 {
            records.with_label_values(&["a"]).inc_by(10);
            if minute > 290 {
                records.with_label_values(&["new"]).inc();
            }
            history.note(start + minutes(minute), &registry.gather());
        }
        let now = start + minutes(300);
        let grown = |window, before| {
            let grown = history.growth(Of::Records, now, minutes(window), minutes(before));
            (
                grown.get("a").map(|t| t.sum),
                grown.get("new").map(|t| t.sum),
            )
        };
        assert_eq!(grown(10, 0), (Some(100.0), Some(10.0)));
        assert_eq!(grown(60, 30), (Some(600.0), None));
        assert_eq!(
            grown(24 * 60, 0),
            (Some(3000.0), Some(10.0)),
            "since the start"
        );
        assert!(history.moments.len() < 160, "{}", history.moments.len());
    }

    #[test]
    fn quantiles_are_prometheus_own() {
        let total = Total {
            sum: 0.0,
            count: 100.0,
            buckets: vec![(1.0, 50.0), (2.0, 94.0), (4.0, 100.0)],
        };
        assert_eq!(total.quantile(0.5), 1.0);
        assert!((total.quantile(0.95) - (2.0 + 2.0 / 6.0)).abs() < 1e-9);
        let beyond = Total {
            count: 10.0,
            buckets: vec![(1.0, 5.0)],
            ..Total::default()
        };
        assert_eq!(beyond.quantile(0.99), 1.0, "no more is known");
    }
}
