//! A span that goes the whole way: receive → spool → map → store → metric. It is a look into a
//! cache called `spanledger-canary`, which costs nothing and stands in nobody's way.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prometheus::{Gauge, Registry, register_gauge_with_registry};
use prost::Message;

use super::report::{Check, Status};
use crate::{
    query,
    record::{SpanId, TraceId},
    store::Store,
};

/// Service and cache that it goes by.
const NAME: &str = "spanledger-canary";
/// How long it may take; the store may have a backlog before it.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Canary {
    url: String,
    agent: Arc<ureq::Agent>,
    registry: Registry,
    store: Arc<Store>,
    flights: u64,
    last: Option<DateTime<Utc>>,
    seconds: Gauge,
    last_success: Gauge,
}

impl Canary {
    pub fn new(
        receiver: SocketAddr,
        registry: &Registry,
        store: Arc<Store>,
    ) -> Result<Self, prometheus::Error> {
        let mut receiver = receiver;
        if receiver.ip().is_unspecified() {
            receiver.set_ip(match receiver {
                SocketAddr::V4(_) => [127, 0, 0, 1].into(),
                SocketAddr::V6(_) => [0_u16, 0, 0, 0, 0, 0, 0, 1].into(),
            });
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self {
            url: format!("http://{receiver}/v1/traces"),
            agent: Arc::new(config.into()),
            registry: registry.clone(),
            store,
            flights: 0,
            last: None,
            seconds: register_gauge_with_registry!(
                "spanledger_canary_seconds",
                "How long the last canary that arrived took from the receiver to the store.",
                registry
            )?,
            last_success: register_gauge_with_registry!(
                "spanledger_canary_last_success_timestamp_seconds",
                "When a canary last arrived, Unix time; the start, if none has yet.",
                registry
            )?,
        })
    }

    /// Sends one and waits for it.
    pub async fn fly(&mut self) -> Check {
        if self.last_success.get() == 0.0 {
            self.last_success.set(unix(Utc::now()));
        }
        let started = Instant::now();
        let (status, detail) = match tokio::time::timeout(PATIENCE, self.round_trip()).await {
            Ok(Ok(())) => {
                let now = Utc::now();
                self.last = Some(now);
                self.last_success.set(unix(now));
                self.seconds.set(started.elapsed().as_secs_f64());
                (Status::Healthy, "arrived".to_owned())
            }
            Ok(Err(lost)) => (Status::Unhealthy, lost),
            // It waits in the spool, and so does everything else.
            Err(_) => (
                Status::Degraded,
                "taken, but not in the store and the metrics after 10 seconds".to_owned(),
            ),
        };
        if status != Status::Healthy {
            tracing::warn!(detail, "the canary did not arrive");
        }
        let mut check = Check::new(status, detail).succeeded_at(self.last);
        if status == Status::Healthy {
            check.latency_ms = Some(started.elapsed().as_secs_f64() * 1e3);
        }
        check
    }

    async fn round_trip(&mut self) -> Result<(), String> {
        self.flights += 1;
        let counted = self.counted();
        let now = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        // Time and flight tell apart; the process does so from its like on the same store.
        let id = (u128::from(now.unsigned_abs()) << 64)
            | u128::from(std::process::id()) << 32
            | u128::from(self.flights as u32);
        let (trace, span) = (TraceId(id.to_be_bytes()), SpanId(now.to_be_bytes()));
        let body = request(trace, span, now.unsigned_abs()).encode_to_vec();
        let (agent, url) = (Arc::clone(&self.agent), self.url.clone());
        let sent = tokio::task::spawn_blocking(move || {
            let sent = agent
                .post(&url)
                .header("content-type", "application/x-protobuf");
            sent.send(&body[..]).map(|answer| answer.status().as_u16())
        });
        match sent.await {
            Ok(Ok(200)) => {}
            Ok(Ok(code)) => return Err(format!("our own receiver answers {code}")),
            Ok(Err(error)) => return Err(format!("our own receiver does not answer: {error}")),
            Err(error) => return Err(error.to_string()),
        }
        loop {
            if self.counted() > counted && self.is_stored(trace).await {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the metrics have counted of canaries.
    fn counted(&self) -> f64 {
        let families = self.registry.gather();
        let lookups = crate::sink::names::CACHE_LOOKUPS.name;
        let family = families.iter().find(|family| family.name() == lookups);
        let series = family.iter().flat_map(|family| family.get_metric());
        let ours = series.filter(|one| one.get_label().iter().any(|label| label.value() == NAME));
        ours.map(|one| one.get_counter().get_value()).sum()
    }

    async fn is_stored(&self, trace: TraceId) -> bool {
        let Some(pool) = self.store.pool() else {
            return false;
        };
        let found = query::canary::is_stored(&pool, trace).await;
        found.unwrap_or_else(|error| {
            tracing::debug!(%error, "the store can't be asked for the canary");
            false
        })
    }
}

fn unix(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1e3
}

fn request(trace: TraceId, span: SpanId, now: u64) -> ExportTraceServiceRequest {
    let attribute = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let text = |key: &str| attribute(key, Value::StringValue(NAME.to_owned()));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![Span {
                    trace_id: trace.0.to_vec(),
                    span_id: span.0.to_vec(),
                    name: "canary".to_owned(),
                    start_time_unix_nano: now,
                    end_time_unix_nano: now + 1,
                    attributes: vec![
                        text("cache.name"),
                        attribute("cache.hit", Value::BoolValue(true)),
                    ],
                    ..Span::default()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}
