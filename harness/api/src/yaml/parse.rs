//! From text to trees: drives the YAML parser's events, resolves scalars and aliases, and refuses what
//! is ambiguous or grows without bound.

use super::measure::Measure;
use super::scalar;
use super::tree::{Key, Node, Style, Value, quote};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{MAX_SOURCE_BYTES, Source, Span, too_large};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// How deep lists and mappings may be nested, aliases followed.
pub const MAX_DEPTH: usize = 64;
/// How many values all documents of a text may have, aliases followed.
pub const MAX_NODES: usize = 1_000_000;
/// How much memory (roughly, in bytes) anchors and aliases may take in all.
pub const MAX_ALIAS_BYTES: usize = 8 << 20;
/// After so many errors the rest of a text is not looked at.
const MAX_ERRORS: usize = 20;
/// Mappings of more fields than this find duplicate keys through an index.
const INDEXED_FIELDS: usize = 16;

/// Parses a text: one node for each document that is not empty. A text without any is an error.
pub fn parse(source: &Arc<Source>) -> Result<Vec<Node>, Diagnostics> {
    if source.text.len() > MAX_SOURCE_BYTES {
        let diagnostic = Diagnostic::error(too_large()).in_source(source);
        return Err(diagnostic.help("split it into several files").into());
    }
    // The parser's own limit only has to keep its state small; it counts differently from ours.
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut builder = Builder::new(source);
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => Err(builder.syntax_error(&error)),
        };
        if let Err(diagnostic) = step {
            builder.errors.push(diagnostic);
            break;
        }
        if builder.errors.len() >= MAX_ERRORS {
            break;
        }
    }
    let Builder { documents, errors, .. } = builder;
    Diagnostics::check(errors)?;
    if documents.is_empty() {
        let diagnostic = Diagnostic::error("the document is empty").at(source, Span::new(0, 0));
        return Err(diagnostic.help("write at least one object with `apiVersion` and `kind`").into());
    }
    Ok(documents)
}

