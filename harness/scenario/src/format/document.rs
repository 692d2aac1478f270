//! A document with its text, and the list of what is wrong with the input.

use netproof_api::diagnostic::Severity;
use netproof_api::source::Span;
use netproof_api::yaml::{Line, Node, Spanned};
use netproof_api::{Diagnostic, Source, names};
use netproof_model::event::Location;
use std::collections::HashMap;
use std::sync::Arc;

/// One YAML document of a file.
#[derive(Debug)]
pub struct Document {
    /// The file's text.
    pub source: Arc<Source>,
    /// The document.
    pub root: Node,
}

impl Document {
    /// An error at a place of this document.
    pub fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(&self.source, span)
    }

    /// A place, as plans and reports name it.
    pub fn location(&self, span: Span) -> Location {
        location(&self.source, span)
    }

    /// The place of a part of a string, given as bytes of its value.
    pub fn part(&self, text: &Node, start: usize, length: usize) -> Span {
        let mut offset = 0;
        for line in text.lines(&self.source) {
            let Line { text: content, .. } = line;
            if start <= offset + content.len() {
                let from = start.saturating_sub(offset);
                return line.part(from..(from + length).min(content.len()).max(from));
            }
            offset += content.len() + 1;
        }
        text.span
    }
}

/// A place, as plans and reports name it.
pub fn location(source: &Source, span: Span) -> Location {
    let (line, column) = source.location(span.start);
    Location { file: source.name.clone(), line, column }
}

/// What is wrong with the input, in the order of its finding.
#[derive(Debug, Default)]
pub struct Problems(Vec<Diagnostic>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds several.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(diagnostics);
    }

    /// Adds what was found in a scenario. In a case of a table, whose cases share their text, the first one
    /// speaks for all; its path would not be one of the table.
    pub fn extend_from(&mut self, case: Option<&str>, found: Problems) {
        let Some(case) = case else {
            return self.extend(found.0);
        };
        for mut diagnostic in found.0 {
            let place = |it: &Diagnostic| it.source.as_ref().map(|source| source.name.clone());
            let said = self.0.iter().any(|other| {
                other.message == diagnostic.message
                    && other.span == diagnostic.span
                    && place(other) == place(&diagnostic)
            });
            if said {
                continue;
            }
            diagnostic.path = None;
            let note = diagnostic.note.take().map(|note| format!("\n{note}")).unwrap_or_default();
            self.push(diagnostic.note(format!("in the case `{case}`{note}")));
        }
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }

    /// Reports a name that does not have the syntax which `check` asks for.
    pub fn check_name(
        &mut self,
        document: &Document,
        name: &Spanned<String>,
        check: fn(&str) -> Result<(), String>,
    ) {
        if let Err(message) = check(name) {
            let help = match names::likely(name, check) {
                Some(likely) => format!("did you mean `{likely}`?"),
                None => "choose another name".to_owned(),
            };
            self.push(document.error(name.span, format!("`{}` {message}", name.value)).help(help));
        }
    }

    /// Reports a name that was seen before.
    pub fn check_twice(
        &mut self,
        document: &Document,
        seen: &mut HashMap<String, Span>,
        name: &Spanned<String>,
        what: &str,
    ) {
        if let Some(first) = seen.get(&name.value) {
            let (line, _) = document.source.location(first.start);
            let error = document.error(name.span, format!("a second {what} is named `{}`", name.value));
            self.push(error.help(format!("the first one is in line {line}; give each a name of its own")));
        } else {
            seen.insert(name.value.clone(), name.span);
        }
    }
}
