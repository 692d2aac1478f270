//! One error type for all input: what is wrong, where, and how to fix it.
//!
//! A diagnostic prints as `FILE:LINE:COLUMN: error: MESSAGE (at PATH)`, the line with the place underlined,
//! a help line, and a note of several lines. It has no colour; the caller may add it.

use crate::source::{Source, Span};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The most characters of a source line that are shown.
const SHOWN_CHARACTERS: usize = 100;
/// The most characters of a message or a help line that are shown; a longer one contains an excessive name.
const SENTENCE_CHARACTERS: usize = 1000;

/// The severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is accepted.
    Warning,
}

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// The source text.
    pub source: Option<Arc<Source>>,
    /// The place in that text.
    pub span: Option<Span>,
    /// The field, as a path from the document's top: `spec.ingress[0].from[1]`.
    pub path: Option<Box<str>>,
    /// How to mend it.
    pub help: Option<String>,
    /// Why it is wrong, in as many lines as that takes; deeper reasons are indented.
    pub note: Option<Box<str>>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            source: None,
            span: None,
            path: None,
            help: None,
            note: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// In this text, as a whole.
    #[must_use]
    pub fn in_source(mut self, source: &Arc<Source>) -> Diagnostic {
        self.source = Some(Arc::clone(source));
        self
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Diagnostic {
        self.span = Some(span);
        self.in_source(source)
    }

    /// In this field. An empty path is none.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Diagnostic {
        self.path = Some(path.into().into_boxed_str()).filter(|path| !path.is_empty());
        self
    }

    /// How to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Why it is wrong: lines of full sentences.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.note = Some(note.into().into_boxed_str());
        self
    }

    /// Line and column, from 1, if it has a place.
    pub fn location(&self) -> Option<(usize, usize)> {
        Some(self.source.as_ref()?.location(self.span?.start))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{}:", source.name)?;
            if let Some((line, column)) = self.location() {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        f.write_str(&sentence(&self.message))?;
        if let Some(path) = &self.path {
            write!(f, " (at {})", sentence(path))?;
        }
        if let (Some(source), Some(span)) = (&self.source, self.span) {
            write_excerpt(f, source, span)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {}", sentence(help))?;
        }
        for (i, line) in self.note.iter().flat_map(|note| note.lines()).enumerate() {
            let lead = if i == 0 { "note: " } else { "      " };
            write!(f, "\n{lead}{}", sentence(line))?;
        }
        Ok(())
    }
}

/// The line that the span starts on, cut around the span if it is long, and carets below it.
fn write_excerpt(f: &mut fmt::Formatter<'_>, source: &Source, span: Span) -> fmt::Result {
    let (line, _) = source.location(span.start);
    let line_span = source.line_span(line);
    let text = source.slice(line_span);
    if text.trim().is_empty() {
        return Ok(());
    }
    let mut at = span.start.clamp(line_span.start, line_span.end) - line_span.start;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let (left, right) = text.split_at(at);
    let end = span.end.saturating_sub(line_span.start + at).min(right.len());
    let marked = right.get(..end).unwrap_or_default();

    // A window with some text before the span, and as much as fits from its start. Only the window is
    // processed: a line may be megabytes long.
    let before = left.chars().rev().take(SHOWN_CHARACTERS + 1).count();
    let after = right.chars().take(SHOWN_CHARACTERS + 1).count();
    let lead = before.min((SHOWN_CHARACTERS / 3).max(SHOWN_CHARACTERS.saturating_sub(after)));
    let room = SHOWN_CHARACTERS - lead;
    let (cut_before, cut_after) =
        (if before > lead { "..." } else { "" }, if after > room { "..." } else { "" });
    let start = left.char_indices().rev().take(lead).last().map_or(left.len(), |(at, _)| at);
    let shown = left.get(start..).unwrap_or_default().chars().chain(right.chars().take(room));
    let shown: String = shown.map(printable).collect();

    let number = line.to_string();
    let margin = " ".repeat(number.len());
    write!(f, "\n{margin} |\n{number} | {cut_before}{shown}{cut_after}")?;
    let indent = " ".repeat(cut_before.len() + lead);
    let carets = "^".repeat(marked.chars().take(room).count().max(1));
    write!(f, "\n{margin} | {indent}{carets}")
}

/// A message or help that is safe for a terminal: without control characters, and shortened in the middle if
/// too long.
fn sentence(text: &str) -> Cow<'_, str> {
    let long = text.char_indices().nth(SENTENCE_CHARACTERS).is_some();
    if !long && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let half = SENTENCE_CHARACTERS / 2;
    let mut shown: String = text.chars().take(if long { half } else { SENTENCE_CHARACTERS }).collect();
    if long {
        let start = text.char_indices().rev().take(half).last().map_or(0, |(at, _)| at);
        shown.push_str("...");
        shown.push_str(text.get(start..).unwrap_or_default());
    }
    Cow::Owned(shown.chars().map(printable).collect())
}

/// Characters that would move the carets or act on a terminal, replaced one for one.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

/// All problems of an input: at least one error, and the warnings.
#[derive(Clone, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// `Err` if one of the diagnostics is an error, else `Ok` with all of them, which are warnings.
    pub fn check(diagnostics: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Diagnostics> {
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            Err(Diagnostics(diagnostics))
        } else {
            Ok(diagnostics)
        }
    }

    /// All of them, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Adds those of another.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(others);
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_underlined() {
        let source = Source::new("deny.yaml", "spec:\n  podSelectr: {}\n");
        let diagnostic = Diagnostic::error("unknown field `podSelectr`")
            .at(&source, Span::new(8, 18))
            .path("spec.podSelectr")
            .help("did you mean `podSelector`?");
        insta::assert_snapshot!(diagnostic);
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_replaced() {
        let source = Source::new("long.yaml", format!("{}\u{1b}\tbad{}", "x".repeat(300), "y".repeat(300)));
        let diagnostic = Diagnostic::warning("here").at(&source, Span::new(302, 305));
        insta::assert_snapshot!(diagnostic);
    }

    #[test]
    fn sentences_are_cut_and_control_characters_replaced() {
        let name = format!("\u{1b}[31m{}", "x".repeat(5000));
        let text =
            Diagnostic::error(format!("`{name}` is not a name")).help(format!("use {name}")).to_string();
        assert!(text.starts_with("error: `\u{fffd}[31mxxx"), "{text}");
        assert!(text.contains("xxx...xxx") && text.contains("x` is not a name\nhelp: use "), "{text}");
        assert!(text.len() < 2 * (SENTENCE_CHARACTERS + 20) && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn spans_outside_the_text_do_no_harm() {
        let source = Source::new("x", "ñ");
        for (start, end) in [(0, 0), (1, 1), (1, 9), (5, 9), (2, 2)] {
            let text = Diagnostic::error("m").at(&source, Span::new(start, end)).to_string();
            assert!(text.starts_with("x:1:"), "{text}");
        }
        assert_eq!(Diagnostic::error("m").to_string(), "error: m");
    }
}
