//! Reads a manifest's tree field by field and collects every error with its place and path. A reader that
//! finds an error reports it and continues with a default, so that one pass finds all errors; the values are
//! valid only if no error was reported.

use crate::names;
use netproof_text::diagnostic::{Diagnostic, Severity};
use netproof_text::path;
use netproof_text::quote::quote;
use netproof_text::source::{Source, Span};
use netproof_text::suggest::{did_you_mean, suggestion};
use netproof_text::yaml::{Node, Reading, Style, Value, kubectl_key, kubectl_value};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The most errors kept for a document.
const MAX_ERRORS: usize = 100;
/// The most warnings kept for a document. An export is one document with many similar objects.
const MAX_WARNINGS: usize = 100_000;

/// Up to this limit every integer is exact as a float.
const MAX_WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// Which errors are only warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// None.
    Nothing,
    /// Unknown fields: the API server of a newer Kubernetes has checked the object already.
    UnknownFields,
    /// All: the kind is of another project, and its schema is unknown here.
    Everything,
}

/// Where the diagnostics of one document are collected.
pub(crate) struct Report<'a> {
    source: &'a Arc<Source>,
    /// What a scalar without quotes means.
    reading: Reading,
    tolerance: Cell<Tolerance>,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// How many errors were reported, kept or not.
    errors: Cell<usize>,
    /// How many of them do not affect the rest of the object: an unknown field, which is left out, or read
    /// as the field with a similar name.
    harmless: Cell<usize>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Arc<Source>, reading: Reading) -> Report<'a> {
        let tolerance = Cell::new(Tolerance::Nothing);
        Report {
            source,
            reading,
            tolerance,
            diagnostics: RefCell::default(),
            errors: Cell::new(0),
            harmless: Cell::new(0),
        }
    }

    /// Reads something with this tolerance, and then restores the previous one.
    pub(crate) fn tolerating<T>(&self, tolerance: Tolerance, read: impl FnOnce() -> T) -> T {
        let before = self.tolerance.replace(tolerance);
        let result = read();
        self.tolerance.set(before);
        result
    }

    pub(crate) fn source(&self) -> &'a Arc<Source> {
        self.source
    }

    /// Whether an unknown field is one that a newer API server knows.
    pub(crate) fn tolerates_unknown_fields(&self) -> bool {
        self.tolerance.get() != Tolerance::Nothing
    }

    /// How many errors so far make an object invalid.
    pub(crate) fn grave_errors(&self) -> usize {
        self.errors.get() - self.harmless.get()
    }

    /// In the order of their places.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
        diagnostics
    }

    fn push(&self, mut diagnostic: Diagnostic) {
        if self.tolerance.get() == Tolerance::Everything {
            diagnostic.severity = Severity::Warning;
        }
        let mut diagnostics = self.diagnostics.borrow_mut();
        // Warnings never displace an error: without it the object would be accepted.
        let errors = self.errors.get();
        let kept = match diagnostic.severity {
            Severity::Error => {
                self.errors.set(errors + 1);
                errors < MAX_ERRORS
            }
            Severity::Warning => diagnostics.len() - errors.min(MAX_ERRORS) < MAX_WARNINGS,
        };
        if kept {
            diagnostics.push(diagnostic);
        }
    }
}

/// One field of a document: its node and the path that leads to it.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    report: &'a Report<'a>,
    pub(crate) node: &'a Node,
    path: String,
}

impl<'a> Field<'a> {
    /// The document itself.
    pub(crate) fn document(report: &'a Report<'a>, node: &'a Node) -> Field<'a> {
        Field { report, node, path: String::new() }
    }

    pub(crate) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// Reports an error at this field.
    pub(crate) fn error(&self, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(message).help(help), self.node.span, &self.path);
    }

