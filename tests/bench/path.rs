//! The whole path: receive → spool → map → store, measured on the real binary.
//!
//! ```text
//! cargo bench --bench path                 # everything below
//! SPANS=1000000 ROUNDS=7 cargo bench --bench path    # spans a round, and rounds, of copy and cost
//! cargo bench --bench path -- copy         # one part: copy, cost, ack, overload
//! ```
//!
//! - **copy**: rows a second into Postgres, end to end from the first send to the last commit, and
//!   beside it the same rows by `psql`'s `\copy … (FORMAT binary)` into the same tables, empty
//!   again: the physical limit. Rounds take turns, each in a database of its own; the server is
//!   stock, with fsync.
//! - **cost**: for each store and protocol, spans a second, CPU-seconds of Spanledger (user and
//!   system) for 100,000 spans, its peak resident memory, and the CPU-seconds of the Postgres
//!   backends beside it. Seconds differ from machine to machine, and on a shared one from minute to
//!   minute: what prost alone takes to decode the same spans, just before each round and just after,
//!   is the unit to compare by. It is taken twice: on one thread, and with all processors busy, as
//!   they are in the round. Each figure is the median of `ROUNDS` rounds, one after the other on the
//!   same service; beside the ratios stand the smallest and the largest of the rounds.
//! - **ack**: times to the ack at 20,000 spans a second, sent for 20 s after 2 s of warming up.
//! - **overload**: rows stored a second while five times as many as the store takes are offered on 32
//!   connections and the spool is full, beside what it takes when nothing is refused; how many tries
//!   were refused, and how long a request takes afterwards.
//!
//! The Postgres server of cost and ack has been in use before: a new one still makes the files of its
//! log.
//!
//! The load is that of `spanledger load`: 5-span RAG traces of about 640 bytes a span, 510 spans a
//! request, on four connections that send as fast as acks come. Sender, service and Postgres share
//! the processors. Compare ratios within a run; machines are noisy.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanledger::load::{self, Amount, Endpoint, Plan, Protocol, Report};

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

mod copy;
mod overload;

use support::{
    postgres::Cluster,
    process::{Folder, Service},
    spans,
};

const CLIENTS: usize = 4;
const TRACES_PER_REQUEST: u64 = 102;
/// Spans a second of the run that times acks, and for how long.
const PACE: u32 = 20_000;
const PACED: Duration = Duration::from_secs(20);
const WARM_UP: Duration = Duration::from_secs(2);
/// Spans that a new Postgres server takes first: as many as on the longest-lived service.
const SEASONING: u64 = 500_000;

fn main() {
    let part = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wants = |name| part.as_deref().is_none_or(|part| part == name);
    let sample = spans::request(0..TRACES_PER_REQUEST);
    let bytes = sample.encoded_len() as u64 / (5 * TRACES_PER_REQUEST);
    println!(
        "spans of {bytes} bytes, {} spans a request",
        5 * TRACES_PER_REQUEST
    );
    let cluster = Cluster::start(&["-c", "fsync=on"]);
    if wants("copy") {
        against_copy(&cluster, setting("SPANS", 200_000), setting("ROUNDS", 3));
    }
    if wants("cost") || wants("ack") {
        // A new server makes each file of its log as it comes to it, and writes it twice; one that
        // has been in use has them.
        run(
            Protocol::Grpc,
            SEASONING,
            Some((&cluster, &cluster.database())),
        );
    }
    if wants("cost") {
        cost(&cluster, setting("SPANS", 100_000), setting("ROUNDS", 5));
    }
    if wants("ack") {
        ack(&cluster);
    }
    if wants("overload") {
        overload::measure(&cluster);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn against_copy(cluster: &Cluster, spans: u64, rounds: u64) {
    println!(
        "\n{:<6} {:>14} {:>14} {:>8}",
        "round", "stored rows/s", "COPY rows/s", "ratio"
    );
    let ratios: Vec<f64> = (0..rounds)
        .map(|round| {
            let database = cluster.database();
            // As before the other: the log goes into files that are there.
            cluster.checkpoint();
            let ours = run(Protocol::Grpc, spans, Some((cluster, &database)));
            let copied = copy::again(cluster, &database);
            let ours = copied.rows as f64 / ours.stored.as_secs_f64();
            let theirs = copied.rows as f64 / copied.took.as_secs_f64();
            println!(
                "{:<6} {ours:>14.0} {theirs:>14.0} {:>8.2}",
                round + 1,
                ours / theirs
            );
            ours / theirs
        })
        .collect();
    println!("median ratio {:.2}", median(ratios));
}

fn sorted(all: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = all.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all
}

fn median(all: impl IntoIterator<Item = f64>) -> f64 {
    let all = sorted(all);
    all[all.len() / 2]
}

/// CPU-seconds that prost takes to decode 100,000 of these spans on the system's allocator, on so
/// many threads at once.
fn prost_cpu_seconds(threads: usize) -> f64 {
    let body = spans::request(0..TRACES_PER_REQUEST).encode_to_vec();
    let before = cpu_seconds(std::process::id());
    let decode = || {
        let (started, mut decoded) = (Instant::now(), 0);
        while started.elapsed() < Duration::from_secs(1) {
            let request = ExportTraceServiceRequest::decode(body.as_slice());
            assert!(std::hint::black_box(request).is_ok());
            decoded += 5 * TRACES_PER_REQUEST;
        }
        decoded
    };
    let decoded: u64 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(decode)).collect();
        let decoded = all.into_iter().map(|thread| thread.join());
        decoded.map(|decoded| decoded.expect("it decodes")).sum()
    });
    (cpu_seconds(std::process::id()) - before) * 100_000.0 / decoded as f64
}

