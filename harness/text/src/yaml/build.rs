//! Builds a tree from the parser's events: resolves scalars, keys, aliases and merge keys, and refuses input
//! that is ambiguous or grows without bound.

use super::keys::Mapping;
use super::kubectl;
use super::measure::Measure;
use super::parse::Reading;
use super::scalar;
use super::syntax;
use super::tree::{Node, Style, Value};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, Span};
use libyaml_safer::{Event, EventData, MappingStyle, ScalarStyle, SequenceStyle};
use std::collections::HashMap;
use std::sync::Arc;

/// The deepest nesting of lists and mappings, with aliases expanded.
pub const MAX_DEPTH: usize = 64;
/// The most values of all documents of a text, with aliases expanded.
pub const MAX_NODES: usize = 1_000_000;
/// The most memory (roughly, in bytes) of all anchors and aliases.
pub const MAX_ALIAS_BYTES: usize = 8 << 20;
/// After this many errors the rest of a text is skipped.
const MAX_ERRORS: usize = 20;

/// Totals over all documents of a text, for the limits.
#[derive(Clone, Default)]
pub(super) struct Limits {
    nodes: usize,
    alias_bytes: usize,
    errors: usize,
}

impl Limits {
    /// Whether the rest of the text is skipped.
    pub(super) fn are_exceeded(&self) -> bool {
        self.nodes > MAX_NODES || self.alias_bytes > MAX_ALIAS_BYTES || self.errors >= MAX_ERRORS
    }
}

/// A collection that is still open.
pub(super) struct Open {
    pub(super) collection: Collection,
    span: Span,
    style: Style,
    anchor: Option<String>,
    tag: Option<String>,
}