    /// Reports an error at a part of this field.
    pub(crate) fn error_at(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(message).help(help), span, &self.path);
    }

    /// Reports a warning at this field.
    pub(crate) fn warn(&self, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::warning(message).help(help), self.node.span, &self.path);
    }

    fn push(&self, diagnostic: Diagnostic, span: Span, path: &str) {
        self.report.push(diagnostic.at(self.report.source, span).path(path));
    }

    fn wrong_type(&self, wanted: &str) {
        let found = self.value().describe();
        let diagnostic = Diagnostic::error(format!("{wanted} is wanted here, not {found}"));
        self.push(diagnostic, self.node.span, &self.path);
    }

    /// The fields of a mapping; `known` lists all that are allowed. Null is an empty mapping.
    pub(crate) fn fields(&self, known: &[&str]) -> Option<Fields<'a>> {
        let mut fields = self.mapping()?;
        let is_known = |name: &str| known.contains(&name);
        let mut has_known = self.node.entries().iter().any(|(key, _)| is_known(&key.name));
        for (key, node) in self.node.entries().iter().filter(|(key, _)| !is_known(&key.name)) {
            let path = path::field(&self.path, &key.name);
            let diagnostic = self.unknown_field(&key.name, known);
            let is_error = self.report.tolerance.get() == Tolerance::Nothing;
            if is_error {
                let free = known.iter().copied().filter(|name| self.node.get(name).is_none());
                if let Some(name) = did_you_mean(&key.name, free) {
                    fields.misspelt.push((name.to_owned(), Field { node, path: path.clone(), ..*self }));
                    has_known = true;
                }
                // A mapping without a known field may be something else altogether.
                let harmless = usize::from(has_known);
                self.report.harmless.set(self.report.harmless.get() + harmless);
            }
            self.push(diagnostic, key.span, &path);
        }
        Some(fields)
    }

    fn unknown_field(&self, name: &str, known: &[&str]) -> Diagnostic {
        let message = format!("unknown field {}", quote(name));
        match self.report.tolerance.get() {
            Tolerance::UnknownFields => Diagnostic::warning(message).help(format!(
                "the object comes from a cluster that knows {}: netproof ignores it",
                quote(name)
            )),
            Tolerance::Nothing | Tolerance::Everything => {
                Diagnostic::error(message).help(suggestion(name, known))
            }
        }
    }

    /// The fields of a mapping whose names are checked elsewhere.
    pub(crate) fn mapping(&self) -> Option<Fields<'a>> {
        match &self.node.value {
            Value::Mapping(_) | Value::Null => Some(Fields { parent: self.clone(), misspelt: Vec::new() }),
            _ => {
                self.wrong_type("a mapping");
                None
            }
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Field<'a>> {
        match &self.node.value {
            Value::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Field { node, path: path::index(&self.path, index), ..*self })
                .collect(),
            Value::Null => Vec::new(),
            _ => {
                self.wrong_type("a list");
                Vec::new()
            }
        }
    }

    /// The value: where manifests are read as kubectl reads them, `yes` is a boolean, and `8_0` is a number.
    pub(crate) fn value(&self) -> Cow<'a, Value> {
        match self.report.reading {
            Reading::Strict => Cow::Borrowed(&self.node.value),
            Reading::Kubectl => kubectl_value(self.node, self.report.source),
        }
    }

    /// The string; null is the empty one, as for the API server.
    pub(crate) fn string(&self) -> Option<&'a str> {
        let value = self.value();
        match (&self.node.value, value.as_ref()) {
            (Value::String(text), Value::String(_)) => {
                let plain = self.report.reading == Reading::Strict && self.node.style == Style::Plain;
                if plain && matches!(text.to_lowercase().as_str(), "yes" | "no" | "on" | "off") {
                    let message =
                        format!("kubectl reads `{text}` as a boolean, and the API server refuses it");
                    self.warn(message, format!("write it in quotes: \"{text}\""));
                }
                Some(text)
            }
            // YAML 1.2 and most parsers read a string here, and the intent is clear.
            (Value::String(text), Value::Bool(_)) if text.len() == 1 => {
                let message = format!("kubectl reads `{text}` as {}, and refuses it here", value.describe());
                self.warn(message, format!("write it in quotes: \"{text}\""));
                Some(text)
            }
            (Value::Null, _) => Some(""),
            (_, Value::Bool(_) | Value::Int(_) | Value::Float(_)) => {
                let written = self.node.written(self.report.source);
                let message = format!("a string is wanted here, not {}", value.describe());
                self.error(message, format!("write it in quotes: \"{written}\""));
                None
            }
            _ => {
                self.wrong_type("a string");
                None
            }
        }
    }

    /// The string, if `check` finds nothing wrong with it; `what` it is, for the message.
    pub(crate) fn checked(&self, what: &str, check: fn(&str) -> Result<(), String>) -> Option<&'a str> {
        let text = self.string()?;
        match check(text) {
            Ok(()) => Some(text),
            Err(problem) => {
                let help = match names::likely(text, check) {
                    Some(likely) => format!("did you mean `{likely}`?"),
                    None => format!("choose another {what}"),
                };
                self.error(format!("the {what} {} {problem}", quote(text)), help);
                None
            }
        }
    }

    /// The boolean.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match *self.value() {
            Value::Bool(value) => Some(value),
            _ => {
                self.wrong_type("true or false, without quotes,");
                None
            }
        }
    }

    /// An integer in a range; `what` it is, for the message. Numbers without a fraction count as integers:
    /// `80.0`, `8e1`.
    pub(crate) fn integer<T>(&self, what: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let value = self.value();
        let help = || format!("write a number from {} to {}", range.start(), range.end());
        let number = match value.as_ref() {
            Value::Int(number) => *number,
            Value::Float(number) if number.fract() == 0.0 && number.abs() < MAX_WHOLE => *number as i64,
            Value::String(text) if text.parse::<u32>().is_ok() => {
                let message = format!("a number is wanted here, not {}", value.describe());
                self.error(message, format!("write it without quotes: {text}"));
                return None;
            }
            found => {
                let message = format!("a whole number is wanted here, not {}", found.describe());
                self.error(message, help());
                return None;
            }
        };
        let written = self.node.written(self.report.source);
        let digits = written.trim_start_matches(['+', '-']);
        if digits.len() > 1 && digits.starts_with('0') {
            let help = "write the number in decimal, without leading zeros";
            match self.report.reading {
                Reading::Kubectl if digits.parse().is_ok_and(|decimal: i64| decimal != number.abs()) => {
                    self.warn(format!("kubectl reads {written} as octal: {number}"), help);
                }
                Reading::Strict if digits.starts_with("0o") || digits.parse() == Ok(number.abs()) => {
                    self.error(format!("kubectl reads {written} as octal"), help);
                    return None;
                }
                _ => {}
            }
        }
        let valid = T::try_from(number).ok().filter(|number| range.contains(number));
        if valid.is_none() {
            self.error(format!("{number} is not a {what}"), help());
        }
        valid
    }

    /// One of several words, spelt exactly.
    pub(crate) fn word<T: Copy>(&self, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let near = did_you_mean(text, known.iter().copied());
            let help = match near {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write one of: {}", known.join(", ")),
            };
            self.error(format!("unknown {what} {}", quote(text)), help);
        }
        found
    }

    /// A mapping from strings to strings, each pair checked.
    pub(crate) fn string_map(
        &self,
        check_key: fn(&str) -> Result<(), String>,
        check_value: fn(&str) -> Result<(), String>,
    ) -> BTreeMap<String, String> {
        if self.mapping().is_none() {
            return BTreeMap::new();
        }
        let mut map = BTreeMap::new();
        for (key, node) in self.node.entries() {
            let name = match self.report.reading {
                Reading::Strict => Cow::Borrowed(key.name.as_str()),
                Reading::Kubectl => kubectl_key(key, self.report.source),
            };
            let field = Field { node, path: path::field(&self.path, &name), ..*self };
            if *name != key.name {
                let diagnostic =
                    Diagnostic::warning(format!("kubectl reads the key `{}` as `{name}`", key.name));
                let help = format!("write it in quotes: \"{}\"", key.name);
                field.push(diagnostic.help(help), key.span, &field.path);
            }
            if let Err(problem) = check_key(&name) {
                let diagnostic = Diagnostic::error(format!("the key {} {problem}", quote(&name)));
                field.push(diagnostic.help("choose another key"), key.span, &field.path);
            }
            if let Some(value) = field.checked("value", check_value) {
                map.insert(name.into_owned(), value.to_owned());
            }
        }
        map
    }
}

