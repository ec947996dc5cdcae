//! Plays a plan: one tracer provider an app, all at once, with back-pressure instead of dropping.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanLimits,
};
use tokio::sync::watch;

use super::chatbot::Chatbot;
use super::dice::Dice;
use super::exporter::{Exporter, Settled};
use super::ids::SeededIds;
use super::ledger::Ledger;
use super::mapper::Mapper;
use super::meeting::Meeting;
use super::planned::Planned;
use super::progress::Progress;

/// Requests are spread over this time before the plan's end.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// Apps of the fleet.
pub const APPS: u64 = 3;

/// Spans in one export, the SDK's default.
const BATCH_SPANS: usize = 512;
/// Spans that may wait in a provider. The processor drops what is beyond its queue, so an app
/// pauses at half of it: no request has that many spans.
const QUEUE_SPANS: usize = 8 * BATCH_SPANS;
/// How long the last exports of an app may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(90);

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The same seed gives the same requests.
    pub seed: u64,
    /// Requests of each app.
    pub requests_per_app: u64,
    /// When the last request has ended, normally now.
    pub end: SystemTime,
}

/// Why nothing could be sent. Exports that failed are not an error here: the ledger counts them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint is no address of an OTLP receiver.
    #[error("send to {endpoint}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What the SDK says.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The SDK didn't finish its last exports in time.
    #[error("finish the exports of {service}")]
    Shutdown {
        /// The app.
        service: &'static str,
        /// What the SDK says.
        #[source]
        source: opentelemetry_sdk::error::OTelSdkError,
    },
    /// The thread that waited for the last exports broke.
    #[error("wait for the exports of {service}")]
    Wait {
        /// The app.
        service: &'static str,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
    /// The plan's end is so early that the hour before it is before 1970.
    #[error("spread requests over the hour before a time before 1970")]
    End,
}

/// Sends the plan's requests to an OTLP gRPC endpoint (`http://host:port`) and returns what was
/// sent. An app stops early once an export has failed for good; the ledger then holds what it
/// had handed over, and [`Ledger::is_delivered`] is false.
pub async fn run(
    endpoint: &str,
    plan: &Plan,
    progress: impl Fn(Progress),
) -> Result<Ledger, Error> {
    let end_ns = plan
        .end
        .checked_sub(WINDOW)
        .and_then(|start| start.duration_since(UNIX_EPOCH).ok())
        .ok_or(Error::End)?
        .as_nanos() as u64;
    let reported = Mutex::new(Progress {
        requests_planned: plan.requests_per_app * APPS,
        ..Progress::default()
    });
    let report = |requests: u64, settled: Settled| {
        let mut sum = reported.lock().unwrap_or_else(PoisonError::into_inner);
        sum.requests += requests;
        sum.exported += settled.exported;
        sum.failed += settled.failed;
        progress(*sum);
    };
    let app = |service, environment| App::start(service, environment, endpoint, plan, end_ns);
    // Shapes come from the seed alone; ids also from the time, so that runs don't share them.
    let dice = |name: &str| Dice::new(plan.seed, name);
    let ids = |name: &str| Dice::new(plan.seed ^ end_ns, name);
    let mut chatbot = Chatbot::new(dice("chatbot"), ids("chatbot"));
    let mut mapper = Mapper::new(dice("mapper"), ids("mapper"));
    let mut meeting = Meeting::new(dice("meeting"), ids("meeting"));
    let (chatbot, mapper, meeting) = tokio::try_join!(
        app("support-chatbot", "demo")?.play(plan, move || chatbot.request(), &report),
        app("esg-mapper", "demo")?.play(plan, move || mapper.request(), &report),
        app("meeting-assistant", "demo-staging")?.play(plan, move || meeting.request(), &report),
    )?;
    let mut ledger = chatbot;
    ledger.merge(mapper);
    ledger.merge(meeting);
    Ok(ledger)
}

/// A running app.
struct App {
    service: &'static str,
    provider: SdkTracerProvider,
    settled: watch::Receiver<Settled>,
    clock: Dice,
}

