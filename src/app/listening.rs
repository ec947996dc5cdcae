//! Where the service listens, for people and for scripts.

use std::{io, net::SocketAddr, path::Path};

use serde::{Deserialize, Serialize};

use crate::web::Endpoints;

/// The bound addresses. While the service runs they stand in `DATA_DIR/listening.json`, so that a
/// script that asked for port 0 finds them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Listening {
    /// OTLP/gRPC.
    pub grpc: SocketAddr,
    /// OTLP/HTTP.
    pub otlp_http: SocketAddr,
    /// Pages, API, metrics.
    pub http: SocketAddr,
}

const FILE: &str = "listening.json";

impl Listening {
    /// As URLs, for people to copy.
    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints {
            grpc: url(self.grpc),
            otlp_http: url(self.otlp_http),
        }
    }

    /// Where people of this machine reach the pages.
    pub(super) fn pages(&self) -> String {
        url(self.http)
    }

    /// Writes the file, whole or not at all.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let half = data_dir.join("listening.json.new");
        std::fs::write(&half, serde_json::to_vec(self)?)?;
        std::fs::rename(half, data_dir.join(FILE))
    }

    /// What the service that runs on this folder wrote, if one does.
    pub fn read(data_dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub(super) fn remove(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(data_dir.join(FILE)) {
            tracing::debug!(%error, "listening.json is not there any more");
        }
    }
}

/// An address that listens everywhere is reached as localhost from here.
fn url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://localhost:{}", address.port());
    }
    format!("http://{address}")
}
