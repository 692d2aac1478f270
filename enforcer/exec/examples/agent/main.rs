//! An enforcer to read before writing one's own: what `netproof run --enforcer exec:COMMAND` starts on every
//! node, and, as `agent watch URL`, an agent that watches a Kubernetes API, as `--enforcer agent:PROFILE` has it.
//!
//! It keeps the objects that it is told of, and on every change works out anew, for each pod of its node and
//! each direction, who may talk to it on which ports, as one list of rules that ends with a drop. That costs
//! more than it must in a cluster of any size, and is easy to follow. Only to load the rules it uses a part
//! of netproof, so that no `nft` program is needed.

pub mod watch;

use netproof_model::{Hook, Protocol};
use netproof_netfilter::nft::{
    Agent, Base, Chain, ChainType, DEFAULT_SEND_BUFFER, Field, Part, Rule, Ruleset, Statement, Table,
    TableFamily, TableId, Test, Value as NftValue, Verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

/// What decides about policy.
const KINDS: [&str; 3] = ["/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies"];

const TABLE: TableId = TableId { family: TableFamily::Inet, name: "example-agent" };

/// Programs its node as long as it is told of changes.
pub fn main() -> Result<(), Box<dyn Error>> {
    let node = std::env::var("NETPROOF_NODE")?;
    let netns = File::open("/proc/self/ns/net")?;
    let kernel = Agent::open(netns.as_fd(), DEFAULT_SEND_BUFFER)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => answer_lines(&node, kernel),
        ["watch", url] => follow_watches(&node, kernel, url),
        _ => Err("usage: agent [watch URL]".into()),
    }
}