impl App {
    fn start(
        service: &'static str,
        environment: &'static str,
        endpoint: &str,
        plan: &Plan,
        end_ns: u64,
    ) -> Result<Self, Error> {
        let (exporter, settled) = Exporter::new(endpoint).map_err(|source| Error::Endpoint {
            endpoint: endpoint.to_owned(),
            source,
        })?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS)
            .with_max_export_batch_size(BATCH_SPANS)
            .with_scheduled_delay(Duration::from_millis(200))
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        // Everything that the SDK would take from OTEL_* variables is said here: a demo sends
        // the same spans on every machine.
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_service_name(service)
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.namespace", "demo"),
                KeyValue::new("deployment.environment.name", environment),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::AlwaysOn)
            .with_span_limits(SpanLimits::default())
            .with_id_generator(SeededIds::new(plan.seed ^ end_ns, service))
            .with_resource(resource)
            .build();
        Ok(App {
            service,
            provider,
            settled,
            clock: Dice::new(plan.seed, service),
        })
    }

    /// Sends the app's requests, oldest first, and waits until every export has settled.
    async fn play(
        mut self,
        plan: &Plan,
        mut request: impl FnMut() -> Planned,
        report: &impl Fn(u64, Settled),
    ) -> Result<Ledger, Error> {
        let tracer = self.provider.tracer("spanledger.demo");
        let mut ledger = Ledger::default();
        let mut reported = Settled::default();
        for number in 0..plan.requests_per_app {
            let root = request();
            ledger.add(self.service, &root);
            let begin = self.begin(plan, number, root.end);
            let trace_id = send(&tracer, &Context::new(), root, begin);
            ledger.trace_ids.push(trace_id.to_string());
            let settled = self.wait_for_room(ledger.spans).await;
            report(1, settled.since(&reported));
            reported = settled;
            if reported.failed > 0 {
                break;
            }
        }
        drop(tracer);
        let (service, provider) = (self.service, self.provider);
        // Blocks until the last batch is answered.
        tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT))
            .await
            .map_err(|source| Error::Wait { service, source })?
            .map_err(|source| Error::Shutdown { service, source })?;
        let settled = self.settled.borrow().clone();
        report(0, settled.since(&reported));
        ledger.exported = settled.exported;
        ledger.failed = settled.failed;
        ledger.export_error = settled.error;
        Ok(ledger)
    }

    /// When a request begins: even over the window with some jitter, and over by the plan's end.
    fn begin(&mut self, plan: &Plan, number: u64, length: Duration) -> SystemTime {
        let share = (number as f64 + self.clock.fraction()) / plan.requests_per_app.max(1) as f64;
        let room = WINDOW.saturating_sub(length);
        plan.end - length - room.mul_f64((1.0 - share).clamp(0.0, 1.0))
    }

    /// Pauses while half the queue is on its way; lets the connection work in any case.
    async fn wait_for_room(&mut self, sent: u64) -> Settled {
        tokio::task::yield_now().await;
        let room =
            |settled: &Settled| sent.saturating_sub(settled.spans()) <= QUEUE_SPANS as u64 / 2;
        // An error says that the processor's thread is gone: nothing more will settle, and the
        // shutdown says why.
        let _ = self.settled.wait_for(room).await;
        self.settled.borrow().clone()
    }
}

impl Settled {
    /// What was settled after `earlier`.
    fn since(&self, earlier: &Settled) -> Settled {
        Settled {
            exported: self.exported - earlier.exported,
            failed: self.failed - earlier.failed,
            error: None,
        }
    }
}

/// Starts a span and the spans below it, and ends them as an app does: children first.
/// Returns the trace.
fn send(
    tracer: &SdkTracer,
    parent: &Context,
    planned: Planned,
    begin: SystemTime,
) -> opentelemetry::trace::TraceId {
    let span = tracer
        .span_builder(planned.name)
        .with_kind(planned.kind)
        .with_start_time(begin + planned.start)
        .with_attributes(planned.attributes)
        .start_with_context(tracer, parent);
    let context = parent.with_span(span);
    for child in planned.children {
        send(tracer, &context, child, begin);
    }
    let span = context.span();
    for (name, at, attributes) in planned.events {
        span.add_event_with_timestamp(name, begin + at, attributes);
    }
    if let Some(message) = planned.error {
        span.set_status(Status::error(message));
    }
    span.end_with_timestamp(begin + planned.end);
    span.span_context().trace_id()
}
