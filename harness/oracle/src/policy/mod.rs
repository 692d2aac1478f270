//! What policy is asked on a packet's way, and who answers: one evaluator for each policy API.
//!
//! An evaluator tells the tiers that an endpoint has at a stage, with what their rules say about the packet; what
//! follows from them all is module `order`'s. A new kind of policy is one more evaluator in the list of
//! [`Oracle::new`](crate::Oracle::new).

pub(crate) mod many;

use crate::flow::Packet;
use crate::order::{Outcome, TierWalk};
use crate::profile::{Profile, Switch, Switches};
use crate::truth::Truth;
use crate::world::{World, name_of};
use many::{Many, Member};
use netproof_api::{Node, Pod};
use netproof_model::{Decision, Direction, Place, PolicyKey, PolicyStage};
use std::fmt::Debug;
use std::net::IpAddr;

/// Whose policies are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint<'a> {
    /// A pod. One in its node's network has no interface of its own: where policies that select it apply, they do to
    /// the whole node.
    Pod(&'a Pod),
    /// A node's interface to the network between the nodes.
    Host(&'a Node),
}

impl Endpoint<'_> {
    pub(crate) fn place(self) -> Place {
        match self {
            Endpoint::Pod(pod) => Place::Pod(name_of(pod)),
            Endpoint::Host(node) => Place::Node(node.metadata.name.clone()),
        }
    }
}

/// What the policies of one endpoint are asked: whether they allow a packet in one direction, at one stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub endpoint: Endpoint<'a>,
    pub direction: Direction,
    pub stage: PolicyStage,
    /// The packet as policy sees it there.
    pub packet: Packet,
    /// The address that the other end had before a translation that policy may not see: of a source, another node's
    /// masquerade; of a destination, the DNAT of a service.
    pub before: Option<IpAddr>,
    pub way: Way,
}

/// What an API may say of the way of a packet, whatever its rules say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// From a pod through a service to itself.
    pub to_itself: bool,
    /// From a pod to the node that it is on.
    pub to_own_node: bool,
    /// From a node to a pod on another one.
    pub from_another_node: bool,
    /// The pod's own node masquerades it, after policy or before it.
    pub masquerades: bool,
}

impl<'a> Question<'a> {
    /// The pod that the packet goes to, where it is one: named ports are looked up there.
    pub(crate) fn destination(&self, world: &World<'a>) -> Option<&'a Pod> {
        match (self.direction, self.endpoint) {
            (Direction::Ingress, Endpoint::Pod(pod)) => Some(pod),
            _ => world.pod_at(self.packet.destination),
        }
    }
}

/// Whoever decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decider {
    /// As an enforcer's evidence names it.
    Decision(Decision),
    /// The profile's choice where the API leaves the point open, whatever the rules say.
    Profile(Switch),
}

/// What evaluators know beside their own objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'o, 'a> {
    pub world: &'o World<'a>,
    pub profile: &'o Profile,
}

/// The objects of one policy API.
pub(crate) trait Evaluator: Debug + Send + Sync {
    /// Tells the tiers that the endpoint has at the stage; none where no policy of this API says anything there.
    fn ask<'a>(&self, view: View<'_, 'a>, question: &Question<'a>, tiers: &mut TierWalk<Decider>);

    /// What each policy that could be meant by the endpoint says, by name, those included that do not apply.
    fn accounts(&self, view: View<'_, '_>, question: &Question<'_>) -> Vec<PolicyAccount>;

    /// Whether any of its policies has a say at the interfaces of nodes: then every packet between nodes meets policy
    /// that is no pod's.
    fn is_about_nodes(&self) -> bool;

    /// The same policies, to be asked about many members at once.
    fn for_many<'o>(&'o self, view: View<'o, 'o>, members: &[Member<'o>]) -> Box<dyn Many + 'o>;
}

/// What one policy says about a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAccount {
    /// The policy.
    pub policy: PolicyKey,
    /// Whether it applies to the endpoint in the packet's direction.
    pub applies: bool,
    /// That, and why, as a sentence.
    pub sentence: String,
    /// Its rules of that direction, if it does.
    pub rules: Vec<RuleAccount>,
}

/// What one rule says about a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAccount {
    /// Its position among the policy's rules of the direction, from 0.
    pub rule: usize,
    /// Whether it matches.
    pub matches: Truth,
    /// That, and why, as a sentence; where several reasons follow, up to the colon before them.
    pub sentence: String,
    /// Where there are several, each reason, without a full stop.
    pub reasons: Vec<String>,
}

impl RuleAccount {
    /// All of it in one line.
    pub fn line(&self) -> String {
        match self.reasons.as_slice() {
            [] => self.sentence.clone(),
            several => format!("{} {}.", self.sentence, several.join("; ")),
        }
    }
}

/// What is open: `the API does not say whether ...`.
pub(crate) fn open(switches: Switches) -> String {
    let about: Vec<String> = switches.iter().map(|switch| format!("{} ({switch})", switch.about())).collect();
    format!("the API does not say whether {}", about.join(", nor whether "))
}

/// Every policy of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies<'o, 'a> {
    pub view: View<'o, 'a>,
    pub evaluators: &'o [Box<dyn Evaluator + 'a>],
}

impl<'a> Policies<'_, 'a> {
    /// The tiers that the endpoint has at the stage, told by every evaluator.
    pub(crate) fn tiers(&self, question: &Question<'a>) -> TierWalk<Decider> {
        let mut tiers = TierWalk::new();
        self.evaluators.iter().for_each(|it| it.ask(self.view, question, &mut tiers));
        tiers
    }

    /// What the policies say. Where no tier decides, nothing isolates the endpoint.
    pub(crate) fn ask(&self, question: &Question<'a>) -> Outcome<Decider> {
        outcome(self.tiers(question), question)
    }

    /// What each policy says by itself.
    pub(crate) fn accounts(&self, question: &Question<'a>) -> Vec<PolicyAccount> {
        self.evaluators.iter().flat_map(|it| it.accounts(self.view, question)).collect()
    }
}

/// What follows from the tiers of an endpoint. Where none decides, nothing isolates it.
pub(crate) fn outcome(tiers: TierWalk<Decider>, question: &Question<'_>) -> Outcome<Decider> {
    tiers.outcome(|| {
        let (endpoint, direction) = (question.endpoint.place(), question.direction);
        Decider::Decision(Decision::NotIsolated { endpoint, direction })
    })
}
