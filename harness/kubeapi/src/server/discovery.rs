//! Discovery: which groups, versions and kinds there are, in the plain form and in the aggregated one.

use super::reply::{Refusal, Reply, with};
use super::route::Route;
use crate::kinds::{self, Kind, Writes};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers what is asked about kinds.
pub(super) fn answer(request: &Request<Incoming>, route: &Route) -> Result<Reply, Refusal> {
    let aggregated = wants_aggregated(request);
    let value = match route {
        Route::Core if aggregated => return Ok(group_list(&[""])),
        Route::Groups if aggregated => return Ok(group_list(&kinds::groups())),
        Route::Core => {
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
            json!({
                "kind": "APIVersions", "versions": kinds::versions(""),
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
            })
        }
        Route::Groups => {
            let groups: Vec<Value> = kinds::groups().into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Route::Group(name) => with(with(group(name), "kind", "APIGroup"), "apiVersion", "v1"),
        Route::OfVersion { group, version } => resources(group, version),
        Route::Version | Route::Health | Route::Objects(_) => return Err(Refusal::no_such_path()),
    };
    Ok(Reply::json(StatusCode::OK, &value))
}

/// Whether one of the accepted types is the aggregated list in the version that is served.
fn wants_aggregated(request: &Request<Incoming>) -> bool {
    let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|accepted| {
        let parts: Vec<&str> = accepted.split(';').map(str::trim).collect();
        ["application/json", "v=v2", "g=apidiscovery.k8s.io", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|part| parts.contains(part))
    })
}

fn group(name: &str) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = kinds::versions(name).into_iter().map(version).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn of_version<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + use<'a> {
    kinds::all().map(|(_, kind)| kind).filter(move |kind| (kind.group, kind.version) == (group, version))
}

fn resources(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for kind in of_version(group, version) {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short_names.is_empty() {
            resource = with(resource, "shortNames", kind.short_names);
        }
        resources.push(resource);
        for subresource in kind.subresources {
            resources.push(json!({
                "name": format!("{}/{subresource}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
                "kind": kind.kind, "verbs": verbs_of_subresources(kind),
            }));
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind.writes {
        Writes::Nothing | Writes::Subresources => &["get", "list", "watch"],
        Writes::Update => &["get", "list", "patch", "update", "watch"],
        Writes::CreateAndUpdate => &["create", "get", "list", "patch", "update", "watch"],
    }
}

fn verbs_of_subresources(kind: &Kind) -> &'static [&'static str] {
    match kind.writes {
        Writes::Nothing => &["get"],
        Writes::Subresources | Writes::Update | Writes::CreateAndUpdate => &["get", "patch", "update"],
    }
}

/// Groups in the aggregated form (apidiscovery.k8s.io/v2 APIGroupDiscoveryList).
fn group_list(groups: &[&str]) -> Reply {
    let items: Vec<Value> = groups.iter().map(|group| aggregated(group)).collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    Reply::bytes(StatusCode::OK, AGGREGATED, list.to_string().into_bytes())
}

fn aggregated(group: &str) -> Value {
    let mut metadata = json!({"creationTimestamp": null});
    if !group.is_empty() {
        metadata = with(metadata, "name", group);
    }
    let version = |version: &str| {
        let resources: Vec<Value> = of_version(group, version).map(aggregated_resource).collect();
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    let versions: Vec<Value> = kinds::versions(group).into_iter().map(version).collect();
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(kind: &'static Kind) -> Value {
    let response = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut resource = json!({
        "resource": kind.plural, "singularResource": kind.singular, "responseKind": response, "verbs": verbs(kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
    });
    if !kind.short_names.is_empty() {
        resource = with(resource, "shortNames", kind.short_names);
    }
    if !kind.subresources.is_empty() {
        let subresource = |name: &&str| json!({"subresource": name, "responseKind": response, "verbs": verbs_of_subresources(kind)});
        let subresources: Vec<Value> = kind.subresources.iter().map(subresource).collect();
        resource = with(resource, "subresources", subresources);
    }
    resource
}
