//! What is wrong with the text of a selector, at which of its characters.

use std::fmt;
use std::ops::Range;

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    /// The whole text.
    pub text: String,
    /// The wrong part, in bytes of the text; empty at its end.
    pub part: Range<usize>,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl SelectorError {
    /// The column of the wrong part, from 1, in characters.
    pub fn column(&self) -> usize {
        self.text.get(..self.part.start).map_or(0, |before| before.chars().count()) + 1
    }
}

/// Message, column, the text with carets below the wrong part, and the help.
impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.column();
        let width = self.text.get(self.part.clone()).map_or(0, |part| part.chars().count());
        // One column for each character, whatever a terminal makes of it.
        let shown: String = self.text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        writeln!(f, "{} at column {column} of the selector", self.message)?;
        writeln!(f, "  {shown}")?;
        writeln!(f, "  {}{}", " ".repeat(column - 1), "^".repeat(width.max(1)))?;
        write!(f, "help: {}", self.help)
    }
}

impl std::error::Error for SelectorError {}
