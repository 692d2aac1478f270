//! Splits a text into documents where kubectl does, so that a syntax error affects one document and not the
//! text, and runs the parser over each.

use super::build::{Builder, Limits};
use super::syntax;
use super::tree::Node;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{BYTE_ORDER_MARK, MAX_SOURCE_BYTES, Source, Span, too_large};
use libyaml_safer::{Encoding, EventData, Parser};
use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::sync::Arc;

/// Bytes that are passed to the parser at a time.
const READ_BYTES: usize = 16 << 10;

/// How a text is read where kubectl deviates from YAML 1.2, or accepts what is hardly intended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// For netproof's own formats: scalars of YAML 1.2, and an error for what is hardly intended.
    Strict,
    /// For files of manifests: as kubectl reads them, with a warning about what is hardly intended.
    Kubectl,
}

/// One document of a text, with what is wrong with its YAML.
#[derive(Debug)]
pub struct Document {
    /// Its tree; `None` if it has none, because its syntax is wrong.
    pub root: Option<Node>,
    /// Its text.
    pub span: Span,
    /// Errors and warnings. The tree may lack what an error is about.
    pub problems: Vec<Diagnostic>,
}

/// Parses a text of netproof's own formats: one node for each document that is not empty.
///
/// # Errors
/// What is wrong with any of its documents, or that it has none.
pub fn parse(source: &Arc<Source>) -> Result<Vec<Node>, Diagnostics> {
    let mut nodes = Vec::new();
    let mut problems = Vec::new();
    for document in documents(source, Reading::Strict)? {
        problems.extend(document.problems);
        nodes.extend(document.root);
    }
    Diagnostics::check(problems)?;
    if nodes.is_empty() { Err(empty(source).into()) } else { Ok(nodes) }
}

/// The message for a text without documents.
pub fn empty(source: &Arc<Source>) -> Diagnostic {
    let diagnostic = Diagnostic::error("the document is empty").at(source, Span::new(0, 0));
    diagnostic.help("write at least one object with `apiVersion` and `kind`")
}

/// Parses a text: its documents in their order, without empty ones.
///
/// # Errors
/// It is too large to be parsed.
pub fn documents(source: &Arc<Source>, reading: Reading) -> Result<Vec<Document>, Diagnostics> {
    if source.text.len() > MAX_SOURCE_BYTES {
        let diagnostic = Diagnostic::error(too_large()).in_source(source);
        return Err(diagnostic.help("split it into several files").into());
    }
    let mut documents = Vec::new();
    let mut limits = Limits::default();
    for part in parts(source) {
        match part {
            Part::Text(span) => {
                Stream { source, reading, limits: &mut limits, documents: &mut documents }.read(span)
            }
            Part::Marker { line, span } => {
                let problem = Diagnostic::error("something stands after `---`").at(source, line);
                let help = "kubectl refuses it: write the document from the next line on";
                documents.push(Document { root: None, span, problems: vec![problem.help(help)] });
            }
        }
        if limits.are_exceeded() {
            break;
        }
    }
    Ok(documents)
}

/// A piece between two separator lines.
enum Part {
    /// The text of a document.
    Text(Span),
    /// A document whose marker is followed by more than a comment, which kubectl does not read.
    Marker { line: Span, span: Span },
}

/// kubectl splits a text at every line that starts with `---`, before it parses any YAML
/// (`k8s.io/apimachinery/pkg/util/yaml`, YAMLReader).
fn parts(source: &Source) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut start, mut bad, mut at) = (0, None, 0);
    let mut close = |start, end, bad: Option<Span>| {
        let span = Span::new(start, end);
        parts.push(bad.map_or(Part::Text(span), |line| Part::Marker { line, span }));
    };
    for line in source.text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            close(start, at, bad.take());
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                bad = Some(Span::new(at, at + line.trim_end().len()));
            }
            start = at + line.len();
        }
        at += line.len();
    }
    close(start, source.text.len(), bad);
    parts
}

/// The documents of one part: one, except that JSON objects may follow each other directly.
struct Stream<'a> {
    source: &'a Arc<Source>,
    reading: Reading,
    limits: &'a mut Limits,
    documents: &'a mut Vec<Document>,
}

impl Stream<'_> {
    fn read(&mut self, part: Span) {
        let text = self.source.slice(part);
        let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let json = text.trim_start().starts_with('{');
        let text = if json { syntax::join_surrogates(text) } else { Cow::Borrowed(text) };
        let mut next = Some(mark);
        while let Some(rest) = next.and_then(|at| text.get(at..)) {
            let start = part.end - rest.len();
            next = self.document(rest, start).map(|at| text.len() - rest.len() + at);
        }
    }

    /// Parses the first document of `text`, which is at `start` in the source; returns where the next one
    /// starts.
    fn document(&mut self, text: &str, start: usize) -> Option<usize> {
        let limits = self.limits.clone();
        let mut known = Cow::Borrowed(text);
        let (builder, end) = loop {
            let span = Span::new(start, start + text.len());
            let mut builder = Builder::new(self.source, span, self.reading, self.limits);
            builder.has_known_escapes = matches!(known, Cow::Owned(_));
            match events(&known, &mut builder) {
                Ok(end) => break (builder, end),
                Err(error) => match syntax::known_escapes(&known, &error) {
                    Some(changed) => known = Cow::Owned(changed),
                    None => {
                        builder.fail(syntax::error(self.source, start, &known, &error));
                        break (builder, None);
                    }
                },
            }
            self.limits.clone_from(&limits);
        };
        // kubectl reads one YAML document of a part, but all JSON objects.
        let rest = end.and_then(|end| Some(end + beginning(text.get(end..)?)?));
        let is_json = |rest: &usize| text.get(*rest..).is_some_and(|rest| rest.starts_with('{'));
        let follows = rest.filter(|rest| builder.is_flow_mapping() && is_json(rest));
        let mut builder = builder;
        if let (Some(rest), None) = (rest, follows) {
            builder.unread(start + rest);
        }
        let (root, problems) = builder.finish();
        if root.is_some() || !problems.is_empty() {
            let end = follows.unwrap_or(text.len());
            self.documents.push(Document { root, span: Span::new(start, start + end), problems });
        }
        follows
    }
}

/// Passes the parser's events to the builder, up to the end of the first document, and returns where that
/// is.
fn events(text: &str, builder: &mut Builder<'_>) -> Result<Option<usize>, libyaml_safer::Error> {
    let mut parser = Parser::new();
    parser.set_encoding(Encoding::Utf8);
    // The parser requires a line break at the end of a block scalar.
    let last: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    parser.set_input(BufReader::with_capacity(READ_BYTES, text.as_bytes()).chain(last));
    for event in parser {
        let event = event?;
        if let EventData::DocumentEnd { .. } = event.data {
            return Ok(usize::try_from(event.end_mark.index).ok());
        }
        if let Err(problem) = builder.event(event) {
            builder.fail(problem);
        }
        if builder.is_hopeless() {
            break;
        }
    }
    Ok(None)
}

/// The offset of the first text that is neither a comment nor an end of a document.
fn beginning(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') && content != "..." {
            return Some(at + line.len() - line.trim_start().len());
        }
        at += line.len();
    }
    None
}
