//! One case, placeholders filled in, as a scenario.

use crate::cases::tags::TagTree;
use crate::cases::{Case, CaseError, Problem};
use netproof_api::yaml::{Key, Node, Value};
use netproof_documents::document::Document;
use netproof_documents::tree::{At, written};
use std::sync::Arc;

/// Fields of a case that are its own; all others are a scenario's.
const OWN: [&str; 4] = ["name", "tags", "description", "note"];
/// Lists that a case adds to what all cases have; its other fields stand in the place of theirs.
const ADDED: [&str; 2] = ["objects", "matchesNothing"];

/// What all cases of a table have.
pub struct Shared<'a> {
    /// The table.
    pub document: &'a Document,
    /// `spec.scenario`, placeholders filled in.
    pub spec: Option<&'a Node>,
    /// The description of a case that has none.
    pub description: &'a str,
    /// The table's tags.
    pub tags: &'a TagTree,
}

impl Shared<'_> {
    /// The scenario that a case is.
    pub fn case(&self, case: &Node) -> Result<Case, CaseError> {
        let Some(name) = case.get("name") else {
            return Err(Problem::new(case.span, "the case has no name", "add `name: ...`"));
        };
        let Some(text) = name.as_str() else {
            let message = format!("a case's name is a text, not {}", name.describe());
            return Err(Problem::new(name.span, message, "write it in quotes"));
        };
        let at = At(name.span);
        let metadata = at.map([
            ("name", Some(name.clone())),
            ("labels", self.metadata("labels").cloned()),
            ("tags", self.tags(case)?),
        ]);
        let version = self.document.root.get("apiVersion").cloned();
        let root = at.map([
            ("apiVersion", version),
            ("kind", Some(at.text("Scenario"))),
            ("metadata", Some(metadata)),
            ("spec", Some(self.spec(case, at)?)),
        ]);
        let document = Document { source: Arc::clone(&self.document.source), root };
        Ok(Case { name: text.to_owned(), document })
    }

    fn metadata(&self, field: &str) -> Option<&Node> {
        self.document.root.get("metadata")?.get(field)
    }

    /// The table's tags and the case's, with their parents.
    fn tags(&self, case: &Node) -> Result<Option<Node>, CaseError> {
        let mut all = Vec::new();
        for tags in [self.metadata("tags"), case.get("tags")].into_iter().flatten() {
            all.extend(self.tags.complete(tags)?);
        }
        let mut distinct: Vec<Node> = Vec::new();
        for tag in &all {
            if !distinct.iter().any(|node| node.as_str() == Some(&tag.value)) {
                distinct.push(written(tag));
            }
        }
        Ok((!distinct.is_empty()).then(|| At(case.span).list(distinct)))
    }

    /// What all cases have, with the case's fields on top.
    fn spec(&self, case: &Node, at: At) -> Result<Node, CaseError> {
        let mut fields: Vec<(Key, Node)> = self.spec.map(Node::entries).unwrap_or_default().to_vec();
        for (key, value) in case.entries().iter().filter(|(key, _)| !OWN.contains(&key.name.as_str())) {
            match fields.iter_mut().find(|(other, _)| other.name == key.name) {
                None => fields.push((key.clone(), value.clone())),
                Some((_, shared)) => match (&mut shared.value, &value.value) {
                    (Value::Sequence(all), Value::Sequence(more)) if ADDED.contains(&key.name.as_str()) => {
                        all.extend(more.iter().cloned());
                    }
                    _ => *shared = value.clone(),
                },
            }
        }
        let key = Key { name: "description".to_owned(), span: case.span };
        fields.push((key, at.text(self.describe(case)?)));
        Ok(Node { value: Value::Mapping(fields), ..case.clone() })
    }

    /// What a case is about: its description or else the table's, and its note.
    fn describe(&self, case: &Node) -> Result<String, CaseError> {
        let mut sentences = Vec::new();
        for field in ["description", "note"] {
            match case.get(field) {
                Some(node) if !node.is_null() => {
                    let text = node.as_str().ok_or_else(|| {
                        let message = format!("a text is wanted here, not {}", node.describe());
                        Problem::new(node.span, message, "write a sentence")
                    })?;
                    sentences.push(text.trim());
                }
                _ if field == "description" => sentences.push(self.description.trim()),
                _ => {}
            }
        }
        Ok(sentences.join(" "))
    }
}
