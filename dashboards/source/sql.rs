//! Parts of SQL that many panels share: times, and what the variables choose.
//!
//! `${service:sqlstring}` is `'a','b'`, quotes in names doubled. "All" is the variable's own text,
//! which Grafana puts in as it is: `'|.*|'` is a string to SQL, and to Prometheus a pattern that
//! fits everything. So "All" means all rows, also those of services that the list does not name.

/// What the variables stand for when all values are chosen.
pub const ALL: &str = "'|.*|'";

/// The time range of the board.
pub const RANGE: &str = "$__timeFilter(started_at)";
/// Since midnight UTC.
pub const TODAY: &str = "started_at >= date_trunc('day', now(), 'UTC')";
/// Since the first of the month, UTC.
pub const THIS_MONTH: &str = "started_at >= date_trunc('month', now(), 'UTC')";
/// The last five minutes.
pub const FIVE_MINUTES: &str = "started_at >= now() - interval '5 minutes'";

/// A column has one of the variable's values.
fn chosen(variable: &str, column: &str) -> String {
    format!(
        "({ALL} IN (${{{variable}:sqlstring}}) \
         OR coalesce({column}, 'unknown') IN (${{{variable}:sqlstring}}))"
    )
}

/// Condition for the counted rows of `llm_calls` of that time.
pub fn calls(when: &str) -> String {
    format!(
        "{when} AND counted AND {} AND {} AND {}",
        chosen("service", "service_name"),
        chosen("model", "model"),
        chosen("environment", "environment")
    )
}

/// Condition for the rows of `json_parses` and `cache_lookups` of that time. They don't hold their
/// environment: it is that of the model calls in the same trace.
pub fn pieces(when: &str) -> String {
    format!(
        "{when} AND {} AND ({ALL} IN (${{environment:sqlstring}}) OR trace_id IN (SELECT trace_id \
         FROM llm_calls WHERE {when} AND coalesce(environment, 'unknown') \
         IN (${{environment:sqlstring}})))",
        chosen("service", "service_name")
    )
}

/// The same for the rows of `pipeline_requests`.
pub fn requests(when: &str) -> String {
    format!("{} AND {}", pieces(when), chosen("pipeline", "pipeline"))
}

/// The same for the counted rows of `retrievals`.
pub fn retrievals(when: &str) -> String {
    format!("{} AND counted", pieces(when))
}

/// Condition for the rows of `stt_logs` of that time. Their environment is not known.
pub fn speech(when: &str) -> String {
    format!(
        "{when} AND {} AND {}",
        chosen("service", "service_name"),
        chosen("model", "model")
    )
}

/// What was spent in that time, a row a call or speech event: a subquery. Speech is left out when
/// an environment is chosen, since its rows don't know theirs.
pub fn spent(when: &str) -> String {
    format!(
        "(SELECT started_at, trace_id, service_name, provider, model, \
         coalesce(operation, call_type) AS operation, user_id, company_id, session_id, \
         estimated_cost AS cost FROM llm_calls WHERE {} \
         UNION ALL SELECT started_at, trace_id, service_name, provider, model, 'speech to text', \
         NULL, NULL, NULL, estimated_cost FROM stt_logs WHERE {} \
         AND {ALL} IN (${{environment:sqlstring}})) AS spent",
        calls(when),
        speech(when)
    )
}
