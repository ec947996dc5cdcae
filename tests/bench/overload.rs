//! More than the store takes, for longer than the spool bridges.

use std::time::{Duration, Instant};

use spanledger::load::{Amount, Protocol};

use super::{
    Load, TRACES_PER_REQUEST, send, start,
    support::{
        postgres::Cluster,
        process::{Folder, Service},
    },
};

/// How many times what the store takes is offered.
const TIMES: u32 = 5;
const CONNECTIONS: usize = 32;
/// Full within seconds.
const SPOOL_BYTES: &str = "67108864";
/// Offered for so long, and measured in the middle.
const OFFERED: Duration = Duration::from_secs(40);
const MEASURED: Duration = Duration::from_secs(20);

pub fn measure(cluster: &Cluster) {
    println!(
        "\n{:<10} {:>12} {:>10} {:>12} {:>7} {:>9} {:>9} {:>14}",
        "store",
        "stored/s",
        "offered/s",
        "stored/s",
        "ratio",
        "refused",
        "peak MiB",
        "then acked, ms"
    );
    for (store, spans) in [("postgres", 800_000), ("sqlite", 300_000)] {
        let database = || (store == "postgres").then(|| cluster.database());
        let most = most(database().as_deref(), spans);
        let folder = Folder::new("bench");
        let env = [("SPANLEDGER_SPOOL__MAX_BYTES", SPOOL_BYTES)];
        let service = start(&folder, database().as_deref(), &env);
        let offered = (most * f64::from(TIMES)) as u32;
        let load = Load {
            amount: Amount::For(OFFERED),
            rate: Some(offered),
            connections: CONNECTIONS,
        };
        let stored = std::thread::scope(|scope| {
            let sending = scope.spawn(|| send(&service, Protocol::Grpc, &load, 1));
            while refused(&service) == 0.0 {
                std::thread::sleep(Duration::from_millis(100));
            }
            let (before, started) = (stored(&service), Instant::now());
            std::thread::sleep(MEASURED);
            let stored = (stored(&service) - before) / started.elapsed().as_secs_f64();
            sending.join().expect("all is acked in the end");
            stored
        });
        let started = Instant::now();
        send(
            &service,
            Protocol::Grpc,
            &Load::of(5 * TRACES_PER_REQUEST),
            2,
        );
        println!(
            "{store:<10} {most:>12.0} {offered:>10} {stored:>12.0} {:>7.2} {:>9.0} {:>9.0} {:>14}",
            stored / most,
            refused(&service),
            service.peak_mib(),
            started.elapsed().as_millis()
        );
        assert!(service.stop().success(), "the service stops cleanly");
    }
}

/// Spans stored a second where nothing is refused.
fn most(database: Option<&str>, spans: u64) -> f64 {
    let folder = Folder::new("bench");
    let service = start(&folder, database, &[]);
    let started = Instant::now();
    let sent = send(&service, Protocol::Grpc, &Load::of(spans), 1);
    service.wait_until_stored(sent.acked);
    let rate = spans as f64 / started.elapsed().as_secs_f64();
    assert!(service.stop().success(), "the service stops cleanly");
    rate
}

pub fn stored(service: &Service) -> f64 {
    service.metric("spanledger_lane_spans_total", &["\"rows\""])
}

fn refused(service: &Service) -> f64 {
    service.metric("spanledger_receive_requests_total", &["\"refused\""])
}
