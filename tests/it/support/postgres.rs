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
    port: u16,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// A database of a test's own.
pub struct Database {
    name: String,
    port: u16,
}

impl Database {
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }
}

impl Database {
    /// Runs a statement beside the database; `{name}` in it is its name.
    pub fn execute(&self, sql: &str) {
        on_server(self.port, &sql.replace("{name}", &self.name)).unwrap();
    }

    /// Cuts all its connections; new ones are let in.
    pub fn cut(&self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        );
    }

    /// An outage of this one database: connections are cut and new ones refused, until told
    /// otherwise.
    pub fn refuse(&self, refuse: bool) {
        let allow = !refuse;
        self.execute(&format!(
            "ALTER DATABASE {{name}} ALLOW_CONNECTIONS {allow}"
        ));
        if refuse {
            self.cut();
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

/// Where the newest installed server's programs are.
pub fn binaries() -> PathBuf {
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

#[allow(clippy::zombie_processes, reason = "the janitor ends it")]
fn start() -> Server {
    let data = std::env::temp_dir().join(format!("spanledger-postgres-{}", std::process::id()));
    make(&data);
    let port = free_port();
    let process = launch(&data, port, &["-c", "max_connections=200"]);
    janitor(process.id(), &data);
    Server { port }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Makes the folder of a server.
fn make(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    if is_root() {
        let chown = Command::new("chown")
            .arg("nobody:nogroup")
            .arg(data)
            .status()
            .unwrap();
        assert!(chown.success());
    }
    let made = command(&binaries().join("initdb"), is_root())
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
        .args(["--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(data)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// Starts a server and waits until it answers.
fn launch(data: &Path, port: u16, args: &[&str]) -> Child {
    let mut log = std::fs::OpenOptions::new();
    let log = log.create(true).append(true).open(data.join("log"));
    let mut process = command(&binaries().join("postgres"), is_root())
        .args(["-h", "127.0.0.1", "-k", "", "-F"])
        .args(["-c", "jit=off", "-p"])
        .arg(port.to_string())
        .arg("-D")
        .arg(data)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .spawn()
        .unwrap();
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
    process
}

/// A server of a test's own, to be stopped and started.
pub struct Cluster {
    data: PathBuf,
    port: u16,
    args: Vec<&'static str>,
    process: Child,
}

impl Cluster {
    pub fn start(args: &[&'static str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let data = std::env::temp_dir().join(format!("spanledger-cluster-{pid}-{number}"));
        make(&data);
        let port = free_port();
        Self {
            process: launch(&data, port, args),
            data,
            port,
            args: args.to_vec(),
        }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Makes a further database; says its URL. For the benchmark.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        on_server(self.port, &format!("CREATE DATABASE {name}")).unwrap();
        self.checkpoint();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Leaves nothing to write back, so that what comes next starts even.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn checkpoint(&self) {
        on_server(self.port, "CHECKPOINT").unwrap();
    }

    /// The server's first process; its children are the backends. For the benchmark.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Like `pg_ctl stop -m immediate`: no checkpoint, open transactions are gone.
    pub fn stop_at_once(&mut self) {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
        self.process.wait().unwrap();
    }

    /// After [`Cluster::stop_at_once`]: recovers, and answers.
    pub fn start_again(&mut self) {
        self.process = launch(&self.data, self.port, &self.args);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_at_once();
        let _ = std::fs::remove_dir_all(&self.data);
    }
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
