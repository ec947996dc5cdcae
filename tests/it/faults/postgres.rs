//! A Postgres that goes away, comes back, hangs or says no.

use std::time::{Duration, Instant};

use spanledger::load::{Amount, Protocol};
use sqlx::{Connection, PgConnection};

use super::Trial;
use crate::support::{
    load::{assert_stored_once, plan, send},
    postgres::{Cluster, database},
    process::{Folder, Service},
    proxy::Proxy,
    rows::Rows,
};

const URL: &str = "SPANLEDGER_STORE_URL";

/// Scenario: Postgres is stopped at once (`-m immediate`) ten times in the middle of commits, and
/// stays away for a while.
/// Guarantees: what was acked before, between and after is stored once.
#[test]
fn restarts_in_the_middle_of_transactions() {
    let mut cluster = Cluster::start(&[]);
    let trial = Trial::start("pg-restart", &[(URL, &cluster.url())], 2000.0);
    for round in 0..10 {
        trial.wait_for_stored(200);
        cluster.stop_at_once();
        if round % 5 == 0 {
            trial.wait_for_failures();
            assert_eq!(trial.service.get("/healthz").0, 200);
            let (status, ready) = trial.service.get("/readyz");
            assert!(status == 200 && ready.contains("degraded"), "{ready}");
        }
        cluster.start_again();
    }
    trial.end();
}

/// Scenario: the service's connections are killed (`pg_terminate_backend`) forty times.
/// Guarantees: as above.
#[test]
fn connections_are_killed() {
    let database = database();
    let trial = Trial::start("pg-kill", &[(URL, &database.url())], 2000.0);
    for _ in 0..40 {
        trial.wait_for_stored(40);
        database.cut();
    }
    trial.end();
}

/// Scenario: the server becomes the read-only half of a pair, and the writable one again.
/// Guarantees: nothing is a dead letter, the lane tries again until it can; as above.
#[test]
fn a_failover_to_a_read_only_server() {
    let database = database();
    let url = database.url();
    let trial = Trial::start("pg-readonly", &[(URL, &url)], 1000.0);
    trial.wait_for_stored(100);
    database.execute("ALTER DATABASE {name} SET default_transaction_read_only = on");
    database.cut();
    trial.wait_for_failures();
    let (status, ready) = trial.service.get("/readyz");
    assert!(status == 200 && ready.contains("degraded"), "{ready}");
    database.execute("ALTER DATABASE {name} RESET default_transaction_read_only");
    database.cut();
    trial.end();
    let letters = Rows::postgres(&url).query("SELECT count(*) FROM dead_letters");
    assert_eq!(letters, [["0"]]);
}

/// Scenario: others take all of the server's connections while the service has lost its own.
/// Guarantees: it waits for one; as above.
#[test]
fn no_connection_is_left() {
    let cluster = Cluster::start(&["-c", "max_connections=14"]);
    let trial = Trial::start("pg-connections", &[(URL, &cluster.url())], 1000.0);
    trial.wait_for_stored(100);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut taken = Vec::new();
    while taken.len() < 14 {
        match runtime.block_on(PgConnection::connect(&cluster.url())) {
            Ok(mut connection) => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE application_name = 'spanledger'";
                runtime
                    .block_on(sqlx::query(cut).execute(&mut connection))
                    .unwrap();
                taken.push(connection);
            }
            // The service was quicker; the next connection cuts it off.
            Err(error) => {
                assert!(error.to_string().contains("clients"), "{error}");
                taken.truncate(7);
            }
        }
    }
    trial.wait_for_failures();
    drop(taken);
    trial.wait_for_stored(100);
    trial.end();
}

/// A connection that keeps everybody else off the calls.
async fn lock(url: &str) -> PgConnection {
    let mut holder = PgConnection::connect(url).await.unwrap();
    for sql in ["BEGIN", "LOCK TABLE llm_calls IN ACCESS EXCLUSIVE MODE"] {
        sqlx::query(sql).execute(&mut holder).await.unwrap();
    }
    holder
}

