//! Haystack's own tracer. Source: deepset-ai/haystack, haystack/core/pipeline/base.py and
//! haystack/components/agents/agent.py.
//!
//! | attribute | column |
//! |---|---|
//! | `haystack.component.type` | the kind, by the end of the class's name: Generator, Embedder, Retriever, Ranker |
//! | `haystack.component.input`, `….output` (content tracing) | prompt, response, model, tokens, query, hits |
//! | `haystack.component.name` | operation |
//! | `haystack.pipeline.run`, `haystack.agent.run` | wrappers |
//!
//! Quirks: everything but the class's name needs HAYSTACK_CONTENT_TRACING_ENABLED; without it a
//! call has neither model nor tokens.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "haystack",
    signs: &[
        "haystack.component.type",
        "haystack.component.name",
        "haystack.agent.step.llm.input",
        "haystack.agent.step.llm.output",
    ],
    kinds: &[
        ("*Generator", Kind::Chat),
        ("*Embedder", Kind::Embedding),
        ("*Retriever", Kind::Retrieval),
        ("*Ranker", Kind::Rerank),
        ("Agent", Kind::Container),
        ("ToolInvoker", Kind::Tool),
    ],
    names: &[
        ("haystack.pipeline.run", Kind::Container),
        ("haystack.async_pipeline.run", Kind::Container),
        ("haystack.agent.run", Kind::Container),
        ("haystack.agent.step", Kind::Container),
        ("haystack.agent.step.llm", Kind::Chat),
        ("haystack.agent.step.tool", Kind::Tool),
        ("haystack.chat_generator.run", Kind::Chat),
    ],
    keys: &[
        ("haystack.component.type", Field::Kind),
        ("haystack.component.name", Field::Operation),
        ("haystack.component.input", Field::Input),
        ("haystack.component.output", Field::Output),
        ("haystack.agent.step.llm.input", Field::Input),
        ("haystack.agent.step.llm.output", Field::Output),
        ("haystack.pipeline.input_data", Field::Input),
        ("haystack.pipeline.output_data", Field::Output),
    ],
    context: &[("haystack.pipeline.metadata", "*")],
    dropped: &[
        "haystack.component.input_types",
        "haystack.component.input_spec",
        "haystack.component.output_spec",
        "haystack.component.visits",
        "haystack.pipeline.max_runs_per_component",
    ],
    ..BLANK
};
