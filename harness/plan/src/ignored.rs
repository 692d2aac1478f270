//! What is in the files and not in the answers: objects that are not kept, by what leaving them out means.

use netproof_api::{Effect, Ignored};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Objects that are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredObjects {
    /// By what leaving it out means, kind and group: the names, in the order in which they are written.
    kinds: BTreeMap<(Effect, String, String), Vec<String>>,
}

/// Objects of one kind that are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoredKind {
    /// The kind.
    pub kind: String,
    /// Its API group; empty for the core group.
    pub group: String,
    /// How many objects.
    pub count: usize,
    /// Their names, `NAMESPACE/NAME` where they say a namespace.
    pub names: Vec<String>,
}

/// Objects that are not kept, by what leaving them out means for the answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoredReport {
    /// They have no effect on the network.
    pub no_effect: Vec<IgnoredKind>,
    /// Their kinds are not known here.
    pub unknown: Vec<IgnoredKind>,
    /// They route traffic by a controller: flows through them are missing.
    pub routing: Vec<IgnoredKind>,
    /// They make pods only when they run.
    pub pods_later: Vec<IgnoredKind>,
    /// They make pods that are missing.
    pub missing_pods: Vec<IgnoredKind>,
    /// Their kinds are not known here, and they have containers: if they make pods, those are missing.
    pub perhaps_missing_pods: Vec<IgnoredKind>,
    /// They bring other objects, which are missing.
    pub missing_objects: Vec<IgnoredKind>,
    /// They restrict traffic: the answers are those without them.
    pub policies: Vec<IgnoredKind>,
}

impl IgnoredObjects {
    /// Adds an object.
    pub fn add(&mut self, ignored: &Ignored) {
        self.add_named(ignored.effect, &ignored.kind, &ignored.group, full_name(ignored));
    }

    /// Adds an object by its kind, group and name.
    pub fn add_named(&mut self, effect: Effect, kind: &str, group: &str, name: String) {
        self.kinds.entry((effect, kind.to_owned(), group.to_owned())).or_default().push(name);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Those whose absence means this, one item for each kind.
    pub fn of(&self, effect: Effect) -> Vec<IgnoredKind> {
        let kinds = self.kinds.iter().filter(|((of, ..), _)| *of == effect);
        kinds
            .map(|((_, kind, group), names)| IgnoredKind {
                kind: kind.clone(),
                group: group.clone(),
                count: names.len(),
                names: names.clone(),
            })
            .collect()
    }

    /// All of them as data.
    pub fn report(&self) -> IgnoredReport {
        IgnoredReport {
            no_effect: self.of(Effect::None),
            unknown: self.of(Effect::Unknown),
            routing: self.of(Effect::Routes),
            pods_later: self.of(Effect::PodsLater),
            missing_pods: self.of(Effect::Pods),
            perhaps_missing_pods: self.of(Effect::PerhapsPods),
            missing_objects: self.of(Effect::Objects),
            policies: self.of(Effect::Policy),
        }
    }
}

/// The name of an object, with its namespace if it says one.
pub fn full_name(ignored: &Ignored) -> String {
    match &ignored.namespace {
        Some(namespace) => format!("{namespace}/{}", ignored.name),
        None => ignored.name.clone(),
    }
}
