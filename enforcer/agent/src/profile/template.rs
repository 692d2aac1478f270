//! Text with placeholders, which are filled in for each node.

/// Text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// What is filled in.
    Placeholder(Placeholder),
}

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The node's name.
    Node,
    /// The path of a kubeconfig file.
    Kubeconfig,
    /// The API server's URL, `https://HOST:PORT`.
    Api,
    /// The host of that URL.
    ApiHost,
    /// The port of that URL.
    ApiPort,
    /// The certificate of the API server's authority, as PEM.
    Ca,
    /// The token that the API server takes.
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
