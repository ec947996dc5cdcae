//! All metrics of the sinks in one table: name, labels, help text.
//!
//! What the GenAI conventions define has its name from there, dots and units written the
//! Prometheus way. What they don't define starts with `genai_`; what the service says of itself
//! starts with `spanledger_`.

/// A metric with `N` labels.
#[derive(Debug, Clone, Copy)]
pub struct Name<const N: usize> {
    /// Its name.
    pub name: &'static str,
    /// Its label names, in the order in which values are given.
    pub labels: [&'static str; N],
    /// Its help text.
    pub help: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $id:ident = $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub const $id: Name<{ <[&str]>::len(&[$($label),*]) }> =
                Name { name: $name, labels: [$($label),*], help: $help };
        )+

        /// Name, labels and help text of every metric.
        pub const ALL: &[(&str, &[&str], &str)] = &[$(($name, &[$($label),*], $help)),+];
    };
}

names! {
    OPERATION_DURATION = "gen_ai_client_operation_duration_seconds"
        ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type", "service_name"]
        "Duration of counted model calls. error_type is empty where there was no error.";
    TOKEN_USAGE = "gen_ai_client_token_usage"
        ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "service_name", "gen_ai_token_type"]
        "Tokens per counted model call. Input includes cached tokens, output includes reasoning. Its sum equals genai_tokens_total of the same type: never add the two.";
    FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
        ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "service_name"]
        "Time from the start of a counted model call to the first chunk of its answer.";
    TOKENS = "genai_tokens_total" ["type", "provider", "model", "service"]
        "Tokens of counted model calls. cache_read and cache_write are parts of input, reasoning is a part of output: only input and output may be added.";
    CALLS = "genai_calls_total" ["call_type", "provider", "model", "service", "status"]
        "Counted model calls.";
    COST = "genai_cost_usd_total" ["provider", "model", "service", "operation"]
        "Cost in USD of counted model calls and billed transcriptions, by the price table. Calls without a price are in genai_unpriced_calls_total instead.";
    UNPRICED = "genai_unpriced_calls_total" ["reason", "provider", "model"]
        "Counted, successful model calls and billed transcriptions that have no cost, and why.";
    RETRIES = "genai_retries_total" []
        "Retries inside counted model calls.";
    TIMEOUTS = "genai_timeouts_total" []
        "Counted model calls that ran out of time.";
    NOT_COUNTED = "genai_not_counted_total" ["reason"]
        "Model call spans that feed no other metric, since another span stands for the same call.";
    STAGE_DURATION = "genai_stage_duration_seconds" ["stage"]
        "Duration of each piece of work in a stage.";
    STAGE_SUCCESS = "genai_stage_last_success_timestamp_seconds" ["stage"]
        "When the newest successful piece of work in a stage ended, Unix time.";
    REQUESTS = "genai_requests_total" ["pipeline", "framework", "status"]
        "Requests, as their root spans saw them.";
    REQUEST_DURATION = "genai_request_duration_seconds" ["pipeline"]
        "Duration of requests, as their root spans saw them.";
    IN_PROGRESS = "genai_requests_in_progress" []
        "Requests in progress at a time, as their spans tell once they have ended: the mean of the minute that ended 15 seconds ago.";
    GPU = "genai_gpu_utilization_ratio" ["service", "gpu"]
        "Share of its time that a GPU was busy, as its agent reports over OTLP; gone three minutes after the last report.";
    SCALE = "genai_scale_recommendation" ["reason"]
        "Load over what is planned for, by signal: above 1 for more instances. all: the highest that more instances help; error_rate is not in it.";
    ANOMALY = "genai_anomaly_score" ["signal", "name"]
        "How far the newest 30 values lie above the 100 before them that are usual: standard deviations of their median, of logarithms. signal: request_duration by pipeline, call_duration and call_tokens by model. Gone 15 minutes after the last value.";
    MATCHES = "genai_matches_total" ["framework", "result"]
        "Requests that say whether they found a match.";
    FALLBACKS = "genai_fallbacks_total" ["framework", "result"]
        "Requests that say whether they had to use a fallback answer.";
    ERRORS = "genai_errors_total" ["stage", "class", "severity", "alerts", "service"]
        "Counted model calls, speech events, counted retrievals and parses that failed, by what the error means. alerts: no for what people do on purpose.";
    CONFIDENCE = "genai_confidence" []
        "Confidence of the requests that state one, 0 to 1.";
    SIMILARITY = "genai_similarity_score" []
        "Best similarity of each retrieval's hits. Distances are not in it.";
    RETRIEVALS = "genai_retrievals_total" ["result"]
        "Counted retrievals. unknown: the span does not say how many hits there were.";
    RERANK = "genai_rerank_total" []
        "Counted retrievals that reranked their hits.";
    CACHE_LOOKUPS = "genai_cache_lookups_total" ["cache", "result"]
        "Looks into a cache.";
    JSON_PARSE = "genai_json_parse_total" ["result"]
        "Parses of a model's JSON answer. repaired: it parsed after a repair.";
    STT_AUDIO = "genai_stt_audio_seconds_total" ["provider", "model"]
        "Seconds of audio in billed transcriptions.";
    STT_FACTOR = "genai_stt_real_time_factor" ["provider", "model"]
        "Seconds of work for a second of audio, of billed transcriptions. Under 1 keeps up with speech.";
    REPORTED_TOKENS = "genai_reported_tokens_total" ["type", "model", "service"]
        "Tokens that apps report in their own gen_ai.client.token.usage. Spans report the same tokens: never add to genai_tokens_total.";
    REPORTED_OPERATIONS = "genai_reported_operations_total" ["model", "service"]
        "Operations that apps report in their own gen_ai.client.operation.duration. Spans report the same calls: never add to genai_calls_total.";
    REPORTED_SECONDS = "genai_reported_operation_seconds_total" ["model", "service"]
        "Seconds that apps report in their own gen_ai.client.operation.duration. Spans report the same time: never add to gen_ai_client_operation_duration_seconds.";
    SERVICE_RECORDS = "spanledger_service_records_total" ["service"]
        "Calls, requests, retrievals and other records by the service that sent them: who sends, and who fell silent.";
    RECOUNTED = "spanledger_recounted_calls_total" ["to"]
        "Model calls whose counting changed after the metrics had seen them. Counters can't be taken back: not_counted is in the metrics and no longer in the ledger's sums, counted is the reverse.";
    METRICS_DROPPED = "spanledger_metrics_dropped_total" ["reason"]
        "Data points of apps' metrics that are not shown. not_genai: not about model calls; unsupported: can't be read, is not one of the metrics shown, or exceeds the series that are remembered.";
    LABELS_FOLDED = "spanledger_labels_folded_total" ["label"]
        "Label values replaced by __other__ since the label had used up its budget. combination: each value was within budget but the metric had too many series.";
}

