//! Workloads as written (Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, ReplicationController),
//! defaulted and validated as the API server does, and objects of other groups that have a pod template. Their
//! controllers make the pods later.

use super::metadata::{MetadataRules, annotations, label_map, labels, object_meta};
use super::pod::{PodRules, pod_spec};
use super::selector::label_selector;
use super::{Context, tables};
use crate::meta::{Labels, ObjectMeta};
use crate::names;
use crate::reader::{Field, Fields};
use crate::selector::{LabelSelector, Operator};
use crate::workload::{Workload, WorkloadKind, WorkloadPods};
use netproof_text::yaml::Value;

/// The most pods of one workload.
const MAX_REPLICAS: u16 = 10_000;

pub(super) fn workload(document: &Field<'_>, kind: WorkloadKind, context: &Context) -> Option<Workload> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    let spec = object.require("spec")?.fields(match kind {
        WorkloadKind::Deployment => tables::DEPLOYMENT_SPEC,
        WorkloadKind::ReplicaSet | WorkloadKind::ReplicationController => tables::REPLICA_SET_SPEC,
        WorkloadKind::StatefulSet => tables::STATEFUL_SET_SPEC,
        WorkloadKind::DaemonSet => tables::DAEMON_SET_SPEC,
        WorkloadKind::Job => tables::JOB_SPEC,
        WorkloadKind::Foreign(_) => return None,
    })?;
    let template = spec.require("template")?.fields(&["metadata", "spec"])?;
    let made = template_meta(&metadata, &template);
    check_selector(&spec, &kind, &made.labels);
    let pods = match kind {
        WorkloadKind::DaemonSet => WorkloadPods::Nodes(node_selector(&template)),
        WorkloadKind::StatefulSet => {
            let ordinal = spec.get("ordinals").and_then(|field| field.fields(&["start"]));
            let start = ordinal
                .and_then(|fields| fields.get("start"))
                .and_then(|field| field.integer("first ordinal", 0..=u16::MAX));
            let start = u32::from(start.unwrap_or(0));
            WorkloadPods::Ordinals(start..start + count(&spec, "replicas"))
        }
        WorkloadKind::Job => {
            let suspended = spec.get("suspend").and_then(|field| field.boolean()) == Some(true);
            let idle = suspended || has_finished(&object);
            let most = spec.get("completions").map_or(u32::MAX, |_| count(&spec, "completions"));
            let parallel = count(&spec, "parallelism").min(most);
            WorkloadPods::Ordinals(0..if idle { 0 } else { parallel })
        }
        _ => WorkloadPods::Ordinals(0..count(&spec, "replicas")),
    };
    let mut template = pod_spec(made, &template, &PodRules::KUBERNETES);
    if kind == WorkloadKind::StatefulSet {
        // Its controller sets each pod's host name to the pod's name, under this service's name.
        let service = spec.text("serviceName").and_then(|field| field.string());
        template.subdomain = service.filter(|name| !name.is_empty()).map(str::to_owned);
    }
    checked(document, Workload { metadata, kind, pods, template: Box::new(template) })
}

/// Fields of a Knative revision in addition to those of a pod.
const REVISION_SPEC: [&str; 4] =
    ["containerConcurrency", "idleTimeoutSeconds", "responseStartTimeoutSeconds", "timeoutSeconds"];

/// Labels that controllers of other groups give their pods in addition to the template's: group, kind, and
/// the keys whose value is the object's name.
const FOREIGN_LABELS: [(&str, &str, &[&str]); 2] = [
    ("apps.openshift.io", "DeploymentConfig", &["deploymentconfig"]),
    ("serving.knative.dev", "Service", &["serving.knative.dev/configuration", "serving.knative.dev/service"]),
];

/// A workload of another group, by the pod template in a field of its `spec`. Its schema is unknown, so only
/// fields that such kinds share are read. `None` if it has no name.
pub(super) fn foreign(
    document: &Field<'_>,
    group: &str,
    kind: &str,
    template: &str,
    context: &Context,
) -> Option<Workload> {
    let object = document.mapping()?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    if metadata.name.is_empty() {
        return None;
    }
    let spec = object.get("spec")?.mapping()?;
    let template = spec.get(template)?.mapping()?;
    let mut made = template_meta(&metadata, &template);
    for (_, _, keys) in FOREIGN_LABELS.iter().filter(|(of, name, _)| (*of, *name) == (group, kind)) {
        made.labels.extend(keys.iter().map(|key| ((*key).to_owned(), metadata.name.clone())));
    }
    let pods = match kind {
        // OpenKruise: one pod on each node, as a DaemonSet.
        _ if kind.ends_with("DaemonSet") || kind == "BroadcastJob" => {
            WorkloadPods::Nodes(node_selector(&template))
        }
        _ => WorkloadPods::Ordinals(0..replicas(document)),
    };
    let known: Vec<&str> = tables::POD_SPEC.iter().chain(&REVISION_SPEC).copied().collect();
    let template = pod_spec(made, &template, &PodRules { known: &known, named_containers: false });
    checked(
        document,
        Workload { metadata, kind: WorkloadKind::foreign(group, kind), pods, template: Box::new(template) },
    )
}

