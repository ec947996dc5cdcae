//! Fields to `JsonParse` and `CacheLookup`: the two small stages beside a call.

use smol_str::{SmolStr, format_smolstr};

use super::{fields::Field, limits, subject::Subject};
use crate::record::{CacheLookup, JsonParse, Status};

/// The record of a parse: it succeeded if it says so, or else if its span didn't fail.
pub fn record(subject: &Subject<'_, '_>) -> JsonParse {
    let reading = subject.reading;
    let ended_well = matches!(subject.ending.status, Status::Success | Status::Pending);
    JsonParse {
        header: subject.header.clone(),
        success: reading.flag(Field::ParseSuccess).unwrap_or(ended_well),
        repaired: reading.flag(Field::ParseRepaired),
        fallback: reading.flag(Field::ParseFallback),
        error_type: subject
            .ending
            .error_type
            .clone()
            .or_else(|| reading.name(Field::ErrorType)),
        context: subject.context(),
    }
}

/// The record of a cache lookup, if the span says whether the cache had it. The key itself may
/// be a prompt, so only a hash of it is kept.
pub fn lookup(subject: &Subject<'_, '_>) -> Option<CacheLookup> {
    let reading = subject.reading;
    let hit = reading.flag(Field::CacheHit)?;
    let key_hash = reading.name(Field::CacheKeyHash).or_else(|| {
        let key = reading.text(Field::CacheKey)?;
        Some(format_smolstr!("{:016x}", limits::hash(key.as_bytes())))
    });
    Some(CacheLookup {
        header: subject.header.clone(),
        cache: reading
            .name(Field::CacheName)
            .unwrap_or(SmolStr::new_static("default")),
        key_hash,
        hit,
        context: subject.context(),
    })
}
