//! The table is that of the Prometheus rules; what is told, and what is not.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use prometheus::{Registry, proto::MetricFamily};
use serde_json::Value;

use super::{
    Changes, Levels,
    history::{History, SELECTS},
    judge::{Judge, Key, Notice},
    rules::{RULES, Severity, Worse},
    slack,
    view::View,
};
use crate::{
    query::{day::Day, examples::Example},
    record::*,
    sink::prometheus::Prometheus,
};

/// Alerts that a service can't tell of itself.
const NOT_OURS: [&str; 2] = ["SpanledgerDown", "Watchdog"];

#[test]
fn the_table_is_that_of_the_prometheus_rules() {
    let text = include_str!("../../config/rules/alerts.yml");
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let mut theirs = BTreeMap::new();
    for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let hold = match rule["for"].as_str() {
            None => 0,
            Some(minutes) => 60 * minutes.strip_suffix('m').unwrap().parse::<u64>().unwrap(),
        };
        let expr = rule["expr"].as_str().unwrap().to_owned();
        if !NOT_OURS.contains(&name) {
            theirs.insert((name.to_owned(), severity.to_owned()), (hold, expr));
        }
    }
    for rule in RULES {
        for severity in rule.severities {
            let key = (rule.name.to_owned(), severity.as_str().to_owned());
            let (hold, expr) = theirs.remove(&key).unwrap_or_else(|| panic!("{key:?}"));
            assert_eq!(rule.hold[*severity as usize].as_secs(), hold, "{key:?}");
            let (sign, level) = match rule.worse {
                Worse::Over(level) => (">", level),
                Worse::AtLeast(level) => (">=", level),
                Worse::Under(level) => ("<", level),
                Worse::Always => continue,
            };
            let compared = format!("{sign} scalar(threshold:{level}:{})", severity.as_str());
            assert!(expr.contains(&compared), "{key:?}: {expr}");
        }
    }
    assert!(theirs.is_empty(), "not in our table: {theirs:?}");
}

#[test]
fn what_is_remembered_are_metrics_that_there_are() {
    for select in SELECTS {
        let known = crate::sink::names::ALL
            .iter()
            .find(|(name, ..)| *name == select.name);
        let labels = select.only.iter().map(|(label, _)| label).chain(select.by);
        match known {
            Some((_, known, _)) => {
                for label in labels {
                    assert!(known.contains(label), "{} has no {label}", select.name);
                }
            }
            // The integration tests see these on the running service.
            None => assert!(select.name.starts_with("spanledger_"), "{}", select.name),
        }
    }
}

/// A service whose clock is turned by hand.
struct Turned {
    registry: Registry,
    sink: Prometheus,
    history: History,
    judge: Judge,
    levels: Levels,
    now: Instant,
    day: Option<Day>,
}

impl Turned {
    fn new() -> Self {
        let registry = Registry::new();
        let now = Instant::now();
        Self {
            sink: Prometheus::new(&Default::default(), &registry).unwrap(),
            registry,
            history: History::new(now, Duration::from_secs(25 * 3600)),
            judge: Judge::default(),
            levels: Levels::new(&Changes::new()).unwrap(),
            now,
            day: None,
        }
    }

    /// A minute later: what should be told.
    fn minute(&mut self) -> Vec<Notice> {
        self.now += Duration::from_secs(60);
        let families: Vec<MetricFamily> = self.registry.gather();
        self.history.note(self.now, &families);
        self.judge.look(&View {
            history: &self.history,
            levels: &self.levels,
            day: self.day,
            now: self.now,
        })
    }

    /// A minute in which these requests come; what is told is delivered.
    fn after(&mut self, good: u32, bad: u32) -> Vec<(String, Option<Severity>)> {
        let request = |status| {
            Record::PipelineRequest(Box::new(PipelineRequest {
                pipeline: Some("map".into()),
                status,
                ..PipelineRequest::default()
            }))
        };
        for (n, status) in [(good, Status::Success), (bad, Status::Error)] {
            for _ in 0..n {
                self.sink.observe(&[request(status)]);
            }
        }
        let notices = self.minute();
        for notice in &notices {
            self.judge.told(notice, self.now);
        }
        let told = notices.into_iter();
        told.filter(|notice| notice.key.alert == "ErrorRateHigh")
            .map(|notice| (notice.key.group, notice.severity))
            .collect()
    }
}

#[test]
fn an_alert_is_told_once_gets_worse_once_and_ends_once() {
    let mut turned = Turned::new();
    let told = |severity| vec![("map".to_owned(), severity)];
    for _ in 0..15 {
        assert_eq!(turned.after(97, 3), vec![]);
    }
    let mut heard = Vec::new();
    for _ in 0..40 {
        heard.extend(turned.after(93, 7));
    }
    assert_eq!(heard, told(Some(Severity::Warning)));
    for _ in 0..40 {
        heard.extend(turned.after(80, 20));
    }
    assert_eq!(heard[1..], told(Some(Severity::Critical)));
    for _ in 0..40 {
        heard.extend(turned.after(100, 0));
    }
    assert_eq!(heard[2..], told(None));
    assert_eq!(turned.judge.firing(), 0);
}