/// What prost takes on one thread, and on as many as there are processors.
fn units() -> [f64; 2] {
    let processors = std::thread::available_parallelism().map_or(1, |all| all.get());
    [prost_cpu_seconds(1), prost_cpu_seconds(processors)]
}

fn cost(cluster: &Cluster, spans: u64, rounds: u64) {
    println!(
        "\n{:<10} {:<14} {:>10} {:>10} {:>11} {:>26} {:>26} {:>8} {:>9}",
        "store",
        "protocol",
        "acked/s",
        "stored/s",
        "CPU-s/100k",
        "x prost",
        "x prost busy",
        "Postgres",
        "peak MiB"
    );
    for store in ["postgres", "sqlite"] {
        for protocol in Protocol::ALL {
            let database = (store == "postgres").then(|| cluster.database());
            let server = database.as_ref().map(|_| cluster);
            cluster.checkpoint();
            let folder = Folder::new("bench");
            let service = start(&folder, database.as_deref(), &[]);
            let mut before = units();
            let rounds: Vec<Round> = (1..=rounds)
                .map(|seed| {
                    let measured = measure(&service, protocol, spans, seed, server);
                    let after = units();
                    let prost = [0, 1].map(|unit| (before[unit] + after[unit]) / 2.0);
                    before = after;
                    Round { measured, prost }
                })
                .collect();
            let peak_mib = service.peak_mib();
            assert!(service.stop().success(), "the service stops cleanly");
            print(store, protocol, &rounds, peak_mib);
        }
    }
}

/// A round of cost, and what prost took around it: alone, and with all processors busy.
struct Round {
    measured: Measured,
    prost: [f64; 2],
}

fn print(store: &str, protocol: Protocol, rounds: &[Round], peak_mib: f64) {
    let median_of = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of));
    let cpu = |round: &Round| round.measured.per_100k(round.measured.cpu_seconds);
    let ratio = |unit: usize| {
        let all = sorted(rounds.iter().map(|round| cpu(round) / round.prost[unit]));
        format!(
            "{:.1} ({:.1} to {:.1}) x {:.2}",
            all[all.len() / 2],
            all[0],
            all[all.len() - 1],
            median_of(&|round| round.prost[unit])
        )
    };
    let theirs = |round: &Round| {
        let cpu = round.measured.their_cpu_seconds;
        cpu.map(|cpu| round.measured.per_100k(cpu))
    };
    let theirs: Option<Vec<f64>> = rounds.iter().map(theirs).collect();
    let theirs = theirs.map_or("-".to_owned(), |all| format!("{:.2}", median(all)));
    let a_second = |round: &Round, took: Duration| round.measured.spans as f64 / took.as_secs_f64();
    println!(
        "{store:<10} {:<14} {:>10.0} {:>10.0} {:>11.2} {:>26} {:>26} {theirs:>8} {peak_mib:>9.0}",
        protocol.as_str(),
        median_of(&|round| a_second(round, round.measured.acked)),
        median_of(&|round| a_second(round, round.measured.stored)),
        median_of(&cpu),
        ratio(0),
        ratio(1),
    );
}

