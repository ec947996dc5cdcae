//! How good the answers are.

use crate::dashboards::{
    board::Board,
    panel::{
        A_MINUTE, COUNT, MILLIS, Panel, SCORE, SHARE, USD, gauges, heatmap, lines, stacked, stat,
        table,
    },
    sql::{RANGE, calls, pieces, requests, retrievals},
};

pub fn board() -> Board {
    Board::new(
        "quality",
        "How good the answers are: matches, confidence, JSON, fallbacks, retrieval, caches.",
        "now-24h",
        "1m",
    )
    .row("Goals", goals_row())
    .row("Over time", over_time())
    .row("By framework", by_framework())
    .row("Retrieval and caches", retrieval())
    .row("Answers", answers())
}

/// A share of rows, unknown where none say it.
fn share(of: &str, among: &str) -> String {
    format!(
        "CAST(count(*) FILTER (WHERE {of}) AS double precision) \
         / nullif(count(*) FILTER (WHERE {among}), 0)"
    )
}

fn goals_row() -> Vec<Panel> {
    let one = |of: String, from: &str, when: String| {
        format!("SELECT {of} AS \"value\" FROM {from} WHERE {when}")
    };
    vec![
        stat(
            "Match rate",
            "Share of requests that found a match, of those that say whether they did.",
        )
        .unit(SHARE)
        .goal("match_ratio")
        .rows(one(
            share("matched", "matched IS NOT NULL"),
            "pipeline_requests",
            requests(RANGE),
        )),
        stat(
            "Mean confidence",
            "Mean of the requests that state how sure they are.",
        )
        .unit(SCORE)
        .decimals(2)
        .goal("confidence_mean")
        .rows(one(
            "avg(confidence)".into(),
            "pipeline_requests",
            requests(RANGE),
        )),
        stat(
            "JSON parse rate",
            "Share of parses of a model's JSON that succeeded, after a repair or without.",
        )
        .unit(SHARE)
        .goal("json_parse_ratio")
        .rows(one(
            share("success", "success IS NOT NULL"),
            "json_parses",
            pieces(RANGE),
        )),
        stat(
            "Fallback rate",
            "Share of requests that used a fallback answer, of those that say whether they did.",
        )
        .unit(SHARE)
        .goal("fallback_ratio")
        .rows(one(
            share("fallback", "fallback IS NOT NULL"),
            "pipeline_requests",
            requests(RANGE),
        )),
        stat(
            "LLM success rate",
            "Share of model calls that ended well. Each try counts as a call.",
        )
        .unit(SHARE)
        .goal("model_call_success_ratio")
        .more("errors")
        .rows(one(
            share("status = 'success'", "status <> 'pending'"),
            "llm_calls",
            calls(RANGE),
        )),
        stat(
            "RAG hit rate",
            "Share of searches with at least one hit, of those that say how many they had. \
             Reranks are no searches.",
        )
        .unit(SHARE)
        .goal("retrieval_hit_ratio")
        .rows(one(
            share("hits > 0", "hits IS NOT NULL"),
            "retrievals",
            format!("{} AND rerank_model IS NULL", retrievals(RANGE)),
        )),
        stat(
            "Rerank use",
            "Share of requests with a search that also reranked its hits.",
        )
        .unit(SHARE)
        .rows(format!(
            "SELECT CAST(count(*) FILTER (WHERE reranked) AS double precision) \
             / nullif(count(*), 0) AS \"value\" FROM (SELECT bool_or(rerank_model IS NOT NULL OR \
             rerank_enabled IS TRUE) AS reranked FROM retrievals WHERE {} \
             GROUP BY trace_id) AS searched",
            retrievals(RANGE)
        )),
        stat(
            "Cache hit rate",
            "Share of looks into the apps' own caches that found something. The provider's prompt \
             cache is on the board Cost.",
        )
        .unit(SHARE)
        .rows(one(
            share("hit", "hit IS NOT NULL"),
            "cache_lookups",
            pieces(RANGE),
        )),
    ]
}

