use std::io::Read as _;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{body::Template, *};
use crate::otlp::{self, Signal};

const SENT_AT: u64 = 1_799_999_999_000_000_001;

fn expected(run: RunId, first: u64, traces: u64, seed: u64) -> ExportTraceServiceRequest {
    let spans = (0..traces).flat_map(|n| {
        let variant = (n + seed % 20) % 20;
        request_spans(&run.trace(first + n), variant, SENT_AT)
    });
    export_of(spans.collect())
}

/// A body that was written over says what an encoder would have said, in every protocol.
#[test]
fn written_over_bodies_are_what_encoding_anew_gives() {
    for (seed, first, traces) in [(1, 0, 1), (1, 4_321, 3), (77, 1 << 33, 102)] {
        let run = RunId::of_seed(seed);
        let encoded = expected(run, first, traces, seed).encode_to_vec();
        for protocol in Protocol::ALL {
            let template = Template::new(run, traces, protocol, seed);
            let body = template.body(first, SENT_AT, false).unwrap();
            match protocol {
                Protocol::Grpc => {
                    assert_eq!(body[0], 0);
                    assert_eq!(&body[1..5], (encoded.len() as u32).to_be_bytes());
                    assert_eq!(&body[5..], encoded);
                }
                Protocol::HttpProtobuf => assert_eq!(body, encoded),
                Protocol::HttpJson => {
                    let read = otlp::json::to_protobuf(Signal::Traces, &body, body.len()).unwrap();
                    let read = ExportTraceServiceRequest::decode(&*read).unwrap();
                    let sent = ExportTraceServiceRequest::decode(&*encoded).unwrap();
                    assert_eq!(read, sent);
                }
            }
            let gzip = template.body(first, SENT_AT, true).unwrap();
            let prefix = if protocol == Protocol::Grpc { 5 } else { 0 };
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&gzip[prefix..])
                .read_to_end(&mut plain)
                .unwrap();
            assert_eq!(plain, &body[prefix..]);
        }
    }
}

#[test]
fn endpoints_are_read_or_refused() {
    for good in ["127.0.0.1:4317", "http://localhost:4317/", "[::1]:4318"] {
        Endpoint::parse(good).unwrap();
    }
    for bad in [
        "localhost",
        "https://localhost:4317",
        "http://a:b@c:1",
        "x:y",
        "",
    ] {
        let told = Endpoint::parse(bad).unwrap_err().to_string();
        assert!(told.contains("TLS") || told.contains("HOST:PORT"), "{told}");
    }
}

/// Scenario: two runs in one file, the first of which ended in half a line; then lines that
/// nobody wrote.
/// Guarantees: what was noted is read, the half line is not; nonsense is told with its line.
#[test]
fn a_ledger_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut one = Writer::open(&path, 1, Protocol::Grpc).unwrap();
    let told = Writer::open(&path, 2, Protocol::Grpc).unwrap_err();
    assert!(told.to_string().contains("lock"), "{told}");
    one.sent(0, 100).unwrap();
    one.acked(0, 100).unwrap();
    one.sent(100, 50).unwrap();
    drop(one);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("acked 100 5");
    std::fs::write(&path, &text).unwrap();
    let notes = Notes::read(&path).unwrap();
    assert_eq!(notes.runs[&RunId::of_seed(1)].acked.len(), 100);

    let mut two = Writer::open(&path, 2, Protocol::HttpJson).unwrap();
    two.sent(0, 3).unwrap();
    two.partial(0, 3, 4).unwrap();
    drop(two);
    let notes = Notes::read(&path).unwrap();
    let one = &notes.runs[&RunId::of_seed(1)];
    assert_eq!((one.sent.len(), one.acked.len()), (150, 100));
    assert!(one.acked.has(99) && !one.acked.has(100));
    assert_eq!(
        one.sent.iter().collect::<Vec<_>>(),
        (0..150).collect::<Vec<_>>()
    );
    let two = &notes.runs[&RunId::of_seed(2)];
    assert_eq!(
        (two.sent.len(), two.acked.len(), two.rejected_spans),
        (3, 0, 4)
    );

    let whole = std::fs::read_to_string(&path).unwrap();
    for nonsense in [
        "acked 1",
        "acked -1 2",
        "sent 0 99999999999",
        "{}",
        "eaten 1 2",
    ] {
        std::fs::write(&path, format!("{whole}{nonsense}\n")).unwrap();
        let told = Notes::read(&path).unwrap_err().to_string();
        assert!(told.contains("line 8"), "{nonsense}: {told}");
    }
}
