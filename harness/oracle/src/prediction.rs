//! What the oracle answers.

use crate::flow::{Flow, Packet};
use crate::profile::{ExistingConnections, Profile, Switch, Switches};
use crate::proxy::{Masquerade, Refusal, ServiceStep};
use crate::truth::Truth;
use netproof_model::{Action, Decision, Direction, NamespacedName, Place, PolicyStage};
use std::net::IpAddr;

/// What should happen to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The flow.
    pub flow: Flow,
    /// What may happen: one for each choice that the network has (the node that a router sends to, the
    /// endpoint that a proxy chooses); at least one. Session affinity means that one client meets one of
    /// them.
    pub alternatives: Vec<Alternative>,
}

impl Prediction {
    /// The verdict of every alternative, if they agree.
    pub fn verdict(&self) -> Option<&Verdict> {
        let (first, rest) = self.alternatives.split_first()?;
        rest.iter().all(|other| other.verdict == first.verdict).then_some(&first.verdict)
    }
}

/// One course that the flow may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The nodes (and the load balancer) that the packet passes, in order; none where it never leaves its
    /// source. Where policy denies the packet these are the hops that it would take.
    pub hops: Vec<Hop>,
    /// Who gets the packet unless policy denies it; `None` where a proxy refuses it or nobody has the
    /// address. Whether anybody listens there is another question.
    pub server: Option<Server>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Alternative {
    /// Every decision of policy, in the order of the way.
    pub fn decisions(&self) -> impl Iterator<Item = &PolicyDecision> {
        self.hops.iter().flat_map(|hop| &hop.decisions)
    }

    /// The decision that denies the packet: the first that says no.
    pub fn denied_by(&self) -> Option<&PolicyDecision> {
        self.decisions().find(|decision| decision.truth == Truth::No)
    }

    /// Who denies the packet where policy does for certain: any of these, the certain ones first. An earlier decision
    /// that is open may be the one that denies. Empty where policy does not deny for certain, and where it may be
    /// nobody's decision.
    pub fn deniers(&self) -> Vec<&Decision> {
        let mut perhaps = Vec::new();
        for decision in self.decisions().filter(|decision| decision.truth != Truth::Yes) {
            let Some(by) = &decision.denied_by else { break };
            if decision.truth == Truth::No {
                return by.iter().chain(perhaps).collect();
            }
            perhaps.extend(by);
        }
        Vec::new()
    }
}

/// Who gets the packet, and how it looks there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Who.
    pub place: Place,
    /// The packet as it arrives.
    pub packet: Packet,
}

/// A node, or the load balancer on the router, that the packet passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where.
    pub place: Place,
    /// The packet as it comes, from outside or from a pod or process of the node.
    pub received: Packet,
    /// What the service proxy did with it; `None` where it did nothing.
    pub service: Option<ServiceStep>,
    /// The packet as policy sees it: after DNAT, before this node's masquerade.
    pub seen: Packet,
    /// What policy decides here, in order.
    pub decisions: Vec<PolicyDecision>,
    /// The source that this hop gave the packet, and why; `None` where it left the source alone.
    pub source: Option<(IpAddr, SourceNat)>,
}

/// Why a hop replaced the source of a packet by an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceNat {
    /// The service proxy asked for it.
    Proxy(Masquerade),
    /// The topology's natOutgoing: from a pod to an address that is no pod's.
    NatOutgoing,
    /// The load balancer, of mode Proxy.
    LoadBalancer,
}

/// What the policies of one endpoint decide in one direction, at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDecision {
    /// Whose policies decide: a pod, or a node by its interface to the others.
    pub endpoint: Place,
    /// Egress: the endpoint sends the packet. Ingress: it gets it.
    pub direction: Direction,
    /// The stage.
    pub stage: PolicyStage,
    /// The packet that policy sees there.
    pub packet: Packet,
    /// Whether it is allowed.
    pub truth: Truth,
    /// What settled that.
    pub reason: Reason,
    /// Who allows it in some reading; `None` where it may be nobody's decision.
    pub(crate) allowed_by: Option<Vec<Decision>>,
    /// Who denies it in some reading; `None` likewise.
    pub(crate) denied_by: Option<Vec<Decision>>,
    /// The other end's address before a translation that policy may not see.
    pub(crate) before: Option<IpAddr>,
}

/// What settled a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No policy decides: everything is allowed.
    NotIsolated,
    /// The rules of the policies that apply.
    Rules,
    /// The node that a pod runs on always reaches it.
    OwnNode,
    /// The profile's choice where the API leaves the point open, whatever the rules say.
    Profile(Switch),
}

impl PolicyDecision {
    /// Whether it rests on what the policies say: what settles a decision by itself makes them beside the
    /// point.
    pub fn rests_on_policies(&self) -> bool {
        matches!(self.reason, Reason::Rules | Reason::NotIsolated)
    }

    /// Who decided, as an enforcer's evidence would name it: one of these. What allows is a rule, or that nothing
    /// isolates the endpoint; what denies is a rule, isolation, or the end of a tier. Empty where it is open, and
    /// where the API or the profile settles it by itself.
    pub fn decided_by(&self) -> &[Decision] {
        let by = match self.truth {
            Truth::Yes => self.allowed_by.as_deref(),
            Truth::No => self.denied_by.as_deref(),
            Truth::Either(_) => None,
        };
        by.unwrap_or(&[])
    }
}

/// What should become of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets through.
    Allow,
    /// It does not.
    Deny(PredictedDenial),
    /// The API leaves it open; these switches of the profile would settle it.
    Either(Switches),
    /// Nobody has the address, or no route leads there.
    Unreachable,
    /// The request gets through and no answer comes back: it goes to a client that knows no such connection,
    /// and not over the node that gave the request its destination.
    NoAnswer {
        /// That node.
        past: Place,
    },
}

/// How a flow is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictedDenial {
    /// By policy.
    Policy {
        /// Dropped or rejected; `None` where the profile leaves that open.
        action: Option<Action>,
    },
    /// By a node's service proxy.
    Service {
        /// The service; `None` where no service has the address.
        service: Option<NamespacedName>,
        /// Why.
        refusal: Refusal,
    },
}

impl PredictedDenial {
    /// Whether the packet is dropped or rejected; `None` where the profile leaves that open.
    pub fn action(&self) -> Option<Action> {
        match self {
            PredictedDenial::Policy { action } => *action,
            PredictedDenial::Service { refusal, .. } => Some(refusal.action()),
        }
    }
}

impl Verdict {
    /// What becomes of a connection that was allowed when it was opened, given the verdict on a new one
    /// like it. (Replies need no verdict of their own: those of an allowed connection are allowed.)
    ///
    /// A refusal by the proxy concerns new connections only.
    #[must_use]
    pub fn on_existing(&self, profile: &Profile) -> Verdict {
        match (self, profile.existing_connections) {
            (Verdict::Deny(PredictedDenial::Policy { .. }), ExistingConnections::Cut) => self.clone(),
            (Verdict::Deny(PredictedDenial::Policy { .. }), ExistingConnections::Either) => {
                Verdict::Either(Switches::of(Switch::ExistingConnections))
            }
            (Verdict::Either(switches), ExistingConnections::Either) => {
                Verdict::Either(switches.union(Switches::of(Switch::ExistingConnections)))
            }
            (Verdict::Either(_), ExistingConnections::Cut) => self.clone(),
            (Verdict::Deny(_) | Verdict::Either(_) | Verdict::Allow, _) => Verdict::Allow,
            (Verdict::Unreachable | Verdict::NoAnswer { .. }, _) => self.clone(),
        }
    }
}
