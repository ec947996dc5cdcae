//! An ack is on disk, and a replay stores nothing twice.

use std::time::Duration;

use spanledger::load::{Amount, Protocol};

use crate::support::{
    load::{assert_stored_once, plan, send},
    process::{Folder, Service, command},
    proxy::Proxy,
};

/// Scenario: the process is killed (SIGKILL) at random moments while four connections send over
/// gRPC and HTTP; a request without an answer is sent again, as the OTLP retry rules say.
/// Guarantees: every acked span is stored exactly once, and so is every resent one; nothing else
/// is. After each start the books balance.
fn every_acked_span_is_stored_once(name: &str, env: &[(&str, &str)]) {
    let folder = Folder::new(name);
    let mut random = Random::seeded();
    let kills = kills();
    let nowhere = "127.0.0.1:1";
    let doors = [
        (Protocol::Grpc, false),
        (Protocol::HttpProtobuf, true),
        (Protocol::HttpJson, false),
    ]
    .map(|(protocol, gzip)| (protocol, gzip, Proxy::to(nowhere)));
    let senders: Vec<_> = doors
        .iter()
        .map(|(protocol, gzip, proxy)| {
            let mut plan = plan(&proxy.address, *protocol);
            plan.gzip = *gzip;
            plan.connections = match protocol {
                Protocol::Grpc => 2,
                _ => 1,
            };
            send(folder.path(), plan)
        })
        .collect();
    let point_to = |service: &Service| {
        for (protocol, _, proxy) in &doors {
            proxy.point_to(Some(match protocol {
                Protocol::Grpc => &service.grpc,
                _ => &service.otlp_http,
            }));
        }
    };
    for _ in 0..kills {
        let service = Service::start_with(folder.path(), env);
        point_to(&service);
        std::thread::sleep(Duration::from_micros(random.below(400_000)));
        service.kill();
    }
    let service = Service::start_with(folder.path(), env);
    point_to(&service);
    for sender in &senders {
        sender.wait_for_more(40);
    }
    let mut acked = 0;
    service.books();
    for sender in senders {
        let (report, ledger) = sender.stop();
        assert_eq!(report.rejected, 0, "{report:?}");
        assert_stored_once(folder.path(), env, &ledger);
        acked += report.acked;
    }
    assert!(acked > kills * 40, "too little was sent: {acked}");
    assert_eq!(service.closed_books()["lost"], 0);
    println!(
        "{acked} spans acked over {kills} kills, none lost, none doubled; seed {}",
        random.seed
    );
    assert!(service.stop().success());
}

#[test]
fn sqlite() {
    every_acked_span_is_stored_once("crash-sqlite", &[]);
}

#[test]
fn postgres() {
    let url = crate::support::postgres::database().url();
    every_acked_span_is_stored_once("crash-pg", &[("SPANLEDGER_STORE_URL", &url)]);
}

/// Scenario: the process is killed at random moments of its first start on an empty store, while
/// it makes the tables.
/// Guarantees: the next start finishes them and stores what comes.
fn a_first_start_may_be_cut_short(name: &str, env: impl Fn() -> Vec<(&'static str, String)>) {
    let mut random = Random::seeded();
    println!("seed {}", random.seed);
    for _ in 0..8 {
        let folder = Folder::new(name);
        std::fs::create_dir_all(folder.path()).unwrap();
        let env = env();
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        for _ in 0..3 {
            let mut cut_short = command(folder.path())
                .arg("serve")
                .envs(env.iter().copied())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_micros(random.below(250_000)));
            cut_short.kill().unwrap();
            cut_short.wait().unwrap();
        }
        let service = Service::start_with(folder.path(), &env);
        let mut plan = plan(&service.grpc, Protocol::Grpc);
        plan.amount = Amount::Spans(100);
        let (report, ledger) = send(folder.path(), plan).join();
        assert!(report.is_all_acked(), "{report:?}");
        assert_stored_once(folder.path(), &env, &ledger);
        assert!(service.stop().success());
    }
}

#[test]
fn first_start_sqlite() {
    a_first_start_may_be_cut_short("first-sqlite", Vec::new);
}

#[test]
fn first_start_postgres() {
    a_first_start_may_be_cut_short("first-pg", || {
        let url = crate::support::postgres::database().url();
        vec![("SPANLEDGER_STORE_URL", url)]
    });
}

/// Scenario: two hundred requests are taken, and the connection is cut before the answer arrives;
/// the sender sends them again.
/// Guarantees: each span is stored once, and the metrics count it once.
#[test]
fn an_answer_that_is_lost_costs_nothing() {
    const LOST: u32 = 200;
    let folder = Folder::new("lost-answers");
    let service = Service::start(folder.path());
    let proxy = Proxy::to(&service.otlp_http);
    proxy.lose_answers(b"POST /v1/traces", 3, LOST);
    let mut plan = plan(&proxy.address, Protocol::HttpProtobuf);
    plan.amount = Amount::Spans(3000);
    plan.batch = 5;
    plan.connections = 10;
    let (report, ledger) = send(folder.path(), plan).join();
    assert!(report.is_all_acked(), "{report:?}");
    assert_eq!((proxy.lost(), report.retries), (LOST, u64::from(LOST)));
    let verdict = assert_stored_once(folder.path(), &[], &ledger);
    assert_eq!(verdict["rows_found"], 3000 * 4 / 5);
    let books = service.closed_books();
    assert_eq!((books["stored"], books["duplicate"]), (3000, 1000));
    assert_eq!(service.metric("genai_calls_total", &[]), 3000.0 * 2.0 / 5.0);
    assert!(service.stop().success());
}

/// `SPANLEDGER_TEST_KILLS`, 20 if not set.
pub fn kills() -> u64 {
    let set = std::env::var("SPANLEDGER_TEST_KILLS").ok();
    set.map_or(20, |text| {
        text.parse().expect("SPANLEDGER_TEST_KILLS is a number")
    })
}

/// Xorshift; the seed is printed so that a failure can be repeated.
pub struct Random {
    pub seed: u64,
    state: u64,
}

impl Random {
    pub fn seeded() -> Self {
        let seed = std::env::var("SPANLEDGER_TEST_SEED")
            .ok()
            .and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap();
            now.as_nanos() as u64 | 1
        });
        Self { seed, state: seed }
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}
