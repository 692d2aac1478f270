//! Four GlobalNetworkPolicies of one tier that allow what is not denied before: by order, a namespace of privileges is
//! open, egress to loopback is, egress to one area is denied to the rest, and everything else is allowed.

use super::cluster::World;
use super::thin::{Policy, Rule, Selector, Tier, Tiers, everything};
use super::{Row, check};
use crate::order::RuleAction;
use crate::policy::Evaluator;
use crate::profile::Profile;
use netproof_controlplane::Snapshot;
use netproof_model::Direction::{Egress, Ingress};
use netproof_model::{Direction, PolicyKey, PolicyKind, PolicyStage};

fn global(name: &str, selects: Selector, rules: Vec<(Direction, Vec<Rule>)>) -> Policy {
    let key = PolicyKey::cluster(PolicyKind::GlobalNetworkPolicy, name);
    Policy { key, stages: &[PolicyStage::Local], selects, rules }
}

fn policies() -> Vec<Policy> {
    let allow = || vec![everything(RuleAction::Allow)];
    let local = Rule {
        source: Selector::InNamespace("name", "dummy"),
        destination: Selector::Nets(&["127.0.0.1/32"]),
        ..everything(RuleAction::Allow)
    };
    let area = Rule { destination: Selector::Pods("area", "dummy"), ..everything(RuleAction::Deny) };
    vec![
        global(
            "global-privileged-namespace",
            Selector::InNamespaceWith("privileged-namespace"),
            vec![(Egress, allow()), (Ingress, allow())],
        ),
        global("global-egress-allow", Selector::All, vec![(Egress, vec![local])]),
        global(
            "global-egress-deny",
            Selector::InNamespaceWithout("privileged-namespace"),
            vec![(Egress, vec![area])],
        ),
        global("global-default", Selector::All, vec![(Egress, allow()), (Ingress, allow())]),
    ]
}

fn all() -> Vec<Box<dyn Evaluator>> {
    vec![Box::new(Tiers(vec![Tier { name: "default", denies: true, policies: policies() }]))]
}

fn without_the_last() -> Vec<Box<dyn Evaluator>> {
    let policies = policies().into_iter().take(3).collect();
    vec![Box::new(Tiers(vec![Tier { name: "default", denies: true, policies }]))]
}

fn snapshot() -> Snapshot {
    let mut world = World::default();
    for line in [
        "namespace shop",
        "namespace dummy name=dummy",
        "namespace system privileged-namespace=yes",
        "pod shop/web node1",
        "pod shop/db node2 labels=area=dummy",
        "pod system/agent node1",
        "pod dummy/client node2",
    ] {
        world.change(line);
    }
    world.snapshot()
}

const WITH_ALL: &[Row] = &[
    (
        "pod/shop/web -> pod/shop/db:80",
        &["deny: local egress of pod/shop/web deny by default: global-egress-deny[0],
           local ingress of pod/shop/db allow by default: global-default[0]"],
    ),
    (
        "pod/system/agent -> pod/shop/db:80",
        &["allow: local egress of pod/system/agent allow by default: global-privileged-namespace[0],
           local ingress of pod/shop/db allow by default: global-default[0]"],
    ),
    (
        "pod/shop/web -> pod/system/agent:80",
        &["allow: local egress of pod/shop/web allow by default: global-default[0],
           local ingress of pod/system/agent allow by default: global-privileged-namespace[0]"],
    ),
    (
        "pod/dummy/client -> external/internet:443",
        &["allow: local egress of pod/dummy/client allow by default: global-default[0]"],
    ),
    (
        "external/internet -> pod/shop/web:80",
        &["allow: local ingress of pod/shop/web allow by default: global-default[0]"],
    ),
    // Its own loopback address never leaves the pod.
    ("pod/dummy/client -> 127.0.0.1:80", &["allow:"]),
    // The node that a pod runs on always reaches it.
    ("node/node1 -> pod/shop/web:80", &["allow: local ingress of pod/shop/web allow"]),
];

/// Without the policy that allows the rest the tier ends: it denies where one of its policies has the direction.
const WITHOUT_THE_LAST: &[Row] = &[
    (
        "pod/shop/web -> external/internet:443",
        &[
            "deny: local egress of pod/shop/web deny by the end of default (global-egress-allow global-egress-deny)",
        ],
    ),
    (
        "pod/system/agent -> pod/shop/web:80",
        &["allow: local egress of pod/system/agent allow by default: global-privileged-namespace[0],
           local ingress of pod/shop/web allow by nobody"],
    ),
    (
        "pod/shop/web -> pod/shop/db:80",
        &["deny: local egress of pod/shop/web deny by default: global-egress-deny[0],
           local ingress of pod/shop/db allow by nobody"],
    ),
];

#[test]
fn the_first_of_four_decides() {
    check(&snapshot(), Profile::named("calico").unwrap(), all, WITH_ALL);
    check(&snapshot(), Profile::named("calico").unwrap(), without_the_last, WITHOUT_THE_LAST);
}
