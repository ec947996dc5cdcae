use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, logs_service_client::LogsServiceClient},
        metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
        trace::v1::trace_service_client::TraceServiceClient,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics},
};
use tonic::{Code, Status, codec::CompressionEncoding, transport::Channel};
use tonic_types::StatusExt;

use super::*;

async fn channel(running: &Running) -> Channel {
    let address = format!("http://{}", running.grpc);
    Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn client(running: &Running) -> TraceServiceClient<Channel> {
    TraceServiceClient::new(channel(running).await)
}

fn is_final(status: &Status) -> bool {
    let retryable = [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ];
    !retryable.contains(&status.code()) && status.get_details_retry_info().is_none()
}

#[tokio::test]
async fn an_ack_means_that_the_exact_bytes_are_in_the_spool() {
    let running = Running::start().await;
    let sent = request(vec![span(1), span(2)]);
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default()],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric::default()],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let channel = channel(&running).await;
    for encoding in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let mut client = TraceServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding).accept_compressed(encoding);
        }
        let answer = client.export(sent.clone()).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
    }
    LogsServiceClient::new(channel.clone())
        .export(logs.clone())
        .await
        .unwrap();
    MetricsServiceClient::new(channel)
        .export(metrics.clone())
        .await
        .unwrap();
    let by_grpc = [("transport", "grpc"), ("outcome", "accepted")];
    assert_eq!(
        running.metric("spanledger_receive_requests_total", &by_grpc),
        5.0
    );
    assert_eq!(running.metric("spanledger_receive_spans_total", &[]), 6.0);
    assert_eq!(
        running.spooled().await,
        [
            traces(&sent),
            traces(&sent),
            traces(&sent),
            (Signal::Logs, logs.encode_to_vec()),
            (Signal::Metrics, metrics.encode_to_vec()),
        ]
    );
}

#[tokio::test]
async fn bad_spans_are_told_and_do_not_cost_the_others() {
    let running = Running::start().await;
    let mixed = request(vec![span(0), span(1), span(0)]);
    let mut client = client(&running)
        .await
        .accept_compressed(CompressionEncoding::Gzip);
    let answer = client.export(mixed.clone()).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("2 of 3"), "{partial:?}");
    assert!(partial.error_message.contains("trace_id"), "{partial:?}");
    // Nothing usable, and nothing at all: neither is worth a place in the spool.
    let answer = client.export(request(vec![span(0)])).await.unwrap();
    assert_eq!(
        answer.into_inner().partial_success.unwrap().rejected_spans,
        1
    );
    let answer = client.export(request(vec![])).await.unwrap();
    assert_eq!(answer.into_inner().partial_success, None);
    assert_eq!(
        running.metric("spanledger_receive_rejected_spans_total", &[]),
        3.0
    );
    assert_eq!(running.spooled().await, [traces(&mixed)]);
}

#[tokio::test]
async fn too_large_is_final_with_and_without_compression() {
    let running = Running::start().await;
    let plain = client(&running).await.export(large_request(2 << 20)).await;
    let status = plain.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(is_final(&status));
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = client(&running).await.send_compressed(encoding);
        let status = client.export(large_request(50 << 20)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(is_final(&status));
    }
    let rejected = [("transport", "grpc"), ("outcome", "rejected")];
    assert_eq!(
        running.metric("spanledger_receive_requests_total", &rejected),
        3.0
    );
    assert_eq!(running.spooled().await, []);
}

#[tokio::test]
async fn a_full_spool_asks_to_try_again() {
    let running = Running::full().await;
    let status = client(&running)
        .await
        .export(request(vec![span(1); 20]))
        .await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let retry = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(!retry.is_zero());
}

