//! Which documents of a file are netproof's own, and what to say of one that is not.

use crate::document::Document;
use netproof_api::Diagnostic;
use netproof_api::source::Span;
use netproof_api::suggest::did_you_mean;
use netproof_api::yaml::Node;

/// The kinds of documents that paths are searched for.
const KINDS: [&str; 3] = ["Scenario", "CaseTable", "Suite"];

/// Whether a text may have a document of netproof's own.
pub fn mentions_netproof(text: &str) -> bool {
    let names_us = |line: &str| line.contains("apiVersion") && line.to_ascii_lowercase().contains("netproof");
    KINDS.iter().any(|kind| text.contains(kind)) || text.lines().any(names_us)
}

fn text<'a>(document: &'a Node, key: &str) -> &'a str {
    document.get(key).and_then(Node::as_str).unwrap_or_default()
}

/// Whether the version is meant to be one of ours: `netproof.dev/v1` is nobody else's.
fn names_us(document: &Node) -> bool {
    let group = text(document, "apiVersion").split('/').next().unwrap_or_default();
    group.split('.').any(|part| part.eq_ignore_ascii_case("netproof"))
}

/// A document of this kind, whatever its version; a `Scenario` of somebody else's API is none.
pub fn is_ours(document: &Node, kind: &str) -> bool {
    (document.get("apiVersion").is_none() || names_us(document)) && text(document, "kind") == kind
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
    names_us(document) && text(document, "kind") != "Topology"
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
        _ if names_us(&document.root) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::Source;
    use netproof_api::yaml::parse;

    #[test]
    fn a_version_that_is_meant_to_be_ours_is_ours() {
        for (version, expected) in [
            ("netproof/v1alpha1", true),
            ("netproof/v9", true),
            ("Netproof/v1alpha1", true),
            ("netproof.dev/v1", true),
            ("netproof", true),
            ("app.example/v1", false),
            ("netproofs.example/v1", false),
        ] {
            let source = Source::new("in", format!("{{apiVersion: {version}, kind: Scenario}}"));
            let root = parse(&source).unwrap().remove(0);
            assert_eq!(is_ours(&root, "Scenario"), expected, "{version}");
            assert!(!expected || mentions_netproof(&source.text), "{version}");
        }
        assert!(!mentions_netproof("# of the netproof charts\napiVersion: v1"));
    }
}
