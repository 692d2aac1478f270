//! Text with placeholders, which are filled in for each node.

use netproof_api::suggest::suggestion;

/// Text with placeholders: `{node}` is the node's name. `{{` is a brace; a brace that no word and closing brace
/// follow stands for itself, so that JSON is written as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The node's name.
    Node,
    /// The path of a kubeconfig file.
    Kubeconfig,
    /// The API's URL, as in `https://127.0.0.1:61443`.
    Api,
    /// The host of that URL.
    ApiHost,
    /// The port of that URL.
    ApiPort,
    /// A URL of the same API without TLS.
    PlainApi,
    /// The certificate of the authority that the API's was issued by, as PEM.
    Ca,
    /// The token that the API takes.
    Token,
    /// Whether the cluster has IPv4: `true` or `false`.
    Ipv4,
    /// Whether the cluster has IPv6: `true` or `false`.
    Ipv6,
    /// The ranges of pods' addresses, one in each family, with a comma between two.
    PodRanges,
    /// The ranges of services' addresses, likewise.
    ServiceRanges,
}

impl Placeholder {
    /// Every placeholder, by the word between the braces.
    pub const ALL: [(&str, Placeholder); 12] = [
        ("node", Placeholder::Node),
        ("kubeconfig", Placeholder::Kubeconfig),
        ("api", Placeholder::Api),
        ("apiHost", Placeholder::ApiHost),
        ("apiPort", Placeholder::ApiPort),
        ("plainApi", Placeholder::PlainApi),
        ("ca", Placeholder::Ca),
        ("token", Placeholder::Token),
        ("ipv4", Placeholder::Ipv4),
        ("ipv6", Placeholder::Ipv6),
        ("podRanges", Placeholder::PodRanges),
        ("serviceRanges", Placeholder::ServiceRanges),
    ];
}

/// A placeholder that there is not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown<'a> {
    /// As it is written, with its braces.
    pub(super) written: &'a str,
    /// What may have been meant.
    pub(super) help: String,
}

impl Template {
    /// Reads a text; every placeholder that there is not.
    pub(super) fn parse(text: &str) -> Result<Template, Vec<Unknown<'_>>> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut unknown = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find('{') {
            let (before, at) = rest.split_at(brace);
            plain.push_str(before);
            let word = at.get(1..).and_then(|inside| inside.split_once('}')).map(|(word, _)| word);
            let word = word.filter(|it| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric()));
            let (taken, piece) = match word {
                _ if at.starts_with("{{") => (2, None),
                None => (1, None),
                Some(word) => (word.len() + 2, Some(word)),
            };
            let (written, after) = at.split_at(taken);
            match piece.map(|word| Placeholder::ALL.into_iter().find(|(name, _)| *name == word)) {
                None => plain.push('{'),
                Some(Some((_, placeholder))) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Placeholder(placeholder));
                }
                Some(None) => {
                    let words = Placeholder::ALL.map(|(word, _)| word);
                    let help = suggestion(written.trim_matches(['{', '}']), &words);
                    let help = format!("{help}; write {{{written} for the text {written}");
                    unknown.push(Unknown { written, help });
                }
            }
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        if unknown.is_empty() { Ok(Template(pieces)) } else { Err(unknown) }
    }

    /// The text, where `value` says what stands for a placeholder.
    pub fn fill(&self, mut value: impl FnMut(Placeholder) -> String) -> String {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(placeholder) => value(*placeholder),
        });
        texts.collect()
    }

    /// Whether something is filled in for this placeholder.
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&Piece::Placeholder(placeholder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let fill = |text: &str| Template::parse(text).unwrap().fill(|it| format!("<{it:?}>"));
        for (text, expected) in [
            ("", ""),
            ("--node={node}", "--node=<Node>"),
            ("{node}{apiPort}", "<Node><ApiPort>"),
            // Not every brace is one of ours.
            (r#"{"a": {}, "b": [{}]}"#, r#"{"a": {}, "b": [{}]}"#),
            ("{{node}", "{node}"),
            ("{{{node}}", "{<Node>}"),
            ("{a b} {", "{a b} {"),
            ("é{node}é", "é<Node>é"),
        ] {
            assert_eq!(fill(text), expected, "{text}");
        }
        assert!(Template::parse("x {ipv6}").unwrap().has(Placeholder::Ipv6));
        assert!(!Template::parse("x {ipv6}").unwrap().has(Placeholder::Ipv4));
    }

    #[test]
    fn each_unknown_placeholder_is_named() {
        let unknown = Template::parse("{nod} {node} {xyzzy}").unwrap_err();
        let written: Vec<&str> = unknown.iter().map(|it| it.written).collect();
        assert_eq!(written, ["{nod}", "{xyzzy}"]);
        let helps: Vec<&str> = unknown.iter().map(|it| it.help.as_str()).collect();
        assert_eq!(helps[0], "did you mean `node`?; write {{nod} for the text {nod}");
        assert!(helps[1].starts_with("known are: node, kubeconfig, "), "{helps:?}");
    }
}
