//! A machine whose power fails, and whose clock jumps: `machine.c`, loaded into the real binary.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use spanledger::load::Protocol;

use super::Trial;
use crate::{
    crash::{Random, kills},
    support::{
        load::{assert_stored_once, plan, send},
        postgres::database,
        process::{Folder, Service},
        proxy::Proxy,
        rows::Rows,
    },
};

/// Compiles the library into a folder; gives its path.
fn machine(folder: &Path) -> String {
    std::fs::create_dir_all(folder).unwrap();
    let library = folder.join("machine.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/faults/machine.c"
        ))
        .arg("-ldl")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{told}");
    library.to_str().unwrap().to_owned()
}

/// The files below a folder and below its folders, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// What is left of a disk after the power failed: all that was synced, and of what was not, each
/// file's writes or none of them, by chance. Names that were not synced are gone.
fn after_the_cut(disk: &Path, synced: &Path, next: &Path, random: &mut Random) -> usize {
    std::fs::create_dir_all(next.join("spool")).unwrap();
    let mut kept = 0;
    for path in files(synced) {
        let name = path.strip_prefix(synced).unwrap();
        if name.to_str().unwrap().contains('#') {
            continue;
        }
        let unsynced = disk.join(name);
        let from = match random.below(4) == 0 && unsynced.exists() {
            true => unsynced,
            false => path.clone(),
        };
        std::fs::copy(from, next.join(name)).unwrap();
        kept += 1;
    }
    kept
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("spool")).unwrap();
    for path in files(from) {
        std::fs::copy(&path, to.join(path.strip_prefix(from).unwrap())).unwrap();
    }
}

/// Scenario: the power fails at random moments under load: the process is gone, and with it all
/// that was written to the spool and the SQLite file and not synced (some of it may have reached
/// the disk, file by file).
/// Guarantees: every acked span is stored once, the file is sound.
#[test]
fn the_power_fails() {
    let folder = Folder::new("power");
    let library = machine(folder.path());
    let mut random = Random::seeded();
    let proxy = Proxy::to("127.0.0.1:1");
    let sending = send(folder.path(), plan(&proxy.address, Protocol::Grpc));
    let mut disk = folder.path().join("disk-0");
    std::fs::create_dir_all(disk.join("spool")).unwrap();
    for round in 0..kills() {
        let synced = folder.path().join(format!("synced-{round}"));
        copy_all(&disk, &synced);
        let env = [
            ("LD_PRELOAD", &*library),
            ("FAULT_ROOT", disk.to_str().unwrap()),
            ("FAULT_SHADOW", synced.to_str().unwrap()),
            ("SPANLEDGER_SPOOL__SEGMENT_MAX_BYTES", "300000"),
        ];
        let service = Service::start_with(&disk, &env);
        proxy.point_to(Some(&service.grpc));
        if round % 4 == 3 {
            // What the spool has let go of is in the SQLite file alone.
            let oldest = files(&disk.join("spool")).into_iter();
            let oldest = oldest.filter(|path| path.extension().is_some_and(|ext| ext == "log"));
            let oldest = oldest.min().unwrap();
            super::until(&service, "trimmed", |_| !oldest.exists());
        }
        std::thread::sleep(Duration::from_micros(random.below(400_000)));
        service.kill();
        let next = folder.path().join(format!("disk-{}", round + 1));
        let kept = after_the_cut(&disk, &synced, &next, &mut random);
        // The spool's name and a segment of it at least: the machine does keep what is synced.
        assert!(kept >= 2, "{kept} files");
        for old in [disk, synced] {
            std::fs::remove_dir_all(old).unwrap();
        }
        disk = next;
    }
    let service = Service::start(&disk);
    proxy.point_to(Some(&service.grpc));
    sending.wait_for_more(40);
    let (report, ledger) = sending.stop();
    println!(
        "{} spans acked over {} power cuts; seed {}",
        report.acked,
        kills(),
        random.seed
    );
    assert_stored_once(&disk, &[], &ledger);
    assert_eq!(service.closed_books()["lost"], 0);
    assert!(service.stop().success());
    let rows = Rows::sqlite(&disk.join("spanledger.db"));
    assert_eq!(rows.query("PRAGMA integrity_check"), [["ok"]]);
}

/// Scenario: the clock jumps a day on, two days back, forty days on, and to what it was.
/// Guarantees: every acked span is stored once, by its own times; nothing is a dead letter.
fn the_clock_jumps(name: &str, env: &[(&'static str, &str)], rows: impl Fn(&Folder) -> Rows) {
    let folder = Folder::new(name);
    let library = machine(folder.path());
    let clock = folder.path().join("clock");
    let set = |days: i64| {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&clock);
        let seconds = (days * 86_400).to_ne_bytes();
        file.unwrap().write_all_at(&seconds, 0).unwrap();
    };
    set(0);
    let with_clock = [
        ("LD_PRELOAD", &*library),
        ("FAULT_CLOCK", clock.to_str().unwrap()),
    ];
    let trial = Trial::start(name, &[env, &with_clock].concat(), 1000.0);
    for days in [1, -1, 39, 0] {
        set(days);
        trial.wait_for_stored(300);
    }
    let (service, data) = trial.check();
    assert!(service.stop().success());
    let rows = rows(&data);
    let odd = "SELECT count(*) FROM llm_calls WHERE latency_ms < 0 OR latency_ms > 10000";
    assert_eq!(rows.query(odd), [["0"]]);
    assert_eq!(rows.query("SELECT count(*) FROM dead_letters"), [["0"]]);
    let starts = match env.is_empty() {
        true => "julianday(max(started_at)) - julianday(min(started_at))",
        false => "extract(epoch FROM max(started_at) - min(started_at)) / 86400",
    };
    let within_a_day = format!("SELECT CAST({starts} AS integer) FROM llm_calls");
    assert_eq!(rows.query(&within_a_day), [["0"]]);
    let received = "SELECT count(DISTINCT substr(CAST(created_at AS text), 1, 10)) >= 4 \
                    FROM llm_calls";
    let jumped = &rows.query(received)[0][0];
    assert!(jumped == "1" || jumped == "true", "the clock did jump");
}

#[test]
fn the_clock_jumps_with_sqlite() {
    the_clock_jumps("clock-sqlite", &[], |data| {
        Rows::sqlite(&data.path().join("spanledger.db"))
    });
}

#[test]
fn the_clock_jumps_with_postgres() {
    let url = database().url();
    the_clock_jumps("clock-pg", &[("SPANLEDGER_STORE_URL", &url)], |_| {
        Rows::postgres(&url)
    });
}
