//! What Calico's policies say about a packet and why, in sentences.

use super::entity::Lack;
use super::known::{Member, NAMESPACE};
use super::rule::{Mismatch, mismatch};
use super::selector::{Of, holds};
use super::{CalicoTier, action_of, has_type, rules_of, selects};
use crate::flow::Packet;
use crate::order::RuleAction;
use crate::policy::{PolicyAccount, Question, RuleAccount};
use crate::truth::Truth;
use netproof_api::calico::{CalicoPolicy, CalicoRule, EntityRule};
use netproof_model::{Direction, Family, PolicyKey};
use std::fmt::Display;

/// What a policy of the tier says. One that is staged says what it would do.
pub(super) fn account(
    tier: &CalicoTier<'_>,
    key: &PolicyKey,
    policy: &CalicoPolicy,
    member: &Member<'_>,
    question: &Question<'_>,
) -> PolicyAccount {
    let (endpoint, direction) = (question.endpoint.place(), question.direction);
    let is_selected = selects(policy, member);
    let counts = is_selected && has_type(policy, direction);
    let own = policy.metadata.namespace.as_deref();
    let rules: Vec<(usize, &CalicoRule, Option<Mismatch<'_>>)> = match counts {
        true => rules_of(policy, direction)
            .iter()
            .enumerate()
            .map(|(index, rule)| (index, rule, mismatch(&tier.known, own, rule, question.packet)))
            .collect(),
        false => Vec::new(),
    };
    let place = format!("tier {}, order {}", tier.name, order(policy));
    let sentence = match (counts, is_selected, policy.staged) {
        (true, _, None) => {
            let no_rule =
                if rules.is_empty() { format!(" and has no {direction} rule") } else { String::new() };
            format!("{key} selects {endpoint} for {direction} ({place}){no_rule}.")
        }
        (true, _, Some(_)) => {
            let would = would_do(
                direction,
                rules.iter().filter(|(.., mismatch)| mismatch.is_none()).map(|(i, rule, _)| (*i, *rule)),
            );
            format!(
                "{key} is staged and decides nothing ({place}). It would select {endpoint} for {direction}, where {would}."
            )
        }
        (false, true, _) => {
            format!("{key} selects {endpoint}, but its types, written or by default, lack {direction}.")
        }
        (false, false, _) => format!("{key} does not select {endpoint}{}.", why_not(policy, member)),
    };
    let rules = rules.iter().map(|(index, rule, mismatch)| {
        let name = format!("Rule {direction}[{index}] ({:?})", rule.action);
        let sentence = match mismatch {
            None => format!("{name} matches: {}.", asks(rule)),
            Some(mismatch) => format!("{name} does not match: {}.", why(mismatch, rule, question.packet)),
        };
        RuleAccount { rule: *index, matches: Truth::from(mismatch.is_none()), sentence, reasons: Vec::new() }
    });
    let applies = counts && policy.staged.is_none();
    PolicyAccount { policy: key.clone(), applies, sentence, rules: rules.collect() }
}

fn order(policy: &CalicoPolicy) -> String {
    policy.spec.order.map_or_else(|| "none, so the last".to_owned(), |order| order.to_string())
}

/// What a staged policy would do with a packet that comes to it.
fn would_do<'r>(direction: Direction, mut matching: impl Iterator<Item = (usize, &'r CalicoRule)>) -> String {
    let decides = matching.find(|(_, rule)| action_of(rule.action) != RuleAction::Log);
    match decides.map(|(index, rule)| (index, action_of(rule.action))) {
        Some((index, RuleAction::Allow)) => format!("its rule {direction}[{index}] would allow the packet"),
        Some((index, RuleAction::Deny)) => format!("its rule {direction}[{index}] would deny the packet"),
        Some((index, _)) => format!("its rule {direction}[{index}] would pass the packet to the next tier"),
        None => "no rule of it would decide about the packet".to_owned(),
    }
}

