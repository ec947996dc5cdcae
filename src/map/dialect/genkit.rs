//! Genkit (Google), JavaScript and Go. Source: firebase/genkit, js/core/src/tracing. Written after
//! an export of 1.42.
//!
//! | attribute | column |
//! |---|---|
//! | `genkit:metadata:subtype` | the kind: model, embedder, retriever, reranker, tool, flow |
//! | `genkit:name` (`openai/gpt-4o-mini`) | provider, model |
//! | `genkit:input` | prompt, system_prompt; temperature, max_tokens in its `config` |
//! | `genkit:output` | response, finish_reason, tokens; the raw answer's model, cache and reasoning |
//!
//! Quirks: no attribute of the conventions at all. `generate` repeats the usage of the call inside
//! it, in a tool loop that of the last. Embedders report no tokens.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "genkit",
    scopes: &["genkit"],
    signs: &["genkit:type", "genkit:name"],
    kinds: &[
        ("model", Kind::Chat),
        ("embedder", Kind::Embedding),
        ("retriever", Kind::Retrieval),
        ("reranker", Kind::Rerank),
        ("tool", Kind::Tool),
        ("flow", Kind::Container),
        ("util", Kind::Container),
    ],
    keys: &[
        ("genkit:metadata:subtype", Field::Kind),
        ("genkit:type", Field::Kind),
        ("genkit:input", Field::Input),
        ("genkit:output", Field::Output),
    ],
    own: &[
        ("genkit:name", Field::RequestModel),
        ("genkit:input", Field::Parameters),
    ],
    dropped: &[
        "genkit:path",
        "genkit:key",
        "genkit:state",
        "genkit:isRoot",
        "genkit:metadata:context",
    ],
    ..BLANK
};
