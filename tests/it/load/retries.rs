//! `spanledger load` against servers that refuse: when it sends again, and what it gives up.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use spanledger::load::{Amount, Protocol};
use tonic::{Code, Status, transport::server::TcpIncoming};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::{
    load::{plan, send, verify},
    postgres::database,
    process::{Folder, Service},
};

/// A server that says no, then yes: HTTP/1.1 by hand. Gives when each request came.
fn refusing_http(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<Instant>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut came = Vec::new();
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        for answer in answers {
            let (mut line, mut length) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                assert!(reader.read_line(&mut line).unwrap() > 0, "the sender left");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            std::io::copy(
                &mut Read::by_ref(&mut reader).take(length),
                &mut std::io::sink(),
            )
            .unwrap();
            came.push(Instant::now());
            let stream = reader.get_mut();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        came
    });
    (address, server)
}

/// Scenario: a server refuses with `Retry-After`, then without, takes a request in part, and
/// rejects one for good.
/// Guarantees: it is sent again, not before it was told; what is rejected is not, and is counted.
#[test]
fn http_refusals_are_answered_by_the_rules() {
    let answer = |head: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let partial = r#"{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "a bad id"}}"#;
    let (address, server) = refusing_http(vec![
        answer("503 Service Unavailable\r\nRetry-After: 1", ""),
        answer("429 Too Many Requests", "busy"),
        answer("200 OK", "{}"),
        answer("200 OK", partial),
        answer("400 Bad Request", "broken"),
    ]);
    let folder = Folder::new("refusing");
    let mut plan = plan(&address, Protocol::HttpJson);
    plan.connections = 1;
    plan.batch = 10;
    plan.amount = Amount::Spans(30);
    let (report, _) = send(folder.path(), plan).join();
    let came = server.join().unwrap();
    assert!(came[1] - came[0] >= Duration::from_secs(1));
    assert_eq!(
        (report.sent, report.acked, report.rejected, report.retries),
        (30, 17, 13, 2)
    );
    assert_eq!(report.unanswered, 0);
    assert!(report.last_failure.unwrap().contains("400"));
}

/// A server that gives one answer after the other, over gRPC, and notes when each was asked for.
#[derive(Clone)]
struct RefusingGrpc {
    answers: Arc<Mutex<VecDeque<Result<ExportTraceServiceResponse, Status>>>>,
    came: Arc<Mutex<Vec<Instant>>>,
}

#[tonic::async_trait]
impl TraceService for RefusingGrpc {
    async fn export(
        &self,
        _: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.came.lock().unwrap().push(Instant::now());
        let answer = self.answers.lock().unwrap().pop_front();
        answer
            .expect("no further request")
            .map(tonic::Response::new)
    }
}

/// Scenario: a server refuses with `RetryInfo`, then without, takes a request in part, and rejects
/// one for good.
/// Guarantees: it is sent again, not before it was told; what is rejected is not, and is counted.
#[test]
fn grpc_refusals_are_answered_by_the_rules() {
    let taken = |rejected_spans, message: &str| ExportTraceServiceResponse {
        partial_success: (rejected_spans > 0).then(|| ExportTracePartialSuccess {
            rejected_spans,
            error_message: message.to_owned(),
        }),
    };
    let second = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    let answers = [
        Err(Status::with_error_details(Code::Unavailable, "", second)),
        Err(Status::unavailable("busy")),
        Ok(taken(0, "")),
        Ok(taken(3, "a bad id")),
        Err(Status::invalid_argument("broken")),
    ];
    let server = RefusingGrpc {
        answers: Arc::new(Mutex::new(answers.into())),
        came: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut plan = plan(&listener.local_addr().unwrap().to_string(), Protocol::Grpc);
    plan.connections = 1;
    plan.batch = 10;
    plan.amount = Amount::Spans(30);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = server.clone();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(serving))
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap();
    });
    let folder = Folder::new("refusing-grpc");
    let (report, _) = send(folder.path(), plan).join();
    let came = server.came.lock().unwrap();
    assert_eq!(came.len(), 5);
    assert!(came[1] - came[0] >= Duration::from_secs(1));
    assert_eq!(
        (report.sent, report.acked, report.rejected, report.retries),
        (30, 17, 13, 2)
    );
    assert_eq!(report.unanswered, 0);
    assert!(report.last_failure.unwrap().contains("broken"));
}

/// Scenario: the service's spool has no room; then the store comes, and with it room.
/// Guarantees: what was refused is sent again until it is taken, and in the end all is stored.
#[test]
fn what_a_full_spool_refuses_is_sent_again() {
    let folder = Folder::new("full");
    let database = database();
    database.refuse(true);
    let url = database.url();
    let env = [
        ("SPANLEDGER_STORE_URL", &*url),
        ("SPANLEDGER_SPOOL__MAX_BYTES", "2000000"),
    ];
    let service = Service::start_with(folder.path(), &env);
    let mut plan = plan(&service.grpc, Protocol::Grpc);
    plan.batch = 512;
    plan.amount = Amount::Spans(6000);
    let sending = send(folder.path(), plan);
    let refused = ["refused", "grpc"];
    let started = Instant::now();
    while service.metric("spanledger_receive_requests_total", &refused) == 0.0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    database.refuse(false);
    let (report, ledger) = sending.join();
    assert!(report.is_all_acked() && report.retries > 0, "{report:?}");
    let (code, verdict) = verify(folder.path(), &env[..1], &ledger);
    assert_eq!(code, 0, "{verdict:#}");
    assert!(service.stop().success());
}