/// Scenario: somebody's half-sent request takes most of the room; others come, one of them larger
/// than all of it.
/// Guarantees: what fits once the other is gone is asked to come again; what never fits is rejected
/// for good, and so is what unpacks to that once it is alone.
#[tokio::test]
async fn too_many_bytes_under_way_ask_to_try_again() {
    let narrow = Config {
        max_inflight_bytes: 200 << 10,
        ..config()
    };
    let running = Running::with(narrow, spool::Config::default()).await;
    let mut half = tokio::net::TcpStream::connect(running.http).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 120000\r\n\r\n";
    let sent = [head.as_bytes(), &[0; 110_000]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut half, &sent)
        .await
        .unwrap();
    let held = || running.metric("spanledger_receive_inflight_bytes", &[]);
    while held() < 110_000.0 {
        tokio::task::yield_now().await;
    }
    for encoding in [None, Some(CompressionEncoding::Gzip)] {
        let mut client = client(&running).await;
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let status = client.export(large_request(100 << 10)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.get_details_retry_info().is_some());
        let status = client.export(large_request(300 << 10)).await.unwrap_err();
        let expected = match encoding {
            None => Code::ResourceExhausted,
            Some(_) => Code::Unavailable,
        };
        assert_eq!(status.code(), expected, "{status}");
        assert_eq!(is_final(&status), encoding.is_none());
        client.export(request(vec![span(1)])).await.unwrap();
    }
    drop(half);
    while held() > 0.0 {
        tokio::task::yield_now().await;
    }
    let mut client = client(&running).await;
    client.export(large_request(100 << 10)).await.unwrap();
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    let status = client.export(large_request(300 << 10)).await.unwrap_err();
    assert!(is_final(&status), "{status}");
    assert_eq!(running.spooled().await.len(), 3);
}

/// Scenario: a request of three megabytes, with spans that can't be read among the others.
/// Guarantees: it is in the spool in parts, no span of it twice or missing.
#[tokio::test]
async fn a_large_request_is_spooled_in_parts() {
    let roomy = Config {
        max_body_bytes: 4 << 20,
        max_inflight_bytes: 16 << 20,
        ..config()
    };
    let running = Running::with(roomy, spool::Config::default()).await;
    let large = |id: u8| Span {
        name: "x".repeat(30_000),
        ..span(id)
    };
    let sent = request((0..100).map(large).collect());
    let answer = client(&running).await.export(sent.clone()).await.unwrap();
    let partial = answer.into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(running.spool.appended().spans, 100);
    let parts = running.spooled().await;
    assert!(parts.len() >= 3, "{}", parts.len());
    let decoded = parts
        .iter()
        .map(|(_, part)| ExportTraceServiceRequest::decode(part.as_slice()).unwrap());
    let spans: Vec<Span> = decoded
        .flat_map(|part| part.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();
    assert_eq!(spans, sent.resource_spans[0].scope_spans[0].spans);
}

#[tokio::test]
async fn broken_bytes_and_unknown_methods_are_final() {
    let running = Running::start().await;
    let sent = request(vec![span(1)]).encode_to_vec();
    let mut gzip_lie = vec![1, 0, 0, 0, 4];
    gzip_lie.extend_from_slice(b"nope");
    let mut cut = vec![0, 0, 0, 0, sent.len() as u8 - 1];
    cut.extend_from_slice(&sent[..sent.len() - 1]);
    let trace = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let profiles = "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export";
    for (path, encoding, body, code) in [
        (trace, "identity", cut.clone(), Code::InvalidArgument),
        (trace, "gzip", gzip_lie, Code::InvalidArgument),
        (trace, "snappy", cut.clone(), Code::Unimplemented),
        (profiles, "identity", cut, Code::Unimplemented),
    ] {
        let request = ::http::Request::post(format!("http://{}{path}", running.grpc))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .body(tonic::body::Body::new(http_body_util::Full::new(
                body.into(),
            )))
            .unwrap();
        let mut channel = channel(&running).await;
        std::future::poll_fn(|cx| tonic::client::GrpcService::poll_ready(&mut channel, cx))
            .await
            .unwrap();
        let answer = tonic::client::GrpcService::call(&mut channel, request)
            .await
            .unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), code, "{path} {encoding}: {status}");
        assert!(is_final(&status));
    }
    assert_eq!(running.spooled().await, []);
}
