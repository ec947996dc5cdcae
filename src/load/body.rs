//! Request bodies: encoded once, then copied and written over in the places that differ. Encoding
//! each anew would cost the machine more than the server under test takes for it.

use std::io::Write as _;

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;
use serde_json::{Value as Json, json};

use super::{
    Protocol,
    ids::{RunId, SPANS, Trace},
    spans::{EXPECTED, ROOT, Tokens, export_of, request_spans, times},
};

/// gRPC's frame: a flag for compression, the length.
const GRPC_PREFIX: usize = 5;

/// The body of a number of requests, waiting for their numbers.
#[derive(Debug)]
pub struct Template {
    run: RunId,
    traces: u64,
    protocol: Protocol,
    bytes: Vec<u8>,
    /// Where something differs, by request; in the order of the bytes.
    places: Vec<Vec<(usize, What)>>,
}

/// What stands in a place that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    TraceId,
    SpanId(usize),
    Start(usize),
    End(usize),
    Answer,
    InputTokens,
}

impl Template {
    /// A body of `traces` requests of a run.
    pub fn new(run: RunId, traces: u64, protocol: Protocol, seed: u64) -> Self {
        // Any numbers will do here: they are looked for, then written over.
        let sent_at = 1_795_176_000_123_456_789;
        let samples: Vec<Trace> = (0..traces).map(|n| run.trace(n)).collect();
        let variants = (0..traces).map(|n| (n + seed % 20) % 20);
        let spans = samples.iter().zip(variants);
        let spans = spans.flat_map(|(trace, variant)| request_spans(trace, variant, sent_at));
        let export = export_of(spans.collect());
        let bytes = match protocol {
            Protocol::HttpJson => to_json(&export).to_string().into_bytes(),
            _ => export.encode_to_vec(),
        };
        let mut from = 0;
        let places = samples.iter().map(|trace| {
            let mut places = Vec::new();
            for index in 0..SPANS {
                for what in in_span(index, protocol) {
                    let needle = written(what, trace, sent_at, protocol);
                    let at = from + before(what, &bytes[from..], protocol);
                    let found = memchr::memmem::find(&bytes[at..], &needle);
                    let at = at + found.expect("what was encoded is found again");
                    places.push((at, what));
                    from = at + needle.len();
                }
            }
            places
        });
        let places = places.collect();
        Self {
            run,
            traces,
            protocol,
            bytes,
            places,
        }
    }

    /// Requests in it.
    pub fn traces(&self) -> u64 {
        self.traces
    }

    /// The body of the requests from `first` on, sent at `sent_at` (Unix ns); framed as the
    /// protocol wants it.
    pub fn body(&self, first: u64, sent_at: u64, gzip: bool) -> std::io::Result<Bytes> {
        let prefix = match self.protocol {
            Protocol::Grpc => GRPC_PREFIX,
            _ => 0,
        };
        let mut out = Vec::with_capacity(prefix + self.bytes.len());
        out.resize(prefix, 0);
        out.extend_from_slice(&self.bytes);
        for (number, places) in (first..).zip(&self.places) {
            let trace = self.run.trace(number);
            for (at, what) in places {
                let new = written(*what, &trace, sent_at, self.protocol);
                let at = prefix + at;
                out[at..at + new.len()].copy_from_slice(&new);
            }
        }
        if gzip {
            let mut compressed = vec![0; prefix];
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(&mut compressed, level);
            encoder.write_all(&out[prefix..])?;
            encoder.finish()?;
            out = compressed;
        }
        if prefix > 0 {
            let length = u32::try_from(out.len() - prefix).map_err(std::io::Error::other)?;
            out[0] = u8::from(gzip);
            out[1..prefix].copy_from_slice(&length.to_be_bytes());
        }
        Ok(out.into())
    }
}

/// What differs in a span, in the order of its bytes: by field in protobuf, by name in JSON.
fn in_span(index: usize, protocol: Protocol) -> Vec<What> {
    let has_answer = EXPECTED[index].completion_tokens != Tokens::None;
    let answer = [What::Answer, What::InputTokens].into_iter();
    let answer = answer.filter(|_| has_answer);
    let parent = (index != ROOT).then_some(What::SpanId(ROOT));
    let (start, end) = (What::Start(index), What::End(index));
    match protocol {
        Protocol::HttpJson => answer
            .chain([end])
            .chain(parent)
            .chain([What::SpanId(index), start, What::TraceId])
            .collect(),
        _ => [What::TraceId, What::SpanId(index)]
            .into_iter()
            .chain(parent)
            .chain([start, end])
            .chain(answer)
            .collect(),
    }
}

