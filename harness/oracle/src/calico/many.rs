//! The policies of a tier and many endpoints at once.

#![expect(
    clippy::indexing_slicing,
    reason = "every policy, member and class is named by a number that the same list gave it"
)]

use super::entity::{self, End, EndPort};
use super::known::Known;
use super::{CalicoTier, Entry, Written, action_of, rule, rules_of};
use crate::flow::PortProtocol;
use crate::networkpolicy::{ManyPolicies, NetworkPoliciesAt};
use crate::order::{Bits, Matching, RuleAction, SetWalk};
use crate::policy::View;
use crate::policy::many::{At, Ends, Many, Member, MemberKey, Numbering, PortName};
use crate::truth::Truth;
use crate::world::name_of;
use netproof_api::calico::{CalicoRule, EntityRule, PortMatch, ServiceMatch};
use netproof_api::core::TransportProtocol;
use netproof_model::{Direction, Family, NamespacedName};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// A tier, and some members.
pub(super) struct ManyOfTier<'a> {
    tier: &'a CalicoTier<'a>,
    kubernetes: Option<ManyPolicies<'a>>,
    keys: Vec<MemberKey>,
    addresses: Vec<IpAddr>,
    /// Of each policy its position among the NetworkPolicies, if it is one.
    positions: Vec<Option<usize>>,
    /// Of each selection its policies, and one of its members.
    selections: Vec<Selection>,
    /// One member of each class.
    classes: Vec<usize>,
}

/// What the policies that select a member are.
#[derive(Clone, Default)]
struct Selection {
    /// By direction, by position in [`CalicoTier::policies`].
    ingress: Vec<usize>,
    egress: Vec<usize>,
    member: usize,
    /// Its selection among the NetworkPolicies.
    kubernetes: usize,
}

/// What the rules of a tier may ask about an end.
struct Asked<'a> {
    /// Each `source` and `destination`, with the namespace of its policy.
    entities: Vec<(Option<&'a str>, &'a EntityRule)>,
    services: Vec<&'a ServiceMatch>,
    names: BTreeSet<&'a str>,
}

const PROTOCOLS: [TransportProtocol; 3] =
    [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];

impl<'a> Asked<'a> {
    fn of(tier: &'a CalicoTier<'_>) -> Self {
        let mut asked = Asked { entities: Vec::new(), services: Vec::new(), names: BTreeSet::new() };
        let mut known = HashSet::new();
        for (namespace, rule) in rules(tier) {
            for entity in [&rule.source, &rule.destination] {
                let ports = entity.ports.iter().chain(&entity.not_ports);
                asked.names.extend(ports.filter_map(|port| match port {
                    PortMatch::Named(name) => Some(name.as_str()),
                    PortMatch::Range { .. } => None,
                }));
                let service = entity.services.iter().filter(|it| !asked.services.contains(it));
                let service: Vec<_> = service.collect();
                asked.services.extend(service);
                // A policy's namespace matters where the entity does not say another.
                if known.insert((namespace, entity)) {
                    asked.entities.push((namespace, entity));
                }
            }
        }
        asked
    }
}

/// Every rule of Calico's policies of a tier, with the policy's namespace.
fn rules<'t>(tier: &'t CalicoTier<'_>) -> impl Iterator<Item = (Option<&'t str>, &'t CalicoRule)> {
    tier.policies
        .iter()
        .filter_map(|it| match it.written {
            Written::Calico(policy) => Some(policy),
            Written::Kubernetes(_) => None,
        })
        .flat_map(|policy| {
            let namespace = policy.metadata.namespace.as_deref();
            let rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
            rules.map(move |rule| (namespace, rule))
        })
}

