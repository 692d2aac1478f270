//! A node's program as an nftables ruleset.
//!
//! Two base chains see each forwarded packet, one after the other: the first asks the source's egress
//! policies, the second the destination's ingress policies; each finds the endpoint's chain by one
//! look into a verdict map. `accept` ends only the base chain that it is reached from, so a packet
//! must be accepted by both. (One base chain whose egress rules lead on to the ingress chains would do
//! as well, but the kernel checks every path through the jumps at each change, and those would be as
//! many as pairs of endpoints.)
//!
//! An endpoint's chain jumps to one chain for each policy of its first tier that selects it, and ends as the tier
//! does: it goes on to the chain of the next tier, or logs and denies. A policy's
//! chain is shared by its endpoints, has a rule for each rule of the policy (one for each family and
//! each kind of match that nft cannot say in one), and returns if none matched. What passes to the next tier returns
//! with a bit of the packet mark.

use super::rules::{RuleWriter, destination, short, source};
use crate::identities::Numbers;
use crate::names;
use crate::nft::{
    Base, Chain, ChainType, Field, KeyType, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId,
    Test, Value, Verdict,
};
use crate::program::{Attachment, Denial, End, Endpoint, Policy, PolicyId, Program, RuleAction, Tier};
use netproof_model::{
    Action, Decision, Direction, Family, Hook, Identity, NamespacedName, Place, PolicyRef, Topology, Wiring,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use thiserror::Error;

/// The table of the policies.
pub const TABLE: TableId = TableId { family: TableFamily::Inet, name: "netproof-policy" };

/// The table of the source check where pods are ports of a bridge.
pub const SOURCE_TABLE: TableId = TableId { family: TableFamily::Bridge, name: "netproof-source" };

/// Where policies stand among the hooks: after DNAT, before masquerade.
const FILTER: i32 = 0;
/// Where the source check stands: before anything remembers the packet.
const SOURCE_CHECK: i32 = -300;

/// What a pod says from an address of its link only: multicast listener discovery, and neighbour
/// discovery beside it.
const LINK_MESSAGES: [Part; 2] =
    [Part::Range(Value::Number(130), Value::Number(137)), Part::One(Value::Number(143))];
/// Neighbour discovery: router and neighbour solicitations and advertisements, redirects.
const NEIGHBOUR_DISCOVERY: Part = Part::Range(Value::Number(133), Value::Number(137));

/// Addresses of the link, and none at all: a pod speaks to its neighbours from these before it has
/// another, and from its own address afterwards.
const LINK_SOURCES: [(Ipv6Addr, Ipv6Addr); 2] = [
    (Ipv6Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        Ipv6Addr::new(0xfebf, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff),
    ),
];

/// The bit of the packet mark that says: this tier's policies passed the packet to the next tier. kube-proxy and
/// ours have others.
const PASSED: u32 = 0x0020_0000;

/// What a program may say and this backend does not render.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unrendered {
    /// Policy on an interface that is no pod's.
    #[error("policy on {0} is not rendered with nftables")]
    Endpoint(String),
    /// Rules that only log.
    #[error("rules that log are not rendered with nftables: {0}")]
    Log(PolicyRef),
}

/// A pod of the node, with what its policies say.
struct PodEndpoint<'p> {
    pod: &'p NamespacedName,
    interface: &'p str,
    endpoint: &'p Endpoint,
}

impl<'p> PodEndpoint<'p> {
    fn of(endpoint: &'p Endpoint) -> Result<Self, Unrendered> {
        match &endpoint.attachment {
            Attachment::Pod { pod, interface } => Ok(PodEndpoint { pod, interface, endpoint }),
            host @ (Attachment::HostInterface(_) | Attachment::AllOfHost) => {
                Err(Unrendered::Endpoint(host.to_string()))
            }
        }
    }
}

