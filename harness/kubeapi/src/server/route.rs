//! Paths: the one grammar that all of the API has.

use super::reply::Refusal;
use crate::kinds::{self, Kind, KindId};
use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Debug)]
pub(super) enum Route {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz` and what is below them.
    Health,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`.
    OfVersion { group: String, version: String },
    /// Objects of a kind.
    Objects(Target),
}

/// Objects of a kind, or one of them.
#[derive(Debug)]
pub(super) struct Target {
    pub id: KindId,
    pub kind: &'static Kind,
    /// `None` for cluster-scoped kinds, and for all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// Reads a path.
pub(super) fn route(path: &str) -> Result<Route, Refusal> {
    let path = path.strip_prefix('/').ok_or_else(Refusal::no_such_path)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let decoded = path.split('/').map(|part| percent_decode_str(part).decode_utf8());
    let parts: Vec<_> = decoded.collect::<Result<_, _>>().map_err(|_| Refusal::no_such_path())?;
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(Refusal::no_such_path());
    }
    match parts.as_slice() {
        ["version"] => Ok(Route::Version),
        ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
        ["api"] => Ok(Route::Core),
        ["apis"] => Ok(Route::Groups),
        ["apis", group] if is_served(group, None) => Ok(Route::Group((*group).to_owned())),
        ["api", version, rest @ ..] => below("", version, rest),
        ["apis", group, version, rest @ ..] if !group.is_empty() => below(group, version, rest),
        _ => Err(Refusal::no_such_path()),
    }
}

fn is_served(group: &str, version: Option<&str>) -> bool {
    let versions = kinds::versions(group);
    version.map_or(!versions.is_empty(), |version| versions.contains(&version))
}

fn below(group: &str, version: &str, rest: &[&str]) -> Result<Route, Refusal> {
    if !is_served(group, Some(version)) {
        return Err(Refusal::no_such_path());
    }
    if rest.is_empty() {
        return Ok(Route::OfVersion { group: group.to_owned(), version: version.to_owned() });
    }
    // A namespace's own subresources stand where its kinds do.
    if let ["namespaces", namespace, kind, rest @ ..] = rest
        && let Some((id, of)) = kinds::of_path(group, version, kind)
        && of.namespaced
    {
        return target(id, of, Some(namespace), rest);
    }
    let [kind, rest @ ..] = rest else { return Err(Refusal::no_such_path()) };
    let (id, kind) = kinds::of_path(group, version, kind).ok_or_else(Refusal::no_such_path)?;
    if kind.namespaced && !rest.is_empty() {
        return Err(Refusal::no_such_path());
    }
    target(id, kind, None, rest)
}

fn target(id: KindId, kind: &'static Kind, namespace: Option<&str>, rest: &[&str]) -> Result<Route, Refusal> {
    let owned = |it: &str| it.to_owned();
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some(owned(name)), None),
        [name, subresource] if kind.subresources.contains(subresource) => {
            (Some(owned(name)), Some(owned(subresource)))
        }
        [_, _] => return Err(Refusal::no_such_subresource()),
        _ => return Err(Refusal::no_such_path()),
    };
    Ok(Route::Objects(Target { id, kind, namespace: namespace.map(owned), name, subresource }))
}