/// Why a policy does not select the pod.
fn why_not(policy: &CalicoPolicy, member: &Member<'_>) -> String {
    let (spec, labels) = (&policy.spec, &member.labels);
    if spec.do_not_track || spec.pre_dnat {
        return ": it is for the interfaces of hosts".to_owned();
    }
    if let Some(own) = policy.metadata.namespace.as_ref().filter(|own| labels.get(NAMESPACE) != Some(own)) {
        return format!(": it is for the pods of the namespace {own}");
    }
    let selectors = [
        ("selector", &spec.selector, Of::Itself),
        ("namespaceSelector", &spec.namespace_selector, Of::Namespace),
        ("serviceAccountSelector", &spec.service_account_selector, Of::ServiceAccount),
    ];
    let unmet = selectors.into_iter().find_map(|(name, selector, of)| {
        let selector = selector.as_ref().filter(|it| !holds(it, of, labels))?;
        Some(format!(": its {name} is {selector}"))
    });
    unmet.unwrap_or_default()
}

/// What a rule asks of a packet.
fn asks(rule: &CalicoRule) -> String {
    let mut asked = Vec::new();
    asked.extend(rule.family.map(|family| family_name(family).to_owned()));
    asked.extend(rule.protocol.map(|protocol| protocol.to_string()));
    asked.extend(rule.not_protocol.map(|protocol| format!("no {protocol}")));
    asked.extend(rule.icmp.map(|_| "ICMP messages of its type".to_owned()));
    asked.extend(rule.not_icmp.map(|_| "ICMP messages of other types".to_owned()));
    for (name, entity) in [("source", &rule.source), ("destination", &rule.destination)] {
        if !entity.is_empty() {
            asked.push(format!("{name} with {}", parts(entity)));
        }
    }
    if asked.is_empty() {
        "it is for every packet".to_owned()
    } else {
        format!("it is for {}", asked.join(", "))
    }
}

fn parts(entity: &EntityRule) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, text: Option<String>| parts.extend(text.map(|text| format!("{name} {text}")));
    part("nets", listed(&entity.nets));
    part("notNets", listed(&entity.not_nets));
    part("selector", entity.selector.as_ref().map(ToString::to_string));
    part("notSelector", entity.not_selector.as_ref().map(ToString::to_string));
    part("namespaceSelector", entity.namespace_selector.as_ref().map(ToString::to_string));
    if let Some(accounts) = &entity.service_accounts {
        part("serviceAccounts", listed(&accounts.names));
        part("serviceAccounts", accounts.selector.as_ref().map(ToString::to_string));
    }
    part("services", entity.services.as_ref().map(|it| it.name.clone()));
    part("ports", listed(&entity.ports));
    part("notPorts", listed(&entity.not_ports));
    parts.join(" and ")
}

fn listed<T: Display>(list: &[T]) -> Option<String> {
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// Why a rule does not match.
fn why(mismatch: &Mismatch<'_>, rule: &CalicoRule, packet: Packet) -> String {
    match mismatch {
        Mismatch::Family(family) => format!("it is for {}", family_name(*family)),
        Mismatch::Protocol(protocol) => format!("it is for {protocol}, and not for {}", packet.port),
        Mismatch::NotProtocol(protocol) => format!("it is for every protocol but {protocol}"),
        Mismatch::Icmp => format!("it is for other ICMP messages than {}", packet.port),
        Mismatch::End(name, lack) => {
            let (address, entity) = match *name {
                "source" => (packet.source, &rule.source),
                _ => (packet.destination, &rule.destination),
            };
            match lack {
                Lack::OtherFamily(field) => {
                    format!("the ranges of {name}.{field} are all of the other family")
                }
                Lack::Nets => format!("{name}.nets do not have {address}"),
                Lack::NotNets(range) => format!("{name}.notNets have {address} in {range}"),
                Lack::Selected => {
                    format!("nobody whom Calico knows at {address} is a {name} with {}", parts(entity))
                }
                Lack::NotSelected => match &entity.not_selector {
                    Some(selector) => {
                        format!("who is at {address} is as {name}.notSelector says ({selector})")
                    }
                    None => format!("{name}.notSelector excludes {address}"),
                },
                Lack::Service(service) => {
                    format!("{address} is no endpoint of the service {}, or not at that port", service.name)
                }
                Lack::Ports => format!("{name}.ports do not cover {}", packet.port),
                Lack::NotPorts => format!("{name}.notPorts exclude {}", packet.port),
            }
        }
    }
}
