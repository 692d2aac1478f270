//! Manifests built from parts of a short form, with the places of the parts.

use netproof_api::source::Span;
use netproof_api::yaml::{Key, Node, Spanned, Style, Value};

/// Makes nodes that all stand at one place.
#[derive(Clone, Copy)]
pub struct At(pub Span);

impl At {
    /// A node of any value.
    pub fn node(self, value: Value) -> Node {
        Node { value, span: self.0, style: Style::Flow }
    }

    /// A string.
    pub fn text(self, text: impl Into<String>) -> Node {
        self.node(Value::String(text.into()))
    }

    /// A list.
    pub fn list(self, items: Vec<Node>) -> Node {
        self.node(Value::Sequence(items))
    }

    /// A mapping; what is `None` is left out.
    pub fn map<const N: usize>(self, fields: [(&str, Option<Node>); N]) -> Node {
        let entries = fields.into_iter().filter_map(|(name, node)| {
            let node = node?;
            Some((Key { name: name.to_owned(), span: node.span }, node))
        });
        self.node(Value::Mapping(entries.collect()))
    }

    /// A manifest of the core group.
    pub fn manifest<const N: usize>(
        self,
        kind: &str,
        metadata: Node,
        fields: [(&str, Option<Node>); N],
    ) -> Node {
        let mut manifest = self.map([
            ("apiVersion", Some(self.text("v1"))),
            ("kind", Some(self.text(kind))),
            ("metadata", Some(metadata)),
        ]);
        if let (Value::Mapping(all), Value::Mapping(more)) = (&mut manifest.value, self.map(fields).value) {
            all.extend(more);
        }
        manifest
    }

    /// The metadata of a manifest.
    pub fn metadata(self, name: &Spanned<String>, namespace: Option<Node>, labels: &Option<Node>) -> Node {
        self.map([("name", Some(written(name))), ("namespace", namespace), ("labels", labels.clone())])
    }
}

/// The node of a text, at its own place.
pub fn written(text: &Spanned<String>) -> Node {
    At(text.span).text(text.value.clone())
}
