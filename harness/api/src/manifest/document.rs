//! One document: finds the kind's reader by `apiVersion` and `kind`, unpacks lists, and gathers objects.

use super::foreign::{self, Foreign};
use super::kinds::{GROUPS, Group, Treatment};
use super::{
    Context, Located, Manifest, Unreadable, calico, cluster, cluster_network_policy, endpoint_slice,
    network_policy, pod, service, workload,
};
use crate::ignored::{Effect, Ignored};
use crate::object::Object;
use crate::reader::{Field, Fields, Tolerance};
use netproof_text::quote::quote;
use netproof_text::suggest::{did_you_mean, suggestion};
use netproof_text::yaml::{Node, Value};
use std::sync::Arc;

/// Reads a document, or an item of a list, into the manifest.
pub(super) fn read(document: &Field<'_>, context: &Context, manifest: &mut Manifest) {
    let errors = document.report().grave_errors();
    let before = (manifest.objects.len(), manifest.unreadable.len());
    read_by_kind(document, context, manifest);
    if document.report().grave_errors() > errors
        && before == (manifest.objects.len(), manifest.unreadable.len())
    {
        manifest.unreadable.push(unreadable(document.node, None));
    }
}

/// The readable part of an object that is not kept.
fn unreadable(node: &Node, kind: Option<&str>) -> Unreadable {
    let kind = kind.or_else(|| node.get("kind")?.as_str());
    let name = node.get("metadata").and_then(|metadata| metadata.get("name")?.as_str());
    Unreadable { kind: kind.map(str::to_lowercase), name: name.map(str::to_owned) }
}

fn read_by_kind(document: &Field<'_>, context: &Context, manifest: &mut Manifest) {
    // calicoctl takes a list of objects that is no object itself.
    if calico::is_sequence_of_objects(document.node) {
        return document.items().iter().for_each(|item| read(item, context, manifest));
    }
    if let Some(fields) = document.mapping()
        && let Some(api_version) = fields.require("apiVersion").and_then(|field| field.string())
        && let Some(kind) = fields.require("kind").and_then(|field| field.string())
    {
        read_as(&fields, api_version, kind, context, manifest);
    }
}

fn read_as(fields: &Fields<'_>, api_version: &str, kind: &str, context: &Context, manifest: &mut Manifest) {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(item_kind) = list_of(group, kind, fields.field().node) {
        return read_list(fields.field(), api_version, item_kind, context, manifest);
    }
    let tolerance = match is_exported(fields.field().node) {
        true => Tolerance::UnknownFields,
        false => Tolerance::Nothing,
    };
    fields.field().report().tolerating(tolerance, || {
        read_object(fields, (group, version, kind), context, manifest);
    });
}

/// Group, version and kind.
type Type<'a> = (&'a str, &'a str, &'a str);

fn read_object(fields: &Fields<'_>, of: Type<'_>, context: &Context, manifest: &mut Manifest) {
    let (document, (group, _, kind)) = (fields.field(), of);
    let errors = document.report().grave_errors();
    let Some(treatment) = treatment(fields, of) else { return };
    let object = match treatment {
        Treatment::Ignore(effect) => return manifest.ignored.push(ignored(document, of, effect)),
        Treatment::Refuse if is_made(document) => {
            return manifest.ignored.push(ignored(document, of, Effect::None));
        }
        Treatment::Refuse => {
            let help = "write a Service with a selector, or an EndpointSlice";
            return document.error(format!("{kind} is not supported"), help);
        }
        Treatment::ForeignWorkload(template) => {
            let read = || workload::foreign(document, group, kind, template, context);
            match document.report().tolerating(Tolerance::Everything, read) {
                Some(workload) => Some(Object::Workload(workload)),
                None => return manifest.ignored.push(ignored(document, of, Effect::Pods)),
            }
        }
        Treatment::PodsLike(owner) => {
            let count = || workload::replicas(document);
            let count = document.report().tolerating(Tolerance::Everything, count);
            let ignored = ignored(document, of, Effect::Pods);
            return manifest.ignored.push(Ignored { template_of: Some((owner, count)), ..ignored });
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
            let policy = network_policy::network_policy(document, context);
            policy.map(|policy| Object::Policy(policy.into()))
        }
        Treatment::Calico(kind, dialect) => {
            calico::read(kind, document, dialect, context).map(Object::Policy)
        }
        Treatment::ClusterNetworkPolicy => {
            let policy = cluster_network_policy::cluster_network_policy(document, context);
            policy.map(|policy| Object::Policy(policy.into()))
        }
        Treatment::AdminNetworkPolicy => {
            let policy = cluster_network_policy::admin_network_policy(document, context);
            policy.map(|policy| Object::Policy(policy.into()))
        }
        Treatment::BaselineAdminNetworkPolicy => {
            let policy = cluster_network_policy::baseline_admin_network_policy(document, context);
            policy.map(|policy| Object::Policy(policy.into()))
        }
    };
    if document.report().grave_errors() > errors {
        manifest.unreadable.push(unreadable(document.node, Some(kind)));
    } else if let Some(object) = object {
        let source = Arc::clone(document.report().source());
        manifest.objects.push(Located { object, source, span: document.node.span });
    }
}

