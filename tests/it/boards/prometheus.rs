//! What Prometheus answers to the boards.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    monitoring::Server,
    process::{Folder, get},
};

/// How long a scrape that must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus of the test's own.
pub struct Prometheus {
    server: Server,
    _folder: Folder,
}

impl Prometheus {
    /// Scrapes `target` every second, as job `spanledger`, and has one alert that always fires.
    pub fn start(target: &str) -> Self {
        let folder = Folder::new("prometheus");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [rules.yml]\n\
             scrape_configs: [{{job_name: spanledger, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        let rules = "groups: [{name: test, rules: [{alert: Always, expr: vector(1)}]}]\n";
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
        Self {
            server: Server::prometheus(&file, folder.path()),
            _folder: folder,
        }
    }

    /// Waits until a scrape has seen this query give this number.
    pub fn wait_for(&self, query: &str, number: f64) {
        let started = Instant::now();
        loop {
            let series = self.instant(query).unwrap();
            let values: Vec<f64> = series.iter().flat_map(|series| series.numbers()).collect();
            if values.contains(&number) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{query} is {values:?}, not {number}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The answer of now.
    pub fn instant(&self, query: &str) -> Result<Vec<Series>, String> {
        self.ask("query", &[("query", query)])
    }

    /// The answers of the last ten minutes, and of the next half: what was just scraped is then
    /// within the window of a point.
    pub fn range(&self, query: &str) -> Result<Vec<Series>, String> {
        let now = chrono::Utc::now().timestamp();
        let (start, end) = ((now - 600).to_string(), (now + 30).to_string());
        let times = [("start", &*start), ("end", &*end), ("step", "15")];
        self.ask("query_range", &[&[("query", query)], &times[..]].concat())
    }

    /// All values of a label; those of `__name__` are the metrics' names.
    pub fn label_values(&self, label: &str) -> Vec<String> {
        let answer = self.get(&format!("label/{label}/values"), &[]).unwrap();
        serde_json::from_value(answer).unwrap()
    }

    /// All labels' names.
    pub fn labels(&self) -> Vec<String> {
        serde_json::from_value(self.get("labels", &[]).unwrap()).unwrap()
    }

    fn ask(&self, path: &str, arguments: &[(&str, &str)]) -> Result<Vec<Series>, String> {
        let answer = self.get(path, arguments)?;
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        Ok(series.into_iter().map(Series).collect())
    }

    fn get(&self, path: &str, arguments: &[(&str, &str)]) -> Result<Value, String> {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let path = format!("/api/v1/{path}?{}", arguments.join("&"));
        let (_, body) = get(&self.server.address, &path);
        let answer: Value =
            serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        match answer["status"] == "success" {
            true => Ok(answer["data"].clone()),
            false => Err(answer["error"].to_string()),
        }
    }
}

/// A series of an answer.
#[derive(Debug)]
pub struct Series(Value);

impl Series {
    /// Its numbers, without those that are none.
    pub fn numbers(&self) -> Vec<f64> {
        let point = |point: &Value| point[1].as_str()?.parse::<f64>().ok();
        let points = match self.0["values"].as_array() {
            Some(points) => points.iter().filter_map(point).collect(),
            None => point(&self.0["value"]).into_iter().collect::<Vec<f64>>(),
        };
        points.into_iter().filter(|n| n.is_finite()).collect()
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0["metric"][name].as_str()
    }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => (byte as char).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
