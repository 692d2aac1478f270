//! What manifests have that has no effect.

use crate::missing::Makers;
use netproof_api::source::Span;
use netproof_api::{Diagnostic, Object, ObjectMeta, WorkloadPods};
use netproof_controlplane::{Change, ObjectRef, Snapshot};
use netproof_documents::document::Problems;
use netproof_documents::lint::Lint;
use netproof_documents::placed::Placed;
use netproof_model::NamespacedName;
use std::collections::HashMap;
use std::sync::Arc;

/// Of selectors and services that have no effect.
pub(super) fn selectors(snapshot: &Snapshot, placed: &[Placed], makers: Makers<'_>, problems: &mut Problems) {
    let mut lint = Lint::default();
    lint.step(snapshot);
    let mut written: HashMap<(&str, &str, Option<&str>), &Placed> = HashMap::new();
    for placed in placed {
        if let Change::Apply(object) = &placed.change {
            let ObjectMeta { name, namespace, .. } = object.metadata();
            written.entry((object.kind(), name, namespace.as_deref())).or_insert(placed);
        }
    }
    for finding in lint.finish() {
        let ObjectRef { kind, name, namespace } = &finding.object;
        let written = written.get(&(kind.as_str(), name.as_str(), namespace.as_deref()));
        let help = match makers.meant_by(&finding) {
            Some(kinds) => format!("it may mean pods that are missing here, of {kinds}; else correct it"),
            None => finding.help().to_owned(),
        };
        let warning = Diagnostic::warning(finding.message("")).help(help);
        problems.push(match written {
            Some(placed) => warning.at(&placed.source, Span::new(placed.span.start, placed.span.start)),
            None => warning,
        });
    }
}

/// Of DaemonSets that no node takes.
pub(super) fn idle_daemon_sets(snapshot: &Snapshot, placed: &[Placed], problems: &mut Problems) {
    for Placed { change, source, span } in placed {
        let Change::Apply(Object::Workload(workload)) = change else { continue };
        let WorkloadPods::Nodes(selector) = &workload.pods else { continue };
        let namespace = workload.metadata.namespace.as_deref().unwrap_or_default();
        let name = &workload.metadata.name;
        let is_there = |pod: String| snapshot.pods.contains_key(&NamespacedName::new(namespace, pod));
        if workload.pod_names(snapshot.nodes.keys().map(String::as_str)).into_iter().any(is_there) {
            continue;
        }
        let is_labelled = |node: &&Arc<netproof_api::Node>| {
            selector.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value))
        };
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let (why, help) = match snapshot.nodes.values().find(is_labelled).map(|node| &node.taints) {
            None => (
                format!("no node has {}", labels.join(",")),
                "add Nodes with these labels to the manifests, or name a topology that has them",
            ),
            Some(taints) => {
                let taints: Vec<String> = taints.iter().map(ToString::to_string).collect();
                (
                    format!("its template does not tolerate the taints of its nodes ({})", taints.join(", ")),
                    "add tolerations to the template, or Nodes without these taints to the manifests",
                )
            }
        };
        let message = format!("daemonset/{namespace}/{name} has no pods: {why}");
        let warning = Diagnostic::warning(message).help(help);
        problems.push(warning.at(source, Span::new(span.start, span.start)));
    }
}
