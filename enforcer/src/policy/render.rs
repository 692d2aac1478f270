//! A node's program as an nftables ruleset.
//!
//! Two base chains see each forwarded packet, one after the other: the first asks the source's egress
//! policies, the second the destination's ingress policies; each finds the endpoint's chain by one
//! look into a verdict map. `accept` ends only the base chain that it is reached from, so a packet
//! must be accepted by both. (One base chain whose egress rules lead on to the ingress chains would do
//! as well, but the kernel checks every path through the jumps at each change, and those would be as
//! many as pairs of endpoints.)
//!
//! An endpoint's chain jumps to one chain for each policy that selects it, logs and drops. A policy's
//! chain is shared by its endpoints, has a rule for each rule of the policy (one for each family and
//! each kind of match that nft cannot say in one), and returns if none matched.

use crate::identities::Numbers;
use crate::names;
use crate::nft::{
    Base, Chain, ChainType, Field, KeyType, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId,
    Test, Value, Verdict,
};
use crate::program::{AddressRange, Endpoint, NamedPort, Peers, Policy, PortRange, Ports, Program};
use netproof_model::{
    Action, Decision, Direction, Family, Hook, Identity, NamespacedName, Place, PolicyRef, Topology, Wiring,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

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

/// The ruleset of a node.
pub fn render(program: &Program, topology: &Topology, numbers: &mut Numbers) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let families = topology.family.list();
    let mut renderer = Renderer { table: Table::default(), families, numbers };
    renderer.base_chains();
    let chains: Vec<String> = program.policies.iter().map(|policy| renderer.policy(policy)).collect();
    for endpoint in &program.endpoints {
        renderer.endpoint(endpoint, program, &chains);
    }
    let mut table = renderer.table;
    let source_check = source_check(program, families, numbers);
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
    ruleset
}

struct Renderer<'n> {
    table: Table,
    families: &'static [Family],
    numbers: &'n mut Numbers,
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

    /// An endpoint's chain for each direction in which it is isolated, and the way to it.
    fn endpoint(&mut self, endpoint: &Endpoint, program: &Program, policy_chains: &[String]) {
        for (direction, policies) in &endpoint.isolation {
            let name = names::object(&format!("{direction}-pod"), &endpoint.pod);
            let mut rules = Vec::new();
            for address in &endpoint.addresses {
                // A pod cannot block itself. Its own address never leaves it, but a packet to its own
                // service comes here and goes back, and is not masqueraded yet.
                let far = far(*direction, Family::of(*address));
                let own = Test::Is(Part::One((*address).into()));
                rules.push(
                    Rule::new([Statement::Match(vec![far], own), Statement::Verdict(Verdict::Accept)])
                        .comment("a pod reaches itself"),
                );
            }
            let mut isolating: Vec<PolicyRef> = Vec::new();
            for position in policies {
                let (Some(policy), Some(chain)) =
                    (program.policies.get(*position), policy_chains.get(*position))
                else {
                    continue;
                };
                isolating.push(policy.policy.clone());
                rules.push(Rule::new([Statement::Verdict(Verdict::Jump(chain.clone()))]));
            }
            isolating.sort();
            let decision = Decision::Isolation {
                endpoint: Place::Pod(endpoint.pod.clone()),
                direction: *direction,
                policies: isolating,
            };
            rules.push(drop_rule(decision, self.numbers));
            for address in &endpoint.addresses {
                let map = endpoints_map(*direction, Family::of(*address));
                if let Some(map) = self.table.sets.get_mut(&map) {
                    map.elements
                        .insert(vec![Part::One((*address).into())], Some(Verdict::Goto(name.clone()).into()));
                }
            }
            self.table.chains.insert(name, Chain { base: None, rules });
        }
    }

    /// The chain of one direction of a policy; its name.
    fn policy(&mut self, policy: &Policy) -> String {
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
            let number = self.numbers.of(Identity { decision, action: Action::Allow });
            let mut writer = RuleWriter { renderer: self, number, direction: policy.direction };
            for statements in writer.alternatives(rule) {
                let accept = Statement::Verdict(Verdict::Accept);
                let rule = Rule::new(statements.into_iter().chain([accept]));
                rules.push(rule.comment(format!("{number} {comment}")));
            }
        }
        self.table.chains.insert(name.clone(), Chain { base: None, rules });
        name
    }
}

