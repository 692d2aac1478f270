//! The names of fields as paths: `spec.ingress[0].from[1]`, `metadata.labels["app.kubernetes.io/name"]`.

use crate::quote::quote;

/// The path of a field of the mapping at `path`.
pub fn field(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    match (plain, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{}]", quote(name)),
    }
}

/// The path of an item of the list at `path`.
pub fn index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
