//! Profiles: for every point that the API leaves open, what one family of enforcers does there.

use netproof_model::Action;
use std::fmt;

/// Declares a switch's choices, with the words by which files and reports name them.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$choice_doc:meta])* $choice:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$choice_doc])* $choice,)+
            /// Open: every choice is right.
            Either,
        }

        impl $name {
            /// The choice as files and reports name it.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$choice => $word,)+
                    $name::Either => "either",
                }
            }
        }
    };
}

choices! {
    /// A pod to itself through a service.
    OwnPodThroughService {
        /// No policy applies, as to the pod's own address.
        Allow = "allow",
        /// Egress and ingress policy apply, with the pod as its own peer.
        Police = "police",
        /// Only its egress policy applies.
        PoliceEgress = "police-egress",
    }
}
choices! {
    /// A connection that was allowed when it was opened and that policy now denies.
    ExistingConnections {
        /// It goes on.
        Keep = "keep",
        /// It is cut.
        Cut = "cut",
    }
}
choices! {
    /// ICMP echo from or to an isolated pod. (Neighbour discovery always passes.)
    Icmp {
        /// Rules without ports match it, rules with ports do not.
        PortlessRules = "rules-without-ports",
        /// It passes whatever the rules say.
        Allow = "allow",
        /// It is denied whatever the rules say.
        Deny = "deny",
    }
}
choices! {
    /// A node to a pod on another node.
    NodeToPodOnAnotherNode {
        /// The pod's ingress policy applies, to the node's address.
        Police = "police",
        /// Always allowed, as on its own node.
        Allow = "allow",
    }
}
choices! {
    /// A pod to the node that it runs on.
    PodToOwnNode {
        /// The pod's egress policy applies.
        Police = "police",
        /// Always allowed.
        Allow = "allow",
        /// Always dropped.
        Drop = "drop",
    }
}
choices! {
    /// Policies that select hostNetwork pods.
    HostNetworkPods {
        /// They have no effect on them.
        Ignore = "ignore",
        /// They apply to the whole node.
        PoliceNode = "police-node",
    }
}
choices! {
    /// Selectors of peers that hostNetwork pods match.
    HostNetworkPeers {
        /// They never match a node's address; an ipBlock may.
        NeverMatch = "never-match",
        /// They match the address of the pods' node.
        MatchNode = "match-node",
    }
}
choices! {
    /// An ipBlock that contains the address of a pod.
    IpBlockAndPods {
        /// It matches that pod.
        Match = "match",
        /// It matches addresses outside the cluster only.
        NeverMatch = "never-match",
    }
}
choices! {
    /// An ipBlock that contains the address of a node of the cluster.
    IpBlockAndNodes {
        /// It matches that node.
        Match = "match",
        /// It matches addresses outside the cluster only.
        NeverMatch = "never-match",
    }
}
choices! {
    /// Which destination of a packet to a service an ipBlock of an egress rule is held against.
    PolicyAndDnat {
        /// The endpoint that was chosen.
        After = "after-dnat",
        /// The service's address.
        Before = "before-dnat",
    }
}
choices! {
    /// Which source of a packet that a node masquerades an ingress rule is held against. The
    /// concepts do not say whether policy comes before masquerade or after it.
    PolicyAndMasquerade {
        /// That of another node which masqueraded it; the pod's own node does so after policy.
        After = "after-other-nodes",
        /// The pod's own node masquerades before policy, too, and lets such a packet in as its own.
        AfterOwn = "after-own-node",
        /// The sender's own.
        Before = "before-masquerade",
    }
}
choices! {
    /// Several endpoints of a service port that have one address, none of which is terminating, or all of them.
    EndpointsThatShareAnAddress {
        /// One that is ready counts before one that is not.
        ReadyFirst = "ready-first",
    }
}
choices! {
    /// Rules for SCTP ports.
    Sctp {
        /// They work.
        Supported = "supported",
        /// They match nothing; isolation holds nevertheless.
        Unsupported = "unsupported",
    }
}
choices! {
    /// `endPort`.
    EndPort {
        /// A rule covers the range.
        Supported = "supported",
        /// A rule covers its `port` only.
        Unsupported = "port-only",
    }
}
choices! {
    /// What becomes of a packet that policy denies.
    Deny {
        /// It vanishes.
        Drop = "drop",
        /// It is answered with a refusal.
        Reject = "reject",
    }
}

