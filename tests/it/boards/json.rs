//! A dashboard's JSON, read the way Grafana does.

use serde_json::Value;

pub fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

pub fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// All panels but the rows' headings.
pub fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "panels")
        .iter()
        .filter(|panel| text(panel, "type") != "row")
}

/// The panel of this title, to break it.
pub fn panel_mut<'v>(board: &'v mut Value, title: &str) -> &'v mut Value {
    board["panels"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|panel| panel["title"] == title && panel["type"] != "row")
        .unwrap_or_else(|| panic!("no panel {title}"))
}

/// The variables.
pub fn variables(board: &Value) -> &[Value] {
    list(&board["templating"], "list")
}

/// The text of a target's question.
pub fn question(target: &Value) -> &str {
    match target["rawSql"].as_str() {
        Some(sql) => sql,
        None => text(target, "expr"),
    }
}

/// Whether it asks Prometheus; else it asks Postgres.
pub fn asks_prometheus(target: &Value) -> bool {
    text(&target["datasource"], "type") == "prometheus"
}

/// Every string in a JSON value.
pub fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}
