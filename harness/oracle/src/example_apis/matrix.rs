//! Random ordered programs around NetworkPolicies: the matrix says what each flow is told.

use super::cluster::World;
use super::thin::{Policy, Rule, Selector, Tier, Tiers, everything};
use crate::flow::{Flow, PortProtocol};
use crate::matrix::Cell;
use crate::networkpolicy::NetworkPolicies;
use crate::oracle::Oracle;
use crate::order::RuleAction;
use crate::policy::Evaluator;
use crate::profile::{Profile, Switch};
use netproof_controlplane::Snapshot;
use netproof_model::{Direction, Family, Place, PolicyKey, PolicyKind, PolicyStage, Protocol};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

const SELECTORS: [Selector; 8] = [
    Selector::All,
    Selector::EveryPod,
    Selector::Pods("app", "a"),
    Selector::Pods("app", "b"),
    Selector::PodsPerhaps("role", "x", Switch::Icmp),
    Selector::PodsPerhaps("app", "a", Switch::Sctp),
    Selector::InNamespace("team", "dev"),
    Selector::Nets(&["10.244.1.0/24", "203.0.113.0/24"]),
];
/// Selection is settled.
const SUBJECTS: [Selector; 4] = [
    Selector::EveryPod,
    Selector::Pods("app", "a"),
    Selector::Pods("role", "x"),
    Selector::InNamespace("team", "dev"),
];

fn rule() -> impl Strategy<Value = Rule> {
    let actions = [RuleAction::Allow, RuleAction::Deny, RuleAction::Pass, RuleAction::Log];
    let ends = (select(&SELECTORS[..]), select(&SELECTORS[..]));
    (select(actions.to_vec()), ends, select(vec![None, None, Some(80)]))
        .prop_map(|(action, (source, destination), port)| Rule { action, source, destination, port })
}

fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let rules =
        (select(vec![Direction::Ingress, Direction::Egress]), proptest::collection::vec(rule(), 0..4));
    let policy = (select(&SUBJECTS[..]), rules).prop_map(|(selects, rules)| Policy {
        key: PolicyKey::cluster(PolicyKind::GlobalNetworkPolicy, "some"),
        stages: &[PolicyStage::Local],
        selects,
        rules: vec![rules],
    });
    let tier = (any::<bool>(), proptest::collection::vec(policy, 0..3)).prop_map(|(denies, policies)| Tier {
        name: "some",
        denies,
        policies,
    });
    proptest::collection::vec(tier, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Tiers before and after those of NetworkPolicies.
    #[test]
    fn the_matrix_of_ordered_programs_is_every_prediction(before in tiers(), after in tiers(), nodes in any::<bool>()) {
        let mut world = World::default();
        for line in [
            "namespace dev team=dev",
            "pod a node1 labels=app=a",
            "pod b node2 labels=app=b,role=x",
            "pod c node2 labels=role=x",
            "pod dev/a node1 labels=app=a,role=x",
            "pod dev/b node2 labels=app=b",
            "pod dev/d node1",
            "policy n {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}, {ports: [{port: 81}]}]}",
            "policy dev/n {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/16}}]}]}",
        ] {
            world.change(line);
        }
        let snapshot = world.snapshot();
        let evaluators: Vec<Box<dyn Evaluator>> =
            vec![Box::new(Tiers(before)), Box::new(NetworkPolicies::new(&snapshot)), Box::new(Tiers(after))];
        let oracle = Oracle { evaluators, ..Oracle::new(&snapshot, Profile::STRICT) };
        let mut endpoints: Vec<Place> = snapshot.pods.keys().cloned().map(Place::Pod).collect();
        endpoints.push(Place::external("internet"));
        endpoints.extend(nodes.then(|| Place::node("node1")));
        let ports = [80, 81].map(|port| PortProtocol::new(port, Protocol::Tcp));
        is_every_prediction(&oracle, &snapshot, &endpoints, &ports)?;
    }
}

/// Policies of a node's interface are on the way of everybody who is asked for.
#[test]
fn the_matrix_knows_of_the_interfaces_of_nodes() {
    let mut world = World::default();
    for line in ["pod a node1", "pod b node2", "pod c node1", "service c selector=app=c ports=80@30080"] {
        world.change(line);
    }
    let snapshot = world.snapshot();
    let denied = Policy {
        key: PolicyKey::cluster(PolicyKind::GlobalNetworkPolicy, "some"),
        stages: &[PolicyStage::PreDnat],
        selects: Selector::Host("node1"),
        rules: vec![(
            Direction::Ingress,
            vec![Rule { port: Some(80), source: Selector::EveryPod, ..everything(RuleAction::Deny) }],
        )],
    };
    let tiers = vec![Tier { name: "some", denies: false, policies: vec![denied] }];
    let evaluators: Vec<Box<dyn Evaluator>> = vec![Box::new(Tiers(tiers))];
    let oracle = Oracle { evaluators, ..Oracle::new(&snapshot, Profile::NETPROOF) };
    let endpoints = ["a", "b", "c"].map(|name| Place::pod("default", name));
    let ports = [80, 81].map(|port| PortProtocol::new(port, Protocol::Tcp));
    is_every_prediction(&oracle, &snapshot, &endpoints, &ports).unwrap();
    let matrix = oracle.matrix(&endpoints, Family::Ipv4, &ports).unwrap();
    let cell = |source, destination, port| matrix.cell(source, destination, port).unwrap();
    assert_eq!((cell(1, 0, 0), cell(1, 0, 1), cell(2, 0, 0)), (Cell::Deny, Cell::Allow, Cell::Allow));
}

fn is_every_prediction(
    oracle: &Oracle<'_>,
    snapshot: &Snapshot,
    endpoints: &[Place],
    ports: &[PortProtocol],
) -> Result<(), TestCaseError> {
    let matrix = oracle.matrix(endpoints, Family::Ipv4, ports).unwrap();
    for (s, from) in endpoints.iter().enumerate() {
        for (d, to) in endpoints.iter().enumerate() {
            for (p, port) in ports.iter().enumerate() {
                let to = snapshot.address_of(to, Family::Ipv4).unwrap();
                let flow = Flow { from: from.clone(), to, port: *port };
                let predicted = Cell::of(&oracle.predict(&flow).unwrap());
                prop_assert_eq!(matrix.cell(s, d, p), Some(predicted), "{:?}", flow);
            }
        }
    }
    Ok(())
}
