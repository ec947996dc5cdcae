//! The levels that panels are coloured by: goal, warning, critical, as the alerts have them.

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

const fn goal(goal: f64, warning: f64, critical: f64) -> Goal {
    Goal {
        goal,
        warning,
        critical,
    }
}

// Seconds.
pub const RESPONSE_P95: Goal = goal(30.0, 45.0, 60.0);
pub const RESPONSE_P99: Goal = goal(45.0, 60.0, 90.0);
pub const EMBEDDING: Goal = goal(1.0, 2.0, 5.0);
pub const VECTOR_SEARCH: Goal = goal(0.5, 1.0, 2.0);
pub const LLM_CALL: Goal = goal(15.0, 30.0, 60.0);
// Requests a minute.
pub const THROUGHPUT: Goal = goal(100.0, 50.0, 20.0);
// Shares, 0 to 1.
pub const MATCHED: Goal = goal(0.90, 0.80, 0.70);
pub const CONFIDENCE: Goal = goal(0.80, 0.70, 0.60);
pub const JSON_PARSED: Goal = goal(0.95, 0.90, 0.85);
pub const FALLBACK: Goal = goal(0.05, 0.10, 0.20);
pub const ERRORS: Goal = goal(0.01, 0.05, 0.10);
pub const RETRIES: Goal = goal(0.05, 0.15, 0.30);
pub const TIMEOUTS: Goal = goal(0.01, 0.03, 0.05);
pub const AVAILABILITY: Goal = goal(0.999, 0.99, 0.95);
// Tokens and requests.
pub const TOKENS_A_DAY: Goal = goal(1e6, 5e6, 1e7);
pub const MEAN_INPUT: Goal = goal(2_000.0, 3_000.0, 4_000.0);
pub const MEAN_OUTPUT: Goal = goal(1_000.0, 2_000.0, 3_000.0);
pub const REQUESTS_A_DAY: Goal = goal(1e4, 5e4, 1e5);

impl Goal {
    /// The same levels, for a column in milliseconds.
    pub fn milliseconds(self) -> Self {
        goal(self.goal * 1e3, self.warning * 1e3, self.critical * 1e3)
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

    /// The colours in words.
    pub fn words(self) -> String {
        let (better, worse) = match self.more_is_better() {
            true => ("from", "under"),
            false => ("under", "from"),
        };
        format!(
            "Green {better} {} (goal), orange {worse} {} (warning), red {worse} {} (critical).",
            self.goal, self.warning, self.critical
        )
    }
}
