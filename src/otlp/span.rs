//! Trace requests in place. Field numbers: opentelemetry-proto, trace/v1/trace.proto.

use super::{
    Malformed,
    log::{MAX_ITEMS, groups, take},
    value::Attributes,
    wire::{Fields, Wire, fetch},
};
use crate::record::{SpanId, TraceId};

/// What the spans of one group share.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScopeView<'a> {
    resource: &'a [u8],
    scope: &'a [u8],
}

impl<'a> ScopeView<'a> {
    pub(super) fn new(resource: &'a [u8], scope: &'a [u8]) -> Self {
        Self { resource, scope }
    }

    /// Attributes of the resource.
    pub fn resource_attributes(&self) -> Attributes<'a> {
        Attributes::new(self.resource, 1)
    }

    /// Name of the instrumentation scope; empty if it has none.
    pub fn name(&self) -> &'a [u8] {
        self.field(1)
    }

    /// Its version.
    pub fn version(&self) -> &'a [u8] {
        self.field(2)
    }

    /// Attributes of the scope.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.scope, 3)
    }

    /// True if both views are of the same group of one request: then what was derived from it holds.
    pub fn is_same(&self, other: &ScopeView<'_>) -> bool {
        self.has_same_resource(other) && std::ptr::eq(self.scope, other.scope)
    }

    /// True if both views are of the same resource of one request.
    pub fn has_same_resource(&self, other: &ScopeView<'_>) -> bool {
        std::ptr::eq(self.resource, other.resource)
    }

    fn field(&self, number: u32) -> &'a [u8] {
        Fields::new(self.scope)
            .filter_map(Result::ok)
            .filter(|(n, _)| *n == number)
            .filter_map(|(_, wire)| wire.bytes())
            .last()
            .unwrap_or_default()
    }
}

/// Walks a trace request and hands over every span with its group, or what is wrong with that one
/// span; at most [`super::log::MAX_ITEMS`] of them are read. An `Err` at the end: the request's own
/// frame is broken, and what was handed over before it must not be used if the request has not been
/// accepted yet.
pub fn spans<'a>(
    request: &'a [u8],
    mut each: impl FnMut(ScopeView<'a>, Result<SpanView<'a>, Malformed>),
) -> Result<(), Malformed> {
    raw_spans(request, |scope, span| {
        each(scope, span.and_then(|span| span.read()));
    })
}

/// The same, with spans that are not read yet.
pub fn raw_spans<'a>(
    request: &'a [u8],
    mut each: impl FnMut(ScopeView<'a>, Result<RawSpan<'a>, Malformed>),
) -> Result<(), Malformed> {
    let mut room = MAX_ITEMS;
    groups(request, 2, |scope, body| {
        each(scope, take(&mut room).map(|()| RawSpan(body)));
    })
}

/// A span that is not read yet.
#[derive(Debug, Clone, Copy)]
pub struct RawSpan<'a>(&'a [u8]);

impl<'a> RawSpan<'a> {
    /// Its trace, to sort by; `None` if it names none that is valid. Where the id stands first, as
    /// in what SDKs send, nothing else is looked at: of several ids another one may hold.
    pub fn trace_id(&self) -> Option<TraceId> {
        let id = match self.0 {
            [0x0a, 16, rest @ ..] => rest.first_chunk::<16>().map(<[u8; 16]>::as_slice),
            _ => Fields::new(self.0)
                .map_while(Result::ok)
                .find_map(|(number, wire)| wire.bytes().filter(|_| number == 1)),
        };
        TraceId::from_wire(id?)
    }

    /// Size of the span on the wire.
    pub fn encoded_len(&self) -> usize {
        self.0.len()
    }

    /// Brings it into the processor's cache.
    pub fn fetch(&self) {
        fetch(self.0);
    }

    /// Reads it.
    pub fn read(&self) -> Result<SpanView<'a>, Malformed> {
        SpanView::parse(self.0)
    }
}

