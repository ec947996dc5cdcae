//! The stations' settings, composed. Each station owns its `Config`; this file only names them.
//!
//! Settings come in layers, later ones win: defaults, the file given with `--config`, the
//! environment. `config/spanledger.toml` documents every key.

mod load;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use load::{Error, load};

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the spool and the default store live.
    pub data_dir: PathBuf,
    /// Pages, API, `/metrics`, `/healthz`, `/readyz`.
    pub http_addr: SocketAddr,
    /// Seconds that a stop may take: finish answering, write what is in the spool.
    pub shutdown_seconds: u64,
    /// OTLP listeners.
    pub receive: crate::receive::Config,
    /// The durable log.
    pub spool: crate::spool::Config,
    /// Attributes to records.
    pub map: crate::map::Config,
    /// Counting once.
    pub count: crate::count::Config,
    /// Prices.
    pub price: Price,
    /// Rows.
    pub store: Store,
    /// Spool to sinks.
    pub pipeline: crate::pipeline::Config,
    /// Metrics.
    pub prometheus: crate::sink::prometheus::Config,
    /// Alerts without Prometheus.
    pub alert: crate::alert::Config,
    /// Health checks.
    pub health: crate::health::Config,
    /// Advice on the number of instances.
    pub scale: crate::scale::Config,
    /// Our own logs and traces.
    pub telemetry: crate::telemetry::Config,
}

/// Where prices come from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// A price table in the format of `config/prices.toml`; the shipped one if not set.
    pub file: Option<PathBuf>,
    /// Names of models as apps send them, to `model` or `provider/model` of the table.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub aliases: std::collections::BTreeMap<String, String>,
    /// What is paid by contract; it wins over the table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<crate::price::OwnModel>,
}

/// Where rows go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite://PATH` or `postgres://USER@HOST/DATABASE`; `sqlite://DATA_DIR/spanledger.db` if
    /// not set. May hold a password: prefer the environment or `url_file`.
    #[serde(skip_serializing)]
    pub url: Option<secrecy::SecretString>,
    /// A file whose first line is the URL.
    pub url_file: Option<PathBuf>,
    /// Bytes that the Postgres database may take, which no query can tell. Without it nobody is
    /// told how many days its disk lasts.
    pub disk_bytes: Option<u64>,
    /// Days that rows are kept; for ever if not set.
    pub keep_days: Option<std::num::NonZeroU32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./spanledger-data"),
            http_addr: SocketAddr::from(([127, 0, 0, 1], 9464)),
            shutdown_seconds: 30,
            receive: crate::receive::Config::default(),
            spool: crate::spool::Config::default(),
            map: crate::map::Config::default(),
            count: crate::count::Config::default(),
            price: Price::default(),
            store: Store::default(),
            pipeline: crate::pipeline::Config::default(),
            prometheus: crate::sink::prometheus::Config::default(),
            alert: crate::alert::Config::default(),
            health: crate::health::Config::default(),
            scale: crate::scale::Config::default(),
            telemetry: crate::telemetry::Config::default(),
        }
    }
}
