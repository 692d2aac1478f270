//! A node's interface that lets in the cluster's own addresses and one node port, before destinations are translated,
//! and everything out.

use super::cluster::World;
use super::thin::{Policy, Rule, Selector, Tier, Tiers, everything};
use super::{Row, check, flow};
use crate::oracle::Oracle;
use crate::order::RuleAction;
use crate::policy::Evaluator;
use crate::profile::{Profile, Switch};
use netproof_controlplane::Snapshot;
use netproof_model::Direction::{Egress, Ingress};
use netproof_model::{PolicyKey, PolicyKind, PolicyStage};

/// The nodes' and the pods' ranges of the cluster.
const INSIDE: &[&str] = &["172.18.0.0/24", "10.244.0.0/16"];

fn policies() -> Vec<Box<dyn Evaluator>> {
    let global = |name, stages, direction, rule| Policy {
        key: PolicyKey::cluster(PolicyKind::GlobalNetworkPolicy, name),
        stages,
        selects: Selector::Host("node1"),
        rules: vec![(direction, vec![rule])],
    };
    let before = &[PolicyStage::PreDnat][..];
    let inside = Rule { source: Selector::Nets(INSIDE), ..everything(RuleAction::Allow) };
    let port =
        Rule { destination: Selector::Host("node1"), port: Some(30091), ..everything(RuleAction::Allow) };
    let policies = vec![
        global("allow-cluster-internal-ingress", before, Ingress, inside),
        global("allow-nodeport", before, Ingress, port),
        global("allow-outbound-external", &[PolicyStage::Local], Egress, everything(RuleAction::Allow)),
        global("drop-other-ingress", before, Ingress, everything(RuleAction::Deny)),
    ];
    vec![Box::new(Tiers(vec![Tier { name: "default", denies: true, policies }]))]
}

fn snapshot() -> Snapshot {
    let mut world = World::default();
    for line in [
        "pod web node1 labels=app=web ports=8080",
        "pod client node2",
        "pod maybe node2 labels=app=maybe",
        "service web selector=app=web ports=80:8080@30091",
        "service other selector=app=web ports=80:8080@30092",
        "service empty selector=app=none ports=80@30093",
    ] {
        world.change(line);
    }
    world.snapshot()
}

