//! Log requests in place. Field numbers: opentelemetry-proto, logs/v1/logs.proto.

use super::{
    Malformed, Value,
    span::ScopeView,
    value::Attributes,
    wire::{Fields, Wire, fetch},
};
use crate::record::{SpanId, SpanKey, TraceId};

/// Spans or log records of one request that are read, or of a part of one that is cut. A sender's request has some hundred, a
/// collector's some thousand; a body of the smallest ones would be mapped to a hundred times its
/// size. What lies beyond is rejected like a span that can't be read.
pub const MAX_ITEMS: usize = 100_000;

/// Room for one more item.
pub(super) fn take(room: &mut usize) -> Result<(), Malformed> {
    *room = room.checked_sub(1).ok_or(Malformed {
        what: "it lies beyond the 100,000 items that are read of one request; send fewer at once",
        at: 0,
    })?;
    Ok(())
}

/// Walks the groups of a trace or log request (both: 1 = groups; in a group 1 = resource,
/// 2 = scopes; in a scope 1 = scope, `items` = what it holds).
pub(super) fn groups<'a>(
    request: &'a [u8],
    items: u32,
    mut each: impl FnMut(ScopeView<'a>, &'a [u8]),
) -> Result<(), Malformed> {
    fetch(request);
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

/// Walks a log request and hands over every record with its group, or what is wrong with it; at most
/// [`MAX_ITEMS`] of them are read.
pub fn logs<'a>(
    request: &'a [u8],
    mut each: impl FnMut(ScopeView<'a>, Result<LogView<'a>, Malformed>),
) -> Result<(), Malformed> {
    let mut room = MAX_ITEMS;
    groups(request, 2, |scope, body| {
        each(scope, take(&mut room).and_then(|()| LogView::parse(body)));
    })
}

/// A log record in place.
#[derive(Debug, Clone, Copy)]
pub struct LogView<'a> {
    record: &'a [u8],
    /// Unix ns as sent; when it was observed, if it does not say when it was; 0 if unknown.
    pub time_unix_ns: u64,
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
            body: Value::Empty,
            span: None,
            event_name: &[],
        };
        let (mut trace_id, mut span_id, mut observed_unix_ns) = (None, None, 0);
        for field in Fields::new(record) {
            match field? {
                (1, Wire::Fixed64(v)) => log.time_unix_ns = v,
                (5, Wire::Bytes(b)) => log.body = Value::parse(b).unwrap_or(Value::Empty),
                (9, Wire::Bytes(b)) => trace_id = TraceId::from_wire(b),
                (10, Wire::Bytes(b)) => span_id = SpanId::from_wire(b),
                (11, Wire::Fixed64(v)) => observed_unix_ns = v,
                (12, Wire::Bytes(b)) => log.event_name = b,
                _ => {}
            }
        }
        if log.time_unix_ns == 0 {
            log.time_unix_ns = observed_unix_ns;
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

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message;

    use super::*;

    /// Fields may come in any order, and a zero may be written out.
    #[test]
    fn when_it_was_observed_stands_in_whatever_the_order() {
        let part = |time, observed| {
            LogRecord {
                time_unix_nano: time,
                observed_time_unix_nano: observed,
                ..LogRecord::default()
            }
            .encode_to_vec()
        };
        let zero = [0x09, 0, 0, 0, 0, 0, 0, 0, 0];
        for (record, time) in [
            (part(5, 7), 5),
            ([part(0, 7), part(5, 0)].concat(), 5),
            ([part(0, 7), zero.to_vec()].concat(), 7),
            ([part(0, 7), part(0, 8)].concat(), 8),
        ] {
            assert_eq!(LogView::parse(&record).unwrap().time_unix_ns, time);
        }
    }
}
