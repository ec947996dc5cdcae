//! Grafana's JSON of a panel: its kind decides how it looks.

use serde_json::{Value, json};

use super::panel::{Column, Kind, Panel, SCORE, SHARE, Source, Target, Unit};

impl Source {
    /// The datasource, by the board's variable.
    pub fn datasource(self) -> Value {
        match self {
            Source::Prometheus => json!({"type": "prometheus", "uid": "${prometheus}"}),
            Source::Rows => {
                json!({"type": "grafana-postgresql-datasource", "uid": "${postgres}"})
            }
        }
    }
}

impl Panel {
    fn source(&self) -> &'static str {
        let has = |source| self.targets.iter().any(|target| target.source == source);
        match (has(Source::Prometheus), has(Source::Rows)) {
            (true, true) => "Prometheus and the rows in Postgres",
            (true, false) => "Prometheus",
            _ => "the rows in Postgres",
        }
    }

    /// Variables that the queries name, of those that people choose from.
    fn filters(&self) -> String {
        let named = |variable: &str| {
            let forms = [format!("${variable}\""), format!("${{{variable}:")];
            let names = |target: &Target| forms.iter().any(|form| target.query.contains(form));
            self.targets.iter().any(names)
        };
        let filters: Vec<&str> = ["service", "model", "environment", "pipeline"]
            .into_iter()
            .filter(|variable| named(variable))
            .collect();
        match filters.is_empty() {
            true => "none, it shows everything".to_owned(),
            false => filters.join(", "),
        }
    }

    /// What it shows, unit, source, what it follows, colours.
    fn description(&self) -> String {
        let mut text = format!("{}\n\n", self.says);
        if let Some(Unit(_, words)) = self.unit {
            text += &format!("Unit: {words}. ");
        }
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter_map(|column| match column {
                Column::Unit(name, unit) | Column::Goal(name, unit, _) => {
                    Some(format!("{name}: {}", unit.1))
                }
                Column::Trace(_) => None,
            })
            .collect();
        if !columns.is_empty() {
            text += &format!("Units: {}. ", columns.join("; "));
        }
        text += &format!("Source: {}. Filters: {}.", self.source(), self.filters());
        if let (Some(goal), Some(unit)) = (self.goal, self.unit) {
            text += &format!("\n\n{}", goal.words(|level| unit.write(level)));
        }
        for column in &self.columns {
            if let Column::Goal(name, unit, goal) = column {
                text += &format!("\n\n{name}: {}", goal.words(|level| unit.write(level)));
            }
        }
        text
    }

    /// Grafana's JSON of it.
    pub fn json(&self, id: u64, x: u64, y: u64) -> Value {
        let datasource = self
            .targets
            .first()
            .map(|target| target.source.datasource());
        let targets: Vec<Value> = self
            .targets
            .iter()
            .zip('A'..='Z')
            .map(|(target, letter)| self.target(target, letter))
            .collect();
        let links: Vec<Value> = self
            .more
            .iter()
            .map(|board| {
                json!({
                    "type": "link",
                    "title": "More",
                    "icon": "dashboard",
                    "tooltip": "",
                    "tags": [],
                    "asDropdown": false,
                    "keepTime": false,
                    "includeVars": false,
                    "url": format!("/d/spanledger-{board}?${{__url_time_range}}&${{__all_variables}}"),
                    "targetBlank": false,
                })
            })
            .collect();
        json!({
            "id": id,
            "type": match self.kind {
                Kind::Stat => "stat",
                Kind::Lines | Kind::Stacked => "timeseries",
                Kind::Gauges => "bargauge",
                Kind::Bars => "barchart",
                Kind::Table => "table",
                Kind::Heatmap => "heatmap",
            },
            "title": self.title,
            "description": self.description(),
            "datasource": datasource,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "links": links,
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.options(),
            "targets": targets,
        })
    }

    fn target(&self, target: &Target, letter: char) -> Value {
        let over_time = matches!(self.kind, Kind::Lines | Kind::Stacked | Kind::Heatmap);
        match target.source {
            Source::Rows => json!({
                "refId": letter.to_string(),
                "datasource": target.source.datasource(),
                "editorMode": "code",
                "rawQuery": true,
                "rawSql": target.query,
                "format": if over_time { "time_series" } else { "table" },
            }),
            Source::Prometheus => json!({
                "refId": letter.to_string(),
                "datasource": target.source.datasource(),
                "editorMode": "code",
                "expr": target.query,
                "legendFormat": target.legend,
                "instant": !over_time,
                "range": over_time,
                "format": match self.kind {
                    Kind::Heatmap => "heatmap",
                    Kind::Table => "table",
                    _ => "time_series",
                },
            }),
        }
    }

    fn defaults(&self) -> Value {
        let mut defaults = json!({
            "noValue": self.none,
            "thresholds": match self.goal {
                Some(goal) => goal.thresholds(),
                None => json!({"mode": "absolute", "steps": [{"color": "blue", "value": null}]}),
            },
            "color": match self.kind {
                Kind::Stat | Kind::Gauges | Kind::Table => json!({"mode": "thresholds"}),
                _ => json!({"mode": "palette-classic"}),
            },
            "custom": self.custom(),
        });
        if let Some(Unit(id, _)) = self.unit {
            defaults["unit"] = json!(id);
        }
        if let Some(decimals) = self.decimals {
            defaults["decimals"] = json!(decimals);
        }
        if self.unit == Some(SHARE) || self.unit == Some(SCORE) {
            defaults["min"] = json!(0);
            defaults["max"] = json!(1);
        }
        defaults
    }

    fn custom(&self) -> Value {
        match self.kind {
            Kind::Lines => json!({
                "lineWidth": 2,
                "fillOpacity": 5,
                "showPoints": "auto",
                "spanNulls": true,
                "thresholdsStyle": {"mode": if self.goal.is_some() { "line" } else { "off" }},
            }),
            Kind::Stacked => json!({
                "lineWidth": 1,
                "fillOpacity": 40,
                "showPoints": "never",
                "stacking": {"mode": "normal", "group": "A"},
            }),
            Kind::Bars => json!({"fillOpacity": 80, "lineWidth": 0}),
            Kind::Table => {
                json!({"align": "auto", "cellOptions": {"type": "auto"}, "inspect": false})
            }
            Kind::Stat | Kind::Gauges | Kind::Heatmap => json!({}),
        }
    }

    fn overrides(&self) -> Vec<Value> {
        let properties = |column: &Column| match column {
            Column::Unit(name, unit) => (*name, vec![json!({"id": "unit", "value": unit.0})]),
            Column::Goal(name, unit, goal) => {
                let mut properties = vec![
                    json!({"id": "unit", "value": unit.0}),
                    json!({"id": "thresholds", "value": goal.thresholds()}),
                ];
                if self.kind == Kind::Table {
                    let cell = json!({"type": "color-text"});
                    properties.push(json!({"id": "custom.cellOptions", "value": cell}));
                }
                (*name, properties)
            }
            Column::Trace(name) => {
                let link = json!({
                    "title": "Open the trace",
                    "url": "${spanledger_url}/traces/${__value.raw}",
                    "targetBlank": true,
                });
                (*name, vec![json!({"id": "links", "value": [link]})])
            }
        };
        self.columns
            .iter()
            .map(|column| {
                let (name, properties) = properties(column);
                json!({
                    "matcher": {"id": "byName", "options": name},
                    "properties": properties,
                })
            })
            .collect()
    }

    fn options(&self) -> Value {
        // A row a bar where rows are asked for, the last value of each series otherwise.
        let of_rows = self.kind == Kind::Gauges
            && self
                .targets
                .iter()
                .all(|target| target.source == Source::Rows);
        let reduce = json!({"values": of_rows, "calcs": ["lastNotNull"], "fields": ""});
        match self.kind {
            Kind::Stat => json!({
                "reduceOptions": reduce,
                "colorMode": if self.goal.is_some() { "background" } else { "value" },
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "auto",
                "wideLayout": true,
                "showPercentChange": false,
                "percentChangeColorMode": "standard",
            }),
            Kind::Gauges => json!({
                "reduceOptions": reduce,
                "displayMode": "gradient",
                "orientation": "horizontal",
                "showUnfilled": true,
                "valueMode": "color",
                "minVizWidth": 8,
                "minVizHeight": 16,
                "maxVizHeight": 300,
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": false,
                           "calcs": []},
                "namePlacement": "auto",
                "sizing": "auto",
            }),
            Kind::Lines | Kind::Stacked => json!({
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true,
                           "calcs": ["mean", "max", "lastNotNull"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Kind::Bars => json!({
                "orientation": "horizontal",
                "stacking": "normal",
                "showValue": "auto",
                "barWidth": 0.8,
                "barRadius": 0,
                "fullHighlight": false,
                "xTickLabelMaxLength": 0,
                "groupWidth": 0.7,
                "xTickLabelRotation": 0,
                "xTickLabelSpacing": 0,
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true,
                           "calcs": []},
                "tooltip": {"mode": "multi", "sort": "none"},
            }),
            Kind::Table => json!({"showHeader": true, "cellHeight": "sm", "frameIndex": 0}),
            Kind::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5,
                          "fill": "dark-orange", "reverse": false},
                "yAxis": {"axisPlacement": "left", "reverse": false,
                          "unit": self.unit.map(|unit| unit.0)},
                "rowsFrame": {"layout": "auto"},
                "showValue": "never",
                "filterValues": {"le": 1e-9},
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "legend": {"show": true},
                "tooltip": {"mode": "single", "yHistogram": true},
            }),
        }
    }
}
