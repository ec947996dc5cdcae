//! What the receivers say of themselves.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::check::Checked;
use crate::otlp::Signal;

/// Which protocol a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    Http,
}

impl Transport {
    const ALL: [Transport; 2] = [Transport::Grpc, Transport::Http];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Http => "http",
        }
    }
}

/// Counted as it happens.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    requests: IntCounterVec,
    bytes: IntCounterVec,
    spans: IntCounter,
    log_records: IntCounter,
    rejected_spans: IntCounterVec,
    rejected_log_records: IntCounterVec,
    pub(super) inflight_bytes: IntGauge,
}

/// The one reason for which a single span or record is rejected.
const UNREADABLE: &str = "unreadable_or_invalid_id";

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let one = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let metrics = Metrics {
            requests: by(
                "spanledger_receive_requests_total",
                "OTLP requests, by what was answered.",
                &["transport", "signal", "outcome"],
            )?,
            bytes: by(
                "spanledger_receive_bytes_total",
                "Bytes of the requests taken, decompressed and as protobuf.",
                &["transport", "signal"],
            )?,
            spans: one(
                "spanledger_receive_spans_total",
                "Spans taken: they are on disk.",
            )?,
            log_records: one(
                "spanledger_receive_log_records_total",
                "Log records taken: they are on disk.",
            )?,
            rejected_spans: by(
                "spanledger_receive_rejected_spans_total",
                "Spans that can't be used, in requests whose other spans were taken.",
                &["reason"],
            )?,
            rejected_log_records: by(
                "spanledger_receive_rejected_log_records_total",
                "Log records that can't be used, in requests whose other records were taken.",
                &["reason"],
            )?,
            inflight_bytes: IntGauge::new(
                "spanledger_receive_inflight_bytes",
                "Bytes of requests under way.",
            )?,
        };
        registry.register(Box::new(metrics.inflight_bytes.clone()))?;
        // A series that exists from the start lets rate() see the first error.
        for transport in Transport::ALL {
            for signal in Signal::ALL {
                for outcome in ["accepted", "partial", "refused", "rejected"] {
                    let labels = [transport.as_str(), signal.as_str(), outcome];
                    metrics.requests.with_label_values(&labels).inc_by(0);
                }
                let labels = [transport.as_str(), signal.as_str()];
                metrics.bytes.with_label_values(&labels).inc_by(0);
            }
        }
        for rejected in [&metrics.rejected_spans, &metrics.rejected_log_records] {
            rejected.with_label_values(&[UNREADABLE]).inc_by(0);
        }
        Ok(metrics)
    }

    /// A request was answered.
    pub(super) fn request(&self, transport: Transport, signal: Signal, outcome: &str) {
        let labels = [transport.as_str(), signal.as_str(), outcome];
        self.requests.with_label_values(&labels).inc();
    }

    /// A request was taken, all or in part.
    pub(super) fn taken(
        &self,
        transport: Transport,
        signal: Signal,
        bytes: usize,
        checked: &Checked,
    ) {
        let labels = [transport.as_str(), signal.as_str()];
        self.bytes.with_label_values(&labels).inc_by(bytes as u64);
        let (taken, rejected) = match signal {
            Signal::Traces => (&self.spans, &self.rejected_spans),
            Signal::Logs => (&self.log_records, &self.rejected_log_records),
            Signal::Metrics => return,
        };
        taken.inc_by(checked.usable);
        rejected
            .with_label_values(&[UNREADABLE])
            .inc_by(checked.rejected);
    }
}
