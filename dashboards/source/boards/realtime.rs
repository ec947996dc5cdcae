//! What happens now: mostly Prometheus, which goes on while the store is down.

use crate::dashboards::{
    board::Board,
    panel::{
        A_MINUTE, COUNT, DEVIATIONS, MILLIS, Panel, SECONDS, SHARE, TOKENS, TOKENS_A_SECOND, USD,
        USD_AN_HOUR, bars, gauges, heatmap, lines, stacked, stat, table,
    },
    sql::{FIVE_MINUTES, RANGE, TODAY, calls, requests, spent},
};

/// Duration of model calls, by what the variables choose.
const CALL_SECONDS: &str = "gen_ai_client_operation_duration_seconds_bucket{\
    gen_ai_operation_name=\"chat\", service_name=~\"$service\", gen_ai_request_model=~\"$model\"}";

/// Duration of requests, by what the variable chooses.
const REQUEST_SECONDS: &str = "genai_request_duration_seconds_bucket{pipeline=~\"$pipeline\"}";

pub fn board() -> Board {
    Board::new(
        "realtime",
        "What happens now. For on-call people: start here, then follow the links.",
        "now-1h",
        "15s",
    )
    .row("Now", now())
    .row("Last five minutes", five_minutes())
    .row("Response time", response_time())
    .row("Where the time goes", stages())
    .row("Traffic", traffic())
    .row("Models and requests", latest())
}

fn quantile(q: f64, series: &str, window: &str, by: &str) -> String {
    format!("histogram_quantile({q}, sum by (le{by}) (rate({series}[{window}])))")
}

fn now() -> Vec<Panel> {
    vec![
        stat(
            "Response time p95",
            "95 of 100 requests of the last 5 minutes took at most this long. Exact at the levels, \
             interpolated between; the table below is exact.",
        )
        .unit(SECONDS)
        .goal("response_time_p95_seconds")
        .none("no requests")
        .prom("p95", quantile(0.95, REQUEST_SECONDS, "5m", "")),
        stat(
            "Response time p99",
            "99 of 100 requests of the last 5 minutes took at most this long. Exact at the levels, \
             interpolated between.",
        )
        .unit(SECONDS)
        .goal("response_time_p99_seconds")
        .none("no requests")
        .prom("p99", quantile(0.99, REQUEST_SECONDS, "5m", "")),
        stat(
            "Requests",
            "Requests a minute, over the last 5 minutes. Low is only bad where there should be \
             traffic.",
        )
        .unit(A_MINUTE)
        .decimals(1)
        .goal("requests_per_minute")
        .prom("requests", "sum(rate(genai_requests_total{pipeline=~\"$pipeline\"}[5m])) * 60"),
        stat(
            "Error rate",
            "Share of the requests of the last 5 minutes that failed or ran out of time.",
        )
        .unit(SHARE)
        .goal("error_ratio")
        .none("no requests")
        .more("errors")
        .prom(
            "error rate",
            "(sum(rate(genai_requests_total{status=~\"error|timeout\", \
             pipeline=~\"$pipeline\"}[5m])) or vector(0)) \
             / (sum(rate(genai_requests_total{pipeline=~\"$pipeline\"}[5m])) > 0)",
        ),
        stat(
            "LLM call p95",
            "95 of 100 chat calls of the last 5 minutes took at most this long, interpolated between \
             the edges of the histogram (10, 20, 41, 82 s): the table of models is exact.",
        )
        .unit(SECONDS)
        .goal("model_call_seconds")
        .none("no calls")
        .prom("p95", quantile(0.95, CALL_SECONDS, "5m", "")),
        stat(
            "Tokens today",
            "Input and output tokens of counted calls since midnight UTC. Cached input and \
             reasoning are in it.",
        )
        .unit(TOKENS)
        .goal("tokens_per_day")
        .more("cost")
        .rows(format!(
            "SELECT coalesce(sum(prompt_tokens), 0) + coalesce(sum(completion_tokens), 0) AS \
             tokens FROM llm_calls WHERE {}",
            calls(TODAY)
        )),
        stat(
            "Cost today",
            "Cost of counted calls and transcriptions since midnight UTC, by the price table. \
             Calls without a price are not in it: see Cost.",
        )
        .unit(USD)
        .decimals(2)
        .goal("cost_usd_per_day")
        .more("cost")
        .rows(format!(
            "SELECT coalesce(sum(cost), 0) AS cost FROM {}",
            spent(TODAY)
        )),
        stat(
            "Alerts firing",
            "Alerts that fire in Prometheus now, without the Watchdog that always fires.",
        )
        .unit(COUNT)
        .prom(
            "alerts",
            "count(ALERTS{alertstate=\"firing\", alertname!=\"Watchdog\"}) or vector(0)",
        ),
    ]
}

