//! What of a scenario could not be read, and which of its steps that concerns.

use netproof_api::yaml::{LeftOut, Node, Segment};
use netproof_documents::document::{Document, Problems};
use netproof_documents::topology;

/// What of a scenario could not be read, outside of its items.
#[derive(Debug, Default)]
pub struct Gaps {
    /// What everything else depends on.
    pub base: bool,
    /// How to read what the API leaves open.
    pub profile: bool,
    /// What the rest of an inline topology depends on.
    pub topology: bool,
    /// Changes of a step, which has this position among all that are written.
    changes: Vec<usize>,
    /// Steps of which nothing is left.
    steps: Vec<usize>,
    /// Expectations of a step.
    expectations: Vec<usize>,
}

impl Gaps {
    /// What could not be read of a scenario. Where its YAML is wrong, as where a key stands twice, nobody knows what was
    /// meant; items of objects see to that themselves.
    pub fn found(document: &Document, lost: &[LeftOut], problems: &Problems) -> Gaps {
        let broken = problems.broken(&document.source).filter(|span| {
            let root = document.root.span;
            root.start <= span.start && span.start < root.end
        });
        let broken: Vec<Vec<Segment>> = broken.map(|span| way_to(&document.root, span.start)).collect();
        let is_item = |way: &&[Segment]| way.windows(2).any(is_items);
        let broken = broken.iter().map(Vec::as_slice).filter(|way| !is_item(way));
        Gaps::of(lost.iter().map(|lost| lost.way.as_slice()).chain(broken))
    }

    /// From the ways to all that could not be read.
    fn of<'a>(ways: impl IntoIterator<Item = &'a [Segment]>) -> Gaps {
        let mut gaps = Gaps::default();
        for way in ways {
            if let [Segment::Field(spec), Segment::Field(topology), rest @ ..] = way {
                gaps.topology |=
                    (spec.as_str(), topology.as_str()) == ("spec", "topology") && topology::is_needed(rest);
            }
            let mut words = way.iter().filter_map(|segment| match segment {
                Segment::Field(name) => Some(name.as_str()),
                Segment::Index(_) => None,
            });
            let step = way.get(2).and_then(|segment| match segment {
                Segment::Index(index) => Some(*index),
                Segment::Field(_) => None,
            });
            match (words.next(), words.next(), step, words.next()) {
                (Some("metadata"), ..)
                | (Some("spec"), Some("description" | "matrix" | "matchesNothing"), ..) => {}
                (Some("spec"), Some("steps"), Some(_), Some("name")) => {}
                (Some("spec"), Some("profile"), ..) => gaps.profile = true,
                // The others of a list are meant all the same.
                (Some("spec"), Some("variants"), None, Some(_))
                    if matches!(way, [.., Segment::Field(_), Segment::Index(_)]) => {}
                (Some("spec"), Some("steps"), Some(step), Some("expect" | "matrix")) => {
                    gaps.expectations.push(step)
                }
                (Some("spec"), Some("steps"), Some(step), Some(_)) => gaps.changes.push(step),
                (Some("spec"), Some("steps"), Some(step), None) => gaps.steps.push(step),
                _ => gaps.base = true,
            }
        }
        gaps
    }

    /// The position of a step among all that are written, from that among those that could be read.
    fn written(&self, read: usize) -> usize {
        let mut at = 0;
        let mut left = read;
        while left > 0 || self.steps.contains(&at) {
            left -= usize::from(!self.steps.contains(&at));
            at += 1;
        }
        at
    }

    /// Whether changes of a step that could be read are lost, or all of a step right before it.
    pub fn has_changes_of(&self, read: usize) -> bool {
        let at = self.written(read);
        let before = match read.checked_sub(1) {
            Some(previous) => self.written(previous) + 1,
            None => 0,
        };
        self.changes.contains(&at) || self.steps.iter().any(|step| (before..at).contains(step))
    }

    /// Whether expectations of a step that could be read are lost.
    pub fn has_expectations_of(&self, read: usize) -> bool {
        self.expectations.contains(&self.written(read))
    }
}

/// The way to the innermost value around a place. Values lie inside each other as their texts do.
fn way_to(root: &Node, start: usize) -> Vec<Segment> {
    let mut way = Vec::new();
    let mut node = root;
    loop {
        let around = |node: &Node| node.span.start <= start && start < node.span.end;
        let item = node.items().iter().position(around);
        // The key of a field belongs to it.
        let field =
            node.entries().iter().find(|(key, value)| key.span.start <= start && start < value.span.end);
        node = match (item.and_then(|at| Some((at, node.items().get(at)?))), field) {
            (Some((at, item)), _) => {
                way.push(Segment::Index(at));
                item
            }
            (None, Some((key, value))) => {
                way.push(Segment::Field(key.name.clone()));
                value
            }
            (None, None) => return way,
        };
    }
}

/// Whether this is the way to an item of objects.
fn is_items(pair: &[Segment]) -> bool {
    matches!(pair, [Segment::Field(name), Segment::Index(_)] if name == "objects" || name == "apply")
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::Source;
    use netproof_api::yaml::parse;

    #[test]
    fn gaps_belong_to_the_steps_as_they_are_written() {
        let text =
            "spec: {steps: [{name: a}, 7, {name: b, apply: 1, expect: [2]}, {name: c, expect: [{flow: 3}]}]}";
        let source = Source::new("in", text);
        let root = parse(&source).unwrap().remove(0);
        let ways: Vec<Vec<Segment>> =
            ["7", "2", "3"].map(|mark| way_to(&root, text.find(mark).unwrap())).into_iter().collect();
        let gaps = Gaps::of(ways.iter().map(Vec::as_slice));
        assert!(!gaps.base);
        assert_eq!([0, 1, 2].map(|step| gaps.has_changes_of(step)), [false, true, false]);
        assert_eq!([0, 1, 2].map(|step| gaps.has_expectations_of(step)), [false, true, true]);
        let ways = [way_to(&root, text.find("apply").unwrap())];
        assert!(Gaps::of(ways.iter().map(Vec::as_slice)).has_changes_of(2));
        assert!(Gaps::of([[].as_slice()]).base);
        let field = |name: &str| Segment::Field(name.to_owned());
        let list = [field("spec"), field("variants"), field("family")];
        let word = [list.as_slice(), &[Segment::Index(1)]].concat();
        assert!(Gaps::of([list.as_slice()]).base && !Gaps::of([word.as_slice()]).base);
    }
}
