//! What mapping may cost: spans that are none of ours are not worth an allocation.

use allocation_counter::measure;

use super::payload::{int, span, text, traces};
use crate::{
    map::{Config, Mapped, Mapper},
    otlp::Signal,
};

/// A service's HTTP and database spans, as web frameworks write them.
fn foreign(count: usize) -> Vec<u8> {
    let spans = (0..count).map(|n| {
        let mut span = match n % 2 {
            0 => span(
                "GET /orders/{id}",
                vec![
                    ("http.request.method", text("GET")),
                    ("http.route", text("/orders/{id}")),
                    ("http.response.status_code", int(200)),
                    ("url.path", text("/orders/4711")),
                    ("server.address", text("orders.internal")),
                    ("network.protocol.version", text("1.1")),
                ],
            ),
            _ => span(
                "SELECT orders",
                vec![
                    ("db.system.name", text("postgresql")),
                    ("db.operation.name", text("SELECT")),
                    ("db.query.text", text("SELECT * FROM orders WHERE id = $1")),
                    ("server.port", int(5432)),
                ],
            ),
        };
        span.span_id = (n as u64 + 1).to_be_bytes().to_vec();
        span
    });
    traces("shop", spans.collect())
}

#[test]
fn spans_that_are_none_of_ours_cost_no_allocation() {
    let mut mapper = Mapper::new(&Config::default());
    let mut mapped = Mapped::default();
    let mut allocations = |count: usize| {
        let body = foreign(count);
        // The first time grows what is kept.
        mapper.map(Signal::Traces, &body, 0, &mut mapped);
        mapped.spans.clear();
        let counted = measure(|| mapper.map(Signal::Traces, &body, 0, &mut mapped));
        assert_eq!((mapped.spans.len(), mapped.unmapped > 0), (count, true));
        mapped.spans.clear();
        counted.count_total
    };
    let (few, many) = (allocations(100), allocations(10_000));
    assert_eq!(
        few, many,
        "a payload costs a few allocations, its spans none"
    );
}