#[test]
fn a_short_fault_a_few_events_and_a_lull_are_no_news() {
    let mut turned = Turned::new();
    for _ in 0..30 {
        assert_eq!(
            turned.after(0, 1),
            vec![],
            "10 of 10 fail, and nobody knows what it means"
        );
    }
    let mut turned = Turned::new();
    for minute in 0..60 {
        let bad = if minute == 30 { 40 } else { 0 };
        assert_eq!(turned.after(100, bad), vec![], "40 of 1,040 in the window");
    }
}

#[test]
fn what_could_not_be_delivered_is_due_again() {
    let mut turned = Turned::new();
    turned.day = Some(Day {
        cost: 60.0,
        ..Day::default()
    });
    let due: Vec<Vec<Notice>> = (0..8).map(|_| turned.minute()).collect();
    assert!(due[..5].iter().all(Vec::is_empty), "not held yet");
    let [notice] = &due[5][..] else {
        panic!("{due:?}");
    };
    assert_eq!(notice.severity, Some(Severity::Critical));
    assert_eq!(notice.summary, "The last 24 hours cost 60.00 USD");
    assert_eq!(notice.detail, "critical is over 50.00 USD.");
    assert_eq!(due[6], due[5], "nobody was told");
    turned.judge.told(notice, turned.now);
    assert_eq!(turned.minute(), vec![]);
    turned.now += Duration::from_secs(5 * 3600);
    assert_eq!(
        turned.minute().len(),
        1,
        "it goes on, and critical is told again"
    );
}

#[test]
fn errors_are_told_by_what_they_mean() {
    let mut turned = Turned::new();
    let failed = |class| {
        Record::LlmCall(Box::new(LlmCall {
            header: Header {
                service_name: Some("bot".into()),
                ..Header::default()
            },
            status: Status::Error,
            error_class: Some(class),
            ..LlmCall::default()
        }))
    };
    for _ in 0..3 {
        turned.sink.observe(&[
            failed(ErrorClass::ProviderApi),
            failed(ErrorClass::TokenLimit),
            failed(ErrorClass::Cancelled),
            failed(ErrorClass::Cancelled),
        ]);
    }
    let told = turned.minute();
    let [notice] = &told[..] else {
        panic!("three token limits are too few, and cancelling is no failure: {told:?}");
    };
    assert_eq!(notice.key.group, "provider_api bot");
    assert_eq!(notice.severity, Some(Severity::Critical));
}

#[test]
fn a_pipeline_that_takes_longer_than_it_used_to_is_told() {
    let mut turned = Turned::new();
    // Ten a minute, of 1 to 2 seconds, far below every fixed level; then four times as long.
    let mut told = Vec::new();
    for minute in 0..40_i64 {
        let factor = if minute < 20 { 1 } else { 4 };
        for n in 0..10 {
            turned
                .sink
                .observe(&[Record::PipelineRequest(Box::new(PipelineRequest {
                    header: Header {
                        completed_at: Some(factor * (1_000_000_000 + 100_000_000 * n)),
                        received_at: minute * 60_000_000_000,
                        ..Header::default()
                    },
                    pipeline: Some("map".into()),
                    ..PipelineRequest::default()
                }))]);
        }
        for notice in turned.minute() {
            turned.judge.told(&notice, turned.now);
            told.push((minute, notice));
        }
    }
    let anomalies: Vec<_> = told
        .iter()
        .filter(|(_, notice)| notice.key.alert == "AnomalyFlagged")
        .collect();
    let [(minute, notice)] = &anomalies[..] else {
        panic!("not told once: {told:?}");
    };
    assert!((22..30).contains(minute), "{minute}");
    assert_eq!(notice.key.group, "request_duration map");
    assert_eq!(notice.severity, Some(Severity::Critical));
}

#[test]
fn a_message_has_links_and_nothing_that_slack_would_take_for_its_own() {
    let notice = Notice {
        key: Key {
            alert: "ErrorRateHigh",
            group: "<!channel> & co".into(),
        },
        severity: Some(Severity::Warning),
        summary: "7% of the requests of <!channel> & co fail".into(),
        detail: "warning is over 5%.".into(),
    };
    let example = Example {
        trace_id: "0af7".into(),
        started_at: String::new(),
        service: "<b>".into(),
        what: Some("never shown".into()),
        value: None,
    };
    let message = slack::message(&notice, &[example], "http://h:1");
    let message = &message["attachments"][0];
    assert_eq!(
        message["title"],
        "[WARNING] ErrorRateHigh &lt;!channel&gt; &amp; co"
    );
    let text = message["text"].as_str().unwrap();
    assert!(
        text.contains("<http://h:1/traces/0af7|trace 0af7> of &lt;b&gt;"),
        "{text}"
    );
    assert!(
        text.contains("<http://h:1/runbook/ErrorRateHigh|Runbook>"),
        "{text}"
    );
    assert!(
        !text.contains("<!channel>") && !text.contains("never shown"),
        "{text}"
    );
}

/// What the rustls underneath needs is found when a connection is made, not when it is compiled.
#[test]
fn https_is_spoken_and_a_failure_does_not_tell_the_secret() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 3];
        std::io::Read::read_exact(&mut stream, &mut hello).unwrap();
        hello
    });
    let slack = slack::Slack::new(format!("https://{address}/services/secret").into());
    let error = slack.send(&Value::Null).unwrap_err().to_string();
    assert_eq!(server.join().unwrap()[..2], [22, 3], "a TLS handshake");
    assert!(!error.contains("secret"), "{error}");
}