/// The fields of a mapping. A field that is null is absent, as for the API server.
pub(crate) struct Fields<'a> {
    parent: Field<'a>,
    /// The value to read as the field that was most likely meant, after the error.
    misspelt: Vec<(String, Field<'a>)>,
}

impl<'a> Fields<'a> {
    /// The mapping itself.
    pub(crate) fn field(&self) -> &Field<'a> {
        &self.parent
    }

    /// A field, if it is present.
    pub(crate) fn get(&self, name: &str) -> Option<Field<'a>> {
        let Some(node) = self.parent.node.get(name) else {
            let meant = self.misspelt.iter().find(|(meant, _)| meant == name).map(|(_, field)| field.clone());
            return meant.filter(|field| !field.node.is_null());
        };
        let field = || Field { node, path: path::field(&self.parent.path, name), ..self.parent };
        (!node.is_null()).then(field)
    }

    /// A field of text; the empty text is absent, as for the API server.
    pub(crate) fn text(&self, name: &str) -> Option<Field<'a>> {
        self.get(name).filter(|field| field.node.as_str() != Some(""))
    }

    /// A required field; reports an error if it is missing.
    pub(crate) fn require(&self, name: &str) -> Option<Field<'a>> {
        let field = self.get(name);
        if field.is_none() {
            self.missing(name);
        }
        field
    }

    /// Reports that a required field is missing.
    pub(crate) fn missing(&self, name: &str) {
        let path = path::field(&self.parent.path, name);
        let diagnostic = Diagnostic::error(format!("the field `{name}` is missing"));
        self.parent.push(diagnostic.help(format!("add `{name}: ...`")), self.parent.node.span, &path);
    }

    /// The items of a list; none if it is absent.
    pub(crate) fn items(&self, name: &str) -> Vec<Field<'a>> {
        self.get(name).map(|field| field.items()).unwrap_or_default()
    }
}
