//! Sustainability texts to the standards that they answer: embedding, vector search, a model that
//! chooses, and the parse of its JSON, with another try and a fallback where that fails.

use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::call::{self, Ask, tokens_of};
use super::dice::Dice;
use super::model::{ACME_7B, AZURE_GPT_4_1, GEMINI_EMBEDDING, GEMINI_FLASH};
use super::planned::{Fact, Planned};
use super::stage::{self, Parsed, Search};
use super::text::DISCLOSURES;

const SYSTEM: &str = "You map disclosures of sustainability reports to reporting standards. \
                      Answer with one JSON object: standard, confidence, reason.";

const CANDIDATES: [&str; 3] = [
    "Direct (Scope 1) GHG emissions, gross, in metric tons of CO2 equivalent …",
    "Water consumption from all areas in megaliters …",
    "Work-related injuries: number and rate …",
];

/// The app between two requests: a report is worked through text by text.
pub(super) struct Mapper {
    dice: Dice,
    ids: Dice,
    left: i64,
    report: String,
    analyst: i64,
}

impl Mapper {
    pub(super) fn new(dice: Dice, ids: Dice) -> Self {
        Mapper {
            dice,
            ids,
            left: 0,
            report: String::new(),
            analyst: 0,
        }
    }

    /// The next request.
    pub(super) fn request(&mut self) -> Planned {
        if self.left == 0 {
            self.left = self.dice.between(4, 12);
            self.report = format!("report-{}", self.ids.hex(8));
            self.analyst = self.dice.between(1, 9);
        }
        self.left -= 1;
        let (text, framework, standard) = *self.dice.pick(&DISCLOSURES);

        let mut root = Planned::root("esg_mapping", SpanKind::Internal)
            .with("pipeline.name", "esg_mapping")
            .with("pipeline.framework", framework)
            .with("user.id", format!("analyst-{}", self.analyst))
            .with("company.id", format!("company-{}", self.analyst % 4))
            .with("session.id", self.report.clone())
            .with("request.id", self.ids.uuid())
            .with("experiment.name", "mapping-prompt");
        let embedding = stage::embedding(&mut self.dice, root.next(), &GEMINI_EMBEDDING, text);
        root.push(embedding);
        let best = 0.5 + self.dice.fraction() * 0.45;
        let collection = format!("{}_standards", framework.to_lowercase());
        let prefix = format!("{framework}-");
        let search = Search {
            system: "chroma",
            server: "chroma.acme.internal",
            collection: &collection,
            query: text,
            top_k: 3,
            hits: 3,
            best,
            prefix: &prefix,
            passages: &CANDIDATES,
        };
        let search = stage::vector_search(&mut self.dice, root.next(), &search);
        root.push(search);
        let chosen = self.choose(&mut root, text, standard, best);
        self.finish(root, chosen, best)
    }

    /// The model's choice. A model that garbles its JSON is asked once more; then a rule decides.
    fn choose(&mut self, root: &mut Planned, text: &str, standard: &str, best: f64) -> Chosen {
        let (variant, model) = match self.analyst % 3 {
            0 => ("v2", &AZURE_GPT_4_1),
            1 => ("v3", &GEMINI_FLASH),
            _ => ("v3-house", &ACME_7B),
        };
        root.set("experiment.variant", variant);
        let answer = format!(
            "{{\"standard\":\"{standard}\",\"confidence\":{},\"reason\":\"best of three candidates\"}}",
            call::rounded(best),
        );
        for attempt in 0..2 {
            let prompt = format!("Disclosure: {text}\nCandidates: 3");
            let ask = Ask {
                model,
                operation: "choose_standard",
                call_type: "classification",
                system: SYSTEM,
                history: &[],
                prompt: &prompt,
                answer: &answer,
                input: tokens_of(&prompt) + self.dice.between(620, 1500),
                output: tokens_of(&answer) + self.dice.between(0, 30),
                finish: "stop",
                temperature: 0.0,
                streamed: false,
                json: true,
            };
            let mut analysis = Planned::new(
                "llm_analysis",
                SpanKind::Internal,
                root.next(),
                Duration::ZERO,
                Fact::Other,
            )
            .with("esg.candidates", 3_i64);
            let start = analysis.next();
            let tries = call::chat_with_retries(&mut self.dice, &mut self.ids, start, &ask);
            let answered = tries.last().is_some_and(|last| last.error.is_none());
            let timed_out = tries
                .iter()
                .any(|span| matches!(&span.fact, Fact::Call(call) if call.timed_out));
            tries.into_iter().for_each(|span| analysis.push(span));
            root.push(analysis);
            if !answered {
                return Chosen::NoAnswer { timed_out };
            }
            let parsed = match (self.dice.between(0, 99), attempt) {
                (0..=4, 0) => Parsed::Failed,
                (0..=24, 1) => Parsed::FellBack,
                (25..=32, _) => Parsed::Repaired,
                _ => Parsed::Clean,
            };
            let parse = stage::json_parsing(&mut self.dice, root.next(), parsed);
            root.push(parse);
            match parsed {
                Parsed::Failed => root.set("pipeline.regenerated", true),
                Parsed::FellBack => return Chosen::Fallback,
                Parsed::Clean | Parsed::Repaired => break,
            }
        }
        Chosen::Standard
    }

    fn finish(&self, root: Planned, chosen: Chosen, best: f64) -> Planned {
        match chosen {
            Chosen::Standard => {
                let matched = best >= 0.6;
                root.with("pipeline.matched", matched)
                    .with("pipeline.match_count", i64::from(matched))
                    .with("pipeline.confidence", call::rounded(best))
                    .with("pipeline.fallback", false)
            }
            Chosen::Fallback => root
                .with("pipeline.matched", false)
                .with("pipeline.match_count", 0_i64)
                .with("pipeline.confidence", 0.3)
                .with("pipeline.fallback", true),
            Chosen::NoAnswer { timed_out } => root
                .with("pipeline.matched", false)
                .with("pipeline.timed_out", timed_out)
                .failed(
                    if timed_out {
                        "timeout"
                    } else {
                        "upstream_error"
                    },
                    "no answer from the model",
                ),
        }
    }
}

/// How the choice came about.
enum Chosen {
    Standard,
    Fallback,
    NoAnswer { timed_out: bool },
}
