//! Pods that are missing, because what makes them is not kept: what can be found out of them, and which selectors
//! may mean them.

use crate::lineage::{Reference, reference, reference_of};
use netproof_api::manifest::Located;
use netproof_api::{Effect, Ignored, Object, WorkloadKind, WorkloadPods};
use netproof_documents::lint::{Finding, Role, Why};
use std::collections::{BTreeMap, HashMap};

/// Gives what makes its pods from the template of a workload, as a Rollout with a `workloadRef` does, its pods:
/// that workload makes them, if it makes none itself. A sentence about each.
pub(super) fn take_templates(
    objects: &mut [Located],
    ignored: &mut Vec<Ignored>,
    default_namespace: &str,
) -> Vec<String> {
    if ignored.iter().all(|object| object.template_of.is_none()) {
        return Vec::new();
    }
    let positions = objects
        .iter()
        .enumerate()
        .map(|(position, located)| (reference(located.object.metadata(), located.object.kind()), position));
    let positions: HashMap<Reference, usize> = positions.collect();
    let mut notes = Vec::new();
    ignored.retain(|object| {
        let Some((template, count)) = object.template_of.as_ref().filter(|_| object.effect == Effect::Pods)
        else {
            return true;
        };
        let (namespace, kind, name) = reference_of(object, default_namespace);
        let template_kind = WorkloadKind::word_of(&template.group, &template.kind);
        let position = positions.get(&(namespace.clone(), template_kind.clone(), template.name.clone()));
        let Some(Object::Workload(workload)) =
            position.and_then(|position| objects.get_mut(*position)).map(|it| &mut it.object)
        else {
            return true;
        };
        if matches!(&workload.pods, WorkloadPods::Ordinals(ordinals) if ordinals.is_empty()) {
            workload.pods = WorkloadPods::Ordinals(0..*count);
        }
        let template = format!("{template_kind}/{namespace}/{}", template.name);
        notes.push(format!(
            "{kind}/{namespace}/{name} makes its pods from the template of {template}: they have its names"
        ));
        false
    });
    notes
}

/// Objects that are not kept, some of which may make pods.
#[derive(Clone, Copy)]
pub(super) struct Makers<'a> {
    pub(super) ignored: &'a [Ignored],
    /// The namespace of what names none.
    pub(super) default_namespace: &'a str,
}

impl Makers<'_> {
    /// Kinds whose pods a selector that matches nothing may mean, with how many objects there are of each.
    pub(super) fn meant_by(&self, finding: &Finding) -> Option<String> {
        let Why::MatchesNothing(role) = finding.why else { return None };
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let own = finding.object.namespace.as_deref();
        for object in self.ignored {
            let makes_pods = match object.effect {
                Effect::Pods | Effect::PerhapsPods | Effect::PodsLater | Effect::Objects => true,
                Effect::None | Effect::Unknown | Effect::Routes | Effect::Policy => false,
            };
            let namespace = object.namespace.as_deref().unwrap_or(self.default_namespace);
            let reached = match role {
                Role::PeerNamespaces | Role::Nodes => false,
                Role::Peer { anywhere: true } => true,
                // What brings other objects brings them into any namespace.
                Role::Subject | Role::Backends | Role::Peer { anywhere: false } => {
                    own == Some(namespace) || object.effect == Effect::Objects
                }
            };
            if makes_pods && reached {
                *kinds.entry(&object.kind).or_default() += 1;
            }
        }
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        (!kinds.is_empty()).then(|| kinds.join(", "))
    }
}