/// Reads an ignored object. Nothing of it is checked, so it never stops the others.
fn ignored(document: &Field<'_>, (group, _, kind): Type<'_>, effect: Effect) -> Ignored {
    let metadata = document.node.get("metadata");
    let text = |key: &str| {
        let text = metadata.and_then(|it| it.get(key)).and_then(Node::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let owners = metadata.and_then(|it| it.get("ownerReferences")).map(Node::items).unwrap_or_default();
    Ignored {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: text("namespace"),
        name: text("name").or_else(|| text("generateName")).unwrap_or_default(),
        effect,
        owners: owners.iter().filter_map(foreign::reference_of).collect(),
        template_of: None,
        exported: is_exported(document.node),
        source: Arc::clone(document.report().source()),
        span: document.node.get("kind").unwrap_or(document.node).span,
    }
}

/// Whether a cluster wrote the object: then an API server has checked it, perhaps a newer one than we know.
fn is_exported(document: &Node) -> bool {
    let has = |key| document.get("metadata").and_then(|it| it.get(key)).is_some_and(|it| !it.is_null());
    let has_status = document.get("status").is_some_and(|status| !status.entries().is_empty());
    has("uid") || has("resourceVersion") || has_status
}

/// Whether a cluster made these Endpoints from its services and pods: their EndpointSlices replace them.
/// (`pkg/controller/endpoint`; Endpoints of the API server say that no slices shall be made of them.)
fn is_made(document: &Field<'_>) -> bool {
    const MARKS: [(&str, &str); 3] = [
        ("annotations", "endpoints.kubernetes.io/last-change-trigger-time"),
        ("labels", "endpoints.kubernetes.io/managed-by"),
        ("labels", "endpointslice.kubernetes.io/skip-mirror"),
    ];
    let metadata = document.node.get("metadata");
    MARKS.iter().any(|(list, mark)| metadata.and_then(|it| it.get(list)?.get(mark)).is_some())
}

/// What to do with an object; reports an error and returns `None` if its kind is wrong.
fn treatment(fields: &Fields<'_>, of: Type<'_>) -> Option<Treatment> {
    let (group, version, kind) = of;
    let document = fields.field();
    if let Some((dialect, right)) = calico::Dialect::of(group)
        && let Some(policy) = calico::kind_of(kind).filter(|policy| policy.is_supported())
    {
        return (version == right).then_some(Treatment::Calico(policy, dialect)).or_else(|| {
            wrong_version(&place_of(fields, "apiVersion"), (group, version, kind), right);
            None
        });
    }
    let versions = || GROUPS.iter().filter(|known| known.name == group);
    let of_kind = |known: &'static Group| known.kinds.iter().find(|(name, _)| *name == kind);
    let with_kind = || versions().filter_map(|known| Some((known, of_kind(known)?)));
    let known = versions().next();
    // Of the version that is written; of another one, whose error says which there is.
    let found = with_kind().find(|(known, _)| known.version == version).or_else(|| with_kind().next());
    let (api_version, kind_field) = (place_of(fields, "apiVersion"), place_of(fields, "kind"));
    if let Some((known, (_, treatment))) = found {
        if version != known.version && !matches!(treatment, Treatment::Ignore(_)) {
            wrong_version(&api_version, of, known.version);
            return None;
        }
        return Some(treatment.clone());
    }
    // A kind in the wrong group: `apiVersion: v1` for a NetworkPolicy, or an obsolete group.
    let elsewhere = GROUPS
        .iter()
        .find_map(|other| other.kinds.iter().find(|(name, _)| *name == kind).map(|(_, it)| (other, it)));
    if let Some((other, treatment)) = elsewhere
        && (known.is_some() || (group == "extensions" && !matches!(treatment, Treatment::Ignore(_))))
    {
        let right = api_version_of(other.name, other.version);
        api_version.error(
            format!("there is no {kind} in {}", quote(&api_version_of(group, version))),
            format!("write {right}"),
        );
        return None;
    }
    if known.is_none() {
        return stranger(&api_version, group, kind, document.node);
    };
    if is_exported(document.node) {
        return Some(Treatment::Ignore(Effect::Unknown));
    }
    let kinds = versions().flat_map(|known| known.kinds);
    let names: Vec<&str> = kinds.map(|(name, _)| *name).collect();
    kind_field.error(
        format!("there is no kind {} in {}", quote(kind), api_version_of(group, version)),
        suggestion(kind, &names),
    );
    None
}

/// The field of that name. An item of a typed list does not have it; then it is the item.
fn place_of<'a>(fields: &Fields<'a>, name: &str) -> Field<'a> {
    fields.get(name).unwrap_or_else(|| fields.field().clone())
}

