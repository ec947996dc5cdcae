//! What one pass over a span's attributes finds: which field has which value, which context stands
//! on it.
//!
//! [`Scratch`] is what the pass of [`super::lookup`] finds, reused from span to span; a span with no
//! known attribute costs lookups and nothing else. [`Reading`] is the outcome: one value a field,
//! chosen by the order that `dialect` documents.

use std::{borrow::Cow, sync::Arc};

use smol_str::SmolStr;

use super::{
    context,
    dialect::{DEFAULT, DIALECTS, Dialect, OTEL, PLAIN},
    fields::{self, Field},
    limits,
    lookup::Target,
    messages::Family,
};
use crate::{otlp::Value, record::Context};

/// One attribute that fills a field.
#[derive(Debug, Clone, Copy)]
struct Hit<'a> {
    field: Field,
    dialect: u8,
    order: u16,
    /// It means something on spans of its own dialect only.
    own: bool,
    key: &'static str,
    value: Value<'a>,
}

/// One indexed attribute: `llm.input_messages.3.message.role` is index 3, path `message.role`.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Which list.
    pub family: Family,
    /// Position in it.
    pub index: u32,
    /// What of it.
    pub path: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// What one pass finds.
#[derive(Default)]
pub struct Scratch<'a> {
    hits: Vec<Hit<'a>>,
    pub(super) members: Vec<Member<'a>>,
    pub(super) rest: Vec<(&'a [u8], Value<'a>)>,
    context: Vec<(u8, u16, Value<'a>)>,
    objects: Vec<Value<'a>>,
    pub(super) signs: u32,
    pub(super) special: bool,
    /// Which key came last time after each key, by its number; first, which one came first. Spans of
    /// one kind have their keys in one order.
    pub(super) order: Vec<u32>,
}

/// A value that a field got, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Got<'a> {
    /// The attribute.
    pub key: &'static str,
    /// Its value.
    pub value: Value<'a>,
}

/// The number of a hit; `NONE` where a slot has none. Small, so that a span's slots are cheap.
type Slot = u8;
const NONE: Slot = Slot::MAX;
/// Attributes that fill a field and are looked at; no real span has so many.
const MOST_HITS: usize = NONE as usize;

const SLOTS: usize = Field::ALL.len();
/// The signs of a span's dialects are bits of one word.
const MOST_DIALECTS: usize = 32;
const _: () = assert!(DIALECTS.len() <= MOST_DIALECTS);

/// A span's attributes, sorted out.
pub struct Reading<'s, 'a> {
    hits: &'s [Hit<'a>],
    slots: [Slot; SLOTS],
    kinds: [Slot; MOST_DIALECTS],
    /// Indexed attributes.
    pub members: &'s [Member<'a>],
    /// Attributes that nothing else takes.
    pub rest: &'s [(&'a [u8], Value<'a>)],
    /// The span's own dialect.
    pub dialect: &'static Dialect,
    /// Name of the instrumentation scope.
    pub scope: &'s str,
    /// True if that name shows the dialect: then the span is GenAI's even without attributes.
    pub is_by_scope: bool,
    is_genai: bool,
}

// === impl Scratch ===

impl<'a> Scratch<'a> {
    pub(super) fn clear(&mut self) {
        self.hits.clear();
        self.members.clear();
        self.rest.clear();
        self.context.clear();
        self.objects.clear();
        self.signs = 0;
        self.special = false;
    }

    pub(super) fn take(&mut self, target: Target, key: &'a [u8], value: Value<'a>) {
        match target {
            Target::Field {
                key,
                field,
                dialect,
                order,
                sign,
                own,
                tells,
            } => {
                if sign {
                    self.signs |= 1 << dialect;
                }
                if self.hits.len() < MOST_HITS && field.can_hold(value) {
                    self.special |= tells;
                    self.hits.push(Hit {
                        field,
                        dialect,
                        order,
                        own,
                        key,
                        value,
                    });
                }
            }
            Target::Context { column, order } => {
                if !fields::is_blank(value) {
                    self.context.push((column, order, value));
                }
            }
            Target::ContextObject => {
                // Its other members are metadata.
                self.objects.push(value);
                if self.rest.len() < limits::METADATA_KEYS {
                    self.rest.push((key, value));
                }
            }
            Target::Sign { dialect } => self.signs |= 1 << dialect,
            Target::Dropped => {}
        }
    }

