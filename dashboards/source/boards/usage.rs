//! Conversations, and who uses what. What people said is not shown: it is on the trace's page.

use crate::dashboards::{
    board::Board,
    panel::{A_MINUTE, COUNT, MILLIS, Panel, SHARE, TOKENS, USD, lines, stacked, stat, table},
    sql::{RANGE, calls, requests},
};

pub fn board() -> Board {
    Board::new(
        "usage",
        "Conversations, and who uses what. What people said is not here: open the trace.",
        "now-24h",
        "1m",
    )
    .row("Numbers", numbers())
    .row("Over time", over_time())
    .row("Conversations", conversations())
    .row("Who and what", breakdowns())
}

fn numbers() -> Vec<Panel> {
    let of_requests = |what: &str| {
        format!(
            "SELECT {what} AS \"value\" FROM pipeline_requests WHERE {}",
            requests(RANGE)
        )
    };
    let of_calls = |what: &str| {
        format!(
            "SELECT {what} AS \"value\" FROM llm_calls WHERE {}",
            calls(RANGE)
        )
    };
    vec![
        stat("Requests", "Requests, as their root spans saw them.")
            .unit(COUNT)
            .rows(of_requests("count(*)")),
        stat("Conversations", "Sessions with at least one request.")
            .unit(COUNT)
            .rows(of_requests("count(DISTINCT session_id)")),
        stat("Users", "Users with at least one request.")
            .unit(COUNT)
            .rows(of_requests("count(DISTINCT user_id)")),
        stat(
            "Requests a conversation",
            "Mean number of requests in a session.",
        )
        .unit(COUNT)
        .decimals(1)
        .rows(of_requests(
            "CAST(count(*) FILTER (WHERE session_id IS NOT NULL) AS double precision) \
             / nullif(count(DISTINCT session_id), 0)",
        )),
        stat(
            "Asked again",
            "Share of requests in which the answer was made again.",
        )
        .unit(SHARE)
        .more("quality")
        .rows(of_requests(
            "CAST(count(*) FILTER (WHERE regenerated) AS double precision) / nullif(count(*), 0)",
        )),
        stat(
            "Calls a request",
            "Mean number of counted model calls in a trace that has any.",
        )
        .unit(COUNT)
        .decimals(1)
        .rows(of_calls(
            "CAST(count(*) AS double precision) / nullif(count(DISTINCT trace_id), 0)",
        )),
        stat(
            "Streamed",
            "Share of the calls that are no embeddings and were streamed.",
        )
        .unit(SHARE)
        .rows(of_calls(
            "CAST(count(*) FILTER (WHERE streamed AND call_type <> 'embedding') AS double \
             precision) / nullif(count(*) FILTER (WHERE call_type <> 'embedding'), 0)",
        )),
        stat(
            "Time to first token p50",
            "Half of the streamed calls showed their first token within this time.",
        )
        .unit(MILLIS)
        .rows(of_calls(
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY ttft_ms)",
        )),
    ]
}

fn over_time() -> Vec<Panel> {
    vec![
        stacked("Requests by pipeline", "Requests a minute, by pipeline.")
            .unit(A_MINUTE)
            .prom(
                "{{pipeline}}",
                "sum by (pipeline) (rate(genai_requests_total{pipeline=~\"$pipeline\"}\
             [$__rate_interval])) * 60",
            ),
        lines(
            "Users and conversations",
            "Users and sessions with a request in each interval.",
        )
        .unit(COUNT)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), \
             count(DISTINCT user_id) AS \"users\", \
             count(DISTINCT session_id) AS \"conversations\" FROM pipeline_requests \
             WHERE {} GROUP BY 1 ORDER BY 1",
            requests(RANGE)
        )),
        stacked(
            "Calls by kind",
            "Counted model calls by kind: chat, rag_query, rag_synthesis, embedding, …",
        )
        .unit(COUNT)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), call_type AS metric, \
             count(*) AS calls FROM llm_calls WHERE {} GROUP BY 1, 2 ORDER BY 1",
            calls(RANGE)
        )),
        stacked("Calls by service", "Counted model calls by service.")
            .unit(COUNT)
            .rows(format!(
                "SELECT $__timeGroupAlias(started_at,$__interval), \
                 coalesce(service_name, 'unknown') AS metric, count(*) AS calls \
                 FROM llm_calls WHERE {} GROUP BY 1, 2 ORDER BY 1",
                calls(RANGE)
            )),
    ]
}

fn conversations() -> Vec<Panel> {
    vec![
        table(
            "Latest conversations",
            "Sessions, the most recent first, with their model calls. A click on a trace opens the \
             session's last one.",
        )
        .wide(24)
        .high(10)
        .column("cost", USD)
        .column("failed", SHARE)
        .trace("trace")
        .rows(format!(
            "SELECT session_id AS session, max(service_name) AS service, max(user_id) AS \
             \"user\", max(company_id) AS company, min(started_at) AS started, \
             max(started_at) AS last, count(DISTINCT trace_id) AS requests, count(*) AS calls, \
             sum(total_tokens) AS tokens, sum(estimated_cost) AS cost, \
             CAST(count(*) FILTER (WHERE status IN ('error', 'timeout')) AS double precision) \
             / count(*) AS failed, (array_agg(trace_id ORDER BY started_at DESC))[1] AS trace \
             FROM llm_calls WHERE {} AND session_id IS NOT NULL \
             GROUP BY session_id ORDER BY last DESC LIMIT 50",
            calls(RANGE)
        )),
    ]
}

fn breakdowns() -> Vec<Panel> {
    let by = |name: &str, column: &str| {
        format!(
            "SELECT coalesce({column}, 'unknown') AS \"{name}\", count(*) AS calls, \
             count(DISTINCT session_id) AS conversations, sum(total_tokens) AS tokens, \
             avg(latency_ms) AS mean, sum(estimated_cost) AS cost FROM llm_calls WHERE {} \
             GROUP BY 1 ORDER BY calls DESC LIMIT 50",
            calls(RANGE)
        )
    };
    let usage = |title, says, query: String| {
        table(title, says)
            .wide(8)
            .column("tokens", TOKENS)
            .column("mean", MILLIS)
            .column("cost", USD)
            .rows(query)
    };
    vec![
        usage(
            "By operation",
            "Counted calls by the app's own name of the operation, or by kind where it has none.",
            by("operation", "operation, call_type"),
        ),
        usage(
            "By model",
            "Counted calls by requested model.",
            by("model", "model"),
        ),
        usage(
            "By user",
            "The 50 users with most calls. One far ahead of all others may be a script.",
            by("user", "user_id"),
        ),
        usage(
            "By company",
            "The 50 companies with most calls.",
            by("company", "company_id"),
        ),
        usage(
            "By environment",
            "Counted calls by environment.",
            by("environment", "environment"),
        ),
        usage(
            "By instrumentation",
            "Counted calls by the dialect of their spans: which library exports them.",
            by("dialect", "dialect"),
        ),
    ]
}
