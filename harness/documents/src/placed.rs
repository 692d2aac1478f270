//! A change with the place at which it is written.

use crate::document::location;
use netproof_api::Source;
use netproof_api::source::Span;
use netproof_controlplane::{Change, ObjectRef};
use netproof_model::event::WrittenObject;
use std::sync::Arc;

/// A change, and where it is written.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The change.
    pub change: Change,
    /// In which text.
    pub source: Arc<Source>,
    /// Where in it.
    pub span: Span,
}

impl Placed {
    /// The object that it makes or replaces in a step (`None`: before the first), as reports show it; `None` for other
    /// changes.
    pub fn written(&self, step: Option<&str>) -> Option<WrittenObject> {
        let Change::Apply(object) = &self.change else { return None };
        let metadata = object.metadata();
        let reference = ObjectRef::new(object.kind(), metadata.namespace.as_deref(), metadata.name.as_str());
        let object = reference.policy_key().map_or_else(|| reference.to_string(), |key| key.to_string());
        let is_policy = reference.policy_key().is_some();
        Some(WrittenObject {
            object,
            is_policy,
            step: step.map(str::to_owned),
            location: location(&self.source, self.span),
            text: is_policy.then(|| self.text()),
        })
    }

    /// The lines in which it is written, without the indentation that they share.
    fn text(&self) -> String {
        let (_, column) = self.source.location(self.span.start);
        let lines = self.source.slice(self.span).lines().enumerate().map(|(number, line)| {
            let indentation = line.len() - line.trim_start_matches(' ').len();
            let shared = if number == 0 { 0 } else { indentation.min(column - 1) };
            line.get(shared..).unwrap_or(line).trim_end()
        });
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::{Context, read_manifests};

    #[test]
    fn a_policy_is_shown_as_it_is_written() {
        let text = "# a file\n---\napiVersion: v1\nkind: List\nitems:\n  - apiVersion: networking.k8s.io/v1\n    kind: \
                    NetworkPolicy\n    metadata: {name: a}\n    spec:\n      podSelector: {}\n";
        let source = Source::new("a.yaml", text);
        let mut read = read_manifests(&source, &Context::default()).unwrap();
        let located = read.objects.remove(0);
        let placed =
            Placed { change: Change::Apply(located.object), source: located.source, span: located.span };
        let written = placed.written(Some("deny")).unwrap();
        assert_eq!((written.location.line, written.location.column), (6, 5));
        assert_eq!(written.object, "networkpolicy/default/a");
        let shown = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}";
        assert_eq!(written.text.as_deref(), Some(shown));
    }
}
