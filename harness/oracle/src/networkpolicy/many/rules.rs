//! Policies, taken apart: distinct peers, and rules that refer to them.

use super::super::{Named, has_type, rules_of};
use netproof_api::core::IntOrString;
use netproof_api::{Cidr, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use netproof_model::Direction;
use std::collections::HashMap;

/// A peer that is written somewhere. Equal ones are one.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerEntry<'a> {
    /// The namespace of (one of) its policies; it matters only where `entry` names no namespaces.
    pub namespace: &'a str,
    pub entry: &'a NetworkPolicyPeer,
}

/// What makes two peers equal.
#[derive(PartialEq, Eq, Hash)]
enum PeerKey<'a> {
    Pods { own: Option<&'a str>, namespaces: Option<&'a LabelSelector>, pods: Option<&'a LabelSelector> },
    Block { cidr: Cidr, except: &'a [Cidr] },
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    /// Its peers, by position in [`Rules::peers`]; none means everybody.
    pub peers: Vec<usize>,
    pub ports: &'a [NetworkPolicyPort],
}

impl Rule<'_> {
    /// Whether what it covers depends on the destination.
    pub(super) fn has_named_ports(&self) -> bool {
        self.ports.iter().any(|port| matches!(port.port, Some(IntOrString::String(_))))
    }
}

/// A policy, by the directions in which it isolates.
#[derive(Debug)]
pub(super) struct PolicyRules<'a> {
    pub policy: &'a NetworkPolicy,
    ingress: Option<Vec<Rule<'a>>>,
    egress: Option<Vec<Rule<'a>>>,
}

impl<'a> PolicyRules<'a> {
    /// Its rules of a direction, if it isolates in it.
    pub(super) fn of(&self, direction: Direction) -> Option<&[Rule<'a>]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// Policies, taken apart.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// The policies, by namespace and name.
    pub policies: Vec<PolicyRules<'a>>,
    /// The distinct peers.
    pub peers: Vec<PeerEntry<'a>>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(policies: impl Iterator<Item = Named<'a>>) -> Self {
        let mut rules = Rules { policies: Vec::new(), peers: Vec::new() };
        let mut known = HashMap::new();
        for Named { namespace, policy, .. } in policies {
            let mut compile = |direction| {
                let all = has_type(policy, direction).then(|| rules_of(policy, direction))?;
                Some(all.iter().map(|rule| rules.rule(namespace, rule, &mut known)).collect())
            };
            let (ingress, egress) = (compile(Direction::Ingress), compile(Direction::Egress));
            rules.policies.push(PolicyRules { policy, ingress, egress });
        }
        rules
    }

    fn rule(
        &mut self,
        namespace: &'a str,
        rule: &'a netproof_api::NetworkPolicyRule,
        known: &mut HashMap<PeerKey<'a>, usize>,
    ) -> Rule<'a> {
        let peers = rule.peers.iter().map(|entry| {
            *known.entry(key(namespace, entry)).or_insert_with(|| {
                self.peers.push(PeerEntry { namespace, entry });
                self.peers.len() - 1
            })
        });
        Rule { peers: peers.collect(), ports: &rule.ports }
    }
}

fn key<'a>(namespace: &'a str, entry: &'a NetworkPolicyPeer) -> PeerKey<'a> {
    match entry {
        NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => PeerKey::Pods {
            own: namespace_selector.is_none().then_some(namespace),
            namespaces: namespace_selector.as_ref(),
            pods: pod_selector.as_ref(),
        },
        NetworkPolicyPeer::IpBlock(block) => PeerKey::Block { cidr: block.cidr, except: &block.except },
    }
}
