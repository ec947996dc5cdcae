//! A board: rows of panels, laid out from left to right, and the variables that they name.

use serde_json::{Value, json};

use super::panel::{Panel, Source};
use super::sql::ALL;

/// The name of every board, and its title.
pub const BOARDS: [(&str, &str); 7] = [
    ("realtime", "Realtime"),
    ("quality", "Quality"),
    ("cost", "Cost"),
    ("speech", "Speech"),
    ("usage", "Conversations and usage"),
    ("errors", "Errors and traces"),
    ("itself", "itself"),
];

/// A board.
pub struct Board {
    name: &'static str,
    about: &'static str,
    from: &'static str,
    refresh: &'static str,
    rows: Vec<(&'static str, Vec<Panel>)>,
}

impl Board {
    /// A board of [`BOARDS`] that shows the time since `from` and looks again every `refresh`.
    pub fn new(
        name: &'static str,
        about: &'static str,
        from: &'static str,
        refresh: &'static str,
    ) -> Self {
        Board {
            name,
            about,
            from,
            refresh,
            rows: Vec::new(),
        }
    }

    /// Adds a row of panels, which may take several lines.
    pub fn row(mut self, title: &'static str, panels: Vec<Panel>) -> Self {
        self.rows.push((title, panels));
        self
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    /// Grafana's JSON of it.
    pub fn json(&self) -> Value {
        let panels = self.panels();
        let text = Value::from(panels.clone()).to_string();
        let title = BOARDS.iter().find(|(name, _)| *name == self.name);
        json!({
            "id": null,
            "uid": format!("spanledger-{}", self.name),
            "title": title.map(|(_, title)| format!("Spanledger: {title}")),
            "description": self.about,
            "tags": ["spanledger"],
            "schemaVersion": 42,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "timezone": "",
            "time": {"from": self.from, "to": "now"},
            "timepicker": {},
            "refresh": self.refresh,
            "fiscalYearStartMonth": 0,
            "weekStart": "",
            "liveNow": false,
            "annotations": {"list": []},
            "links": self.links(),
            "templating": {"list": variables(&text)},
            "panels": panels,
        })
    }

    fn panels(&self) -> Vec<Value> {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        let mut next_id = || {
            id += 1;
            id
        };
        for (title, row) in &self.rows {
            panels.push(json!({
                "id": next_id(),
                "type": "row",
                "title": title,
                "collapsed": false,
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
                "panels": [],
            }));
            y += 1;
            let (mut x, mut line) = (0, 0);
            for panel in row {
                if x + panel.width > 24 {
                    (x, y, line) = (0, y + line, 0);
                }
                panels.push(panel.json(next_id(), x, y));
                x += panel.width;
                line = line.max(panel.height);
            }
            y += line;
        }
        panels
    }

    /// Links to the other boards; times and choices go along.
    fn links(&self) -> Vec<Value> {
        BOARDS
            .iter()
            .filter(|(name, _)| *name != self.name)
            .map(|(name, title)| {
                json!({
                    "type": "link",
                    "title": title,
                    "url": format!("/d/spanledger-{name}"),
                    "icon": "dashboard",
                    "tooltip": "",
                    "tags": [],
                    "asDropdown": false,
                    "targetBlank": false,
                    "keepTime": true,
                    "includeVars": true,
                })
            })
            .collect()
    }
}

/// The variables that this text of panels names, and the datasources.
fn variables(panels: &str) -> Vec<Value> {
    let mut variables = Vec::new();
    let mut choice = |name: &str, label: &str, source: Source, query: &str| {
        if panels.contains(&format!("${{{name}:")) || panels.contains(&format!("${name}\\\"")) {
            variables.push(json!({
                "type": "query",
                "name": name,
                "label": label,
                "datasource": source.datasource(),
                "query": query,
                "regex": "",
                // With every change of the time range.
                "refresh": 2,
                "sort": 1,
                "multi": true,
                "includeAll": true,
                "allValue": ALL,
                "current": {"text": ["All"], "value": ["$__all"]},
                "options": [],
                "hide": 0,
                "skipUrlSync": false,
            }));
        }
    };
    choice(
        "service",
        "Service",
        Source::Rows,
        "SELECT DISTINCT coalesce(service_name, 'unknown') FROM (\
         SELECT service_name FROM llm_calls WHERE $__timeFilter(started_at) \
         UNION SELECT service_name FROM pipeline_requests WHERE $__timeFilter(started_at) \
         UNION SELECT service_name FROM stt_logs WHERE $__timeFilter(started_at)) AS seen",
    );
    choice(
        "model",
        "Model",
        Source::Rows,
        "SELECT DISTINCT coalesce(model, 'unknown') FROM (\
         SELECT model FROM llm_calls WHERE counted AND $__timeFilter(started_at) \
         UNION SELECT model FROM stt_logs WHERE $__timeFilter(started_at)) AS seen",
    );
    choice(
        "environment",
        "Environment",
        Source::Rows,
        "SELECT DISTINCT coalesce(environment, 'unknown') FROM llm_calls \
         WHERE $__timeFilter(started_at)",
    );
    // Requests have no service in Prometheus: a pipeline is of one.
    choice(
        "pipeline",
        "Pipeline",
        Source::Prometheus,
        "label_values(genai_requests_total, pipeline)",
    );
    if panels.contains("${spanledger_url}") {
        let here = "http://localhost:9464";
        variables.push(json!({
            "type": "textbox",
            "name": "spanledger_url",
            "label": "Spanledger's pages",
            "query": here,
            "current": {"text": here, "value": here},
            "options": [{"text": here, "value": here, "selected": true}],
            "hide": 0,
            "skipUrlSync": false,
        }));
    }
    let mut datasource = |name: &str, label: &str, kind: &str, uid: &str| {
        if panels.contains(&format!("${{{name}}}")) {
            variables.push(json!({
                "type": "datasource",
                "name": name,
                "label": label,
                "query": kind,
                "regex": "",
                "refresh": 1,
                "multi": false,
                "includeAll": false,
                "current": {"text": label, "value": uid},
                "options": [],
                "hide": 0,
                "skipUrlSync": false,
            }));
        }
    };
    datasource(
        "prometheus",
        "Spanledger Prometheus",
        "prometheus",
        "spanledger-prometheus",
    );
    datasource(
        "postgres",
        "Spanledger Postgres",
        "grafana-postgresql-datasource",
        "spanledger-postgres",
    );
    variables
}
