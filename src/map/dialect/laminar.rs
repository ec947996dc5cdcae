//! Laminar (`lmnr`). Source: lmnr-ai/lmnr, app-server/src/traces/span_attributes.rs;
//! lmnr-ai/lmnr-python, src/lmnr/opentelemetry_lib.
//!
//! | attribute | column |
//! |---|---|
//! | `lmnr.span.type` | the kind; CACHED is an answer from its cache and never billed |
//! | the conventions' own | see `otel`, and `traceloop` for indexed messages |
//! | `lmnr.span.input`, `lmnr.span.output` | prompt, response |
//! | `gen_ai.usage.input_cost`, `gen_ai.usage.output_cost` | reported_cost |
//! | `lmnr.association.properties.{user_id,session_id,tags}` | user_id, session_id, tags |

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "laminar",
    scopes: &["lmnr"],
    signs: &["lmnr.span.type", "lmnr.span.path", "lmnr.internal.has_browser_session"],
    kinds: &[
        ("llm", Kind::Chat),
        ("tool", Kind::Tool),
        ("cached", Kind::Cache),
        ("evaluator", Kind::Container),
        ("evaluation", Kind::Container),
        ("pipeline", Kind::Container),
        ("executor", Kind::Container),
    ],
    keys: &[
        ("lmnr.span.type", Field::Kind),
        ("gen_ai.usage.input_cost", Field::InputCost),
        ("gen_ai.usage.output_cost", Field::OutputCost),
        ("lmnr.span.input", Field::Input),
        ("lmnr.span.output", Field::Output),
        ("lmnr.association.properties.tags", Field::Tags),
        ("lmnr.association.properties.labels", Field::Tags),
    ],
    context: &[
        ("lmnr.association.properties.user_id", "user_id"),
        ("lmnr.association.properties.session_id", "session_id"),
    ],
    dropped: &[
        "lmnr.span.path",
        "lmnr.span.ids_path",
        "lmnr.span.instrumentation_source",
        "lmnr.span.sdk_version",
        "lmnr.span.language_version",
    ],
    ..BLANK
};
