//! Disks that are full. On a small tmpfs, where mounting one is allowed (as root); the spool's own
//! tests have the same on a disk that only plays full.

use spanledger::load::{Amount, Protocol};

use super::{SmallDisk, until};
use crate::support::{
    load::{assert_stored_once, plan, send},
    postgres::database,
    process::{Folder, Service},
    rows::Rows,
};

/// Scenario: the store is down, and the disk of the spool runs full under load; the store comes
/// back.
/// Guarantees: senders are asked to try again, pages and metrics work, and all is stored in the
/// end, without a restart.
#[test]
fn the_disk_of_the_spool_is_full() {
    let (outer, notes) = (Folder::new("disk-spool"), Folder::new("disk-notes"));
    let data = outer.path().join("small");
    let Some(_disk) = SmallDisk::mount(&data, 12) else {
        return;
    };
    let database = database();
    let url = database.url();
    let env = [
        ("SPANLEDGER_STORE_URL", &*url),
        ("SPANLEDGER_SPOOL__SEGMENT_MAX_BYTES", "1000000"),
    ];
    let service = Service::start_with(&data, &env);
    database.refuse(true);
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(30_000);
    plan.batch = 200;
    let sending = send(notes.path(), plan);
    until(&service, "refusing", |service| {
        service.metric("spanledger_receive_requests_total", &["refused"]) > 0.0
    });
    assert_eq!(service.get("/healthz").0, 200);
    assert_eq!(service.get("/readyz").0, 503);
    assert!(service.metric("spanledger_spool_refused_total", &[]) > 0.0);
    assert!(service.books()["in_flight"] > 0);
    database.refuse(false);
    let (report, ledger) = sending.join();
    assert!(report.is_all_acked() && report.retries > 0, "{report:?}");
    assert_stored_once(&data, &env[..1], &ledger);
    assert_eq!(service.closed_books()["lost"], 0);
    until(&service, "ready", |service| service.get("/readyz").0 == 200);
    assert!(service.stop().success());
}

/// Scenario: the disk of the SQLite file runs full under load; room comes back.
/// Guarantees: senders notice nothing, the file stays sound, all is stored in the end, without a
/// restart.
#[test]
fn the_disk_of_the_store_is_full() {
    let (data, notes) = (Folder::new("disk-data"), Folder::new("disk-notes"));
    let small = data.path().join("small");
    let Some(_disk) = SmallDisk::mount(&small, 160) else {
        return;
    };
    let ballast = small.join("ballast");
    std::fs::write(&ballast, vec![1; 140 << 20]).unwrap();
    let url = format!("sqlite://{}", small.join("rows.db").display());
    let env = [("SPANLEDGER_STORE_URL", &*url)];
    let service = Service::start_with(data.path(), &env);
    let mut plan = plan(&service.otlp_http, Protocol::HttpProtobuf);
    plan.amount = Amount::Spans(40_000);
    plan.batch = 500;
    let (report, ledger) = send(notes.path(), plan).join();
    assert!(report.is_all_acked() && report.retries == 0, "{report:?}");
    until(&service, "full", |service| {
        service.log().contains("database or disk is full")
    });
    assert!(service.books()["in_flight"] > 0);
    let (status, ready) = service.get("/readyz");
    assert!(status == 200 && ready.contains("degraded"), "{ready}");
    assert_eq!(service.metric("spanledger_store_up", &[]), 0.0);
    std::fs::remove_file(&ballast).unwrap();
    assert_stored_once(data.path(), &env, &ledger);
    assert_eq!(service.closed_books()["lost"], 0);
    assert_eq!(service.metric("spanledger_store_up", &[]), 1.0);
    let (status, ready) = service.get("/readyz");
    assert!(status == 200 && ready.contains("\"ready\""), "{ready}");
    assert!(service.stop().success());
    let rows = Rows::sqlite(&small.join("rows.db"));
    assert_eq!(rows.query("PRAGMA integrity_check"), [["ok"]]);
}

/// Scenario: the SQLite file is damaged while the service is down; later a sound copy is put in its
/// place.
/// Guarantees: the service starts, says what is wrong once, and takes spans; with the sound file it
/// goes on without a restart, and everything is stored once.
#[test]
fn a_damaged_file_is_told_and_waited_for() {
    let (data, notes) = (Folder::new("damaged"), Folder::new("damaged-notes"));
    let file = data.path().join("spanledger.db");
    let mut sent = Vec::new();
    let mut send_to = |service: &Service| {
        let mut plan = plan(&service.grpc, Protocol::Grpc);
        plan.amount = Amount::Spans(500);
        let (report, ledger) = send(notes.path(), plan).join();
        assert!(report.is_all_acked(), "{report:?}");
        sent.push(ledger);
    };
    let service = Service::start(data.path());
    send_to(&service);
    assert!(service.stop().success());
    let sound = std::fs::read(&file).unwrap();
    let mut bytes = sound.clone();
    bytes[..100].fill(0x55);
    std::fs::write(&file, bytes).unwrap();

    let service = Service::start(data.path());
    send_to(&service);
    until(&service, "told", |service| {
        service.log().contains("file is not a database")
    });
    let (status, ready) = service.get("/readyz");
    assert!(status == 200 && ready.contains("degraded"), "{ready}");
    assert_eq!(service.log().matches("can't deliver").count(), 1);
    assert_eq!(service.books()["in_flight"], 500);
    std::fs::write(&file, sound).unwrap();
    for ledger in &sent {
        assert_stored_once(data.path(), &[], ledger);
    }
    assert_eq!(service.closed_books()["lost"], 0);
    assert!(service.stop().success());
}
