//! The SDK's own OTLP exporter, with the outcome of each export counted: the batch processor only
//! logs a failure, and a demo that lost spans must say so.

use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::sync::watch;

/// How long one export may take, the SDK's retries included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// What became of the exports so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled {
    pub(super) exported: u64,
    pub(super) failed: u64,
    /// The first failure.
    pub(super) error: Option<String>,
}

impl Settled {
    /// Spans that are no longer on their way.
    pub(super) fn spans(&self) -> u64 {
        self.exported + self.failed
    }
}

/// The OTLP exporter and the account of its exports.
#[derive(Debug)]
pub(super) struct Exporter {
    otlp: opentelemetry_otlp::SpanExporter,
    settled: watch::Sender<Settled>,
}

impl Exporter {
    /// An exporter to a gRPC endpoint; connects with the first export.
    pub(super) fn new(
        endpoint: &str,
    ) -> Result<(Self, watch::Receiver<Settled>), ExporterBuildError> {
        let otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_protocol(Protocol::Grpc)
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let (settled, receiver) = watch::channel(Settled::default());
        Ok((Exporter { otlp, settled }, receiver))
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.otlp.export(batch).await;
        self.settled.send_modify(|settled| match &result {
            Ok(()) => settled.exported += spans,
            Err(error) => {
                settled.failed += spans;
                settled.error.get_or_insert_with(|| error.to_string());
            }
        });
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
