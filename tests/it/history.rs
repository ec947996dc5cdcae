//! A conversation's turns are stored once, and every call of it reads back whole.
//!
//! Scenario: a chat app sends fifty turns, each as a call with all turns before it in its messages;
//! the service is stopped halfway and the app sends everything again.
//! Guarantees: each message is stored once; turn 50 and turn 10 read back word by word; nothing
//! but hashes grows with the square of the turns.

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};

use crate::support::{
    postgres,
    process::{Folder, Service, command, post},
    rows::Rows,
    spans::{of_spans, text},
};

const TURNS: usize = 50;
const SYSTEM: &str = "You help with cooking. Answer in two sentences.";

fn question(n: usize) -> String {
    format!(
        "Question {n}: {}",
        "what goes well with this, and why? ".repeat(10)
    )
}

fn answer(n: usize) -> String {
    format!(
        "Answer {n}: {}",
        "salt, \"a lemon\",\nand time. ".repeat(20)
    )
}

fn span_id(n: usize) -> [u8; 8] {
    (0xc0ffee00 + n as u64).to_be_bytes()
}

/// (role, content) of what turn `n` says, in order.
fn messages(n: usize) -> Vec<(&'static str, String)> {
    let mut all = vec![("system", SYSTEM.to_owned())];
    for turn in 1..=n {
        all.extend([("user", question(turn)), ("assistant", answer(turn))]);
    }
    all
}

/// Turn `n` as an app exports it: the conventions' message lists on the call's span.
fn turn(n: usize) -> Vec<u8> {
    let mut said: Vec<Value> = messages(n)
        .iter()
        .map(|(role, content)| json!({"role": role, "parts": [{"type": "text", "content": content}]}))
        .collect();
    let answer = json!([said.pop()]).to_string();
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    let now = since.as_nanos() as u64;
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&span_id(n));
    let span = Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id(n).to_vec(),
        name: "chat gpt-4o-mini".into(),
        start_time_unix_nano: now - 1_000_000_000,
        end_time_unix_nano: now,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o-mini"),
            text("gen_ai.input.messages", &json!(said).to_string()),
            text("gen_ai.output.messages", &answer),
        ],
        ..Span::default()
    };
    of_spans(vec![span]).encode_to_vec()
}

fn send(service: &Service, body: &[u8]) {
    let headers = [("Content-Type", "application/x-protobuf")];
    let (status, ..) = post(&service.otlp_http, "/v1/traces", &headers, body);
    assert_eq!(status, 200);
}

/// What `explain --messages` says of turn `n`.
fn read_back(folder: &Folder, env: &[(&str, &str)], n: usize) -> Vec<(String, String)> {
    let id = span_id(n).map(|byte| format!("{byte:02x}")).concat();
    let output = command(folder.path())
        .args(["explain", "--messages", "--json", &id])
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let calls: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(calls[0]["messages_left_out"], 0);
    let said = calls[0]["messages"].as_array().unwrap().iter();
    said.map(|message| {
        let word = |key: &str| message[key].as_str().unwrap_or("?").to_owned();
        (word("role"), word("content"))
    })
    .collect()
}

fn assert_reads_back(folder: &Folder, env: &[(&str, &str)]) {
    for n in [TURNS, 10, 1] {
        let sent: Vec<_> = messages(n)
            .into_iter()
            .map(|(role, text)| (role.to_owned(), text))
            .collect();
        assert_eq!(read_back(folder, env, n), sent, "turn {n}");
    }
}

fn number(rows: &Rows, sql: &str) -> usize {
    rows.query(sql)[0][0].parse().unwrap()
}

fn is_stored_once(name: &str, env: &[(&str, &str)], rows: impl Fn(&Folder) -> Rows) {
    let folder = Folder::new(name);
    // All of one day, whenever the test runs.
    let requests: Vec<Vec<u8>> = (1..=TURNS).map(turn).collect();
    let service = Service::start_with(folder.path(), env);
    requests[..TURNS / 2]
        .iter()
        .for_each(|body| send(&service, body));
    assert!(service.stop().success());
    let service = Service::start_with(folder.path(), env);
    requests.iter().for_each(|body| send(&service, body));
    let books = service.closed_books();
    assert_eq!((books["stored"], books["duplicate"]), (25, 25));
    assert!(service.stop().success());
    let rows = rows(&folder);
    let days = number(
        &rows,
        "SELECT count(DISTINCT started_at) FROM message_texts",
    );
    let texts = number(&rows, "SELECT count(*) FROM message_texts");
    assert!(
        texts <= 2 * (TURNS - 1) * days,
        "{texts} texts on {days} days"
    );
    assert_eq!(
        number(&rows, "SELECT count(DISTINCT hash) FROM message_texts"),
        2 * (TURNS - 1)
    );
    assert_reads_back(&folder, env);

    let sent: usize = requests.iter().map(Vec::len).sum();
    let bytes = "SELECT CAST(sum(length(content)) AS bigint) FROM message_texts";
    let own = "SELECT CAST(sum(length(prompt) + length(response) + length(system_prompt)) AS bigint) FROM llm_calls";
    let names = "SELECT CAST(sum(length(CAST(metadata AS text))) AS bigint) FROM llm_calls";
    let [texts, own, names] = [bytes, own, names].map(|sql| number(&rows, sql));
    println!(
        "{name}: {sent} bytes sent; {texts} of earlier turns, {own} of the rows' own, {names} of metadata stored"
    );
    let once: usize = messages(TURNS).iter().map(|(_, text)| text.len()).sum();
    assert!(texts <= once * days && own <= once + SYSTEM.len() * TURNS);
    assert!(names < 40 * TURNS * TURNS + 1000 * TURNS, "hashes only");
}

#[test]
fn sqlite() {
    is_stored_once("history-sqlite", &[], |folder| {
        Rows::sqlite(&folder.path().join("spanledger.db"))
    });
}

#[test]
fn postgres() {
    let url = postgres::database().url();
    is_stored_once("history-pg", &[("SPANLEDGER_STORE_URL", &url)], |_| {
        Rows::postgres(&url)
    });
}

/// Scenario: two services that share a Postgres get the same conversation at the same time, one
/// from its begin, one from its end.
/// Guarantees: each text is there once, no commit of either failed, and the turns read back.
#[test]
fn two_services_share_a_conversation() {
    let url = postgres::database().url();
    let env = [("SPANLEDGER_STORE_URL", url.as_str())];
    let folders = ["history-one", "history-two"].map(Folder::new);
    let services = folders
        .each_ref()
        .map(|folder| Service::start_with(folder.path(), &env));
    let requests: Vec<Vec<u8>> = (1..=TURNS).map(turn).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| requests.iter().for_each(|body| send(&services[0], body)));
        scope.spawn(|| {
            requests
                .iter()
                .rev()
                .for_each(|body| send(&services[1], body))
        });
    });
    for service in services {
        service.closed_books();
        assert_eq!(
            service.metric("spanledger_lane_failures_total", &[]),
            0.0,
            "{}",
            service.log()
        );
        assert!(service.stop().success());
    }
    let rows = Rows::postgres(&url);
    let twice = "SELECT count(*) FROM (SELECT hash, started_at FROM message_texts \
        GROUP BY hash, started_at HAVING count(*) > 1) AS twice";
    assert_eq!(number(&rows, twice), 0);
    assert_eq!(
        number(&rows, "SELECT count(DISTINCT hash) FROM message_texts"),
        2 * (TURNS - 1)
    );
    assert_eq!(number(&rows, "SELECT count(*) FROM llm_calls"), TURNS);
    assert_reads_back(&folders[0], &env);
}