choices! {
    /// Which of several ClusterNetworkPolicies of one tier and priority that match a packet is applied.
    CnpEqualPriority {
        /// The first by name.
        Name = "by-name",
        /// The one whose rule stands first in its list; of those the first by name.
        Index = "by-rule",
    }
}
choices! {
    /// A pod to itself through a service, under ClusterNetworkPolicies.
    CnpServiceHairpin {
        /// Egress and ingress rules apply.
        Both = "both",
        /// Only egress rules do.
        Egress = "egress",
        /// Only ingress rules do.
        Ingress = "ingress",
        /// None do.
        None = "none",
    }
}
choices! {
    /// Whom ingress rules of ClusterNetworkPolicies take for the source of what another node has masqueraded.
    CnpMasqueradedSource {
        /// The pod that sent it.
        Pod = "pod",
        /// The node.
        Node = "node",
    }
}
choices! {
    /// Whether `networks` and `nodes` may mean the address of a service.
    CnpServiceVipInNetworks {
        /// They are held against the endpoint that was chosen.
        Never = "never",
        /// They are held against the service's address.
        BeforeTranslation = "before-translation",
    }
}
choices! {
    /// `networks` that contain a pod's address.
    CnpNetworksMatchPods {
        /// They match that pod.
        Yes = "yes",
        /// They match other addresses only.
        No = "no",
    }
}

/// The choice of [`Profile::STRICT`]: that of the API where it says what is right though not all do it, else open.
macro_rules! strict {
    ($switch:ident) => {
        $switch::Either
    };
    ($switch:ident $choice:ident) => {
        $switch::$choice
    };
}

