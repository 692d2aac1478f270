//! A document with its text, and the list of what is wrong with the input.

use netproof_api::diagnostic::Severity;
use netproof_api::source::Span;
use netproof_api::yaml::{self, Line, Node, Reading, Recovered, Spanned};
use netproof_api::{Diagnostic, Source, names};
use netproof_model::event::Location;
use std::collections::HashMap;
use std::sync::Arc;

/// What is wrong with a text, and how to mend it.
pub type TextError = (String, String);

/// What is wrong, where, and how to mend it.
pub type SpannedError = (Span, String, String);

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

/// The documents of a text that can be read; `None`, which is reported, if there are none.
pub fn documents(source: &Arc<Source>, problems: &mut Problems) -> Option<Vec<Node>> {
    let documents = match yaml::documents(source, Reading::Strict) {
        Ok(documents) => documents,
        Err(errors) => {
            problems.extend(errors);
            return None;
        }
    };
    problems.reads(source);
    if documents.is_empty() {
        problems.push(yaml::empty(source));
        return None;
    }
    let mut roots = Vec::new();
    for document in documents {
        problems.extend_syntax(source, document.problems);
        roots.extend(document.root);
    }
    (!roots.is_empty()).then_some(roots)
}

/// A place, as plans and reports name it.
pub fn location(source: &Source, span: Span) -> Location {
    let (line, column) = source.location(span.start);
    Location { file: source.name.clone(), line, column }
}

/// What is wrong with the input.
#[derive(Debug, Default)]
pub struct Problems {
    all: Vec<Diagnostic>,
    /// The texts, in the order in which they are read.
    texts: Vec<String>,
    /// Mappings and lists that something unreadable was left out of, each with its text.
    damaged: Vec<(String, Span)>,
    /// Those of them that are not what was meant, because it was no unknown field; and places where the YAML itself is
    /// wrong.
    broken: Vec<(String, Span)>,
}

impl Problems {
    /// A text is read: its place among the others is that of what is said about it.
    pub fn reads(&mut self, source: &Source) {
        if !self.texts.contains(&source.name) {
            self.texts.push(source.name.clone());
        }
    }

    /// Adds one. What is said of a mapping as a whole that something unreadable was left out of would not be said
    /// if that could be read.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let second_hand = |(text, span): &(String, Span)| {
            diagnostic.span == Some(*span)
                && diagnostic.source.as_ref().is_some_and(|source| source.name == *text)
        };
        if !self.damaged.iter().any(second_hand) {
            self.all.push(diagnostic);
        }
    }

    /// Adds several.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// Adds what is wrong with the YAML of a text.
    pub fn extend_syntax(&mut self, source: &Source, diagnostics: Vec<Diagnostic>) {
        let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).filter_map(|it| it.span);
        self.broken.extend(errors.map(|span| (source.name.clone(), span)));
        self.extend(diagnostics);
    }

    /// The places at which the YAML of a text is wrong, and the mappings and lists that lack what could not be read.
    pub fn broken(&self, source: &Source) -> impl Iterator<Item = Span> {
        self.broken.iter().filter(|(text, _)| *text == source.name).map(|(_, span)| *span)
    }

    /// Whether what stands at this place is not what was meant, because a part of it could not be read.
    pub fn is_broken(&self, source: &Source, span: Span) -> bool {
        self.broken(source).any(|part| span.start <= part.start && part.end <= span.end)
    }

    /// The value that could be read, and what is wrong with the rest.
    pub fn recovered<T>(&mut self, source: &Source, recovered: Recovered<T>) -> Option<T> {
        self.extend(recovered.errors);
        self.broken.extend(recovered.lost.iter().map(|lost| (source.name.clone(), lost.around)));
        self.damaged.extend(recovered.damaged.into_iter().map(|span| (source.name.clone(), span)));
        recovered.value
    }

    /// Adds what was found in a scenario. In a case of a table, whose cases share their text, the first one
    /// speaks for all; its path would not be one of the table.
    pub fn extend_from(&mut self, case: Option<&str>, found: Problems) {
        self.damaged.extend(found.damaged);
        self.broken.extend(found.broken);
        let Some(case) = case else {
            return self.all.extend(found.all);
        };
        for mut diagnostic in found.all {
            let place = |it: &Diagnostic| it.source.as_ref().map(|source| source.name.clone());
            let said = self.all.iter().any(|other| {
                other.message == diagnostic.message
                    && other.span == diagnostic.span
                    && place(other) == place(&diagnostic)
            });
            if said {
                continue;
            }
            diagnostic.path = None;
            let note = diagnostic.note.take().map(|note| format!("\n{note}")).unwrap_or_default();
            self.all.push(diagnostic.note(format!("in the case `{case}`{note}")));
        }
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.all.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// All of them, each once, in the order of the texts and of their places in each. What is in no text comes
    /// last.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        let Problems { mut all, mut texts, .. } = self;
        for source in all.iter().filter_map(|diagnostic| diagnostic.source.as_ref()) {
            if !texts.contains(&source.name) {
                texts.push(source.name.clone());
            }
        }
        let text = |diagnostic: &Diagnostic| {
            let name = diagnostic.source.as_ref().map(|source| &source.name);
            name.and_then(|name| texts.iter().position(|text| text == name)).unwrap_or(usize::MAX)
        };
        all.sort_by_cached_key(|it| (text(it), it.span.map_or(0, |span| span.start)));
        let mut kept: Vec<Diagnostic> = Vec::new();
        for diagnostic in all {
            let start = diagnostic.span.map(|span| span.start);
            let here = kept.iter().rev().take_while(|other| other.span.map(|span| span.start) == start);
            let said = here.into_iter().any(|other| {
                (other.span, &other.message) == (diagnostic.span, &diagnostic.message)
                    && text(other) == text(&diagnostic)
            });
            if !said {
                kept.push(diagnostic);
            }
        }
        kept
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
