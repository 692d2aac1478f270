//! Warnings about what has no effect in any step, at the places where it is written.

use crate::walk::Scenario;
use netproof_api::Diagnostic;
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Node, Value};
use netproof_controlplane::{Change, ObjectRef};
use netproof_documents::document::Problems;
use netproof_documents::lint::{Lint, Why};
use netproof_documents::placed::Placed;
use std::sync::Arc;

impl Scenario {
    /// Warns of what had no effect in any step.
    pub fn lint(&self, lint: Lint, problems: &mut Problems) {
        for object in &self.matches_nothing {
            if !lint.knows(&object.value) {
                let known = lint.objects();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let error =
                    self.document.error(object.span, format!("{} does not exist in any step", object.value));
                problems.push(error.help(suggestion(&object.value.to_string(), &known)));
            }
        }
        for finding in lint.finish() {
            let silenced = self.matches_nothing.iter().any(|silenced| silenced.value == finding.object);
            if silenced && !matches!(finding.why, Why::Contested(_)) {
                continue;
            }
            let message = finding.message(" in any step");
            let help = match finding.why {
                Why::MatchesNothing(_) => {
                    format!("correct it, or say that it is meant: `matchesNothing: [{}]`", finding.object)
                }
                Why::MatchesHostNetworkOnly(_) => format!(
                    "{}; or say that it is meant: `matchesNothing: [{}]`",
                    finding.help(),
                    finding.object
                ),
                Why::Contested(_) => finding.help().to_owned(),
            };
            let warning = match self.written(&finding.object) {
                Some(placed) => {
                    Diagnostic::warning(message).at(&placed.source, self.field(placed, &finding.path))
                }
                None => Diagnostic::warning(message).in_source(&self.document.source),
            };
            problems.push(warning.help(help));
        }
    }

    /// Where an object is written first.
    fn written(&self, object: &ObjectRef) -> Option<&Placed> {
        let steps = self.steps.iter().flat_map(|step| &step.change_sets).flatten();
        self.initial.iter().chain(steps).find(|placed| match &placed.change {
            Change::Apply(applied) => {
                let metadata = applied.metadata();
                applied.kind() == object.kind
                    && metadata.name == object.name
                    && metadata.namespace == object.namespace
            }
            _ => false,
        })
    }

    /// The place of a field of a manifest in this document, or of the manifest where it has none.
    fn field(&self, placed: &Placed, path: &str) -> Span {
        let in_document = Arc::ptr_eq(&placed.source, &self.document.source);
        let manifest = in_document.then(|| find(&self.document.root, placed.span)).flatten();
        let Some(mut node) = manifest else {
            return placed.span;
        };
        for part in path.split('.') {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (part, None),
            };
            let next = node.get(name).and_then(|field| match index {
                Some(index) => field.items().get(index),
                None => Some(field),
            });
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span
    }
}

/// The mapping with exactly this span.
fn find(node: &Node, span: Span) -> Option<&Node> {
    match &node.value {
        Value::Mapping(_) if node.span == span => Some(node),
        Value::Mapping(entries) => entries.iter().find_map(|(_, value)| find(value, span)),
        Value::Sequence(items) => items.iter().find_map(|item| find(item, span)),
        _ => None,
    }
}