fn over_time() -> Vec<Panel> {
    vec![
        lines(
            "Matches, fallbacks, confidence",
            "Share of requests that matched, share that fell back, and mean confidence.",
        )
        .unit(SHARE)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), {} AS \"matched\", {} AS \
             \"fell back\", avg(confidence) AS \"confidence\" FROM pipeline_requests WHERE {} \
             GROUP BY 1 ORDER BY 1",
            share("matched", "matched IS NOT NULL"),
            share("fallback", "fallback IS NOT NULL"),
            requests(RANGE)
        )),
        lines(
            "Matches by framework",
            "Share of requests that found a match, of those that say whether they did.",
        )
        .unit(SHARE)
        .goal("match_ratio")
        .prom(
            "{{framework}}",
            "sum by (framework) (rate(genai_matches_total{result=\"matched\"}[$__rate_interval])) \
             / sum by (framework) (rate(genai_matches_total[$__rate_interval]))",
        ),
        lines(
            "Fallbacks by framework",
            "Share of requests that used a fallback answer, of those that say whether they did.",
        )
        .unit(SHARE)
        .goal("fallback_ratio")
        .prom(
            "{{framework}}",
            "sum by (framework) (rate(genai_fallbacks_total{result=\"used\"}[$__rate_interval])) \
             / sum by (framework) (rate(genai_fallbacks_total[$__rate_interval]))",
        ),
        stacked(
            "JSON parses",
            "Parses of a model's JSON a minute: success, after a repair, failure.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{result}}",
            "sum by (result) (rate(genai_json_parse_total[$__rate_interval])) * 60",
        ),
        stacked(
            "Retrievals",
            "Searches and reranks a minute: with hits, without, failed, or without a word on hits.",
        )
        .unit(A_MINUTE)
        .prom(
            "{{result}}",
            "sum by (result) (rate(genai_retrievals_total[$__rate_interval])) * 60",
        ),
        lines(
            "Cache hit rate by cache",
            "Share of looks into each of the apps' caches that found something.",
        )
        .unit(SHARE)
        .prom(
            "{{cache}}",
            "sum by (cache) (rate(genai_cache_lookups_total{result=\"hit\"}[$__rate_interval])) \
             / sum by (cache) (rate(genai_cache_lookups_total[$__rate_interval]))",
        ),
    ]
}

fn by_framework() -> Vec<Panel> {
    vec![
        table(
            "By framework",
            "Requests by the standard or framework they are for. regenerated: the answer was asked \
             for once more.",
        )
        .wide(16)
        .column_goal("matched", SHARE, "match_ratio")
        .column_goal("confidence", SCORE, "confidence_mean")
        .column_goal("fell back", SHARE, "fallback_ratio")
        .column_goal("failed", SHARE, "error_ratio")
        .column("regenerated", SHARE)
        .column("p95", MILLIS)
        .column("cost each", USD)
        .rows(format!(
            "SELECT coalesce(framework, 'none') AS framework, count(*) AS requests, \
             {} AS matched, avg(confidence) AS confidence, {} AS \"fell back\", \
             {} AS failed, {} AS regenerated, \
             percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95, \
             avg(cost) AS \"cost each\" FROM pipeline_requests WHERE {} \
             GROUP BY 1 ORDER BY requests DESC LIMIT 50",
            share("matched", "matched IS NOT NULL"),
            share("fallback", "fallback IS NOT NULL"),
            share("status IN ('error', 'timeout')", "TRUE"),
            share("regenerated", "TRUE"),
            requests(RANGE)
        )),
        gauges(
            "Share of matches",
            "How the requests that found a match divide among the frameworks.",
        )
        .unit(SHARE)
        .decimals(0)
        .rows(format!(
            "SELECT coalesce(framework, 'none') AS framework, \
             CAST(count(*) / sum(count(*)) OVER () AS double precision) AS share \
             FROM pipeline_requests WHERE {} AND matched \
             GROUP BY 1 ORDER BY share DESC LIMIT 15",
            requests(RANGE)
        )),
    ]
}