/// How the place of `what` is written.
fn written(what: What, trace: &Trace, sent_at: u64, protocol: Protocol) -> Patch {
    let is_json = protocol == Protocol::HttpJson;
    match what {
        What::TraceId if is_json => Patch::of(&trace.id().hex()),
        What::TraceId => Patch::of(&trace.id().0),
        What::SpanId(index) if is_json => Patch::of(&trace.span(index).hex()),
        What::SpanId(index) => Patch::of(&trace.span(index).0),
        What::Start(index) => time(times(index, sent_at).0, is_json),
        What::End(index) => time(times(index, sent_at).1, is_json),
        What::Answer => Patch::of(&crate::record::SpanId(trace.answer().to_be_bytes()).hex()),
        What::InputTokens if is_json => decimal(trace.chat_input_tokens().unsigned_abs(), 4),
        What::InputTokens => {
            let tokens = trace.chat_input_tokens();
            Patch::of(&[(tokens & 0x7f) as u8 | 0x80, (tokens >> 7) as u8])
        }
    }
}

/// Up to 32 bytes, on the stack: there are thousands in a body.
struct Patch {
    bytes: [u8; 32],
    len: usize,
}

impl Patch {
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..text.len()].copy_from_slice(text);
        Self {
            bytes,
            len: text.len(),
        }
    }
}

impl std::ops::Deref for Patch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn time(unix_ns: u64, is_json: bool) -> Patch {
    if is_json {
        decimal(unix_ns, 19)
    } else {
        Patch::of(&unix_ns.to_le_bytes())
    }
}

fn decimal(mut number: u64, digits: usize) -> Patch {
    let mut bytes = [0; 32];
    for digit in bytes[..digits].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    Patch { bytes, len: digits }
}

/// How many bytes lie before what is looked for: its two bytes alone may stand anywhere.
fn before(what: What, bytes: &[u8], protocol: Protocol) -> usize {
    if what != What::InputTokens {
        return 0;
    }
    let key: &[u8] = match protocol {
        Protocol::HttpJson => br#""gen_ai.usage.input_tokens""#,
        _ => b"gen_ai.usage.input_tokens",
    };
    memchr::memmem::find(bytes, key).map_or(0, |at| at + key.len())
}

/// OTLP/JSON, as far as the spans here need it.
fn to_json(export: &ExportTraceServiceRequest) -> Json {
    let attributes = |list: &[opentelemetry_proto::tonic::common::v1::KeyValue]| {
        let each = list.iter().map(|attribute| {
            let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
            let value = match value {
                Some(Value::StringValue(text)) => json!({ "stringValue": text }),
                Some(Value::IntValue(int)) => json!({ "intValue": int.to_string() }),
                _ => json!({}),
            };
            json!({ "key": attribute.key, "value": value })
        });
        Json::Array(each.collect())
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let groups = export.resource_spans.iter().map(|group| {
        let resource = group.resource.as_ref().map(|r| attributes(&r.attributes));
        let scopes = group.scope_spans.iter().map(|scope| {
            let spans = scope.spans.iter().map(|span| {
                json!({
                    "traceId": hex(&span.trace_id),
                    "spanId": hex(&span.span_id),
                    "parentSpanId": hex(&span.parent_span_id),
                    "name": span.name,
                    "kind": span.kind,
                    "startTimeUnixNano": span.start_time_unix_nano.to_string(),
                    "endTimeUnixNano": span.end_time_unix_nano.to_string(),
                    "attributes": attributes(&span.attributes),
                })
            });
            json!({ "spans": spans.collect::<Vec<_>>() })
        });
        json!({ "resource": { "attributes": resource }, "scopeSpans": scopes.collect::<Vec<_>>() })
    });
    json!({ "resourceSpans": groups.collect::<Vec<_>>() })
}
