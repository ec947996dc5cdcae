//! What it costs, who causes it, what may be saved.

use crate::dashboards::{
    board::Board,
    panel::{COUNT, Panel, SHARE, TOKENS, USD, USD_AN_HOUR, lines, stacked, stat, table},
    sql::{RANGE, THIS_MONTH, TODAY, calls, pieces, requests, retrievals, spent},
};

pub fn board() -> Board {
    Board::new(
        "cost",
        "What model calls and transcriptions cost, who causes it, what has no price, what may be \
         saved. Costs are by the price table; a call without a price costs nothing here and is \
         listed as unpriced.",
        "now-24h",
        "5m",
    )
    .row("Spending", spending())
    .row("Usage against goals", usage())
    .row("Over time", over_time())
    .row("Who and what", breakdowns())
    .row("Without a price", unpriced())
    .row("What may be saved", savings())
    .row("Expensive", expensive())
}

fn spending() -> Vec<Panel> {
    let sum = |what: &str, when: &str| format!("SELECT {what} AS \"value\" FROM {}", spent(when));
    vec![
        stat(
            "Today",
            "Cost since midnight UTC. The alert looks at the last 24 hours.",
        )
        .unit(USD)
        .decimals(2)
        .goal("cost_usd_per_day")
        .wide(4)
        .rows(sum("coalesce(sum(cost), 0)", TODAY)),
        stat("This month", "Cost since the first of the month, UTC.")
            .unit(USD)
            .decimals(2)
            .wide(4)
            .rows(sum("coalesce(sum(cost), 0)", THIS_MONTH)),
        stat(
            "Projected month",
            "The cost of this month at the pace of its days so far: cost to date, divided by the \
             share of the month that has passed. Rough in the first days.",
        )
        .unit(USD)
        .decimals(2)
        .wide(4)
        .rows(sum(
            "coalesce(sum(cost), 0) * CAST(extract(epoch FROM date_trunc('month', now(), 'UTC') \
             + interval '1 month' - date_trunc('month', now(), 'UTC')) / extract(epoch FROM \
             now() - date_trunc('month', now(), 'UTC')) AS numeric)",
            THIS_MONTH,
        )),
        stat("In this range", "Cost in the time range of the board.")
            .unit(USD)
            .decimals(2)
            .wide(4)
            .rows(sum("coalesce(sum(cost), 0)", RANGE)),
        stat(
            "A call",
            "Mean cost of the calls and speech events that have a price.",
        )
        .unit(USD)
        .decimals(5)
        .wide(4)
        .rows(sum("avg(cost)", RANGE)),
        stat(
            "Unpriced calls",
            "Counted calls that ended well, report tokens and have no price: their cost is \
             unknown and in no sum.",
        )
        .unit(COUNT)
        .wide(4)
        .rows(format!(
            "SELECT count(*) AS \"value\" FROM llm_calls WHERE {} AND status = 'success' \
             AND estimated_cost IS NULL AND total_tokens IS NOT NULL",
            calls(RANGE)
        )),
    ]
}

