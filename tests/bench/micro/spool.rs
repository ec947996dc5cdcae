//! The spool: an append is durable when it returns. Beside it, the same bytes written to a plain
//! file with and without fdatasync, in the same folder.

use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;
use spanledger::{
    otlp::Signal,
    spool::{Config, Spool},
};

use super::{RECEIVED_AT, support};

const APPENDS: usize = 400;
const SENDERS: usize = 4;
const TRACES: u64 = 102;

pub fn run() {
    let body = support::spans::request(0..TRACES).encode_to_vec();
    println!(
        "{:<28} {:>8} {:>12} {:>8}   {} bytes each",
        "appends",
        "number",
        "median µs",
        "MB/s",
        body.len()
    );
    // Where the service's data lies as a rule; /tmp may be memory.
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let file = folder.path().join("plain");
    plain("write", &file, &body, |_| Ok(()));
    plain("write + fdatasync", &file, &body, File::sync_data);
    for senders in [1, SENDERS] {
        let dir = folder.path().join(format!("spool-{senders}"));
        spooled(senders, &dir, &Bytes::from(body.clone()));
    }
}

fn plain(
    name: &str,
    path: &std::path::Path,
    body: &[u8],
    settle: fn(&File) -> std::io::Result<()>,
) {
    let mut file = File::create(path).expect("a file");
    let started = Instant::now();
    let times = (0..APPENDS).map(|_| {
        let started = Instant::now();
        file.write_all(body).expect("room");
        settle(&file).expect("a sound disk");
        started.elapsed()
    });
    let times = times.collect();
    print(name, body.len(), times, started.elapsed());
}

fn spooled(senders: usize, dir: &std::path::Path, body: &Bytes) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let registry = prometheus::Registry::new();
    let spool = Spool::open(dir, &Config::default(), &registry).expect("a spool");
    let started = Instant::now();
    let times = runtime.block_on(async {
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..senders {
            let (appender, body) = (spool.appender(), body.clone());
            sending.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..APPENDS / senders {
                    let started = Instant::now();
                    appender
                        .append(Signal::Traces, RECEIVED_AT, body.clone(), 5 * TRACES)
                        .await
                        .expect("room");
                    times.push(started.elapsed());
                }
                times
            });
        }
        sending.join_all().await.concat()
    });
    let name = format!("spool, {senders} at once");
    print(&name, body.len(), times, started.elapsed());
    runtime.block_on(spool.close());
}

fn print(name: &str, bytes: usize, mut times: Vec<Duration>, took: Duration) {
    times.sort();
    let number = times.len();
    let median = times[number / 2].as_secs_f64() * 1e6;
    let rate = (bytes * number) as f64 / took.as_secs_f64() / 1e6;
    println!("{name:<28} {number:>8} {median:>12.0} {rate:>8.0}");
}