fn ack(cluster: &Cluster) {
    println!(
        "\n{:<10} {:<14} {:>8} {:>8} {:>8} {:>8}   at {PACE} spans/s",
        "store", "protocol", "p50 ms", "p90 ms", "p99 ms", "max ms"
    );
    for store in ["postgres", "sqlite"] {
        for protocol in Protocol::ALL {
            let folder = Folder::new("bench");
            let database = (store == "postgres").then(|| cluster.database());
            cluster.checkpoint();
            let service = start(&folder, database.as_deref(), &[]);
            // Connections, partitions and caches are there when the watch is started.
            let paced = |time| Load {
                amount: Amount::For(time),
                rate: Some(PACE),
                connections: CLIENTS,
            };
            send(&service, protocol, &paced(WARM_UP), 2);
            let report = send(&service, protocol, &paced(PACED), 1);
            let ms = |time: Option<f64>| time.expect("something was acked");
            println!(
                "{store:<10} {:<14} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
                protocol.as_str(),
                ms(report.ack_ms.p50),
                ms(report.ack_ms.p90),
                ms(report.ack_ms.p99),
                ms(report.ack_ms.max)
            );
            assert!(service.stop().success(), "the service stops cleanly");
        }
    }
}

/// What a service took for spans.
struct Measured {
    spans: u64,
    acked: Duration,
    stored: Duration,
    cpu_seconds: f64,
    /// Of Postgres.
    their_cpu_seconds: Option<f64>,
}

impl Measured {
    /// CPU-seconds for 100,000 spans.
    fn per_100k(&self, cpu_seconds: f64) -> f64 {
        cpu_seconds * 100_000.0 / self.spans as f64
    }
}

fn start(folder: &Folder, database: Option<&str>, env: &[(&str, &str)]) -> Service {
    let url = database.map(|url| ("SPANLEDGER_STORE_URL", url));
    let env: Vec<_> = env.iter().copied().chain(url).collect();
    let service = Service::start_with(folder.path(), &env);
    service.wait_until_connected();
    service
}

/// What a new service takes for its first spans.
fn run(protocol: Protocol, spans: u64, postgres: Option<(&Cluster, &str)>) -> Measured {
    let folder = Folder::new("bench");
    let service = start(&folder, postgres.map(|(_, database)| database), &[]);
    let server = postgres.map(|(cluster, _)| cluster);
    let measured = measure(&service, protocol, spans, 1, server);
    assert!(service.stop().success(), "the service stops cleanly");
    measured
}

/// What a service takes for so many more spans, until they are stored, too.
fn measure(
    service: &Service,
    protocol: Protocol,
    spans: u64,
    seed: u64,
    postgres: Option<&Cluster>,
) -> Measured {
    let theirs = || postgres.map(|cluster| children_cpu_seconds(cluster.pid()));
    let stored = overload::stored(service) as u64;
    let (cpu, before) = (cpu_seconds(service.pid()), theirs());
    let started = Instant::now();
    let sent = send(service, protocol, &Load::of(spans), seed);
    let acked = started.elapsed();
    service.wait_until_stored(stored + sent.acked);
    Measured {
        spans: sent.acked,
        acked,
        stored: started.elapsed(),
        cpu_seconds: cpu_seconds(service.pid()) - cpu,
        their_cpu_seconds: theirs().zip(before).map(|(after, before)| after - before),
    }
}

/// What is sent.
struct Load {
    amount: Amount,
    /// Spans a second; `None` for as fast as acks come.
    rate: Option<u32>,
    connections: usize,
}

impl Load {
    /// So many spans, as fast as acks come.
    fn of(spans: u64) -> Self {
        Self {
            amount: Amount::Spans(spans),
            rate: None,
            connections: CLIENTS,
        }
    }
}

/// Sends on one thread. No two seeds make the same span.
fn send(service: &Service, protocol: Protocol, load: &Load, seed: u64) -> Report {
    let address = match protocol {
        Protocol::Grpc => &service.grpc,
        Protocol::HttpProtobuf | Protocol::HttpJson => &service.otlp_http,
    };
    let plan = Plan {
        endpoint: Endpoint::parse(address).expect("the service's own address"),
        protocol,
        gzip: false,
        amount: load.amount,
        rate: load.rate.map(f64::from),
        connections: load.connections,
        batch: 5 * TRACES_PER_REQUEST,
        seed,
        give_up_after: Duration::from_secs(60),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime
        .block_on(load::run(plan, None, Default::default(), |_| {}))
        .expect("the load runs");
    assert!(report.is_all_acked(), "{report:?}");
    report
}

/// User and system time of a process, seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

/// The same over a server's live children: the backends and the background writers.
fn children_cpu_seconds(pid: u32) -> f64 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .map(cpu_seconds)
        .sum()
}
