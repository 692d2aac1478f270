//! The thin evaluator and many endpoints at once; and random programs, as a matrix and flow by flow.

use super::cluster::World;
use super::thin::{Policy, Rule, Selector, Tier, Tiers};
use crate::flow::{Flow, PortProtocol};
use crate::matrix::Cell;
use crate::networkpolicy::NetworkPolicies;
use crate::oracle::Oracle;
use crate::order::{Bits, Matching, RuleAction, SetWalk};
use crate::policy::many::{At, Ends, Kind, Many, Member, Numbering, PortName};
use crate::policy::{Endpoint, Evaluator, View};
use crate::profile::{Profile, Switch};
use crate::truth::Truth;
use netproof_model::{Direction, Family, Place, PolicyKey, PolicyKind, PolicyStage, Protocol};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;

/// Tiers, and some members.
pub(super) struct ManyTiers<'a> {
    tiers: &'a Tiers,
    kinds: Vec<Kind>,
    /// Of each selection, whether each policy selects it, and whether each rule names it as source and as destination.
    selections: Vec<(Vec<bool>, Vec<[Truth; 2]>)>,
    /// Likewise of each member, as another end.
    named: Vec<Vec<[Truth; 2]>>,
    /// Whether each rule names each class, as source and as destination.
    classes: Vec<[Matching; 2]>,
}

impl<'a> ManyTiers<'a> {
    pub(super) fn new(tiers: &'a Tiers, view: View<'a, 'a>, members: &[Member<'a>]) -> Self {
        let (mut selections, mut named) = (vec![(Vec::new(), Vec::new())], Vec::new());
        let (mut selections_numbering, mut numbering) = (Numbering::new(), Numbering::new());
        selections_numbering.of((Vec::new(), Vec::new()));
        let kinds = members.iter().map(|member| {
            let of_rule =
                |rule: &Rule| [&rule.source, &rule.destination].map(|it| it.has(view, member.address));
            let ends: Vec<[Truth; 2]> = tiers.rules().map(|(.., rule)| of_rule(rule)).collect();
            let selection = match member.pod {
                None => 0,
                Some(pod) => {
                    let is_asked = |it: &Policy| it.is_asked(view, Endpoint::Pod(pod), PolicyStage::Local);
                    let selected: Vec<bool> = tiers.policies().map(is_asked).collect();
                    let key = (selected, ends.clone());
                    let (selection, is_new) = selections_numbering.of(key.clone());
                    if is_new {
                        selections.push(key);
                    }
                    selection
                }
            };
            let (matched, is_new) = numbering.of(ends.clone());
            if is_new {
                named.push(ends);
            }
            Kind { selection, matched }
        });
        let kinds = kinds.collect();
        ManyTiers { tiers, kinds, selections, named, classes: Vec::new() }
    }
}

impl Tiers {
    fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.0.iter().flat_map(|tier| &tier.policies)
    }

    /// Every rule, with its policy's position and its direction.
    fn rules(&self) -> impl Iterator<Item = (usize, Direction, &Rule)> {
        self.policies().enumerate().flat_map(|(policy, it)| {
            it.rules
                .iter()
                .flat_map(move |(direction, rules)| rules.iter().map(move |rule| (policy, *direction, rule)))
        })
    }
}

impl Many for ManyTiers<'_> {
    fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    fn port_names(&self) -> BTreeSet<PortName<'_>> {
        BTreeSet::new()
    }

    fn set_classes(&mut self, members: &[usize]) {
        let truth = |rule: usize, end: usize| {
            let mut matching = Matching::none(members.len());
            for (class, member) in members.iter().enumerate() {
                let mut only = Bits::none(members.len());
                only.set(class, true);
                matching.add_where(self.named[self.kinds[*member].matched][rule][end], &only);
            }
            matching
        };
        self.classes = (0..self.tiers.rules().count()).map(|rule| [truth(rule, 0), truth(rule, 1)]).collect();
    }

    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p> {
        Box::new(TiersAt { many: self, direction, port, ends })
    }
}

struct TiersAt<'p, 'a> {
    many: &'p ManyTiers<'a>,
    direction: Direction,
    port: PortProtocol,
    ends: &'p Ends<'p>,
}

impl At for TiersAt<'_, '_> {
    fn ask(&mut self, selection: usize, _: Option<usize>, sets: &mut SetWalk) {
        let (selected, own) = &self.many.selections[selection];
        if selected.is_empty() {
            return;
        }
        let (this, other) = match self.direction {
            Direction::Ingress => (1, 0),
            Direction::Egress => (0, 1),
        };
        let mut position = 0;
        for tier in &self.many.tiers.0 {
            let policies = position..position + tier.policies.len();
            position = policies.end;
            let is_asked = |policy: &usize| {
                let rules = self.many.tiers.policies().nth(*policy).unwrap().rules(self.direction);
                selected[*policy] && rules.is_some()
            };
            let asked: Vec<usize> = policies.filter(is_asked).collect();
            if asked.is_empty() {
                continue;
            }
            for (index, (policy, direction, rule)) in self.many.tiers.rules().enumerate() {
                if direction != self.direction || !asked.contains(&policy) || !rule.covers(self.port) {
                    continue;
                }
                let others = &self.many.classes[index][other];
                let mut matches = Matching::none(self.ends.bound);
                match own[index][this] {
                    Truth::No => {}
                    Truth::Yes => matches.add(others),
                    Truth::Either(_) => matches.possible.add(&others.possible),
                }
                sets.rule(rule.action, &matches);
            }
            sets.end_of_tier(Truth::from(tier.denies));
        }
    }
}

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
        let matrix = oracle.matrix(&endpoints, Family::Ipv4, &ports).unwrap();
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
    }
}
