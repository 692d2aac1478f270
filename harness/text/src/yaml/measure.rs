//! The size of a subtree: the cost of an alias to it.

use super::tree::{Key, Node, Value};

/// The size of a subtree.
#[derive(Default)]
pub(super) struct Measure {
    pub(super) nodes: usize,
    pub(super) depth: usize,
    pub(super) bytes: usize,
}

impl Measure {
    /// Recursion is bounded by [`MAX_DEPTH`](super::MAX_DEPTH), which holds for every finished node.
    pub(super) fn of(node: &Node) -> Measure {
        let mut measure = Measure { nodes: 1, depth: 0, bytes: size_of::<Node>() };
        let mut add = |child: &Node| {
            let inner = Measure::of(child);
            measure.nodes += inner.nodes;
            measure.bytes += inner.bytes;
            measure.depth = measure.depth.max(inner.depth);
        };
        match &node.value {
            Value::Sequence(items) => items.iter().for_each(&mut add),
            Value::Mapping(entries) => entries.iter().for_each(|(_, value)| add(value)),
            _ => {}
        }
        match &node.value {
            Value::Sequence(_) => measure.depth += 1,
            Value::Mapping(entries) => {
                measure.depth += 1;
                measure.bytes +=
                    entries.iter().map(|(key, _)| size_of::<Key>() + key.name.len()).sum::<usize>();
            }
            Value::String(text) => measure.bytes += text.len(),
            _ => {}
        }
        measure
    }
}
