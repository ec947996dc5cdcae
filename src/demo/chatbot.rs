//! A support chatbot over documents: caches, embedding, vector search, rerank, a streamed answer;
//! now and then an agent that looks an order up first.

use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::call::{self, Ask, tokens_of};
use super::dice::Dice;
use super::model::{ACME_7B, CLAUDE_SONNET, GPT_4_1_MINI, GPT_5_MINI, Model, OPENAI_SMALL};
use super::planned::{Fact, Planned, Tokens};
use super::stage::{self, Search};
use super::text::{DIALOGUES, PASSAGES};

const SYSTEM: &str = "You are the support assistant of a web shop. Answer from the documents only, \
                      in the language of the question.";

/// The app between two requests: people ask up to three things in a session.
pub(super) struct Chatbot {
    dice: Dice,
    ids: Dice,
    turn: usize,
    session: String,
    user: i64,
    dialogue: &'static [(&'static str, &'static str); 3],
}

impl Chatbot {
    pub(super) fn new(dice: Dice, ids: Dice) -> Self {
        Chatbot {
            dice,
            ids,
            turn: 0,
            session: String::new(),
            user: 0,
            dialogue: &DIALOGUES[0],
        }
    }

    /// The next request.
    pub(super) fn request(&mut self) -> Planned {
        if self.turn == 0 {
            self.session = self.ids.uuid();
            self.user = self.dice.between(1, 40);
            self.dialogue = self.dice.pick(&DIALOGUES);
        }
        let turn = self.turn;
        self.turn = (turn + 1) % self.dialogue.len();
        let (question, answer) = self.dialogue[turn];

        let mut root = self.root();
        let cached = self.dice.percent(12);
        let lookup = stage::cache_lookup(&mut self.dice, root.next(), "prompt", cached);
        root.push(lookup);
        if cached {
            root.set("http.response.status_code", 200_i64);
            return root;
        }
        if turn > 0 {
            let rewrite = self.rewrite(root.next(), turn, question);
            root.push(rewrite);
        }
        let found = self.retrieve(&mut root, question);
        let (variant, model) = self.model();
        root.set("experiment.name", "answer-model");
        root.set("experiment.variant", variant);
        let ask = Ask {
            model,
            operation: "answer",
            call_type: "rag_synthesis",
            system: SYSTEM,
            history: &self.dialogue[..turn],
            prompt: question,
            answer,
            input: tokens_of(question) + 80 + found * self.dice.between(180, 520),
            output: tokens_of(answer) + self.dice.between(5, 120),
            finish: if self.dice.percent(4) {
                "length"
            } else {
                "stop"
            },
            temperature: 0.3,
            streamed: true,
            json: false,
        };
        let start = root.next();
        let answers = if self.dice.percent(15) {
            let (agent, answers) = self.agent(start, &ask);
            root.push(agent);
            answers
        } else {
            let tries = call::chat_with_retries(&mut self.dice, &mut self.ids, start, &ask);
            let last = tries.last().map(failure);
            tries.into_iter().for_each(|span| root.push(span));
            last.flatten()
        };
        self.finish(root, answers, found)
    }

    fn root(&mut self) -> Planned {
        let mut root = Planned::root("POST /api/chat", SpanKind::Server)
            .with("http.request.method", "POST")
            .with("http.route", "/api/chat")
            .with("pipeline.name", "support_rag")
            .with("user.id", format!("user-{}", self.user))
            .with("company.id", format!("company-{}", self.user % 5))
            .with("session.id", self.session.clone())
            .with("request.id", self.ids.uuid());
        if self.dice.percent(6) {
            root.set("pipeline.regenerated", true);
        }
        root
    }

    /// Which model answers: an experiment on the user; some companies keep to a house model.
    fn model(&self) -> (&'static str, &'static Model) {
        match self.user % 8 {
            0 => ("house", &ACME_7B),
            1 | 2 => ("reasoning", &GPT_5_MINI),
            3..=5 => ("control", &GPT_4_1_MINI),
            _ => ("claude", &CLAUDE_SONNET),
        }
    }

    /// A call that no user sees: makes a question that the search understands without the turns
    /// before it.
    fn rewrite(&mut self, start: Duration, turn: usize, question: &str) -> Planned {
        let ask = Ask {
            model: &GPT_4_1_MINI,
            operation: "rewrite_question",
            call_type: "rag_query",
            system: "Rewrite the last question so that it stands alone.",
            history: &self.dialogue[..turn],
            prompt: question,
            answer: question,
            input: tokens_of(question) + self.dice.between(60, 240),
            output: tokens_of(question),
            finish: "stop",
            temperature: 0.0,
            streamed: false,
            json: false,
        };
        call::chat(&mut self.dice, &mut self.ids, start, &ask, 0)
    }

