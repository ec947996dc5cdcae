//! Log requests in place. Field numbers: opentelemetry-proto, logs/v1/logs.proto.

use super::{
    Malformed, Value,
    span::ScopeView,
    value::Attributes,
    wire::{Fields, Wire},
};
use crate::record::{SpanId, SpanKey, TraceId};

/// Walks the groups of a trace or log request (both: 1 = groups; in a group 1 = resource,
/// 2 = scopes; in a scope 1 = scope, `items` = what it holds).
pub(super) fn groups<'a>(
    request: &'a [u8],
    items: u32,
    mut each: impl FnMut(ScopeView<'a>, &'a [u8]),
) -> Result<(), Malformed> {
    for group in messages(request, 1) {
        let group = group?;
        let mut resource: &[u8] = &[];
        for found in messages(group, 1) {
            resource = found?;
        }
        for scoped in messages(group, 2) {
            let scoped = scoped?;
            let mut scope: &[u8] = &[];
            for found in messages(scoped, 1) {
                scope = found?;
            }
            for item in messages(scoped, items) {
                each(ScopeView::new(resource, scope), item?);
            }
        }
    }
    Ok(())
}

fn messages(body: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::new(body).filter_map(move |field| match field {
        Ok((n, Wire::Bytes(b))) if n == number => Some(Ok(b)),
        Ok((n, _)) if n == number => Some(Err(Malformed {
            what: "a message field has the wrong wire type",
            at: 0,
        })),
        Ok(_) => None,
        Err(bad) => Some(Err(bad)),
    })
}

/// Walks a log request and hands over every record with its group, or what is wrong with it.
pub fn logs<'a>(
    request: &'a [u8],
    mut each: impl FnMut(ScopeView<'a>, Result<LogView<'a>, Malformed>),
) -> Result<(), Malformed> {
    groups(request, 2, |scope, body| each(scope, LogView::parse(body)))
}

/// A log record in place.
#[derive(Debug, Clone, Copy)]
pub struct LogView<'a> {
    record: &'a [u8],
    /// Unix ns as sent; 0 if unknown.
    pub time_unix_ns: u64,
    /// OTel severity number.
    pub severity: u64,
    /// The body.
    pub body: Value<'a>,
    /// The span it belongs to; `None` if it names none.
    pub span: Option<SpanKey>,
    /// The event's name: the field, or else the attribute `event.name`. Empty if neither.
    pub event_name: &'a [u8],
}

impl<'a> LogView<'a> {
    /// Reads one log record.
    pub fn parse(record: &'a [u8]) -> Result<Self, Malformed> {
        let mut log = LogView {
            record,
            time_unix_ns: 0,
            severity: 0,
            body: Value::Empty,
            span: None,
            event_name: &[],
        };
        let (mut trace_id, mut span_id) = (None, None);
        for field in Fields::new(record) {
            match field? {
                (1, Wire::Fixed64(v)) => log.time_unix_ns = v,
                (2, Wire::Varint(v)) => log.severity = v,
                (5, Wire::Bytes(b)) => log.body = Value::parse(b).unwrap_or(Value::Empty),
                (9, Wire::Bytes(b)) => trace_id = TraceId::from_wire(b),
                (10, Wire::Bytes(b)) => span_id = SpanId::from_wire(b),
                (11, Wire::Fixed64(v)) if log.time_unix_ns == 0 => log.time_unix_ns = v,
                (12, Wire::Bytes(b)) => log.event_name = b,
                _ => {}
            }
        }
        if let (Some(trace_id), Some(span_id)) = (trace_id, span_id) {
            log.span = Some(SpanKey { trace_id, span_id });
        }
        if log.event_name.is_empty() {
            log.event_name = log
                .attributes()
                .find_map(|(key, value)| match value {
                    Value::Str(name) if key == b"event.name" => Some(name),
                    _ => None,
                })
                .unwrap_or_default();
        }
        Ok(log)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.record, 6)
    }
}
