//! Dialects: how each family of SDKs spells the same facts.
//!
//! A dialect is one file with one `DIALECT` constant, and one name in the list below. It is
//! mostly tables: which scope or attribute shows it, which attribute fills which [`Field`] (the
//! first usable one in its order wins), which word means which [`Kind`], which event brings what.
//! What a table can't say is a function beside them. Dialects don't know one another.
//!
//! All tables are merged into one lookup ([`super::lookup::Lookup`]), so a span's attributes are
//! walked once however many dialects there are. Where several dialects fill a field, the app's own
//! word (`plain`) wins, then the span's own dialect, then the order of the list; where several name the span's kind, the order of
//! the list alone decides.
//!
//! Each file's table says which attribute fills which column, and its quirks.

use super::{
    accounting::Excludes,
    classify::Kind,
    context,
    fields::Field,
    messages::{Family, Speaker},
    read::Reading,
};

macro_rules! dialects {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+

        /// Every dialect, the strongest word for a span's kind first.
        pub static DIALECTS: &[&Dialect] = &[$(&$name::DIALECT),+];
    };
}

dialects! {
    langfuse, langsmith, mastra, genkit, openinference, vercel, mlflow, laminar, livekit, pipecat,
    spring, haystack, adk, strands, openai_agents, pydantic, openlit, litellm, crewai, llamaindex,
    semantic_kernel, helicone, otel, traceloop, plain,
}

/// Who wrote a span if nothing says more.
pub static DEFAULT: &Dialect = &otel::DIALECT;

/// The place of the default in the list.
pub const OTEL: u8 = place("otel");
/// The place of the app's own words.
pub const PLAIN: u8 = place("plain");

#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn place(name: &str) -> u8 {
    let mut place = 0;
    loop {
        let known = DIALECTS[place as usize].name.as_bytes();
        let mut same = known.len() == name.len();
        let mut at = 0;
        while same && at < known.len() {
            same = known[at] == name.as_bytes()[at];
            at += 1;
        }
        if same {
            return place;
        }
        place += 1;
    }
}

/// One dialect.
pub struct Dialect {
    /// Its name in the `dialect` column.
    pub name: &'static str,
    /// Starts of scope names that show it.
    pub scopes: &'static [&'static str],
    /// Attributes whose presence shows it.
    pub signs: &'static [&'static str],
    /// Its words for kinds, lower case; `*` at the start stands for anything.
    pub kinds: &'static [(&'static str, Kind)],
    /// Attribute to field, in the order of preference within a field.
    pub keys: &'static [(&'static str, Field)],
    /// Attribute to field, on spans of this dialect only: bare words such as `model`, which mean
    /// something else on other spans. They come after `keys`.
    pub own: &'static [(&'static str, Field)],
    /// Span names to kinds, on spans of this dialect only, where no attribute says the kind.
    pub names: &'static [(&'static str, Kind)],
    /// Events whose attributes are read as the span's own.
    pub carriers: &'static [&'static str],
    /// Attribute to context column, in the order of preference within a column.
    pub context: &'static [(&'static str, &'static str)],
    /// Indexed attributes: `prefix` + number + path.
    pub families: &'static [(&'static str, Family)],
    /// Span events and log events.
    pub events: &'static [(&'static str, Event)],
    /// Attributes that are neither a field nor worth keeping as metadata.
    pub dropped: &'static [&'static str],
    /// What the reported wholes leave out, for this span and provider.
    pub excludes: fn(reading: &Reading<'_, '_>, provider: Option<&str>) -> Excludes,
}

/// A dialect without any line, to build the others on.
pub const BLANK: Dialect = Dialect {
    name: "",
    scopes: &[],
    signs: &[],
    kinds: &[],
    keys: &[],
    own: &[],
    names: &[],
    carriers: &[],
    context: &[],
    families: &[],
    events: &[],
    dropped: &[],
    excludes: nothing,
};

/// What an event brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// One message of the conversation, in the body or the attributes.
    Message(Speaker),
    /// One answer, in the body or the attributes.
    Choice,
    /// The messages sent, in this attribute.
    Prompt(&'static str),
    /// The answer, in this attribute.
    Completion(&'static str),
    /// A whole call: the same attributes as on a span.
    Details,
    /// The first piece of a streamed answer.
    FirstChunk,
    /// One hit of a search.
    Hit,
    /// An exception.
    Exception,
    /// One step of a transcription.
    Speech(&'static str),
}

/// Every word that the tables know: what input must be made of to reach all their lines.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Attributes, with those of context.
    pub keys: Vec<&'static str>,
    /// Attributes that a number and a path follow.
    pub families: Vec<&'static str>,
    /// Words for kinds of work; `*` at the start stands for anything.
    pub kinds: Vec<&'static str>,
    /// Starts of scope names.
    pub scopes: Vec<&'static str>,
    /// Span names.
    pub names: Vec<&'static str>,
    /// Span events and log events.
    pub events: Vec<&'static str>,
}

impl Words {
    /// Those of all dialects.
    pub fn all() -> Self {
        fn first<T>(lines: &'static [(&'static str, T)]) -> impl Iterator<Item = &'static str> {
            lines.iter().map(|(word, _)| *word)
        }
        let mut words = Words {
            keys: first(context::KEYS).collect(),
            ..Words::default()
        };
        for dialect in DIALECTS {
            words.keys.extend(first(dialect.keys));
            words.keys.extend(first(dialect.own));
            words.keys.extend(first(dialect.context));
            words.keys.extend(dialect.signs);
            words.keys.extend(dialect.dropped);
            words.families.extend(first(dialect.families));
            words.kinds.extend(first(dialect.kinds));
            words.scopes.extend(dialect.scopes);
            words.names.extend(first(dialect.names));
            words.events.extend(first(dialect.events));
            words.events.extend(dialect.carriers);
        }
        words
    }
}

/// For dialects whose wholes are whole.
fn nothing(_: &Reading<'_, '_>, _: Option<&str>) -> Excludes {
    Excludes::default()
}
