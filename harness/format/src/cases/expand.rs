//! Placeholders: a tree of the table, with what they stand for in their place.
//!
//! `$(NAME)` as a whole value stands for any value; a list in a list gives it its items. Inside a text or a
//! key it stands for a text or a number. `$$(` is written for `$(`.

use crate::cases::scope::Scope;
use crate::cases::{CaseError, Problem, like};
use netproof_api::source::Span;
use netproof_api::yaml::{Key, MAX_DEPTH, MAX_NODES, Node, Value};

/// A text of so many bytes counts as a value more.
const BYTES_OF_A_VALUE: usize = 64;

/// Fills in placeholders, within a budget for the whole table.
#[derive(Default)]
pub struct Expander {
    spent: usize,
}

impl Expander {
    /// A finished tree.
    ///
    /// # Errors
    /// A placeholder stands for nothing or for what does not fit, or the table grows too large.
    pub fn value(&mut self, template: &Node, scope: &Scope) -> Result<Node, CaseError> {
        let node = self.node(template, scope)?;
        // What is deep is made of what was substituted, each part of which has been through here.
        if depth(&node) > MAX_DEPTH {
            let message =
                format!("with its placeholders filled in this is nested more than {MAX_DEPTH} deep");
            return Err(Problem::new(template.span, message, "let parts not contain each other so deeply"));
        }
        Ok(node)
    }

    /// Recursion is bounded by the depth of the written document.
    fn node(&mut self, template: &Node, scope: &Scope) -> Result<Node, CaseError> {
        let value = match &template.value {
            Value::String(text) => match whole(text) {
                Some(path) => return self.copy(scope.find(path, template.span)?, template.span),
                None => Value::String(self.text(text, template.span, scope)?),
            },
            Value::Sequence(items) => {
                self.pay(1, template.span)?;
                let mut all = Vec::with_capacity(items.len());
                for item in items {
                    let is_placeholder = item.as_str().and_then(whole).is_some();
                    let node = self.node(item, scope)?;
                    match node.value {
                        Value::Sequence(inner) if is_placeholder => all.extend(inner),
                        _ => all.push(node),
                    }
                }
                Value::Sequence(all)
            }
            Value::Mapping(entries) => {
                self.pay(1, template.span)?;
                let mut all: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let name = self.text(&key.name, key.span, scope)?;
                    if name != key.name && all.iter().any(|(other, _)| other.name == name) {
                        let message = format!("the field `{name}` stands here twice");
                        return Err(Problem::new(key.span, message, "let each case have its own"));
                    }
                    all.push((Key { name, span: key.span }, self.node(value, scope)?));
                }
                match like::read(&all, template.span, scope)? {
                    Some(like) => return like.made(|base| self.copy(base, template.span)),
                    None => Value::Mapping(all),
                }
            }
            scalar => {
                self.pay(1, template.span)?;
                scalar.clone()
            }
        };
        Ok(Node { value, span: template.span, style: template.style })
    }

    /// A text with its placeholders filled in.
    fn text(&mut self, text: &str, span: Span, scope: &Scope) -> Result<String, CaseError> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("$(") {
            let (before, placeholder) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                result.push_str(before);
                result.push_str("$(");
                rest = &placeholder[2..];
                continue;
            }
            result.push_str(before);
            let Some(length) = placeholder.find(')') else {
                let help = "write `$(NAME)`, or `$$(` for the two characters themselves";
                return Err(Problem::new(span, "a placeholder is never closed", help));
            };
            let path = &placeholder[2..length];
            let value = scope.find(path, span)?;
            match &value.value {
                Value::String(text) => result.push_str(text),
                Value::Int(number) => result.push_str(&number.to_string()),
                Value::Bool(value) => result.push_str(&value.to_string()),
                _ => {
                    let message = format!("`$({path})` stands in a text and is {}", value.describe());
                    let help = match value.entries().first() {
                        Some((key, _)) => format!("name one of its fields, as in `$({path}.{})`", key.name),
                        None => "give it a text or a number".to_owned(),
                    };
                    return Err(Problem::new(span, message, help));
                }
            }
            rest = &placeholder[length + 1..];
            self.pay(result.len() / BYTES_OF_A_VALUE, span)?;
        }
        result.push_str(rest);
        self.pay(1 + result.len() / BYTES_OF_A_VALUE, span)?;
        Ok(result)
    }

    /// A copy of a finished value.
    fn copy(&mut self, value: &Node, span: Span) -> Result<Node, CaseError> {
        self.pay(size(value), span)?;
        Ok(value.clone())
    }

    /// Whether the table has grown too large.
    pub fn is_spent(&self) -> bool {
        self.spent > MAX_NODES
    }

    fn pay(&mut self, values: usize, span: Span) -> Result<(), CaseError> {
        self.spent = self.spent.saturating_add(values);
        if self.spent <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the cases of the table come to more than {MAX_NODES} values");
        Err(Problem::new(span, message, "split it into several tables"))
    }
}

/// The name in a text that is one placeholder and nothing else.
pub fn whole(text: &str) -> Option<&str> {
    let path = text.strip_prefix("$(")?.strip_suffix(')')?;
    (!path.contains([')', '$'])).then_some(path)
}

/// How many values a finished tree has. It is at most [`MAX_DEPTH`] deep.
fn size(node: &Node) -> usize {
    let inner = |nodes: &mut dyn Iterator<Item = &Node>| nodes.map(size).fold(1, usize::saturating_add);
    match &node.value {
        Value::Sequence(items) => inner(&mut items.iter()),
        Value::Mapping(entries) => inner(&mut entries.iter().map(|(_, value)| value)),
        Value::String(text) => 1 + text.len() / BYTES_OF_A_VALUE,
        _ => 1,
    }
}

/// How many lists and mappings are around the deepest value: of two trees of at most [`MAX_DEPTH`], one in
/// the other.
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Mapping(entries) => {
            1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or_default()
        }
        _ => 0,
    }
}
