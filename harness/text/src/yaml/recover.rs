//! Reads a typed value and finds every error in it: leaves out what cannot be read, and starts again.

use super::error::{Error, Segment};
use super::tree::{Key, Node, Style, Value};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::suggest::did_you_mean;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// After this many errors the rest is skipped.
const MAX_MISTAKES: usize = 50;

/// The result of reading a node.
#[derive(Debug)]
pub struct Recovered<T> {
    /// The value without its wrong parts; `None` if the rest makes no value.
    pub value: Option<T>,
    /// What is wrong.
    pub errors: Vec<Diagnostic>,
    /// The mappings and lists from which something was left out. Something missing there may be due to that.
    pub damaged: Vec<Span>,
    /// What was left out, except unknown fields: these do not affect the rest.
    pub lost: Vec<LeftOut>,
}

/// A part that was left out of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The path to it, from the top, by the names that were most likely meant.
    pub way: Vec<Segment>,
    /// The mapping or list that contained it.
    pub around: Span,
}

/// Reads a typed value from a node, and reports all errors at once.
pub fn recover<T: DeserializeOwned>(node: &Node, source: &Arc<Source>) -> Recovered<T> {
    let mut recovered = Recovered { value: None, errors: Vec::new(), damaged: Vec::new(), lost: Vec::new() };
    let error = match T::deserialize(node) {
        Ok(value) => return Recovered { value: Some(value), ..recovered },
        Err(error) => error,
    };
    let mut tree =
        Pruned { root: node.clone(), left_out: Vec::new(), filled: Vec::new(), misspelt: Vec::new() };
    let mut error: Error = error;
    while recovered.errors.len() < MAX_MISTAKES {
        let (path, missing) = error.place();
        let known = error.known();
        let lost = missing.filter(|field| tree.has_left_out(&path, field));
        if lost.is_none() && !tree.filled.contains(&tree.original(&path)) {
            let error = error.at(node.span).renumbered(|path| tree.original(path));
            recovered.errors.push(error.into_diagnostic(source, ""));
        }
        let damaged = missing.and_then(|field| tree.fill(&path, field).map(|span| (field, span)));
        if let Some((field, span)) = damaged {
            let way = tree.meant(&path).into_iter().chain([Segment::Field(field.to_owned())]).collect();
            recovered.lost.push(LeftOut { way, around: span });
            recovered.damaged.push(span);
        } else if !known.is_some_and(|known| tree.rename(&path, known)) {
            let way = tree.meant(&path);
            let is_harmless = known.is_some_and(|known| tree.has_any(&path, known));
            let around = tree.leave_out(&path);
            if !is_harmless {
                recovered.lost.push(LeftOut { way, around: around.unwrap_or(node.span) });
            }
            let Some(damaged) = around else { return recovered };
            recovered.damaged.push(damaged);
        }
        error = match T::deserialize(&tree.root) {
            Ok(value) => return Recovered { value: Some(value), ..recovered },
            Err(error) => error,
        };
    }
    recovered
}

/// A tree, and the paths to everything that was left out of it, with the original positions of items.
struct Pruned {
    root: Node,
    left_out: Vec<Vec<Segment>>,
    /// Where an empty text replaces a missing required field.
    filled: Vec<Vec<Segment>>,
    misspelt: Vec<Misspelt>,
}

/// A field that was given the name that was most likely meant.
struct Misspelt {
    /// The path to its mapping, before anything was left out.
    parent: Vec<Segment>,
    written: String,
    meant: &'static str,
}

impl Pruned {
    /// The path before anything was left out.
    fn original(&self, path: &[Segment]) -> Vec<Segment> {
        let mut way: Vec<Segment> = Vec::new();
        for segment in path {
            let mut segment = segment.clone();
            let mut misspelt = self.misspelt.iter().filter(|it| it.parent == way);
            if let Some(field) = misspelt.find(|it| Segment::Field(it.meant.to_owned()) == segment) {
                segment = Segment::Field(field.written.clone());
            }
            if let Segment::Index(index) = &mut segment {
                let gone = |at: usize| {
                    let item = Segment::Index(at);
                    self.left_out.iter().any(|it| it.split_last() == Some((&item, way.as_slice())))
                };
                let mut at = 0;
                let mut left = *index;
                while left > 0 || gone(at) {
                    left -= usize::from(!gone(at));
                    at += 1;
                }
                *index = at;
            }
            way.push(segment);
        }
        way
    }

    /// The same with the names that were most likely meant.
    fn meant(&self, path: &[Segment]) -> Vec<Segment> {
        let both = path.iter().zip(self.original(path));
        both.map(|(now, first)| if matches!(now, Segment::Field(_)) { now.clone() } else { first }).collect()
    }

