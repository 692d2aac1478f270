//! The selectors of a request, `labelSelector` and `fieldSelector`: which objects a client asks for.
//!
//! This is plumbing of HTTP, read and evaluated here and nowhere else: nothing of it is shared with those who evaluate
//! the selectors of policies.

mod fields;
mod labels;

use fields::FieldSelector;
use labels::LabelSelector;
use serde_json::Value;

/// Which objects a client asks for; by default all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    /// The namespace; `None` is all of them.
    pub namespace: Option<String>,
    /// The name; `None` is every name.
    pub name: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selector {
    /// What the parameters say. The error says what is wrong, as a server would.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Selector, String> {
        let labels = LabelSelector::parse(labels)?;
        let fields = FieldSelector::parse(fields)?;
        Ok(Selector { namespace: None, name: None, labels, fields })
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let metadata = object.get("metadata");
        let text = |key: &str| metadata.and_then(|it| it.get(key)).and_then(Value::as_str);
        let is =
            |wanted: &Option<String>, key: &str| wanted.as_deref().is_none_or(|it| text(key) == Some(it));
        is(&self.namespace, "namespace")
            && is(&self.name, "name")
            && self.labels.matches(metadata.and_then(|it| it.get("labels")))
            && self.fields.matches(object)
    }
}