fn retrieval() -> Vec<Panel> {
    vec![
        table(
            "Searches by collection",
            "Vector searches. best score: mean over the searches of their best similarity; \
             distances are left out.",
        )
        .column("hit rate", SHARE)
        .column("best score", SCORE)
        .column_goal("p95", MILLIS, "vector_search_seconds")
        .rows(format!(
            "SELECT coalesce(collection_name, 'unknown') AS collection, \
             max(db_system) AS store, count(*) AS searches, {} AS \"hit rate\", \
             avg(hits) AS \"hits each\", \
             avg(best_score) FILTER (WHERE score_kind = 'similarity') AS \"best score\", \
             percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95 \
             FROM retrievals WHERE {} AND rerank_model IS NULL \
             GROUP BY 1 ORDER BY searches DESC LIMIT 50",
            share("hits > 0", "hits IS NOT NULL"),
            retrievals(RANGE)
        )),
        heatmap(
            "Best similarity of each retrieval",
            "Where the best hits lie between 0 (nothing in common) and 1 (the same).",
        )
        .unit(SCORE)
        .prom(
            "{{le}}",
            "sum by (le) (increase(genai_similarity_score_bucket[$__rate_interval]))",
        ),
        table(
            "Caches",
            "Looks into the apps' own caches, by service and cache.",
        )
        .column("hit rate", SHARE)
        .rows(format!(
            "SELECT coalesce(service_name, 'unknown') AS service, cache, count(*) AS looks, \
             {} AS \"hit rate\" FROM cache_lookups WHERE {} \
             GROUP BY 1, 2 ORDER BY looks DESC LIMIT 50",
            share("hit", "TRUE"),
            pieces(RANGE)
        )),
        table(
            "JSON parses by service",
            "repaired: parsed after mending; fell back: a fixed answer took its place.",
        )
        .column_goal("parsed", SHARE, "json_parse_ratio")
        .column("repaired", SHARE)
        .column("fell back", SHARE)
        .column("mean", MILLIS)
        .rows(format!(
            "SELECT coalesce(service_name, 'unknown') AS service, count(*) AS parses, \
             {} AS parsed, {} AS repaired, {} AS \"fell back\", \
             max(error_type) AS \"an error\", avg(latency_ms) AS mean \
             FROM json_parses WHERE {} GROUP BY 1 ORDER BY parses DESC LIMIT 50",
            share("success", "TRUE"),
            share("repaired", "repaired IS NOT NULL"),
            share("fallback", "fallback IS NOT NULL"),
            pieces(RANGE)
        )),
    ]
}

fn answers() -> Vec<Panel> {
    vec![
        stacked(
            "How answers end",
            "Counted calls by finish reason. length: cut off at the limit; content_filter: \
             withheld by the provider.",
        )
        .unit(COUNT)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), finish_reason AS metric, \
             count(*) AS calls FROM llm_calls WHERE {} AND finish_reason IS NOT NULL \
             GROUP BY 1, 2 ORDER BY 1",
            calls(RANGE)
        )),
        table(
            "Experiments",
            "Variants side by side. A difference between small numbers of requests means little.",
        )
        .column("matched", SHARE)
        .column("confidence", SCORE)
        .column("failed", SHARE)
        .column("regenerated", SHARE)
        .column("p50", MILLIS)
        .column("cost each", USD)
        .rows(format!(
            "SELECT experiment, coalesce(variant, 'unknown') AS variant, count(*) AS requests, \
             {} AS matched, avg(confidence) AS confidence, {} AS failed, {} AS regenerated, \
             percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50, \
             avg(cost) AS \"cost each\" FROM pipeline_requests WHERE {} \
             AND experiment IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 50",
            share("matched", "matched IS NOT NULL"),
            share("status IN ('error', 'timeout')", "TRUE"),
            share("regenerated", "TRUE"),
            requests(RANGE)
        )),
        table(
            "Requests to look at",
            "The newest requests that fell back, found no match, were asked for again or are \
             unsure (confidence under 0.6). A click on a trace opens it.",
        )
        .wide(24)
        .column("confidence", SCORE)
        .column("took", MILLIS)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, pipeline, \
             framework, matched, confidence, fallback, regenerated, status, latency_ms AS took \
             FROM pipeline_requests WHERE {} AND (fallback OR matched IS FALSE OR regenerated \
             OR confidence < 0.6) ORDER BY started_at DESC LIMIT 50",
            requests(RANGE)
        )),
    ]
}
