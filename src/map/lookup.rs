//! The tables of all dialects in one, built once, and the pass over a span's attributes that asks them.

use rustc_hash::FxHashMap;

use super::{
    context,
    dialect::{DIALECTS, Dialect, Event},
    fields::Field,
    limits,
    messages::Family,
    read::{Member, Scratch},
};
use crate::otlp::{Attributes, value::utf8};

/// What an attribute is good for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Field {
        key: &'static str,
        field: Field,
        dialect: u8,
        order: u16,
        sign: bool,
        own: bool,
        /// It may make the span one of ours, whatever its dialect.
        tells: bool,
    },
    Context {
        column: u8,
        order: u16,
    },
    /// A JSON object whose members are context.
    ContextObject,
    Sign {
        dialect: u8,
    },
    Dropped,
}

/// A key of an attribute.
struct Key {
    name: Box<[u8]>,
    targets: Vec<Target>,
}

/// The number of no key.
const NONE: u32 = u32::MAX;

/// The tables of all dialects in one.
pub struct Lookup {
    /// Number of each known key. By bytes: a key that is found is ASCII, one that isn't need not be
    /// text.
    numbers: FxHashMap<Box<[u8]>, u32>,
    /// By number.
    keys: Vec<Key>,
    families: FxHashMap<&'static str, Family>,
    events: FxHashMap<&'static str, Event>,
}

impl Lookup {
    /// Merges the tables; `extra` are attributes that the user adds to context columns.
    pub fn new<'k>(extra: impl Iterator<Item = (&'k str, &'k str)>) -> Self {
        let mut lookup = Lookup {
            numbers: FxHashMap::default(),
            keys: Vec::new(),
            families: FxHashMap::default(),
            events: FxHashMap::default(),
        };
        let mut order = 0;
        // The user's own keys come first, then ours, then the libraries'.
        let tables = DIALECTS.iter().flat_map(|d| d.context.iter().copied());
        for (key, column) in extra.chain(context::KEYS.iter().copied()).chain(tables) {
            if let Some(column) = context::column(column) {
                lookup.add(key, Target::Context { column, order });
                order += 1;
            } else if column == context::MEMBERS {
                lookup.add(key, Target::ContextObject);
            }
        }
        for (place, dialect) in (0u8..).zip(DIALECTS) {
            let everywhere = dialect.keys.iter().map(|line| (line, false));
            let fields = everywhere.chain(dialect.own.iter().map(|line| (line, true)));
            for (order, ((key, field), own)) in (0u16..).zip(fields) {
                let sign = dialect.signs.contains(key);
                lookup.add(
                    key,
                    Target::Field {
                        key,
                        field: *field,
                        dialect: place,
                        order,
                        sign,
                        own,
                        // A database may be a vector store.
                        tells: !own && (!field.is_general() || *field == Field::DbSystem),
                    },
                );
            }
            for sign in dialect.signs {
                let mut fields = dialect.keys.iter().chain(dialect.own);
                if !fields.any(|(key, _)| key == sign) {
                    lookup.add(sign, Target::Sign { dialect: place });
                }
            }
            for key in dialect.dropped {
                lookup.add(key, Target::Dropped);
            }
            lookup.families.extend(dialect.families.iter().copied());
            lookup.events.extend(dialect.events.iter().copied());
        }
        lookup
    }

    fn add(&mut self, key: &str, target: Target) {
        // Users may add keys, but not so many.
        let next = u32::try_from(self.keys.len()).unwrap_or(NONE);
        let number = *self.numbers.entry(key.as_bytes().into()).or_insert(next);
        match self.keys.get_mut(number as usize) {
            Some(known) => known.targets.push(target),
            None => self.keys.push(Key {
                name: key.as_bytes().into(),
                targets: vec![target],
            }),
        }
    }

    /// The key of this name, and its number.
    #[inline]
    fn find(&self, name: &[u8], guess: u32) -> Option<(u32, &Key)> {
        if let Some(key) = self.keys.get(guess as usize)
            && *key.name == *name
        {
            return Some((guess, key));
        }
        let number = *self.numbers.get(name)?;
        Some((number, self.keys.get(number as usize)?))
    }

    /// What an event of this name brings.
    pub fn event(&self, name: &[u8]) -> Option<Event> {
        self.events.get(utf8(name)?).copied()
    }

    /// The place of the dialect that a scope's name shows.
    pub fn scope_dialect(&self, scope: &str) -> Option<u8> {
        let shows = |d: &&Dialect| d.scopes.iter().any(|start| scope.starts_with(start));
        DIALECTS
            .iter()
            .position(shows)
            .and_then(|place| u8::try_from(place).ok())
    }

    /// Walks the attributes once. True if any of them may make the span one of ours: attributes
    /// that spans of every trade carry, and context, do not.
    pub fn walk<'a>(&self, attributes: Attributes<'a>, scratch: &mut Scratch<'a>) -> bool {
        scratch.clear();
        self.walk_on(attributes, scratch)
    }

    /// Walks more attributes of the same span.
    pub fn walk_on<'a>(&self, mut attributes: Attributes<'a>, scratch: &mut Scratch<'a>) -> bool {
        scratch.order.resize(self.keys.len() + 1, NONE);
        let mut last = 0;
        for _ in 0..limits::ATTRIBUTES {
            let Some((key, value)) = attributes.read() else {
                break;
            };
            let guess = scratch.order.get(last).copied().unwrap_or(NONE);
            if let Some((number, known)) = self.find(key, guess) {
                if number != guess
                    && let Some(next) = scratch.order.get_mut(last)
                {
                    *next = number;
                }
                last = number as usize + 1;
                for target in &known.targets {
                    scratch.take(*target, key, value);
                }
                continue;
            }
            if let Some((family, index, path)) = self.member(key) {
                scratch.members.push(Member {
                    family,
                    index,
                    path,
                    value,
                });
            } else if scratch.rest.len() < limits::METADATA_KEYS && utf8(key).is_some() {
                scratch.rest.push((key, value));
            }
        }
        scratch.special || !scratch.members.is_empty() || scratch.signs != 0
    }

    fn member<'k>(&self, key: &'k [u8]) -> Option<(Family, u32, &'k str)> {
        // Most keys have no digit: folded, not searched, many bytes at once.
        let has_digit = |any, byte: &u8| any | byte.is_ascii_digit();
        key.iter().fold(false, has_digit).then_some(())?;
        let is_index = |two: &[u8]| matches!(two, [b'.', b'0'..=b'9']);
        let dot = key.windows(2).position(is_index)?;
        let key = utf8(key)?;
        let family = *self.families.get(key.get(..dot)?)?;
        let after = key.get(dot + 1..)?;
        let (index, path) = after.split_once('.').unwrap_or((after, ""));
        Some((family, index.parse().ok()?, path))
    }
}
