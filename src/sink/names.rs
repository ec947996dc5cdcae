//! Every metric that records become: name and help. Where the GenAI conventions define one, its
//! Prometheus name (`gen_ai_…`); what they don't define starts with `genai_`.

/// (name, help)
pub(super) type Metric = (&'static str, &'static str);

pub(super) const OPERATION_SECONDS: Metric = (
    "gen_ai_client_operation_duration_seconds",
    "Duration of counted model calls.",
);
pub(super) const TOKEN_USAGE: Metric = (
    "gen_ai_client_token_usage",
    "Tokens of counted model calls, a call at a time.",
);
pub(super) const FIRST_CHUNK_SECONDS: Metric = (
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "Time from the request to the first piece of a streamed answer.",
);
pub(super) const TOKENS: Metric = (
    "genai_tokens_total",
    "Tokens of counted calls. input holds cache_read and cache_write; output holds reasoning.",
);
pub(super) const CALLS: Metric = ("genai_calls_total", "Counted model calls.");
pub(super) const NOT_COUNTED: Metric = (
    "genai_not_counted_total",
    "Spans that describe a call which another span stands for.",
);
pub(super) const COST: Metric = (
    "genai_cost_usd_total",
    "Cost in USD of counted calls and billed speech, where priced.",
);
pub(super) const UNPRICED: Metric = (
    "genai_unpriced_calls_total",
    "Counted calls without a price; their cost is unknown.",
);
pub(super) const RETRIES: Metric = (
    "genai_retries_total",
    "Retries inside calls, and requests that repeat a failed call.",
);
pub(super) const TIMEOUTS: Metric = ("genai_timeouts_total", "Calls that ran out of time.");
pub(super) const STAGE_SECONDS: Metric = (
    "genai_stage_duration_seconds",
    "Duration of a request's stages.",
);
pub(super) const REQUESTS: Metric = (
    "genai_requests_total",
    "Requests, as their root spans saw them.",
);
pub(super) const REQUEST_SECONDS: Metric =
    ("genai_request_duration_seconds", "Duration of requests.");
pub(super) const RETRIEVALS: Metric = (
    "genai_retrievals_total",
    "Vector searches by what they found.",
);
pub(super) const RERANKS: Metric = ("genai_rerank_total", "Reranks.");
pub(super) const CACHE_LOOKUPS: Metric = ("genai_cache_lookups_total", "Looks into caches.");
pub(super) const JSON_PARSES: Metric = ("genai_json_parse_total", "Parses of models' answers.");
pub(super) const CONFIDENCE: Metric = ("genai_confidence", "Confidence of requests, 0 to 1.");
pub(super) const SIMILARITY: Metric = (
    "genai_similarity_score",
    "Best score of searches whose scores are similarities.",
);
pub(super) const AUDIO_SECONDS: Metric = (
    "genai_stt_audio_seconds_total",
    "Seconds of audio transcribed and billed.",
);
pub(super) const REPORTED_TOKENS: Metric = (
    "genai_reported_tokens_total",
    "Tokens as apps report them in metrics of their own. The same tokens as in genai_tokens_total: never add the two.",
);
pub(super) const REPORTED_OPERATIONS: Metric = (
    "genai_reported_operations_total",
    "Operations as apps report them in metrics of their own. The same as in genai_calls_total: never add the two.",
);
pub(super) const REPORTED_SECONDS: Metric = (
    "genai_reported_operation_seconds_total",
    "Time of operations as apps report it in metrics of their own.",
);
pub(super) const RECOUNTED: Metric = (
    "spanledger_recounted_calls_total",
    "Calls whose verdict changed after the counters had taken them: the rows are right, the counters are off by as much.",
);
pub(super) const METRICS_DROPPED: Metric = (
    "spanledger_metrics_dropped_total",
    "Metric data points received that nothing here has use for.",
);
pub(super) const LABELS_FOLDED: Metric = (
    "spanledger_labels_folded_total",
    "Label values beyond their budget, shown as __other__.",
);