/// Labels whose values come from outside; all others have a few fixed values.
pub const FREE_LABELS: &[&str] = &[
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "service_name",
    "error_type",
    "provider",
    "model",
    "service",
    "operation",
    "pipeline",
    "framework",
    "cache",
    "name",
];

/// Buckets of durations, as the GenAI conventions advise, and two more: agents exceed 81.92 s.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68,
];

/// Buckets of requests and their stages. Every level that the shipped alerts and dashboards compare
/// a percentile with is an edge: "p95 above 45 s" is then told exactly, not interpolated.
pub const REQUEST_BUCKETS: &[f64] = &[
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0,
    120.0, 300.0,
];

/// Buckets of token counts, as the GenAI conventions advise.
pub const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Buckets of the real-time factor.
pub const FACTOR_BUCKETS: &[f64] = &[0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0];
/// Buckets of scores from 0 to 1.
pub const SCORE_BUCKETS: &[f64] = &[
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, labels, help) in ALL {
            assert!(seen.insert(name), "{name} stands twice in the table");
            assert!(help.ends_with('.') && help.len() > 15, "{name}: {help}");
            assert!(
                ["gen_ai_client_", "genai_", "spanledger_"]
                    .iter()
                    .any(|p| name.starts_with(p)),
                "{name}"
            );
            for label in *labels {
                assert!(!["user", "session", "request", "trace"].iter().any(|id| {
                    label.starts_with(id) && (label.ends_with("_id") || label.ends_with("_hash"))
                }));
            }
            if name.starts_with("genai_reported_") {
                assert!(help.contains("never add to gen"), "{name}");
            }
        }
    }
}