/// The ruleset of a node.
///
/// # Errors
/// What the program says and nftables is not made to say here.
pub fn render(program: &Program, topology: &Topology, numbers: &mut Numbers) -> Result<Ruleset, Unrendered> {
    let mut ruleset = Ruleset::default();
    let families = topology.family.list();
    let mut renderer = Renderer { table: Table::default(), families, numbers, chains: BTreeMap::new() };
    renderer.base_chains();
    for (id, policy) in program.policies() {
        let chain = renderer.policy(policy)?;
        renderer.chains.insert(id, chain);
    }
    let pods = program.endpoints.iter().map(PodEndpoint::of).collect::<Result<Vec<_>, _>>()?;
    for pod in &pods {
        renderer.endpoint(pod, program);
    }
    let mut table = renderer.table;
    let source_check = source_check(&pods, families, numbers);
    match topology.wiring {
        Wiring::Routed | Wiring::Vxlan => {
            table.sets.extend(source_check.sets);
            table.chains.extend(source_check.chains);
        }
        Wiring::Bridge => {
            ruleset.tables.insert(SOURCE_TABLE, source_check);
        }
    }
    ruleset.tables.insert(TABLE, table);
    Ok(ruleset)
}

struct Renderer<'n> {
    table: Table,
    families: &'static [Family],
    numbers: &'n mut Numbers,
    /// The chain of each policy.
    chains: BTreeMap<PolicyId, String>,
}