/// A collection whose end has not come yet.
struct Open {
    collection: Collection,
    span: Span,
    style: Style,
    anchor: usize,
    tag: Option<Tag>,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        /// The key whose value comes next.
        key: Option<Key>,
        /// Where each key is in `entries`, once there are many.
        index: HashMap<String, usize>,
    },
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    documents: Vec<Node>,
    errors: Vec<Diagnostic>,
    open: Vec<Open>,
    /// Finished nodes that aliases may stand for, and those that are still open as `None`.
    anchors: HashMap<usize, Option<Node>>,
    nodes: usize,
    alias_bytes: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>) -> Builder<'a> {
        Builder {
            source,
            documents: Vec::new(),
            errors: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            alias_bytes: 0,
        }
    }

    fn error(&self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::error(message).at(self.source, span)
    }

    /// One event of the parser. An error returned here ends the parse; those that do not are pushed.
    fn event(&mut self, event: Event<'a>, span: &granit_parser::Span) -> Result<(), Diagnostic> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, place)?;
                let node = self.scalar(&text, style, tag.as_deref(), place);
                self.remember(anchor, &node)?;
                self.push(node)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.start(Collection::Sequence(Vec::new()), style, anchor, tag.as_deref(), place)
            }
            Event::MappingStart(style, anchor, tag) => {
                let collection =
                    Collection::Mapping { entries: Vec::new(), key: None, index: HashMap::new() };
                self.start(collection, style, anchor, tag.as_deref(), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn place(&self, span: &granit_parser::Span) -> Span {
        let length = self.source.text.len();
        let range = span.byte_range().unwrap_or(length..length);
        Span::new(range.start.min(length), range.end.min(length))
    }

    fn count(&mut self, nodes: usize, place: Span) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let diagnostic = self.error(format!("more than {MAX_NODES} values"), place);
        Err(diagnostic.help("split the file into several"))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Span) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let text_value = || Value::String(text.to_owned());
        let value = match tag.map(|tag| (tag, tag.core_suffix())) {
            None if style == Style::Plain => scalar::resolve(text),
            None => text_value(),
            Some((_, Some("str"))) => text_value(),
            Some((tag, _)) if tag.handle().is_empty() && tag.suffix() == "!" => text_value(),
            Some((tag, suffix)) => {
                let value = scalar::resolve(text);
                let fits = matches!(
                    (suffix, &value),
                    (Some("null"), Value::Null)
                        | (Some("bool"), Value::Bool(_))
                        | (Some("int"), Value::Int(_))
                        | (Some("float"), Value::Int(_) | Value::Float(_))
                );
                if !fits {
                    self.refuse_tag(tag, place);
                }
                value
            }
        };
        Node { value, span: place, style }
    }

    fn refuse_tag(&mut self, tag: &Tag, place: Span) {
        let diagnostic = match tag.core_suffix() {
            Some(name @ ("str" | "int" | "float" | "bool" | "null" | "map" | "seq")) => {
                self.error(format!("this is not what the tag `!!{name}` says"), place)
            }
            _ => self.error(format!("unknown tag `{}`", tag.original()), place),
        };
        self.errors.push(diagnostic.help("leave the tag away; quotes make a string of anything"));
    }

    fn start(
        &mut self,
        collection: Collection,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Span,
    ) -> Result<(), Diagnostic> {
        self.count(1, place)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        let style = match style {
            StructureStyle::Block => Style::Block,
            StructureStyle::Flow => Style::Flow,
        };
        self.open.push(Open { collection, span: place, style, anchor, tag: tag.cloned() });
        Ok(())
    }

    fn end(&mut self, place: Span) -> Result<(), Diagnostic> {
        let Some(Open { collection, span, style, anchor, tag }) = self.open.pop() else { return Ok(()) };
        let (value, suffix, last) = match collection {
            Collection::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::Sequence(items), "seq", last)
            }
            Collection::Mapping { entries, .. } => {
                let last = entries.last().map(|(key, value)| key.span.end.max(value.span.end));
                (Value::Mapping(entries), "map", last)
            }
        };
        // The parser ends a block where the next token starts, which may be lines below. What came
        // last through an alias may stand anywhere.
        let end = match style {
            Style::Flow => place.end,
            _ => last.filter(|end| *end <= place.end).unwrap_or(span.end),
        };
        let node = Node { value, span: Span::new(span.start, end), style };
        if let Some(tag) = tag
            && tag.core_suffix() != Some(suffix)
        {
            self.refuse_tag(&tag, span);
        }
        self.remember(anchor, &node)?;
        self.push(node)
    }

    fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Diagnostic> {
        let node = match self.anchors.get(&anchor) {
            Some(Some(node)) => node.clone(),
            _ => {
                let diagnostic = self.error("this alias stands for something that it is part of", place);
                return Err(diagnostic.help("write the value out"));
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
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Diagnostic> {
        if anchor > 0 {
            self.spend(Measure::of(node).bytes, node.span)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize, place: Span) -> Result<(), Diagnostic> {
        self.alias_bytes = self.alias_bytes.saturating_add(bytes);
        if self.alias_bytes <= MAX_ALIAS_BYTES {
            return Ok(());
        }
        let megabytes = MAX_ALIAS_BYTES >> 20;
        let diagnostic =
            self.error(format!("anchors and aliases expand to more than {megabytes} MiB"), place);
        Err(diagnostic.help("write the values out, or use fewer aliases of aliases"))
    }

    fn too_deep(&self, place: Span) -> Diagnostic {
        self.error(format!("nested more than {MAX_DEPTH} levels deep"), place)
            .help("no object of a cluster is that deep; look for a bracket too many")
    }

    /// Hands a finished node to the collection it is in, or to the documents.
    fn push(&mut self, mut node: Node) -> Result<(), Diagnostic> {
        let source = self.source;
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.collection {
            Collection::Sequence(items) => items.push(node),
            Collection::Mapping { entries, key: key @ Some(_), index } => {
                let Some(key) = key.take() else { return Ok(()) };
                if node.is_null() && node.span.start == node.span.end {
                    node.span = key.span;
                }
                if let Some(first) = position(entries, index, &key.name).and_then(|at| entries.get(at)) {
                    let (line, _) = source.location(first.0.span.start);
                    let message = format!("duplicate key {}", quote(&key.name));
                    let help = format!("it stands in line {line} already; keep one of them");
                    self.errors.push(Diagnostic::error(message).at(source, key.span).help(help));
                } else {
                    if entries.len() >= INDEXED_FIELDS {
                        index.insert(key.name.clone(), entries.len());
                    }
                    entries.push((key, node));
                }
            }
            Collection::Mapping { key, .. } => {
                let (name, problem) = key_of(node.value, source.slice(node.span));
                *key = Some(Key { name, span: node.span });
                if let Some((message, help)) = problem {
                    self.errors.push(Diagnostic::error(message).at(source, node.span).help(help));
                }
            }
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let length = self.source.text.len();
        let mut at = error.marker().byte_offset().unwrap_or(length).min(length);
        let help = match error.kind() {
            ErrorKind::RecursionLimitExceeded => return self.too_deep(Span::new(at, at)),
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar => {
                // The parser may stop at what comes before the tab.
                at += self.source.text.get(at..).and_then(|rest| rest.find('\t')).unwrap_or(0);
                "indent with spaces, not with tabs"
            }
            ErrorKind::UnknownAnchor => "an alias `*name` needs an anchor `&name` above it in the document",
            ErrorKind::UndeclaredTagHandle => "leave the tag away; quotes make a string of anything",
            ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofImplicitFlowMapping
            | ErrorKind::UnclosedFlowCollection { .. } => "close the bracket",
            ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => "close the quotes",
            ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
                "a field is written `name: value`, with a space after the colon"
            }
            ErrorKind::MappingValueNotAllowed => "put a value with `: ` in it in quotes",
            _ => "check the indentation and the quotes of this line and the one above",
        };
        let message = match error.kind() {
            ErrorKind::UnknownAnchor => "unknown anchor".to_owned(),
            kind => kind.to_string(),
        };
        self.error(format!("not valid YAML: {message}"), Span::new(at, at)).help(help)
    }
}

fn position(entries: &[(Key, Node)], index: &HashMap<String, usize>, name: &str) -> Option<usize> {
    let linear = entries.iter().take(INDEXED_FIELDS).position(|(key, _)| key.name == name);
    linear.or_else(|| index.get(name).copied())
}

/// The name of a key, and what is wrong with it: message and help.
fn key_of(value: Value, written: &str) -> (String, Option<(String, String)>) {
    match value {
        Value::String(name) if name == "<<" => {
            let help = "write the fields out, or use the alias as the whole value".to_owned();
            (name, Some(("merge keys are not supported".to_owned(), help)))
        }
        Value::String(name) => (name, None),
        Value::Sequence(_) | Value::Mapping(_) => {
            let message = "a list or mapping cannot be a key".to_owned();
            (written.to_owned(), Some((message, "use a string as the key".to_owned())))
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let message = format!("the key {} is not a string", quote(written));
            (written.to_owned(), Some((message, format!("put it in quotes: \"{written}\""))))
        }
    }
}
