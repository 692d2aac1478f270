//! Packets that are filtered wrongly: replies, families, hooks.

use crate::site::Site;
use netproof_enforcer::backend::nft::policies::TABLE;
use netproof_model::{Family, Hook, Protocol};
use netproof_netfilter::nft::{
    Base, Chain, Field, Part, Rule, Ruleset, Statement, Table, Test, Value, Verdict,
};

/// The table of the policies.
fn table(ruleset: &mut Ruleset) -> Option<&mut Table> {
    ruleset.tables.get_mut(&TABLE)
}

/// What accepts what conntrack knows.
fn is_established(rule: &Rule) -> bool {
    rule.statements.first() == Some(&Statement::Established)
}

pub(crate) fn replies_are_policed(ruleset: &mut Ruleset, _: &Site<'_>) {
    for chain in table(ruleset).into_iter().flat_map(|table| table.chains.values_mut()) {
        chain.rules.retain(|rule| !is_established(rule));
    }
}

pub(crate) fn replies_of_tcp_only(ruleset: &mut Ruleset, _: &Site<'_>) {
    for chain in table(ruleset).into_iter().flat_map(|table| table.chains.values_mut()) {
        for rule in chain.rules.iter_mut().filter(|rule| is_established(rule)) {
            let tcp = Part::One(Value::Protocol(Protocol::Tcp.number(Family::Ipv4)));
            rule.statements.insert(0, Statement::Match(vec![Field::Protocol], Test::Is(tcp)));
        }
    }
}

pub(crate) fn ipv4_is_open(ruleset: &mut Ruleset, _: &Site<'_>) {
    forget(ruleset, "-pods-v4");
}

pub(crate) fn ipv6_is_open(ruleset: &mut Ruleset, _: &Site<'_>) {
    forget(ruleset, "-pods-v6");
}

/// Empties the maps from addresses to the chains of pods.
fn forget(ruleset: &mut Ruleset, maps: &str) {
    let sets = table(ruleset).into_iter().flat_map(|table| &mut table.sets);
    sets.filter(|(name, _)| name.ends_with(maps)).for_each(|(_, map)| map.elements.clear());
}

pub(crate) fn ipv6_is_closed(ruleset: &mut Ruleset, _: &Site<'_>) {
    let chains = table(ruleset).into_iter().flat_map(|table| &mut table.chains);
    for (_, chain) in chains.filter(|(name, _)| is_of_a_pod(name)) {
        let Some(end) = chain.rules.last().cloned() else { continue };
        let closed = [Statement::Family(Family::Ipv6)].into_iter().chain(end.statements);
        chain.rules.insert(0, Rule::new(closed).comment(end.comment));
    }
}

/// Whether it is the chain of a pod, in either direction.
fn is_of_a_pod(chain: &str) -> bool {
    chain.starts_with("ingress-pod/") || chain.starts_with("egress-pod/")
}

/// An isolated pod's chains without its policies' rules.
pub(crate) fn isolated_is_closed(ruleset: &mut Ruleset, _: &Site<'_>) {
    let chains = table(ruleset).into_iter().flat_map(|table| &mut table.chains);
    for (_, chain) in chains.filter(|(name, _)| is_of_a_pod(name)) {
        chain
            .rules
            .retain(|rule| !matches!(rule.statements.as_slice(), [Statement::Verdict(Verdict::Jump(_))]));
    }
}

pub(crate) fn all_is_open(ruleset: &mut Ruleset, site: &Site<'_>) {
    ipv4_is_open(ruleset, site);
    ipv6_is_open(ruleset, site);
}

pub(crate) fn own_pod_is_policed(ruleset: &mut Ruleset, _: &Site<'_>) {
    let chains = table(ruleset).into_iter().flat_map(|table| &mut table.chains);
    for (_, chain) in chains.filter(|(name, _)| is_of_a_pod(name)) {
        let accepts = |rule: &Rule| rule.statements.last() == Some(&Statement::Verdict(Verdict::Accept));
        chain.rules.retain(|rule| !accepts(rule));
    }
}

pub(crate) fn node_is_policed(ruleset: &mut Ruleset, _: &Site<'_>) {
    let Some(table) = table(ruleset) else { return };
    let Some(forward) = table.chains.get("forward-ingress").cloned() else { return };
    let base = forward.base.map(|base| Base { hook: Hook::Output, ..base });
    table.chains.insert("output-ingress".into(), Chain { base, rules: forward.rules });
}

/// Before the proxy translates destinations, after conntrack.
const BEFORE_DNAT: i32 = -150;

pub(crate) fn egress_before_dnat(ruleset: &mut Ruleset, _: &Site<'_>) {
    let chain = table(ruleset).and_then(|table| table.chains.get_mut("forward-egress"));
    if let Some(base) = chain.and_then(|chain| chain.base.as_mut()) {
        base.hook = Hook::Prerouting;
        base.priority = BEFORE_DNAT;
    }
}
