//! What is written and has no effect in any step: selectors that match nothing, or only pods in the network of
//! their node, and ports of services that another service has at the same address. Almost always a mistake.
//!
//! A plain evaluation of label selectors, for these warnings and for which ports to ask at. Nothing here decides
//! about a packet: the enforcer and the oracle each have their own.

use netproof_api::networking::NetworkPolicyPeer;
use netproof_api::{
    ClusterNetworkPolicy, ClusterPeer, ClusterSubject, LabelSelector, Labels, NamespacedPods,
};
use netproof_controlplane::{Contested, ObjectRef, Snapshot};
use netproof_model::PolicyKey;
use netproof_plan::selectors::selects;
use std::collections::{BTreeMap, BTreeSet};

/// What was seen of every selector so far.
#[derive(Debug, Default)]
pub struct Lint {
    /// By object and place in it.
    selectors: BTreeMap<(ObjectRef, String), Seen>,
    contested: BTreeSet<Contested>,
}

/// What a selector matched in some step.
#[derive(Clone, Copy, Debug)]
struct Seen {
    role: Role,
    matched: Matched,
}

/// What a selector chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The pods that a policy isolates.
    Subject,
    /// The pods that a rule of a policy lets in or out to.
    Peer {
        /// Whether of other namespaces, too.
        anywhere: bool,
    },
    /// All pods of namespaces: the subject of a policy, or a peer of a rule.
    PeerNamespaces,
    /// Nodes that a rule of a policy is about.
    Nodes,
    /// The pods behind a service.
    Backends,
}

/// Which pods (or namespaces) a selector matched.
#[derive(Clone, Copy, Debug, Default)]
struct Matched {
    any: bool,
    /// One with a network of its own, to which policies apply.
    own_network: bool,
}

impl Matched {
    fn or(self, other: Matched) -> Matched {
        Matched { any: self.any || other.any, own_network: self.own_network || other.own_network }
    }
}

/// Something that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose it is.
    pub object: ObjectRef,
    /// Its place: `spec.ingress[0].from[1]`.
    pub path: String,
    /// Why it has none.
    pub why: Why,
}

/// Why something has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The selector matches nothing.
    MatchesNothing(Role),
    /// The selector matches only pods in the network of their node.
    MatchesHostNetworkOnly(Role),
    /// Another service has the port at that address.
    Contested(Contested),
}

impl Finding {
    /// What a person is told; of what matches nothing, `when`: `in any step`.
    pub fn message(&self, when: &str) -> String {
        let Finding { object, path, why } = self;
        let of_node = format!("{path} of {object} matches only pods in the network of their node");
        match why {
            Why::MatchesNothing(Role::PeerNamespaces) => {
                format!("{path} of {object} matches no namespace{when}")
            }
            Why::MatchesNothing(Role::Nodes) => format!("{path} of {object} matches no node{when}"),
            Why::MatchesNothing(_) => format!("{path} of {object} matches no pod{when}"),
            Why::MatchesHostNetworkOnly(Role::Subject) => format!("{of_node}: it has no effect"),
            Why::MatchesHostNetworkOnly(_) => {
                format!("{of_node}: what they send has the address of the node")
            }
            Why::Contested(Contested { by, address, protocol, port, .. }) => {
                format!(
                    "service/{by} and {object} both have port {port}/{protocol} of {address}: service/{by} gets it"
                )
            }
        }
    }

    /// What to do about it, but to say that it is meant.
    pub fn help(&self) -> &'static str {
        match &self.why {
            Why::MatchesNothing(_) => "correct it, or add what it is to match",
            Why::MatchesHostNetworkOnly(Role::Subject) => {
                "policies apply to pods with a network of their own (the profile's `host-network-pods`); select others, \
                 or leave it out"
            }
            Why::MatchesHostNetworkOnly(_) => {
                "selectors match pods with a network of their own (the profile's `host-network-peers`); let the nodes \
                 in by an ipBlock"
            }
            Why::Contested(_) => {
                "of services that share an address the first by name gets a port; change one of them"
            }
        }
    }
}

impl Lint {
    /// Looks at the objects of a step.
    pub fn step(&mut self, snapshot: &Snapshot) {
        let pods = Pods::of(snapshot);
        for (name, policy) in snapshot.network_policies() {
            let object = ObjectRef::from(PolicyKey::network_policy(&name.namespace, &name.name));
            let selected = pods.matching(&name.namespace, &policy.spec.pod_selector);
            self.note(&object, "spec.podSelector".to_owned(), Role::Subject, selected);
            let directions =
                [("ingress", "from", &policy.spec.ingress), ("egress", "to", &policy.spec.egress)];
            for (direction, side, rules) in directions {
                for (i, rule) in rules.iter().enumerate() {
                    for (j, peer) in rule.peers.iter().enumerate() {
                        let NetworkPolicyPeer::Pods { namespace_selector, pod_selector } = peer else {
                            continue;
                        };
                        let namespaces: Vec<&str> = match namespace_selector {
                            None => vec![&name.namespace],
                            Some(selector) => snapshot
                                .namespaces
                                .values()
                                .filter(|namespace| selects(selector, &namespace.metadata.labels))
                                .map(|namespace| namespace.metadata.name.as_str())
                                .collect(),
                        };
                        let (role, matched) = match pod_selector {
                            Some(selector) => {
                                let found =
                                    namespaces.iter().map(|namespace| pods.matching(namespace, selector));
                                (
                                    Role::Peer { anywhere: namespace_selector.is_some() },
                                    found.fold(Matched::default(), Matched::or),
                                )
                            }
                            None => {
                                let any = !namespaces.is_empty();
                                (Role::PeerNamespaces, Matched { any, own_network: any })
                            }
                        };
                        self.note(&object, format!("spec.{direction}[{i}].{side}[{j}]"), role, matched);
                    }
                }
            }
        }
        for (key, policy) in snapshot.cluster_network_policies() {
            self.cluster_network_policy(snapshot, &pods, key, policy);
        }
        for (name, service) in &snapshot.services {
            if service.selector.is_empty() {
                continue;
            }
            let selector =
                LabelSelector { match_labels: service.selector.clone(), match_expressions: Vec::new() };
            let object = ObjectRef::new("service", Some(&name.namespace), &name.name);
            let matched = pods.matching(&name.namespace, &selector);
            self.note(&object, "spec.selector".to_owned(), Role::Backends, matched);
        }
        self.contested.extend(snapshot.contested());
    }