fn usage() -> Vec<Panel> {
    let of_calls = |what: &str, when: &str, more: &str| {
        format!(
            "SELECT {what} AS \"value\" FROM llm_calls WHERE {}{more}",
            calls(when)
        )
    };
    let chats = " AND call_type <> 'embedding'";
    vec![
        stat(
            "Tokens today",
            "Input and output tokens of counted calls since midnight UTC. The alert looks at the \
             last 24 hours.",
        )
        .unit(TOKENS)
        .wide(4)
        .goal("tokens_per_day")
        .rows(of_calls(
            "coalesce(sum(prompt_tokens), 0) + coalesce(sum(completion_tokens), 0)",
            TODAY,
            "",
        )),
        stat(
            "API requests today",
            "Counted calls since midnight UTC, embeddings and failed tries included. The alert looks \
             at the last 24 hours.",
        )
        .unit(COUNT)
        .wide(4)
        .goal("model_requests_per_day")
        .rows(of_calls("count(*)", TODAY, "")),
        stat(
            "Mean input",
            "Mean input tokens of a call that is no embedding, cached input included.",
        )
        .unit(TOKENS)
        .decimals(0)
        .wide(4)
        .goal("input_tokens_mean")
        .rows(of_calls("avg(prompt_tokens)", RANGE, chats)),
        stat(
            "Mean output",
            "Mean output tokens of a call that is no embedding, reasoning included.",
        )
        .unit(TOKENS)
        .decimals(0)
        .wide(4)
        .goal("output_tokens_mean")
        .rows(of_calls("avg(completion_tokens)", RANGE, chats)),
        stat(
            "Input from the prompt cache",
            "Share of the input tokens that the provider read from its cache, over the calls that \
             say so. Providers charge cached input less.",
        )
        .unit(SHARE)
        .wide(4)
        .rows(of_calls(
            "CAST(sum(cache_read_tokens) AS double precision) \
             / nullif(sum(prompt_tokens) FILTER (WHERE cache_read_tokens IS NOT NULL), 0)",
            RANGE,
            chats,
        )),
        stat(
            "Output spent on reasoning",
            "Share of the output tokens that models spent on thinking, over the calls that say so.",
        )
        .unit(SHARE)
        .wide(4)
        .rows(of_calls(
            "CAST(sum(reasoning_tokens) AS double precision) \
             / nullif(sum(completion_tokens) FILTER (WHERE reasoning_tokens IS NOT NULL), 0)",
            RANGE,
            chats,
        )),
    ]
}

fn over_time() -> Vec<Panel> {
    vec![
        stacked("Cost by model", "Cost of counted calls and transcriptions.")
            .unit(USD)
            .rows(format!(
                "SELECT $__timeGroupAlias(started_at,$__interval), \
                 coalesce(model, 'unknown') AS metric, sum(cost) AS cost FROM {} \
                 WHERE cost IS NOT NULL GROUP BY 1, 2 ORDER BY 1",
                spent(RANGE)
            )),
        stacked(
            "Tokens by kind",
            "Cached input is a part of the input, reasoning a part of the output: here each token \
             is shown once.",
        )
        .unit(TOKENS)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), \
             sum(prompt_tokens - coalesce(cache_read_tokens, 0)) AS \"input\", \
             sum(cache_read_tokens) AS \"input from cache\", \
             sum(completion_tokens - coalesce(reasoning_tokens, 0)) AS \"output\", \
             sum(reasoning_tokens) AS \"reasoning\" FROM llm_calls WHERE {} \
             GROUP BY 1 ORDER BY 1",
            calls(RANGE)
        )),
        lines(
            "Mean input and output",
            "Mean tokens of a call that is no embedding.",
        )
        .unit(TOKENS)
        .rows(format!(
            "SELECT $__timeGroupAlias(started_at,$__interval), \
             avg(prompt_tokens) AS \"input\", avg(completion_tokens) AS \"output\" \
             FROM llm_calls WHERE {} AND call_type <> 'embedding' GROUP BY 1 ORDER BY 1",
            calls(RANGE)
        )),
        lines(
            "Cost of an hour",
            "The pace of spending as Prometheus sees it, by service: it goes on while the store \
             is down.",
        )
        .unit(USD_AN_HOUR)
        .prom(
            "{{service}}",
            "sum by (service) (rate(genai_cost_usd_total{service=~\"$service\", \
             model=~\"$model\"}[$__rate_interval])) * 3600",
        ),
    ]
}

