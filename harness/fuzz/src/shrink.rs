//! Shrinking: of a case that fails, everything is left out that it fails without.

use crate::case::{Case, Pod, State};
use crate::smaller::Smaller;
use netproof_model::{Families, Wiring};
use std::collections::BTreeMap;
use std::time::Instant;

/// When to be content with what is left.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After so many tries.
    pub tries: usize,
    /// At this time, if there is one.
    pub until: Option<Instant>,
}

/// The smallest case found that fails in the same way, which `fails` knows. `state` is where the case fails.
pub fn shrink(case: Case, state: usize, limits: Limits, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut shrinking = Shrinking { case, limits, fails };
    shrinking.states(state);
    while shrinking.parts() {
        let last = shrinking.case.states.len().saturating_sub(1);
        shrinking.states(last);
    }
    shrinking.case
}

struct Shrinking<'a> {
    case: Case,
    limits: Limits,
    fails: &'a mut dyn FnMut(&Case) -> bool,
}

impl Shrinking<'_> {
    /// Whether the case fails like this, too; then this is the case.
    fn accept(&mut self, less: Case) -> bool {
        let late = self.limits.until.is_some_and(|until| Instant::now() > until);
        if late || self.limits.tries == 0 || less == self.case {
            return false;
        }
        self.limits.tries -= 1;
        let fails = (self.fails)(&less);
        if fails {
            self.case = less;
        }
        fails
    }

    fn accept_states(&mut self, states: Vec<State>) -> bool {
        !states.is_empty() && self.accept(Case { states, ..self.case.clone() })
    }

    /// Leaves out states: all but the one where it fails, or those after it and, by ever smaller pieces, whatever
    /// else.
    fn states(&mut self, state: usize) {
        let only = self.case.states.get(state).cloned();
        if self.accept_states(only.into_iter().collect()) {
            return;
        }
        self.accept_states(self.case.states.iter().take(state + 1).cloned().collect());
        let mut piece = self.case.states.len() / 2;
        while piece > 0 {
            let mut start = 0;
            while start + piece <= self.case.states.len() {
                let mut states = self.case.states.clone();
                states.drain(start..start + piece);
                if !self.accept_states(states) {
                    start += piece;
                }
            }
            piece /= 2;
        }
    }

    /// Tries every edit once; whether one was of use.
    fn parts(&mut self) -> bool {
        let mut progress = false;
        for edit in edits(&self.case) {
            let mut less = self.case.clone();
            edit(&mut less);
            progress |= self.accept(less);
        }
        progress
    }
}

type Edit = Box<dyn Fn(&mut Case)>;

/// Everything that can be left out of a case, large parts first.
fn edits(case: &Case) -> Vec<Edit> {
    let (mut removals, mut replacements) = (Vec::new(), Vec::new());
    macro_rules! part {
        ($part:ident) => {
            let (gone, less) = part_edits(case, |state| &state.$part, |state| &mut state.$part);
            removals.extend(gone);
            replacements.extend(less);
        };
    }
    part!(policies);
    part!(services);
    part!(pods);
    part!(namespaces);
    let ready = |pod: &Pod| Pod { ready: true, ..pod.clone() };
    replacements.push(Box::new(move |case: &mut Case| {
        let pods = case.states.iter_mut().flat_map(|state| state.pods.values_mut());
        pods.for_each(|pod| *pod = ready(pod));
    }));
    removals.extend(cluster_edits(case));
    removals.extend(replacements);
    removals
}

/// The edits of one kind of objects: each left out of every state, and each of its versions made smaller in
/// every state that has it.
fn part_edits<K, V>(
    case: &Case,
    part: fn(&State) -> &BTreeMap<K, V>,
    part_mut: fn(&mut State) -> &mut BTreeMap<K, V>,
) -> (Vec<Edit>, Vec<Edit>)
where
    K: Ord + Clone + 'static,
    V: Smaller + Clone + PartialEq + 'static,
{
    let mut versions: Vec<(&K, &V)> = Vec::new();
    for version in case.states.iter().flat_map(part) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let mut keys: Vec<&K> = versions.iter().map(|(key, _)| *key).collect();
    keys.sort();
    keys.dedup();
    let removal = |key: K| -> Edit {
        Box::new(move |case| {
            case.states.iter_mut().for_each(|state| drop(part_mut(state).remove(&key)));
        })
    };
    let replacement = |key: K, old: V, new: V| -> Edit {
        Box::new(move |case| {
            let values = case.states.iter_mut().filter_map(|state| part_mut(state).get_mut(&key));
            values.filter(|value| **value == old).for_each(|value| *value = new.clone());
        })
    };
    let removals = keys.into_iter().map(|key| removal(key.clone())).collect();
    let smaller = versions.into_iter().flat_map(|(key, old)| {
        old.smaller().into_iter().map(move |new| replacement(key.clone(), old.clone(), new))
    });
    (removals, smaller.collect())
}