/// Answers every line of standard input, until there is no more.
fn answer_lines(node: &str, mut kernel: Agent) -> Result<(), Box<dyn Error>> {
    let mut objects = Objects::default();
    for line in io::stdin().lock().lines() {
        let change: Value = serde_json::from_str(&line?)?;
        list(&change, "events").iter().for_each(|event| objects.take(event));
        let answer = match kernel.apply(objects.ruleset(node)) {
            Ok(_) => json!({"generation": change["generation"]}),
            Err(error) => json!({"error": error.to_string()}),
        };
        // One line, and at once.
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}

/// Programs whatever the API tells; nobody asks whether it is done.
fn follow_watches(node: &str, mut kernel: Agent, url: &str) -> Result<(), Box<dyn Error>> {
    let mut objects = Objects::default();
    let mut watches = watch::Watches::begin(url, &KINDS);
    loop {
        watches.news()?.iter().for_each(|event| objects.take(event));
        kernel.apply(objects.ruleset(node))?;
    }
}

/// Every object, by kind, namespace and name.
#[derive(Default)]
struct Objects(BTreeMap<[String; 3], Value>);

/// Towards the pod, or from it: what its policies call that, their rules, and their peers.
struct Direction {
    policy_type: &'static str,
    rules: &'static str,
    peers: &'static str,
}

const INGRESS: Direction = Direction { policy_type: "Ingress", rules: "ingress", peers: "from" };
const EGRESS: Direction = Direction { policy_type: "Egress", rules: "egress", peers: "to" };

/// One entry of `from` or `to`, or one pod that such an entry selects.
enum Peer {
    Everybody,
    Address(IpAddr),
    Block { cidr: [IpAddr; 2], except: Vec<[IpAddr; 2]> },
}

/// One entry of `ports`.
enum Port<'a> {
    Every,
    Numbers { protocol: Protocol, first: u16, last: u16 },
    Named { protocol: Protocol, name: &'a str },
}

impl Objects {
    fn take(&mut self, event: &Value) {
        let object = &event["object"];
        let metadata = &object["metadata"];
        let key = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(|it| text(it).to_owned());
        match text(&event["type"]) {
            "DELETED" => drop(self.0.remove(&key)),
            _ => drop(self.0.insert(key, object.clone())),
        }
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |([of, ..], _)| of == kind).map(|(_, object)| object)
    }

    /// Pods with a network of their own: those in their node's have its addresses, and one that has ended has
    /// none any more.
    fn pods(&self) -> impl Iterator<Item = &Value> {
        self.of_kind("Pod").filter(|pod| {
            let ended = matches!(text(&pod["status"]["phase"]), "Succeeded" | "Failed");
            pod["spec"]["hostNetwork"] != true && !ended
        })
    }

    /// A packet must pass two lists: what its source may send, and what its destination may get. What a node
    /// sends to its own pods is not forwarded, and so nobody's business; what a pod sends to its node is.
    fn ruleset(&self, node: &str) -> Ruleset {
        let mut table = Table::default();
        let neighbours = Part::Range(NftValue::Icmp(133), NftValue::Icmp(137));
        let neighbours = Statement::Match(vec![Field::Icmpv6Type], Test::Is(neighbours));
        for (name, hook, priority) in [
            ("forward-egress", Hook::Forward, 0),
            ("forward-ingress", Hook::Forward, 1),
            ("input-egress", Hook::Input, 0),
        ] {
            // Connections that exist stay, and so do answers; neighbours find each other.
            let rules = vec![
                Rule::new([Statement::Established, Statement::Verdict(Verdict::Accept)]),
                Rule::new([neighbours.clone(), Statement::Verdict(Verdict::Accept)]),
            ];
            let base = Some(Base { chain_type: ChainType::Filter, hook, priority });
            table.chains.insert(name.to_owned(), Chain { base, rules });
        }
        for (number, pod) in self.pods().filter(|pod| text(&pod["spec"]["nodeName"]) == node).enumerate() {
            for (direction, hooks) in
                [(EGRESS, &["forward-egress", "input-egress"][..]), (INGRESS, &["forward-ingress"])]
            {
                let Some(rules) = self.rules(pod, &direction) else { continue };
                let name = format!("{}-{number}", direction.rules);
                table.chains.insert(name.clone(), Chain { base: None, rules });
                for address in addresses(pod) {
                    let own = near(&direction, address, Part::One(address.into()));
                    let jump = Rule::new([own, Statement::Verdict(Verdict::Jump(name.clone()))]);
                    for hook in hooks {
                        table.chains.entry((*hook).to_owned()).or_default().rules.push(jump.clone());
                    }
                }
            }
        }
        Ruleset { tables: [(TABLE, table)].into() }
    }

    /// All that the policies which select the pod allow in a direction, and then the drop; none if no policy
    /// selects it.
    fn rules(&self, pod: &Value, direction: &Direction) -> Option<Vec<Rule>> {
        let policies: Vec<&Value> = self
            .of_kind("NetworkPolicy")
            .filter(|policy| policy["metadata"]["namespace"] == pod["metadata"]["namespace"])
            .filter(|policy| {
                list(&policy["spec"], "policyTypes").iter().any(|it| it == direction.policy_type)
            })
            .filter(|policy| selects(&policy["spec"]["podSelector"], &pod["metadata"]["labels"]))
            .collect();
        if policies.is_empty() {
            return None;
        }
        let mut rules = Vec::new();
        let mut allow = |matches: Vec<Statement>| {
            rules.push(Rule::new(matches.into_iter().chain([Statement::Verdict(Verdict::Accept)])));
        };
        // Through its own service a pod may reach itself.
        addresses(pod).for_each(|own| allow(vec![far(direction, own, Test::Is(Part::One(own.into())))]));
        for policy in policies {
            for rule in list(&policy["spec"], direction.rules) {
                let peers = self.peers(list(rule, direction.peers), text(&policy["metadata"]["namespace"]));
                for port in ports(rule) {
                    match &port {
                        // The name is one of the pod that is sent to: each has its own number for it.
                        Port::Named { protocol, name } if direction.rules == EGRESS.rules => {
                            for other in self.pods() {
                                for address in
                                    addresses(other).filter(|it| peers.iter().any(|peer| peer.is(*it)))
                                {
                                    for number in numbers(other, *protocol, name) {
                                        let to = far(direction, address, Test::Is(Part::One(address.into())));
                                        allow(vec![to, on(*protocol, number, number)]);
                                    }
                                }
                            }
                        }
                        port => {
                            for on_port in port.matches(pod) {
                                peers.iter().for_each(|peer| {
                                    allow(
                                        peer.matches(direction).into_iter().chain(on_port.clone()).collect(),
                                    );
                                });
                            }
                        }
                    }
                }
            }
        }
        rules.push(Rule::new([Statement::Verdict(Verdict::Drop)]));
        Some(rules)
    }

    /// The peers of a rule; a rule without any is for everybody.
    fn peers(&self, entries: &[Value], namespace: &str) -> Vec<Peer> {
        if entries.is_empty() {
            return vec![Peer::Everybody];
        }
        let mut peers = Vec::new();
        for entry in entries {
            if let Some(block) = entry.get("ipBlock") {
                let except = list(block, "except").iter().map(|it| range(text(it))).collect();
                peers.push(Peer::Block { cidr: range(text(&block["cidr"])), except });
                continue;
            }
            let pods = self.pods().filter(|pod| {
                let home = text(&pod["metadata"]["namespace"]);
                let of_namespace = match entry.get("namespaceSelector") {
                    Some(selector) => self
                        .of_kind("Namespace")
                        .filter(|it| text(&it["metadata"]["name"]) == home)
                        .any(|it| selects(selector, &it["metadata"]["labels"])),
                    None => home == namespace,
                };
                of_namespace && selects(&entry["podSelector"], &pod["metadata"]["labels"])
            });
            peers.extend(pods.flat_map(addresses).map(Peer::Address));
        }
        peers
    }
}

