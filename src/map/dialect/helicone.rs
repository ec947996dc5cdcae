//! Helicone's asynchronous logging, which is OpenLLMetry with Helicone's headers as association
//! properties. Source: docs.helicone.ai, "Async Logging with OpenLLMetry" and "Header Directory".
//!
//! | attribute | column |
//! |---|---|
//! | OpenLLMetry's own | see `traceloop` |
//! | `Helicone-User-Id` | user_id |
//! | `Helicone-Session-Id` | session_id |
//! | `Helicone-Session-Name` | (pipeline) |
//! | `Helicone-Property-Environment` | environment |
//!
//! Quirks: header names keep their capitals; both bare and below
//! `traceloop.association.properties.` they mean the same.

use super::{BLANK, Dialect};
use crate::map::fields::Field;

pub const DIALECT: Dialect = Dialect {
    name: "helicone",
    scopes: &["helicone"],
    signs: &[
        "Helicone-User-Id",
        "Helicone-Session-Id",
        "traceloop.association.properties.Helicone-User-Id",
        "traceloop.association.properties.Helicone-Session-Id",
    ],
    keys: &[
        (
            "traceloop.association.properties.Helicone-Session-Name",
            Field::Pipeline,
        ),
        ("Helicone-Session-Name", Field::Pipeline),
    ],
    context: &[
        (
            "traceloop.association.properties.Helicone-User-Id",
            "user_id",
        ),
        ("Helicone-User-Id", "user_id"),
        (
            "traceloop.association.properties.Helicone-Session-Id",
            "session_id",
        ),
        ("Helicone-Session-Id", "session_id"),
        (
            "traceloop.association.properties.Helicone-Request-Id",
            "request_id",
        ),
        ("Helicone-Request-Id", "request_id"),
        (
            "traceloop.association.properties.Helicone-Property-Environment",
            "environment",
        ),
    ],
    ..BLANK
};
