//! What can be changed in a cluster, and why a change is refused.

use netproof_api::{Object, WorkloadKind};
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_model::{NamespacedName, PolicyKey, PolicyKind};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use thiserror::Error;

/// One change of a change set.
#[expect(clippy::large_enum_variant, reason = "nearly all changes are of the largest kind")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates the object, or replaces the whole of it. What the object leaves open is filled in; a
    /// field that the API makes immutable and that differs is an error. A workload makes and replaces its
    /// pods.
    Apply(Object),
    /// Creates or replaces a host outside the cluster.
    ApplyExternal(ExternalHost),
    /// Sets the ports that a pod listens on, instead of its declared container ports. Applying the pod
    /// again takes this back.
    Listen {
        /// The pod.
        pod: NamespacedName,
        /// The ports; none means that it listens nowhere.
        ports: Vec<ListenPort>,
    },
    /// Sets labels, and removes those whose value is `None`; the others stay.
    Label {
        /// The object.
        object: ObjectRef,
        /// New values by key.
        labels: BTreeMap<String, Option<String>>,
    },
    /// Deletes the object; a namespace with everything in it, a workload with its pods. A pod of a workload
    /// is made anew, with another address.
    Delete(ObjectRef),
}

impl Change {
    /// Whether it is about a policy object: a rehearsal goes without it.
    pub fn is_policy(&self) -> bool {
        match self {
            Change::Apply(object) => matches!(object, Object::Policy(_)),
            Change::Label { object, .. } | Change::Delete(object) => object.policy_key().is_some(),
            Change::ApplyExternal(_) | Change::Listen { .. } => false,
        }
    }
}

/// The kinds that a change can name and that are neither policy nor workload.
const OTHER_KINDS: [&str; 6] = ["endpointslice", "external", "namespace", "node", "pod", "service"];

/// The kinds of [`OTHER_KINDS`] that no namespace holds.
const CLUSTER_KINDS: [&str; 3] = ["external", "namespace", "node"];

/// The kinds that a change can name, in lower case, sorted.
pub static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    static WORKLOADS: [WorkloadKind; 6] = WorkloadKind::ALL;
    let policy = PolicyKind::supported().map(PolicyKind::word);
    let workloads = WORKLOADS.iter().map(WorkloadKind::word);
    let mut kinds: Vec<&str> = OTHER_KINDS.into_iter().chain(policy).chain(workloads).collect();
    kinds.sort_unstable();
    kinds
});

/// Whether no namespace holds the objects of a kind of [`KINDS`].
pub fn is_of_the_cluster(kind: &str) -> bool {
    CLUSTER_KINDS.contains(&kind) || PolicyKind::of_word(kind).is_some_and(|kind| !kind.is_namespaced())
}

/// Which object, `KIND/[NAMESPACE/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// The kind in lower case, one of [`KINDS`].
    pub kind: String,
    /// The namespace; absent for kinds that no namespace holds, and read as `default` for the others.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Joins the parts.
    pub fn new(kind: impl Into<String>, namespace: Option<&str>, name: impl Into<String>) -> Self {
        ObjectRef { kind: kind.into(), namespace: namespace.map(str::to_owned), name: name.into() }
    }

    /// The key, if it is a policy object's.
    pub fn policy_key(&self) -> Option<PolicyKey> {
        let kind = PolicyKind::of_word(&self.kind)?;
        let namespace = kind.is_namespaced().then(|| self.namespaced_name().namespace);
        Some(PolicyKey { kind, namespace, name: self.name.clone() })
    }

    /// The namespace (`default` if none is written) and the name.
    pub(crate) fn namespaced_name(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.as_deref().unwrap_or("default"), self.name.as_str())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{}/{}", self.kind, namespace, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// Why a change set (or a topology) was refused. Nothing of it was applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ChangeError {
    /// The position of the change in its set; absent if the topology itself is at fault.
    pub index: Option<usize>,
    /// The object that the change needs and that does not exist, if that is what is wrong.
    pub missing: Option<Box<ObjectRef>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl ChangeError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        ChangeError { index: None, missing: None, message: message.into(), help: help.into() }
    }

    /// Because this object does not exist.
    pub(crate) fn for_want_of(self, object: ObjectRef) -> Self {
        ChangeError { missing: Some(Box::new(object)), ..self }
    }
}

/// A reference to a policy object.
impl From<PolicyKey> for ObjectRef {
    fn from(key: PolicyKey) -> ObjectRef {
        ObjectRef { kind: key.kind.word().to_owned(), namespace: key.namespace, name: key.name }
    }
}