    /// The context that stands on the span; `None` if none does.
    pub fn context(&mut self) -> Option<Arc<Context>> {
        if self.context.is_empty() && self.objects.is_empty() {
            return None;
        }
        self.context
            .sort_by_key(|(column, order, _)| (*column, *order));
        let mut found = Context::default();
        for (column, _, value) in &self.context {
            if let (Some(slot), Some(text)) =
                (context::slot(&mut found, *column), fields::scalar(*value))
                && slot.is_none()
            {
                *slot = Some(limits::name(&text, limits::CONTEXT_BYTES).into());
            }
        }
        for object in self.objects.iter().filter_map(|value| fields::json(*value)) {
            for (name, value) in object.as_object().into_iter().flatten() {
                let column = context::of_member(name);
                if let (Some(slot), Some(text)) = (
                    column.and_then(|column| context::slot(&mut found, column)),
                    value.as_str(),
                ) && slot.is_none()
                {
                    *slot = Some(limits::name(text, limits::CONTEXT_BYTES).into());
                }
            }
        }
        (!found.is_empty()).then(|| Arc::new(found))
    }

    /// One value a field. `scope_dialect` comes from the scope's name, which beats the signs.
    pub fn settle<'s>(&'s self, scope: &'s str, scope_dialect: Option<u8>) -> Reading<'s, 'a> {
        let own = scope_dialect.or_else(|| {
            (self.signs != 0).then(|| u8::try_from(self.signs.trailing_zeros()).unwrap_or(0))
        });
        let dialect = own
            .and_then(|place| DIALECTS.get(usize::from(place)).copied())
            .unwrap_or(DEFAULT);
        let own = own.unwrap_or(OTEL);
        let mut slots = [NONE; SLOTS];
        let mut kinds = [NONE; MOST_DIALECTS];
        let mut is_genai = !self.members.is_empty();
        let rank = |hit: &Hit<'_>| {
            let near = match hit.dialect {
                PLAIN => 0,
                place if place == own => 1,
                place => 2 + place,
            };
            (near, hit.order)
        };
        for (number, hit) in (0..NONE).zip(&self.hits) {
            if hit.own && hit.dialect != own {
                continue;
            }
            is_genai |= !hit.field.is_general();
            let (row, at) = match hit.field {
                Field::Kind => (kinds.as_mut_slice(), usize::from(hit.dialect)),
                field => (slots.as_mut_slice(), field.index()),
            };
            if let Some(slot) = row.get_mut(at)
                && self
                    .hits
                    .get(usize::from(*slot))
                    .is_none_or(|known| rank(hit) < rank(known))
            {
                *slot = number;
            }
        }
        Reading {
            hits: &self.hits,
            slots,
            kinds,
            members: &self.members,
            rest: &self.rest,
            dialect,
            scope,
            is_by_scope: scope_dialect.is_some(),
            is_genai,
        }
    }
}

// === impl Reading ===

impl<'a> Reading<'_, 'a> {
    fn at(&self, slot: Slot) -> Option<Got<'a>> {
        let hit = self.hits.get(usize::from(slot))?;
        Some(Got {
            key: hit.key,
            value: hit.value,
        })
    }

    /// What a field got.
    pub fn got(&self, field: Field) -> Option<Got<'a>> {
        self.at(*self.slots.get(field.index())?)
    }

    /// True if a field got anything.
    pub fn has(&self, field: Field) -> bool {
        self.got(field).is_some()
    }

    /// The kind words, with the dialect that said them, the strongest first.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static Dialect, Cow<'a, str>)> {
        DIALECTS
            .iter()
            .zip(&self.kinds)
            .filter_map(|(dialect, slot)| Some((*dialect, fields::scalar(self.at(*slot)?.value)?)))
    }

    /// True if a field got a value that only GenAI spans carry.
    pub fn is_genai(&self) -> bool {
        self.is_genai
    }

    /// Text of a field, as sent.
    pub fn text(&self, field: Field) -> Option<Cow<'a, str>> {
        self.got(field).and_then(|got| fields::scalar(got.value))
    }

    /// Text of a field, trimmed and cut to the size of a name.
    pub fn name(&self, field: Field) -> Option<SmolStr> {
        self.text(field)
            .map(|text| limits::name(&text, limits::NAME_BYTES).into())
            .filter(|name: &SmolStr| !name.is_empty())
    }

    /// A count.
    pub fn count(&self, field: Field) -> Option<i64> {
        self.got(field).and_then(|got| fields::count(got.value))
    }

    /// A number.
    pub fn number(&self, field: Field) -> Option<f64> {
        self.got(field).and_then(|got| fields::number(got.value))
    }

    /// A flag.
    pub fn flag(&self, field: Field) -> Option<bool> {
        self.got(field).and_then(|got| fields::flag(got.value))
    }

    /// Indexed attributes of one list.
    pub fn family(&self, family: Family) -> impl Iterator<Item = &Member<'a>> {
        self.members
            .iter()
            .filter(move |member| member.family == family)
    }
}