/// Scenario: somebody holds a lock on the calls for as long as he likes.
/// Guarantees: senders notice nothing; what waits is stored once he lets go.
#[test]
fn a_lock_is_held() {
    let database = database();
    let url = database.url();
    let trial = Trial::start("pg-lock", &[(URL, &url)], 2000.0);
    // There is something to lock.
    trial.wait_for_stored(100);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let holder = runtime.block_on(lock(&url));
    trial.sending.wait_for_more(5000);
    assert!(trial.service.books()["in_flight"] >= 4000);
    assert_eq!(trial.service.get("/readyz").0, 200);
    runtime.block_on(holder.close()).unwrap();
    trial.end();
}

/// Scenario: the service is told to stop (SIGTERM) while a lock holds its commit up; told twice, it
/// must not wait.
/// Guarantees: the second time it ends at once, with 0; the next process stores what is left.
#[test]
fn told_twice_it_stops_at_once() {
    let database = database();
    let url = database.url();
    let env = [(URL, url.as_str())];
    let folder = Folder::new("pg-twice");
    let service = Service::start_with(folder.path(), &env);
    service.wait_until_connected();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let holder = runtime.block_on(lock(&url));
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(2000);
    let (report, ledger) = send(folder.path(), plan).join();
    assert!(report.is_all_acked(), "{report:?}");
    let terminate = || {
        let pid = service.pid().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-TERM", &pid]).status().unwrap().success());
    };
    terminate();
    super::until(&service, "told", |service| {
        service.log().contains("told to stop")
    });
    let second = Instant::now();
    assert!(service.stop().success());
    // Not the minute after which the held-up statement ends by itself.
    assert!(second.elapsed() < Duration::from_secs(30));
    runtime.block_on(holder.close()).unwrap();
    let service = Service::start_with(folder.path(), &env);
    assert_stored_once(folder.path(), &env, &ledger);
    assert_eq!(service.closed_books()["lost"], 0);
    assert!(service.stop().success());
}

/// Scenario: the network to the server takes packets and delivers none; then it does again. The
/// next time the connections are cut instead.
/// Guarantees: as above.
#[test]
fn the_network_hangs() {
    let database = database();
    let (user, rest) = (
        "postgres://postgres@",
        database.url().split_once('@').unwrap().1.to_owned(),
    );
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address);
    let url = format!("{user}{}/{name}", proxy.address);
    let trial = Trial::start("pg-hang", &[(URL, &url)], 2000.0);
    for cut in [false, true] {
        trial.wait_for_stored(100);
        proxy.freeze(true);
        trial.sending.wait_for_more(3000);
        assert!(trial.service.books()["in_flight"] >= 2000);
        if cut {
            proxy.cut();
        }
        proxy.freeze(false);
    }
    trial.end();
}

/// Scenario: twenty times the server commits, and its answer is lost with the connection; then the
/// process is killed at such a moment, six times.
/// Guarantees: the same batch is sent again and stored once, and the metrics count it once.
#[test]
fn the_answer_to_a_commit_is_lost() {
    let database = database();
    let rest = database.url().split_once('@').unwrap().1.to_owned();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address);
    let url = format!("postgres://postgres@{}/{name}", proxy.address);
    let trial = Trial::start("pg-commit", &[(URL, &url)], 2000.0);
    // The tables are made: what commits from here on is a batch.
    trial.wait_for_stored(100);
    proxy.lose_answers(b"COMMIT", 3, 20);
    trial.until("lost", |_| proxy.lost() == 20);
    let (mut service, data) = trial.check();
    let seen = service.metric("spanledger_store_duplicate_rows_total", &[]);
    assert!(seen > 0.0, "rows met again after a lost answer");
    for _ in 0..6 {
        let notes = Folder::new("pg-commit");
        let mut plan = plan(&service.otlp_http, Protocol::HttpProtobuf);
        plan.amount = Amount::Spans(1000);
        let lost = proxy.lost();
        proxy.lose_answers(b"COMMIT", 1, 1);
        let (report, ledger) = send(notes.path(), plan).join();
        assert!(report.is_all_acked());
        super::until(&service, "lost", |_| proxy.lost() > lost);
        service.kill();
        let env = [(URL, url.as_str())];
        service = Service::start_with(data.path(), &env);
        assert_stored_once(data.path(), &env, &ledger);
        assert_eq!(service.closed_books()["lost"], 0);
    }
    std::thread::sleep(Duration::ZERO);
    assert!(service.stop().success());
}