/// How many pods a workload of another group makes.
pub(super) fn replicas(document: &Field<'_>) -> u32 {
    let spec = document.mapping().and_then(|object| object.get("spec")?.mapping());
    spec.map_or(1, |spec| {
        match spec.get("suspend").is_some_and(|field| field.node.value == Value::Bool(true)) {
            true => 0,
            false => count(&spec, "replicas"),
        }
    })
}

/// The metadata of the pods that a workload makes: its namespace, and what the template says.
fn template_meta(metadata: &ObjectMeta, template: &Fields<'_>) -> ObjectMeta {
    let mut made = ObjectMeta { namespace: metadata.namespace.clone(), ..ObjectMeta::default() };
    if let Some(metadata) = template.get("metadata").and_then(|field| field.fields(tables::OBJECT_META)) {
        made.labels = labels(&metadata);
        made.annotations = annotations(&metadata);
    }
    made
}

/// The workload, if the names of its pods are valid.
fn checked(document: &Field<'_>, workload: Workload) -> Option<Workload> {
    // The last name is the longest. An error in the workload's own name was reported already.
    if let Some(last) = workload.pod_names(std::iter::empty()).last()
        && let Err(problem) = names::check_dns_subdomain(last)
        && names::check_dns_subdomain(&workload.metadata.name).is_ok()
    {
        document.error(format!("its pod's name {last} {problem}"), "choose a shorter name");
    }
    Some(workload)
}

/// The labels of the nodes that a DaemonSet's pods run on.
fn node_selector(template: &Fields<'_>) -> Labels {
    // If it is not a mapping, that is reported where the rest is read.
    let spec = template.get("spec").filter(|field| !field.node.entries().is_empty());
    let Some(spec) = spec.and_then(|field| field.mapping()) else { return Labels::new() };
    let affinity = spec.field().node.get("affinity").and_then(|affinity| affinity.get("nodeAffinity"));
    if affinity.is_some_and(|it| it.get("requiredDuringSchedulingIgnoredDuringExecution").is_some()) {
        let help = "its pods are made on every node that its `nodeSelector` takes";
        template.field().warn("the node affinity of a DaemonSet is not looked at", help);
    }
    spec.get("nodeSelector").map(|field| label_map(&field)).unwrap_or_default()
}

/// Whether a job's status says that it is complete or failed: it makes no more pods.
fn has_finished(object: &Fields<'_>) -> bool {
    let status = object.get("status").filter(|field| !field.node.entries().is_empty());
    let status = status.and_then(|field| field.mapping());
    let conditions = status.map(|status| status.items("conditions")).unwrap_or_default();
    conditions.iter().any(|condition| {
        let is = |name, word| condition.node.get(name).and_then(|node| node.as_str()) == Some(word);
        (is("type", "Complete") || is("type", "Failed")) && is("status", "True")
    })
}

/// A number of pods; 1 where none is written.
fn count(spec: &Fields<'_>, name: &str) -> u32 {
    let written = spec.get(name).and_then(|field| field.integer("number of pods", 0..=MAX_REPLICAS));
    u32::from(written.unwrap_or(1))
}

/// The API server refuses a workload whose selector does not match its own template.
fn check_selector(spec: &Fields<'_>, kind: &WorkloadKind, labels: &Labels) {
    // A job's selector is made by the API server; a ReplicationController's is the template's labels.
    let generated = matches!(kind, WorkloadKind::Job | WorkloadKind::ReplicationController);
    let field = if generated { spec.get("selector") } else { spec.require("selector") };
    let Some(field) = field else { return };
    if *kind == WorkloadKind::Job {
        return;
    }
    let selector = match kind {
        WorkloadKind::ReplicationController => {
            LabelSelector { match_labels: label_map(&field), ..LabelSelector::default() }
        }
        _ => label_selector(&field),
    };
    if selector == LabelSelector::default() {
        field.error("the selector is empty", "write the labels of the template as `matchLabels`");
    } else if !holds(&selector, labels) {
        let help = "write the same labels in `selector.matchLabels` and `template.metadata.labels`";
        field.error("the selector does not match the labels of the template", help);
    }
}

/// Whether the template's labels satisfy the selector. Only for the check above: the enforcer and the oracle
/// evaluate the selectors of policies and services.
fn holds(selector: &LabelSelector, labels: &Labels) -> bool {
    let pairs = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    pairs
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
}
