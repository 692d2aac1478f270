//! From a text to its documents: parts it where kubectl does, so that a mistake of syntax costs one document and
//! not the text, and drives the parser's events through each.

use super::build::{Builder, Limits};
use super::syntax;
use super::tree::Node;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{BYTE_ORDER_MARK, MAX_SOURCE_BYTES, Source, Span, too_large};
use libyaml_safer::{Encoding, EventData, Parser};
use std::borrow::Cow;
use std::io::{BufReader, Read};
use std::sync::Arc;

/// How much of a text is handed to the parser at a time.
const READ_BYTES: usize = 16 << 10;

/// How a text is read where kubectl's YAML is not that of the newer rules, or takes what is hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Scalars are those of YAML 1.2, and what is hardly meant is an error: netproof's own formats.
    Strict,
    /// As kubectl reads it, with a warning of what is hardly meant: files of manifests.
    Kubectl,
}

/// One document of a text, with what is wrong with its YAML.
#[derive(Debug)]
pub struct Document {
    /// Its tree; `None` if it has none, because its syntax is wrong.
    pub root: Option<Node>,
    /// Its text.
    pub span: Span,
    /// Errors and warnings. With an error the tree may lack what it speaks of.
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

/// What to say of a text without any document.
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

/// A piece between two lines that part documents.
enum Part {
    /// The text of a document.
    Text(Span),
    /// A document whose marker has more than a comment after it, which kubectl does not read.
    Marker { line: Span, span: Span },
}

/// kubectl parts a text at every line that starts with `---`, before it looks at any YAML
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

/// The documents of one part: one, but for objects of JSON, of which the next may follow at once.
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

    /// Parses the document that `text` starts with, at `start` of the source; says where the next one starts.
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
        // kubectl reads one document of a part, and an object of JSON after another.
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

/// Hands the parser's events to the builder, up to the end of the first document, and says where that is.
fn events(text: &str, builder: &mut Builder<'_>) -> Result<Option<usize>, libyaml_safer::Error> {
    let mut parser = Parser::new();
    parser.set_encoding(Encoding::Utf8);
    // The parser wants every line of a block scalar to end.
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

/// Where in a text something begins that is neither a comment nor an end of a document.
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