impl<'a> ManyOfTier<'a> {
    pub(super) fn new(tier: &'a CalicoTier<'a>, view: View<'a, 'a>, members: &[Member<'a>]) -> Self {
        let asked = Asked::of(tier);
        let kubernetes = tier.kubernetes.as_ref().map(|it| it.many(view, members));
        let (mut selections, mut keys) = (vec![Selection::default()], Vec::new());
        let (mut matched_numbering, mut selection_numbering) = (Numbering::new(), Numbering::new());
        // Number 0 is what no policy selects.
        selection_numbering.of(None);
        for (index, member) in members.iter().enumerate() {
            let of_kubernetes = kubernetes.as_ref().map(|it| it.keys()[index]);
            let bits = bits(&tier.known, &asked, member.address);
            let services = services(&tier.known, &asked, member.address);
            let (matched, _) = matched_numbering.of((bits, services, of_kubernetes.map(|it| it.matched)));
            let mut selection = Selection { member: index, ..Selection::default() };
            let mut names = Vec::new();
            if let Some(pod) = member.pod {
                selection.kubernetes = of_kubernetes.map_or(0, |it| it.selection);
                if let Some(labelled) = tier.known.pod(&name_of(pod)) {
                    let of = |direction| {
                        let entries = tier.policies.iter().enumerate();
                        entries
                            .filter(|(_, it)| it.applies(labelled, pod, direction))
                            .map(|(at, _)| at)
                            .collect()
                    };
                    (selection.ingress, selection.egress) = (of(Direction::Ingress), of(Direction::Egress));
                }
                let is_asked = |name: &str| asked.names.contains(name);
                let ports = pod.ports().filter(|port| port.name.as_deref().is_some_and(is_asked));
                names.extend(ports.map(|port| (port.name.clone(), port.container_port, port.protocol)));
            }
            let nobody =
                selection.ingress.is_empty() && selection.egress.is_empty() && selection.kubernetes == 0;
            let key = (!nobody).then(|| {
                let Selection { ingress, egress, kubernetes, .. } = &selection;
                (ingress.clone(), egress.clone(), *kubernetes, matched, names)
            });
            let (number, is_new) = selection_numbering.of(key);
            if is_new {
                selections.push(selection);
            }
            keys.push(MemberKey { selection: number, matched });
        }
        let position = |it: &Entry<'_>| match it.written {
            Written::Kubernetes(policy) => kubernetes.as_ref()?.position(policy),
            Written::Calico(_) => None,
        };
        let positions = tier.policies.iter().map(position).collect();
        let addresses = members.iter().map(|member| member.address).collect();
        ManyOfTier { tier, kubernetes, keys, addresses, positions, selections, classes: Vec::new() }
    }
}

/// Which entities have the address, whatever its port.
fn bits(known: &Known<'_>, asked: &Asked<'_>, address: IpAddr) -> Bits {
    let mut bits = Bits::none(asked.entities.len());
    for (index, (namespace, entity)) in asked.entities.iter().enumerate() {
        bits.set(index, entity::lacks_address(known, *namespace, entity, address).is_none());
    }
    bits
}

/// At which ports the address is an endpoint of each service; `None` where it is none.
fn services(
    known: &Known<'_>,
    asked: &Asked<'_>,
    address: IpAddr,
) -> Vec<Option<BTreeSet<(u16, TransportProtocol)>>> {
    let of = |service: &&ServiceMatch| {
        let namespace = service.namespace.as_deref()?;
        let slices = known.slices(&NamespacedName::new(namespace, service.name.as_str()));
        let mut own = slices
            .iter()
            .filter(|it| it.endpoints.iter().any(|it| it.addresses.contains(&address)))
            .peekable();
        own.peek()?;
        Some(own.flat_map(|slice| &slice.ports).map(|port| (port.port, port.protocol)).collect())
    };
    asked.services.iter().map(of).collect()
}

impl Many for ManyOfTier<'_> {
    fn keys(&self) -> &[MemberKey] {
        &self.keys
    }

    fn port_names(&self) -> BTreeSet<PortName<'_>> {
        let names = rules(self.tier).flat_map(|(_, rule)| {
            [&rule.source, &rule.destination]
                .into_iter()
                .flat_map(|entity| entity.ports.iter().chain(&entity.not_ports))
        });
        let named = names.filter_map(|port| match port {
            PortMatch::Named(name) => Some(name.as_str()),
            PortMatch::Range { .. } => None,
        });
        let own = named.flat_map(|name| PROTOCOLS.map(|protocol| (name, protocol)));
        own.chain(self.kubernetes.iter().flat_map(|it| it.port_names())).collect()
    }

    fn set_classes(&mut self, members: &[usize]) {
        self.classes = members.to_vec();
        if let Some(kubernetes) = &mut self.kubernetes {
            kubernetes.set_classes(members);
        }
    }

    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p> {
        let kubernetes = self.kubernetes.as_ref().map(|it| it.asked_at(direction, port, ends));
        Box::new(TierAt {
            many: self,
            direction,
            port,
            bound: ends.bound,
            kubernetes,
            others: HashMap::new(),
        })
    }
}

