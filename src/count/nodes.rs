//! The spans of one trace, by id and by place. Most traces have a handful of spans, for which a list
//! is smaller and quicker than a map; beyond that an index finds them.

use super::family::{MAX_DEPTH, Node};
use crate::record::{IdMap, SpanId};

/// Up to this many spans are looked through one by one.
const FEW: usize = 16;

/// The spans of a trace, in the order in which they came. A span keeps its place, and its place is
/// never that of another one.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Apart from the rest: looking through them takes little memory.
    ids: Vec<SpanId>,
    list: Vec<Node>,
    /// Places by id; none while there are few.
    index: Option<Box<IdMap<SpanId, usize>>>,
}

impl Nodes {
    /// Where a span is.
    pub fn place(&self, id: &SpanId) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.get(id).copied();
        }
        // To the end: how far to go would be guessed, and mostly wrong.
        let all = self.ids.iter().enumerate();
        let found = all.fold(usize::MAX, |found, (place, known)| match known == id {
            true => place,
            false => found,
        });
        (found < self.ids.len()).then_some(found)
    }

    pub fn get(&self, id: &SpanId) -> Option<&Node> {
        self.place(id).map(|place| self.at(place))
    }

    pub fn get_mut(&mut self, id: &SpanId) -> Option<&mut Node> {
        self.place(id).map(|place| self.at_mut(place))
    }

    /// The span at a place.
    pub fn at(&self, place: usize) -> &Node {
        &self.list[place]
    }

    pub fn at_mut(&mut self, place: usize) -> &mut Node {
        &mut self.list[place]
    }

    /// The id of the span at a place.
    pub fn id(&self, place: usize) -> SpanId {
        self.ids[place]
    }

    /// Adds a span that is not there yet; says where it is now.
    pub fn push(&mut self, id: SpanId, node: Node) -> usize {
        let place = self.list.len();
        self.ids.push(id);
        self.list.push(node);
        match &mut self.index {
            Some(index) => drop(index.insert(id, place)),
            None if place == FEW => {
                let ids = self.ids.iter().copied();
                self.index = Some(Box::new(ids.zip(0..).collect()));
            }
            None => {}
        }
        place
    }

    /// Finds the parents of those that came before them, or with them. Spans that name themselves or
    /// one another as parents stand in a ring: its span with the least id has no parent then,
    /// whichever came first, since two that are each above the other would both be wrappers.
    pub fn tie(&mut self) {
        for place in 0..self.list.len() {
            let node = self.at(place);
            if node.above.is_none()
                && let Some(parent) = node.parent
                && let Some(above) = self.place(&parent)
            {
                self.at_mut(place).above = Some(above);
                self.cut_ring(place);
            }
        }
    }

    /// Takes away a parent, if this one was tied to somebody below it.
    fn cut_ring(&mut self, place: usize) {
        let mut least = place;
        let mut next = self.at(place).above;
        for _ in 0..MAX_DEPTH {
            match next {
                None => return,
                Some(above) if above == place => {
                    self.at_mut(least).above = None;
                    return;
                }
                Some(above) => {
                    if self.ids[above] < self.ids[least] {
                        least = above;
                    }
                    next = self.at(above).above;
                }
            }
        }
    }

    /// Makes room for more.
    pub fn reserve(&mut self, more: usize) {
        self.ids.reserve(more);
        self.list.reserve(more);
    }

    /// Gives back the room for more: few traces get any.
    pub fn shrink(&mut self) {
        self.ids.shrink_to_fit();
        self.list.shrink_to_fit();
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them, each with its place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.list.iter().enumerate()
    }

    pub fn values(&self) -> impl Iterator<Item = &Node> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> SpanId {
        SpanId((n as u64 + 1).to_be_bytes())
    }

    #[test]
    fn few_or_many_are_found_by_id_and_tied_to_their_parents() {
        let mut nodes = Nodes::default();
        // Each stands above the one before it, as spans come that ended first.
        for n in 0..100 {
            assert_eq!(nodes.place(&id(n)), None);
            let node = Node {
                parent: Some(id(n + 1)),
                started_at: n as i64,
                ..Node::default()
            };
            assert_eq!(nodes.push(id(n), node), n);
            nodes.get_mut(&id(n)).unwrap().is_genai = true;
            nodes.tie();
            assert_eq!(nodes.len(), n + 1);
            for known in 0..=n {
                assert_eq!(nodes.get(&id(known)).unwrap().started_at, known as i64);
                assert_eq!(nodes.id(known), id(known));
                let above = Some(known + 1).filter(|above| *above <= n);
                assert_eq!(nodes.at(known).above, above);
            }
            assert!(nodes.get_mut(&id(n + 1)).is_none());
        }
        assert!(nodes.values().all(|node| node.is_genai));
    }

    /// Scenario: spans that are their own parents, and rings of two and three with a span below, in
    /// every order, tied one by one or all at once.
    /// Guarantees: the ring is open above its least id, and all others are tied as they say.
    #[test]
    fn rings_are_cut_above_the_least_id_whatever_comes_first() {
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
        for (parents, root) in [([0, 0, 1, 2], 0), ([1, 0, 1, 2], 0), ([1, 2, 0, 2], 0)] {
            for order in orders {
                for is_at_once in [false, true] {
                    let mut nodes = Nodes::default();
                    for n in order {
                        let parent = Some(id(parents[n]));
                        let node = Node {
                            parent,
                            ..Node::default()
                        };
                        nodes.push(id(n), node);
                        if !is_at_once {
                            nodes.tie();
                        }
                    }
                    nodes.tie();
                    nodes.tie();
                    for n in order {
                        let above = nodes.get(&id(n)).unwrap().above.map(|at| nodes.id(at));
                        let expected = (n != root).then(|| id(parents[n]));
                        assert_eq!(above, expected, "{parents:?} {order:?} {n}");
                    }
                }
            }
        }
    }
}