fn cluster_edits(case: &Case) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for nodes in 1..case.cluster.nodes {
        edits.push(Box::new(move |case| {
            case.cluster.nodes = nodes;
            let pods = case.states.iter_mut().flat_map(|state| state.pods.values_mut());
            pods.for_each(|pod| pod.node = pod.node.min(nodes - 1));
        }));
    }
    edits.push(Box::new(|case| case.cluster.wiring = Wiring::default()));
    if case.cluster.family == Families::Dual {
        for family in [Families::Ipv4, Families::Ipv6] {
            edits.push(Box::new(move |case| case.cluster.family = family));
        }
    }
    for less in case.cluster.smaller() {
        edits.push(Box::new(move |case| case.cluster.clone_from(&less)));
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Fixed, generate};
    use super::super::policy::{Peer, Policy, Rule};
    use super::*;

    const MANY: Limits = Limits { tries: 100_000, until: None };

    fn a_case() -> Case {
        generate(11, 3, 20, Fixed::default())
    }

    fn blocks(policy: &Policy) -> usize {
        let rules = policy.ingress.iter().chain(&policy.egress).flatten();
        let peers = rules.flat_map(|rule: &Rule| rule.peers.iter().flatten());
        peers.filter(|peer| matches!(peer, Peer::Block(_, Some(except)) if !except.is_empty())).count()
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        // It fails in a state with a pod and a block that has a hole.
        let fails = |case: &Case| {
            let bad = |state: &State| {
                !state.pods.is_empty() && state.policies.values().any(|policy| blocks(policy) > 0)
            };
            case.states.iter().any(bad)
        };
        let case = a_case();
        assert!(fails(&case), "choose another seed");
        let state = case.states.iter().position(|state| state.policies.values().any(|it| blocks(it) > 0));
        let small = shrink(case, state.unwrap(), MANY, &mut |case| fails(case));
        assert!(fails(&small));
        let [state] = small.states.as_slice() else { panic!("{} states", small.states.len()) };
        assert_eq!((state.pods.len(), state.policies.len(), state.services.len()), (1, 1, 0));
        let pod = state.pods.values().next().unwrap();
        assert!(pod.labels.is_empty() && pod.ports.is_empty());
        let policy = state.policies.values().next().unwrap();
        assert_eq!(policy.ingress.iter().chain(&policy.egress).flatten().count(), 1);
        assert_eq!((policy.types.clone(), policy.pods.clone()), (None, Default::default()));
        assert_eq!((small.cluster.nodes, small.cluster.externals.len()), (1, 0));
    }

    #[test]
    fn states_that_matter_together_stay() {
        // It fails where a policy of one state is gone in a later one.
        let fails = |case: &Case| {
            let mut pairs = case.states.windows(2);
            pairs.any(|pair| pair[0].policies.keys().any(|name| !pair[1].policies.contains_key(name)))
        };
        let case = a_case();
        assert!(fails(&case), "choose another seed");
        let last = case.states.len() - 1;
        let small = shrink(case, last, MANY, &mut |case| fails(case));
        assert!(fails(&small));
        assert_eq!(small.states.len(), 2);
        assert_eq!(small.states.iter().map(|state| state.policies.len()).sum::<usize>(), 1);
        assert!(small.states.iter().all(|state| state.pods.is_empty()));
    }

    #[test]
    fn there_is_an_end_to_trying() {
        let mut tries = 0;
        let limits = Limits { tries: 7, until: None };
        let mut fails = |_: &Case| {
            tries += 1;
            false
        };
        assert_eq!(shrink(a_case(), 0, limits, &mut fails), a_case());
        assert_eq!(tries, 7);
        let limits = Limits { tries: 7, until: Some(Instant::now() - std::time::Duration::from_secs(1)) };
        shrink(a_case(), 0, limits, &mut |_| panic!("the time is over"));
    }
}
