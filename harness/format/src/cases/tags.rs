//! The tags of a table, as a tree of two levels: a case with a sub-tag has its parent, too.

use crate::cases::{CaseError, Problem};
use crate::types::check_tag;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Node, Spanned, Value};
use netproof_documents::document::{Document, Problems};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Tags and their sub-tags, as written.
pub type WrittenTags = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

/// Every tag that the table knows, with its parent.
pub struct TagTree(BTreeMap<String, Option<String>>);

impl TagTree {
    /// Reads the tree. A tag stands in it once.
    pub fn read(written: &WrittenTags, document: &Document, problems: &mut Problems) -> TagTree {
        let mut tree = BTreeMap::new();
        let mut seen = HashMap::new();
        for (parent, children) in written {
            for tag in std::iter::once(parent).chain(children) {
                check_tag(document, tag, problems);
                problems.check_twice(document, &mut seen, tag, "tag");
            }
            tree.insert(parent.value.clone(), None);
            tree.extend(children.iter().map(|tag| (tag.value.clone(), Some(parent.value.clone()))));
        }
        TagTree(tree)
    }

    /// The tags of a case and their parents, each once and where it is written. A table without a tree takes
    /// any tag.
    pub fn complete(&self, tags: &Node) -> Result<Vec<Spanned<String>>, CaseError> {
        if !matches!(tags.value, Value::Sequence(_)) {
            let message = format!("a list of tags is wanted here, not {}", tags.describe());
            return Err(Problem::new(tags.span, message, "write `tags: [ingress, deny-all]`"));
        }
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for node in tags.items() {
            let Some(tag) = node.as_str() else {
                let message = format!("a tag is wanted here, not {}", node.describe());
                return Err(Problem::new(node.span, message, "write it in quotes"));
            };
            let parent = match self.0.get(tag) {
                Some(parent) => parent.as_deref(),
                None if self.0.is_empty() => None,
                None => {
                    let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                    let message = format!("the table has no tag `{tag}`");
                    return Err(Problem::new(node.span, message, suggestion(tag, &known)));
                }
            };
            for tag in std::iter::once(tag).chain(parent) {
                if seen.insert(tag.to_owned()) {
                    all.push(Spanned { value: tag.to_owned(), span: node.span });
                }
            }
        }
        Ok(all)
    }
}