/// A part of a message, from the start of its first field of a kind to the end of the last: so
/// that fields which stand together are found without another walk over all of them.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    start: usize,
    end: usize,
}

impl Part {
    fn grow(&mut self, start: usize, end: usize) {
        if self.end == 0 {
            self.start = start;
        }
        self.end = end;
    }

    fn of<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.start..self.end).unwrap_or_default()
    }
}

/// Spans of a trace request that was accepted, readable or not.
pub fn count(request: &[u8]) -> u64 {
    let mut spans = 0;
    // Only a broken frame ends the walk early, and such a request is not accepted.
    let _ = groups(request, 2, |_, _| spans += 1);
    spans
}

/// A span in place.
#[derive(Debug, Clone, Copy)]
pub struct SpanView<'a> {
    body: &'a [u8],
    /// The part of the body that holds all attributes.
    attributes: Part,
    /// The part that holds all events.
    events: Part,
    /// Valid, as W3C Trace Context means it.
    pub trace_id: TraceId,
    /// Valid.
    pub span_id: SpanId,
    /// `None` for a root (and for a parent id that is no id).
    pub parent_span_id: Option<SpanId>,
    /// Raw bytes of the name; see [`super::value::text`].
    pub name: &'a [u8],
    /// Unix ns as sent; may be absurd.
    pub start_unix_ns: u64,
    /// Unix ns as sent; may be 0, absurd or before the start.
    pub end_unix_ns: u64,
    /// 0 unset, 1 ok, 2 error.
    pub status_code: i32,
    /// Raw bytes.
    pub status_message: &'a [u8],
}

impl<'a> SpanView<'a> {
    /// Reads one span. Checks its own frame and its ids; attributes are read when asked for.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut span = SpanView {
            body,
            attributes: Part::default(),
            events: Part::default(),
            trace_id: TraceId::default(),
            span_id: SpanId::default(),
            parent_span_id: None,
            name: &[],
            start_unix_ns: 0,
            end_unix_ns: 0,
            status_code: 0,
            status_message: &[],
        };
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
        let mut at = span.head(&mut trace_id, &mut span_id);
        let mut fields = Fields::from(body, at);
        while fields.tagged(9 << 3 | 2).is_some() {}
        if fields.position() > at {
            span.attributes.grow(at, fields.position());
            at = fields.position();
        }
        while let Some(field) = fields.next() {
            match field? {
                (9, _) => span.attributes.grow(at, fields.position()),
                (11, _) => span.events.grow(at, fields.position()),
                (1, Wire::Bytes(b)) => trace_id = b,
                (2, Wire::Bytes(b)) => span_id = b,
                (4, Wire::Bytes(b)) => span.parent_span_id = SpanId::from_wire(b),
                (5, Wire::Bytes(b)) => span.name = b,
                (7, Wire::Fixed64(v)) => span.start_unix_ns = v,
                (8, Wire::Fixed64(v)) => span.end_unix_ns = v,
                (15, Wire::Bytes(b)) => {
                    for field in Fields::new(b) {
                        match field? {
                            (2, Wire::Bytes(b)) => span.status_message = b,
                            // An enum has 32 bits, whatever the varint holds.
                            (3, Wire::Varint(v)) => span.status_code = v as i32,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            at = fields.position();
        }
        span.trace_id = TraceId::from_wire(trace_id).ok_or(Malformed {
            what: "trace_id is not 16 bytes, or all zero",
            at: 0,
        })?;
        span.span_id = SpanId::from_wire(span_id).ok_or(Malformed {
            what: "span_id is not 8 bytes, or all zero",
            at: 0,
        })?;
        Ok(span)
    }

    /// Reads what stands before the attributes as far as it is written as SDKs write it, in the order
    /// of the fields' numbers; says how far that is. Any field may be missing.
    #[inline]
    fn head(&mut self, trace_id: &mut &'a [u8], span_id: &mut &'a [u8]) -> usize {
        let mut rest = self.body;
        if let Some(id) = fixed::<16>(&mut rest, &[0x0a, 16]) {
            *trace_id = id;
        }
        if let Some(id) = fixed::<8>(&mut rest, &[0x12, 8]) {
            *span_id = id;
        }
        if let Some(id) = fixed::<8>(&mut rest, &[0x22, 8]) {
            self.parent_span_id = SpanId::from_wire(id);
        }
        if let [0x2a, len @ ..0x80, after @ ..] = rest
            && let Some((name, after)) = after.split_at_checked(usize::from(*len))
        {
            (self.name, rest) = (name, after);
        }
        // The kind.
        if let [0x30, ..0x80, after @ ..] = rest {
            rest = after;
        }
        if let Some(time) = fixed(&mut rest, &[0x39]) {
            self.start_unix_ns = u64::from_le_bytes(*time);
        }
        if let Some(time) = fixed(&mut rest, &[0x41]) {
            self.end_unix_ns = u64::from_le_bytes(*time);
        }
        self.body.len() - rest.len()
    }

    /// Its attributes, in the order sent.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes.of(self.body), 9)
    }

    /// Its events; one that can't be read is passed over.
    pub fn events(&self) -> impl Iterator<Item = EventView<'a>> + use<'a> {
        Fields::new(self.events.of(self.body))
            .map_while(Result::ok)
            .filter_map(|(number, wire)| if number == 11 { wire.bytes() } else { None })
            .filter_map(EventView::parse)
    }

    /// Size of the span on the wire.
    pub fn encoded_len(&self) -> usize {
        self.body.len()
    }
}

/// Takes a field of `N` bytes, if that is what comes.
#[inline]
fn fixed<'a, const N: usize>(rest: &mut &'a [u8], tag: &[u8]) -> Option<&'a [u8; N]> {
    let (field, after) = rest.strip_prefix(tag)?.split_first_chunk()?;
    *rest = after;
    Some(field)
}

