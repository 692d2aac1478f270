//! An evaluator that knows tiers of policies with rules, and just the matches that the examples need.

use super::many::ManyTiers;
use crate::flow::PortProtocol;
use crate::order::{RuleAction, TierWalk};
use crate::policy::many::{Many, Member};
use crate::policy::{Decider, Endpoint, Evaluator, PolicyAccount, Question, View};
use crate::profile::Switch;
use crate::truth::Truth;
use crate::world::{Owner, namespace_of};
use netproof_model::{Decision, Direction, PolicyKey, PolicyStage};
use std::net::IpAddr;

/// Tiers in order.
#[derive(Debug)]
pub(super) struct Tiers(pub Vec<Tier>);

/// Policies in order.
#[derive(Debug)]
pub(super) struct Tier {
    pub name: &'static str,
    /// Whether it denies what none of its policies decides, at the stages that have such an end.
    pub denies: bool,
    pub policies: Vec<Policy>,
}

#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub key: PolicyKey,
    pub stages: &'static [PolicyStage],
    pub selects: Selector,
    pub rules: Vec<(Direction, Vec<Rule>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub action: RuleAction,
    pub source: Selector,
    pub destination: Selector,
    pub port: Option<u16>,
}

/// Endpoints, or addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Selector {
    /// Every address, and every endpoint.
    All,
    /// Pods in namespaces with a label, or without it.
    InNamespaceWith(&'static str),
    InNamespaceWithout(&'static str),
    /// Pods in the namespaces whose label has the value.
    InNamespace(&'static str, &'static str),
    /// Pods whose label has the value.
    Pods(&'static str, &'static str),
    /// Pods whose label has the value, as far as the switch chooses.
    PodsPerhaps(&'static str, &'static str, Switch),
    /// Every pod.
    EveryPod,
    /// The interfaces of nodes of that name.
    Host(&'static str),
    /// Addresses of ranges.
    Nets(&'static [&'static str]),
}

/// A rule for every packet.
pub(super) fn everything(action: RuleAction) -> Rule {
    Rule { action, source: Selector::All, destination: Selector::All, port: None }
}

impl Selector {
    fn selects(self, view: View<'_, '_>, endpoint: Endpoint<'_>) -> bool {
        match (self, endpoint) {
            (Selector::All, _) => true,
            (Selector::Host(name), Endpoint::Host(node)) => node.metadata.name == name,
            (Selector::Host(_), Endpoint::Pod(_)) | (_, Endpoint::Host(_)) => false,
            (_, Endpoint::Pod(pod)) => {
                let namespace = view.world.namespace_labels(namespace_of(pod));
                match self {
                    Selector::InNamespaceWith(label) => namespace.contains_key(label),
                    Selector::InNamespaceWithout(label) => !namespace.contains_key(label),
                    Selector::InNamespace(label, value) => {
                        namespace.get(label).is_some_and(|found| found == value)
                    }
                    Selector::Pods(label, value) | Selector::PodsPerhaps(label, value, _) => {
                        pod.metadata.labels.get(label).is_some_and(|found| found == value)
                    }
                    Selector::EveryPod => true,
                    Selector::All | Selector::Host(_) | Selector::Nets(_) => false,
                }
            }
        }
    }

    pub(super) fn has(self, view: View<'_, '_>, address: IpAddr) -> Truth {
        let has = match (self, view.world.owner(address)) {
            (Selector::All, _) => true,
            (Selector::Nets(nets), _) => {
                nets.iter().any(|net| net.parse::<ipnet::IpNet>().unwrap().contains(&address))
            }
            (_, Some(Owner::Pod(pod))) => self.selects(view, Endpoint::Pod(pod)),
            (_, Some(Owner::Node(node))) => self.selects(view, Endpoint::Host(node)),
            (_, Some(Owner::External(_)) | None) => false,
        };
        match self {
            Selector::PodsPerhaps(_, _, switch) if has => Truth::open(switch),
            _ => Truth::from(has),
        }
    }
}

impl Rule {
    pub(super) fn covers(&self, port: PortProtocol) -> bool {
        self.port.is_none_or(|wanted| matches!(port, PortProtocol::Port { number, .. } if number == wanted))
    }

    fn matches(&self, view: View<'_, '_>, question: &Question<'_>) -> Truth {
        let packet = question.packet;
        let (source, destination) =
            (self.source.has(view, packet.source), self.destination.has(view, packet.destination));
        source.and(destination).and(Truth::from(self.covers(packet.port)))
    }
}

impl Policy {
    pub(super) fn is_asked(&self, view: View<'_, '_>, endpoint: Endpoint<'_>, stage: PolicyStage) -> bool {
        self.stages.contains(&stage) && self.selects.selects(view, endpoint)
    }

    pub(super) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        self.rules.iter().find(|(own, _)| *own == direction).map(|(_, rules)| rules.as_slice())
    }
}

impl Evaluator for Tiers {
    fn ask<'a>(&self, view: View<'_, 'a>, question: &Question<'a>, tiers: &mut TierWalk<Decider>) {
        let Question { endpoint, direction, stage, .. } = *question;
        for Tier { name, denies, policies } in &self.0 {
            let tier = (*name).to_owned();
            let asked = || {
                policies
                    .iter()
                    .filter(|it| it.is_asked(view, endpoint, stage))
                    .filter_map(|policy| Some((policy, policy.rules(direction)?)))
            };
            if asked().next().is_none() {
                continue;
            }
            for (policy, rules) in asked() {
                for (rule, written) in rules.iter().enumerate() {
                    let matches = written.matches(view, question);
                    tiers.rule(written.action, matches, || {
                        let (policy, tier) = (policy.key.clone(), tier.clone());
                        Decider::Decision(Decision::Rule { policy, tier, stage, direction, rule })
                    });
                }
            }
            // What no policy before translation or before tracking decides goes on.
            let ends = matches!(stage, PolicyStage::Local | PolicyStage::Forwarded);
            tiers.end_of_tier(Truth::from(*denies && ends), || {
                let policies = asked().map(|(policy, _)| policy.key.clone()).collect();
                let endpoint = endpoint.place();
                Decider::Decision(Decision::EndOfTier { endpoint, stage, direction, tier, policies })
            });
        }
    }

    fn accounts(&self, _: View<'_, '_>, _: &Question<'_>) -> Vec<PolicyAccount> {
        Vec::new()
    }

    fn is_about_nodes(&self) -> bool {
        self.0.iter().flat_map(|tier| &tier.policies).any(|it| matches!(it.selects, Selector::Host(_)))
    }

    fn for_many<'o>(&'o self, view: View<'o, 'o>, members: &[Member<'o>]) -> Box<dyn Many + 'o> {
        Box::new(ManyTiers::new(self, view, members))
    }
}
