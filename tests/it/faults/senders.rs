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

    /// One that has next to no room for answers.
    fn deaf(address: &str, rest: &'static [u8]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        let connecting = async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            let stream = socket.connect(address.parse().unwrap()).await?;
            stream.into_std()
        };
        Self {
            stream: runtime.block_on(connecting).unwrap(),
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
        self.note(sent);
        self.look();
    }

    /// Sends as much more as goes, `bytes` at the most, and reads nothing.
    fn push(&mut self, bytes: usize) {
        let more = self.rest.repeat(bytes / self.rest.len());
        let sent = self.stream.write(&more[self.at..]);
        if let Ok(sent) = sent {
            self.at = (self.at + sent) % self.rest.len();
        }
        self.note(sent);
    }

    fn note(&mut self, sent: std::io::Result<usize>) {
        let is_open = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        self.is_closed |= sent.is_err_and(|error| !is_open(&error));
    }

    /// Reads what is there, and notes whether the service has closed the connection.
    fn look(&mut self) {
        let mut answer = [0; 1024];
        let is_open = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
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
    let mut headers_were_open = None;
    while !all_closed(&bodies) || !all_closed(&headers) {
        for slow in bodies.iter_mut().chain(&mut headers) {
            if !slow.is_closed {
                slow.go_on();
            }
        }
        if all_closed(&bodies) {
            headers_were_open.get_or_insert_with(|| !all_closed(&headers));
        }
        let open = bodies.iter().chain(&headers).filter(|slow| !slow.is_closed);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{} are still open",
            open.count()
        );
        std::thread::sleep(Duration::from_millis(300));
    }
    // The time for headers is 10 s: the bodies' own time ended theirs.
    assert_eq!(headers_were_open, Some(true));
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

/// This process' own files: two for each connection that it holds open to itself would be too many
/// for the soft limit of most systems.
fn connections_that_may_be_held() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    usize::try_from(allowed / 2).unwrap_or(usize::MAX).min(5000)
}

/// Scenario: 5,000 connections that say nothing, stop in the middle of a head, or rest after a
/// request, on both ports; the process began with 1,024 open files allowed.
/// Guarantees: the others' requests are all taken at the first try meanwhile; what never became a
/// request is closed, what rests is not; memory stays within its limit.
#[test]
fn thousands_of_idle_connections_hold_nobody_up() {
    let mut trial = Trial::start("idle", &[], 500.0);
    trial.service.cap(256);
    let service = &trial.service;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<&str> = files.unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "the soft limit is the hard one");

    // Those that rest keep their places. The others, more than there are places for, come and go:
    // if all but a few places were taken, that would go on for a quarter of an hour. So most of
    // those that rest come when the others have gone.
    let resting = 100;
    let each = (connections_that_may_be_held() - resting) / 4;
    let head = "GET /v1/traces HTTP/1.1\r\nHost: x\r\n";
    let open = |address: &str, text: &str| Slow::open(address, text, b"");
    let http = &service.otlp_http;
    let rested = || open(http, &format!("{head}\r\n"));
    let mut rest: Vec<Slow> = (0..resting).map(|_| rested()).collect();
    let mut others: Vec<Slow> = (0..each)
        .flat_map(|_| {
            [
                open(http, ""),
                open(http, head),
                open(&service.grpc, ""),
                open(&service.grpc, "PRI * HTTP/2.0\r\n"),
            ]
        })
        .collect();
    println!(
        "{} connections: {:.0} MiB",
        resting + 4 * each,
        service.resident_mib()
    );
    trial.sending.wait_for_more(1000);
    super::until(service, "closed", |_| {
        others.iter_mut().for_each(Slow::look);
        others.iter().all(|slow| slow.is_closed)
    });
    rest.extend((0..each.min(900)).map(|_| rested()));
    // Longer than a head may take, at 500 spans a second.
    trial.sending.wait_for_more(6000);
    rest.iter_mut().for_each(Slow::look);
    assert!(rest.iter().all(|slow| !slow.is_closed));
    assert_eq!(trial.sending.progress().retries, 0);
    drop(rest);
    trial.end();
}

/// Scenario: clients ask and ask over HTTP/1.1, and never read an answer (HTTP/2: `floods`).
/// Guarantees: they are held back, then let go; the others' requests are all taken.
#[test]
fn who_never_reads_is_let_go() {
    let env = [("SPANLEDGER_RECEIVE__BODY_TIMEOUT_SECONDS", "2")];
    let trial = Trial::start("unread", &env, 500.0);
    let service = &trial.service;
    let request = "GET /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut all: Vec<Slow> = (0..2)
        .map(|_| Slow::deaf(&service.otlp_http, request.as_bytes()))
        .collect();
    super::until(service, "let go", |_| {
        for slow in all.iter_mut().filter(|slow| !slow.is_closed) {
            slow.push(1 << 20);
        }
        all.iter().all(|slow| slow.is_closed)
    });
    assert_eq!(trial.sending.progress().retries, 0);
    trial.end();
}