fn five_minutes() -> Vec<Panel> {
    let counted = |series: &str| format!("round(sum(increase({series}[5m]))) or vector(0)");
    vec![
        stat(
            "Requests of the last 5 minutes",
            "Requests, those that went well and those that failed or ran out of time; retries and \
             timeouts of the model calls of all pipelines. Live, so a series' very first event \
             may be missing: the table beside it is exact.",
        )
        .unit(COUNT)
        .wide(10)
        .high(6)
        .prom(
            "requests",
            counted("genai_requests_total{pipeline=~\"$pipeline\"}"),
        )
        .prom(
            "ok",
            counted("genai_requests_total{status=\"success\", pipeline=~\"$pipeline\"}"),
        )
        .prom(
            "failed",
            counted("genai_requests_total{status=~\"error|timeout\", pipeline=~\"$pipeline\"}"),
        )
        .prom("retries", counted("genai_retries_total"))
        .prom("timeouts", counted("genai_timeouts_total")),
        table(
            "The same by service",
            "Exact counts of the requests that began in the last 5 minutes and have ended, and of \
             the model calls in that time that were retries or ran out of time.",
        )
        .wide(14)
        .high(6)
        .column_goal("p95", MILLIS, "response_time_p95_seconds")
        .rows(format!(
            "WITH asked AS (SELECT coalesce(service_name, 'unknown') AS service, \
             count(*) AS requests, count(*) FILTER (WHERE status = 'success') AS ok, \
             count(*) FILTER (WHERE status IN ('error', 'timeout')) AS failed, \
             percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95 \
             FROM pipeline_requests WHERE {} GROUP BY 1), \
             called AS (SELECT coalesce(service_name, 'unknown') AS service, \
             count(*) AS calls, count(*) FILTER (WHERE retry_count > 0) AS retries, \
             count(*) FILTER (WHERE status = 'timeout') AS timeouts \
             FROM llm_calls WHERE {} GROUP BY 1) \
             SELECT service, requests, ok, failed, calls, retries, timeouts, p95 \
             FROM asked FULL JOIN called USING (service) ORDER BY requests DESC NULLS LAST \
             LIMIT 50",
            requests(FIVE_MINUTES),
            calls(FIVE_MINUTES)
        )),
    ]
}

fn response_time() -> Vec<Panel> {
    let every = "$__rate_interval";
    vec![
        lines(
            "Response time",
            "Duration of requests as their root spans saw them: half of them, 95 and 99 of 100 \
             took at most this long.",
        )
        .unit(SECONDS)
        .goal("response_time_p95_seconds")
        .prom("p50", quantile(0.5, REQUEST_SECONDS, every, ""))
        .prom("p95", quantile(0.95, REQUEST_SECONDS, every, ""))
        .prom("p99", quantile(0.99, REQUEST_SECONDS, every, "")),
        heatmap(
            "How long requests take",
            "Requests by duration: two bands mean two kinds of requests, which no percentile shows.",
        )
        .unit(SECONDS)
        .prom(
            "{{le}}",
            "sum by (le) (increase(genai_request_duration_seconds_bucket{pipeline=~\"$pipeline\"}\
             [$__rate_interval]))",
        ),
        lines(
            "LLM call p95 by model",
            "95 of 100 chat calls took at most this long.",
        )
        .unit(SECONDS)
        .goal("model_call_seconds")
        .prom(
            "{{gen_ai_request_model}}",
            quantile(0.95, CALL_SECONDS, every, ", gen_ai_request_model"),
        ),
        lines(
            "Time to first token p95 by model",
            "95 of 100 streamed calls showed the first chunk of their answer within this time.",
        )
        .unit(SECONDS)
        .prom(
            "{{gen_ai_request_model}}",
            quantile(
                0.95,
                "gen_ai_client_operation_time_to_first_chunk_seconds_bucket{\
                 service_name=~\"$service\", gen_ai_request_model=~\"$model\"}",
                every,
                ", gen_ai_request_model",
            ),
        ),
        lines(
            "Anomaly score",
            "How far the newest 30 response times of a pipeline, and the newest 30 durations and \
             token counts of a model's calls, lie above what was usual for it in the last hours. \
             Negative is below. Nothing before 130 values.",
        )
        .unit(DEVIATIONS)
        .goal("anomaly_score")
        .wide(24)
        .none("too little is known")
        .prom(
            "{{signal}} {{name}}",
            "max by (signal, name) (genai_anomaly_score{signal=\"request_duration\", \
             name=~\"$pipeline\"})",
        )
        .prom(
            "{{signal}} {{name}}",
            "max by (signal, name) (genai_anomaly_score{signal=~\"call_duration|call_tokens\", \
             name=~\"$model\"})",
        ),
    ]
}

