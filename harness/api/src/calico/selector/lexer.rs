//! The characters of a selector: what stands at the present place.

use super::error::SelectorError;
use std::ops::Range;

/// The longest label name.
const MAX_LABEL_BYTES: usize = 512;

/// A text and how far it is read.
pub(super) struct Lexer<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// Whether everything is read.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Reads exactly this, if it is next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    /// The label, operator or other word that is next; empty if there is none.
    pub(super) fn word(&self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_label_character(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Reads a label's name; `None` if there is none.
    pub(super) fn label(&mut self) -> Result<Option<&'t str>, SelectorError> {
        let word = self.word();
        if word.len() > MAX_LABEL_BYTES {
            let message =
                format!("a label name has at most {MAX_LABEL_BYTES} characters, and this one {}", word.len());
            return Err(self.error(self.at..self.at + word.len(), message, "use a shorter one"));
        }
        self.at += word.len();
        Ok((!word.is_empty()).then_some(word))
    }

    /// Reads words with any space, or none, between them. The last ends where no label could go on.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let start = self.at;
        for word in words {
            if !self.take(word) {
                self.at = start;
                return false;
            }
            if Some(word) != words.last() {
                self.skip_space();
            }
        }
        if self.rest().starts_with(is_label_character) {
            self.at = start;
            return false;
        }
        true
    }

    /// The place of the next character.
    pub(super) fn next_character(&self) -> Range<usize> {
        self.at..self.at + self.rest().chars().next().map_or(0, char::len_utf8)
    }

    /// The place of the word that is next, or of the character.
    pub(super) fn next_word(&self) -> Range<usize> {
        match self.word().len() {
            0 => self.next_character(),
            length => self.at..self.at + length,
        }
    }

    pub(super) fn error(
        &self,
        part: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> SelectorError {
        let text = self.text.to_owned();
        SelectorError { text, part, message: message.into(), help: help.into() }
    }
}

pub(super) fn is_label_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-')
}
