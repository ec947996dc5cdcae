//! A load with books, and the check of the store against them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use spanledger::load::{self, Amount, Endpoint, Plan, Progress, Protocol, Report, Writer};
use tokio_util::sync::CancellationToken;

use super::process::command;

/// As fast as acks come, over two connections, until told to stop.
pub fn plan(address: &str, protocol: Protocol) -> Plan {
    Plan {
        endpoint: Endpoint::parse(address).unwrap(),
        protocol,
        gzip: false,
        amount: Amount::For(Duration::from_secs(3600)),
        rate: None,
        connections: 2,
        batch: 40,
        seed: seed(),
        give_up_after: Duration::from_secs(120),
    }
}

/// Another one at each call; never the same in two runs of the tests.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() >> 11
}

/// A load under way.
pub struct Sending {
    thread: JoinHandle<Report>,
    stop: CancellationToken,
    progress: Arc<Mutex<Progress>>,
    pub ledger: PathBuf,
}

/// Sends from a thread of its own; notes stand in `folder`.
pub fn send(folder: &Path, plan: Plan) -> Sending {
    std::fs::create_dir_all(folder).unwrap();
    let ledger = folder.join(format!("ledger-{}", plan.seed));
    let writer = Writer::open(&ledger, plan.seed, plan.protocol).unwrap();
    let stop = CancellationToken::new();
    let progress = Arc::new(Mutex::new(Progress::default()));
    let (told, seen) = (stop.clone(), Arc::clone(&progress));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let show = move |progress| *seen.lock().unwrap() = progress;
        runtime
            .block_on(load::run(plan, Some(writer), told, show))
            .unwrap()
    });
    Sending {
        thread,
        stop,
        progress,
        ledger,
    }
}

impl Sending {
    /// How far it is; a little late.
    pub fn progress(&self) -> Progress {
        *self.progress.lock().unwrap()
    }

    /// Whether all is sent.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until this many spans more are acked.
    pub fn wait_for_more(&self, spans: u64) {
        let (from, started) = (self.progress().acked, std::time::Instant::now());
        while self.progress().acked < from + spans {
            assert!(!self.thread.is_finished(), "the load ended");
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{:?}",
                self.progress()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it; what has no answer is not sent again.
    pub fn stop(self) -> (Report, PathBuf) {
        self.stop.cancel();
        (self.thread.join().unwrap(), self.ledger)
    }

    /// Waits until all is sent.
    pub fn join(self) -> (Report, PathBuf) {
        (self.thread.join().unwrap(), self.ledger)
    }
}

/// `spanledger verify --wait 60`: (exit code, verdict of the one run).
pub fn verify(data_dir: &Path, env: &[(&str, &str)], ledger: &Path) -> (i32, Value) {
    verify_within(60, data_dir, env, ledger)
}

/// The same, with another time to wait for what is not there yet, seconds.
pub fn verify_within(
    seconds: u32,
    data_dir: &Path,
    env: &[(&str, &str)],
    ledger: &Path,
) -> (i32, Value) {
    let output = command(data_dir)
        .args(["verify", "--json", "--wait", &seconds.to_string()])
        .arg(ledger)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let verdicts: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(verdicts.as_array().unwrap().len(), 1, "one run a ledger");
    (output.status.code().unwrap(), verdicts[0].clone())
}

/// Every acked span is stored once, nothing was stored that was not sent.
#[track_caller]
pub fn assert_stored_once(data_dir: &Path, env: &[(&str, &str)], ledger: &Path) -> Value {
    // A hundred kills leave a backlog that takes a debug build minutes to store.
    let (code, verdict) = verify_within(600, data_dir, env, ledger);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(verdict["acked"].as_u64() > Some(0), "{verdict:#}");
    assert_eq!(verdict["rows_found"], verdict["rows_expected"]);
    verdict
}
