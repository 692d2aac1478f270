//! The deserializer's error: why a node is not the requested value. It collects place and path on its way
//! out.

use super::handover;
use super::tree::Node;
use crate::diagnostic::Diagnostic;
use crate::path;
use crate::quote::quote;
use crate::source::{Source, Span};
use crate::suggest::suggestion;
use serde::de;
use std::fmt;
use std::sync::Arc;

/// Why a node is not the requested value.
#[derive(Clone, Debug)]
pub struct Error(Box<ErrorParts>);

#[derive(Clone, Debug)]
struct ErrorParts {
    message: String,
    help: Option<String>,
    /// The field that is missing at the place.
    missing: Option<&'static str>,
    /// The known fields, if one is unknown.
    known: Option<&'static [&'static str]>,
    /// Whether a scalar is found where a string is expected.
    wants_quotes: bool,
    span: Option<Span>,
    /// The path to the place, innermost first.
    path: Vec<Segment>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// To the field of a mapping.
    Field(String),
    /// To an item of a list.
    Index(usize),
}

impl Error {
    pub(super) fn new(message: String, help: Option<String>) -> Error {
        Error(Box::new(ErrorParts {
            message,
            help,
            missing: None,
            known: None,
            wants_quotes: false,
            span: None,
            path: Vec::new(),
        }))
    }

    pub(super) fn type_mismatch(wanted: &str, node: &Node) -> Error {
        Error::new(format!("{wanted} is wanted here, not {}", node.describe()), None).at(node.span)
    }

    /// The path to the place, outermost first, and the field that is missing there, if the error is a
    /// missing field.
    pub(super) fn place(&self) -> (Vec<Segment>, Option<&'static str>) {
        (self.0.path.iter().rev().cloned().collect(), self.0.missing)
    }

    /// The known fields, if the error is an unknown field.
    pub(super) fn known(&self) -> Option<&'static [&'static str]> {
        self.0.known
    }

    /// With the help to write the scalar in quotes.
    pub(super) fn wants_quotes(mut self, wants: bool) -> Error {
        self.0.wants_quotes = wants;
        self
    }

    pub(super) fn help(mut self, help: String) -> Error {
        self.0.help = Some(help);
        self
    }

    /// Sets the place, unless an inner one is known.
    pub(super) fn at(mut self, span: Span) -> Error {
        self.0.span.get_or_insert(span);
        self
    }

    pub(super) fn inside(mut self, segment: Segment) -> Error {
        self.0.path.push(segment);
        self
    }

    /// With another path to the place.
    pub(super) fn renumbered(mut self, way: impl FnOnce(&[Segment]) -> Vec<Segment>) -> Error {
        let (path, _) = self.place();
        self.0.path = way(&path).into_iter().rev().collect();
        self
    }

    pub(super) fn into_diagnostic(self, source: &Arc<Source>, base: &str) -> Diagnostic {
        let ErrorParts { message, help, missing: _, known: _, wants_quotes, span, path } = *self.0;
        let path = path.iter().rev().fold(base.to_owned(), |outer, segment| match segment {
            Segment::Field(name) => path::field(&outer, name),
            Segment::Index(index) => path::index(&outer, *index),
        });
        let mut diagnostic = Diagnostic::error(message).path(path).in_source(source);
        if let Some(span) = span {
            diagnostic = diagnostic.at(source, span);
            if wants_quotes {
                diagnostic = diagnostic.help(format!("write it in quotes: \"{}\"", source.slice(span)));
            }
        }
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        diagnostic
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        handover::take_error(&message).unwrap_or_else(|| Error::new(message, None))
    }
    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Error::new(format!("{wanted} is wanted here, not {found}"), None)
    }
    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Error::new(format!("{wanted} is wanted here, not {found}"), None)
    }
    fn invalid_length(length: usize, wanted: &dyn de::Expected) -> Self {
        Error::new(format!("{wanted} is wanted here, not {length} items"), None)
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut error =
            Error::new(format!("unknown field {}", quote(field)), Some(suggestion(field, expected)));
        error.0.known = Some(expected);
        error
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Error::new(format!("unknown value {}", quote(variant)), Some(suggestion(variant, expected)))
    }
    fn missing_field(field: &'static str) -> Self {
        let mut error =
            Error::new(format!("the field `{field}` is missing"), Some(format!("add `{field}: ...`")));
        error.0.missing = Some(field);
        error
    }
    fn duplicate_field(field: &'static str) -> Self {
        Error::new(format!("the field `{field}` stands here twice"), Some("keep one of them".to_owned()))
    }
}