fn stages() -> Vec<Panel> {
    let stage = "genai_stage_duration_seconds_bucket";
    let mean =
        |column: &str, name: &str| format!("coalesce(sum({column}), 0) / count(*) AS \"{name}\"");
    let columns = [
        mean("embedding_ms", "embedding"),
        mean("vector_search_ms", "vector search"),
        mean("rerank_ms", "rerank"),
        mean("llm_ms", "LLM"),
        mean("json_parsing_ms", "JSON parsing"),
        mean("stt_ms", "speech to text"),
    ];
    let stages = "coalesce(embedding_ms, 0) + coalesce(vector_search_ms, 0) \
                  + coalesce(rerank_ms, 0) + coalesce(llm_ms, 0) + coalesce(json_parsing_ms, 0) \
                  + coalesce(stt_ms, 0)";
    vec![
        bars(
            "Stages of the mean request, by pipeline",
            "A request from left to right: the mean time of each stage, in the order in which they \
             run, and what no stage explains. Stages that run side by side add up to more than \
             the request took; then nothing is left over.",
        )
        .unit(MILLIS)
        .decimals(0)
        .rows(format!(
            "SELECT coalesce(pipeline, 'unknown') AS pipeline, {}, \
             coalesce(sum(greatest(0, latency_ms - ({stages}))), 0) / count(*) AS \"other\" \
             FROM pipeline_requests WHERE {} GROUP BY 1 ORDER BY sum(latency_ms) DESC LIMIT 10",
            columns.join(", "),
            requests(RANGE)
        )),
        gauges(
            "Stage p95",
            "95 of 100 pieces of work of a stage took at most this long in the last 5 minutes.",
        )
        .unit(SECONDS)
        .column_goal("embedding", SECONDS, "embedding_seconds")
        .column_goal("vector_search", SECONDS, "vector_search_seconds")
        .column_goal("llm", SECONDS, "model_call_seconds")
        .prom("{{stage}}", quantile(0.95, stage, "5m", ", stage")),
        lines(
            "Stage p95 over time",
            "95 of 100 pieces of work of a stage took at most this long.",
        )
        .unit(SECONDS)
        .wide(24)
        .prom(
            "{{stage}}",
            quantile(0.95, stage, "$__rate_interval", ", stage"),
        ),
    ]
}

fn traffic() -> Vec<Panel> {
    vec![
        stacked(
            "Requests by outcome",
            "Requests a minute, by how they ended.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{status}}",
            "sum by (status) (rate(genai_requests_total{pipeline=~\"$pipeline\"}\
                 [$__rate_interval])) * 60",
        ),
        stacked(
            "Calls by model",
            "Counted model calls a minute, embeddings included.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{model}}",
            "sum by (model) (rate(genai_calls_total{service=~\"$service\", \
             model=~\"$model\"}[$__rate_interval])) * 60",
        ),
        stacked(
            "Tokens",
            "Input and output tokens a minute of counted calls.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{type}}",
            "sum by (type) (rate(genai_tokens_total{type=~\"input|output\", \
             service=~\"$service\", model=~\"$model\"}[$__rate_interval])) * 60",
        ),
        stacked(
            "Cost by model",
            "What an hour costs at the pace of the moment. Calls without a price are not in it.",
        )
        .unit(USD_AN_HOUR)
        .prom(
            "{{model}}",
            "sum by (model) (rate(genai_cost_usd_total{service=~\"$service\", \
             model=~\"$model\"}[$__rate_interval])) * 3600",
        ),
    ]
}

fn latest() -> Vec<Panel> {
    let columns = "trace_id AS trace, started_at AS started, service_name AS service, pipeline, \
                   status, latency_ms AS took, tokens, cost";
    let of = |order: &str| {
        format!(
            "SELECT {columns} FROM pipeline_requests WHERE {} ORDER BY {order} LIMIT 20",
            requests(RANGE)
        )
    };
    vec![
        table(
            "Models",
            "Model calls by model, exact: how many ended well, how long they took (mean, half of them, \
             95 of 100), when the first token came, how quickly the answer was written.",
        )
        .wide(24)
        .column_goal("ok", SHARE, "model_call_success_ratio")
        .column("mean", MILLIS)
        .column("p50", MILLIS)
        .column_goal("p95", MILLIS, "model_call_seconds")
        .column("first token p50", MILLIS)
        .column("output", TOKENS_A_SECOND)
        .rows(format!(
            "SELECT coalesce(provider, 'unknown') AS provider, coalesce(model, 'unknown') AS \
             model, count(*) AS calls, CAST(count(*) FILTER (WHERE status = 'success') AS double \
             precision) / nullif(count(*) FILTER (WHERE status <> 'pending'), 0) AS ok, \
             avg(latency_ms) AS mean, \
             percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50, \
             percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95, \
             percentile_cont(0.5) WITHIN GROUP (ORDER BY ttft_ms) AS \"first token p50\", \
             1000 * sum(completion_tokens) / nullif(sum(latency_ms) \
             FILTER (WHERE completion_tokens > 0), 0) AS output \
             FROM llm_calls WHERE {} GROUP BY 1, 2 ORDER BY calls DESC LIMIT 50",
            calls(RANGE)
        )),
        table(
            "Latest requests",
            "The last 20. A click on a trace opens it.",
        )
        .column("took", MILLIS)
        .column("cost", USD)
        .trace("trace")
        .rows(of("started_at DESC")),
        table(
            "Slowest requests",
            "The 20 that took longest. A click on a trace opens it.",
        )
        .column("took", MILLIS)
        .column("cost", USD)
        .trace("trace")
        .rows(of("latency_ms DESC NULLS LAST")),
    ]
}