/// Declares the switches of a profile: its field, its name and what it is about.
macro_rules! switches {
    ($($(#[$doc:meta])* $field:ident: $switch:ident $(($strict:ident))? = $word:literal, $about:literal;)+) => {
        /// A point that the API leaves open.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Switch {
            $($(#[$doc])* $switch,)+
        }

        impl Switch {
            /// Every switch.
            pub const ALL: &[Switch] = &[$(Switch::$switch,)+];

            /// Its name in files and reports.
            pub fn name(self) -> &'static str {
                match self { $(Switch::$switch => $word,)+ }
            }

            /// What it is about, to follow "whether".
            pub fn about(self) -> &'static str {
                match self { $(Switch::$switch => $about,)+ }
            }
        }

        /// What one family of enforcers does at every point that the API leaves open.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Profile {
            /// Its name, as `--profile` takes it.
            pub name: &'static str,
            $($(#[$doc])* pub $field: $switch,)+
        }

        impl Profile {
            /// The default of the conformance suites: every point that the API leaves open is open, and where it
            /// says what is right, that is.
            pub const STRICT: Profile =
                Profile { name: "strict", $($field: strict!($switch $($strict)?),)+ };

            /// The word of the choice at a switch.
            pub fn choice(&self, switch: Switch) -> &'static str {
                match switch { $(Switch::$switch => self.$field.word(),)+ }
            }
        }
    };
}

switches! {
    /// A pod to itself through a service.
    own_pod_through_service: OwnPodThroughService = "own-pod-through-service",
        "policy applies to a pod that reaches itself through a service";
    /// Connections that exist when a policy begins to deny them.
    existing_connections: ExistingConnections = "existing-connections",
        "a connection goes on that exists when a policy begins to deny it";
    /// ICMP echo.
    icmp: Icmp = "icmp",
        "ICMP is policed, and by which rules";
    /// A node to a pod on another node.
    node_to_pod_on_another_node: NodeToPodOnAnotherNode = "node-to-pod-on-another-node",
        "policy applies to a node that reaches a pod of another node";
    /// A pod to its own node.
    pod_to_own_node: PodToOwnNode = "pod-to-own-node",
        "egress policy applies to a pod that reaches its own node";
    /// hostNetwork pods that a policy selects.
    host_network_pods: HostNetworkPods = "host-network-pods",
        "a policy that selects a hostNetwork pod applies to its node";
    /// hostNetwork pods that a peer's selector selects.
    host_network_peers: HostNetworkPeers = "host-network-peers",
        "a peer's selector matches the node of a hostNetwork pod";
    /// ipBlocks that contain a pod's address.
    ip_block_and_pods: IpBlockAndPods = "ip-block-and-pods",
        "an ipBlock matches the addresses of pods";
    /// ipBlocks that contain a node's address.
    ip_block_and_nodes: IpBlockAndNodes = "ip-block-and-nodes",
        "an ipBlock matches the addresses of nodes";
    /// Policy before or after DNAT.
    policy_and_dnat: PolicyAndDnat = "policy-and-dnat",
        "an ipBlock sees a service's address or that of the endpoint";
    /// Policy before or after masquerade.
    policy_and_masquerade: PolicyAndMasquerade = "policy-and-masquerade",
        "policy sees the address of the sender or of the node that masquerades it";
    /// SCTP rules.
    sctp: Sctp = "sctp",
        "rules for SCTP ports work";
    /// endPort.
    end_port: EndPort = "end-port",
        "endPort works";
    /// Several endpoints at one address and port.
    endpoints_that_share_an_address: EndpointsThatShareAnAddress = "endpoints-that-share-an-address",
        "of several endpoints at one address and port the one that is ready counts";
    /// ClusterNetworkPolicies of one priority.
    cnp_equal_priority: CnpEqualPriority = "cnp-equal-priority",
        "one ClusterNetworkPolicy or another of the same priority is applied";
    /// A pod to itself through a service, under ClusterNetworkPolicies.
    cnp_service_hairpin: CnpServiceHairpin (Both) = "cnp-service-hairpin",
        "ClusterNetworkPolicies apply to a pod that reaches itself through a service";
    /// Masqueraded sources, under ClusterNetworkPolicies.
    cnp_masqueraded_source: CnpMasqueradedSource = "cnp-masqueraded-source",
        "ClusterNetworkPolicies know a pod behind the node that masquerades it";
    /// Services' addresses in `networks`.
    cnp_service_vip_in_networks: CnpServiceVipInNetworks (Never) = "cnp-service-vip-in-networks",
        "networks and nodes of ClusterNetworkPolicies may mean a service's address";
    /// `networks` that contain a pod's address.
    cnp_networks_match_pods: CnpNetworksMatchPods (Yes) = "cnp-networks-match-pods",
        "networks of ClusterNetworkPolicies match the addresses of pods";
    /// Drop or reject.
    deny: Deny = "deny",
        "a denied packet is dropped or rejected";
}

impl Profile {
    /// What becomes of a packet that policy denies; `None` where that is open.
    pub fn denial(&self) -> Option<Action> {
        match self.deny {
            Deny::Drop => Some(Action::Drop),
            Deny::Reject => Some(Action::Reject),
            Deny::Either => None,
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches(u64);

const _: () = assert!(Switch::ALL.len() <= u64::BITS as usize, "each switch has a bit of its own");

impl Switches {
    /// One switch.
    pub fn of(switch: Switch) -> Switches {
        Switches(1 << switch as u32)
    }

    /// Those of both.
    #[must_use]
    pub fn union(self, other: Switches) -> Switches {
        Switches(self.0 | other.0)
    }

    /// Whether `switch` is among them.
    pub fn contains(self, switch: Switch) -> bool {
        self.0 & Switches::of(switch).0 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Switch> {
        Switch::ALL.iter().copied().filter(move |switch| self.contains(*switch))
    }
}

/// The names, separated by commas.
impl fmt::Display for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Switch::name).collect();
        f.write_str(&names.join(", "))
    }
}
