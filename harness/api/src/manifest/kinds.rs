//! The kinds of Kubernetes' own groups: those that are kept, those that make pods, and those that are
//! ignored. Other groups are in `foreign`.

use super::calico::Dialect;
use crate::ignored::Effect;
use crate::meta::OwnerReference;
use crate::workload::WorkloadKind;
use netproof_model::PolicyKind;

/// What to do with an object of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Kept as an object of its own.
    Namespace,
    Node,
    Pod,
    Service,
    EndpointSlice,
    NetworkPolicy,
    /// Of Calico's API.
    Calico(PolicyKind, Dialect),
    ClusterNetworkPolicy,
    /// Likewise, as a ClusterNetworkPolicy.
    AdminNetworkPolicy,
    BaselineAdminNetworkPolicy,
    /// Becomes its pods.
    Workload(WorkloadKind),
    /// Of another group: becomes the pods of the template in this field of its `spec`.
    ForeignWorkload(&'static str),
    /// Of another group: has pods like those of this workload.
    PodsLike(OwnerReference),
    /// Ignored, with what that means.
    Ignore(Effect),
    /// Affects packets in a way that is not supported.
    Refuse,
}

/// A version of an API group and the kinds of that version; a kind that no version of the group has is misspelt.
pub(super) struct Group {
    /// The group's name; empty for the core group.
    pub(super) name: &'static str,
    /// The version. Where kinds stand in several, the one to write is the first.
    pub(super) version: &'static str,
    pub(super) kinds: &'static [(&'static str, Treatment)],
}

use Treatment::Refuse;

/// Ignored without an effect on the answers.
const IGNORE: Treatment = Treatment::Ignore(Effect::None);

pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "",
        version: "v1",
        kinds: &[
            ("Namespace", Treatment::Namespace),
            ("Node", Treatment::Node),
            ("Pod", Treatment::Pod),
            ("Service", Treatment::Service),
            ("ReplicationController", Treatment::Workload(WorkloadKind::ReplicationController)),
            // Unless a cluster made them.
            ("Endpoints", Refuse),
            ("Binding", IGNORE),
            ("ComponentStatus", IGNORE),
            ("ConfigMap", IGNORE),
            ("Event", IGNORE),
            ("LimitRange", IGNORE),
            ("PersistentVolume", IGNORE),
            ("PersistentVolumeClaim", IGNORE),
            ("PodTemplate", IGNORE),
            ("ResourceQuota", IGNORE),
            ("Secret", IGNORE),
            ("ServiceAccount", IGNORE),
        ],
    },
    Group {
        name: "apps",
        version: "v1",
        kinds: &[
            ("Deployment", Treatment::Workload(WorkloadKind::Deployment)),
            ("ReplicaSet", Treatment::Workload(WorkloadKind::ReplicaSet)),
            ("StatefulSet", Treatment::Workload(WorkloadKind::StatefulSet)),
            ("DaemonSet", Treatment::Workload(WorkloadKind::DaemonSet)),
            ("ControllerRevision", IGNORE),
        ],
    },
    Group {
        name: "batch",
        version: "v1",
        kinds: &[
            ("Job", Treatment::Workload(WorkloadKind::Job)),
            ("CronJob", Treatment::Ignore(Effect::PodsLater)),
        ],
    },
    Group { name: "discovery.k8s.io", version: "v1", kinds: &[("EndpointSlice", Treatment::EndpointSlice)] },
    Group {
        name: "networking.k8s.io",
        version: "v1",
        kinds: &[
            ("NetworkPolicy", Treatment::NetworkPolicy),
            ("Ingress", Treatment::Ignore(Effect::Routes)),
            ("IngressClass", IGNORE),
            ("IPAddress", IGNORE),
            ("ServiceCIDR", IGNORE),
        ],
    },
    Group {
        name: "policy.networking.k8s.io",
        version: "v1alpha2",
        kinds: &[("ClusterNetworkPolicy", Treatment::ClusterNetworkPolicy)],
    },
    // Announced, with the same fields.
    Group {
        name: "policy.networking.k8s.io",
        version: "v1beta1",
        kinds: &[("ClusterNetworkPolicy", Treatment::ClusterNetworkPolicy)],
    },
    Group {
        name: "policy.networking.k8s.io",
        version: "v1alpha1",
        kinds: &[
            ("AdminNetworkPolicy", Treatment::AdminNetworkPolicy),
            ("BaselineAdminNetworkPolicy", Treatment::BaselineAdminNetworkPolicy),
        ],
    },
];