fn wrong_version(api_version: &Field<'_>, (group, version, kind): Type<'_>, right: &str) {
    let right = api_version_of(group, right);
    api_version.error(format!("{kind} of version {version} is not supported"), format!("write {right}"));
}

/// What to do with an object of another group than Kubernetes' own. If it could be a policy or a kind that
/// is kept, a misspelt group is an error.
fn stranger(api_version: &Field<'_>, group: &str, kind: &str, document: &Node) -> Option<Treatment> {
    let treatment = match foreign::treatment(group, kind, document) {
        Foreign::Makes(template) => Treatment::ForeignWorkload(template),
        Foreign::MakesLike(owner) => Treatment::PodsLike(owner),
        Foreign::Ignored(effect) => Treatment::Ignore(effect),
    };
    let known = foreign::groups().any(|known| known == group) || is_exported(document);
    let kept = || {
        GROUPS
            .iter()
            .flat_map(|known| known.kinds)
            .any(|(name, treatment)| *name == kind && !matches!(treatment, Treatment::Ignore(_)))
    };
    let near = did_you_mean(group, groups_of_policies_and_objects());
    // The groups of Kubernetes itself are known, and all others have a dot.
    let misspelt = !group.contains('.') || (near.is_some() && (kind.ends_with("NetworkPolicy") || kept()));
    if !known && misspelt {
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a group has a dot, but for `apps`, `autoscaling`, `batch` and `policy`".to_owned(),
        };
        api_version.error(format!("unknown API group {}", quote(group)), help);
        return None;
    }
    Some(treatment)
}

/// The groups that a misspelt one may mean.
fn groups_of_policies_and_objects() -> impl Iterator<Item = &'static str> {
    let own = GROUPS.iter().map(|known| known.name).filter(|name| !name.is_empty());
    own.chain(foreign::groups().filter(|group| foreign::has_policies(group)))
}

/// Whether a kind is a list, and of what: `List` of anything, `PodList` of pods.
fn list_of<'k>(group: &str, kind: &'k str, document: &Node) -> Option<&'k str> {
    let item = kind.strip_suffix("List")?;
    let mut versions = GROUPS.iter().filter(|known| known.name == group).peekable();
    let is_list = match versions.peek() {
        Some(_) => item.is_empty() || versions.any(|known| known.kinds.iter().any(|(name, _)| *name == item)),
        None => document.get("items").is_some_and(|items| matches!(items.value, Value::Sequence(_))),
    };
    is_list.then_some(item)
}

fn api_version_of(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// A `List`, whose items have a kind, or a typed list such as `PodList`, whose items need none.
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