fn breakdowns() -> Vec<Panel> {
    // Speech has no users and companies: its rows are under "unknown".
    let by = |name: &str, column: &str| {
        format!(
            "SELECT coalesce({column}, 'unknown') AS \"{name}\", count(*) AS calls, \
             sum(cost) AS cost, CAST(sum(cost) / nullif(sum(sum(cost)) OVER (), 0) AS double \
             precision) AS share, avg(cost) AS each FROM {} \
             GROUP BY 1 ORDER BY cost DESC NULLS LAST LIMIT 50",
            spent(RANGE)
        )
    };
    let costs = |title, says, query: String| {
        table(title, says)
            .wide(8)
            .column("cost", USD)
            .column("share", SHARE)
            .column("each", USD)
            .rows(query)
    };
    vec![
        costs(
            "By model",
            "Cost by requested model; transcriptions too.",
            by("model", "model"),
        ),
        costs(
            "By service",
            "Cost by the service that called.",
            by("service", "service_name"),
        ),
        costs(
            "By operation",
            "Cost by the app's own name of the operation, or by the kind of call where it has none.",
            by("operation", "operation"),
        ),
        costs(
            "By user",
            "The 50 users who cost most. Calls without a user, and speech, are under unknown.",
            by("user", "user_id"),
        ),
        costs(
            "By company",
            "The 50 companies that cost most. Calls without a company, and speech, are under \
             unknown.",
            by("company", "company_id"),
        ),
        table(
            "By collection",
            "Cost of the model calls in traces that searched a collection. A trace that searched \
             two counts in both, so the sum may exceed the total.",
        )
        .wide(8)
        .column("cost", USD)
        .column("a trace", USD)
        .rows(format!(
            "WITH searched AS (SELECT DISTINCT trace_id, collection_name FROM retrievals \
             WHERE {} AND collection_name IS NOT NULL UNION SELECT trace_id, collection_name FROM \
             llm_calls WHERE {} AND collection_name IS NOT NULL), \
             paid AS (SELECT trace_id, sum(estimated_cost) AS cost FROM llm_calls WHERE {} \
             GROUP BY trace_id) \
             SELECT collection_name AS collection, count(*) AS traces, sum(cost) AS cost, \
             avg(cost) AS \"a trace\" FROM searched JOIN paid USING (trace_id) \
             GROUP BY 1 ORDER BY cost DESC NULLS LAST LIMIT 50",
            retrievals(RANGE),
            calls(RANGE),
            calls(RANGE)
        )),
    ]
}

fn unpriced() -> Vec<Panel> {
    vec![
        table(
            "Models without a price",
            "Counted calls that ended well, report tokens and have no price. Give the model a \
             price, or an alias, in [price] of the settings, then run spanledger recost.",
        )
        .wide(12)
        .trace("trace")
        .rows(format!(
            "SELECT coalesce(provider, 'unknown') AS provider, coalesce(model, 'unknown') AS \
             model, coalesce(service_name, 'unknown') AS service, count(*) AS calls, \
             sum(prompt_tokens) AS \"input tokens\", sum(completion_tokens) AS \"output tokens\", \
             max(trace_id) AS trace FROM llm_calls WHERE {} AND status = 'success' \
             AND estimated_cost IS NULL AND total_tokens IS NOT NULL \
             GROUP BY 1, 2, 3 ORDER BY calls DESC LIMIT 50",
            calls(RANGE)
        )),
        lines(
            "Unpriced calls over time",
            "Calls and transcriptions without a cost in each interval, and why.",
        )
        .unit(COUNT)
        .prom(
            "{{model}}: {{reason}}",
            "sum by (model, reason) (increase(genai_unpriced_calls_total{model=~\"$model\"}\
             [$__rate_interval]))",
        ),
    ]
}

fn savings() -> Vec<Panel> {
    vec![
        table(
            "Where to look for savings",
            "Rules over the rows of this range, no promises: \"at stake\" is what the calls cost \
             that a rule found, so at most that much can be saved, usually less.\n\n\
             - Long input, nothing read from cache: at least 1,024 input tokens and no cache read. \
             Put what stays the same (instructions, documents) first, so that the provider can \
             cache it.\n\
             - Dear model, tiny answer: at most 60 output tokens from a model whose tokens cost, \
             on the mean, at least twice those of the service's cheapest one. Try the cheaper one \
             and compare (board Quality, Experiments).\n\
             - Paid twice: requests whose answer was made again, or whose JSON could not be \
             parsed.\n\
             - Cut off: answers that ended at the limit of output tokens, paid for and incomplete.",
        )
        .wide(24)
        .high(9)
        .column("share of calls", SHARE)
        .column("at stake", USD)
        .rows(advice()),
    ]
}

