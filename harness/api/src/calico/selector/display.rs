//! The text of a selector.

use super::{Condition, Selector};
use std::fmt;

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::All => f.write_str("all()"),
            Selector::Global => f.write_str("global()"),
            Selector::Label { name, condition } => write_condition(f, name, condition),
            // `!!x` would read as `x`.
            Selector::Not(operand) => match **operand {
                Selector::Not(_) | Selector::And(_) | Selector::Or(_) => write!(f, "!({operand})"),
                _ => write!(f, "!{operand}"),
            },
            Selector::And(operands) => write_operands(f, operands, " && "),
            Selector::Or(operands) => write_operands(f, operands, " || "),
        }
    }
}

fn write_operands(f: &mut fmt::Formatter<'_>, operands: &[Selector], operator: &str) -> fmt::Result {
    for (index, operand) in operands.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        match operand {
            Selector::And(_) | Selector::Or(_) => write!(f, "({operand})")?,
            _ => write!(f, "{operand}")?,
        }
    }
    Ok(())
}

fn write_condition(f: &mut fmt::Formatter<'_>, name: &str, condition: &Condition) -> fmt::Result {
    match condition {
        Condition::Has => write!(f, "has({name})"),
        Condition::Equals(text) => write!(f, "{name} == {}", Quoted(text)),
        Condition::Differs(text) => write!(f, "{name} != {}", Quoted(text)),
        Condition::In(texts) => write!(f, "{name} in {}", Set(texts)),
        Condition::NotIn(texts) => write!(f, "{name} not in {}", Set(texts)),
        Condition::Contains(text) => write!(f, "{name} contains {}", Quoted(text)),
        Condition::StartsWith(text) => write!(f, "{name} starts with {}", Quoted(text)),
        Condition::EndsWith(text) => write!(f, "{name} ends with {}", Quoted(text)),
    }
}

struct Set<'a>(&'a [String]);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, text) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{}", Quoted(text))?;
        }
        f.write_str("}")
    }
}

/// A text in those quotes that it does not have itself.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') { '"' } else { '\'' };
        write!(f, "{quote}{}{quote}", self.0)
    }
}