/// A span event in place.
#[derive(Debug, Clone, Copy)]
pub struct EventView<'a> {
    body: &'a [u8],
    /// Unix ns as sent.
    pub time_unix_ns: u64,
    /// Raw bytes.
    pub name: &'a [u8],
}

impl<'a> EventView<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let mut event = EventView {
            body,
            time_unix_ns: 0,
            name: &[],
        };
        for field in Fields::new(body) {
            match field.ok()? {
                (1, Wire::Fixed64(v)) => event.time_unix_ns = v,
                (2, Wire::Bytes(b)) => event.name = b,
                _ => {}
            }
        }
        Some(event)
    }

    /// Its attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    };
    use prost::Message;

    #[test]
    fn a_bad_span_costs_itself_only() {
        let span = |id: u8| Span {
            trace_id: vec![id; 16],
            span_id: vec![id; 8],
            name: format!("s{id}"),
            ..Default::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span(1), span(0), span(2)],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let bytes = request.encode_to_vec();
        let mut seen = Vec::new();
        spans(&bytes, |_, span| {
            seen.push(span.map(|s| s.name.to_vec()).ok())
        })
        .unwrap();
        assert_eq!(seen, [Some(b"s1".to_vec()), None, Some(b"s2".to_vec())]);
        assert!(spans(&bytes[..bytes.len() - 1], |_, _| {}).is_err());
    }
    /// Protobuf keeps the low 32 bits of a longer varint in an enum.
    #[test]
    fn a_status_code_has_32_bits() {
        let mut span = Span {
            trace_id: vec![1; 16],
            span_id: vec![1; 8],
            ..Default::default()
        }
        .encode_to_vec();
        let mut status = Vec::new();
        prost::encoding::uint64::encode(3, &(2 | 1 << 32), &mut status);
        prost::encoding::bytes::encode(15, &status, &mut span);
        assert_eq!(Span::decode(&*span).unwrap().status.unwrap().code, 2);
        assert_eq!(SpanView::parse(&span).unwrap().status_code, 2);
    }
}
