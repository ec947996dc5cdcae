//! A real Postgres server of the tests' own: one a test process, one database a test.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The running server. A janitor stops it when the test process ends, however it ends.
struct Server {
    process: Child,
    port: u16,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// A database of a test's own.
pub struct Database {
    name: String,
    port: u16,
    pid: u32,
}

impl Database {
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// The server's first process; its children are the backends. For the benchmark.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn server_pid(&self) -> u32 {
        self.pid
    }
}

impl Database {
    /// An outage of this one database: connections are cut and new ones refused, until told
    /// otherwise.
    pub fn refuse(&self, refuse: bool) {
        let allow = !refuse;
        on_server(
            self.port,
            &format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allow}", self.name),
        )
        .unwrap();
        if refuse {
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                self.name
            );
            on_server(self.port, &cut).unwrap();
        }
    }
}

/// Makes a database; starts the server if it is the first.
pub fn database() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(start);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let database = Database {
        name,
        port: server.port,
        pid: server.process.id(),
    };
    on_server(server.port, &format!("CREATE DATABASE {}", database.name)).unwrap();
    database
}

fn on_server(port: u16, sql: &str) -> Result<(), sqlx::Error> {
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let sql = AssertSqlSafe(sql.to_owned());
    // A thread of its own: the caller may be inside a runtime.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let mut connection = PgConnection::connect(&url).await?;
                    connection.execute(sql).await?;
                    connection.close().await
                })
            })
            .join()
            .unwrap()
    })
}

fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
                .collect()
        })
        .unwrap_or_default();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions
        .pop()
        .expect("Postgres is not installed: tests/run installs it (Debian: postgresql)")
}

/// Postgres refuses to run as root: then another user runs it.
fn command(program: &Path, is_root: bool) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    command.arg(program);
    command
}

fn start() -> Server {
    let bin = binaries();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt;
        meta.uid() == 0
    });
    let data = std::env::temp_dir().join(format!("spanledger-postgres-{}", std::process::id()));
    std::fs::create_dir_all(&data).unwrap();
    if is_root {
        let chown = Command::new("chown")
            .arg("nobody:nogroup")
            .arg(&data)
            .status()
            .unwrap();
        assert!(chown.success());
    }
    let made = command(&bin.join("initdb"), is_root)
        .args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
        ])
        .arg(&data)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let log = std::fs::File::create(data.join("log")).unwrap();
    let mut process = command(&bin.join("postgres"), is_root)
        .args(["-h", "127.0.0.1", "-k", "", "-F"])
        .args(["-c", "max_connections=200", "-c", "jit=off", "-p"])
        .arg(port.to_string())
        .arg("-D")
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    janitor(process.id(), &data);
    let started = Instant::now();
    while let Err(error) = on_server(port, "SELECT 1") {
        assert!(
            process.try_wait().unwrap().is_none(),
            "postgres ended; see {}",
            data.display()
        );
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "postgres does not answer: {error}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { process, port }
}

/// A process that outlives the tests, stops the server when they are gone, and removes its files.
#[allow(clippy::zombie_processes, reason = "it outlives the tests")]
fn janitor(server: u32, data: &Path) {
    let tests = std::process::id();
    let script = format!(
        "trap '' INT HUP; while kill -0 {tests} 2>/dev/null; do sleep 0.2; done; \
         kill -QUIT {server} 2>/dev/null; while kill -0 {server} 2>/dev/null; do sleep 0.1; done; \
         rm -rf '{}'",
        data.display()
    );
    Command::new("setsid")
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}