impl Renderer<'_> {
    /// The hooks: a pod's egress policies hold towards other pods, the world and its own node; ingress
    /// policies for what is forwarded, so that a node always reaches its own pods.
    fn base_chains(&mut self) {
        let hooks = [
            ("forward-egress", Hook::Forward, FILTER, Direction::Egress),
            ("forward-ingress", Hook::Forward, FILTER + 1, Direction::Ingress),
            ("input-egress", Hook::Input, FILTER, Direction::Egress),
        ];
        for (name, hook, priority, direction) in hooks {
            // Existing connections and their answers stay.
            let mut rules = vec![Rule::new([Statement::Established, Statement::Verdict(Verdict::Accept)])];
            if hook == Hook::Input && self.families.contains(&Family::Ipv6) {
                // Neighbour discovery ends on its link: there is none to forward.
                let of_type = Statement::Match(vec![Field::Icmpv6Type], Test::Is(NEIGHBOUR_DISCOVERY));
                rules.push(
                    Rule::new([of_type, Statement::Verdict(Verdict::Accept)]).comment("neighbour discovery"),
                );
            }
            for family in self.families {
                let near = near(direction, *family);
                rules.push(Rule::new([Statement::VerdictMap(vec![near], endpoints_map(direction, *family))]));
            }
            let base = Some(Base { chain_type: ChainType::Filter, hook, priority });
            self.table.chains.insert(name.to_owned(), Chain { base, rules });
        }
        for direction in [Direction::Egress, Direction::Ingress] {
            for family in self.families {
                let map = Set::map(&[near(direction, *family).key_type()]);
                self.table.sets.insert(endpoints_map(direction, *family), map);
            }
        }
    }

    /// An endpoint's chains for each direction in which it has tiers, and the way to the first of them.
    fn endpoint(&mut self, pod: &PodEndpoint<'_>, program: &Program) {
        for ((_, direction), tiers) in &pod.endpoint.tiers {
            let first = names::object(&format!("{direction}-pod"), pod.pod);
            let mut names: Vec<String> = vec![first.clone()];
            names.extend(
                tiers
                    .iter()
                    .skip(1)
                    .map(|tier| names::object_part(&format!("{direction}-tier"), pod.pod, &tier.name)),
            );
            for (position, tier) in tiers.iter().enumerate() {
                let mut rules = Vec::new();
                if position == 0 {
                    rules.extend(pod.endpoint.addresses.iter().map(|own| reaches_itself(*direction, *own)));
                }
                // What passes the last tier is allowed.
                let next =
                    names.get(position + 1).map_or(Verdict::Accept, |chain| Verdict::Goto(chain.clone()));
                rules.extend(self.tier(pod.pod, *direction, tier, &next, program));
                if let Some(name) = names.get(position) {
                    self.table.chains.insert(name.clone(), Chain { base: None, rules });
                }
            }
            for address in &pod.endpoint.addresses {
                let map = endpoints_map(*direction, Family::of(*address));
                if let Some(map) = self.table.sets.get_mut(&map) {
                    let way = Verdict::Goto(first.clone());
                    map.elements.insert(vec![Part::One((*address).into())], Some(way.into()));
                }
            }
        }
    }

    /// The policies of a tier in order, and its end.
    fn tier(
        &mut self,
        pod: &NamespacedName,
        direction: Direction,
        tier: &Tier,
        next: &Verdict,
        program: &Program,
    ) -> Vec<Rule> {
        let mut rules = Vec::new();
        for id in &tier.policies {
            let chain = self.chains[id].clone();
            rules.push(Rule::new([Statement::Verdict(Verdict::Jump(chain))]));
            let passes = program.policy(*id).rules.iter().any(|rule| rule.action == RuleAction::Pass);
            if passes {
                let (passed, forget) = (Statement::HasMark(PASSED), Statement::FlipMark(PASSED));
                rules.push(Rule::new([passed, forget, Statement::Verdict(next.clone())]));
            }
        }
        let mut policies: Vec<PolicyRef> =
            tier.policies.iter().map(|id| program.policy(*id).policy.clone()).collect();
        policies.sort();
        let endpoint = Place::Pod(pod.clone());
        rules.push(match tier.end {
            End::Pass => Rule::new([Statement::Verdict(next.clone())]),
            End::Isolation => {
                let decision = Decision::Isolation { endpoint, direction, policies };
                deny_rule(decision, Denial::Drop, self.numbers)
            }
            End::Deny(denial) => {
                let tier = tier.name.clone();
                deny_rule(Decision::EndOfTier { endpoint, direction, tier, policies }, denial, self.numbers)
            }
        });
        rules
    }

    /// The chain of one direction of a policy; its name.
    fn policy(&mut self, policy: &Policy) -> Result<String, Unrendered> {
        let object = NamespacedName::new(
            policy.policy.namespace.clone().unwrap_or_default(),
            policy.policy.name.clone(),
        );
        let name = names::object(&format!("{}-policy", policy.direction), &object);
        let mut rules = Vec::new();
        for (position, rule) in policy.rules.iter().enumerate() {
            let decision =
                Decision::Rule { policy: policy.policy.clone(), direction: policy.direction, rule: position };
            let comment = decision.to_string();
            let action = match rule.action {
                RuleAction::Allow | RuleAction::Pass => Action::Allow,
                RuleAction::Deny(denial) => action_of(denial),
                RuleAction::Log => return Err(Unrendered::Log(policy.policy.clone())),
            };
            let number = self.numbers.of(Identity { decision, action });
            let end = match rule.action {
                RuleAction::Deny(denial) => deny(number, denial),
                RuleAction::Pass => vec![Statement::SetMark(PASSED), Statement::Verdict(Verdict::Return)],
                _ => vec![Statement::Verdict(Verdict::Accept)],
            };
            let mut writer = RuleWriter::new(&mut self.table.sets, self.families, number);
            for statements in writer.alternatives(&rule.matches) {
                let rule = Rule::new(statements.into_iter().chain(end.clone()));
                rules.push(rule.comment(format!("{number} {comment}")));
            }
        }
        self.table.chains.insert(name.clone(), Chain { base: None, rules });
        Ok(name)
    }
}

/// A pod cannot block itself. Its own address never leaves it, but a packet to its own service comes here and goes
/// back, and is not masqueraded yet.
fn reaches_itself(direction: Direction, own: IpAddr) -> Rule {
    let own_address =
        Statement::Match(vec![far(direction, Family::of(own))], Test::Is(Part::One(own.into())));
    Rule::new([own_address, Statement::Verdict(Verdict::Accept)]).comment("a pod reaches itself")
}

