//! The pods that a workload's controller makes: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job,
//! ReplicationController.
//!
//! Their names are the same in every run: `NAME-0`, `NAME-1`, ... (a StatefulSet's from
//! `ordinals.start`), and `NAME-NODE` for a DaemonSet.

use super::metadata::{MetadataRules, annotations, label_map, labels, object_meta};
use super::pod::pod_spec;
use super::selector::label_selector;
use super::{Context, tables};
use crate::core::Pod;
use crate::meta::Labels;
use crate::names;
use crate::reader::{Field, Fields};
use crate::selector::{LabelSelector, Operator};

/// The most pods that one workload makes.
const MAX_REPLICAS: u16 = 10_000;

/// A kind of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    ReplicationController,
}

pub(super) fn pods(document: &Field<'_>, kind: Workload, context: &Context) -> Option<Vec<Pod>> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    let spec = object.require("spec")?.fields(match kind {
        Workload::Deployment => tables::DEPLOYMENT_SPEC,
        Workload::ReplicaSet | Workload::ReplicationController => tables::REPLICA_SET_SPEC,
        Workload::StatefulSet => tables::STATEFUL_SET_SPEC,
        Workload::DaemonSet => tables::DAEMON_SET_SPEC,
        Workload::Job => tables::JOB_SPEC,
    })?;
    let template = spec.require("template")?.fields(&["metadata", "spec"])?;
    let mut made = metadata.clone();
    (made.labels, made.annotations) = (Labels::new(), Labels::new());
    if let Some(metadata) = template.get("metadata").and_then(|field| field.fields(tables::OBJECT_META)) {
        made.labels = labels(&metadata);
        made.annotations = annotations(&metadata);
    }
    check_selector(&spec, kind, &made.labels);
    let pod = pod_spec(made, &template);

    let named = |suffix: String| {
        let mut pod = pod.clone();
        pod.metadata.name = format!("{}-{suffix}", metadata.name);
        pod
    };
    let ordinals = |start: u32, count: u16| (start..start + u32::from(count)).map(move |n| n.to_string());
    let pods: Vec<Pod> = match kind {
        Workload::DaemonSet => {
            if template.field().node.get("spec").is_some_and(|spec| spec.get("nodeSelector").is_some()) {
                let help = "a pod is made on every node";
                template.field().warn("`nodeSelector` of a DaemonSet is not looked at", help);
            }
            if context.nodes.is_empty() {
                document.warn(
                    "no node is known here, so this DaemonSet has no pods",
                    "write the pods themselves",
                );
            }
            let on = |node: &String| Pod { node_name: Some(node.clone()), ..named(node.clone()) };
            context.nodes.iter().map(on).collect()
        }
        Workload::StatefulSet => {
            let ordinal = spec.get("ordinals").and_then(|field| field.fields(&["start"]));
            let start = ordinal
                .and_then(|fields| fields.get("start"))
                .and_then(|field| field.integer("first ordinal", 0..=u16::MAX));
            let labelled = |ordinal: String| {
                let mut pod = named(ordinal.clone());
                let name = pod.metadata.name.clone();
                pod.metadata.labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name);
                pod.metadata.labels.insert("apps.kubernetes.io/pod-index".to_owned(), ordinal);
                pod
            };
            ordinals(u32::from(start.unwrap_or(0)), count(&spec, "replicas")).map(labelled).collect()
        }
        Workload::Job => {
            let suspended = spec.get("suspend").and_then(|field| field.boolean()) == Some(true);
            let most = spec.get("completions").map(|_| count(&spec, "completions"));
            let parallel = count(&spec, "parallelism").min(most.unwrap_or(u16::MAX));
            let labelled = |ordinal| {
                let mut pod = named(ordinal);
                for key in ["batch.kubernetes.io/job-name", "job-name"] {
                    pod.metadata.labels.insert(key.to_owned(), metadata.name.clone());
                }
                pod
            };
            ordinals(0, if suspended { 0 } else { parallel }).map(labelled).collect()
        }
        _ => ordinals(0, count(&spec, "replicas")).map(named).collect(),
    };
    // The last name is the longest. One that is wrong from the start was reported already.
    if let Some(last) = pods.last()
        && let Err(problem) = names::check_dns_subdomain(&last.metadata.name)
        && names::check_dns_subdomain(&metadata.name).is_ok()
    {
        document.error(format!("its pod's name {} {problem}", last.metadata.name), "choose a shorter name");
    }
    Some(pods)
}

/// A number of pods; 1 where none is written.
fn count(spec: &Fields<'_>, name: &str) -> u16 {
    spec.get(name).and_then(|field| field.integer("number of pods", 0..=MAX_REPLICAS)).unwrap_or(1)
}

/// The API server refuses a workload whose selector does not match its own template.
fn check_selector(spec: &Fields<'_>, kind: Workload, labels: &Labels) {
    // A job's selector is made by the API server; a ReplicationController's is the template's labels.
    let generated = matches!(kind, Workload::Job | Workload::ReplicationController);
    let field = if generated { spec.get("selector") } else { spec.require("selector") };
    let Some(field) = field else { return };
    if kind == Workload::Job {
        return;
    }
    let selector = match kind {
        Workload::ReplicationController => {
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

/// Whether the template's labels satisfy the selector. Only for the check above: what a policy or a
/// service selects is for its enforcer and for the oracle to say.
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
