//! One document: finds the kind's reader by `apiVersion` and `kind`, unpacks lists, and gathers objects.

use super::kinds::{GROUPS, POLICY_GROUPS, Treatment};
use super::{
    Context, Located, Manifest, Unreadable, cluster, endpoint_slice, network_policy, pod, service, workload,
};
use crate::object::Object;
use crate::reader::{Field, Fields};
use crate::suggest::{did_you_mean, suggestion};
use crate::yaml::{Node, quote};
use std::sync::Arc;

/// Reads a document, or an item of a list, into the manifest.
pub(super) fn read(document: &Field<'_>, context: &Context, manifest: &mut Manifest) {
    let errors = document.report().errors();
    let before = (manifest.objects.len(), manifest.unreadable.len());
    read_by_kind(document, context, manifest);
    if document.report().errors() > errors && before == (manifest.objects.len(), manifest.unreadable.len()) {
        manifest.unreadable.push(unreadable(document.node, None));
    }
}

/// What is seen of an object that is not kept.
fn unreadable(node: &Node, kind: Option<&str>) -> Unreadable {
    let kind = kind.or_else(|| node.get("kind")?.as_str());
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")?.as_str());
    Unreadable { kind: kind.map(str::to_lowercase), name: name.map(str::to_owned) }
}

fn read_by_kind(document: &Field<'_>, context: &Context, manifest: &mut Manifest) {
    if let Some(fields) = document.mapping()
        && let Some(api_version) = fields.require("apiVersion").and_then(|field| field.string())
        && let Some(kind) = fields.require("kind").and_then(|field| field.string())
    {
        read_as(&fields, api_version, kind, context, manifest);
    }
}

fn read_as(fields: &Fields<'_>, api_version: &str, kind: &str, context: &Context, manifest: &mut Manifest) {
    let document = fields.field();
    let errors = document.report().errors();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(item_kind) = list_of(group, kind) {
        return read_list(document, api_version, item_kind, context, manifest);
    }
    let Some(treatment) = treatment(fields, group, version, kind) else { return };
    let object = match treatment {
        Treatment::PassOver => {
            manifest.passed_over.push(kind.to_owned());
            return;
        }
        Treatment::Refuse if is_made(document) => {
            manifest.passed_over.push(kind.to_owned());
            return;
        }
        Treatment::Refuse => {
            let help = "write a Service with a selector, or an EndpointSlice";
            return document.error(format!("{kind} is not supported"), help);
        }
        Treatment::Workload(kind) => workload::workload(document, kind, context).map(Object::Workload),
        Treatment::Namespace => cluster::namespace(document, context).map(Object::Namespace),
        Treatment::Node => cluster::node(document, context).map(Object::Node),
        Treatment::Pod => pod::pod(document, context).map(Object::Pod),
        Treatment::Service => service::service(document, context).map(Object::Service),
        Treatment::EndpointSlice => {
            endpoint_slice::endpoint_slice(document, context).map(Object::EndpointSlice)
        }
        Treatment::NetworkPolicy => {
            network_policy::network_policy(document, context).map(Object::NetworkPolicy)
        }
    };
    if document.report().errors() > errors {
        manifest.unreadable.push(unreadable(document.node, Some(kind)));
    } else if let Some(object) = object {
        let source = Arc::clone(document.report().source());
        manifest.objects.push(Located { object, source, span: document.node.span });
    }
}

/// Whether Endpoints are what a cluster makes of its services and pods: their EndpointSlices stand for them.
/// (`pkg/controller/endpoint`; those of the API server say that nobody is to make slices of them.)
fn is_made(document: &Field<'_>) -> bool {
    const MARKS: [(&str, &str); 3] = [
        ("annotations", "endpoints.kubernetes.io/last-change-trigger-time"),
        ("labels", "endpoints.kubernetes.io/managed-by"),
        ("labels", "endpointslice.kubernetes.io/skip-mirror"),
    ];
    let metadata = document.node.get("metadata");
    MARKS.iter().any(|(list, mark)| metadata.and_then(|it| it.get(list)?.get(mark)).is_some())
}

