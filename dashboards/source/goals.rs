//! The levels that panels are coloured by: goal, warning, critical. Alerts compare with the same.

use serde_json::{Value, json};

/// Three levels of one number. Which way is better follows from their order.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// What is aimed at.
    pub goal: f64,
    /// From here on somebody should look.
    pub warning: f64,
    /// From here on somebody must.
    pub critical: f64,
}

/// Where every level stands, for alerts and dashboards alike.
const LEVELS: &str = include_str!("../../config/rules/thresholds.yml");

/// The levels of this name in `config/rules/thresholds.yml`. Panics if it has not all three.
pub fn goal(name: &str) -> Goal {
    let level = |level: &str| {
        let record = format!("'threshold:{name}:{level}', expr: vector(");
        let number = LEVELS
            .split_once(&record)
            .and_then(|(_, rest)| rest.split_once(')'));
        let number = number.and_then(|(number, _)| number.parse().ok());
        number.unwrap_or_else(|| panic!("config/rules/thresholds.yml: no {level} of {name}"))
    };
    Goal {
        goal: level("goal"),
        warning: level("warning"),
        critical: level("critical"),
    }
}

impl Goal {
    /// The same levels, for a column in milliseconds.
    pub fn milliseconds(self) -> Self {
        Goal {
            goal: self.goal * 1e3,
            warning: self.warning * 1e3,
            critical: self.critical * 1e3,
        }
    }

    fn more_is_better(self) -> bool {
        self.goal > self.critical
    }

    /// Grafana's threshold steps: green where the goal is met, then yellow, orange, red.
    pub fn thresholds(self) -> Value {
        let step = |color: &str, value: Option<f64>| json!({"color": color, "value": value});
        let steps = if self.more_is_better() {
            [
                step("red", None),
                step("orange", Some(self.critical)),
                step("yellow", Some(self.warning)),
                step("green", Some(self.goal)),
            ]
        } else {
            [
                step("green", None),
                step("yellow", Some(self.goal)),
                step("orange", Some(self.warning)),
                step("red", Some(self.critical)),
            ]
        };
        json!({"mode": "absolute", "steps": steps})
    }

    /// The colours in words; `write` puts a number into its unit.
    pub fn words(self, write: impl Fn(f64) -> String) -> String {
        let (better, worse) = match self.more_is_better() {
            true => ("from", "under"),
            false => ("under", "from"),
        };
        format!(
            "Green {better} {} (goal), then yellow, orange {worse} {} (warning), red {worse} {} \
             (critical).",
            write(self.goal),
            write(self.warning),
            write(self.critical)
        )
    }
}
