//! Mapper: payload in, `Mapped` out.

use std::{borrow::Cow, collections::BTreeMap, hash::BuildHasher, sync::Arc};

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use super::{
    call, classify,
    classify::Kind,
    context,
    dialect::DIALECTS,
    events::Events,
    failure, join, limits,
    lookup::Lookup,
    parse,
    read::Scratch,
    request::{self, Resource},
    retrieval, speech,
    subject::Subject,
    times,
};
use crate::{
    otlp::{self, Malformed, RawSpan, ScopeView, Signal, SpanView, value::text},
    record::{CallContent, Header, MappedSpan, Record, Role},
};

/// Spans that are sorted by name together: as many as come at a time, and no more than take a few
/// hundred KB.
const SORTED_AT_ONCE: usize = 1024;
/// The bits of a mark that tell which of them it is; the others are of the hash of its name.
const PLACES: usize = SORTED_AT_ONCE - 1;
const _: () = assert!(SORTED_AT_ONCE.is_power_of_two());

/// Settings of the mapper.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Attributes that feed context columns, beside the built-in ones and before them: the
    /// column's name, then the keys in order of preference.
    pub context: BTreeMap<String, Vec<String>>,
    /// Whether prompts, answers and search queries are stored. Their lengths always are.
    pub keep_content: bool,
}

/// Settings that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A context column that doesn't exist.
    #[error("feed attributes to the context column {0:?}: there is no such column")]
    UnknownColumn(String),
}

/// What mapping gave.
#[derive(Debug, Default)]
pub struct Mapped {
    /// One for each valid span.
    pub spans: Vec<MappedSpan>,
    /// Content that came in log events.
    pub contents: Vec<CallContent>,
    /// Spans and log records that can't be read or have no valid id.
    pub rejected: u64,
    /// Valid spans and log records that are none of ours.
    pub unmapped: u64,
}

/// Maps payloads. Built once; its tables hold all dialects.
pub struct Mapper {
    lookup: Lookup,
    keep_content: bool,
}

/// What the spans of one group share, read once.
pub struct Group {
    scope: String,
    scope_dialect: Option<u8>,
    /// Many scopes may share it.
    resource: Arc<Resource>,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            context: BTreeMap::new(),
            keep_content: true,
        }
    }
}

impl Config {
    /// Says what makes no sense in the settings.
    pub fn check(&self) -> Result<(), Error> {
        match self
            .context
            .keys()
            .find(|column| context::column(column).is_none())
        {
            Some(column) => Err(Error::UnknownColumn(column.clone())),
            None => Ok(()),
        }
    }
}

// === impl Mapper ===

impl Mapper {
    /// Builds the tables. Context columns that don't exist are passed over; see [`Config::check`].
    pub fn new(config: &Config) -> Self {
        let extra = config
            .context
            .iter()
            .flat_map(|(column, keys)| keys.iter().map(move |key| (key.as_str(), column.as_str())));
        Self {
            lookup: Lookup::new(extra),
            keep_content: config.keep_content,
        }
    }

    /// Maps one payload and adds what it gives to `out`. Metrics have nothing to map.
    pub fn map(&mut self, signal: Signal, body: &[u8], received_at: i64, out: &mut Mapped) {
        match signal {
            Signal::Traces => self.map_traces(body, received_at, out),
            Signal::Logs => self.map_logs(body, received_at, out),
            Signal::Metrics => {}
        }
    }

