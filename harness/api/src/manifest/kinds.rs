//! Which kinds there are: those that are kept, those that make pods, and those that have nothing to do
//! with the network.

use crate::workload::WorkloadKind;

/// What is done with an object of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Kept as an object of its own.
    Namespace,
    Node,
    Pod,
    Service,
    EndpointSlice,
    NetworkPolicy,
    /// Becomes its pods.
    Workload(WorkloadKind),
    /// Has nothing to do with the network.
    PassOver,
    /// Changes what packets do in a way that is not supported.
    Refuse,
}

/// An API group, and its kinds. Every kind of these groups stands here; one that does not is misspelt.
pub(super) struct Group {
    /// The group's name; empty for the core group.
    pub(super) name: &'static str,
    /// The version that kinds which are kept must be written in.
    pub(super) version: &'static str,
    pub(super) kinds: &'static [(&'static str, Treatment)],
}

use Treatment::{PassOver, Refuse};

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
            ("Binding", PassOver),
            ("ComponentStatus", PassOver),
            ("ConfigMap", PassOver),
            ("Event", PassOver),
            ("LimitRange", PassOver),
            ("PersistentVolume", PassOver),
            ("PersistentVolumeClaim", PassOver),
            ("PodTemplate", PassOver),
            ("ResourceQuota", PassOver),
            ("Secret", PassOver),
            ("ServiceAccount", PassOver),
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
            ("ControllerRevision", PassOver),
        ],
    },
    Group {
        name: "batch",
        version: "v1",
        kinds: &[("Job", Treatment::Workload(WorkloadKind::Job)), ("CronJob", PassOver)],
    },
    Group { name: "discovery.k8s.io", version: "v1", kinds: &[("EndpointSlice", Treatment::EndpointSlice)] },
    Group {
        name: "networking.k8s.io",
        version: "v1",
        kinds: &[
            ("NetworkPolicy", Treatment::NetworkPolicy),
            ("Ingress", PassOver),
            ("IngressClass", PassOver),
            ("IPAddress", PassOver),
            ("ServiceCIDR", PassOver),
        ],
    },
];

/// Groups whose kinds are policies: leaving one out would make every verdict wrong.
pub(super) const POLICY_GROUPS: &[&str] =
    &["policy.networking.k8s.io", "projectcalico.org", "crd.projectcalico.org", "cilium.io"];