/// The rules of the savings panel, one SELECT each.
fn advice() -> String {
    let (chats, parses, these) = (calls(RANGE), pieces(RANGE), requests(RANGE));
    format!(
        "WITH chats AS (SELECT * FROM (SELECT trace_id, coalesce(service_name, 'unknown') AS \
         service, coalesce(operation, call_type) AS operation, coalesce(model, 'unknown') AS \
         model, prompt_tokens, completion_tokens, cache_read_tokens, finish_reason, \
         estimated_cost AS cost, sum(estimated_cost) OVER of_model / nullif(sum(total_tokens) \
         FILTER (WHERE estimated_cost IS NOT NULL) OVER of_model, 0) AS token_cost \
         FROM llm_calls WHERE {chats} AND call_type <> 'embedding' AND status = 'success' \
         WINDOW of_model AS (PARTITION BY service_name, model)) AS priced), \
         ranked AS (SELECT *, min(token_cost) OVER (PARTITION BY service) AS cheapest, \
         count(*) OVER (PARTITION BY service) AS of_service FROM chats), \
         again AS (SELECT coalesce(service_name, 'unknown') AS service, coalesce(pipeline, \
         'unknown') AS pipeline, cost, count(*) OVER (PARTITION BY service_name) AS of_service, \
         regenerated OR trace_id IN (SELECT trace_id FROM json_parses WHERE {parses} AND NOT \
         success) AS twice FROM pipeline_requests WHERE {these}) \
         SELECT 'Long input, nothing read from cache' AS rule, service, \
         operation || ', ' || model AS what, count(*) AS calls, \
         CAST(count(*) AS double precision) / max(of_service) AS \"share of calls\", \
         sum(cost) AS \"at stake\" FROM ranked \
         WHERE prompt_tokens >= 1024 AND coalesce(cache_read_tokens, 0) = 0 GROUP BY 1, 2, 3 \
         UNION ALL SELECT 'Dear model, tiny answer', service, operation || ', ' || model, \
         count(*), CAST(count(*) AS double precision) / max(of_service), sum(cost) FROM ranked \
         WHERE completion_tokens <= 60 AND token_cost >= 2 * cheapest GROUP BY 1, 2, 3 \
         UNION ALL SELECT 'Paid twice', service, pipeline, count(*), \
         CAST(count(*) AS double precision) / max(of_service), sum(cost) FROM again \
         WHERE twice GROUP BY 1, 2, 3 \
         UNION ALL SELECT 'Cut off', service, operation || ', ' || model, count(*), \
         CAST(count(*) AS double precision) / max(of_service), sum(cost) FROM ranked \
         WHERE finish_reason = 'length' GROUP BY 1, 2, 3 \
         ORDER BY \"at stake\" DESC NULLS LAST LIMIT 100"
    )
}

fn expensive() -> Vec<Panel> {
    vec![
        table(
            "Most expensive calls",
            "The 20 dearest calls. A click on a trace opens it.",
        )
        .column("cost", USD)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, \
             coalesce(operation, call_type) AS operation, model, prompt_tokens AS input, \
             completion_tokens AS output, estimated_cost AS cost, price_rule AS \"price rule\" \
             FROM llm_calls WHERE {} AND estimated_cost IS NOT NULL \
             ORDER BY estimated_cost DESC LIMIT 20",
            calls(RANGE)
        )),
        table(
            "Most expensive requests",
            "The 20 requests whose calls together cost most. A click on a trace opens it.",
        )
        .column("cost", USD)
        .trace("trace")
        .rows(format!(
            "SELECT trace_id AS trace, started_at AS started, service_name AS service, pipeline, \
             user_id AS \"user\", tokens, cost, status FROM pipeline_requests WHERE {} \
             AND cost IS NOT NULL ORDER BY cost DESC LIMIT 20",
            requests(RANGE)
        )),
    ]
}
