//! Documents with wrong YAML: the kind of each, as far as its text shows it, and whether that kind is
//! ignored anyway.

use super::{Context, Manifest, Unreadable, read_manifest};
use netproof_text::diagnostic::{Diagnostic, Severity};
use netproof_text::source::Source;
use netproof_text::yaml::{Document, Key, Node, Style, Value};
use std::sync::Arc;

/// The document as an ignored object, with a warning in place of its error; `None` if it might matter.
pub(super) fn ignored(
    document: &Document,
    source: &Arc<Source>,
    error: &Diagnostic,
    context: &Context,
) -> Option<Manifest> {
    let header = Header::of(document, source);
    let (api_version, kind) = (header.api_version?, header.kind?);
    // What is done with a kind, an object with nothing else tells.
    let text = |text: &str| Node {
        value: Value::String(text.to_owned()),
        span: document.span,
        style: Style::Quoted,
    };
    let field = |name: &str, value| (Key { name: name.to_owned(), span: document.span }, text(value));
    let value = Value::Mapping(vec![field("apiVersion", &api_version), field("kind", &kind)]);
    let node = Node { value, span: document.span, style: Style::Block };
    let manifest = read_manifest(&node, source, context);
    if manifest.ignored.is_empty() || manifest.problems.iter().any(|it| it.severity == Severity::Error) {
        return None;
    }
    let mut warning = Diagnostic { severity: Severity::Warning, ..error.clone() };
    warning.message = format!("this {kind} cannot be read, and is ignored: {}", error.message);
    Some(Manifest { problems: vec![warning], ..manifest })
}

/// What the text of a document shows, without a tree.
pub(super) fn unreadable(document: &Document, source: &Source) -> Unreadable {
    let Header { kind, name, .. } = Header::of(document, source);
    Unreadable { kind: kind.map(|kind| kind.to_lowercase()), name }
}

/// Kind and name at the top of a document.
#[derive(Default)]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
    name: Option<String>,
}

impl Header {
    fn of(document: &Document, source: &Source) -> Header {
        let Some(root) = &document.root else { return Header::of_text(source.slice(document.span)) };
        let text = |node: Option<&Node>| node.and_then(Node::as_str).map(str::to_owned);
        Header {
            api_version: text(root.get("apiVersion")),
            kind: text(root.get("kind")),
            name: text(root.get("metadata").and_then(|metadata| metadata.get("name"))),
        }
    }

    /// Reads the lines that start with `apiVersion` and `kind`, and the first name under a line `metadata`.
    /// In a JSON object they are indented once.
    fn of_text(text: &str) -> Header {
        let mut header = Header::default();
        let indented = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
        let mut in_metadata = false;
        let mut depth = None;
        for line in text.lines() {
            let line = line.trim_start_matches('\u{feff}');
            let Some((key, value)) = field(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            if indented && depth.is_none() && matches!(key, "apiVersion" | "kind") {
                depth = Some(indent);
            }
            if indent == if indented { depth.unwrap_or(usize::MAX) } else { 0 } {
                in_metadata = key == "metadata";
                let slot = match key {
                    "apiVersion" => &mut header.api_version,
                    "kind" => &mut header.kind,
                    _ => continue,
                };
                *slot = Some(value.to_owned()).filter(|value| !value.is_empty());
            } else if in_metadata && key == "name" && header.name.is_none() {
                header.name = Some(value.to_owned());
            }
        }
        header
    }
}

/// The key and value of a line, without quotes.
fn field<'l>(line: &'l str) -> Option<(&'l str, &'l str)> {
    let (key, value) = line.split_once(':')?;
    let bare = |text: &'l str| text.trim().trim_end_matches(',').trim_matches(['"', '\'']);
    Some((bare(key), bare(value.split(" #").next().unwrap_or(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_broken_text() {
        for (text, expected) in [
            ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {\n", "v1 ConfigMap a"),
            ("'kind': \"Pod\" # c\ndata:\n  kind: Secret\n  name: x\n", "- Pod -"),
            ("{\n  \"kind\": \"Pod\",\n  \"metadata\": {\n    \"name\": \"b\",\n  },\n", "- Pod b"),
            ("metadata: {name: x}\nspec:\n  kind: Pod\n", "- - -"),
            ("\u{feff}kind: List\r\nitems: [\r\n", "- List -"),
            (": :\nkind:\n", "- - -"),
        ] {
            let Header { api_version, kind, name } = Header::of_text(text);
            let shown = [api_version, kind, name].map(|it| it.unwrap_or_else(|| "-".to_owned())).join(" ");
            assert_eq!(shown, expected, "{text}");
        }
    }
}
