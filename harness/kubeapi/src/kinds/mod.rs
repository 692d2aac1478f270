//! The kinds that are served: their groups, versions and names, and what may be written to them.

mod table;

use table::KINDS;

/// A kind of object, as discovery tells of it.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its API group; empty for the core group.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// Its name for people.
    pub singular: &'static str,
    /// Its name in objects.
    pub kind: &'static str,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Short names for people.
    pub short_names: &'static [&'static str],
    /// What may be written.
    pub writes: Writes,
    /// Its subresources.
    pub subresources: &'static [&'static str],
}

/// What may be written to a kind. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Nothing.
    Nothing,
    /// Its subresources (`status`) are updated.
    Subresources,
    /// Its objects are updated, those of the store and no others.
    Update,
    /// Its objects are created and updated, whether the store has them or not.
    CreateAndUpdate,
}

/// Which kind of the table: what the store keeps its objects by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KindId(usize);

impl Kind {
    /// `GROUP/VERSION`, or the version alone in the core group.
    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `PLURAL.GROUP`, as messages call it; the plural alone in the core group.
    pub(crate) fn resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// Whether `apiVersion` and `kind` of an object are these.
    pub(crate) fn is(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        (self.kind, self.group, self.version) == (kind, group, version)
    }
}

/// Every kind, in the order of its group, with where the store keeps it.
pub(crate) fn all() -> impl Iterator<Item = (KindId, &'static Kind)> {
    KINDS.iter().enumerate().map(|(number, kind)| (KindId(number), kind))
}

/// The kind of `apiVersion` and `kind` of an object.
pub(crate) fn of_object(api_version: &str, kind: &str) -> Option<(KindId, &'static Kind)> {
    all().find(|(_, it)| it.is(api_version, kind))
}

/// The kind of a path's group, version and plural.
pub(crate) fn of_path(group: &str, version: &str, plural: &str) -> Option<(KindId, &'static Kind)> {
    all().find(|(_, it)| (it.group, it.version, it.plural) == (group, version, plural))
}

/// The versions of a group, the preferred one first; empty for a group that is not served.
pub(crate) fn versions(group: &str) -> Vec<&'static str> {
    let mut versions = Vec::new();
    for (_, kind) in all().filter(|(_, it)| it.group == group) {
        if !versions.contains(&kind.version) {
            versions.push(kind.version);
        }
    }
    versions
}

/// Every group but the core one.
pub(crate) fn groups() -> Vec<&'static str> {
    let mut groups = Vec::new();
    for (_, kind) in all().filter(|(_, it)| !it.group.is_empty()) {
        if !groups.contains(&kind.group) {
            groups.push(kind.group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_found_by_its_names_and_no_name_is_two_kinds() {
        let mut paths = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (id, kind) in all() {
            assert_eq!(of_object(&kind.api_version(), kind.kind).map(|(id, _)| id), Some(id));
            assert_eq!(of_path(kind.group, kind.version, kind.plural).map(|(id, _)| id), Some(id));
            assert!(paths.insert((kind.group, kind.version, kind.plural)), "{kind:?}");
            assert!(names.insert((kind.group, kind.version, kind.kind)), "{kind:?}");
            assert_eq!(kind.singular, kind.kind.to_lowercase());
        }
        assert_eq!(versions("policy.networking.k8s.io"), ["v1alpha2", "v1alpha1"]);
        assert!(versions("crd.projectcalico.org").is_empty());
        assert!(of_object("networking.k8s.io/v1beta1", "NetworkPolicy").is_none());
    }
}