/// Writes one rule of a policy: the sets, and the combinations of matches that allow a packet.
struct RuleWriter<'r, 'n> {
    renderer: &'r mut Renderer<'n>,
    number: u32,
    direction: Direction,
}

/// A combination of matches, and the family that it is limited to.
type Alternative = (Option<Family>, Vec<Statement>);

impl RuleWriter<'_, '_> {
    fn alternatives(&mut self, rule: &crate::program::Rule) -> Vec<Vec<Statement>> {
        let peers = self.peers(&rule.peers);
        let (numbers, names) = match &rule.ports {
            Ports::Any => (vec![Vec::new()], Vec::new()),
            Ports::Of { numbers, names } => (self.numbers(numbers), self.names(names.as_ref())),
        };
        let mut alternatives = Vec::new();
        for (_, peer) in &peers {
            alternatives.extend(numbers.iter().map(|port| [peer.as_slice(), port.as_slice()].concat()));
        }
        for (family, port) in &names {
            match self.direction {
                // The set holds the ports of the rule's peers only.
                Direction::Egress => alternatives.push(port.clone()),
                Direction::Ingress => {
                    let same = |peer: &&Alternative| peer.0.is_none() || peer.0 == *family;
                    for (_, peer) in peers.iter().filter(same) {
                        alternatives.push([peer.as_slice(), port.as_slice()].concat());
                    }
                }
            }
        }
        alternatives
    }

    fn peers(&mut self, peers: &Peers) -> Vec<Alternative> {
        let Peers::Of { pods, blocks } = peers else {
            return vec![(None, Vec::new())];
        };
        let mut alternatives = Vec::new();
        for family in self.renderer.families {
            let field = far(self.direction, *family);
            if let Some(pods) = pods {
                let addresses = pods.iter().filter(|address| Family::of(**address) == *family);
                let elements = addresses.map(|address| vec![Part::One((*address).into())]);
                let name = self.set("pods", Some(*family), Set::new(&[field.key_type()]).with(elements));
                alternatives.push((Some(*family), vec![Statement::Match(vec![field], Test::In(name))]));
            }
            let blocks: Vec<&AddressRange> =
                blocks.iter().filter(|block| block.family() == *family).collect();
            let part = |block: &AddressRange| Part::Range(block.first.into(), block.last.into());
            let test = match blocks.as_slice() {
                [] => continue,
                [block] => Test::Is(part(block)),
                _ => {
                    let elements = blocks.iter().map(|block| vec![part(block)]);
                    let set = Set::intervals(&[field.key_type()]).with(elements);
                    Test::In(self.set("blocks", Some(*family), set))
                }
            };
            alternatives.push((Some(*family), vec![Statement::Match(vec![field], test)]));
        }
        alternatives
    }

    /// Ports by number: none or one combination.
    fn numbers(&mut self, ports: &[PortRange]) -> Vec<Vec<Statement>> {
        let protocol = |port: &PortRange| Part::One(Value::Protocol(port.protocol.number(Family::Ipv4)));
        let numbers = |port: &PortRange| match port.first == port.last {
            true => Part::One(Value::Port(port.first)),
            false => Part::Range(Value::Port(port.first), Value::Port(port.last)),
        };
        match ports {
            [] => Vec::new(),
            [port] if port.is_whole_protocol() => {
                vec![vec![Statement::Match(vec![Field::Protocol], Test::Is(protocol(port)))]]
            }
            [port] => vec![vec![Statement::DestinationPort(port.protocol, numbers(port))]],
            _ => {
                let key = [KeyType::Protocol, KeyType::Port];
                let single = ports.iter().all(|port| port.first == port.last);
                let set = if single { Set::new(&key) } else { Set::intervals(&key) };
                let set = set.with(ports.iter().map(|port| vec![protocol(port), numbers(port)]));
                let name = self.set("ports", None, set);
                let fields = vec![Field::Protocol, Field::DestinationPort];
                vec![vec![Statement::Match(fields, Test::In(name))]]
            }
        }
    }

