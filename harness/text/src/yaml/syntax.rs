//! Syntax errors with hints, the text's preparation for the parser, and the places of a value's parts.

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use libyaml_safer::{Error, ErrorKind};
use std::borrow::Cow;
use std::sync::Arc;

/// The diagnostic for the parser's error in `text`, which is at `start` in the source.
pub(super) fn error(source: &Arc<Source>, start: usize, text: &str, error: &Error) -> Diagnostic {
    if error.kind() == ErrorKind::Reader {
        let at = text.find(|character| !is_allowed(character)).unwrap_or_default();
        let message = "not valid YAML: control characters are not allowed";
        let help = "take it out, or write it as an escape in double quotes: \"\\x00\"";
        return Diagnostic::error(message).at(source, Span::new(start + at, start + at)).help(help);
    }
    let mark = |mark: Option<libyaml_safer::Mark>| {
        mark.and_then(|mark| usize::try_from(mark.index).ok()).unwrap_or(text.len()).min(text.len())
    };
    let mut at = mark(error.problem_mark());
    let opened = mark(error.context_mark());
    let rest = text.get(at..).unwrap_or_default();
    let context = error.context().unwrap_or_default();
    let in_quotes = context.contains("quoted scalar");
    let help = match error.problem() {
        _ if rest.starts_with('\t') || error.problem().contains("tab") => "indent with spaces, not with tabs",
        "found character that cannot start any token" if rest.starts_with('%') => {
            "kubectl reads no directives within a document; put the value in quotes"
        }
        "found character that cannot start any token" => "put the value in quotes",
        "did not find expected <document start>" if text.trim_start().starts_with('%') => {
            at = text.find('%').unwrap_or(at);
            "leave the directive out: kubectl refuses it"
        }
        "did not find expected ',' or ']'" | "did not find expected ',' or '}'" => {
            // The bracket's place says more than the text's end.
            if rest.trim().is_empty() {
                at = opened;
            }
            "close the bracket"
        }
        "found unexpected end of stream" | "found unexpected document indicator" if in_quotes => {
            at = opened;
            "close the quotes"
        }
        "did not find expected node content" if context.contains("flow") && rest.trim().is_empty() => {
            "close the bracket"
        }
        "found undefined tag handle" => "leave the tag away; quotes make a string of anything",
        "mapping values are not allowed in this context" => "put a value with `: ` in it in quotes",
        "could not find expected ':'" => "a field is written `name: value`, with a space after the colon",
        _ => "check the indentation and the quotes of this line and the one above",
    };
    let message = match context {
        "" | "while scanning for the next token" | "while parsing a node" | "while parsing a block node" => {
            format!("not valid YAML: {}", error.problem())
        }
        context => format!("not valid YAML: {} {context}", error.problem()),
    };
    Diagnostic::error(message).at(source, Span::new(start + at, start + at)).help(help)
}

/// What YAML 1.1 allows in a text.
fn is_allowed(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..='\u{10ffff}')
}

/// JSON writes a character beyond 16 bits as two escapes, `\ud83d\ude00`, which YAML does not know. They are
/// replaced by text of the same length: an escaped line break, which means nothing, and `\U0001f600`.
pub(super) fn join_surrogates(text: &str) -> Cow<'_, str> {
    const LENGTH: usize = r"\ud83d\ude00".len();
    let mut joined = String::new();
    let mut kept = 0;
    for (at, _) in text.match_indices(r"\u") {
        if at < kept {
            continue;
        }
        let unit = |from: usize| {
            let digits = text.get(at + from..at + from + 6)?.strip_prefix(r"\u")?;
            u16::from_str_radix(digits, 16).ok()
        };
        let (Some(high), Some(low)) = (unit(0), unit(6)) else { continue };
        let (Some(Ok(character)), true) =
            (char::decode_utf16([high, low]).next(), (0xd800..0xdc00).contains(&high))
        else {
            continue;
        };
        joined.push_str(text.get(kept..at).unwrap_or_default());
        joined.push_str(&format!("\\\n\\U{:08x}", u32::from(character)));
        kept = at + LENGTH;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    joined.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(joined)
}

/// kubectl knows the escape `\'`, and the parser does not. If it stops at one, those in the same quoted text
/// are replaced by an escape of the same length, which the builder knows as [`QUOTE`].
pub(super) fn known_escapes(text: &str, error: &Error) -> Option<String> {
    let at = usize::try_from(error.problem_mark()?.index).ok()?;
    let rest = text.get(at..)?;
    if error.problem() != "found unknown escape character" || !rest.starts_with(r"\'") {
        return None;
    }
    let mut changed = text.get(..at)?.to_owned();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        changed.push(character);
        match (character, characters.clone().next()) {
            ('"', _) => break,
            ('\\', Some(escaped)) => {
                changed.push(if escaped == '\'' { 'P' } else { escaped });
                characters.next();
            }
            _ => {}
        }
    }
    changed.push_str(characters.as_str());
    Some(changed)
}

/// The meaning of `\P`: the paragraph separator, which nobody writes that way.
pub(super) const QUOTE: char = '\u{2029}';

/// Where a value starts, after its anchor or tag.
pub(super) fn without_properties(source: &Source, span: Span) -> Span {
    let mut rest = source.slice(span);
    loop {
        rest = rest.trim_start();
        let end = match rest.chars().next() {
            Some('&' | '!') => rest.find(char::is_whitespace),
            Some('#') => rest.find('\n'),
            _ => break,
        };
        rest = rest.get(end.unwrap_or(rest.len())..).unwrap_or_default();
    }
    Span::new(span.end - rest.len(), span.end)
}

/// The span of a block scalar's text, from its first line that is not blank to the end of its last line;
/// without text, the span of the `|`.
pub(super) fn content_of_block(source: &Source, span: Span) -> Span {
    let written = source.slice(span);
    let header = written.find('\n').map_or(written.len(), |end| end + 1);
    let content = written.get(header..).unwrap_or_default();
    if content.trim().is_empty() {
        return Span::new(span.start, span.start + 1);
    }
    let start = span.start + header + (content.len() - content.trim_start().len());
    let last = content.trim_end().len();
    let line_break = content.get(last..).and_then(|rest| rest.find('\n')).map_or(0, |at| at + 1);
    Span::new(start, span.start + header + last + line_break)
}