pub(super) enum Collection {
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

/// Builds the tree of one document.
pub(super) struct Builder<'a> {
    pub(super) source: &'a Arc<Source>,
    /// Offset in the source of the text that the parser sees.
    start: usize,
    /// Its length in bytes.
    length: u64,
    /// Whether [`syntax::QUOTE`] stands for a quote.
    pub(super) has_known_escapes: bool,
    /// Whether its last line is blank.
    ends_with_blanks: bool,
    pub(super) reading: Reading,
    limits: &'a mut Limits,
    pub(super) root: Option<Node>,
    failed: bool,
    problems: Vec<Diagnostic>,
    pub(super) open: Vec<Open>,
    /// Finished nodes that aliases may stand for, and those that are still open as `None`.
    anchors: HashMap<String, Option<Node>>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        source: &'a Arc<Source>,
        text: Span,
        reading: Reading,
        limits: &'a mut Limits,
    ) -> Builder<'a> {
        Builder {
            source,
            start: text.start,
            length: (text.end - text.start) as u64,
            has_known_escapes: false,
            ends_with_blanks: source
                .slice(text)
                .rsplit('\n')
                .next()
                .is_none_or(|line| line.trim().is_empty()),
            reading,
            limits,
            root: None,
            failed: false,
            problems: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    /// The tree, unless the document ended before its time, and what is wrong.
    pub(super) fn finish(self) -> (Option<Node>, Vec<Diagnostic>) {
        (self.root.filter(|root| !self.failed && !root.is_null()), self.problems)
    }

    /// The document cannot be read further.
    pub(super) fn fail(&mut self, problem: Diagnostic) {
        self.failed = true;
        self.push_problem(problem);
    }

    /// Whether there are so many errors that the rest is skipped.
    pub(super) fn is_hopeless(&mut self) -> bool {
        self.failed |= self.limits.errors >= MAX_ERRORS;
        self.failed
    }

    /// Whether the document is a JSON object.
    pub(super) fn is_flow_mapping(&self) -> bool {
        self.root
            .as_ref()
            .is_some_and(|root| root.style == Style::Flow && matches!(root.value, Value::Mapping(_)))
    }

    /// Reports that something follows the document, at `at` in the source, without a separator.
    pub(super) fn unread(&mut self, at: usize) {
        let message = "this is not read: kubectl takes the first document and nothing after it";
        self.doubt(message, Span::new(at, at), "put a line `---` before it, or take it away");
    }

    pub(super) fn push_problem(&mut self, problem: Diagnostic) {
        self.limits.errors += usize::from(problem.severity == Severity::Error);
        self.problems.push(problem);
    }

    pub(super) fn error(&self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(message).at(self.source, span)
    }

    /// Reports what kubectl silently accepts, as an error or a warning.
    pub(super) fn doubt(&mut self, message: impl Into<String>, span: Span, help: impl Into<String>) {
        let diagnostic = match self.reading {
            Reading::Strict => Diagnostic::error(message),
            Reading::Kubectl => Diagnostic::warning(message),
        };
        if self.problems.len() < MAX_ERRORS {
            self.push_problem(diagnostic.at(self.source, span).help(help));
        }
    }

    /// One event of the parser. An error returned here ends the document; those that do not are pushed.
    pub(super) fn event(&mut self, event: Event) -> Result<(), Diagnostic> {
        let place = self.place(event.start_mark.index, event.end_mark.index);
        match event.data {
            EventData::Scalar { anchor, tag, mut value, style, .. } => {
                self.count(1, place)?;
                // The line break that was added at the end of the text is not part of the scalar.
                if event.end_mark.index > self.length && value.ends_with('\n') && !self.ends_with_blanks {
                    value.pop();
                }
                let bare = match self.source.text.as_bytes().get(place.start) {
                    Some(b'&' | b'!') => syntax::without_properties(self.source, place),
                    _ => place,
                };
                let properties = self.source.slice(Span::new(place.start, bare.start));
                // A tag that is nothing but `!` makes a string of anything.
                let tag = tag.or_else(|| properties.contains('!').then(|| format!("{CORE}str")));
                let node = self.scalar(value, style, tag.as_deref(), bare);
                self.remember(anchor, &node)?;
                self.push(node)
            }
            EventData::SequenceStart { anchor, tag, style, .. } => {
                let style = if style == SequenceStyle::Flow { Style::Flow } else { Style::Block };
                self.start(Collection::Sequence(Vec::new()), style, anchor, tag, place)
            }
            EventData::MappingStart { anchor, tag, style, .. } => {
                let style = if style == MappingStyle::Flow { Style::Flow } else { Style::Block };
                self.start(Collection::Mapping(Mapping::default()), style, anchor, tag, place)
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.end(place),
            EventData::Alias { anchor } => self.alias(&anchor, place),
            _ => Ok(()),
        }
    }

    fn place(&self, start: u64, end: u64) -> Span {
        let length = self.source.text.len();
        let at = |index: u64| usize::try_from(index).unwrap_or(length).saturating_add(self.start).min(length);
        Span::new(at(start), at(end))
    }

    fn count(&mut self, nodes: usize, place: Span) -> Result<(), Diagnostic> {
        self.limits.nodes = self.limits.nodes.saturating_add(nodes);
        if self.limits.nodes <= MAX_NODES {
            return Ok(());
        }
        let diagnostic = self.error(format!("more than {MAX_NODES} values"), place);
        Err(diagnostic.help("split the file into several"))
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&str>, place: Span) -> Node {
        let (style, place) = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (Style::Quoted, place),
            ScalarStyle::Literal => (Style::Literal, syntax::content_of_block(self.source, place)),
            ScalarStyle::Folded => (Style::Folded, syntax::content_of_block(self.source, place)),
            _ => (Style::Plain, place),
        };
        let text = match style {
            Style::Quoted if self.has_known_escapes => text.replace(syntax::QUOTE, "'"),
            _ => text,
        };
        let value = match tag {
            None if style == Style::Plain => {
                let value = scalar::resolve(text);
                self.check_finite(&value, place);
                value
            }
            None => Value::String(text),
            Some(tag) => self.tagged(text, tag, place),
        };
        // Only a scalar without quotes and tag may be read differently later.
        let style = if style == Style::Plain && tag.is_some() { Style::Quoted } else { style };
        Node { value, span: place, style }
    }

    /// kubectl sends objects as JSON, which has neither infinity nor NaN.
    fn check_finite(&mut self, value: &Value, place: Span) {
        let infinite = |value: &Value| matches!(value, Value::Float(number) if !number.is_finite());
        let written = self.source.slice(place);
        let refused = infinite(value) && kubectl::resolve(written).is_some_and(|value| infinite(&value));
        if self.reading == Reading::Strict || !refused {
            return;
        }
        let error = self.error(format!("kubectl refuses {written}: JSON has no such number"), place);
        self.push_problem(error.help("write it in quotes if it is a string"));
    }

    /// Converts a scalar to its tag's type.
    fn tagged(&mut self, text: String, tag: &str, place: Span) -> Value {
        let name = tag.strip_prefix(CORE).unwrap_or_default();
        let resolved = kubectl::resolve(&text);
        let value = match name {
            "str" | "timestamp" => return Value::String(text),
            "null" => resolved.filter(|value| *value == Value::Null),
            "bool" => resolved.filter(|value| matches!(value, Value::Bool(_))),
            "int" => resolved.filter(|value| matches!(value, Value::Int(_))),
            "float" => resolved.filter(|value| matches!(value, Value::Int(_) | Value::Float(_))),
            _ => {
                self.unknown_tag(tag, place);
                return Value::String(text);
            }
        };
        value.unwrap_or_else(|| {
            let error = self.error(format!("this is not what the tag `!!{name}` says"), place);
            self.push_problem(error.help(LEAVE_TAG));
            Value::String(text)
        })
    }

    /// kubectl ignores unknown tags.
    fn unknown_tag(&mut self, tag: &str, place: Span) {
        let name = tag.strip_prefix(CORE);
        if self.reading == Reading::Strict || name == Some("binary") {
            let tag = name.map_or(tag.to_owned(), |name| format!("!!{name}"));
            self.doubt(format!("the tag `{tag}` is not known here"), place, LEAVE_TAG);
        }
    }

    fn start(
        &mut self,
        collection: Collection,
        style: Style,
        anchor: Option<String>,
        tag: Option<String>,
        place: Span,
    ) -> Result<(), Diagnostic> {
        self.count(1, place)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        let span = match (&anchor, &tag) {
            (None, None) => place,
            _ => syntax::without_properties(self.source, Span::new(place.start, self.source.text.len())),
        };
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        self.open.push(Open { collection, span, style, anchor, tag });
        Ok(())
    }

    fn end(&mut self, place: Span) -> Result<(), Diagnostic> {
        let Some(Open { collection, span, style, anchor, tag }) = self.open.pop() else { return Ok(()) };
        let (value, name, last) = match collection {
            Collection::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::Sequence(items), "seq", last)
            }
            Collection::Mapping(Mapping { entries, .. }) => {
                let last = entries.last().map(|(key, value)| key.span.end.max(value.span.end));
                (Value::Mapping(entries), "map", last)
            }
        };
        // The parser ends a block where the next token starts, which may be lines below. If the last value
        // came through an alias, its place may be anywhere.
        let end = match style {
            Style::Flow => place.end,
            _ => last.filter(|end| *end <= place.end).unwrap_or(span.start),
        };
        let node = Node { value, span: Span::new(span.start, end), style };
        if let Some(tag) = tag.filter(|tag| tag.strip_prefix(CORE) != Some(name)) {
            self.unknown_tag(&tag, Span::new(span.start, span.start));
        }
        self.remember(anchor, &node)?;
        self.push(node)
    }

    fn alias(&mut self, anchor: &str, place: Span) -> Result<(), Diagnostic> {
        let node = match self.anchors.get(anchor) {
            Some(Some(node)) => node.clone(),
            Some(None) => {
                let diagnostic = self.error("this alias stands for something that it is part of", place);
                return Err(diagnostic.help("write the value out"));
            }
            None => {
                let diagnostic = self.error("not valid YAML: unknown anchor", place);
                let help = "an alias `*name` needs an anchor `&name` above it in the document";
                return Err(diagnostic.help(help));
            }
        };
        let measure = Measure::of(&node);
        self.count(measure.nodes, place)?;
        self.spend(measure.bytes, place)?;
        if self.open.len() + measure.depth > MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        self.push(node)
    }

    /// Keeps a copy of an anchored node for the aliases to come.
    fn remember(&mut self, anchor: Option<String>, node: &Node) -> Result<(), Diagnostic> {
        if let Some(anchor) = anchor {
            self.spend(Measure::of(node).bytes, node.span)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize, place: Span) -> Result<(), Diagnostic> {
        self.limits.alias_bytes = self.limits.alias_bytes.saturating_add(bytes);
        if self.limits.alias_bytes <= MAX_ALIAS_BYTES {
            return Ok(());
        }
        let megabytes = MAX_ALIAS_BYTES >> 20;
        let diagnostic =
            self.error(format!("anchors and aliases expand to more than {megabytes} MiB"), place);
        Err(diagnostic.help("write the values out, or use fewer aliases of aliases"))
    }

    fn too_deep(&self, place: Span) -> Diagnostic {
        self.error(format!("nested more than {MAX_DEPTH} levels deep"), Span::new(place.start, place.start))
            .help("no object of a cluster is that deep; look for a bracket too many")
    }
}

/// What the tags of YAML itself, `!!int`, are short for.
const CORE: &str = "tag:yaml.org,2002:";
const LEAVE_TAG: &str = "leave the tag away; quotes make a string of anything";
