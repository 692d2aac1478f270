//! Programs of policies that are no NetworkPolicies: tiers, passes, denials, stages, interfaces of a node.

#![allow(
    clippy::allow_attributes,
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its own part of this"
)]

use netproof_enforcer::program::{
    AddressRange, AddressTest, Attachment, Denial, End, Endpoint, IcmpTest, Match, NamedPort, Policy,
    PortRange, PortTest, Program, ProtocolTest, Rule, RuleAction, Tier,
};
use netproof_model::{Direction, Family, NamespacedName, PolicyKey, PolicyKind, PolicyStage, Protocol};
use std::net::IpAddr;

const DENY: RuleAction = RuleAction::Deny(Denial::Drop);

/// One policy that no namespace holds, written `TIER/NAME`, as a tier of its own.
fn policy(
    program: &mut Program,
    kind: PolicyKind,
    name: &str,
    (stage, direction): (PolicyStage, Direction),
    rules: Vec<Rule>,
) -> Tier {
    let (tier, name) = name.split_once('/').unwrap();
    let (tier, policy) = (tier.to_owned(), PolicyKey::cluster(kind, name));
    let policy = program.add(Policy { policy, tier: tier.clone(), stage, direction, rules });
    Tier { name: tier, policies: vec![policy], end: End::Deny(Denial::Drop) }
}

/// Policies of one tier, in order.
fn tier(name: &str, end: End, policies: &[Tier]) -> Tier {
    let policies = policies.iter().flat_map(|it| it.policies.clone()).collect();
    Tier { name: name.to_owned(), policies, end }
}

fn rule(action: RuleAction, matches: Match) -> Rule {
    Rule { action, matches }
}

fn everything(action: RuleAction) -> Vec<Rule> {
    vec![rule(action, Match::default())]
}

fn members(addresses: &[&str]) -> Vec<AddressTest> {
    let members = addresses.iter().map(|address| address.parse().unwrap()).collect();
    vec![AddressTest { members: Some(members), ..AddressTest::default() }]
}

fn nets(nets: &[&str]) -> Vec<AddressTest> {
    let range = |net: &&str| {
        let net: ipnet::IpNet = net.parse().unwrap();
        AddressRange { first: net.network(), last: net.broadcast() }
    };
    vec![AddressTest { blocks: nets.iter().map(range).collect(), ..AddressTest::default() }]
}

fn ports(protocol: Protocol, ports: &[u16]) -> Vec<PortTest> {
    let numbers = ports.iter().map(|port| PortRange { protocol, first: *port, last: *port }).collect();
    vec![PortTest { numbers, ..PortTest::default() }]
}

fn pod(namespace: &str, name: &str, address: &str) -> Endpoint {
    let address: IpAddr = address.parse().unwrap();
    Endpoint::pod(NamespacedName::new(namespace, name), format!("np-{name}"), vec![address])
}

/// A pod with every test that a rule may have, as it is and negated, with every action, in two tiers.
pub fn of_everything() -> Program {
    let mut program = Program::default();
    let mut rules = Vec::new();
    let set = |negated| AddressTest {
        negated,
        members: members(&["10.0.0.1", "fd00::1"])[0].members.clone(),
        blocks: nets(&["10.1.0.0/16", "10.3.0.0/16", "fd01::/64"])[0].blocks.clone(),
    };
    let named = NamedPort { address: "10.0.0.1".parse().unwrap(), protocol: Protocol::Tcp, port: 80 };
    let reject = RuleAction::Deny(Denial::Reject);
    for (negated, action) in
        [(false, RuleAction::Allow), (true, RuleAction::Pass), (false, DENY), (true, reject)]
    {
        let port =
            PortTest { negated, names: Some([named].into()), ..ports(Protocol::Udp, &[53, 5353])[0].clone() };
        let icmp = |family, kind, code| IcmpTest { negated, family, kind, code };
        let protocols = ProtocolTest { negated, numbers: [1, 47, 58].into() };
        let one = ProtocolTest { negated, numbers: [6].into() };
        let matches = [
            Match {
                source: vec![set(negated), set(!negated)],
                destination: vec![set(negated)],
                ..Match::default()
            },
            Match { source_ports: vec![port.clone()], destination_ports: vec![port], ..Match::default() },
            Match {
                protocols: vec![protocols],
                icmp: vec![icmp(Family::Ipv4, 8, Some(0))],
                ..Match::default()
            },
            Match { protocols: vec![one], icmp: vec![icmp(Family::Ipv6, 128, None)], ..Match::default() },
        ];
        rules.extend(matches.map(|matches| rule(action, matches)));
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        let matches = Match { family: Some(family), destination: vec![set(true)], ..Match::default() };
        rules.push(rule(RuleAction::Log, matches));
    }
    let (kind, egress) = (PolicyKind::GlobalNetworkPolicy, (PolicyStage::Local, Direction::Egress));
    let first = policy(&mut program, kind, "first/everything", egress, rules);
    let second = policy(&mut program, kind, "second/reject", egress, everything(reject));
    let mut web = pod("shop", "web", "10.244.1.20");
    let tiers =
        vec![tier("first", End::Pass, &[first]), tier("second", End::Deny(Denial::Reject), &[second])];
    web.tiers.insert(egress, tiers);
    program.endpoints.push(web);
    program
}

