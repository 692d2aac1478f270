//! The tree of a YAML document: values with their places.

use crate::quote::quote;
use crate::source::{Source, Span};
use std::borrow::Cow;
use std::ops::Range;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The place. A value that came through an alias has the place of its anchor's value; an absent value
    /// has that of its key. A block's span reaches to the end of its last value.
    pub span: Span,
    /// How it is written.
    pub style: Style,
}

/// A value of the core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer: decimal, `0o17` or `0x1f`.
    Int(i64),
    /// A number with a point or exponent, an infinity, not-a-number, or an integer beyond 64 bits.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Fields in the order they are written; every key once.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// The place.
    pub span: Span,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A `|` block: its lines are the source's lines without their indentation.
    Literal,
    /// A `>` block.
    Folded,
    /// A list or mapping by indentation.
    Block,
    /// A list or mapping in brackets.
    Flow,
}

/// One line of a string, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The line's text, without its line break.
    pub text: &'a str,
    /// Its place; that of the whole value if the source does not show the lines separately (folded blocks,
    /// strings with escapes or over several lines).
    pub span: Span,
    exact: bool,
}

impl Line<'_> {
    /// Where a part of the line is written, given as a range of bytes of `text`; the whole value where the source
    /// does not show it.
    pub fn part(&self, range: Range<usize>) -> Span {
        self.exact_part(range).unwrap_or(self.span)
    }

    /// Where a part of the line is written, if the source shows the line as it is.
    pub fn exact_part(&self, range: Range<usize>) -> Option<Span> {
        self.exact.then(|| Span::new(self.span.start + range.start, self.span.start + range.end))
    }
}

impl Value {
    /// What it is, for a message: `the string "a"`, `the number 80`, `a list`.
    pub fn describe(&self) -> Cow<'static, str> {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => format!("the boolean {value}").into(),
            Value::Int(value) => format!("the number {value}").into(),
            Value::Float(value) => format!("the number {value}").into(),
            Value::String(text) => format!("the string {}", quote(text)).into(),
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
        }
    }
}

impl Node {
    /// The value of a mapping's field; `None` if it is absent or this is not a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.name == key).map(|(_, node)| node)
    }

    /// A mapping's fields; none for any other value.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A list's items; none for any other value.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is null or nothing.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What it is, for a message: `the string "a"`, `the number 80`, `a list`.
    pub fn describe(&self) -> Cow<'static, str> {
        self.value.describe()
    }

    /// The text as written, of a scalar that is written on one line.
    pub fn written<'s>(&self, source: &'s Source) -> &'s str {
        source.slice(self.span)
    }

    /// The lines of a string with their places, so that a format inside the string can report errors
    /// where they are. None for any other value.
    pub fn lines<'n>(&'n self, source: &Source) -> Vec<Line<'n>> {
        let Value::String(text) = &self.value else { return Vec::new() };
        let written = source.slice(self.span);
        match self.style {
            Style::Literal => self.literal_lines(text, source),
            // A scalar without escapes is in the source character by character.
            Style::Plain if written == text => vec![Line { text, span: self.span, exact: true }],
            Style::Quoted if written.get(1..written.len().saturating_sub(1)) == Some(text) => {
                let span = Span::new(self.span.start + 1, self.span.end - 1);
                vec![Line { text, span, exact: true }]
            }
            _ => self.inexact_lines(text),
        }
    }

    fn inexact_lines<'n>(&self, text: &'n str) -> Vec<Line<'n>> {
        text.lines().map(|text| Line { text, span: self.span, exact: false }).collect()
    }

    /// The lines of a `|` block: each is the end of a source line. The span starts on the first line
    /// that is not blank.
    fn literal_lines<'n>(&self, text: &'n str, source: &Source) -> Vec<Line<'n>> {
        let (first_written, _) = source.location(self.span.start);
        let blank = text.lines().take_while(|line| line.is_empty()).count();
        text.lines()
            .enumerate()
            .map(|(index, text)| {
                let line = source.line_span((first_written + index).saturating_sub(blank));
                if source.slice(line).ends_with(text) {
                    Line { text, span: Span::new(line.end - text.len(), line.end), exact: true }
                } else {
                    Line { text, span: self.span, exact: false }
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_strings_know_their_places() {
        for (text, expected) in [
            ("m: |\n  :80 web\n\n  pod  X\n", vec![(":80 web", ":80 web"), ("", ""), ("pod  X", "pod  X")]),
            ("m: |2-\n    a\r\n   bé\r\n", vec![("  a", "  a"), (" bé", " bé")]),
            ("m: a b\n", vec![("a b", "a b")]),
            ("m: |\n\n\n  a\n\n  b\n", vec![("", ""), ("", ""), ("a", "a"), ("", ""), ("b", "b")]),
            ("m: 'a b'\n", vec![("a b", "a b")]),
            ("m: \"a\\tb\"\n", vec![("a\tb", "\"a\\tb\"")]),
            ("m: 7\n", vec![]),
        ] {
            let source = Source::new("x", text);
            let documents = crate::yaml::parse(&source).unwrap();
            let node = documents[0].get("m").unwrap();
            let lines: Vec<_> =
                node.lines(&source).iter().map(|line| (line.text, source.slice(line.span))).collect();
            assert_eq!(lines, expected, "{text}");
        }
    }

    #[test]
    fn a_part_of_a_line_has_its_own_place() {
        let source = Source::new("x", "matrix: |\n  :80  web\n  pod  Q\n");
        let documents = crate::yaml::parse(&source).unwrap();
        let lines = documents[0].get("matrix").unwrap().lines(&source);
        let span = lines[1].part(5..6);
        assert_eq!(source.slice(span), "Q");
        assert_eq!(source.location(span.start), (3, 8));
    }
}
