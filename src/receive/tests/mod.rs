mod grpc;
mod http;

use std::net::SocketAddr;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prometheus::Registry;
use prost::Message;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Config, Error, bind};
use crate::{
    otlp::Signal,
    spool::{self, Spool},
};

/// Receivers on free ports, over a spool in a folder of its own.
struct Running {
    dir: tempfile::TempDir,
    spool: Spool,
    registry: Registry,
    grpc: SocketAddr,
    http: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

fn config() -> Config {
    Config {
        grpc_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        http_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        max_body_bytes: 1 << 20,
        max_inflight_bytes: 4 << 20,
        ..Config::default()
    }
}

impl Running {
    async fn start() -> Self {
        Self::with(config(), spool::Config::default()).await
    }

    async fn with(config: Config, spool_config: spool::Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let spool = Spool::open(dir.path(), &spool_config, &registry).unwrap();
        let receivers = bind(&config, spool.appender(), &registry).await.unwrap();
        let stop = CancellationToken::new();
        Running {
            dir,
            spool,
            registry,
            grpc: receivers.grpc_addr(),
            http: receivers.http_addr(),
            stop: stop.clone(),
            task: tokio::spawn(receivers.run(stop)),
        }
    }

    /// A spool with no room left.
    async fn full() -> Self {
        let tight = spool::Config {
            segment_max_bytes: 1024,
            max_bytes: 4096,
        };
        let running = Self::with(config(), tight).await;
        let appender = running.spool.appender();
        let filler = || bytes::Bytes::from_static(&[0; 200]);
        while appender
            .append(Signal::Traces, 1, filler(), 0)
            .await
            .is_ok()
        {}
        running
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let matching = family.unwrap().get_metric().iter().filter(|metric| {
            labels.iter().all(|(name, value)| {
                let found = metric
                    .get_label()
                    .iter()
                    .find(|label| label.name() == *name);
                found.unwrap().value() == *value
            })
        });
        matching
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }

    /// Stops everything, opens the spool anew and gives what it holds.
    async fn spooled(self) -> Vec<(Signal, Vec<u8>)> {
        assert_eq!(self.metric("spanledger_receive_inflight_bytes", &[]), 0.0);
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.spool.close().await;
        let spool =
            Spool::open(self.dir.path(), &spool::Config::default(), &Registry::new()).unwrap();
        let mut reader = spool.reader(None);
        let mut all = Vec::new();
        while let Some(entry) = reader.try_next().unwrap() {
            assert!(entry.received_at > 1_600_000_000_000_000_000);
            all.push((entry.signal, entry.body.to_vec()));
        }
        spool.close().await;
        all
    }
}

fn span(id: u8) -> Span {
    Span {
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        name: format!("span {id}"),
        ..Default::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

/// A request of some `bytes`, most of them compressible.
fn large_request(bytes: usize) -> ExportTraceServiceRequest {
    let mut large = span(1);
    large.name = "x".repeat(bytes);
    request(vec![large])
}

fn traces(request: &ExportTraceServiceRequest) -> (Signal, Vec<u8>) {
    (Signal::Traces, request.encode_to_vec())
}
