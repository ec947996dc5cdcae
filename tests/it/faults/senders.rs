//! Senders that take their time, and a service that is told to stop while they send.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use spanledger::load::Protocol;

use super::Trial;
use crate::support::{
    load::{assert_stored_once, plan, send},
    process::{Folder, Service},
    proxy::Proxy,
};

/// A connection that sends `start` at once and `rest` byte by byte.
struct Slow {
    stream: TcpStream,
    rest: &'static [u8],
    at: usize,
    is_closed: bool,
}

impl Slow {
    fn open(address: &str, start: &str, rest: &'static [u8]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            rest,
            at: 0,
            is_closed: false,
        }
    }

    /// Sends one byte more; notes whether the service has closed the connection.
    fn go_on(&mut self) {
        let byte = self.rest[self.at % self.rest.len()];
        self.at += 1;
        let sent = self.stream.write(&[byte]);
        let mut answer = [0; 1024];
        let is_open = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        self.is_closed |= sent.is_err_and(|error| !is_open(&error));
        match self.stream.read(&mut answer) {
            Ok(0) => self.is_closed = true,
            Err(error) if !is_open(&error) => self.is_closed = true,
            _ => {}
        }
    }
}

/// Scenario: three hundred connections send headers or bodies byte by byte, for ever.
/// Guarantees: each is closed in its time; the others' requests are all taken at the first try.
#[test]
fn slow_senders_hold_nobody_up() {
    let env = [("SPANLEDGER_RECEIVE__BODY_TIMEOUT_SECONDS", "2")];
    let trial = Trial::start("slow", &env, 1000.0);
    let address = &trial.service.otlp_http;
    let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\n";
    let with_body =
        format!("{head}Content-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n");
    let mut bodies: Vec<Slow> = (0..150)
        .map(|_| Slow::open(address, &with_body, b"\x0A"))
        .collect();
    let mut headers: Vec<Slow> = (0..150)
        .map(|_| Slow::open(address, head, b"X-A: b\r\n"))
        .collect();
    let started = Instant::now();
    let all_closed = |slow: &[Slow]| slow.iter().all(|slow| slow.is_closed);
    let mut bodies_took = None;
    while !all_closed(&bodies) || !all_closed(&headers) {
        for slow in bodies.iter_mut().chain(&mut headers) {
            if !slow.is_closed {
                slow.go_on();
            }
        }
        if all_closed(&bodies) {
            bodies_took.get_or_insert_with(|| started.elapsed());
        }
        let open = bodies.iter().chain(&headers).filter(|slow| !slow.is_closed);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{} are still open",
            open.count()
        );
        std::thread::sleep(Duration::from_millis(300));
    }
    // The time for headers is 30 s: the bodies' own time ended theirs.
    assert!(bodies_took.unwrap() < Duration::from_secs(20));
    assert_eq!(trial.sending.progress().retries, 0);
    trial.end();
}

/// Scenario: the service is told to stop (SIGTERM) under load, five times.
/// Guarantees: it answers what it has taken, ends with 0, and nothing that was acked is lost.
#[test]
fn a_stop_under_load_loses_nothing() {
    let folder = Folder::new("stops");
    let proxy = Proxy::to("127.0.0.1:1");
    let sending = send(folder.path(), plan(&proxy.address, Protocol::Grpc));
    for _ in 0..5 {
        let service = Service::start(folder.path());
        proxy.point_to(Some(&service.grpc));
        sending.wait_for_more(500);
        assert!(service.stop().success());
    }
    let service = Service::start(folder.path());
    proxy.point_to(Some(&service.grpc));
    sending.wait_for_more(40);
    let (report, ledger) = sending.stop();
    assert_eq!(report.rejected, 0, "{report:?}");
    assert_stored_once(folder.path(), &[], &ledger);
    // What was acked before a stop was stored before its end: at most the answer was lost.
    assert_eq!(service.closed_books()["lost"], 0);
    assert!(service.stop().success());
}

/// Scenario: the process may have 96 open files, and somebody opens connections until it has none
/// left, while others send and the spool needs new segments.
/// Guarantees: it lives; the others' requests are taken in the end, and nothing is lost.
#[test]
fn too_many_connections_do_no_harm() {
    let env = [("SPANLEDGER_SPOOL__SEGMENT_MAX_BYTES", "100000")];
    let trial = Trial::start("files", &env, 2000.0);
    let limited = std::process::Command::new("prlimit")
        .args(["--nofile=96:96", "--pid", &trial.service.pid().to_string()])
        .status()
        .unwrap();
    assert!(limited.success());
    let refused = || {
        let log = trial.service.log();
        let count = |text: &str| log.matches(text).count();
        count("could not accept connections").min(count("as many files open as it may"))
    };
    for address in [&trial.service.otlp_http, &trial.service.grpc] {
        let before = refused();
        let flood: Vec<_> = (0..200).map(|_| TcpStream::connect(address)).collect();
        assert!(flood.iter().all(Result::is_ok), "the kernel takes them");
        // The pages have no connection left either: it is the log that tells.
        super::until(&trial.service, "out of files", |_| refused() > before);
        drop(flood);
        trial.sending.wait_for_more(2000);
    }
    trial.end();
}
