//! The real binary, on ports and in a folder of its own.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::cap::Cap;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running `spanledger serve`. Killed when dropped.
pub struct Service {
    child: Child,
    /// Let go after the process has ended.
    cap: Option<Cap>,
    pub data_dir: PathBuf,
    pub grpc: String,
    pub otlp_http: String,
    pub http: String,
}

/// The command with a clean environment, its data folder and free ports.
pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanledger"));
    for (name, _) in std::env::vars() {
        if name.starts_with("SPANLEDGER_") || name.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
        .env("SPANLEDGER_DATA_DIR", data_dir)
        .env("SPANLEDGER_OTLP_GRPC_ADDR", "127.0.0.1:0")
        .env("SPANLEDGER_OTLP_HTTP_ADDR", "127.0.0.1:0")
        .env("SPANLEDGER_HTTP_ADDR", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

impl Service {
    /// Starts on the default store.
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// Starts with further environment variables and waits until it is ready.
    pub fn start_with(data_dir: &Path, env: &[(&str, &str)]) -> Self {
        let file = data_dir.join("listening.json");
        if file.exists() {
            std::fs::remove_file(&file).unwrap();
        }
        std::fs::create_dir_all(data_dir).unwrap();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(data_dir.join("log"))
            .unwrap();
        let mut child = command(data_dir)
            .arg("serve")
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        // The file appears whole (it is renamed into place) once every listener is bound.
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break text;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the service ended: {status}\n{}", log_of(data_dir));
            }
            assert!(
                started.elapsed() < START,
                "not listening\n{}",
                log_of(data_dir)
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let addresses: serde_json::Value = serde_json::from_str(&text).unwrap();
        let address = |name: &str| addresses[name].as_str().unwrap().to_owned();
        Self {
            child,
            cap: None,
            data_dir: data_dir.to_owned(),
            grpc: address("grpc"),
            otlp_http: address("otlp_http"),
            http: address("http"),
        }
    }

    /// From now on it is killed should it take more memory than this, where that can be had.
    pub fn cap(&mut self, mib: u64) {
        self.cap = Cap::on(self.pid(), mib);
    }

    /// SIGKILL, and the end of the process.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; waits for the end and says how it ended.
    pub fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().unwrap();
        if !status.success() {
            eprintln!("the service ended with {status}\n{}", self.log());
        }
        status
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// GET on the page listener: (status, body).
    pub fn get(&self, path: &str) -> (u16, String) {
        get(&self.http, path)
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        log_of(&self.data_dir)
    }

    /// Value of a metric: the sum over its series whose line contains all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics");
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The books of spans, by entry, in one scrape; they must balance whenever they are read.
    #[track_caller]
    pub fn books(&self) -> BTreeMap<String, u64> {
        let (_, text) = self.get("/metrics");
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        let entries = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("spanledger_books_spans{entry=\"")?;
            Some((rest.split('"').next()?.to_owned(), value(line)? as u64))
        });
        let books: BTreeMap<String, u64> = entries.collect();
        let unbalanced = text
            .lines()
            .find(|line| line.starts_with("spanledger_books_unbalanced_spans "))
            .and_then(value);
        assert_eq!(unbalanced, Some(0.0), "{books:?}");
        let sum = |names: &[&str]| names.iter().map(|name| books[*name]).sum::<u64>();
        assert_eq!(
            sum(&["received", "replayed"]),
            sum(&["stored", "duplicate", "rejected", "lost", "in_flight"]),
            "{books:?}"
        );
        books
    }

    /// The books once nothing is in flight. Nobody may send meanwhile.
    #[track_caller]
    pub fn closed_books(&self) -> BTreeMap<String, u64> {
        let started = Instant::now();
        loop {
            let books = self.books();
            if books["in_flight"] == 0 {
                return books;
            }
            assert!(started.elapsed() < START, "{books:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the store is connected.
    pub fn wait_until_connected(&self) {
        let started = Instant::now();
        while self.metric("spanledger_store_up", &[]) < 1.0 {
            assert!(started.elapsed() < START, "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Peak resident memory since the start, or since it was told to forget, MiB.
    pub fn peak_mib(&self) -> f64 {
        self.memory_mib("VmHWM:")
    }

    /// Resident memory now, MiB.
    pub fn resident_mib(&self) -> f64 {
        self.memory_mib("VmRSS:")
    }

    /// The peak begins anew (man 5 proc_pid_clear_refs).
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    fn memory_mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let kib = line.trim().trim_end_matches("kB").trim();
        kib.parse::<f64>().unwrap() / 1024.0
    }

    /// Waits until this many spans are stored and observed.
    pub fn wait_until_stored(&self, spans: u64) {
        self.wait_for(spans, &["rows", "prometheus"]);
    }

    /// Waits until the metrics have seen this many spans, stored or not.
    pub fn wait_until_observed(&self, spans: u64) {
        self.wait_for(spans, &["prometheus"]);
    }

    /// Waits until this many spans are stored, replayed ones included: the metrics have seen those
    /// in an earlier life.
    pub fn wait_until_written(&self, spans: u64) {
        self.wait_for(spans, &["rows"]);
    }

    fn wait_for(&self, spans: u64, lanes: &[&str]) {
        let started = Instant::now();
        loop {
            let done = lanes.iter().map(|lane| {
                self.metric(
                    "spanledger_lane_spans_total",
                    &[&format!("lane=\"{lane}\"")],
                )
            });
            let done: Vec<f64> = done.collect();
            if done.iter().all(|n| *n >= spans as f64) {
                return;
            }
            assert!(
                started.elapsed() < START,
                "{done:?} of {spans} spans by {lanes:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already gone after `kill` and `stop`: then both calls fail, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(data_dir: &Path) -> String {
    std::fs::read_to_string(data_dir.join("log")).unwrap_or_default()
}

/// One HTTP/1.1 GET: (status, body).
pub fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes());
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    let body = if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        dechunk(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

/// One HTTP/1.1 POST: (status, head, body bytes).
pub fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let answer = exchange(address, &[request.as_bytes(), body].concat());
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("an HTTP answer");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    (status, head, answer[end + 4..].to_vec())
}

fn exchange(address: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // A refusal may come before the whole body is read; then the write fails and the answer counts.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn dechunk(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        text.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    text
}

/// A folder of the test's own, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("spanledger-{name}-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
