//! What is known of one trace.

use std::{hash::BuildHasher, sync::Arc};

use smol_str::SmolStr;

use super::nodes::Nodes;
use crate::record::{
    Context, Counted, LlmCall, MappedSpan, PipelineRequest, Record, Retrieval, Role, SpanId,
    StageTimes, Usage,
};

/// Ancestors are followed this far up; also what ends a longer ring of parent ids.
pub(super) const MAX_DEPTH: usize = 256;

/// Ids of answers shorter than this are no provider's.
const SHORTEST_ANSWER_ID: usize = 8;

/// One span of a trace.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub parent: Option<SpanId>,
    /// The parent's place, once it is known; see [`Nodes::tie`].
    pub above: Option<usize>,
    pub started_at: i64,
    pub duration_ms: Option<f64>,
    pub role: Role,
    pub is_genai: bool,
    /// What the rule looks at, if the span has (or would have) a row that counts.
    pub facts: Option<Box<Facts>>,
    /// The verdict last told to the store.
    pub verdict: Counted,
    /// Own context.
    pub context: Option<Arc<Context>>,
    /// Own and inherited context, as last told to the store.
    pub told_context: Option<Arc<Context>>,
    /// Nearest ancestor with a row in `llm_calls`, as last told to the store.
    pub told_parent_call: Option<SpanId>,
    /// The request that this root stands for.
    pub request: Option<Box<Request>>,
    /// True if it has rows of its own (a request's row aside).
    pub has_rows: bool,
    /// True if one of them is of a table that the store reads spans back from: a call's, a search's.
    pub is_read_back: bool,
    /// True once they have left.
    pub emitted: bool,
    /// True if it stands above a row.
    pub is_tie: bool,
    /// True once its link has left.
    pub linked: bool,
    /// True if a span of another trace shows the same call and stands for it.
    pub is_elsewhere: bool,
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
    /// Hash of the provider's id of the answer.
    pub answer: Option<u64>,
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
    /// What the stored row holds besides the sums over the spans that are known here.
    pub base: Sums,
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
    pub nodes: Nodes,
    /// True once a span came before its parent, or without it.
    pub was_open: bool,
    pub asked: Asked,
}

/// Whether the store was asked what else it has of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asked {
    /// Nothing came that it would have been asked for.
    #[default]
    No,
    /// It was, or had no need to be.
    Yes,
    /// It gave back its newest spans, and this trace began before them.
    InPart,
}

impl Sums {
    /// Adds up, or takes away with `sign` -1; a part that neither knows stays unknown.
    pub fn plus(&self, more: &Sums, sign: f64) -> Sums {
        let ms = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some((a.unwrap_or(0.0) + sign * b.unwrap_or(0.0)).max(0.0)),
        };
        let (a, b) = (&self.stages, &more.stages);
        Sums {
            stages: StageTimes {
                embedding_ms: ms(a.embedding_ms, b.embedding_ms),
                vector_search_ms: ms(a.vector_search_ms, b.vector_search_ms),
                rerank_ms: ms(a.rerank_ms, b.rerank_ms),
                llm_ms: ms(a.llm_ms, b.llm_ms),
                json_parsing_ms: ms(a.json_parsing_ms, b.json_parsing_ms),
                stt_ms: ms(a.stt_ms, b.stt_ms),
            },
            tokens: ms(self.tokens.map(|n| n as f64), more.tokens.map(|n| n as f64))
                .map(|n| n as i64),
            cost: ms(self.cost, more.cost),
        }
    }
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
            Record::SttEvent(_) => Some(Self {
                kind: Kind::Other,
                tokens: Tokens::default(),
                cost: speech_cost(&span.records),
                model: None,
                richness: (false, false),
                answer: None,
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
            // Short ids are an app's own numbering.
            answer: call
                .response_id
                .as_ref()
                .filter(|id| id.len() >= SHORTEST_ANSWER_ID && role == Role::Call)
                .map(hash),
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
            answer: None,
        }
    }
}

/// What the events of a transcription cost together: its own row may be a summary, and its chunks
/// be billed.
fn speech_cost(records: &[Record]) -> Option<f64> {
    let costs = records.iter().filter_map(|record| match record {
        Record::SttEvent(event) => Some(event.cost.as_ref()?.as_ref().ok()?.usd),
        _ => None,
    });
    costs.reduce(|sum, usd| sum + usd)
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

fn hash(name: &SmolStr) -> u64 {
    rustc_hash::FxBuildHasher.hash_one(name)
}

impl Family {
    /// The known ancestors of the span at a place, nearest first; the span itself is not among them.
    pub fn ancestors(&self, place: usize) -> impl Iterator<Item = (usize, &Node)> {
        let mut next = self.nodes.at(place).above;
        std::iter::from_fn(move || {
            let place = next?;
            let node = self.nodes.at(place);
            next = node.above;
            Some((place, node))
        })
        .take(MAX_DEPTH)
    }

    /// Own context, completed from the ancestors, nearest first; `None` if there is none.
    pub fn full_context(&self, place: usize) -> Option<Arc<Context>> {
        let mut context = self.nodes.at(place).context.clone();
        for (_, ancestor) in self.ancestors(place) {
            match (&mut context, &ancestor.context) {
                (Some(own), Some(theirs)) => *own = Context::filled(own, theirs),
                (None, Some(theirs)) => context = Some(Arc::clone(theirs)),
                _ => {}
            }
        }
        context
    }

    /// Nearest ancestor that has a row in `llm_calls`.
    pub fn parent_call(&self, place: usize) -> Option<SpanId> {
        self.ancestors(place)
            .find(|(_, node)| node.is_call_row())
            .map(|(above, _)| self.nodes.id(above))
    }

    /// True if a span's parent is not known: part of the trace is elsewhere, or still to come. (Or it
    /// is no parent; see [`Nodes::tie`].)
    pub fn has_orphan(&self) -> bool {
        self.nodes
            .values()
            .any(|node| node.parent.is_some() && node.above.is_none())
    }

    /// True if a root with a request is known.
    pub fn has_request(&self) -> bool {
        self.nodes.values().any(|node| node.request.is_some())
    }

    /// True if a request's row waits for something of ours in its trace.
    pub fn holds_request(&self) -> bool {
        let held = |node: &Node| node.request.as_ref().is_some_and(|r| r.held.is_some());
        self.nodes.values().any(held)
    }

    /// True if it has something of ours, or a request that waits for it.
    pub fn may_matter(&self) -> bool {
        self.is_genai() || self.holds_request()
    }

    /// When its newest and oldest spans started, Unix ns.
    pub fn times(&self) -> (i64, i64) {
        let starts = || self.nodes.values().map(|node| node.started_at);
        (
            starts().min().unwrap_or_default(),
            starts().max().unwrap_or_default(),
        )
    }

    /// True if anything in the trace is GenAI's.
    pub fn is_genai(&self) -> bool {
        self.nodes
            .values()
            .any(|node| node.is_genai || node.facts.is_some())
    }
}