const TABLE: &[Row] = &[
    // The node port is what is seen, not the port of the pod that it leads to.
    (
        "external/internet -> node/node1:30091",
        &["allow: preDNAT ingress of node/node1 allow by default: allow-nodeport[0],
           local ingress of pod/default/web allow by nobody"],
    ),
    (
        "external/internet -> node/node1:30092",
        &["deny: preDNAT ingress of node/node1 deny by default: drop-other-ingress[0],
           local ingress of pod/default/web allow by nobody"],
    ),
    // Whoever it is for: a process of the node, a pod that is routed to, a service that would be refused.
    (
        "external/internet -> node/node1:22",
        &["deny: preDNAT ingress of node/node1 deny by default: drop-other-ingress[0]"],
    ),
    (
        "external/internet -> pod/default/web:8080",
        &["deny: preDNAT ingress of node/node1 deny by default: drop-other-ingress[0],
           local ingress of pod/default/web allow by nobody"],
    ),
    (
        "external/internet -> node/node1:30093",
        &["deny: preDNAT ingress of node/node1 deny by default: drop-other-ingress[0]"],
    ),
    (
        "pod/default/client -> node/node1:30093",
        &["refuse: local egress of pod/default/client allow by nobody,
           preDNAT ingress of node/node1 allow by default: allow-cluster-internal-ingress[0]"],
    ),
    (
        "pod/default/client -> node/node1:30092",
        &["allow: local egress of pod/default/client allow by nobody,
           preDNAT ingress of node/node1 allow by default: allow-cluster-internal-ingress[0],
           local ingress of pod/default/web allow by nobody"],
    ),
    // Over another node, which masquerades it, it comes from inside.
    (
        "external/internet -> node/node2:30092",
        &["allow: preDNAT ingress of node/node1 allow by default: allow-cluster-internal-ingress[0],
           local ingress of pod/default/web allow by nobody"],
    ),
    (
        "node/node1 -> external/internet:443",
        &["allow: local egress of node/node1 allow by default: allow-outbound-external[0]"],
    ),
    // Forwarded traffic is not the node's own.
    ("pod/default/web -> external/internet:443", &["allow: local egress of pod/default/web allow by nobody"]),
];

#[test]
fn node_ports_are_policed_before_they_are_translated() {
    check(&snapshot(), Profile::named("calico").unwrap(), policies, TABLE);
}

#[test]
fn a_decision_of_an_interface_is_explained() {
    let snapshot = snapshot();
    let oracle =
        Oracle { evaluators: policies(), ..Oracle::new(&snapshot, Profile::named("calico").unwrap()) };
    let explain = |text| {
        let prediction = oracle.predict(&flow(&snapshot, text)).unwrap();
        let lines: Vec<String> =
            oracle.explain(&prediction).lines().map(|line| line.trim().to_owned()).collect();
        lines[2].clone()
    };
    assert_eq!(
        explain("external/internet -> node/node1:30092"),
        "Ingress of node/node1 from external/internet (203.0.113.10) for TCP port 30092 is denied by \
         globalnetworkpolicy/drop-other-ingress#ingress[0]."
    );
    assert_eq!(
        explain("external/internet -> node/node1:30091"),
        "Ingress of node/node1 from external/internet (203.0.113.10) for TCP port 30091 is allowed."
    );
}

/// An untracked rule spares a packet the later stages of the interface, and not those of the pod; what no untracked rule
/// decides goes on. Forwarded policy denies at the end of its tier, each direction by itself.
#[test]
fn each_stage_is_asked_in_its_turn() {
    let evaluators = || -> Vec<Box<dyn Evaluator>> {
        let global = |name, stages, direction, rule| Policy {
            key: PolicyKey::cluster(PolicyKind::GlobalNetworkPolicy, name),
            stages,
            selects: Selector::Host("node1"),
            rules: vec![(direction, vec![rule])],
        };
        let to = |destination, port, action| Rule { destination, port, ..everything(action) };
        let forwarded = &[PolicyStage::Forwarded][..];
        let untracked = &[PolicyStage::Untracked][..];
        let all = Selector::All;
        let maybe = Selector::PodsPerhaps("app", "maybe", Switch::Icmp);
        let policies = vec![
            global("untracked-in", untracked, Ingress, to(all, Some(53), RuleAction::Allow)),
            global(
                "untracked-maybe",
                untracked,
                Ingress,
                Rule { source: maybe, ..everything(RuleAction::Allow) },
            ),
            global("untracked-out", untracked, Egress, to(all, Some(53), RuleAction::Allow)),
            global("before", &[PolicyStage::PreDnat], Ingress, to(all, Some(53), RuleAction::Deny)),
            global("own-out", &[PolicyStage::Local], Egress, to(all, Some(443), RuleAction::Allow)),
            global("own-in", &[PolicyStage::Local], Ingress, to(all, Some(443), RuleAction::Allow)),
            global("through-in", forwarded, Ingress, to(all, Some(8080), RuleAction::Allow)),
            global("through-out", forwarded, Egress, to(all, Some(443), RuleAction::Allow)),
        ];
        vec![Box::new(Tiers(vec![Tier { name: "default", denies: true, policies }]))]
    };
    let table: &[Row] = &[
        ("external/internet -> node/node1:53", &["allow: untracked ingress of node/node1 allow by default: untracked-in[0]"]),
        (
            "external/internet -> node/node1:22",
            &["deny: untracked ingress of node/node1 allow by nobody, preDNAT ingress of node/node1 allow by nobody,
               local ingress of node/node1 deny by the end of default (own-in)"],
        ),
        (
            "external/internet -> pod/default/web:8080",
            &["allow: untracked ingress of node/node1 allow by nobody, preDNAT ingress of node/node1 allow by nobody,
               forwarded ingress of node/node1 allow by default: through-in[0],
               local ingress of pod/default/web allow by nobody"],
        ),
        ("node/node1 -> external/internet:53", &["allow: untracked egress of node/node1 allow by default: untracked-out[0]"]),
        (
            "node/node1 -> external/internet:80",
            &["deny: untracked egress of node/node1 allow by nobody,
               local egress of node/node1 deny by the end of default (own-out)"],
        ),
        (
            "pod/default/web -> external/internet:443",
            &["allow: local egress of pod/default/web allow by nobody,
               forwarded egress of node/node1 allow by default: through-out[0]"],
        ),
        (
            "pod/default/web -> external/internet:80",
            &["deny: local egress of pod/default/web allow by nobody,
               forwarded egress of node/node1 deny by the end of default (through-out)"],
        ),
        // Where it is open whether an earlier stage allows it, a later one that denies leaves it open.
        (
            "pod/default/maybe -> node/node1:22",
            &["open icmp: local egress of pod/default/maybe allow by nobody,
               untracked ingress of node/node1 allow by default: untracked-maybe[0] or nobody,
               preDNAT ingress of node/node1 allow by nobody, local ingress of node/node1 open"],
        ),
        // Between a node and its own pods no interface of the node is on the way.
        ("node/node1 -> pod/default/web:80", &["allow: local ingress of pod/default/web allow"]),
        ("pod/default/web -> node/node1:80", &["allow: local egress of pod/default/web allow by nobody"]),
    ];
    check(&snapshot(), Profile::named("calico").unwrap(), evaluators, table);
}
