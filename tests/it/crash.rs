//! An ack is on disk, and a replay stores nothing twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;

use crate::support::{
    process::{Folder, Service},
    rows::Rows,
    spans,
};

const KILLS: u64 = 20;
const CLIENTS: u64 = 4;
const TRACES_PER_REQUEST: u64 = 8;

/// Scenario: the process is killed (SIGKILL) at 20 random moments while four clients send; a
/// request without an answer is sent again, as the OTLP retry rules say.
/// Guarantees: every acked span is stored exactly once, and so is every resent one.
fn every_acked_span_is_stored_once(store: impl Fn(&Folder) -> (Vec<(&'static str, String)>, Rows)) {
    let folder = Folder::new("crash");
    let (env, rows) = store(&folder);
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let acked = Arc::new(Mutex::new(BTreeSet::new()));
    let mut unanswered: Vec<u64> = Vec::new();
    let mut random = Random::seeded();
    let mut last = None;
    for round in 0..=KILLS {
        let service = Service::start_with(folder.path(), &env);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let again = unanswered
                    .iter()
                    .copied()
                    .skip(n as usize)
                    .step_by(CLIENTS as usize);
                let client = Client {
                    endpoint: format!("http://{}", service.grpc),
                    next: Arc::clone(&next),
                    acked: Arc::clone(&acked),
                    again: again.collect(),
                    only_again: round == KILLS,
                };
                runtime.spawn(client.run())
            })
            .collect();
        if round < KILLS {
            std::thread::sleep(Duration::from_micros(random.below(400_000)));
            service.kill();
        } else {
            last = Some(service);
        }
        unanswered = clients
            .into_iter()
            .flat_map(|c| runtime.block_on(c).unwrap())
            .collect();
    }
    assert!(unanswered.is_empty(), "the last round answers everything");
    assert!(last.unwrap().stop().success());
    let acked = acked.lock().unwrap();
    assert!(
        acked.len() > KILLS as usize,
        "too little was sent: {}",
        acked.len()
    );
    let expected: BTreeSet<String> = acked
        .iter()
        .flat_map(|first| *first..*first + TRACES_PER_REQUEST)
        .map(spans::trace_id)
        .collect();
    println!(
        "{} traces acked over {KILLS} kills, seed {}",
        expected.len(),
        random.seed
    );
    for (table, per_trace) in [
        ("llm_calls", 2),
        ("retrievals", 1),
        ("pipeline_requests", 1),
    ] {
        let stored = rows.trace_counts(table);
        let lost: Vec<_> = expected
            .iter()
            .filter(|id| !stored.contains_key(*id))
            .collect();
        assert!(
            lost.is_empty(),
            "{table}: {} acked traces lost, seed {}",
            lost.len(),
            random.seed
        );
        let wrong: Vec<_> = stored
            .iter()
            .filter(|(_, n)| **n != per_trace)
            .take(5)
            .collect();
        assert!(
            wrong.is_empty(),
            "{table}: not {per_trace} rows a trace: {wrong:?}, seed {}",
            random.seed
        );
    }
}

#[test]
fn sqlite() {
    every_acked_span_is_stored_once(|folder| {
        (
            Vec::new(),
            Rows::sqlite(&folder.path().join("spanledger.db")),
        )
    });
}

#[test]
fn postgres() {
    let database = crate::support::postgres::database();
    every_acked_span_is_stored_once(|_| {
        (
            vec![("SPANLEDGER_STORE_URL", database.url())],
            Rows::postgres(&database.url()),
        )
    });
}

struct Client {
    endpoint: String,
    next: Arc<AtomicU64>,
    acked: Arc<Mutex<BTreeSet<u64>>>,
    again: Vec<u64>,
    only_again: bool,
}

impl Client {
    /// Sends until the connection breaks; gives back what has no answer yet.
    async fn run(mut self) -> Vec<u64> {
        let Ok(mut client) = TraceServiceClient::connect(self.endpoint.clone()).await else {
            return self.again;
        };
        loop {
            let first = match self.again.pop() {
                Some(first) => first,
                None if self.only_again => return Vec::new(),
                None => self.next.fetch_add(TRACES_PER_REQUEST, Ordering::Relaxed) + 1,
            };
            let request = spans::request(first..first + TRACES_PER_REQUEST);
            match client.export(request).await {
                Ok(_) => drop(self.acked.lock().unwrap().insert(first)),
                Err(_) => {
                    self.again.push(first);
                    return self.again;
                }
            }
        }
    }
}

/// Xorshift; the seed is printed so that a failure can be repeated.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn seeded() -> Self {
        let seed = std::env::var("SPANLEDGER_TEST_SEED")
            .ok()
            .and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            now.as_nanos() as u64 | 1
        });
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}
