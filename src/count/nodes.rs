//! The spans of one trace, by id. Most traces have a handful, for which a list is smaller and
//! quicker than a map; beyond that an index finds them.

use rustc_hash::FxHashMap;

use super::family::Node;
use crate::record::SpanId;

/// Up to this many spans are looked through one by one.
const FEW: usize = 16;

/// Spans by id, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    list: Vec<(SpanId, Node)>,
    /// Place in the list; empty while there are few.
    index: FxHashMap<SpanId, usize>,
}

impl Nodes {
    fn place(&self, id: &SpanId) -> Option<usize> {
        if self.list.len() <= FEW {
            return self.list.iter().position(|(known, _)| known == id);
        }
        self.index.get(id).copied()
    }

    pub fn get(&self, id: &SpanId) -> Option<&Node> {
        self.list.get(self.place(id)?).map(|(_, node)| node)
    }

    pub fn get_mut(&mut self, id: &SpanId) -> Option<&mut Node> {
        let place = self.place(id)?;
        self.list.get_mut(place).map(|(_, node)| node)
    }

    pub fn contains_key(&self, id: &SpanId) -> bool {
        self.place(id).is_some()
    }

    /// Adds a span, or puts it in the place of the one with its id.
    pub fn insert(&mut self, id: SpanId, node: Node) {
        if let Some(known) = self.get_mut(&id) {
            *known = node;
            return;
        }
        self.list.push((id, node));
        match self.list.len() {
            0..=FEW => {}
            len if len == FEW + 1 => {
                let ids = self.list.iter().map(|(id, _)| *id);
                self.index = ids.zip(0..).collect();
            }
            len => drop(self.index.insert(id, len - 1)),
        }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SpanId, &Node)> {
        self.list.iter().map(|(id, node)| (*id, node))
    }

    pub fn values(&self) -> impl Iterator<Item = &Node> {
        self.list.iter().map(|(_, node)| node)
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
            nodes.insert(id(n), node(-1));
            nodes.insert(id(n), node(n as i64));
            assert_eq!(nodes.len() as u64, n);
            for known in 1..=n {
                assert_eq!(nodes.get(&id(known)).unwrap().started_at, known as i64);
            }
            assert!(nodes.get_mut(&id(n + 1)).is_none());
        }
        let order: Vec<i64> = nodes.iter().map(|(_, node)| node.started_at).collect();
        assert!(order.is_sorted());
        assert_eq!(nodes.values().count(), 100);
    }
}
