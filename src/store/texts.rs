//! The texts of earlier messages that a commit has to write.
//!
//! A conversation repeats its turns in every call; its texts are stored once a day. Which ones are
//! stored is remembered for a while, so that a running conversation sends the store only what is
//! new. Forgetting costs time, never a text: the store passes over what it has.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Batch,
    tables::{DayText, MESSAGE_TEXTS, Packed},
};
use crate::record::{History, TextHash};

/// Texts remembered, in each of two generations: 24 bytes each.
const MOST: usize = 50_000;

/// Texts that are stored: only what is committed may stand here.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Generations>);

/// When the young ones are many they become the old ones, and the old ones are forgotten: what is
/// asked for again stays.
#[derive(Debug, Default)]
struct Generations {
    young: HashSet<(TextHash, i64)>,
    old: HashSet<(TextHash, i64)>,
}

impl Known {
    /// The batch's texts that are not known to be stored, each once, in the order of their keys:
    /// two processes that write the same ones wait for each other in one direction only.
    pub fn fresh(&self, batch: &Batch) -> Vec<DayText> {
        let mut histories = histories(batch).peekable();
        if histories.peek().is_none() {
            return Vec::new();
        }
        let mut fresh = BTreeMap::new();
        let mut known = self.lock();
        for (started_at, history) in histories {
            for message in history.messages() {
                let key = DayText::key_of(started_at, message.hash);
                if !known.has(key) {
                    let text = || DayText::new(started_at, message.clone());
                    fresh.entry(key).or_insert_with(text);
                }
            }
        }
        fresh.into_values().collect()
    }

    /// These are committed.
    pub fn remember(&self, texts: &[DayText]) {
        let mut known = self.lock();
        texts.iter().for_each(|text| known.add(text.key()));
    }

    /// The store may be another one.
    pub fn forget(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn has(&mut self, key: (TextHash, i64)) -> bool {
        if self.young.contains(&key) {
            return true;
        }
        let is_old = self.old.contains(&key);
        if is_old {
            self.add(key);
        }
        is_old
    }

    fn add(&mut self, key: (TextHash, i64)) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

/// The rows of texts.
pub(super) fn packed(texts: &[DayText]) -> Packed {
    let mut rows = Packed::new(&MESSAGE_TEXTS);
    texts
        .iter()
        .for_each(|text| rows.push(&MESSAGE_TEXTS, text));
    rows
}

/// The histories of a batch, each with the time whose day its texts are stored for. Content whose
/// call is not there yet has none but its own.
fn histories(batch: &Batch) -> impl Iterator<Item = (i64, &History)> {
    let of_calls = batch.rows.histories.iter();
    let of_calls = of_calls.map(|(started_at, history)| (*started_at, &**history));
    let of_contents = batch.contents.iter();
    of_calls.chain(of_contents.filter_map(|c| Some((c.received_at, c.history.as_deref()?))))
}
