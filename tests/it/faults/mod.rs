//! The worst days, with real processes, under load. After each: every acked span is stored once,
//! nothing else is, the books balance, and what was lost is said.

mod bombs;
mod disk;
mod floods;
mod machine;
mod memory;
mod overload;
mod postgres;
mod senders;
mod spool;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use spanledger::load::Protocol;

use crate::support::{
    load::{Sending, assert_stored_once, plan, send},
    process::{Folder, Service},
};

/// A service under a steady load, its notes in a folder of their own.
struct Trial {
    service: Service,
    sending: Sending,
    data: Folder,
    _notes: Folder,
    env: Vec<(&'static str, String)>,
}

impl Trial {
    /// `rate`: spans a second. What is not stored meanwhile must be stored afterwards.
    fn start(name: &str, env: &[(&'static str, &str)], rate: f64) -> Self {
        let (data, notes) = (Folder::new(name), Folder::new(name));
        let service = Service::start_with(data.path(), env);
        let mut plan = plan(&service.grpc, Protocol::Grpc);
        plan.rate = Some(rate);
        let sending = send(notes.path(), plan);
        sending.wait_for_more(100);
        Self {
            service,
            sending,
            data,
            _notes: notes,
            env: env.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
        }
    }

    /// Waits until so many spans more are stored.
    fn wait_for_stored(&self, spans: u64) {
        let enough = self.service.books()["stored"] + spans;
        self.until("stored", |service| service.books()["stored"] >= enough);
    }

    /// Waits until deliveries have failed and go on failing.
    fn wait_for_failures(&self) {
        let failures = || {
            self.service
                .metric("spanledger_lane_failures_total", &["rows"])
        };
        let before = failures();
        self.until("failing", |_| failures() > before + 1.0);
    }

    fn until(&self, what: &str, done: impl Fn(&Service) -> bool) {
        until(&self.service, what, done);
    }

    /// Ends the load and checks what is stored; gives the service and its folder.
    #[track_caller]
    fn check(self) -> (Service, Folder) {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.sending.wait_for_more(100);
        let (report, ledger) = self.sending.stop();
        assert_eq!(report.rejected, 0, "{report:?}");
        let books = self.service.closed_books();
        assert_eq!(books["lost"], 0, "{books:?}");
        let verdict = assert_stored_once(self.data.path(), &env, &ledger);
        let log = self.service.log();
        assert!(!log.contains("sqlx_core::pool"), "{log}");
        let peak = self.service.peak_mib();
        assert!(peak < 256.0, "{peak} MiB");
        // The metrics have counted each stored call once, too.
        let calls = verdict["sent"].as_u64().unwrap() / 5 * 2;
        if verdict["unanswered"] == 0 && books["replayed"] == 0 {
            let counted = self.service.metric("genai_calls_total", &[]);
            assert_eq!(counted, calls as f64);
        }
        (self.service, self.data)
    }

    /// [`Trial::check`], and the service stops as it should.
    #[track_caller]
    fn end(self) {
        assert!(self.check().0.stop().success());
    }
}

#[track_caller]
fn until(service: &Service, what: &str, mut done: impl FnMut(&Service) -> bool) {
    let started = Instant::now();
    while !done(service) {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "never {what}\n{}",
            service.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A small disk of its own, where this user may mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None`, and a line that says so, where mounting is not allowed.
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder)
            .output()
            .unwrap();
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            eprintln!("not tested: no tmpfs can be mounted here ({})", why.trim());
            return None;
        }
        Some(Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process may still stand in it.
        let mut umount = std::process::Command::new("umount");
        let _ = umount.arg("-l").arg(&self.0).status();
    }
}
