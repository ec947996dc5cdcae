//! `cache_lookups`: One row a look into a cache.

use super::table;
use crate::record::CacheLookup;

table! { "cache_lookups", CacheLookup, |r|
    trace_id: trace = r.header.trace_id,
    span_id: span = r.header.span_id,
    cache: text = Some(&*r.cache),
    key_hash: text = r.key_hash.as_deref(),
    hit: flag = r.hit,
    started_at: time = r.header.started_at,
    service_name: text = r.header.service_name.as_deref(),
}
