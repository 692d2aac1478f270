//! ClusterNetworkPolicies, and the kinds of v1alpha1: what is written is read back, in the form of its own version.

use super::*;
use netproof_api::{
    ClusterAction, ClusterNetworkPolicy, ClusterNetworkPolicySpec, ClusterPeer, ClusterPort, ClusterRule,
    ClusterSubject, ClusterTier, NamespacedPods,
};
use netproof_model::PolicyKind;

fn pods() -> impl Strategy<Value = NamespacedPods> {
    (option::of(selector()), selector())
        .prop_map(|(namespace_selector, pod_selector)| NamespacedPods { namespace_selector, pod_selector })
}

fn port() -> impl Strategy<Value = ClusterPort> {
    prop_oneof![
        (protocol(), 1..=u16::MAX).prop_map(|(protocol, number)| ClusterPort::Number { protocol, number }),
        (protocol(), 1..=100u16, 101..=u16::MAX).prop_map(|(protocol, start, end)| ClusterPort::Range {
            protocol,
            start,
            end
        }),
    ]
}

fn rules(list: &'static str) -> impl Strategy<Value = Vec<ClusterRule>> {
    let pods = prop_oneof![selector().prop_map(ClusterPeer::Namespaces), pods().prop_map(ClusterPeer::Pods),];
    let networks = vec(prop::sample::select(vec!["10.0.0.0/8", "fd00::/8"]), 1..2);
    let of = |networks: Vec<&str>| networks.iter().map(|it| Cidr::new(it.parse().unwrap())).collect();
    let others = prop_oneof![
        selector().prop_map(ClusterPeer::Nodes),
        networks.prop_map(move |networks| ClusterPeer::Networks(of(networks))),
    ];
    let actions = vec![ClusterAction::Accept, ClusterAction::Deny, ClusterAction::Pass];
    let name = option::of("[a-z ]{1,9}");
    let named = "[a-z]{1,5}".prop_map(ClusterPort::Named);
    let peers = (vec(pods, 1..3), vec(others, 0..2));
    let rule = (name, prop::sample::select(actions), peers, vec(port(), 0..3), option::of(named));
    let rule = rule.prop_map(move |(name, action, (mut peers, others), mut protocols, named)| {
        if list == "to" {
            peers.extend(others);
        }
        // A port by name goes with pods only.
        let only_pods =
            peers.iter().all(|it| matches!(it, ClusterPeer::Namespaces(_) | ClusterPeer::Pods(_)));
        protocols.extend(named.filter(|_| only_pods));
        ClusterRule { name, action, peers, protocols }
    });
    vec(rule, 0..3)
}

fn cluster_policy() -> impl Strategy<Value = ClusterNetworkPolicy> {
    let kinds = vec![
        PolicyKind::ClusterNetworkPolicy,
        PolicyKind::AdminNetworkPolicy,
        PolicyKind::BaselineAdminNetworkPolicy,
    ];
    let tiers = prop::sample::select(vec![ClusterTier::Admin, ClusterTier::Baseline]);
    let subject =
        prop_oneof![selector().prop_map(ClusterSubject::Namespaces), pods().prop_map(ClusterSubject::Pods)];
    let place = (prop::sample::select(kinds), tiers, 0..=1000u16);
    (meta(), place, subject, rules("from"), rules("to")).prop_map(
        |(metadata, (written_as, tier, priority), subject, ingress, egress)| {
            let mut metadata = ObjectMeta { namespace: None, ..metadata };
            let mut spec = ClusterNetworkPolicySpec { tier, priority, subject, ingress, egress };
            // What v1alpha1 cannot say.
            if written_as != PolicyKind::ClusterNetworkPolicy {
                spec.tier = ClusterTier::Admin;
                let subjects = match &mut spec.subject {
                    ClusterSubject::Pods(pods) => Some(pods),
                    ClusterSubject::Namespaces(_) => None,
                };
                let rules = spec.ingress.iter_mut().chain(&mut spec.egress);
                let peers = rules.flat_map(|rule| &mut rule.peers).filter_map(|peer| match peer {
                    ClusterPeer::Pods(pods) => Some(pods),
                    _ => None,
                });
                for pods in peers.chain(subjects) {
                    pods.namespace_selector.get_or_insert_default();
                }
            }
            if written_as == PolicyKind::BaselineAdminNetworkPolicy {
                metadata.name = "default".to_owned();
                (spec.tier, spec.priority) = (ClusterTier::Baseline, 0);
                let rules = spec.ingress.iter_mut().chain(&mut spec.egress);
                rules
                    .filter(|it| it.action == ClusterAction::Pass)
                    .for_each(|it| it.action = ClusterAction::Deny);
            }
            ClusterNetworkPolicy { metadata, written_as, spec }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn they_are_read_back(policy in cluster_policy()) {
        let object = netproof_api::Policy::from(policy);
        prop_assert_eq!(read(&super::super::policy(&object)), Object::Policy(object));
    }
}
