//! The whole way: spans with faults → the service → Prometheus with the shipped rules →
//! Alertmanager with the shipped templates → a message in Slack's format.

use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::Value;

use crate::support::{
    monitoring::{Server, Slack, project},
    postgres,
    process::{Folder, Service, command, get, post},
    spans::{of_spans, rag_trace, text},
};

/// What must never be in a message.
const PROMPT: &str = "You answer questions of customers";

/// Copies a shipped file, with what a test can't wait for changed. Each change must apply.
fn copy(from: &str, to: &Path, changes: &[(&str, &str)]) {
    let mut content = std::fs::read_to_string(project(from)).unwrap();
    for (old, new) in changes {
        assert!(content.contains(old), "{from} has no {old:?}");
        content = content.replace(old, new);
    }
    std::fs::write(to, content).unwrap();
}

/// A trace whose model call and request failed with this error; its prompt is there as in any other.
fn failed(trace: u64, error: &str, message: &str) -> Vec<Span> {
    let mut spans = rag_trace(trace);
    for at in [2, 4] {
        spans[at].attributes.push(text("error.type", error));
        spans[at].status = Some(Status {
            code: 2,
            message: message.to_owned(),
        });
    }
    spans[4]
        .attributes
        .push(text("pipeline.name", "ask <b> & \"answer\""));
    spans
}

fn send(service: &Service, spans: Vec<Span>) {
    let body = prost::Message::encode_to_vec(&of_spans(spans));
    let headers = [("Content-Type", "application/x-protobuf")];
    assert_eq!(
        post(&service.otlp_http, "/v1/traces", &headers, &body).0,
        200
    );
}

fn title(message: &Value) -> &str {
    message["attachments"][0]["title"].as_str().unwrap()
}

fn words(message: &Value) -> &str {
    message["attachments"][0]["text"].as_str().unwrap()
}

#[test]
fn faults_reach_slack_as_warning_and_as_critical() {
    let folder = Folder::new("delivery");
    let database = postgres::database();
    let service = Service::start_with(
        &folder.path().join("data"),
        &[("SPANLEDGER_STORE_URL", &database.url())],
    );
    let slack = Slack::start();

    let secret = folder.path().join("slack_url");
    std::fs::write(&secret, &slack.url).unwrap();
    let alertmanager = folder.path().join("alertmanager.yml");
    let secret_path = secret.display().to_string();
    copy(
        "config/alertmanager.yml",
        &alertmanager,
        &[
            ("/etc/alertmanager/secrets/slack_url", &secret_path),
            ("group_wait: 30s", "group_wait: 1s"),
            ("group_wait: 10s", "group_wait: 1s"),
            ("group_interval: 5m", "group_interval: 1s"),
        ],
    );
    let template = folder.path().join("alertmanager.tmpl");
    copy("config/alertmanager.tmpl", &template, &[]);
    let alertmanager = Server::alertmanager(&alertmanager, folder.path());

    std::fs::create_dir(folder.path().join("rules")).unwrap();
    for (file, changes) in [
        ("thresholds", &[][..]),
        ("recording", &[]),
        (
            "alerts",
            &[
                ("for: 5m", "for: 0s"),
                ("for: 1m\n", "for: 0s\n"),
                ("for: 15m\n", "for: 0s\n"),
            ],
        ),
    ] {
        let name = format!("rules/{file}.yml");
        copy(
            &format!("config/{name}"),
            &folder.path().join(&name),
            changes,
        );
    }
    let config = folder.path().join("prometheus.yml");
    // Scraped by two names, as if there were two: rules must hold for several instances.
    let port = service.http.rsplit(':').next().unwrap();
    let targets = format!("[\"{}\", \"localhost:{port}\"]", service.http);
    copy(
        "config/prometheus.yml",
        &config,
        &[
            ("scrape_interval: 15s", "scrape_interval: 500ms"),
            ("scrape_timeout: 10s", "scrape_timeout: 500ms"),
            ("evaluation_interval: 15s", "evaluation_interval: 500ms"),
            (
                "[alertmanager:9093]",
                &format!("[\"{}\"]", alertmanager.address),
            ),
            ("[spanledger:9464]", &targets),
        ],
    );

    // A few failures first, too few to tell: a series must exist before it can grow.
    let limit = |trace| {
        failed(
            trace,
            "openai.BadRequestError",
            "maximum context length is 8192",
        )
    };
    let down = |trace| failed(trace, "503", "upstream <unavailable>");
    send(&service, [limit(1), down(2)].concat());
    let prometheus = Server::prometheus(&config, folder.path());
    prometheus.wait_until("sum(genai_errors_total)", 2.0);
    assert_eq!(
        prometheus.value("ALERTS{alertname=\"ErrorsOfClass\"}"),
        None
    );

    send(&service, (10..30).flat_map(limit).collect());
    send(&service, (40..50).flat_map(down).collect());
    send(&service, (100..120).flat_map(rag_trace).collect());

    let mut seen = Vec::new();
    let of_class = |severity: &str, class: &str| {
        let (head, class) = (format!("[{severity}"), format!("of class {class} "));
        move |m: &Value| {
            title(m).starts_with(&head)
                && title(m).contains("ErrorsOfClass")
                && words(m).contains(&class)
        }
    };
    let mut find =
        |what: &str, wanted: &dyn Fn(&Value) -> bool| match seen.iter().find(|m| wanted(m)) {
            Some(message) => Value::clone(message),
            None => slack.wait_for(what, &mut seen, wanted),
        };
    let warning = find("a warning", &of_class("WARNING", "token_limit"));
    let critical = find("a critical", &of_class("CRITICAL", "provider_api"));
    assert_eq!(warning["attachments"][0]["color"], "warning");
    assert_eq!(critical["attachments"][0]["color"], "danger");
    assert_eq!(title(&warning), "[WARNING] ErrorsOfClass shop-rag");
    for (message, level) in [
        (&warning, "warning is 5 or more"),
        (&critical, "critical is 3 or more"),
    ] {
        assert!(words(message).contains("shop-rag had "), "{message}");
        assert!(words(message).contains(level), "{message}");
        assert!(
            words(message).contains("/runbook/ErrorsOfClass|Runbook>"),
            "{message}"
        );
        assert!(
            words(message).contains("/runbook/ErrorsOfClass#traces|Example traces>"),
            "{message}"
        );
        assert!(
            words(message).contains("/d/spanledger-errors|Dashboard>"),
            "{message}"
        );
    }
    // Names come from outside.
    let failing = find("failing requests", &|m| title(m).contains("ErrorRateHigh"));
    assert!(
        title(&failing).ends_with("ask &lt;b&gt; &amp; \"answer\""),
        "{failing}"
    );
    assert!(!words(&failing).contains("<b>"), "{failing}");

    // A dead store, and its end.
    database.refuse(true);
    send(&service, rag_trace(200));
    find("store down", &|m| {
        title(m).starts_with("[CRITICAL") && title(m).contains("StoreDown")
    });
    database.refuse(false);
    let over = find("store up", &|m| {
        title(m).starts_with("[RESOLVED") && title(m).contains("StoreDown")
    });
    assert_eq!(over["attachments"][0]["color"], "good");

    let (_, rules) = get(&prometheus.address, "/api/v1/rules");
    let rules: Value = serde_json::from_str(&rules).unwrap();
    let mut evaluated = 0;
    for group in rules["data"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            // A group that looks once a minute may not have had its turn yet.
            assert!(
                rule["health"] == "ok" || rule["health"] == "unknown",
                "{rule:#}"
            );
            evaluated += usize::from(rule["health"] == "ok");
        }
    }
    assert!(evaluated > 150, "{evaluated}");

    for message in &seen {
        assert!(!message.to_string().contains(PROMPT), "{message}");
        assert!(
            !title(message).contains("Watchdog"),
            "it goes to the heartbeat alone"
        );
    }
}

