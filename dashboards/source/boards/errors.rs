//! What fails, and the traces to open.

use crate::dashboards::{
    board::Board,
    panel::{A_MINUTE, COUNT, MILLIS, Panel, SHARE, USD, lines, stacked, stat, table},
    sql::{RANGE, calls, pieces, requests, retrievals, speech},
};

pub fn board() -> Board {
    Board::new(
        "errors",
        "What fails, how often, since when, and the traces to open.",
        "now-6h",
        "30s",
    )
    .row("Reliability", reliability())
    .row("Over time", over_time())
    .row("What fails", breakdowns())
    .row("Traces", traces())
}

fn of(what: &str, among: &str) -> String {
    format!(
        "CAST(count(*) FILTER (WHERE {what}) AS double precision) \
         / nullif(count(*) FILTER (WHERE {among}), 0)"
    )
}

const FAILED: &str = "status IN ('error', 'timeout')";

fn reliability() -> Vec<Panel> {
    let one = |value: String, table: &str, when: String| {
        format!("SELECT {value} AS \"value\" FROM {table} WHERE {when}")
    };
    vec![
        stat(
            "Request error rate",
            "Share of requests that failed or ran out of time.",
        )
        .unit(SHARE)
        .goal("error_ratio")
        .wide(4)
        .rows(one(
            of(FAILED, "status <> 'pending'"),
            "pipeline_requests",
            requests(RANGE),
        )),
        stat(
            "Availability",
            "Share of requests that did not fail: what users saw. Whether Spanledger itself was up \
             is on its own board.",
        )
        .unit(SHARE)
        .decimals(2)
        .goal("availability_ratio")
        .wide(4)
        .rows(one(
            of("status IN ('success', 'cancelled')", "status <> 'pending'"),
            "pipeline_requests",
            requests(RANGE),
        )),
        stat(
            "Call error rate",
            "Share of model calls that failed or ran out of time; each try counts as a call, so \
             this is higher than what users see.",
        )
        .unit(SHARE)
        .goal("error_ratio")
        .wide(4)
        .rows(one(
            of(FAILED, "status <> 'pending'"),
            "llm_calls",
            calls(RANGE),
        )),
        stat(
            "Retry rate",
            "Share of model calls that were a retry, or were retried inside.",
        )
        .unit(SHARE)
        .goal("retry_ratio")
        .wide(4)
        .rows(one(
            of("retry_count > 0", "TRUE"),
            "llm_calls",
            calls(RANGE),
        )),
        stat("Timeout rate", "Share of model calls that ran out of time.")
            .unit(SHARE)
            .goal("timeout_ratio")
            .wide(4)
            .rows(one(
                of("status = 'timeout'", "status <> 'pending'"),
                "llm_calls",
                calls(RANGE),
            )),
        stat(
            "Critical errors",
            "Failed model calls whose error is critical: the provider is down, or refuses us.",
        )
        .unit(COUNT)
        .wide(4)
        .rows(one(
            "count(*) FILTER (WHERE error_severity = 'critical')".into(),
            "llm_calls",
            calls(RANGE),
        )),
    ]
}

fn over_time() -> Vec<Panel> {
    let failed = "gen_ai_client_operation_duration_seconds_count{error_type!=\"\", \
                  service_name=~\"$service\", gen_ai_request_model=~\"$model\"}";
    vec![
        lines(
            "Error rate of requests",
            "Share of requests that failed or ran out of time, by pipeline.",
        )
        .unit(SHARE)
        .goal("error_ratio")
        .prom(
            "{{pipeline}}",
            "sum by (pipeline) (rate(genai_requests_total{status=~\"error|timeout\", \
             pipeline=~\"$pipeline\"}[$__rate_interval])) / sum by (pipeline) \
             (rate(genai_requests_total{pipeline=~\"$pipeline\"}[$__rate_interval]))",
        ),
        stacked(
            "Failures by what they mean",
            "Failed model calls, searches, parses and transcriptions a minute, by class of error \
             and how bad it is. What people do on purpose is left out.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{class}} ({{severity}})",
            "sum by (class, severity) (rate(genai_errors_total{alerts=\"yes\", \
             service=~\"$service\"}[$__rate_interval])) * 60",
        ),
        stacked("Failures by stage", "The same by stage of the request.")
            .unit(A_MINUTE)
            .prom(
                "{{stage}}",
                "sum by (stage) (rate(genai_errors_total{alerts=\"yes\", \
             service=~\"$service\"}[$__rate_interval])) * 60",
            ),
        stacked(
            "Failed calls by error",
            "Failed model calls a minute, by class of error.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{error_type}}",
            format!("sum by (error_type) (rate({failed}[$__rate_interval])) * 60"),
        ),
        stacked(
            "Failed calls by model",
            "Failed model calls a minute, by requested model.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{gen_ai_request_model}}",
            format!("sum by (gen_ai_request_model) (rate({failed}[$__rate_interval])) * 60"),
        ),
        stacked(
            "Retries and timeouts",
            "Retries of model calls, and calls that ran out of time, a minute.",
        )
        .unit(A_MINUTE)
        .prom(
            "retries",
            "sum(rate(genai_retries_total[$__rate_interval])) * 60",
        )
        .prom(
            "timeouts",
            "sum(rate(genai_timeouts_total[$__rate_interval])) * 60",
        ),
    ]
}