    /// Whether a field is missing because it was left out, or because its name is misspelt.
    fn has_left_out(&self, path: &[Segment], field: &str) -> bool {
        let way = self.original(path);
        self.left_out.iter().any(|left_out| match left_out.split_last() {
            Some((Segment::Field(name), parent)) => {
                parent == way && (name == field || did_you_mean(name, [field]).is_some())
            }
            _ => false,
        })
    }

    fn find(&mut self, path: &[Segment]) -> Option<&mut Node> {
        let mut node = &mut self.root;
        for segment in path {
            node = match (&mut node.value, segment) {
                (Value::Mapping(entries), Segment::Field(name)) => {
                    entries.iter_mut().find(|(key, _)| key.name == *name).map(|(_, value)| value)?
                }
                (Value::Sequence(items), Segment::Index(index)) => items.get_mut(*index)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// Renames an unknown field to a similar known one that its mapping lacks.
    fn rename(&mut self, path: &[Segment], known: &[&'static str]) -> bool {
        let Some((Segment::Field(written), way)) = path.split_last() else { return false };
        let Some(Node { value: Value::Mapping(entries), .. }) = self.find(way) else { return false };
        let free = known.iter().copied().filter(|name| entries.iter().all(|(key, _)| key.name != *name));
        let Some(meant) = did_you_mean(written, free) else { return false };
        let Some((key, _)) = entries.iter_mut().find(|(key, _)| key.name == *written) else { return false };
        key.name = meant.to_owned();
        let parent = self.original(way);
        self.misspelt.push(Misspelt { parent, written: written.clone(), meant });
        true
    }

    /// Whether the mapping around an unknown field has a known field. A mapping without one may be something
    /// else altogether.
    fn has_any(&mut self, path: &[Segment], known: &[&'static str]) -> bool {
        let Some((_, way)) = path.split_last() else { return false };
        let Some(Node { value: Value::Mapping(entries), .. }) = self.find(way) else { return false };
        entries.iter().any(|(key, _)| known.contains(&key.name.as_str()))
    }

    /// Inserts an empty text for a missing field, once, so that the rest of its mapping can be read. Returns
    /// what the field is part of.
    fn fill(&mut self, path: &[Segment], field: &str) -> Option<Span> {
        let mut way = self.original(path);
        way.push(Segment::Field(field.to_owned()));
        if self.filled.contains(&way) {
            return None;
        }
        let Some(Node { value: Value::Mapping(entries), span, .. }) = self.find(path) else { return None };
        let empty = Node { value: Value::String(String::new()), span: *span, style: Style::Quoted };
        entries.push((Key { name: field.to_owned(), span: *span }, empty));
        let span = *span;
        self.filled.push(way);
        Some(span)
    }

    /// Leaves out the value at the path, and returns what it was part of; `None` if there is no such value.
    fn leave_out(&mut self, path: &[Segment]) -> Option<Span> {
        let original = self.original(path);
        let (last, way) = path.split_last()?;
        let node = self.find(way)?;
        match (&mut node.value, last) {
            (Value::Mapping(entries), Segment::Field(name)) => {
                let at = entries.iter().position(|(key, _)| key.name == *name)?;
                entries.remove(at);
            }
            (Value::Sequence(items), Segment::Index(index)) if *index < items.len() => {
                items.remove(*index);
            }
            _ => return None,
        }
        let span = node.span;
        self.left_out.push(original);
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is asked")]
    struct Shelf {
        owner: String,
        books: Vec<Book>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is asked")]
    struct Book {
        title: String,
        pages: u8,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[test]
    fn every_mistake_is_reported_once_and_at_its_place() {
        for (text, wrong, books) in [
            ("{owner: a, books: [{title: b, pages: 1}]}", "", Some(1)),
            (
                "{owner: a, books: [{title: b, pages: x}, {title: c, pages: 1, lent: d}, {pages: 2}, {title: 7, pages: 3, tags: [e, 8, f, 9]}]}",
                "books[0].pages books[1].lent books[2] books[3].title books[3].tags[1] books[3].tags[3]",
                Some(3),
            ),
            (
                "{owner: [], bokos: [], books: [1, {title: b, pages: 300}]}",
                "owner bokos books[0] books[1].pages",
                Some(0),
            ),
            ("{owner: a}", "", None),
            ("[]", "", None),
        ] {
            let source = Source::new("in.yaml", text);
            let found = recover::<Shelf>(&parse(&source).unwrap()[0], &source);
            let mut errors = found.errors;
            errors.sort_by_key(|error| error.span.map(|span| span.start));
            let paths: Vec<&str> = errors.iter().filter_map(|error| error.path.as_deref()).collect();
            assert_eq!(paths.join(" "), wrong, "{text}");
            assert_eq!(
                errors.is_empty(),
                text.starts_with("{owner: a, books: [{title: b, pages: 1}]}"),
                "{text}"
            );
            assert_eq!(
                found.value.as_ref().map(|shelf| shelf.books.len()),
                books,
                "{text}: {:?}",
                found.value
            );
        }
    }
}
