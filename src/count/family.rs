//! What is known of one trace.

use std::hash::BuildHasher;

use rustc_hash::FxHashMap;

use crate::record::{
    Context, Counted, LlmCall, MappedSpan, PipelineRequest, Record, Retrieval, Role, SpanId,
    StageTimes, Usage,
};

/// Ancestors are followed this far up; also what ends a cycle of parent ids.
const MAX_DEPTH: usize = 256;

/// One span of a trace.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub parent: Option<SpanId>,
    pub started_at: i64,
    pub duration_ms: Option<f64>,
    pub role: Role,
    pub is_genai: bool,
    /// What the rule looks at, if the span has (or would have) a row that counts.
    pub facts: Option<Box<Facts>>,
    /// The verdict last told to the store.
    pub verdict: Counted,
    /// Own context.
    pub context: Option<Box<Context>>,
    /// Own and inherited context, as last told to the store.
    pub told_context: Option<Box<Context>>,
    /// Nearest ancestor with a row in `llm_calls`, as last told to the store.
    pub told_parent_call: Option<SpanId>,
    /// The request that this root stands for.
    pub request: Option<Box<Request>>,
    /// True if it has rows of its own (a request's row aside).
    pub has_rows: bool,
    /// True once they have left.
    pub emitted: bool,
    /// True if it stands above a row.
    pub is_tie: bool,
    /// True once its link has left.
    pub linked: bool,
}

/// What the rule looks at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub kind: Kind,
    pub tokens: Tokens,
    pub cost: Option<f64>,
    /// Hash of the model's name: tells whether two spans can be the same call.
    pub model: Option<u64>,
    /// How much the span says: usage first, then content.
    pub richness: (bool, bool),
}

/// What usage is compared and summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tokens {
    pub prompt: Option<i64>,
    pub completion: Option<i64>,
    pub total: Option<i64>,
}

/// Rows of different kinds never stand for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Embedding,
    Retrieval,
    Other,
}

/// A root span's request and what was last told of its sums.
#[derive(Debug)]
pub(super) struct Request {
    /// The row, until something of ours is known below it.
    pub held: Option<Box<PipelineRequest>>,
    pub told: Sums,
}

/// Sums over the counted rows below a root.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sums {
    pub stages: StageTimes,
    pub tokens: Option<i64>,
    pub cost: Option<f64>,
}

/// The spans known of one trace.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub nodes: FxHashMap<SpanId, Node>,
}

impl Node {
    pub fn new(span: &MappedSpan) -> Self {
        Self {
            parent: span.parent_span_id,
            started_at: span.started_at,
            duration_ms: span
                .completed_at
                .map(|end| end.saturating_sub(span.started_at) as f64 / 1e6),
            role: span.role,
            is_genai: span.is_genai,
            facts: Facts::of(span).map(Box::new),
            context: span.context.clone(),
            ..Node::default()
        }
    }

    /// True if the span has a row in `llm_calls`.
    pub fn is_call_row(&self) -> bool {
        self.facts
            .as_ref()
            .is_some_and(|f| matches!(f.kind, Kind::Call | Kind::Embedding))
    }
}

impl Facts {
    fn of(span: &MappedSpan) -> Option<Self> {
        span.records.iter().find_map(|record| match record {
            Record::LlmCall(call) => Some(Self::of_call(call, span.role)),
            Record::Retrieval(retrieval) => Some(Self::of_retrieval(retrieval, span.role)),
            Record::SttEvent(event) => Some(Self {
                kind: Kind::Other,
                tokens: Tokens::default(),
                cost: event
                    .cost
                    .as_ref()
                    .and_then(|c| c.as_ref().ok())
                    .map(|c| c.usd),
                model: None,
                richness: (false, false),
            }),
            _ => None,
        })
    }

    fn of_call(call: &LlmCall, role: Role) -> Self {
        Self {
            kind: if role == Role::Embedding {
                Kind::Embedding
            } else {
                Kind::Call
            },
            tokens: Tokens::of(&call.usage),
            cost: call
                .cost
                .as_ref()
                .and_then(|c| c.as_ref().ok())
                .map(|c| c.usd),
            model: call
                .model
                .as_ref()
                .or(call.response_model.as_ref())
                .map(hash),
            richness: (
                call.usage.is_known(),
                call.response.is_some() || call.prompt.is_some(),
            ),
        }
    }

    fn of_retrieval(retrieval: &Retrieval, role: Role) -> Self {
        Self {
            kind: if role == Role::Rerank {
                Kind::Other
            } else {
                Kind::Retrieval
            },
            tokens: Tokens::default(),
            cost: None,
            model: None,
            richness: (
                retrieval.hits.is_some() || retrieval.scores.is_some(),
                retrieval.query.is_some(),
            ),
        }
    }
}

impl Tokens {
    fn of(usage: &Usage) -> Self {
        Self {
            prompt: usage.prompt,
            completion: usage.completion,
            total: usage.total,
        }
    }

    pub fn is_known(&self) -> bool {
        *self != Self::default()
    }

    /// All tokens, where known.
    pub fn sum(&self) -> Option<i64> {
        match (self.prompt, self.completion) {
            (None, None) => self.total,
            (prompt, completion) => {
                Some(prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)))
            }
        }
    }
}

fn hash(name: &String) -> u64 {
    rustc_hash::FxBuildHasher.hash_one(name)
}

impl Family {
    /// The known ancestors of a span, nearest first; the span itself is not among them.
    pub fn ancestors(&self, id: SpanId) -> impl Iterator<Item = (SpanId, &Node)> {
        let mut next = self.nodes.get(&id).and_then(|node| node.parent);
        std::iter::from_fn(move || {
            let id = next?;
            let node = self.nodes.get(&id)?;
            next = node.parent;
            Some((id, node))
        })
        .take(MAX_DEPTH)
    }

    /// Own context, completed from the ancestors, nearest first; `None` if there is none.
    pub fn full_context(&self, id: SpanId) -> Option<Box<Context>> {
        let mut context = self.nodes.get(&id)?.context.clone();
        for (_, ancestor) in self.ancestors(id) {
            match (&mut context, &ancestor.context) {
                (Some(own), Some(theirs)) => drop(own.fill_from(theirs)),
                (None, Some(theirs)) => context = Some(theirs.clone()),
                (_, None) => {}
            }
        }
        context
    }

    /// Nearest ancestor that has a row in `llm_calls`.
    pub fn parent_call(&self, id: SpanId) -> Option<SpanId> {
        self.ancestors(id)
            .find(|(_, node)| node.is_call_row())
            .map(|(id, _)| id)
    }

    /// True if anything in the trace is GenAI's.
    pub fn is_genai(&self) -> bool {
        self.nodes
            .values()
            .any(|node| node.is_genai || node.facts.is_some())
    }
}