    /// Embedding (unless cached), search, sometimes a rerank. Returns how many hits there were.
    fn retrieve(&mut self, root: &mut Planned, question: &str) -> i64 {
        let hit = self.dice.percent(35);
        let lookup = stage::cache_lookup(&mut self.dice, root.next(), "embedding", hit);
        root.push(lookup);
        if !hit {
            let embedding = stage::embedding(&mut self.dice, root.next(), &OPENAI_SMALL, question);
            root.push(embedding);
        }
        let hits = if self.dice.percent(4) { 0 } else { 5 };
        let best = 0.55 + self.dice.fraction() * 0.4;
        let search = Search {
            system: "qdrant",
            server: "qdrant.acme.internal",
            collection: "support_docs",
            query: question,
            top_k: 5,
            hits,
            best,
            prefix: "doc-",
            passages: &PASSAGES,
        };
        let search = stage::vector_search(&mut self.dice, root.next(), &search);
        root.push(search);
        if hits > 0 && self.dice.percent(40) {
            let rerank = stage::rerank(&mut self.dice, root.next(), question, hits);
            root.push(rerank);
        }
        root.set("pipeline.match_count", hits);
        root.set("pipeline.matched", hits > 0);
        if hits > 0 {
            root.set("pipeline.confidence", call::rounded(best));
        }
        hits
    }

    /// An agent that calls a tool and then answers. Its usage is the sum of its calls: whoever
    /// adds it to them counts twice.
    fn agent(&mut self, start: Duration, ask: &Ask<'_>) -> (Planned, Option<Failure>) {
        let mut agent = Planned::new(
            "invoke_agent support-agent",
            SpanKind::Internal,
            start,
            Duration::ZERO,
            Fact::Agent,
        );
        let plan = Ask {
            operation: "plan",
            call_type: "system",
            answer: "look_up_order(48213)",
            output: self.dice.between(18, 40),
            finish: "tool_call",
            streamed: false,
            ..*ask
        };
        let first = call::chat(&mut self.dice, &mut self.ids, agent.next(), &plan, 0);
        agent.push(first);
        let length = self.dice.latency(45.0);
        let tool = Planned::new(
            "execute_tool look_up_order",
            SpanKind::Internal,
            agent.next(),
            length,
            Fact::Tool,
        )
        .with("gen_ai.operation.name", "execute_tool")
        .with("gen_ai.tool.name", "look_up_order")
        .with("gen_ai.tool.type", "function")
        .with("gen_ai.tool.call.id", format!("call_{}", self.ids.hex(12)));
        agent.push(tool);
        let ask = Ask {
            input: ask.input + self.dice.between(60, 140),
            ..*ask
        };
        let tries = call::chat_with_retries(&mut self.dice, &mut self.ids, agent.next(), &ask);
        let failed = tries.last().and_then(failure);
        tries.into_iter().for_each(|span| agent.push(span));

        let sum = agent
            .children
            .iter()
            .filter_map(|child| match &child.fact {
                Fact::Call(call) => Some(call.tokens),
                _ => None,
            })
            .fold(Tokens::default(), Tokens::plus);
        let mut agent = agent
            .with("gen_ai.operation.name", "invoke_agent")
            .with("gen_ai.agent.name", "support-agent")
            .with("gen_ai.provider.name", ask.model.provider)
            .with("gen_ai.request.model", ask.model.name)
            .with("gen_ai.conversation.id", self.session.clone())
            .with("gen_ai.usage.input_tokens", sum.input)
            .with("gen_ai.usage.output_tokens", sum.output);
        if let Some(failure) = &failed {
            agent = agent.failed(failure.error_type(), "the agent got no answer");
        }
        (agent, failed)
    }

    fn finish(&self, root: Planned, failed: Option<Failure>, found: i64) -> Planned {
        let Some(failure) = failed else {
            return root
                .with("http.response.status_code", 200_i64)
                .with("pipeline.fallback", found == 0);
        };
        let timed_out = failure == Failure::Timeout;
        root.with("pipeline.timed_out", timed_out)
            .with("pipeline.fallback", true)
            .with(
                "http.response.status_code",
                if timed_out { 504_i64 } else { 502 },
            )
            .failed(failure.error_type(), "no answer from the model")
    }
}

/// How the last try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Timeout,
    Refused,
}

impl Failure {
    fn error_type(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::Refused => "upstream_error",
        }
    }
}

/// Whether a try failed, and how.
fn failure(span: &Planned) -> Option<Failure> {
    match &span.fact {
        Fact::Call(call) if call.timed_out => Some(Failure::Timeout),
        Fact::Call(call) if call.failed => Some(Failure::Refused),
        _ => None,
    }
}
