//! A few bytes that unpack to many.

use std::io::Write;

use tonic::Code;

use super::Trial;
use crate::support::{
    grpc::{export, framed},
    process::post,
};

const PIECE: usize = 16 << 20;

/// Zeros, in members that any gzip reader takes as one text.
fn gzip(pieces: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; PIECE]).unwrap();
    encoder.finish().unwrap().repeat(pieces)
}

/// Zeros, in frames that any zstd reader takes as one text.
fn zstd(pieces: usize) -> Vec<u8> {
    let piece = zstd::encode_all(&vec![0; PIECE][..], 3).unwrap();
    piece.repeat(pieces)
}

/// Scenario: bombs of 1 GiB and of 10 GiB, gzip and zstd, over HTTP and gRPC, 64 at once, under a
/// steady load.
/// Guarantees: each is rejected for good; the load notices nothing; memory stays within the limit.
#[test]
fn bombs_are_rejected_for_good() {
    // Large ones are opened one at a time: the last must not give up waiting.
    let env = [
        ("SPANLEDGER_RECEIVE__MAX_BODY_BYTES", "4194304"),
        ("SPANLEDGER_RECEIVE__BODY_TIMEOUT_SECONDS", "300"),
    ];
    let mut trial = Trial::start("bombs", &env, 500.0);
    trial.service.cap(256);
    let service = &trial.service;
    let bombs = [
        ("gzip", gzip(64)),
        ("zstd", zstd(64)),
        ("gzip", gzip(640)),
        ("zstd", zstd(640)),
    ];
    for (coding, bomb) in &bombs {
        println!("{coding}: {} bytes", bomb.len());
    }
    let http = |coding: &str, bomb: &[u8]| {
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", coding),
        ];
        let (status, head, _) = post(&service.otlp_http, "/v1/traces", &headers, bomb);
        assert_eq!(status, 413, "{coding}: {head}");
        assert!(!head.to_ascii_lowercase().contains("retry-after"), "{head}");
    };
    let grpc = |coding: &str, bomb: &[u8]| {
        let answer = export(&service.grpc, coding, framed(true, bomb));
        assert_eq!(
            answer.status.code(),
            Code::ResourceExhausted,
            "{coding}: {answer:?}"
        );
        assert_eq!(answer.retry_after, None, "{answer:?}");
    };
    let (http, grpc) = (&http, &grpc);
    std::thread::scope(|scope| {
        for n in 0..64 {
            let (coding, bomb) = &bombs[n / 2 % 2];
            scope.spawn(move || match n % 2 {
                0 => http(coding, bomb),
                _ => grpc(coding, bomb),
            });
        }
    });
    for (coding, bomb) in &bombs[2..] {
        grpc(coding, bomb);
    }
    let (coding, bomb) = &bombs[3];
    http(coding, bomb);
    // A bomb in a bomb is not opened, and a flag without a coding means nothing.
    let (_, bomb) = &bombs[0];
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "gzip,gzip"),
    ];
    let nested = post(&service.otlp_http, "/v1/traces", &headers, bomb);
    assert_eq!(nested.0, 415, "{}", nested.1);
    let nested = export(&service.grpc, "gzip,gzip", framed(true, bomb));
    assert_eq!(nested.status.code(), Code::Unimplemented, "{nested:?}");
    let unnamed = export(&service.grpc, "identity", framed(true, b"x"));
    assert_eq!(unnamed.status.code(), Code::InvalidArgument, "{unnamed:?}");
    assert_eq!(trial.sending.progress().retries, 0);
    trial.end();
}
