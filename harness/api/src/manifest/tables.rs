//! All field names of the API types that are only partly kept. A field that is listed here and read nowhere
//! has nothing to do with the network: its content is not checked.

/// meta/v1 ObjectMeta.
pub(super) const OBJECT_META: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// An object with metadata, spec and status.
pub(super) const OBJECT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];

/// v1 PodSpec.
pub(super) const POD_SPEC: &[&str] = &[
    "containers",
    "initContainers",
    "ephemeralContainers",
    "nodeName",
    "hostNetwork",
    "serviceAccountName",
    "serviceAccount",
    "nodeSelector",
    "affinity",
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "evictionResponders",
    "hostAliases",
    "hostIPC",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGroup",
    "schedulingGates",
    "securityContext",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "workloadRef",
];

/// v1 PodStatus.
pub(super) const POD_STATUS: &[&str] = &[
    "phase",
    "podIP",
    "podIPs",
    "conditions",
    "allocatedResources",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "extendedResourceClaimStatus",
    "hostIP",
    "hostIPs",
    "initContainerStatuses",
    "message",
    "nodeAllocatableResourceClaimStatuses",
    "nominatedNodeName",
    "observedGeneration",
    "qosClass",
    "reason",
    "resize",
    "resourceClaimStatuses",
    "resources",
    "startTime",
    "volumeHealth",
];

/// v1 PodCondition.
pub(super) const CONDITION: &[&str] = &[
    "type",
    "status",
    "lastHeartbeatTime",
    "lastProbeTime",
    "lastTransitionTime",
    "message",
    "observedGeneration",
    "reason",
];

/// v1 Container.
pub(super) const CONTAINER: &[&str] = &[
    "name",
    "ports",
    "restartPolicy",
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

/// v1 ContainerPort.
pub(super) const CONTAINER_PORT: &[&str] = &["name", "containerPort", "protocol", "hostPort", "hostIP"];

/// v1 ServiceSpec.
pub(super) const SERVICE_SPEC: &[&str] = &[
    "type",
    "selector",
    "ports",
    "clusterIP",
    "clusterIPs",
    "allocateLoadBalancerNodePorts",
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
];

/// v1 ServicePort.
pub(super) const SERVICE_PORT: &[&str] =
    &["name", "protocol", "port", "targetPort", "nodePort", "appProtocol"];

/// v1 LoadBalancerIngress.
pub(super) const LOAD_BALANCER_INGRESS: &[&str] = &["ip", "hostname", "ipMode", "ports"];

/// v1 NodeSpec.
pub(super) const NODE_SPEC: &[&str] = &[
    "podCIDR",
    "podCIDRs",
    "configSource",
    "externalID",
    "podPreemptionPolicy",
    "providerID",
    "taints",
    "unschedulable",
];

/// v1 NodeStatus.
pub(super) const NODE_STATUS: &[&str] = &[
    "addresses",
    "allocatable",
    "capacity",
    "conditions",
    "config",
    "daemonEndpoints",
    "declaredFeatures",
    "features",
    "images",
    "nodeInfo",
    "phase",
    "runtimeHandlers",
    "volumesAttached",
    "volumesInUse",
];

/// discovery.k8s.io/v1 EndpointSlice.
pub(super) const ENDPOINT_SLICE: &[&str] =
    &["apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"];

/// discovery.k8s.io/v1 Endpoint.
pub(super) const ENDPOINT: &[&str] =
    &["addresses", "conditions", "nodeName", "targetRef", "deprecatedTopology", "hints", "hostname", "zone"];

/// v1 ObjectReference.
pub(super) const OBJECT_REFERENCE: &[&str] =
    &["kind", "name", "namespace", "apiVersion", "fieldPath", "resourceVersion", "uid"];

/// apps/v1 DeploymentSpec.
pub(super) const DEPLOYMENT_SPEC: &[&str] = &[
    "replicas",
    "selector",
    "template",
    "minReadySeconds",
    "paused",
    "progressDeadlineSeconds",
    "revisionHistoryLimit",
    "strategy",
];

/// apps/v1 ReplicaSetSpec.
pub(super) const REPLICA_SET_SPEC: &[&str] = &["replicas", "selector", "template", "minReadySeconds"];

/// apps/v1 StatefulSetSpec.
pub(super) const STATEFUL_SET_SPEC: &[&str] = &[
    "replicas",
    "selector",
    "template",
    "ordinals",
    "minReadySeconds",
    "persistentVolumeClaimRetentionPolicy",
    "podManagementPolicy",
    "revisionHistoryLimit",
    "serviceName",
    "updateStrategy",
    "volumeClaimTemplates",
];

/// apps/v1 DaemonSetSpec.
pub(super) const DAEMON_SET_SPEC: &[&str] =
    &["selector", "template", "minReadySeconds", "revisionHistoryLimit", "updateStrategy"];

/// batch/v1 JobSpec.
pub(super) const JOB_SPEC: &[&str] = &[
    "parallelism",
    "completions",
    "suspend",
    "selector",
    "template",
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "manualSelector",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "scheduling",
    "successPolicy",
    "ttlSecondsAfterFinished",
];
