//! A policy that pods may have, and the selections that its selectors became.

use super::scope::{self, Asked};
use crate::program::Selector;
use crate::program::front_end::Order;
use crate::program::index::{Index, Key, Scope, SelectionId};
use netproof_api::PolicyType;
use netproof_api::calico::{CalicoPolicy, CalicoRule, EntityRule, PortMatch, Selector as CalicoSelector};
use netproof_model::{Direction, NamespacedName, PolicyKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A policy.
#[derive(Debug)]
pub(super) struct Entry {
    policy: Arc<CalicoPolicy>,
    /// The pods that it selects.
    pub(super) selected: SelectionId,
    ingress: Vec<Selections>,
    egress: Vec<Selections>,
    /// Whether a rule names ports of whoever declares them: every pod's address and ports matter.
    pub(super) names_of_all: bool,
}

/// The selections of a rule.
#[derive(Debug)]
struct Selections {
    source: OfEnd,
    destination: OfEnd,
}

/// The selections of one end of a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfEnd {
    /// The address is a member's.
    pub(super) among: Option<SelectionId>,
    /// It is no member's.
    pub(super) not_among: Option<SelectionId>,
}

/// A rule with its selections.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleEntry<'e> {
    pub(super) rule: &'e CalicoRule,
    pub(super) source: OfEnd,
    pub(super) destination: OfEnd,
}

impl Entry {
    /// `None` for a policy that pods do not have: before connection tracking, before destinations are translated.
    pub(super) fn new(key: &PolicyKey, policy: &Arc<CalicoPolicy>, pods: &mut Index) -> Option<Entry> {
        let spec = &policy.spec;
        if spec.do_not_track || spec.pre_dnat {
            return None;
        }
        let namespace = key.namespace.as_deref();
        let subject = Selector::Calico(scope::subject(spec, namespace));
        let selected = pods.select(Key { scope: Scope::Pods, pods: subject }, key);
        let mut select = |selector: Option<CalicoSelector>| {
            let wanted = |selector| Key { scope: Scope::PodsAndSets, pods: Selector::Calico(selector) };
            selector.map(|selector| pods.select(wanted(selector), key))
        };
        let mut of_end = |entity: &EntityRule| {
            let Asked { among, not_among } = scope::end(entity, namespace);
            OfEnd { among: select(among), not_among: select(not_among) }
        };
        let mut of_rule = |rule: &CalicoRule| Selections {
            source: of_end(&rule.source),
            destination: of_end(&rule.destination),
        };
        let ingress = spec.ingress.iter().map(&mut of_rule).collect();
        let egress = spec.egress.iter().map(&mut of_rule).collect();
        let policy = Arc::clone(policy);
        let mut entry = Entry { policy, selected, ingress, egress, names_of_all: false };
        entry.names_of_all = entry.names_ports_of_all();
        for service in entry.services() {
            pods.services.name(&service, key);
        }
        Some(entry)
    }

    /// Gives back what it has of the index.
    pub(super) fn release(&self, key: &PolicyKey, pods: &mut Index) {
        let ends = self.ingress.iter().chain(&self.egress).flat_map(|rule| [rule.source, rule.destination]);
        let selections = ends.flat_map(|end| [end.among, end.not_among]).flatten().chain([self.selected]);
        for selection in selections.collect::<BTreeSet<_>>() {
            pods.release(selection, key);
        }
        for service in self.services() {
            pods.services.release(&service, key);
        }
    }

    pub(super) fn tier(&self) -> &str {
        &self.policy.spec.tier
    }

    /// Without an order it is asked after all others.
    pub(super) fn order(&self) -> Order {
        Order(self.policy.spec.order.map_or(f64::INFINITY, |order| order.get()))
    }

    /// The directions of its types. Rules of another direction have no effect.
    pub(super) fn directions(&self) -> impl Iterator<Item = Direction> {
        let types = [(PolicyType::Ingress, Direction::Ingress), (PolicyType::Egress, Direction::Egress)];
        let own = types.into_iter().filter(|(policy_type, _)| self.policy.spec.types.contains(policy_type));
        own.map(|(_, direction)| direction)
    }

    pub(super) fn rules(&self, direction: Direction) -> impl Iterator<Item = RuleEntry<'_>> {
        let spec = &self.policy.spec;
        let (rules, selections) = match direction {
            Direction::Ingress => (&spec.ingress, &self.ingress),
            Direction::Egress => (&spec.egress, &self.egress),
        };
        let with_selections = |(rule, own): (_, &Selections)| RuleEntry {
            rule,
            source: own.source,
            destination: own.destination,
        };
        rules.iter().zip(selections).map(with_selections)
    }

    fn names_ports_of_all(&self) -> bool {
        self.directions().any(|direction| {
            self.rules(direction).any(|rule| match direction {
                Direction::Ingress => names_of_all(&rule.rule.source, rule.source),
                Direction::Egress => names_of_all(&rule.rule.destination, rule.destination),
            })
        })
    }

    fn services(&self) -> BTreeSet<NamespacedName> {
        let rules = self.policy.spec.ingress.iter().chain(&self.policy.spec.egress);
        rules.flat_map(|rule| [&rule.source, &rule.destination]).filter_map(service).collect()
    }
}

/// The service of an end. One without a namespace is no service of Calico's, not even of the policy's own.
pub(super) fn service(entity: &EntityRule) -> Option<NamespacedName> {
    let service = entity.services.as_ref()?;
    Some(NamespacedName::new(service.namespace.as_deref()?, service.name.as_str()))
}

/// Whether an end names ports, of whoever declares them.
fn names_of_all(entity: &EntityRule, end: OfEnd) -> bool {
    let mut ports = entity.ports.iter().chain(&entity.not_ports);
    end.among.is_none() && ports.any(|port| matches!(port, PortMatch::Named(_)))
}
