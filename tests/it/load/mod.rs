//! `spanledger load` and `spanledger verify`: books that find what is missing.

mod retries;

use std::{
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use serde_json::Value;
use spanledger::load::{Amount, Protocol, RunId};

use crate::support::{
    load::{plan, send, verify},
    postgres::database,
    process::{Folder, Service, command},
    rows::Rows,
};

fn run(folder: &Path, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = command(folder);
    command.args(args).envs(env.iter().copied());
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Scenario: a load over each protocol, plain and compressed, one after the other into one ledger.
/// Guarantees: all is acked, stored and summed as sent; the same seed sends the same ids.
#[test]
fn every_protocol_is_sent_noted_and_found() {
    let folder = Folder::new("load");
    let service = Service::start(folder.path());
    let ledger = folder.path().join("ledger");
    let ledger = ledger.to_str().unwrap();
    for (seed, (protocol, gzip)) in [
        ("grpc", false),
        ("grpc", true),
        ("http/protobuf", false),
        ("http/protobuf", true),
        ("http/json", false),
        ("http/json", true),
    ]
    .iter()
    .enumerate()
    {
        let address = match *protocol {
            "grpc" => &service.grpc,
            _ => &service.otlp_http,
        };
        let seed = seed.to_string();
        let mut args = vec![
            "load",
            "--json",
            "--endpoint",
            address,
            "--protocol",
            protocol,
        ];
        args.extend(["--spans", "1203", "--batch", "256", "--ledger", ledger]);
        args.extend(["--seed", &seed]);
        args.extend(gzip.then_some("--gzip"));
        let output = run(folder.path(), &[], &args);
        let report = json(&output);
        assert_eq!(output.status.code(), Some(0), "{report}");
        let counts = ["sent", "acked", "rejected", "unanswered", "retries"];
        let counts = counts.map(|name| report[name].as_u64().unwrap());
        assert_eq!(counts, [1205, 1205, 0, 0, 0]);
        assert!(report["ack_ms"]["p99"].as_f64() > Some(0.0));
        assert!(report["cpu_seconds"].is_number());
    }
    let output = run(
        folder.path(),
        &[],
        &["verify", "--json", "--wait", "60", ledger],
    );
    let verdicts = json(&output);
    assert_eq!(output.status.code(), Some(0), "{verdicts:#}");
    for verdict in verdicts.as_array().unwrap() {
        assert_eq!(verdict["acked"], 1205);
        assert_eq!(verdict["rows_found"], 241 * 4);
        let totals = &verdict["totals"];
        // 241 requests: 21 of the embedding, 1000 to 1240 of the chat.
        assert_eq!(totals["input_tokens_stored"], 241 * 1021 + 240 * 241 / 2);
        assert_eq!(totals["output_tokens_stored"], 241 * 42);
        let [expected, stored] = ["cost_expected", "cost_stored"].map(|name| totals[name].as_f64());
        let (expected, stored) = (expected.unwrap(), stored.unwrap());
        assert!(expected > 0.0 && (expected - stored).abs() < 1e-9);
    }
    assert_eq!(verdicts.as_array().unwrap().len(), 6);
    assert_eq!(service.metric("genai_calls_total", &[]), 6.0 * 241.0 * 2.0);

    // The same seed again: the same ids, at another time. The ledger says that is one run.
    let args = [
        "load",
        "--endpoint",
        &service.grpc,
        "--spans",
        "5",
        "--seed",
        "1",
    ];
    assert_eq!(run(folder.path(), &[], &args).status.code(), Some(0));
    service.wait_until_stored(6 * 1205 + 5);
    let traces = "SELECT count(DISTINCT trace_id) FROM llm_calls";
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    assert_eq!(rows.query(traces), [[(6 * 241).to_string()]]);
    assert!(service.stop().success());
}

/// Scenario: rows are deleted, doubled, changed and made up behind the ledger's back; a note is
/// taken out of the ledger.
/// Guarantees: each is found for what it is, by its ids, and the exit code says so.
fn what_is_wrong_is_found(name: &str, env: &[(&str, &str)], rows: impl Fn(&Folder) -> Rows) {
    let folder = Folder::new(name);
    let service = Service::start_with(folder.path(), env);
    let rows = rows(&folder);
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(2000);
    plan.connections = 1;
    let (report, ledger) = send(folder.path(), plan).join();
    assert!(report.is_all_acked(), "{report:?}");
    let (code, verdict) = verify(folder.path(), env, &ledger);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(service.stop().success());
    let counts = |verdict: &Value| {
        ["lost", "doubled", "unexpected", "different"]
            .map(|kind| verdict[kind]["count"].as_u64().unwrap())
    };
    let check = || {
        let output = run(
            folder.path(),
            env,
            &["verify", "--json", ledger.to_str().unwrap()],
        );
        (output.status.code().unwrap(), json(&output)[0].clone())
    };
    let one = rows.query("SELECT trace_id, span_id FROM retrievals ORDER BY trace_id LIMIT 1");
    let (trace, span) = (&one[0][0], &one[0][1]);

    // A request of which nobody noted that it was acked; then not even that it was sent.
    let whole = std::fs::read_to_string(&ledger).unwrap();
    let without = |words: &[&str]| {
        let kept = whole.lines().filter(|line| !words.contains(line));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    std::fs::write(&ledger, without(&["acked 8 8"])).unwrap();
    let (code, verdict) = check();
    assert_eq!((code, counts(&verdict)), (0, [0, 0, 0, 0]));
    assert_eq!(verdict["unanswered"], 40);
    assert_eq!(verdict["rows_of_unanswered"], 32);
    std::fs::write(&ledger, without(&["acked 8 8", "sent 8 8"])).unwrap();
    let (code, verdict) = check();
    assert_eq!((code, counts(&verdict)), (3, [0, 0, 32, 0]));
    std::fs::write(&ledger, &whole).unwrap();

    // The same row at another time, one that says something else, one in a table of others.
    let columns = "trace_id, span_id, counted, status, created_at";
    rows.query(&format!(
        "INSERT INTO retrievals ({columns}, started_at) SELECT {columns}, created_at \
         FROM retrievals WHERE trace_id = '{trace}'"
    ));
    rows.query(&format!(
        "UPDATE llm_calls SET completion_tokens = 43 WHERE trace_id = '{trace}' AND model = 'gpt-4o-mini'"
    ));
    rows.query(&format!(
        "INSERT INTO cache_lookups (trace_id, span_id, cache, hit, started_at) \
         SELECT trace_id, span_id, 'made up', counted, started_at FROM llm_calls \
         WHERE trace_id = '{trace}' AND model = 'gpt-4o-mini'"
    ));
    let (code, verdict) = check();
    assert_eq!((code, counts(&verdict)), (3, [0, 1, 1, 1]), "{verdict:#}");
    let different = verdict["different"]["examples"][0].as_str().unwrap();
    assert!(
        different.contains("43") && different.starts_with(&**trace),
        "{different}"
    );

    rows.query(&format!(
        "DELETE FROM retrievals WHERE trace_id = '{trace}'"
    ));
    let (code, verdict) = check();
    assert_eq!((code, counts(&verdict)), (3, [1, 0, 1, 1]));
    let lost = verdict["lost"]["examples"][0].as_str().unwrap();
    assert_eq!(lost, format!("{trace}-{span} retrievals"));
    let text = run(folder.path(), env, &["verify", ledger.to_str().unwrap()]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("lost        1\n") && text.contains(lost),
        "{text}"
    );
}

#[test]
fn what_is_wrong_is_found_in_sqlite() {
    what_is_wrong_is_found("load-sqlite", &[], |folder| {
        Rows::sqlite(&folder.path().join("spanledger.db"))
    });
}

#[test]
fn what_is_wrong_is_found_in_postgres() {
    let url = database().url();
    what_is_wrong_is_found("load-pg", &[("SPANLEDGER_STORE_URL", &url)], |_| {
        Rows::postgres(&url)
    });
}

/// Scenario: the store refuses one row of two thousand spans.
/// Guarantees: it is kept as a dead letter and found as one, its neighbours are stored, the books
/// balance.
#[test]
fn a_dead_letter_is_found_as_one() {
    let folder = Folder::new("load-letter");
    let url = database().url();
    let env = [("SPANLEDGER_STORE_URL", &*url)];
    let service = Service::start_with(folder.path(), &env);
    service.wait_until_connected();
    let rows = Rows::postgres(&url);
    // The chat call of request 7.
    rows.query("ALTER TABLE llm_calls ADD CONSTRAINT poison CHECK (prompt_tokens <> 1007)");
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(2000);
    let run = RunId::of_seed(plan.seed);
    let (report, ledger) = send(folder.path(), plan).join();
    assert!(report.is_all_acked(), "{report:?}");
    let books = service.closed_books();
    assert_eq!((books["stored"], books["lost"]), (2000, 0));
    let (code, verdict) = verify(folder.path(), &env, &ledger);
    assert_eq!(code, 3, "{verdict:#}");
    let trace = run.trace(7);
    let letter = format!("{}-{} llm_calls", trace.id(), trace.span(2));
    let letters = &verdict["dead_letters"];
    assert_eq!(
        (&letters["count"], &letters["examples"][0]),
        (&1.into(), &letter.into())
    );
    assert_eq!(verdict["rows_found"], 2000 * 4 / 5 - 1);
    for kind in ["lost", "doubled", "unexpected", "different"] {
        assert_eq!(verdict[kind]["count"], 0, "{kind}");
    }
    assert!(service.stop().success());
}

/// Scenario: the sender itself is killed (SIGKILL) while it sends.
/// Guarantees: what it had noted is stored; what it had no time to note is not called unexpected.
#[test]
fn a_killed_sender_leaves_honest_books() {
    let folder = Folder::new("load-killed");
    let service = Service::start(folder.path());
    let ledger = folder.path().join("ledger");
    let mut sender = command(folder.path())
        .args(["load", "--endpoint", &service.grpc, "--duration", "600"])
        .args(["--batch", "20", "--ledger"])
        .arg(&ledger)
        .spawn()
        .unwrap();
    let started = Instant::now();
    while service.metric("spanledger_receive_spans_total", &[]) < 3000.0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    sender.kill().unwrap();
    sender.wait().unwrap();
    let (code, verdict) = verify(folder.path(), &[], &ledger);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(verdict["acked"].as_u64() >= Some(2000), "{verdict:#}");
    assert!(service.stop().success());
}

/// Scenario: the commands are used wrongly, or on what is not there.
/// Guarantees: one line that says so, and the exit code of it.
#[test]
fn wrong_usage_is_told() {
    let folder = Folder::new("usage");
    let told = |args: &[&str]| {
        let output = run(folder.path(), &[], args);
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), text)
    };
    for (args, code, word) in [
        (
            &["load", "--spans", "5", "--duration", "1"][..],
            2,
            "--duration",
        ),
        (&["load", "--rate", "0"], 2, "above 0"),
        (&["load", "--batch", "4"], 2, "4"),
        (&["load", "--protocol", "kafka"], 2, "http/json"),
        (
            &["load", "--endpoint", "https://example.test:4317"],
            1,
            "TLS",
        ),
        (
            &["load", "--ledger", "/no/such/folder/ledger"],
            1,
            "/no/such/folder",
        ),
        (&["verify", "/no/such/ledger"], 1, "/no/such/ledger"),
        (&["verify"], 2, "LEDGER"),
    ] {
        let (found, text) = told(args);
        assert!(
            found == code && text.contains(word),
            "{args:?}: {found} {text}"
        );
    }
}