    /// Reads what the spans of a group share; `last`, the group before it, may be of the same
    /// resource, which is read once then.
    pub fn group(&self, view: ScopeView<'_>, last: Option<(ScopeView<'_>, &Group)>) -> Group {
        let scope = text(view.name()).into_owned();
        let resource = match last {
            Some((known, group)) if known.has_same_resource(&view) => Arc::clone(&group.resource),
            _ => Arc::new(Resource::read(view.resource_attributes())),
        };
        Group {
            scope_dialect: self.lookup.scope_dialect(&scope),
            resource,
            scope,
        }
    }

    /// Maps spans, each with its group and when it was received (Unix ns), and adds what they give
    /// to `out`, in their order.
    pub fn map_spans<'a, 'g>(
        &self,
        mut spans: impl Iterator<Item = (RawSpan<'a>, &'g Group, i64)>,
        out: &mut Mapped,
    ) {
        let most = spans.size_hint().1.unwrap_or_default().min(SORTED_AT_ONCE);
        let (mut read, mut order) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut scratch = Scratch::default();
        while let Some(first) = spans.next() {
            let more = spans.by_ref().take(SORTED_AT_ONCE - 1);
            for (span, group, received_at) in std::iter::once(first).chain(more) {
                match span.read() {
                    Ok(span) => {
                        let name = FxBuildHasher.hash_one(span.name) as usize;
                        order.push(name & !PLACES | read.len());
                        read.push((span, group, received_at));
                    }
                    Err(_) => out.rejected += 1,
                }
            }
            // One name after the other, since what is done to spans of one kind is the same: the
            // code for all kinds is larger than the processor's first cache.
            order.sort_unstable();
            let start = out.spans.len();
            out.spans
                .resize_with(start + read.len(), MappedSpan::default);
            for place in order.drain(..).map(|mark| mark & PLACES) {
                if let (Some((span, group, received_at)), Some(slot)) =
                    (read.get(place), out.spans.get_mut(start + place))
                {
                    *slot = self.map_span(span, group, *received_at, &mut scratch);
                    out.unmapped += u64::from(is_unmapped(slot));
                }
            }
            read.clear();
        }
    }

    fn map_traces(&self, body: &[u8], received_at: i64, out: &mut Mapped) {
        let mut scratch = Scratch::default();
        let mut last: Option<(ScopeView<'_>, Group)> = None;
        let walked = otlp::spans(body, |view, span| {
            let known = last.as_ref().map(|(known, group)| (*known, group));
            if !known.is_some_and(|(known, _)| known.is_same(&view)) {
                last = Some((view, self.group(view, known)));
            }
            if let Some((_, group)) = &last {
                self.add(span, group, received_at, &mut scratch, out);
            }
        });
        // The door checks a request's frame before it acks; what can't be read is lost to mapping
        // only, and counted.
        out.rejected += u64::from(walked.is_err());
    }

    fn add<'a>(
        &self,
        span: Result<SpanView<'a>, Malformed>,
        group: &Group,
        received_at: i64,
        scratch: &mut Scratch<'a>,
        out: &mut Mapped,
    ) {
        let Ok(span) = span else {
            out.rejected += 1;
            return;
        };
        let mapped = self.map_span(&span, group, received_at, scratch);
        out.unmapped += u64::from(is_unmapped(&mapped));
        out.spans.push(mapped);
    }

    fn map_logs(&self, body: &[u8], received_at: i64, out: &mut Mapped) {
        let mut scratch = Scratch::default();
        let mut joined = join::Joined::default();
        let mut last: Option<(ScopeView<'_>, Cow<'_, str>)> = None;
        let walked = otlp::logs(body, |view, log| match log {
            Ok(log) => {
                last.take_if(|(known, _)| !known.is_same(&view));
                let (_, scope) = last.get_or_insert_with(|| (view, text(view.name())));
                let taken = joined.add(&log, scope, &self.lookup, &mut scratch);
                out.unmapped += u64::from(!taken);
            }
            Err(_) => out.rejected += 1,
        });
        joined.finish(received_at, self.keep_content, &mut out.contents);
        out.rejected += u64::from(walked.is_err());
    }

    fn map_span<'a>(
        &self,
        span: &SpanView<'a>,
        group: &Group,
        received_at: i64,
        scratch: &mut Scratch<'a>,
    ) -> MappedSpan {
        let (started_at, completed_at) =
            times::sane(span.start_unix_ns, span.end_unix_ns, received_at);
        let mut mapped = MappedSpan {
            parent_span_id: span.parent_span_id,
            started_at,
            completed_at,
            ..MappedSpan::default()
        };
        mapped.key.trace_id = span.trace_id;
        mapped.key.span_id = span.span_id;
        let may_be_ours = self.lookup.walk(span.attributes(), scratch);
        self.walk_carriers(span, group, scratch);
        mapped.context = scratch.context();
        let is_root = span.parent_span_id.is_none();
        let is_known_scope = group.scope_dialect.is_some();
        if !may_be_ours && !is_known_scope && !is_root && !classify::is_named_parse(span.name) {
            return mapped;
        }
        let name = text(span.name);
        let reading = scratch.settle(&group.scope, group.scope_dialect);
        let kind = classify::kind(&reading, &name);
        mapped.role = kind.map(Kind::role).unwrap_or_default();
        let touches_vectors = classify::touches_vectors(&reading);
        mapped.is_genai = kind.is_some() || reading.is_genai() || touches_vectors;
        let is_request =
            is_root && matches!(kind, None | Some(Kind::Container)) && !touches_vectors;
        if kind.is_none() && !is_request {
            return mapped;
        }
        let events = Events::read(span, &self.lookup);
        let ending = failure::ending(span, Some(&reading), &events);
        let header = header(span, &mapped, group, received_at);
        // Lent to the records, then given back.
        let own_context = mapped.context.take();
        let subject = Subject {
            span,
            name: &name,
            reading: &reading,
            events: &events,
            kind,
            ending: &ending,
            header: &header,
            own_context: own_context.as_ref(),
            resource_context: &group.resource.context,
            keep_content: self.keep_content,
        };
        self.add_records(&subject, is_request, &mut mapped);
        mapped.context = own_context;
        mapped
    }

    /// Reads the events whose attributes are the span's own in the scope's dialect.
    fn walk_carriers<'a>(&self, span: &SpanView<'a>, group: &Group, scratch: &mut Scratch<'a>) {
        let place = group.scope_dialect.map(usize::from);
        let Some(dialect) = place.and_then(|place| DIALECTS.get(place)) else {
            return;
        };
        if dialect.carriers.is_empty() {
            return;
        }
        for event in span.events().take(limits::EVENTS) {
            if dialect
                .carriers
                .iter()
                .any(|name| name.as_bytes() == event.name)
            {
                self.lookup.walk_on(event.attributes(), scratch);
            }
        }
    }

    fn add_records(&self, subject: &Subject<'_, '_>, is_request: bool, mapped: &mut MappedSpan) {
        let records = &mut mapped.records;
        match subject.kind {
            Some(Kind::Chat | Kind::Media | Kind::Embedding | Kind::Container | Kind::Attempt) => {
                if let Some(call) = call::record(subject) {
                    records.push(Record::LlmCall(call));
                }
            }
            Some(Kind::Speech | Kind::PerhapsSpeech) => {
                records.extend(speech::records(subject, &self.lookup));
                if records.is_empty() {
                    mapped.role = Role::None;
                }
            }
            Some(Kind::Retrieval | Kind::Rerank) => {
                records.push(Record::Retrieval(Box::new(retrieval::record(subject))));
            }
            Some(Kind::Parse) => {
                records.push(Record::JsonParse(Box::new(parse::record(subject))));
            }
            Some(Kind::Tool | Kind::Cache | Kind::Aside) | None => {}
        }
        if let Some(lookup) = parse::lookup(subject) {
            records.push(Record::CacheLookup(Box::new(lookup)));
        }
        if is_request {
            records.push(Record::PipelineRequest(Box::new(request::record(subject))));
        }
    }
}

/// True if the span is none of ours.
fn is_unmapped(span: &MappedSpan) -> bool {
    span.role == Role::None && !span.is_genai
}

fn header(span: &SpanView<'_>, mapped: &MappedSpan, group: &Group, received_at: i64) -> Header {
    Header {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        started_at: mapped.started_at,
        completed_at: mapped.completed_at,
        received_at,
        service_name: group.resource.service_name.clone(),
    }
}