impl Peer {
    fn is(&self, address: IpAddr) -> bool {
        let within = |[first, last]: &[IpAddr; 2]| {
            first.is_ipv4() == address.is_ipv4() && *first <= address && address <= *last
        };
        match self {
            Peer::Everybody => true,
            Peer::Address(own) => *own == address,
            Peer::Block { cidr, except } => within(cidr) && !except.iter().any(within),
        }
    }

    fn matches(&self, direction: &Direction) -> Vec<Statement> {
        let part = |[first, last]: [IpAddr; 2]| Part::Range(first.into(), last.into());
        match self {
            Peer::Everybody => Vec::new(),
            Peer::Address(own) => vec![far(direction, *own, Test::Is(Part::One((*own).into())))],
            Peer::Block { cidr, except } => {
                let inside = far(direction, cidr[0], Test::Is(part(*cidr)));
                let outside = except.iter().map(|range| far(direction, range[0], Test::IsNot(part(*range))));
                std::iter::once(inside).chain(outside).collect()
            }
        }
    }
}

impl Port<'_> {
    /// The ways in which a packet to a pod may be one for this port.
    fn matches(&self, pod: &Value) -> Vec<Vec<Statement>> {
        match self {
            Port::Every => vec![Vec::new()],
            Port::Numbers { protocol, first, last } => vec![vec![on(*protocol, *first, *last)]],
            Port::Named { protocol, name } => {
                numbers(pod, *protocol, name).map(|number| vec![on(*protocol, number, number)]).collect()
            }
        }
    }
}

/// The ports of a rule; a rule without any is for every port of every protocol.
fn ports(rule: &Value) -> Vec<Port<'_>> {
    let entries = list(rule, "ports");
    if entries.is_empty() {
        return vec![Port::Every];
    }
    let port = |entry| {
        let protocol = protocol(entry);
        match (&entry["port"], number(&entry["port"])) {
            (_, Some(first)) => {
                Port::Numbers { protocol, first, last: number(&entry["endPort"]).unwrap_or(first) }
            }
            (Value::String(name), None) => Port::Named { protocol, name },
            _ => Port::Numbers { protocol, first: 0, last: u16::MAX },
        }
    };
    entries.iter().map(port).collect()
}

/// The numbers that a pod's containers give a name.
fn numbers<'a>(pod: &'a Value, protocol: Protocol, name: &'a str) -> impl Iterator<Item = u16> + 'a {
    let ports = list(&pod["spec"], "containers").iter().flat_map(|container| list(container, "ports"));
    ports
        .filter(move |port| text(&port["name"]) == name && self::protocol(port) == protocol)
        .filter_map(|port| number(&port["containerPort"]))
}

/// Whether labels are such as a selector wants them; one that is empty wants nothing.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    let wanted = wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    wanted
        && list(selector, "matchExpressions").iter().all(|expression| {
            let value = labels.get(text(&expression["key"]));
            let listed = value.is_some_and(|value| list(expression, "values").contains(value));
            match text(&expression["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

/// The end of a packet that is the pod itself.
fn near(direction: &Direction, family_of: IpAddr, part: Part) -> Statement {
    let is_source = direction.rules == EGRESS.rules;
    Statement::Match(vec![end(is_source, family_of)], Test::Is(part))
}

/// The other end.
fn far(direction: &Direction, family_of: IpAddr, test: Test) -> Statement {
    let is_source = direction.rules == INGRESS.rules;
    Statement::Match(vec![end(is_source, family_of)], test)
}

fn end(is_source: bool, family_of: IpAddr) -> Field {
    match (is_source, family_of) {
        (true, IpAddr::V4(_)) => Field::SourceV4,
        (true, IpAddr::V6(_)) => Field::SourceV6,
        (false, IpAddr::V4(_)) => Field::DestinationV4,
        (false, IpAddr::V6(_)) => Field::DestinationV6,
    }
}

fn on(protocol: Protocol, first: u16, last: u16) -> Statement {
    Statement::DestinationPort(protocol, Part::Range(NftValue::Port(first), NftValue::Port(last)))
}

fn addresses(pod: &Value) -> impl Iterator<Item = IpAddr> + '_ {
    list(&pod["status"], "podIPs").iter().filter_map(|it| text(&it["ip"]).parse().ok())
}

/// The first and the last address of a range. Whoever told us has checked it.
fn range(cidr: &str) -> [IpAddr; 2] {
    let (address, length) = cidr.split_once('/').unwrap_or((cidr, ""));
    let length: u32 = length.parse().unwrap_or(128);
    match address.parse() {
        Ok(IpAddr::V4(first)) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            [first, Ipv4Addr::from_bits(first.to_bits() | hosts)].map(IpAddr::V4)
        }
        Ok(IpAddr::V6(first)) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            [first, Ipv6Addr::from_bits(first.to_bits() | hosts)].map(IpAddr::V6)
        }
        Err(_) => [Ipv6Addr::UNSPECIFIED; 2].map(IpAddr::V6),
    }
}

fn protocol(entry: &Value) -> Protocol {
    match text(&entry["protocol"]) {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list that is absent is empty.
fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
