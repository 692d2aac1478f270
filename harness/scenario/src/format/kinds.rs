//! Which documents of a file are netproof's own, and what to say of one that is not.

use super::document::Document;
use netproof_api::Diagnostic;
use netproof_api::source::Span;
use netproof_api::suggest::did_you_mean;
use netproof_api::yaml::Node;

/// The kinds of documents that paths are searched for.
const KINDS: [&str; 3] = ["Scenario", "CaseTable", "Suite"];

/// Whether a text may have a document of netproof's own.
pub fn mentions_netproof(text: &str) -> bool {
    KINDS.iter().any(|kind| text.contains(kind)) || text.contains("netproof/")
}

fn text<'a>(document: &'a Node, key: &str) -> &'a str {
    document.get(key).and_then(Node::as_str).unwrap_or_default()
}

/// A document of this kind, whatever its version; a `Scenario` of somebody else's API is none.
pub fn is_ours(document: &Node, kind: &str) -> bool {
    let ours = document.get("apiVersion").is_none() || text(document, "apiVersion").starts_with("netproof/");
    ours && text(document, "kind") == kind
}

/// A document of the format, or what is meant to be one.
pub fn is_of_the_format(document: &Node) -> bool {
    is_one_of_ours(document) || is_misspelt(document)
}

/// A document of a kind that paths are searched for.
pub fn is_one_of_ours(document: &Node) -> bool {
    KINDS.iter().any(|kind| is_ours(document, kind))
}

/// Ours by its version, and of no kind that we have.
pub fn is_misspelt(document: &Node) -> bool {
    text(document, "apiVersion").starts_with("netproof/") && text(document, "kind") != "Topology"
}

/// What to say of a document that is no scenario where one is wanted.
pub fn not_a_scenario(document: &Document) -> Diagnostic {
    let kind = document.root.get("kind");
    match (kind, kind.and_then(Node::as_str)) {
        (Some(node), Some(kind)) => {
            let help = match did_you_mean(kind, KINDS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a scenario names the file of its manifests, `file: PATH`, in `objects`".to_owned(),
            };
            document.error(node.span, format!("this is a {kind}, not a scenario")).help(help)
        }
        _ if text(&document.root, "apiVersion").starts_with("netproof/") => {
            document.error(start(document), "the field `kind` is missing").help("add `kind: Scenario`")
        }
        _ => document
            .error(start(document), "this document is not a scenario")
            .help("a scenario starts with `apiVersion: netproof/v1alpha1` and `kind: Scenario`"),
    }
}

fn start(document: &Document) -> Span {
    Span::new(document.root.span.start, document.root.span.start)
}
