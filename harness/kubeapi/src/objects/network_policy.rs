//! NetworkPolicies, and policies of whichever kind.

use super::cluster_network_policy::cluster_network_policy;
use super::metadata::metadata;
use super::{calico, fields, insert, insert_filled, object};
use netproof_api::networking::{NetworkPolicyRule, NetworkPolicySpec};
use netproof_api::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, Policy};
use serde_json::{Map, Value, json};

/// A policy object, of its kind.
pub fn policy(policy: &Policy) -> Value {
    match policy {
        Policy::NetworkPolicy(policy) => network_policy(policy),
        Policy::CalicoPolicy(policy) => calico::policy(policy),
        Policy::StagedKubernetesNetworkPolicy(policy) => calico::staged_kubernetes_policy(policy),
        Policy::Tier(tier) => calico::of(policy.kind(), &tier.metadata, &tier.spec),
        Policy::NetworkSet(set) => calico::of(policy.kind(), &set.metadata, &calico::nets(&set.nets)),
        Policy::Profile(profile) => calico::of(policy.kind(), &profile.metadata, &profile.spec),
        Policy::IpPool(pool) => calico::of(policy.kind(), &pool.metadata, &pool.spec),
        Policy::ClusterNetworkPolicy(policy) => cluster_network_policy(policy),
    }
}

pub(super) fn network_policy(policy: &NetworkPolicy) -> Value {
    let spec = spec_fields(&policy.spec);
    object("networking.k8s.io/v1", "NetworkPolicy", metadata(&policy.metadata), [("spec", spec.into())])
}

pub(super) fn spec_fields(spec: &NetworkPolicySpec) -> Map<String, Value> {
    let mut fields =
        fields([("podSelector", json!(spec.pod_selector)), ("policyTypes", json!(spec.policy_types))]);
    insert_filled(&mut fields, "ingress", spec.ingress.iter().map(|it| rule(it, "from")).collect());
    insert_filled(&mut fields, "egress", spec.egress.iter().map(|it| rule(it, "to")).collect());
    fields
}

/// A rule without peers and ports is `{}`, and matches everything.
fn rule(rule: &NetworkPolicyRule, peers: &str) -> Value {
    let mut fields = Map::new();
    insert_filled(&mut fields, peers, rule.peers.iter().map(peer).collect());
    insert_filled(&mut fields, "ports", rule.ports.iter().map(policy_port).collect());
    fields.into()
}

fn peer(peer: &NetworkPolicyPeer) -> Value {
    let mut fields = Map::new();
    match peer {
        NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
            insert(&mut fields, "namespaceSelector", namespace_selector);
            insert(&mut fields, "podSelector", pod_selector);
        }
        NetworkPolicyPeer::IpBlock(block) => {
            let mut range = self::fields([("cidr", json!(block.cidr))]);
            insert_filled(&mut range, "except", json!(block.except));
            fields.insert("ipBlock".into(), range.into());
        }
    }
    fields.into()
}

fn policy_port(port: &NetworkPolicyPort) -> Value {
    let mut fields = fields([("protocol", json!(port.protocol))]);
    insert(&mut fields, "port", &port.port);
    insert(&mut fields, "endPort", &port.end_port);
    fields.into()
}