/// The same without Prometheus: SQLite, one process.
#[test]
fn the_service_tells_slack_itself() {
    let folder = Folder::new("alarm");
    let slack = Slack::start();
    let secret = folder.path().join("slack_url");
    std::fs::write(&secret, format!("{}\n", slack.url)).unwrap();
    let service = Service::start_with(
        &folder.path().join("data"),
        &[
            ("SPANLEDGER_ALERT__SLACK_URL_FILE", secret.to_str().unwrap()),
            ("SPANLEDGER_ALERT__EVERY_SECONDS", "1"),
            ("SPANLEDGER_ALERT__LINK", "https://ledger.example.test/"),
        ],
    );
    let down = |trace| failed(trace, "503", "upstream <unavailable>");
    send(&service, (0..5).flat_map(down).collect());
    let broken = [("Content-Type", "application/x-protobuf")];
    let (status, ..) = post(&service.otlp_http, "/v1/traces", &broken, b"\xff\xffnone");
    assert_eq!(status, 400);

    let mut seen = Vec::new();
    slack.wait_for("a critical", &mut seen, |m| {
        title(m).starts_with("[CRITICAL] ErrorsOfClass provider_api shop-rag")
    });
    let critical = seen.pop().unwrap();
    assert!(words(&critical).contains("5 in 10 minutes"), "{critical}");
    assert!(
        words(&critical).contains("critical is 3 or more."),
        "{critical}"
    );
    // The traces of these very calls.
    let mut ids = (0..5).flat_map(rag_trace).map(|span| span.trace_id);
    let hex = |id: Vec<u8>| {
        id.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let is_linked = |id| {
        words(&critical).contains(&format!("<https://ledger.example.test/traces/{}|", hex(id)))
    };
    assert!(ids.any(is_linked), "{critical}");
    let is_warning = |m: &Value| title(m) == "[WARNING] SpansRejected";
    if !seen.iter().any(is_warning) {
        slack.wait_for("a warning", &mut seen, is_warning);
    }
    assert!(service.metric("spanledger_alert_messages_total", &["sent"]) >= 1.0);
    assert_eq!(
        service.metric("spanledger_alert_messages_total", &["failed"]),
        0.0
    );
    for message in seen.iter().chain([&critical]) {
        assert!(!message.to_string().contains(PROMPT), "{message}");
    }
    assert!(
        !service.log().contains("/services/T0"),
        "the webhook is a secret"
    );
}

#[test]
fn settings_that_would_silence_an_alert_are_refused() {
    let folder = Folder::new("levels");
    let settings = folder.path().join("spanledger.toml");
    let check = |levels: &str| {
        std::fs::write(&settings, format!("[alert]\n{levels}\n")).unwrap();
        let output = command(folder.path())
            .args(["--config", settings.to_str().unwrap(), "config", "check"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told)
    };
    assert_eq!(
        check("levels = { error_ratio = { warning = 0.02 } }").0,
        Some(0)
    );
    let (code, told) = check("levels = { eror_ratio = { warning = 0.02 } }");
    assert_eq!(code, Some(1));
    assert!(told.contains("eror_ratio.warning"), "{told}");
    let (code, told) = check("slack_url_file = \"/no/such/file\"");
    assert_eq!(code, Some(1));
    assert!(told.contains("/no/such/file"), "{told}");
}
