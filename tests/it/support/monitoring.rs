//! Real Prometheus and Alertmanager, on ports and in folders of the tests' own, and a stand-in for
//! Slack.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::process::get;

const START: Duration = Duration::from_secs(60);

/// `path` within the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs one of Prometheus' tools; its output, and whether it was content.
pub fn tool(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(args)
        .current_dir(project(""))
        .output()
        .unwrap_or_else(|error| {
            panic!("{program}: {error}. tests/run installs it (Debian: prometheus, prometheus-alertmanager)")
        });
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A running server of the monitoring kind. Killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Prometheus with this configuration; data goes into `folder`.
    pub fn prometheus(config: &Path, folder: &Path) -> Self {
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ));
        Self::start(command, folder, "prometheus")
    }

    /// Alertmanager with this configuration; data goes into `folder`.
    pub fn alertmanager(config: &Path, folder: &Path) -> Self {
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.path={}",
                folder.join("alertmanager").display()
            ))
            .arg("--cluster.listen-address=");
        Self::start(command, folder, "alertmanager")
    }

    fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let log = folder.join(format!("{name}.log"));
        let mut child = command
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        loop {
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            if std::net::TcpStream::connect(&address).is_ok() && get(&address, "/-/ready").0 == 200
            {
                return Self { child, address };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended: {status}\n{}", log());
            }
            assert!(started.elapsed() < START, "{name} is not ready\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Value of the first series of a PromQL expression, now.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let encoded: String = expression.bytes().map(|b| format!("%{b:02X}")).collect();
        let (_, body) = get(&self.address, &format!("/api/v1/query?query={encoded}"));
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {body}");
        let value = &answer["data"]["result"][0]["value"][1];
        value.as_str().and_then(|text| text.parse().ok())
    }

    /// Waits until an expression has a value of at least `least`.
    pub fn wait_until(&self, expression: &str, least: f64) {
        let started = Instant::now();
        loop {
            let value = self.value(expression);
            if value.is_some_and(|value| value >= least) {
                return;
            }
            assert!(started.elapsed() < START, "{expression} is {value:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback webhook that answers as Slack does and keeps what it was sent.
pub struct Slack {
    pub url: String,
    messages: mpsc::Receiver<serde_json::Value>,
}

impl Slack {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/services/T0/B0/secret",
            listener.local_addr().unwrap()
        );
        let (sender, messages) = mpsc::channel();
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some(body) = read_post(&mut reader) else {
                    continue;
                };
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = reader.get_mut().write_all(answer);
                if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { url, messages }
    }

    /// The next message for which `wanted` holds; others are passed over, and kept in `seen`.
    pub fn wait_for(
        &self,
        what: &str,
        seen: &mut Vec<serde_json::Value>,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let started = Instant::now();
        loop {
            let left = START.saturating_sub(started.elapsed());
            let message = self.messages.recv_timeout(left);
            let message = message.unwrap_or_else(|_| panic!("no message: {what}; but {seen:#?}"));
            seen.push(message.clone());
            if wanted(&message) {
                return message;
            }
        }
    }
}

fn read_post(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
