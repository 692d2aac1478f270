//! The syntax of Calico's selectors: `role == 'db' && !has(debug)`. Evaluation is not here.
//!
//! Source of the grammar: the page "Selectors" of Calico's resource reference, and the cases of its tokenizer
//! and parser (`libcalico-go/lib/selector`).
//!
//! ```text
//! selector = ws [ or ] end                                  nothing at all means all()
//! or       = and { "||" and }
//! and      = unary { "&&" unary }
//! unary    = { "!" } primary                                an even number of "!" is none
//! primary  = "(" or ")" | "all(" ws ")" | "global(" ws ")" | "has(" ws label ws ")" | label ws condition
//! condition = "==" text | "!=" text | "contains" text | "starts" ws "with" text | "ends" ws "with" text
//!          | "in" set | "not" ws "in" set
//! set      = "{" [ text { "," text } [ "," ] ] "}"
//! text     = any characters in double or in single quotes; there are no escapes
//! label    = 1 to 512 of letters, digits and _ . / -
//! ws       = spaces and tabs; a line break is none
//! ```

mod display;
mod error;
mod lexer;
mod mistakes;
mod parse;
#[cfg(test)]
mod tests;

pub use error::SelectorError;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest selector that the API takes, in characters.
pub const MAX_SELECTOR_CHARACTERS: usize = 1024;

/// A selector. Its text ([`ToString`]) reads as the same selector again ([`str::parse`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// `all()`, and the empty text.
    All,
    /// `global()`: in a rule's `namespaceSelector`, what is in no namespace.
    Global,
    /// A condition about one label.
    Label {
        /// The label's name.
        name: String,
        /// The condition.
        condition: Condition,
    },
    /// `! OPERAND`.
    Not(Box<Selector>),
    /// `OPERAND && OPERAND`; two operands or more.
    And(Vec<Selector>),
    /// `OPERAND || OPERAND`; two operands or more.
    Or(Vec<Selector>),
}

/// What a selector asks of one label. No text in it has both kinds of quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// `has(NAME)`: the label is there, perhaps with an empty value.
    Has,
    /// `NAME == 'TEXT'`: it is there with this value.
    Equals(String),
    /// `NAME != 'TEXT'`: it is absent, or has another value.
    Differs(String),
    /// `NAME in {'TEXT', ...}`: it is there with one of the values.
    In(Vec<String>),
    /// `NAME not in {'TEXT', ...}`: it is absent, or has none of the values.
    NotIn(Vec<String>),
    /// `NAME contains 'TEXT'`: it is there, and the text is somewhere in its value.
    Contains(String),
    /// `NAME starts with 'TEXT'`: it is there, and its value starts so.
    StartsWith(String),
    /// `NAME ends with 'TEXT'`: it is there, and its value ends so.
    EndsWith(String),
}

impl Selector {
    /// Whether `global()` is anywhere in it.
    pub fn has_global(&self) -> bool {
        match self {
            Selector::Global => true,
            Selector::All | Selector::Label { .. } => false,
            Selector::Not(operand) => operand.has_global(),
            Selector::And(operands) | Selector::Or(operands) => operands.iter().any(Selector::has_global),
        }
    }
}

/// Its text.
impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: SelectorError| de::Error::custom(error.message))
    }
}