/// A tier at one port, in one direction.
struct TierAt<'p, 'a> {
    many: &'p ManyOfTier<'a>,
    direction: Direction,
    port: PortProtocol,
    bound: usize,
    kubernetes: Option<NetworkPoliciesAt<'p, 'a>>,
    /// The other ends that each rule matches, by policy and rule.
    others: HashMap<(usize, usize), Matching>,
}

impl At for TierAt<'_, '_> {
    fn ask(&mut self, selection: usize, names: Option<usize>, tiers: &mut SetWalk) {
        let many = self.many;
        let selection = &many.selections[selection];
        let applying = match self.direction {
            Direction::Ingress => &selection.ingress,
            Direction::Egress => &selection.egress,
        };
        let is_calicos = |at: &usize| matches!(many.tier.policies[*at].written, Written::Calico(_));
        if !applying.iter().any(is_calicos) {
            if let Some(kubernetes) = &mut self.kubernetes {
                kubernetes.ask(selection.kubernetes, names, tiers);
            }
            return;
        }
        for at in applying {
            let entry = &many.tier.policies[*at];
            let Written::Calico(policy) = entry.written else {
                if let (Some(kubernetes), Some(position)) = (&mut self.kubernetes, many.positions[*at]) {
                    tiers.rule(RuleAction::Allow, &kubernetes.allowed_by(position, names));
                }
                continue;
            };
            let namespace = policy.metadata.namespace.as_deref();
            for (index, rule) in rules_of(policy, self.direction).iter().enumerate() {
                if !self.own_end_fits(namespace, rule, many.addresses[selection.member]) {
                    continue;
                }
                let (direction, port, bound) = (self.direction, self.port, self.bound);
                let others = self.others.entry((*at, index)).or_insert_with(|| {
                    let mut others = Matching::none(bound);
                    for (class, member) in many.classes.iter().enumerate() {
                        let fits =
                            other_end_fits(many, (direction, port), namespace, rule, many.addresses[*member]);
                        others.certain.set(class, fits);
                    }
                    others.possible = others.certain.clone();
                    others
                });
                tiers.rule(action_of(rule.action), others);
            }
        }
        tiers.end_of_tier(Truth::from(many.tier.denies));
    }
}

impl TierAt<'_, '_> {
    /// Whether the rule's fields about the packet, and about the policy's own endpoint, are met.
    fn own_end_fits(&self, namespace: Option<&str>, rule: &CalicoRule, address: IpAddr) -> bool {
        let (of_client, of_server) = rule::ports(self.port);
        let (entity, port) = match self.direction {
            Direction::Ingress => (&rule.destination, of_server),
            Direction::Egress => (&rule.source, of_client),
        };
        rule::of_headers(rule, Family::of(address), self.port).is_none()
            && fits(&self.many.tier.known, namespace, entity, address, port)
    }
}

fn other_end_fits(
    many: &ManyOfTier<'_>,
    (direction, port): (Direction, PortProtocol),
    namespace: Option<&str>,
    rule: &CalicoRule,
    address: IpAddr,
) -> bool {
    let (of_client, of_server) = rule::ports(port);
    let (entity, port) = match direction {
        Direction::Ingress => (&rule.source, of_client),
        Direction::Egress => (&rule.destination, of_server),
    };
    fits(&many.tier.known, namespace, entity, address, port)
}

fn fits(
    known: &Known<'_>,
    namespace: Option<&str>,
    entity: &EntityRule,
    address: IpAddr,
    port: EndPort,
) -> bool {
    entity::lacks(known, namespace, entity, End { address, port }).is_none()
}
