//! The fields of a mapping: keys as kubectl reads them, duplicates, and merge keys.

use super::build::{Builder, Collection, Open};
use super::kubectl;
use super::parse::Reading;
use super::tree::{Key, Node, Style, Value};
use crate::diagnostic::Diagnostic;
use crate::quote::quote;
use crate::source::Span;
use std::collections::{HashMap, HashSet};

/// Mappings of more fields than this find duplicate keys through an index.
const INDEXED_FIELDS: usize = 16;

/// A mapping that is still open.
#[derive(Default)]
pub(super) struct Mapping {
    pub(super) entries: Vec<(Key, Node)>,
    /// The key whose value comes next.
    key: Option<NextKey>,
    /// Where each key is in `entries`, once there are many.
    index: HashMap<String, usize>,
    /// Which entries came by a merge key.
    merged: HashSet<usize>,
}

pub(super) enum NextKey {
    Field(Key),
    /// `<<`, and where it stands.
    Merge(Span),
}

impl Builder<'_> {
    /// Adds a finished node to its collection, or makes it the document.
    pub(super) fn push(&mut self, mut node: Node) -> Result<(), Diagnostic> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let mapping = match &mut open.collection {
            Collection::Sequence(items) => {
                items.push(node);
                return Ok(());
            }
            Collection::Mapping(mapping) => mapping,
        };
        match mapping.key.take() {
            None => {
                let key = self.key(node);
                if let Some(Open { collection: Collection::Mapping(mapping), .. }) = self.open.last_mut() {
                    mapping.key = Some(key);
                }
            }
            Some(NextKey::Field(key)) => {
                if node.is_null() && node.span.start == node.span.end {
                    node.span = key.span;
                }
                if let Some(before) = mapping.put(key.clone(), node, false) {
                    let (line, _) = self.source.location(before.start);
                    let help = match self.reading {
                        Reading::Strict => format!("it stands in line {line} already; keep one of them"),
                        Reading::Kubectl => {
                            format!(
                                "it stands in line {line} already, and kubectl takes the last; keep one of them"
                            )
                        }
                    };
                    self.doubt(format!("duplicate key {}", quote(&key.name)), key.span, help);
                }
            }
            Some(NextKey::Merge(span)) => self.merge(node, span),
        }
        Ok(())
    }

    /// The key that a node is.
    fn key(&mut self, node: Node) -> NextKey {
        let Node { value, span, style } = node;
        let written = self.source.slice(span);
        let (name, wrong) = match value {
            Value::String(name) if name == "<<" && style == Style::Plain => return NextKey::Merge(span),
            Value::String(name) => (name, None),
            Value::Sequence(_) | Value::Mapping(_) => {
                let wrong = "a list or mapping cannot be a key".to_owned();
                (written.to_owned(), Some((wrong, "use a string as the key".to_owned())))
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => match self.reading {
                Reading::Kubectl if value != Value::Null => {
                    (kubectl::key_text(written).unwrap_or_else(|| written.to_owned()), None)
                }
                _ => {
                    let wrong = format!("the key {} is not a string", quote(written));
                    (written.to_owned(), Some((wrong, format!("put it in quotes: \"{written}\""))))
                }
            },
        };
        if let Some((message, help)) = wrong {
            let error = self.error(message, span);
            self.push_problem(error.help(help));
        }
        NextKey::Field(Key { name, span })
    }

    /// `<<`: the fields of another mapping, or of several, of which the first one counts. As in kubectl, a
    /// later field replaces an earlier one, written or merged.
    fn merge(&mut self, node: Node, at: Span) {
        let all: Vec<Node> = match node.value {
            Value::Mapping(_) => vec![node],
            Value::Sequence(items) => items.into_iter().rev().collect(),
            _ => vec![node],
        };
        if !all.iter().all(|node| matches!(node.value, Value::Mapping(_))) {
            let error = self.error("`<<` merges a mapping, or a list of mappings", at);
            return self.push_problem(error.help("write `<<: *name`, with `&name` at a mapping above"));
        }
        let Some(Open { collection: Collection::Mapping(mapping), .. }) = self.open.last_mut() else {
            return;
        };
        let mut replaced = Vec::new();
        for node in all {
            let Value::Mapping(entries) = node.value else { continue };
            for (key, value) in entries {
                let name = key.name.clone();
                replaced.extend(mapping.put(key, value, true).map(|_| name));
            }
        }
        for name in replaced {
            let help = "kubectl lets the later one win; write `<<` first, so that what is written counts";
            self.doubt(format!("`<<` replaces the field {} above it", quote(&name)), at, help);
        }
    }
}

impl Mapping {
    /// Inserts an entry, or replaces the one with its key. Returns where that one was written, unless it
    /// came by a merge.
    fn put(&mut self, key: Key, node: Node, merged: bool) -> Option<Span> {
        let at = self.position(&key.name);
        let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) else {
            if merged {
                self.merged.insert(self.entries.len());
            }
            if self.entries.len() >= INDEXED_FIELDS {
                self.index.insert(key.name.clone(), self.entries.len());
            }
            self.entries.push((key, node));
            return None;
        };
        let before = entry.0.span;
        *entry = (key, node);
        let at = at.unwrap_or_default();
        let was_merged = self.merged.contains(&at);
        if merged {
            self.merged.insert(at)
        } else {
            self.merged.remove(&at)
        };
        (!was_merged).then_some(before)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let linear = self.entries.iter().take(INDEXED_FIELDS).position(|(key, _)| key.name == name);
        linear.or_else(|| self.index.get(name).copied())
    }
}
