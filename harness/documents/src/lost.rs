//! What could not be read, or was refused: objects and changes that the states of a scenario lack, and what may be
//! said of those states all the same.

use crate::placed::Placed;
use netproof_api::yaml::Node;
use netproof_api::{Object, Unreadable, WorkloadKind, names};
use netproof_controlplane::{Change, KINDS, ObjectRef, Snapshot};
use netproof_model::PolicyKind;

/// What the states lack from some change on.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// Objects that were to be made or replaced.
    objects: Vec<Unreadable>,
    /// Whether anything else was to become of objects that there are: others may be as they should not be.
    changes: bool,
    /// Whether any of them was to go, or to give back what it has.
    deletions: bool,
}

impl Lost {
    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        self.objects.is_empty() && !self.changes
    }

    /// Whether nothing but policies is, so that who there is and what each serves is known.
    pub fn is_policies_only(&self) -> bool {
        !self.changes
            && self
                .objects
                .iter()
                .all(|object| object.kind.as_deref().is_some_and(|kind| PolicyKind::of_word(kind).is_some()))
    }

    /// Whether other objects than those that are named may be as they should not be.
    pub fn has_changes(&self) -> bool {
        self.changes
    }

    /// Whether there may be objects that should have gone, or that have what they should have given back.
    pub fn has_deletions(&self) -> bool {
        self.deletions
    }

    /// An object that was to be made or replaced.
    pub fn add(&mut self, object: Unreadable) {
        // A name that is not valid may have been meant as any name.
        let name = object.name.filter(|name| names::check_dns_subdomain(name).is_ok());
        self.objects.push(Unreadable { name, ..object });
    }

    /// An object of which nothing is known.
    pub fn add_anything(&mut self) {
        self.add(Unreadable::default());
    }

    /// A policy of another kind that is not looked at.
    pub fn add_policy(&mut self, name: &str) {
        self.add(Unreadable {
            kind: Some(PolicyKind::NetworkPolicy.word().to_owned()),
            name: Some(name.to_owned()),
        });
    }

    /// An object that is known by its name.
    pub fn add_named(&mut self, object: &ObjectRef) {
        self.add(Unreadable { kind: Some(object.kind.clone()), name: Some(object.name.clone()) });
    }

    /// An item of `objects` or `apply`.
    pub fn add_item(&mut self, item: &Node) {
        let text = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
        if item.get("kind").is_some() || item.get("apiVersion").is_some() {
            let kind = text(item, "kind").map(|kind| kind.to_lowercase());
            return self.add(Unreadable { kind, name: item.get("metadata").and_then(|it| text(it, "name")) });
        }
        match item.entries().first() {
            Some((key, _)) if key.name == "listens" => self.add_change(),
            Some((key, fields)) => {
                self.add(Unreadable { kind: Some(key.name.clone()), name: text(fields, "name") });
            }
            None => self.add_anything(),
        }
    }

    /// A change of an object that there is.
    pub fn add_change(&mut self) {
        self.changes = true;
    }

    /// A deletion.
    pub fn add_deletion(&mut self) {
        (self.changes, self.deletions) = (true, true);
    }

    /// What the control plane refused, or was not asked for.
    pub fn add_refused(&mut self, placed: &Placed) {
        match &placed.change {
            Change::Apply(object) => self.add_named(&reference(object)),
            Change::ApplyExternal(host) => self.add_named(&ObjectRef::new("external", None, &host.name)),
            Change::Listen { .. } | Change::Label { .. } => self.add_change(),
            Change::Delete(_) => self.add_deletion(),
        }
    }

    /// What is lost in a change of this state too. What was to be replaced is still there as it was.
    pub fn extend(&mut self, more: &Lost, snapshot: &Snapshot) {
        let replaces = more.has_any_of(snapshot);
        self.objects.extend(more.objects.iter().cloned());
        self.changes |= more.changes || replaces;
        self.deletions |= more.deletions || replaces;
    }

    fn has_any_of(&self, snapshot: &Snapshot) -> bool {
        let own = |kind: &str, name: &str| self.may_be(kind, name);
        !self.objects.is_empty()
            && (snapshot.pods.keys().any(|pod| own("pod", &pod.name))
                || snapshot.services.keys().any(|service| own("service", &service.name))
                || snapshot.namespaces.keys().any(|namespace| own("namespace", namespace))
                || snapshot.externals.keys().any(|host| own("external", host))
                || snapshot.endpoint_slices.keys().any(|slice| own("endpointslice", &slice.name)))
    }

    /// Whether it may be of a kind.
    pub fn may_be_any(&self, kind: &str) -> bool {
        self.objects
            .iter()
            .any(|it| it.kind.as_ref().is_none_or(|it| it == kind || !KINDS.contains(&it.as_str())))
    }

    /// Whether it may be what somebody names: the object, or the workload that makes the pod.
    pub fn may_be(&self, kind: &str, name: &str) -> bool {
        self.objects.iter().any(|object| {
            let is_kind = object.may_be(kind, object.name.as_deref().unwrap_or_default());
            // A kind that is misspelt may be any.
            let is_none = object.kind.as_ref().is_some_and(|kind| !KINDS.contains(&kind.as_str()));
            let makes =
                kind == "pod" && object.kind.as_deref().is_some_and(|it| WorkloadKind::named(it).is_some());
            let is_name = object.name.as_ref().is_none_or(|it| {
                let is_pod_of = || name.strip_prefix(it.as_str()).is_some_and(|rest| rest.starts_with('-'));
                it == name || ((makes || (is_none && kind == "pod")) && is_pod_of())
            });
            (is_kind || is_none || makes) && is_name
        })
    }
}

/// The name of an object, as a change gives it.
fn reference(object: &Object) -> ObjectRef {
    let metadata = object.metadata();
    ObjectRef::new(object.kind(), metadata.namespace.as_deref(), &metadata.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::Source;
    use netproof_api::yaml::parse;

    #[test]
    fn what_is_lost_may_be_what_is_named() {
        let mut lost = Lost::default();
        for item in [
            "{pod: {name: a}}",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
            "{apiVersion: v1, kind: Srevice, metadata: {name: db}}",
        ] {
            let source = Source::new("in", item);
            lost.add_item(&parse(&source).unwrap()[0]);
        }
        for (kind, name, expected) in [
            ("pod", "a", true),
            ("service", "a", false),
            ("pod", "web-0", true),
            ("pod", "website", false),
            ("service", "web", false),
            ("deployment", "web", true),
            ("service", "db", true),
            ("pod", "db-0", true),
            ("pod", "b", false),
        ] {
            assert_eq!(lost.may_be(kind, name), expected, "{kind}/{name}");
        }
        lost.add_anything();
        assert!(lost.may_be("pod", "b"));
    }
}