/// What is done with a kind; reported and `None` if it is unknown where every kind is known.
fn treatment(fields: &Fields<'_>, group: &str, version: &str, kind: &str) -> Option<Treatment> {
    let known = GROUPS.iter().find(|known| known.name == group);
    let found = known.and_then(|known| known.kinds.iter().find(|(name, _)| *name == kind));
    // An item of a typed list has neither field; its place is the item's then.
    let place = |name| fields.get(name).unwrap_or_else(|| fields.field().clone());
    let (api_version, kind_field) = (place("apiVersion"), place("kind"));
    if let (Some(known), Some((_, treatment))) = (known, found) {
        if version != known.version && *treatment != Treatment::PassOver {
            let right = api_version_of(known.name, known.version);
            api_version
                .error(format!("{kind} of version {version} is not supported"), format!("write {right}"));
            return None;
        }
        return Some(*treatment);
    }
    if POLICY_GROUPS.contains(&group) {
        let message = format!("{kind} of {group} is not supported yet");
        kind_field.error(
            message,
            "without this policy the verdicts would be wrong: test it elsewhere, or leave it out knowingly",
        );
        return None;
    }
    // A kind in the wrong group: `apiVersion: v1` for a NetworkPolicy, or a group of long ago.
    let elsewhere = GROUPS.iter().find(|other| other.kinds.iter().any(|(name, _)| *name == kind));
    if let Some(other) = elsewhere
        && (known.is_some() || group == "extensions")
    {
        let right = api_version_of(other.name, other.version);
        api_version.error(
            format!("there is no {kind} in {}", quote(&api_version_of(group, version))),
            format!("write {right}"),
        );
        return None;
    }
    let Some(known) = known else {
        return stranger(&api_version, group, kind).then_some(Treatment::PassOver);
    };
    let names: Vec<&str> = known.kinds.iter().map(|(name, _)| *name).collect();
    kind_field.error(
        format!("there is no kind {} in {}", quote(kind), api_version_of(group, version)),
        suggestion(kind, &names),
    );
    None
}

/// Whether a kind of a group that nobody here knows can be passed over: not if the group is a misspelt
/// one, and with a warning if the kind sounds like a policy.
fn stranger(api_version: &Field<'_>, group: &str, kind: &str) -> bool {
    let policy = kind.ends_with("NetworkPolicy");
    let matters = GROUPS
        .iter()
        .flat_map(|known| known.kinds)
        .any(|(name, treatment)| *name == kind && *treatment != Treatment::PassOver);
    let known = GROUPS.iter().map(|known| known.name).chain(POLICY_GROUPS.iter().copied());
    if (policy || matters)
        && let Some(near) = did_you_mean(group, known.filter(|name| name.contains('.')))
    {
        api_version.error(format!("unknown API group {}", quote(group)), format!("did you mean `{near}`?"));
        return false;
    }
    if policy {
        let help = "what is tested must not depend on it";
        api_version.warn(format!("{kind} of {group} is not known here and has no effect"), help);
    }
    true
}

/// Whether a kind is a list, and of what: `List` of anything, `PodList` of pods.
fn list_of<'k>(group: &str, kind: &'k str) -> Option<&'k str> {
    let item = kind.strip_suffix("List")?;
    let known =
        GROUPS.iter().any(|known| known.name == group && known.kinds.iter().any(|(name, _)| *name == item));
    (known || POLICY_GROUPS.contains(&group) || (group.is_empty() && item.is_empty())).then_some(item)
}

fn api_version_of(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// A `List`, whose items say what they are, or a `PodList` and its like, whose items need not.
fn read_list(
    document: &Field<'_>,
    api_version: &str,
    item_kind: &str,
    context: &Context,
    manifest: &mut Manifest,
) {
    let Some(list) = document.fields(&["apiVersion", "kind", "metadata", "items"]) else { return };
    for item in list.items("items") {
        let Some(fields) = item.mapping() else { continue };
        let bare = fields.get("apiVersion").is_none() && fields.get("kind").is_none();
        if bare && !item_kind.is_empty() {
            read_as(&fields, api_version, item_kind, context, manifest);
        } else {
            read(&item, context, manifest);
        }
    }
}