fn breakdowns() -> Vec<Panel> {
    vec![
        table(
            "Most frequent errors",
            "Everything that failed, the most frequent first: model calls, retrievals, JSON \
             parses, transcriptions. A click on a trace opens one of them.",
        )
        .wide(16)
        .column("share", SHARE)
        .trace("trace")
        .rows(format!(
            "SELECT what, error, max(severity) AS severity, count(*) AS errors, \
             CAST(count(*) / sum(count(*)) OVER () AS double precision) AS share, \
             count(DISTINCT service) AS services, min(started_at) AS first, \
             max(started_at) AS last, max(trace_id) AS trace FROM (\
             SELECT 'model call' AS what, coalesce(error_type, 'unknown') AS error, \
             error_severity AS severity, service_name AS service, started_at, trace_id \
             FROM llm_calls WHERE {} AND {FAILED} \
             UNION ALL SELECT 'retrieval', coalesce(error_type, 'unknown'), NULL, service_name, \
             started_at, trace_id FROM retrievals WHERE {} AND {FAILED} \
             UNION ALL SELECT 'JSON parse', coalesce(error_type, 'unknown'), NULL, service_name, \
             started_at, trace_id FROM json_parses WHERE {} AND NOT success \
             UNION ALL SELECT 'speech to text', coalesce(error_type, 'unknown'), NULL, \
             service_name, started_at, trace_id FROM stt_logs WHERE {} AND event_type = 'error' \
             AND chunk_index IS NULL) AS failed \
             GROUP BY 1, 2 ORDER BY errors DESC LIMIT 20",
            calls(RANGE),
            retrievals(RANGE),
            pieces(RANGE),
            speech(RANGE)
        )),
        table(
            "Calls by service and model",
            "Where model calls fail. timeouts and retries are shares of the calls.",
        )
        .wide(8)
        .column_goal("failed", SHARE, "error_ratio")
        .column_goal("timeouts", SHARE, "timeout_ratio")
        .column_goal("retries", SHARE, "retry_ratio")
        .rows(format!(
            "SELECT coalesce(service_name, 'unknown') AS service, \
             coalesce(model, 'unknown') AS model, count(*) AS calls, {} AS failed, \
             {} AS timeouts, {} AS retries FROM llm_calls WHERE {} \
             GROUP BY 1, 2 ORDER BY failed DESC NULLS LAST, calls DESC LIMIT 50",
            of(FAILED, "TRUE"),
            of("status = 'timeout'", "TRUE"),
            of("retry_count > 0", "TRUE"),
            calls(RANGE)
        )),
    ]
}

fn traces() -> Vec<Panel> {
    vec![
        table(
            "Failed calls",
            "The last 50 model calls that failed. A click on a trace opens it.",
        )
        .wide(24)
        .column("took", MILLIS)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, \
             coalesce(operation, call_type) AS operation, provider, model, status, \
             error_type AS error, error_severity AS severity, \
             left(error_message, 160) AS message, retry_count AS retry, latency_ms AS took, \
             user_id AS \"user\" FROM llm_calls WHERE {} AND {FAILED} \
             ORDER BY started_at DESC LIMIT 50",
            calls(RANGE)
        )),
        table(
            "Failed requests",
            "The last 50 requests that failed. A click on a trace opens it.",
        )
        .column("took", MILLIS)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, pipeline, \
             status, error_type AS error, timed_out AS \"timed out\", fallback AS \"fell back\", \
             latency_ms AS took FROM pipeline_requests WHERE {} AND {FAILED} \
             ORDER BY started_at DESC LIMIT 50",
            requests(RANGE)
        )),
        table(
            "Latest calls",
            "The last 50 model calls, whatever became of them. A click on a trace opens it.",
        )
        .column("took", MILLIS)
        .column("cost", USD)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, model, \
             status, prompt_tokens AS input, completion_tokens AS output, estimated_cost AS cost, \
             latency_ms AS took FROM llm_calls WHERE {} ORDER BY started_at DESC LIMIT 50",
            calls(RANGE)
        )),
    ]
}
