//! The names that placeholders can use: the table's parts, and the variables of a case's `for`.

use crate::cases::{CaseError, Problem};
use netproof_api::names;
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Key, Node};

/// Names and what they stand for; a later name hides an earlier one.
#[derive(Default)]
pub struct Scope {
    names: Vec<(String, Node)>,
}

impl Scope {
    /// Adds a name.
    pub fn bind(&mut self, name: &str, value: Node) {
        self.names.push((name.to_owned(), value));
    }

    /// Forgets the name that was added last.
    pub fn unbind(&mut self) {
        self.names.pop();
    }

    /// What `NAME` or `NAME.FIELD.FIELD` stands for; `span` is where that is written.
    ///
    /// # Errors
    /// There is no such name or field; those that there are.
    pub fn find(&self, path: &str, span: Span) -> Result<&Node, CaseError> {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let Some((_, found)) = self.names.iter().rev().find(|(known, _)| known == name) else {
            let known: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
            let help = match known.as_slice() {
                [] => "name it under `parts` of the table, or in the case's `for`".to_owned(),
                known => suggestion(name, known),
            };
            return Err(Problem::new(span, format!("`{name}` is no part and no variable here"), help));
        };
        let mut node = found;
        let mut so_far = name.to_owned();
        for field in parts {
            let Some(inner) = node.get(field) else {
                let known: Vec<&str> = node.entries().iter().map(|(key, _)| key.name.as_str()).collect();
                let (message, help) = if known.is_empty() {
                    let help = format!("write `$({so_far})`");
                    (format!("`{so_far}` is {} and has no field `{field}`", node.describe()), help)
                } else {
                    (format!("`{so_far}` has no field `{field}`"), suggestion(field, &known))
                };
                return Err(Problem::new(span, message, help));
            };
            node = inner;
            so_far = format!("{so_far}.{field}");
        }
        Ok(node)
    }
}

/// A name that a placeholder can use: a dot would be its end.
pub fn check_name(key: &Key) -> Result<(), CaseError> {
    names::check_dns_label(&key.name).map_err(|message| {
        Problem::new(
            key.span,
            format!("`{}` {message}", key.name),
            "placeholders name it, as in `$(ip-block)`, and its fields, as in `$(port.name)`",
        )
    })
}
