//! An app with the stock Python SDK sends over gRPC and HTTP.

use std::process::Command;

use crate::support::{
    process::{Folder, Service},
    rows::Rows,
};

/// The interpreter that `tests/run` prepared, or the system's.
pub fn python() -> String {
    std::env::var("SPANLEDGER_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[test]
fn the_stock_exporters_are_understood() {
    let folder = Folder::new("python");
    let service = Service::start(folder.path());
    let sent = Command::new(python())
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/python/send.py"
        ))
        .arg(format!("http://{}", service.grpc))
        .arg(format!("http://{}", service.otlp_http))
        .output()
        .expect("python3 starts");
    assert!(
        sent.status.success(),
        "{}\nIf the SDK is missing: tests/run installs it.",
        String::from_utf8_lossy(&sent.stderr)
    );
    service.wait_until_stored(6);
    // 1,000 input tokens at 0.15 USD and 100 output tokens at 0.60 USD a million.
    let usd = 1000.0 * 0.15e-6 + 100.0 * 0.60e-6;
    let cost = service.metric("genai_cost_usd_total", &[]);
    assert!((cost - 3.0 * usd).abs() < 1e-9, "{cost}");
    assert!(service.stop().success());
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    let calls = rows.query(
        "SELECT service_name, user_id, prompt_tokens, round(estimated_cost, 9) FROM llm_calls \
         WHERE counted ORDER BY service_name",
    );
    let expected: Vec<Vec<String>> = ["grpc", "gzip", "http"]
        .iter()
        .map(|name| {
            vec![
                format!("python-{name}"),
                "u-1".into(),
                "1000".into(),
                "0.00021".into(),
            ]
        })
        .collect();
    assert_eq!(calls, expected);
}