    fn cluster_network_policy(
        &mut self,
        snapshot: &Snapshot,
        pods: &Pods<'_>,
        key: &PolicyKey,
        policy: &ClusterNetworkPolicy,
    ) {
        let object = ObjectRef::from(key.clone());
        let namespaces = |selector: &LabelSelector| -> Vec<&str> {
            let namespaces = snapshot.namespaces.values();
            let matching = namespaces.filter(|it| selects(selector, &it.metadata.labels));
            matching.map(|namespace| namespace.metadata.name.as_str()).collect()
        };
        let of_namespaces = |selector: &LabelSelector| {
            let any = !namespaces(selector).is_empty();
            (Role::PeerNamespaces, Matched { any, own_network: any })
        };
        let of_pods = |of: &NamespacedPods, role: Role| {
            let all = LabelSelector::default();
            let namespaces = namespaces(of.namespace_selector.as_ref().unwrap_or(&all));
            let found = namespaces.iter().map(|namespace| pods.matching(namespace, &of.pod_selector));
            (role, found.fold(Matched::default(), Matched::or))
        };
        let (field, (role, matched)) = match &policy.spec.subject {
            ClusterSubject::Namespaces(selector) => ("namespaces", of_namespaces(selector)),
            ClusterSubject::Pods(pods) => ("pods", of_pods(pods, Role::Subject)),
        };
        self.note(&object, format!("spec.subject.{field}"), role, matched);
        let directions = [("ingress", "from", &policy.spec.ingress), ("egress", "to", &policy.spec.egress)];
        for (direction, side, rules) in directions {
            for (i, rule) in rules.iter().enumerate() {
                for (j, peer) in rule.peers.iter().enumerate() {
                    let (role, matched) = match peer {
                        ClusterPeer::Namespaces(selector) => of_namespaces(selector),
                        ClusterPeer::Pods(pods) => of_pods(pods, Role::Peer { anywhere: true }),
                        ClusterPeer::Nodes(selector) => {
                            let mut nodes = snapshot.nodes.values();
                            let any = nodes.any(|node| selects(selector, &node.metadata.labels));
                            (Role::Nodes, Matched { any, own_network: any })
                        }
                        ClusterPeer::Networks(_) | ClusterPeer::Unknown => continue,
                    };
                    self.note(&object, format!("spec.{direction}[{i}].{side}[{j}]"), role, matched);
                }
            }
        }
    }

    fn note(&mut self, object: &ObjectRef, path: String, role: Role, matched: Matched) {
        let seen = self.selectors.entry((object.clone(), path));
        let seen = seen.or_insert(Seen { role, matched: Matched::default() });
        seen.matched = seen.matched.or(matched);
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.selectors.is_empty() && self.contested.is_empty()
    }

    /// Whether the object was there in some step.
    pub fn knows(&self, object: &ObjectRef) -> bool {
        self.selectors.keys().any(|(known, _)| known == object)
    }

    /// The objects that were there, as they are written.
    pub fn objects(&self) -> Vec<String> {
        let mut all: Vec<String> = self.selectors.keys().map(|(object, _)| object.to_string()).collect();
        all.dedup();
        all
    }

    /// What had no effect in any step.
    pub fn finish(self) -> Vec<Finding> {
        let selectors = self.selectors.into_iter().filter_map(|((object, path), Seen { role, matched })| {
            let why = match (matched.any, matched.own_network, role) {
                (false, ..) => Why::MatchesNothing(role),
                (true, false, Role::Subject | Role::Peer { .. }) => Why::MatchesHostNetworkOnly(role),
                _ => return None,
            };
            Some(Finding { object, path, why })
        });
        let contested = self.contested.into_iter().map(|contested| Finding {
            object: ObjectRef::new("service", Some(&contested.service.namespace), &contested.service.name),
            path: "spec.ports".to_owned(),
            why: Why::Contested(contested),
        });
        selectors.chain(contested).collect()
    }
}

/// The pods of a step by namespace and labels: those that are alike are looked at once.
struct Pods<'a>(BTreeMap<&'a str, BTreeMap<&'a Labels, Matched>>);

impl<'a> Pods<'a> {
    fn of(snapshot: &'a Snapshot) -> Pods<'a> {
        let mut pods: BTreeMap<&str, BTreeMap<&Labels, Matched>> = BTreeMap::new();
        for (name, pod) in &snapshot.pods {
            let alike = pods.entry(&name.namespace).or_default().entry(&pod.metadata.labels).or_default();
            *alike = alike.or(Matched { any: true, own_network: !pod.host_network });
        }
        Pods(pods)
    }

    fn matching(&self, namespace: &str, selector: &LabelSelector) -> Matched {
        let pods = self.0.get(namespace).into_iter().flatten();
        let matching = pods.filter(|(labels, _)| selects(selector, labels));
        matching.fold(Matched::default(), |all, (_, matched)| all.or(*matched))
    }
}
