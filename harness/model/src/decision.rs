//! Deciders: a policy rule, the isolation of an endpoint, the end of a tier, the proxy.
//!
//! An enforcer numbers every rule that decides; the [`IdentityTable`] of the generation turns the number in
//! a packet's evidence back into the full [`Identity`].

use crate::place::{NamespacedName, Place};
use crate::policy::{PolicyKey, PolicyStage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The direction of policy, seen from the endpoint that it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the endpoint.
    Ingress,
    /// From the endpoint.
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        })
    }
}

/// What the deciding rule did with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It let the packet pass.
    Allow,
    /// It dropped the packet.
    Drop,
    /// It rejected the packet with a TCP reset or an ICMP error.
    Reject,
}

/// Why a packet was allowed or denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum Decision {
    /// A rule of a policy matched. `rule` counts from 0 within the direction.
    Rule {
        /// The policy.
        policy: PolicyKey,
        /// The tier of the policy. That of a NetworkPolicy is called `networkpolicy`, also where other policies stand in
        /// one tier with it: it is Calico's tier `default`.
        tier: String,
        /// The stage.
        stage: PolicyStage,
        /// The direction: which list of rules.
        direction: Direction,
        /// The rule's position in that list, from 0.
        rule: usize,
    },
    /// No rule matched, and the endpoint is isolated: of the tier that NetworkPolicies stand in, no other policy applies
    /// to it.
    Isolation {
        /// The isolated pod.
        endpoint: Place,
        /// The direction in which it is isolated.
        direction: Direction,
        /// Every policy that isolates it, sorted.
        policies: Vec<PolicyKey>,
    },
    /// No rule of a tier decided, and the tier's end denies.
    EndOfTier {
        /// The endpoint.
        endpoint: Place,
        /// The stage.
        stage: PolicyStage,
        /// The direction.
        direction: Direction,
        /// The tier's name.
        tier: String,
        /// Every policy of the tier that applies to the endpoint in the direction, NetworkPolicies too, sorted.
        policies: Vec<PolicyKey>,
    },
    /// No policy isolates the endpoint in this direction, so everything is allowed.
    NotIsolated {
        /// The pod.
        endpoint: Place,
        /// The direction.
        direction: Direction,
    },
    /// A port that a node keeps open, whatever policies of the host say (Calico's failsafe ports).
    Failsafe {
        /// The node.
        endpoint: Place,
        /// The direction.
        direction: Direction,
    },
    /// The service proxy decided (no endpoints, traffic policy, source ranges).
    Service {
        /// The service.
        service: NamespacedName,
        /// In words, to follow "because".
        reason: String,
    },
    /// The address is in the range of service addresses, and no service has it.
    UnknownService,
    /// The packet's source address is not one of the pod's behind its port.
    Spoofed {
        /// The sender, as far as the rule knows it.
        endpoint: Option<Place>,
    },
    /// Somebody who gives no evidence of what it decides: nothing else explains the denial.
    Unsaid {
        /// Who.
        who: Party,
    },
}

/// Who is in question where a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Party {
    /// The policy enforcer.
    Enforcer,
    /// The service proxy.
    Proxy,
    /// One of the two.
    Either,
}

/// To follow a preposition, or to begin a sentence in lower case.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Party::Enforcer => "the enforcer",
            Party::Proxy => "the proxy",
            Party::Either => "the enforcer or the proxy",
        })
    }
}

impl Decision {
    /// Whether a policy decided, or may have, and not the proxy or the check of source addresses.
    pub fn is_policy(&self) -> bool {
        use Decision::{EndOfTier, Isolation, Rule, Unsaid};
        match self {
            Rule { .. } | Isolation { .. } | EndOfTier { .. } => true,
            Unsaid { who } => *who != Party::Proxy,
            _ => false,
        }
    }

    /// Whether the service proxy decided, or may have.
    pub fn is_service(&self) -> bool {
        match self {
            Decision::Service { .. } | Decision::UnknownService => true,
            Decision::Unsaid { who } => *who != Party::Enforcer,
            _ => false,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Rule { policy, direction, rule, .. } => write!(f, "{policy}#{direction}[{rule}]"),
            Decision::Isolation { endpoint, direction, policies } => {
                write!(f, "{direction} isolation of {endpoint} by ")?;
                for (i, policy) in policies.iter().enumerate() {
                    let sep = if i == 0 { "" } else { ", " };
                    write!(f, "{sep}{policy}")?;
                }
                Ok(())
            }
            Decision::EndOfTier { endpoint, direction, tier, .. } => {
                write!(f, "end of {direction} tier {tier} of {endpoint}")
            }
            Decision::NotIsolated { endpoint, direction } => {
                write!(f, "no policy isolates {endpoint} for {direction}")
            }
            Decision::Failsafe { endpoint, direction } => {
                write!(f, "{direction} failsafe port of {endpoint}")
            }
            Decision::Service { service, reason } => write!(f, "service/{service}: {reason}"),
            Decision::UnknownService => f.write_str("no service has the address"),
            Decision::Spoofed { endpoint: Some(place) } => write!(f, "source address check of {place}"),
            Decision::Spoofed { endpoint: None } => f.write_str("source address check"),
            Decision::Unsaid { who: Party::Either } => write!(f, "{}, which do not say it", Party::Either),
            Decision::Unsaid { who } => write!(f, "{who}, which does not say by which rule"),
        }
    }
}

/// The netfilter hook at which a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To the node itself.
    Input,
    /// Through the node.
    Forward,
    /// From the node itself.
    Output,
    /// After routing.
    Postrouting,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        })
    }
}

/// The meaning of a rule number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The decision.
    pub decision: Decision,
    /// What the rule does with the packet.
    pub action: Action,
}

/// The identity of each rule number, for one node. A run never uses a number for two identities, so late
/// evidence still names the rule that logged it.
pub type IdentityTable = BTreeMap<u32, Identity>;
