//! Against a real OTLP receiver in this process.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::{Request, Response, Status};

use super::fleet::{self, Plan};
use super::ledger::Ledger;

mod delivery;
mod spans;
mod summary;

/// Keeps what it receives, taking `pause` for each export, and refuses for good what comes after
/// `limit` exports.
#[derive(Clone, Default)]
struct Receiver {
    exports: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    limit: Option<usize>,
    pause: Duration,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        tokio::time::sleep(self.pause).await;
        let mut exports = self.exports.lock().unwrap();
        if self.limit.is_some_and(|limit| exports.len() >= limit) {
            return Err(Status::invalid_argument("no more"));
        }
        exports.push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// Listens on a free port and returns its endpoint.
    async fn start(&self) -> String {
        let incoming =
            tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = format!("http://{}", incoming.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        endpoint
    }

    /// Every span received, with its service.
    fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for export in self.exports.lock().unwrap().iter() {
            for group in &export.resource_spans {
                let resource = group.resource.as_ref().unwrap();
                let service = resource
                    .attributes
                    .iter()
                    .find(|attribute| attribute.key == "service.name")
                    .and_then(|attribute| attribute.value.as_ref()?.value.as_ref())
                    .map(text)
                    .unwrap();
                for scope in &group.scope_spans {
                    spans.extend(
                        scope
                            .spans
                            .iter()
                            .map(|span| (service.clone(), span.clone())),
                    );
                }
            }
        }
        spans
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        other => panic!("a text was expected: {other:?}"),
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let mut found = span
        .attributes
        .iter()
        .filter(|attribute| attribute.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref();
    assert!(found.next().is_none(), "{key} twice on {}", span.name);
    value
}

fn number(span: &Span, key: &str) -> i64 {
    match attribute(span, key) {
        Some(Value::IntValue(number)) => *number,
        None => 0,
        other => panic!("{key} should be a whole number: {other:?}"),
    }
}

fn plan(requests_per_app: u64) -> Plan {
    Plan {
        seed: 7,
        requests_per_app,
        end: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

async fn play(plan: &Plan) -> (Ledger, Vec<(String, Span)>) {
    play_to(Receiver::default(), plan).await
}

async fn play_to(receiver: Receiver, plan: &Plan) -> (Ledger, Vec<(String, Span)>) {
    let endpoint = receiver.start().await;
    let ledger = fleet::run(&endpoint, plan, |_| {}).await.unwrap();
    (ledger, receiver.spans())
}
