//! Damage to the spool's files, and what is said of it.

use std::path::{Path, PathBuf};

use spanledger::load::{Amount, Protocol};

use crate::support::{
    load::{assert_stored_once, plan, send, verify_within},
    postgres::{Database, database},
    process::{Folder, Service},
};

const SPANS: u64 = 4000;
const BATCH: u64 = 40;

/// A service whose store is away, with a spool of many segments; and the load's ledger.
fn backlog(folder: &Folder, database: &Database) -> (Service, PathBuf) {
    let url = database.url();
    let env = [
        ("SPANLEDGER_STORE_URL", &*url),
        ("SPANLEDGER_SPOOL__SEGMENT_MAX_BYTES", "200000"),
    ];
    let service = Service::start_with(folder.path(), &env);
    database.refuse(true);
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(SPANS);
    plan.batch = BATCH;
    let (report, ledger) = send(folder.path(), plan).join();
    assert!(report.is_all_acked(), "{report:?}");
    (service, ledger)
}

/// The spool's segments, oldest first.
fn segments(folder: &Folder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("spool")).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|ext| ext == "log"));
    all.sort();
    assert!(all.len() > 5, "{all:?}");
    all
}

/// Turns some bits of one request's body, in the middle of the file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    // Inside one request: two marks lie about 25,000 bytes apart.
    let mark = [0xF5, b'S', b'L', 0xFE];
    let at = bytes[middle..].windows(4).position(|w| w == mark).unwrap();
    for byte in &mut bytes[middle + at + 1000..][..100] {
        *byte ^= 0x55;
    }
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
}

/// Scenario: bytes in the middle of the spool are damaged, once before a restart and once under
/// the running process, before they could be stored.
/// Guarantees: exactly the requests they belong to are lost, `verify` names them, a metric and the
/// log say so; what this process received is on the books as lost.
#[test]
fn damage_in_the_middle_costs_what_it_hit() {
    let folder = Folder::new("spool-middle");
    let database = database();
    let url = database.url();
    let env = [("SPANLEDGER_STORE_URL", &*url)];
    let (service, ledger) = backlog(&folder, &database);
    service.kill();
    damage(&segments(&folder)[4]);
    let service = Service::start_with(folder.path(), &env);
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.amount = Amount::Spans(400);
    plan.batch = BATCH;
    plan.connections = 1;
    let (report, second) = send(folder.path(), plan).join();
    assert!(report.is_all_acked());
    // A segment of its own since the restart.
    damage(segments(&folder).last().unwrap());
    database.refuse(false);
    let rows_of = |spans: u64| spans / 5 * 4;
    for (ledger, sent) in [(&second, 400), (&ledger, SPANS)] {
        let (code, verdict) = verify_at_once(&folder, &env, &service, ledger);
        assert_eq!(code, 3);
        assert_eq!(verdict["lost"]["count"], rows_of(BATCH), "{verdict:#}");
        assert_eq!(verdict["rows_found"], rows_of(sent - BATCH));
        for kind in ["doubled", "unexpected", "different"] {
            assert_eq!(verdict[kind]["count"], 0, "{kind}");
        }
    }
    let books = service.closed_books();
    assert_eq!(
        (books["received"], books["lost"]),
        (400, BATCH),
        "{books:?}"
    );
    assert_eq!(books["replayed"], SPANS - BATCH);
    let skipped = service.metric("spanledger_spool_damaged_bytes_total", &["\"damaged\""]);
    assert!(skipped > 2.0 * 20_000.0, "{skipped}");
    assert!(service.log().contains("skipped a part of the spool"));
    assert!(service.stop().success());
}

/// Once nothing is in flight; waiting for what is lost would take a minute.
fn verify_at_once(
    folder: &Folder,
    env: &[(&str, &str)],
    service: &Service,
    ledger: &Path,
) -> (i32, serde_json::Value) {
    super::until(service, "at its end", |service| {
        let books = service.books();
        books["in_flight"] == 0 && books["replayed"] >= SPANS - BATCH
    });
    verify_within(0, folder.path(), env, ledger)
}

/// Scenario: the process is killed in the middle of a write: half an entry, or zeros, at the end
/// of the newest segment.
/// Guarantees: it is cut off and counted; nothing that was acked is lost.
#[test]
fn a_torn_tail_costs_nothing() {
    for zeros in [false, true] {
        let folder = Folder::new("spool-tail");
        let database = database();
        let (service, ledger) = backlog(&folder, &database);
        service.kill();
        let newest = segments(&folder).pop().unwrap();
        let mut bytes = std::fs::read(&newest).unwrap();
        let torn = match zeros {
            true => vec![0; 5000],
            false => bytes[16..5016].to_vec(),
        };
        bytes.extend(torn);
        std::fs::write(&newest, bytes).unwrap();
        database.refuse(false);
        let url = database.url();
        let env = [("SPANLEDGER_STORE_URL", &*url)];
        let service = Service::start_with(folder.path(), &env);
        assert_stored_once(folder.path(), &env, &ledger);
        let torn = service.metric("spanledger_spool_damaged_bytes_total", &["torn_tail"]);
        assert_eq!(torn, 5000.0);
        assert_eq!(service.closed_books()["lost"], 0);
        assert!(service.stop().success());
    }
}
