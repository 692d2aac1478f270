//! What policy decides about a packet on a node: which endpoints are asked, at which stages, in which order.

mod points;

use crate::flow::Packet;
use crate::order::Outcome;
use crate::policy::{Decider, Endpoint, Policies, Question, Way, outcome};
use crate::prediction::{PolicyDecision, Reason};
use crate::profile::Switch;
use crate::truth::Truth;
use crate::world::{World, namespace_of};
use netproof_api::{Node, Pod};
use netproof_model::{Decision, Direction, PolicyStage};
use std::net::IpAddr;

/// From where a packet comes to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// From a pod of the node.
    Pod(&'a Pod),
    /// From the node itself.
    Node,
    /// From anywhere else.
    Outside,
}

/// Where a packet goes from a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// To a pod of the node.
    Pod(&'a Pod),
    /// To the node itself.
    Node,
    /// To anywhere else.
    Elsewhere,
}

/// A packet on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing<'a> {
    pub node: &'a Node,
    pub origin: Origin<'a>,
    pub target: Target<'a>,
    /// The packet as it came.
    pub received: Packet,
    /// The packet as policy sees it.
    pub seen: Packet,
    /// The sender's own address, if another node has replaced it.
    pub sender: Option<IpAddr>,
    /// This node masquerades the packet.
    pub masquerades: bool,
}

/// The decisions of the stages before destinations are translated, and what they spare the packet later.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    pub decisions: Vec<PolicyDecision>,
    /// Whether a rule of them allows the packet at the node's interface, in the direction in which it was asked: then
    /// the later stages of that interface and direction are not.
    allowed: Truth,
}

/// What policy says, and why.
#[derive(Clone, Debug)]
struct Ruling {
    truth: Truth,
    reason: Reason,
    /// Who allows it in some reading; `None` where it may be nobody's decision.
    allowed_by: Option<Vec<Decision>>,
    /// Who denies it in some reading; `None` likewise.
    denied_by: Option<Vec<Decision>>,
}

impl<'a> Policies<'_, 'a> {
    /// The decisions before destinations are translated. They are those of the node's interface: untracked policy
    /// on what comes in by it and on what the node itself sends out by it, then preDNAT policy on what comes in.
    ///
    /// `target`: where the packet would go untranslated.
    pub(crate) fn decide_early(
        &self,
        node: &'a Node,
        origin: Origin<'a>,
        target: Target<'a>,
        packet: Packet,
    ) -> Early {
        let mut early = Early { decisions: Vec::new(), allowed: Truth::No };
        let stages = match (origin, target) {
            (Origin::Outside, _) => {
                &[(Direction::Ingress, PolicyStage::Untracked), (Direction::Ingress, PolicyStage::PreDnat)][..]
            }
            (Origin::Node, Target::Elsewhere) => &[(Direction::Egress, PolicyStage::Untracked)],
            (Origin::Node | Origin::Pod(_), _) => &[],
        };
        for (direction, stage) in stages {
            let endpoint = Endpoint::Host(node);
            let (direction, stage, way) = (*direction, *stage, Way::default());
            let question = Question { endpoint, direction, stage, packet, before: None, way };
            self.ask_host(&question, &mut early.allowed, &mut early.decisions);
        }
        early
    }

    /// The decisions after destinations are translated and before sources are, in the order in which the packet meets
    /// them: the node's interface by which it comes, the pod that sends it, the one that gets it, and the node's
    /// interface by which it goes.
    ///
    /// A connection between two pods needs both: the source's egress policies and the destination's ingress
    /// policies (concepts, "The two sorts of pod isolation").
    pub(crate) fn decide(&self, crossing: &Crossing<'a>, early: Early) -> Vec<PolicyDecision> {
        let Early { mut decisions, mut allowed } = early;
        let Crossing { node, origin, target, .. } = *crossing;
        let of_host = |direction, stage| crossing.question(Endpoint::Host(node), direction, stage);
        let of_pod = |pod, direction| Question {
            way: crossing.way(self.view.world),
            ..crossing.question(Endpoint::Pod(pod), direction, PolicyStage::Local)
        };
        match (origin, target) {
            (Origin::Outside, Target::Node) => {
                self.ask_host(&of_host(Direction::Ingress, PolicyStage::Local), &mut allowed, &mut decisions);
            }
            (Origin::Outside, _) => {
                let question = of_host(Direction::Ingress, PolicyStage::Forwarded);
                self.ask_host(&question, &mut allowed, &mut decisions);
            }
            (Origin::Node | Origin::Pod(_), _) => {}
        }
        match (origin, target) {
            (Origin::Pod(pod), _) => {
                let question = of_pod(pod, Direction::Egress);
                let ruling = points::of_sender(self.view.profile, crossing, self.rule(&question));
                decisions.push(ruling.of(&question));
            }
            // A node reaches its own pods always.
            (Origin::Node, Target::Pod(_)) | (Origin::Outside, _) => {}
            (Origin::Node, _) => self.ask_host_pods(crossing, Direction::Egress, &mut decisions),
        }
        match (target, origin) {
            // What comes from the node that the pod runs on is let in however the pod is isolated (concepts,
            // the same section).
            (Target::Pod(pod), Origin::Node) => {
                let ruling = Ruling::allowed(Reason::OwnNode);
                decisions.push(ruling.of(&of_pod(pod, Direction::Ingress)));
            }
            (Target::Pod(pod), _) => {
                let question = of_pod(pod, Direction::Ingress);
                decisions.push(self.rule(&question).of(&question));
            }
            (Target::Node, Origin::Pod(_) | Origin::Outside) => {
                self.ask_host_pods(crossing, Direction::Ingress, &mut decisions);
            }
            (Target::Node, Origin::Node) | (Target::Elsewhere, _) => {}
        }
        match (origin, target) {
            (Origin::Node, Target::Elsewhere) => {
                self.ask_host(&of_host(Direction::Egress, PolicyStage::Local), &mut allowed, &mut decisions);
            }
            // That it was allowed to come in does not allow it to go out.
            (_, Target::Elsewhere) => {
                let question = of_host(Direction::Egress, PolicyStage::Forwarded);
                self.ask_host(&question, &mut Truth::No, &mut decisions);
            }
            (_, Target::Pod(_) | Target::Node) => {}
        }
        decisions
    }

    /// What the policies say to a question about a pod.
    fn rule(&self, question: &Question<'a>) -> Ruling {
        Ruling::from(self.ask(question))
    }

    /// What the policies of a node's interface say, if any is told at that stage. `allowed`: whether a rule of an
    /// earlier stage has allowed it; afterwards, whether one of this stage has, too.
    fn ask_host(&self, question: &Question<'a>, allowed: &mut Truth, decisions: &mut Vec<PolicyDecision>) {
        let tiers = self.tiers(question);
        if *allowed == Truth::Yes || tiers.is_untold() {
            return;
        }
        let by_rule = tiers.is_allowed_by_rule();
        let mut ruling = Ruling::from(outcome(tiers, question));
        if let Truth::Either(_) = *allowed {
            ruling = ruling.or(*allowed);
        }
        *allowed = allowed.or(by_rule);
        decisions.push(ruling.of(question));
    }

    /// What policies that select hostNetwork pods say about the traffic of their node. The concepts leave it
    /// undefined: such pods are passed over, or the policies are those of all of the node's traffic.
    fn ask_host_pods(
        &self,
        crossing: &Crossing<'a>,
        direction: Direction,
        decisions: &mut Vec<PolicyDecision>,
    ) {
        for pod in self.view.world.host_pods(&crossing.node.metadata.name) {
            let question = crossing.question(Endpoint::Pod(pod), direction, PolicyStage::Local);
            let ruling = points::of_host_pod(self.view.profile, || self.rule(&question));
            decisions.extend(ruling.map(|ruling| ruling.of(&question)));
        }
    }
}

