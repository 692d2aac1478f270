//! GET of one object, and of a list. Watches are in `watch.rs`.

use super::connection::Asking;
use super::query::{Match, Query};
use super::reply::{Refusal, Reply};
use super::route::Target;
use super::watch;
use crate::kinds::Kind;
use crate::selector::Selector;
use crate::store::{Listed, Store};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};

/// Answers a GET.
pub(super) fn answer(request: &Request<Incoming>, target: Target, asking: Asking) -> Result<Reply, Refusal> {
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let watches = query.switch("watch") == Some(true);
    match &target.name {
        Some(name) if !watches => get(&target, name, &query, &asking.shared.store),
        _ if target.subresource.is_some() => Err(Refusal::method_not_allowed()),
        _ => {
            let selector = selector(&query, &target)?;
            match watches {
                true => watch::answer(&query, &target, selector, asking),
                false => list(&query, &target, &selector, &asking.shared.store),
            }
        }
    }
}

/// A subresource is read as its object, which has it.
fn get(target: &Target, name: &str, query: &Query, store: &Store) -> Result<Reply, Refusal> {
    not_in_the_future(query, store)?;
    let object = store.get(target.id, target.namespace.as_deref(), name);
    let object = object.ok_or_else(|| Refusal::not_found(target.kind, name))?;
    Ok(Reply::bytes(StatusCode::OK, "application/json", object.json.clone()))
}

fn selector(query: &Query, target: &Target) -> Result<Selector, Refusal> {
    let selector = Selector::parse(query.text("labelSelector"), query.text("fieldSelector"));
    let mut selector = selector.map_err(Refusal::bad_request)?;
    selector.namespace.clone_from(&target.namespace);
    selector.name.clone_from(&target.name);
    Ok(selector)
}

/// The newest objects, whichever version is asked for that there has been; all of them, whatever the limit is.
fn list(query: &Query, target: &Target, selector: &Selector, store: &Store) -> Result<Reply, Refusal> {
    if query.switch("sendInitialEvents").is_some() {
        let message = "sendInitialEvents is forbidden for list";
        return Err(Refusal::invalid_options("sendInitialEvents", message));
    }
    if !query.text("continue").is_empty() {
        return Err(Refusal::bad_request("continue: the list was whole, and nothing follows it"));
    }
    let version = not_in_the_future(query, store)?;
    let exact = match (query.version_match()?, version) {
        (Some(_), None) => {
            let message = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(Refusal::invalid_options("resourceVersionMatch", message));
        }
        (Some(Match::Exact), Some(0)) => {
            let message = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(Refusal::invalid_options("resourceVersionMatch", message));
        }
        (Some(Match::Exact), version) => version,
        (Some(Match::NotOlderThan) | None, _) => None,
    };
    let listed = store.list(target.id, selector);
    match exact {
        Some(version) if version != listed.version => Err(Refusal::expired(version, listed.version)),
        _ => Ok(Reply::bytes(StatusCode::OK, "application/json", document(target.kind, &listed))),
    }
}

/// The version that is asked for, if there has been one.
pub(super) fn not_in_the_future(query: &Query, store: &Store) -> Result<Option<u64>, Refusal> {
    let version = query.version()?;
    let current = store.version();
    match version {
        Some(version) if version > current => Err(Refusal::too_large(version, current)),
        version => Ok(version),
    }
}

/// A list in its JSON form, made of the objects' own.
fn document(kind: &Kind, listed: &Listed) -> Vec<u8> {
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{}\"}},\"items\":[",
        kind.kind,
        kind.api_version(),
        listed.version
    );
    let size: usize = listed.objects.iter().map(|object| object.json.len() + 1).sum();
    let mut document = Vec::with_capacity(head.len() + size + 2);
    document.extend_from_slice(head.as_bytes());
    for (number, object) in listed.objects.iter().enumerate() {
        if number > 0 {
            document.push(b',');
        }
        document.extend_from_slice(&object.json);
    }
    document.extend_from_slice(b"]}\n");
    document
}