/// Four GlobalNetworkPolicies of one tier that allow what is not denied before: by order, a namespace of
/// privileges is open, one loopback range stays so, egress to one area is denied to the rest, and everything
/// else is allowed.
pub fn four_global_policies() -> Program {
    use Direction::{Egress, Ingress};
    let mut program = Program::default();
    let kind = PolicyKind::GlobalNetworkPolicy;
    let mut of = |name: &str, direction, rules| {
        policy(&mut program, kind, name, (PolicyStage::Local, direction), rules)
    };
    let allow = || everything(RuleAction::Allow);
    let privileged = [Ingress, Egress].map(|it| of("default/global-privileged-namespace", it, allow()));
    let local =
        Match { source: members(&["10.244.1.20"]), destination: nets(&["127.0.0.1/32"]), ..Match::default() };
    let egress_allow = of("default/global-egress-allow", Egress, vec![rule(RuleAction::Allow, local)]);
    let area = Match { destination: members(&["10.244.2.5", "10.244.2.6"]), ..Match::default() };
    let egress_deny = of("default/global-egress-deny", Egress, vec![rule(DENY, area)]);
    let default = [Ingress, Egress].map(|it| of("default/global-default", it, allow()));
    let end = End::Deny(Denial::Drop);

    let mut system = pod("kube-system", "agent", "10.244.1.10");
    let of_system = [privileged[0].clone(), default[0].clone()];
    system.tiers.insert((PolicyStage::Local, Ingress), vec![tier("default", end, &of_system)]);
    let of_system = [privileged[1].clone(), egress_allow.clone(), default[1].clone()];
    system.tiers.insert((PolicyStage::Local, Egress), vec![tier("default", end, &of_system)]);

    let mut app = pod("shop", "web", "10.244.1.20");
    app.tiers.insert((PolicyStage::Local, Ingress), vec![tier("default", end, &default[..1])]);
    let of_app = [egress_allow, egress_deny, default[1].clone()];
    app.tiers.insert((PolicyStage::Local, Egress), vec![tier("default", end, &of_app)]);
    program.endpoints = vec![system, app];
    program
}

/// A node's interface that lets in the cluster's own addresses and one node port, before destinations are
/// translated, and everything out.
pub fn node_ports_before_dnat() -> Program {
    let mut program = Program::default();
    let kind = PolicyKind::GlobalNetworkPolicy;
    let (before, local) =
        ((PolicyStage::PreDnat, Direction::Ingress), (PolicyStage::Local, Direction::Egress));
    let mut of = |name: &str, at, rules| policy(&mut program, kind, name, at, rules);
    let inside = Match { source: nets(&["10.240.0.0/16", "192.168.0.0/16"]), ..Match::default() };
    let inside = of("default/allow-cluster-internal-ingress", before, vec![rule(RuleAction::Allow, inside)]);
    let port = Match {
        destination: members(&["10.240.0.11", "10.240.0.12"]),
        destination_ports: ports(Protocol::Tcp, &[30091]),
        ..Match::default()
    };
    let port = of("default/allow-nodeport", before, vec![rule(RuleAction::Allow, port)]);
    let drop = of("default/drop-other-ingress", before, everything(DENY));
    let outbound = of("default/allow-outbound-external", local, everything(RuleAction::Allow));

    // What no policy before DNAT decides goes on.
    let before_dnat = tier("default", End::Pass, &[inside, port, drop]);
    let outbound = tier("default", End::Deny(Denial::Drop), &[outbound]);
    let tiers = [(before, vec![before_dnat]), (local, vec![outbound])];
    program.endpoints.push(Endpoint {
        attachment: Attachment::HostInterface("eth0".to_owned()),
        addresses: vec!["10.240.0.11".parse().unwrap()],
        tiers: tiers.into(),
    });
    program
}

/// A ClusterNetworkPolicy of the tier Admin passes one namespace's clients to the NetworkPolicies of the pod,
/// and denies the others; one of the tier Baseline denies what no NetworkPolicy decides.
pub fn cluster_network_policy() -> Program {
    let mut program = Program::default();
    let (kind, ingress) = (PolicyKind::ClusterNetworkPolicy, (PolicyStage::Local, Direction::Ingress));
    let monitoring = Match { source: members(&["10.244.2.9"]), ..Match::default() };
    let others = Match { source: nets(&["10.244.0.0/16"]), ..Match::default() };
    let rules = vec![rule(RuleAction::Pass, monitoring), rule(DENY, others)];
    let admin = policy(&mut program, kind, "admin/isolate-tenants", ingress, rules);
    let web = Match { destination_ports: ports(Protocol::Tcp, &[80]), ..Match::default() };
    let network_policy = PolicyKind::NetworkPolicy.word();
    let own = program.add(Policy {
        policy: PolicyKey::network_policy("shop", "web"),
        tier: network_policy.to_owned(),
        stage: PolicyStage::Local,
        direction: Direction::Ingress,
        rules: vec![rule(RuleAction::Allow, web)],
    });
    let baseline = policy(&mut program, kind, "baseline/default", ingress, everything(DENY));

    let admin = tier("admin", End::Pass, &[admin]);
    let baseline = tier("baseline", End::Pass, &[baseline]);
    let own = Tier { name: network_policy.to_owned(), policies: vec![own], end: End::Isolation };
    let mut isolated = pod("shop", "web", "10.244.1.20");
    isolated.tiers.insert(ingress, vec![admin.clone(), own, baseline.clone()]);
    // No NetworkPolicy selects it, so the tier between the two is not there.
    let mut open = pod("shop", "cart", "10.244.1.21");
    open.tiers.insert(ingress, vec![admin, baseline]);
    program.endpoints = vec![open, isolated];
    program
}