impl<'a> Crossing<'a> {
    /// What an endpoint is asked about the packet after destinations are translated.
    fn question(&self, endpoint: Endpoint<'a>, direction: Direction, stage: PolicyStage) -> Question<'a> {
        let Crossing { received, seen, sender, .. } = *self;
        let before = match direction {
            Direction::Ingress => sender,
            Direction::Egress => (seen.destination != received.destination).then_some(received.destination),
        };
        Question { endpoint, direction, stage, packet: seen, before, way: Way::default() }
    }

    /// What there is to say of the packet's way.
    fn way(&self, world: &World<'a>) -> Way {
        Way {
            to_itself: self.is_to_itself(),
            to_own_node: matches!((self.origin, self.target), (Origin::Pod(_), Target::Node)),
            from_another_node: world.node_at(self.seen.source).is_some(),
            masquerades: self.masquerades,
        }
    }

    /// Whether a pod of the node reaches itself, which it does through a service. (By its own address the packet
    /// never leaves the pod.)
    fn is_to_itself(&self) -> bool {
        match (self.origin, self.target) {
            (Origin::Pod(from), Target::Pod(to)) => {
                from.metadata.name == to.metadata.name && namespace_of(from) == namespace_of(to)
            }
            _ => false,
        }
    }
}

impl From<Outcome<Decider>> for Ruling {
    fn from(outcome: Outcome<Decider>) -> Self {
        let Outcome { truth, allowed_by, denied_by } = outcome;
        let mut deciders = allowed_by.iter().chain(&denied_by);
        let is_nobody = |it: &Decider| matches!(it, Decider::Decision(Decision::NotIsolated { .. }));
        let reason = match allowed_by.first().or(denied_by.first()) {
            Some(Decider::Profile(switch)) if deciders.all(|it| *it == Decider::Profile(*switch)) => {
                Reason::Profile(*switch)
            }
            _ if denied_by.is_empty() && allowed_by.iter().all(is_nobody) => Reason::NotIsolated,
            _ => Reason::Rules,
        };
        Ruling { truth, reason, allowed_by: named(allowed_by), denied_by: named(denied_by) }
    }
}

/// The decisions of deciders. A profile's choice is none, and may be the one that decides.
fn named(deciders: Vec<Decider>) -> Option<Vec<Decision>> {
    let named = deciders.into_iter().map(|it| match it {
        Decider::Decision(decision) => Some(decision),
        Decider::Profile(_) => None,
    });
    named.collect()
}

impl Ruling {
    /// Allowed for a reason that nobody's decision names.
    fn allowed(reason: Reason) -> Ruling {
        Ruling { truth: Truth::Yes, reason, allowed_by: None, denied_by: Some(Vec::new()) }
    }

    /// Denied by the profile's choice, whatever the rules say.
    fn denied(switch: Switch) -> Ruling {
        let reason = Reason::Profile(switch);
        Ruling { truth: Truth::No, reason, allowed_by: Some(Vec::new()), denied_by: None }
    }

    /// In one reading the rules decide, in another the packet is allowed whatever they say.
    fn or(self, allowed: Truth) -> Ruling {
        Ruling { truth: self.truth.or(allowed), ..self }
    }

    fn of(self, question: &Question<'_>) -> PolicyDecision {
        let Ruling { truth, reason, allowed_by, denied_by } = self;
        let Question { endpoint, direction, stage, packet, before, .. } = *question;
        let endpoint = endpoint.place();
        PolicyDecision { endpoint, direction, stage, packet, truth, reason, allowed_by, denied_by, before }
    }
}