/// A packet from a pod's interface must have an address of that pod.
fn source_check(pods: &[PodEndpoint<'_>], families: &[Family], numbers: &mut Numbers) -> Table {
    let interface = |pod: &PodEndpoint<'_>| Part::One(Value::Interface(pod.interface.to_owned()));
    let mut table = Table::default();
    let interfaces = pods.iter().map(|pod| vec![interface(pod)]);
    table.sets.insert("pod-interfaces".into(), Set::new(&[KeyType::Interface]).with(interfaces));
    let mut rules = Vec::new();
    if families.contains(&Family::Ipv6) {
        for types in LINK_MESSAGES {
            rules.extend(LINK_SOURCES.map(|(first, last)| {
                let part = match first == last {
                    true => Part::One(Value::Ipv6(first)),
                    false => Part::Range(Value::Ipv6(first), Value::Ipv6(last)),
                };
                let from_the_link = Statement::Match(vec![Field::SourceV6], Test::Is(part));
                let of_type = Statement::Match(vec![Field::Icmpv6Type], Test::Is(types.clone()));
                Rule::new([from_the_link, of_type, Statement::Verdict(Verdict::Return)])
                    .comment("neighbour discovery")
            }));
        }
    }
    for family in families {
        let fields = vec![Field::InputInterface, source(*family)];
        let name = format!("pod-sources-{}", short(*family));
        let sources = pods.iter().flat_map(|pod| {
            let own = pod.endpoint.addresses_of(*family);
            own.map(|address| vec![interface(pod), Part::One(address.into())])
        });
        let set = Set::new(&[KeyType::Interface, source(*family).key_type()]).with(sources);
        table.sets.insert(name.clone(), set);
        let found = Statement::Match(fields, Test::In(name));
        rules.push(Rule::new([found, Statement::Verdict(Verdict::Return)]));
    }
    // ARP has no such address, and a family that the cluster does not have goes nowhere.
    for family in families {
        let mut rule = deny_rule(Decision::Spoofed { endpoint: None }, Denial::Drop, numbers);
        rule.statements.insert(0, Statement::Family(*family));
        rules.push(rule);
    }
    table.chains.insert("source-check".into(), Chain { base: None, rules });
    let base = Base { chain_type: ChainType::Filter, hook: Hook::Prerouting, priority: SOURCE_CHECK };
    let from_a_pod = Statement::Match(vec![Field::InputInterface], Test::In("pod-interfaces".into()));
    let check = Statement::Verdict(Verdict::Jump("source-check".into()));
    let rules = vec![Rule::new([from_a_pod, check])];
    table.chains.insert("prerouting-source".into(), Chain { base: Some(base), rules });
    table
}

/// The evidence and the end of a packet.
fn deny_rule(decision: Decision, denial: Denial, numbers: &mut Numbers) -> Rule {
    let comment = decision.to_string();
    let number = numbers.of(Identity { decision, action: action_of(denial) });
    Rule::new(deny(number, denial)).comment(format!("{number} {comment}"))
}

fn deny(number: u32, denial: Denial) -> Vec<Statement> {
    let end = match denial {
        Denial::Drop => Statement::Verdict(Verdict::Drop),
        Denial::Reject => Statement::Reject,
    };
    vec![Statement::Log(number), end]
}

fn action_of(denial: Denial) -> Action {
    match denial {
        Denial::Drop => Action::Drop,
        Denial::Reject => Action::Reject,
    }
}

fn endpoints_map(direction: Direction, family: Family) -> String {
    format!("{direction}-pods-{}", short(family))
}

/// The address of the endpoint whose policies are asked.
fn near(direction: Direction, family: Family) -> Field {
    match direction {
        Direction::Egress => source(family),
        Direction::Ingress => destination(family),
    }
}

/// The address of the other end.
fn far(direction: Direction, family: Family) -> Field {
    match direction {
        Direction::Egress => destination(family),
        Direction::Ingress => source(family),
    }
}
