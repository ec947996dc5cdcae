//! The alerts: the same names, levels, windows and words as in `config/rules/alerts.yml`. Two are
//! not here: a service can't tell of its own end, and needs no proof that another tells.

use std::time::Duration;

use super::{
    history::{Groups, Of},
    view::{H1, H6, M5, M10, M30, View},
};

/// How bad, for whoever is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Look today.
    Warning,
    /// Look now.
    Critical,
}

impl Severity {
    /// As in the level's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// When a value is bad.
#[derive(Debug, Clone, Copy)]
pub(super) enum Worse {
    Over(&'static str),
    AtLeast(&'static str),
    Under(&'static str),
    /// Any value at all.
    Always,
}

/// How a value reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Percent,
    Number,
    Usd,
}

/// An alert.
pub(super) struct Rule {
    pub name: &'static str,
    pub severities: &'static [Severity],
    pub value: fn(&View<'_>, Severity) -> Groups,
    pub worse: Worse,
    /// How long a value must be bad: as a warning, as critical.
    pub hold: [Duration; 2],
    pub unit: Unit,
    /// `{group}` and `{value}` are filled in.
    pub summary: &'static str,
}

const BOTH: &[Severity] = &[Severity::Warning, Severity::Critical];
const WARNING: &[Severity] = &[Severity::Warning];
const CRITICAL: &[Severity] = &[Severity::Critical];

const NOW: [Duration; 2] = [Duration::ZERO; 2];
const M1S: [Duration; 2] = [Duration::from_secs(60); 2];
const M2S: [Duration; 2] = [Duration::from_secs(120); 2];
const M5S: [Duration; 2] = [M5; 2];
const M10S: [Duration; 2] = [M10; 2];
const M15S: [Duration; 2] = [Duration::from_secs(900); 2];

macro_rules! rules {
    ($($name:ident $severities:ident $hold:expr, $worse:expr, $unit:ident, $value:expr, $summary:literal;)+) => {
        /// All of them.
        pub(super) const RULES: &[Rule] = &[$(Rule {
            name: stringify!($name),
            severities: $severities,
            value: $value,
            worse: $worse,
            hold: $hold,
            unit: Unit::$unit,
            summary: $summary,
        }),+];
    };
}

fn stage(view: &View<'_>, stage: &str) -> Groups {
    let mut stages = view.quantile(Of::StageTimes, 0.95, M10);
    stages.retain(|name, _| name == stage);
    stages
}

use Worse::{Always, AtLeast, Over, Under};

rules! {
    ResponseTimeP95 BOTH M5S, Over("response_time_p95_seconds"), Seconds,
        |v, _| v.quantile(Of::RequestTimes, 0.95, M10),
        "1 in 20 requests of {group} takes longer than {value}";
    ResponseTimeP99 BOTH M5S, Over("response_time_p99_seconds"), Seconds,
        |v, _| v.quantile(Of::RequestTimes, 0.99, M10),
        "1 in 100 requests of {group} takes longer than {value}";
    ThroughputLow BOTH M10S, Under("requests_per_minute"), Number, |v, _| v.throughput(),
        "Only {value} requests a minute come through";
    EmbeddingSlow BOTH M5S, Over("embedding_seconds"), Seconds, |v, _| stage(v, "embedding"),
        "1 in 20 embeddings takes longer than {value}";
    VectorSearchSlow BOTH M5S, Over("vector_search_seconds"), Seconds,
        |v, _| stage(v, "vector_search"), "1 in 20 vector searches takes longer than {value}";
    ModelCallSlow BOTH M5S, Over("model_call_seconds"), Seconds, |v, _| stage(v, "llm"),
        "1 in 20 model calls takes longer than {value}";
    AnomalyFlagged BOTH M2S, Over("anomaly_score"), Number, |v, _| v.gauge(Of::Anomaly),
        "{group} is far above what is usual for it, by {value} standard deviations";
    MatchRateLow BOTH M5S, Under("match_ratio"), Percent,
        |v, _| v.share(Of::Matched, Of::MatchesSaid, M30), "Only {value} of requests find a match";
    ConfidenceLow BOTH M5S, Under("confidence_mean"), Number, |v, _| v.mean(Of::Confidence, M30),
        "Mean confidence is down to {value}";
    JsonParseFailing BOTH M5S, Under("json_parse_ratio"), Percent,
        |v, _| v.share(Of::Parsed, Of::Parses, M30), "Only {value} of the models' JSON answers parse";
    FallbackHigh BOTH M5S, Over("fallback_ratio"), Percent,
        |v, _| v.share(Of::FellBack, Of::FallbacksSaid, M30),
        "{value} of requests end in a fallback answer";
    RetrievalHitRateLow BOTH M5S, Under("retrieval_hit_ratio"), Percent,
        |v, _| v.share(Of::Hits, Of::HitsSaid, M30), "Only {value} of vector searches find something";
    RerankUseFalling BOTH M15S, Under("rerank_use_of_day_before"), Percent,
        |v, _| v.of_day_before(Of::Reranks, Of::Retrievals),
        "Reranking is used {value} as often as the day before";
    CacheHitRateFalling BOTH M15S, Under("cache_hits_of_day_before"), Percent,
        |v, _| v.of_day_before(Of::CacheHits, Of::CacheLookups),
        "The {group} cache hits {value} as often as the day before";
    TokensPerDay BOTH M5S, Over("tokens_per_day"), Number, |v, _| v.day(|day| Some(day.tokens)),
        "{value} tokens were used in the last 24 hours";
    InputTokensHigh BOTH M5S, Over("input_tokens_mean"), Number, |v, _| v.mean(Of::InputTokens, H1),
        "A model call takes {value} input tokens on average";
    OutputTokensHigh BOTH M5S, Over("output_tokens_mean"), Number, |v, _| v.mean(Of::OutputTokens, H1),
        "A model call gives {value} output tokens on average";
    ModelRequestsPerDay BOTH M5S, Over("model_requests_per_day"), Number,
        |v, _| v.day(|day| Some(day.calls)),
        "{value} requests went to model APIs in the last 24 hours";
    CostPerDay BOTH M5S, Over("cost_usd_per_day"), Usd, |v, _| v.day(|day| Some(day.cost)),
        "The last 24 hours cost {value}";
    CostSpike BOTH M5S, Over("cost_spike_factor"), Number, |v, _| v.spike(),
        "{group} costs {value} times as much an hour as the day before";
    UnpricedCalls WARNING M5S, Over("unpriced_calls_per_hour"), Number,
        |v, _| v.count(Of::Unpriced, H1), "Calls of {group} have no price: {value} in the last hour";
    ErrorRateHigh BOTH M5S, Over("error_ratio"), Percent,
        |v, _| v.share(Of::RequestsFailed, Of::RequestsEnded, M10),
        "{value} of the requests of {group} fail";
    RetriesHigh BOTH M5S, Over("retry_ratio"), Percent, |v, _| v.share(Of::Retries, Of::Calls, M30),
        "There are {value} as many retries as model calls";
    TimeoutsHigh BOTH M5S, Over("timeout_ratio"), Percent,
        |v, _| v.share(Of::Timeouts, Of::Calls, M30), "{value} of model calls time out";
    AvailabilityLow BOTH M5S, Under("availability_ratio"), Percent,
        |v, _| v.day(|day| (day.requests >= v.enough()).then(|| day.answered / day.requests)),
        "Only {value} of the requests of the last 24 hours were answered without an error";
    ModelCallsFailing BOTH M5S, Under("model_call_success_ratio"), Percent,
        |v, _| v.share(Of::CallsOk, Of::CallsEnded, M10),
        "Only {value} of the model calls of {group} succeed";
    ErrorBudgetBurn BOTH M2S, Over("error_budget_burn"), Number,
        |v, severity| match severity {
            Severity::Warning => v.burn(H6, M30),
            Severity::Critical => v.burn(H1, M5),
        },
        "{group} burns its error budget {value} times faster than allowed";
    ErrorsOfClass BOTH NOW, AtLeast("errors_of_class"), Number,
        |v, severity| match severity {
            Severity::Warning => v.count(Of::ErrorsMinor, M10),
            Severity::Critical => v.count(Of::ErrorsCritical, M10),
        },
        "Errors of class and service {group}: {value} in 10 minutes";
    StoreDown BOTH [Duration::from_secs(60), Duration::from_secs(900)], Always, Number,
        |v, _| {
            let mut up = v.gauge(Of::StoreUp);
            up.retain(|_, up| *up == 0.0);
            up
        },
        "The store is down; the spool keeps everything";
    DependencyDown CRITICAL M2S, Always, Number,
        |v, _| {
            let mut up = v.gauge(Of::ProbeUp);
            up.retain(|_, up| *up == 0.0);
            up
        },
        "{group} does not answer its health probe";
    CanaryLate BOTH M1S, Over("canary_age_seconds"), Seconds, |v, _| v.age(Of::CanaryArrived),
        "No canary has arrived for {value}: spans do not reach the ledger";
    SpoolOld BOTH M1S, Over("spool_age_seconds"), Seconds, |v, _| v.gauge(Of::SpoolAge),
        "Spans have been waiting {value} for the store";
    SpoolFilling BOTH M1S, Over("spool_fill_ratio"), Percent,
        |v, _| {
            let max = v.gauge(Of::SpoolMax).remove("").unwrap_or(f64::NAN);
            v.gauge(Of::SpoolBytes).into_iter().map(|(group, bytes)| (group, bytes / max)).collect()
        },
        "The spool is {value} full; when it is full, senders are refused";
    DiskFilling BOTH M10S, Under("disk_days_left"), Number, |v, _| v.gauge(Of::DiskDays),
        "The {group} disk is full in {value} days at this pace";
    SpansRefused BOTH M1S, Over("refused_ratio"), Percent,
        |v, _| v.share_over(Of::Refused, Of::Received, M5, 0.0),
        "{value} of OTLP requests are refused; their senders try again";
    SpansRejected WARNING NOW, Over("rejected_spans_per_hour"), Number,
        |v, _| {
            let mut rejected = v.count(Of::RejectedSpans, H1);
            for (group, n) in v.count(Of::RejectedRequests, H1) {
                *rejected.entry(group).or_default() += n;
            }
            rejected
        },
        "{value} spans or requests in the last hour can't be read";
    RowsLost CRITICAL M10S, Always, Number,
        |v, _| {
            let damaged = v.count(Of::Damaged, H1).into_values();
            let amiss = [Of::Lost, Of::Unbalanced].map(|of| v.gauge(of).into_values().sum::<f64>());
            let worst = damaged.chain(amiss).map(f64::abs).fold(0.0, f64::max);
            (worst > 0.0).then(|| (String::new(), worst)).into_iter().collect()
        },
        "Spans that were acknowledged are not in the ledger: {value} spans or damaged bytes";
    RowsSetAside WARNING NOW, Over("quarantined_rows_per_hour"), Number,
        |v, _| v.count(Of::SetAside, H1),
        "The store refused {value} rows of {group} in the last hour; they are kept in dead_letters";
    ServiceSilent WARNING M5S, Always, Number, |v, _| v.silent(),
        "{group} used to send ({value} records an hour) and has been silent for 15 minutes";
    LabelsFolded WARNING NOW, Over("folded_labels_per_hour"), Number, |v, _| v.count(Of::Folded, H1),
        "Label {group} has more values than its budget; {value} were shown as __other__ in the last hour";
}

impl Worse {
    /// Whether a value is bad.
    pub fn holds(self, value: f64, view: &View<'_>, severity: Severity) -> bool {
        let level = |name| view.levels.get(name, severity.as_str());
        match self {
            Over(name) => value > level(name),
            AtLeast(name) => value >= level(name),
            Under(name) => value < level(name),
            Always => true,
        }
    }

    /// The level, in words.
    pub fn words(self, view: &View<'_>, severity: Severity, unit: Unit) -> Option<String> {
        let level = |name| unit.show(view.levels.get(name, severity.as_str()));
        Some(match self {
            Over(name) => format!("over {}", level(name)),
            AtLeast(name) => format!("{} or more", level(name)),
            Under(name) => format!("under {}", level(name)),
            Always => return None,
        })
    }
}

impl Unit {
    /// For people.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Seconds if value >= 60.0 => {
                let seconds = value.round() as u64;
                match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                    (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
                    (hours, minutes, _) => format!("{hours}h {minutes}m"),
                }
            }
            Unit::Seconds => format!("{}s", digits(value)),
            Unit::Percent => format!("{}%", digits(value * 100.0)),
            Unit::Number => digits(value),
            Unit::Usd => format!("{value:.2} USD"),
        }
    }
}

/// Four digits that count; thousands as k, M, G.
fn digits(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        n if n >= 1e9 => (value / 1e9, "G"),
        n if n >= 1e6 => (value / 1e6, "M"),
        n if n >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let places = if scaled.abs() >= 100.0 { 0 } else { 2 };
    let text = format!("{scaled:.places$}");
    let short = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{short}{letter}")
}
