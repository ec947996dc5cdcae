//! What is known of the spans of one trace, by id. Most traces have a handful, for which a list is
//! smaller and quicker than a map; beyond that an index finds them.

use rustc_hash::FxHashMap;

use super::family::Node;
use crate::record::SpanId;

/// Up to this many spans are looked through one by one.
const FEW: usize = 16;

/// The spans of a trace.
pub(super) type Nodes = BySpan<Node>;

/// Something of each span, in the order in which it came.
#[derive(Debug)]
pub(super) struct BySpan<T> {
    list: Vec<(SpanId, T)>,
    /// Place in the list; none while there are few.
    index: Option<Box<FxHashMap<SpanId, usize>>>,
}

impl<T> Default for BySpan<T> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            index: None,
        }
    }
}

impl<T> BySpan<T> {
    fn place(&self, id: &SpanId) -> Option<usize> {
        match &self.index {
            None => self.list.iter().position(|(known, _)| known == id),
            Some(index) => index.get(id).copied(),
        }
    }

    pub fn get(&self, id: &SpanId) -> Option<&T> {
        self.list.get(self.place(id)?).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, id: &SpanId) -> Option<&mut T> {
        let place = self.place(id)?;
        self.list.get_mut(place).map(|(_, value)| value)
    }

    pub fn contains_key(&self, id: &SpanId) -> bool {
        self.place(id).is_some()
    }

    /// Adds a span, or puts it in the place of the one with its id; says whether it is new.
    pub fn insert(&mut self, id: SpanId, value: T) -> bool {
        if let Some(known) = self.get_mut(&id) {
            *known = value;
            return false;
        }
        let place = self.list.len();
        self.list.push((id, value));
        match &mut self.index {
            Some(index) => drop(index.insert(id, place)),
            None if place == FEW => {
                let ids = self.list.iter().map(|(id, _)| *id);
                self.index = Some(Box::new(ids.zip(0..).collect()));
            }
            None => {}
        }
        true
    }

    /// Makes room for more.
    pub fn reserve(&mut self, more: usize) {
        self.list.reserve(more);
    }

    /// Gives back the room for more: few traces get any.
    pub fn shrink(&mut self) {
        self.list.shrink_to_fit();
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SpanId, &T)> {
        self.list.iter().map(|(id, value)| (*id, value))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SpanId, &mut T)> {
        self.list.iter_mut().map(|(id, value)| (*id, value))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.list.iter().map(|(_, value)| value)
    }
}

impl<T: Default> BySpan<T> {
    /// What is known of a span, its default if nothing was.
    pub fn or_default(&mut self, id: SpanId) -> &mut T {
        let place = match self.place(&id) {
            Some(place) => place,
            None => {
                self.insert(id, T::default());
                self.list.len() - 1
            }
        };
        &mut self.list[place].1
    }
}

impl<T> FromIterator<(SpanId, T)> for BySpan<T> {
    fn from_iter<I: IntoIterator<Item = (SpanId, T)>>(all: I) -> Self {
        let mut spans = Self::default();
        for (id, value) in all {
            spans.insert(id, value);
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_or_many_are_found_by_id() {
        let id = |n: u64| SpanId(n.to_be_bytes());
        let mut nodes = Nodes::default();
        for n in 1..=100u64 {
            let node = |started_at| Node {
                started_at,
                ..Node::default()
            };
            assert!(!nodes.contains_key(&id(n)));
            assert!(nodes.insert(id(n), node(-1)));
            assert!(!nodes.insert(id(n), node(n as i64)));
            nodes.or_default(id(n)).is_genai = true;
            assert_eq!(nodes.len() as u64, n);
            for known in 1..=n {
                assert_eq!(nodes.get(&id(known)).unwrap().started_at, known as i64);
            }
            assert!(nodes.get_mut(&id(n + 1)).is_none());
        }
        assert!(
            nodes
                .values()
                .all(|node| node.is_genai && node.started_at > 0)
        );
        assert_eq!(nodes.or_default(id(101)).started_at, 0);
        let order: Vec<i64> = nodes.iter().map(|(_, node)| node.started_at).collect();
        assert!(order[..100].is_sorted());
        assert_eq!(nodes.len(), 101);
    }
}