    /// Ports by name: a set of address, protocol and port of the destination, for each family.
    fn names(&mut self, ports: Option<&BTreeSet<NamedPort>>) -> Vec<Alternative> {
        let Some(ports) = ports else { return Vec::new() };
        let mut alternatives = Vec::new();
        for family in self.renderer.families {
            let destination = destination(*family);
            let ports = ports.iter().filter(|port| Family::of(port.address) == *family);
            let elements = ports.map(|port| {
                vec![
                    Part::One(port.address.into()),
                    Part::One(Value::Protocol(port.protocol.number(*family))),
                    Part::One(Value::Port(port.port)),
                ]
            });
            let set = Set::new(&[destination.key_type(), KeyType::Protocol, KeyType::Port]).with(elements);
            let name = self.set("named-ports", Some(*family), set);
            let fields = vec![destination, Field::Protocol, Field::DestinationPort];
            alternatives.push((Some(*family), vec![Statement::Match(fields, Test::In(name))]));
        }
        alternatives
    }

    /// Adds a set of this rule alone: elements of different rules never meet in one set.
    fn set(&mut self, kind: &str, family: Option<Family>, set: Set) -> String {
        let family = match family {
            None => "",
            Some(Family::Ipv4) => "-v4",
            Some(Family::Ipv6) => "-v6",
        };
        let name = set.name(format!("rule{}-{kind}{family}", self.number));
        self.renderer.table.sets.insert(name.clone(), set);
        name
    }
}

/// A packet from a pod's interface must have an address of that pod.
fn source_check(program: &Program, families: &[Family], numbers: &mut Numbers) -> Table {
    let interface = |endpoint: &Endpoint| Part::One(Value::Interface(endpoint.interface.clone()));
    let mut table = Table::default();
    let interfaces = program.endpoints.iter().map(|endpoint| vec![interface(endpoint)]);
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
        let sources = program.endpoints.iter().flat_map(|endpoint| {
            let own = endpoint.addresses.iter().filter(|address| Family::of(**address) == *family);
            own.map(|address: &IpAddr| vec![interface(endpoint), Part::One((*address).into())])
        });
        let set = Set::new(&[KeyType::Interface, source(*family).key_type()]).with(sources);
        table.sets.insert(name.clone(), set);
        let found = Statement::Match(fields, Test::In(name));
        rules.push(Rule::new([found, Statement::Verdict(Verdict::Return)]));
    }
    // ARP has no such address, and a family that the cluster does not have goes nowhere.
    for family in families {
        let mut rule = drop_rule(Decision::Spoofed { endpoint: None }, numbers);
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
fn drop_rule(decision: Decision, numbers: &mut Numbers) -> Rule {
    let comment = decision.to_string();
    let number = numbers.of(Identity { decision, action: Action::Drop });
    Rule::new([Statement::Log(number), Statement::Verdict(Verdict::Drop)])
        .comment(format!("{number} {comment}"))
}

fn endpoints_map(direction: Direction, family: Family) -> String {
    format!("{direction}-pods-{}", short(family))
}

fn short(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "v4",
        Family::Ipv6 => "v6",
    }
}

fn source(family: Family) -> Field {
    match family {
        Family::Ipv4 => Field::SourceV4,
        Family::Ipv6 => Field::SourceV6,
    }
}

fn destination(family: Family) -> Field {
    match family {
        Family::Ipv4 => Field::DestinationV4,
        Family::Ipv6 => Field::DestinationV6,
    }
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
