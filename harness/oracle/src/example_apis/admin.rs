//! ClusterNetworkPolicies around the NetworkPolicies: one of the tier Admin passes the clients of one namespace on and
//! denies those of the others; one of the tier Baseline denies other pods what no NetworkPolicy decides.

use super::cluster::World;
use super::thin::{Policy, Rule, Selector, Tier, Tiers, everything};
use super::{Row, check_with};
use crate::networkpolicy::NetworkPolicies;
use crate::oracle::Oracle;
use crate::order::RuleAction;
use crate::policy::Evaluator;
use crate::profile::Profile;
use netproof_controlplane::Snapshot;
use netproof_model::Direction::Ingress;
use netproof_model::{PolicyKey, PolicyKind, PolicyStage};

fn tier(name: &'static str, policy: &str, rules: Vec<Rule>) -> Box<dyn Evaluator> {
    let policy = Policy {
        key: PolicyKey::cluster(PolicyKind::ClusterNetworkPolicy, policy),
        stages: &[PolicyStage::Local],
        selects: Selector::InNamespace("team", "shop"),
        rules: vec![(Ingress, rules)],
    };
    Box::new(Tiers(vec![Tier { name, denies: false, policies: vec![policy] }]))
}

fn snapshot() -> Snapshot {
    let mut world = World::default();
    for line in [
        "namespace shop team=shop",
        "namespace monitoring team=monitoring",
        "namespace tenant team=tenant",
        "pod shop/web node1 labels=app=web",
        "pod shop/cart node1",
        "pod monitoring/prometheus node2",
        "pod tenant/app node2",
        "policy shop/web {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 81}]}]}",
    ] {
        world.change(line);
    }
    world.snapshot()
}

const TABLE: &[Row] = &[
    // Passed, and the NetworkPolicy decides: finally, whether it allows or isolates.
    (
        "pod/monitoring/prometheus -> pod/shop/web:80",
        &["allow: local egress of pod/monitoring/prometheus allow by nobody,
           local ingress of pod/shop/web allow by networkpolicy: web[0]"],
    ),
    (
        "pod/monitoring/prometheus -> pod/shop/web:82",
        &["deny: local egress of pod/monitoring/prometheus allow by nobody,
           local ingress of pod/shop/web deny by isolation"],
    ),
    // Whether the NetworkPolicy allows it is open; the tiers around it do not change that.
    (
        "pod/monitoring/prometheus -> pod/shop/web:81",
        &["open ip-block-and-pods: local egress of pod/monitoring/prometheus allow by nobody,
           local ingress of pod/shop/web open"],
    ),
    // Passed, and no NetworkPolicy selects the pod: Baseline decides.
    (
        "pod/monitoring/prometheus -> pod/shop/cart:80",
        &["deny: local egress of pod/monitoring/prometheus allow by nobody,
           local ingress of pod/shop/cart deny by baseline: default[0]"],
    ),
    // Denied before the NetworkPolicy that allows it is asked, or the one that may.
    (
        "pod/tenant/app -> pod/shop/web:80",
        &["deny: local egress of pod/tenant/app allow by nobody,
           local ingress of pod/shop/web deny by admin: isolate-tenants[1]"],
    ),
    (
        "pod/tenant/app -> pod/shop/web:81",
        &["deny: local egress of pod/tenant/app allow by nobody,
           local ingress of pod/shop/web deny by admin: isolate-tenants[1]"],
    ),
    // No rule names who is outside: to be selected isolates nothing.
    ("external/internet -> pod/shop/cart:80", &["allow: local ingress of pod/shop/cart allow by nobody"]),
    ("external/internet -> pod/shop/web:82", &["deny: local ingress of pod/shop/web deny by isolation"]),
    (
        "external/internet -> pod/shop/web:80",
        &["allow: local ingress of pod/shop/web allow by networkpolicy: web[0]"],
    ),
    ("node/node1 -> pod/shop/web:82", &["allow: local ingress of pod/shop/web allow"]),
];

#[test]
fn a_pass_leads_to_the_network_policies() {
    let snapshot = snapshot();
    let monitoring =
        Rule { source: Selector::InNamespace("team", "monitoring"), ..everything(RuleAction::Pass) };
    let others = Rule { source: Selector::EveryPod, ..everything(RuleAction::Deny) };
    let evaluators: Vec<Box<dyn Evaluator + '_>> = vec![
        tier("admin", "isolate-tenants", vec![monitoring, others.clone()]),
        Box::new(NetworkPolicies::new(&snapshot)),
        tier("baseline", "default", vec![others]),
    ];
    let oracle = Oracle { evaluators, ..Oracle::new(&snapshot, Profile::STRICT) };
    check_with(&oracle, &snapshot, TABLE);
}
