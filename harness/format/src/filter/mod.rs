//! The expression of `--filter`, which chooses scenario runs.
//!
//! ```text
//! EXPR = EXPR or EXPR | EXPR and EXPR | not EXPR | ( EXPR ) | KEY=VALUE | WORD
//! ```
//!
//! `and` binds tighter than `or`, `not` tighter than both. A WORD matches every run whose id
//! (`recipes::deny-all::across-ipv6`) contains it. The keys are `suite`, `name` and `id`, which compare
//! the whole; `variant`, which compares one of the variant's words; `tag`, which compares one of the tags; and
//! otherwise the key of a label. A word or value with spaces, parentheses or `=`, or that is one of the three
//! operators, is put in double quotes.

mod known;

pub use known::Known;

use netproof_model::event::ScenarioId;
use std::collections::{BTreeMap, BTreeSet};

/// A filter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The id contains this.
    Contains(String),
    /// The key has this value.
    Equals(String, String),
    /// Either holds.
    Or(Box<Filter>, Box<Filter>),
    /// Both hold.
    And(Box<Filter>, Box<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

/// What is wrong with a filter, and where: byte offsets into the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub start: usize,
    pub end: usize,
    pub message: String,
}

/// Parentheses and `not` may not nest deeper.
const MAX_DEPTH: usize = 64;

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first thing that does not fit, with its place.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() };
        let filter = parser.or(0)?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) if token.kind == Kind::Close => {
                Err(token.error("a parenthesis is closed that was never opened"))
            }
            Some(token) => {
                Err(token.error("two conditions stand side by side: write `and` or `or` between them"))
            }
        }
    }

    /// Whether a scenario run is chosen.
    pub fn matches(
        &self,
        id: &ScenarioId,
        labels: &BTreeMap<String, String>,
        tags: &BTreeSet<String>,
    ) -> bool {
        match self {
            Filter::Contains(word) => id.to_string().contains(word.as_str()),
            Filter::Equals(key, value) => match key.as_str() {
                "id" => id.to_string() == *value,
                "suite" => id.suite == *value,
                "name" => id.name == *value,
                "tag" => tags.contains(value),
                "variant" => id.variant.contains(value) || id.variant_name() == *value,
                label => labels.get(label) == Some(value),
            },
            Filter::Or(left, right) => left.matches(id, labels, tags) || right.matches(id, labels, tags),
            Filter::And(left, right) => left.matches(id, labels, tags) && right.matches(id, labels, tags),
            Filter::Not(inner) => !inner.matches(id, labels, tags),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Equals,
    And,
    Or,
    Not,
    Word(String),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

impl Token {
    fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError { start: self.start, end: self.end, message: message.into() }
    }
}

/// Whether a character has a meaning of its own in an expression.
fn is_special(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '=' | '"')
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (kind, length) = match first {
            '(' => (Some(Kind::Open), 1),
            ')' => (Some(Kind::Close), 1),
            '=' => (Some(Kind::Equals), 1),
            '"' => match rest[1..].find('"') {
                Some(length) => (Some(Kind::Word(rest[1..=length].to_owned())), length + 2),
                None => {
                    let message = "a quotation mark is never closed".to_owned();
                    return Err(FilterError { start, end: text.len(), message });
                }
            },
            space if space.is_whitespace() => (None, space.len_utf8()),
            _ => {
                let word = rest.split(is_special).next().unwrap_or(rest);
                let kind = match word {
                    "and" => Kind::And,
                    "or" => Kind::Or,
                    "not" => Kind::Not,
                    word => Kind::Word(word.to_owned()),
                };
                (Some(kind), word.len())
            }
        };
        tokens.extend(kind.map(|kind| Token { kind, start, end: start + length }));
        rest = &rest[length..];
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let taken = self.peek().is_some_and(|token| token.kind == *kind);
        self.at += usize::from(taken);
        taken
    }

    fn or(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut left = self.and(depth)?;
        while self.take(&Kind::Or) {
            left = Filter::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut left = self.condition(depth)?;
        while self.take(&Kind::And) {
            left = Filter::And(Box::new(left), Box::new(self.condition(depth)?));
        }
        Ok(left)
    }

    fn condition(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let Some(token) = self.peek() else {
            let message = "a condition is missing here: a word, or KEY=VALUE".to_owned();
            return Err(FilterError { start: self.end, end: self.end, message });
        };
        if depth > MAX_DEPTH {
            return Err(token.error("the expression is nested too deeply"));
        }
        self.at += 1;
        match &token.kind {
            Kind::Not => Ok(Filter::Not(Box::new(self.condition(depth + 1)?))),
            Kind::Open => {
                let inner = self.or(depth + 1)?;
                if self.take(&Kind::Close) {
                    return Ok(inner);
                }
                Err(token.error("this parenthesis is never closed"))
            }
            Kind::Word(word) if self.take(&Kind::Equals) => match self.peek() {
                Some(Token { kind: Kind::Word(value), .. }) => {
                    self.at += 1;
                    Ok(Filter::Equals(word.clone(), value.clone()))
                }
                Some(other) => Err(other.error(format!("the value of `{word}` is missing before this"))),
                None => {
                    let message = format!("the value of `{word}` is missing");
                    Err(FilterError { start: self.end, end: self.end, message })
                }
            },
            Kind::Word(word) => Ok(Filter::Contains(word.clone())),
            Kind::Close | Kind::Equals | Kind::And | Kind::Or => {
                Err(token.error("a condition is missing before this: a word, or KEY=VALUE"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ScenarioId {
        ScenarioId {
            suite: "recipes".into(),
            name: "deny-all".into(),
            variant: vec!["across".into(), "ipv6".into()],
        }
    }

    #[test]
    fn expressions_choose() {
        let labels = BTreeMap::from([("source".to_owned(), "seed 004".to_owned())]);
        let tags = BTreeSet::from(["egress".to_owned(), "named-port".to_owned()]);
        for (text, expected) in [
            ("deny", true),
            ("recipes::deny-all::across-ipv6", true),
            ("allow", false),
            ("suite=recipes", true),
            ("suite=recipe", false),
            ("name=deny-all and variant=ipv6", true),
            ("variant=across-ipv6", true),
            ("variant=ipv4", false),
            ("source=\"seed 004\"", true),
            ("source=seed", false),
            ("tag=egress and tag=named-port", true),
            ("tag=port", false),
            ("not allow", true),
            ("not not deny", true),
            ("allow or deny and ipv4", false),
            ("(allow or deny) and ipv6", true),
            ("allow and ipv4 or deny", true),
            ("\"and\"", false),
        ] {
            let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(filter.matches(&id(), &labels, &tags), expected, "{text}");
        }
    }

    #[test]
    fn a_bad_expression_is_pointed_at() {
        for (text, offending) in [
            ("", ""),
            ("and a", "and"),
            ("a and", ""),
            ("a b", "b"),
            ("(a", "("),
            ("a)", ")"),
            ("suite=", ""),
            ("suite=)", ")"),
            ("=x", "="),
            ("a \"b", "\"b"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert_eq!(&text[error.start..error.end], offending, "{text}: {}", error.message);
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    }
}
