//! NetworkPolicy and GlobalNetworkPolicy, and their staged forms.

use super::super::Context;
use super::super::tables;
use super::Dialect;
use super::metadata::{check_namespaced_policy_name, check_policy_name, check_tier_name, metadata, rules};
use super::rule::{Owner, rules as rules_of};
use super::scalars::{order, plain_selector};
use super::staged::staged_action;
use crate::calico::{CalicoPolicy, CalicoPolicySpec, DEFAULT_TIER};
use crate::networking::PolicyType;
use crate::reader::{Field, Fields};
use netproof_model::{Direction, PolicyKind, policy::Role};
use netproof_text::source::Span;
use netproof_text::yaml::{Node, Style, Value};

const TYPES: &[(&str, PolicyType)] = &[("Ingress", PolicyType::Ingress), ("Egress", PolicyType::Egress)];

/// Where defaulting says in which tier a policy is.
const TIER_LABEL: &str = "projectcalico.org/tier";

/// The spec of an object without one.
static NO_SPEC: Node = Node { value: Value::Null, span: Span { start: 0, end: 0 }, style: Style::Plain };

const HINTS: &[(&str, ())] = &[("AssumeNeededOnEveryNode", ())];

const COMMON: [&str; 8] =
    ["tier", "order", "selector", "serviceAccountSelector", "types", "ingress", "egress", "performanceHints"];
/// What only cluster-scoped policies have: they may be those of hosts.
const GLOBAL: [&str; 4] = ["namespaceSelector", "doNotTrack", "preDNAT", "applyOnForward"];

/// A policy of one of the four kinds.
pub(super) fn policy(
    kind: PolicyKind,
    document: &Field<'_>,
    dialect: Dialect,
    context: &Context,
) -> Option<CalicoPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let check_name = if kind.is_namespaced() { check_namespaced_policy_name } else { check_policy_name };
    let mut metadata = metadata(&object, rules(kind.is_namespaced(), check_name), dialect, context);
    let mut known = COMMON.to_vec();
    if !kind.is_namespaced() {
        known.extend(GLOBAL);
    }
    if kind.role() == Role::Staged {
        known.push("stagedAction");
    }
    let spec = object.get("spec").unwrap_or_else(|| Field::document(document.report(), &NO_SPEC));
    let spec = spec.fields(&known)?;
    let staged = (kind.role() == Role::Staged).then(|| staged_action(&spec, &known));
    let spec = read(kind, &spec, dialect);
    metadata.labels.insert(TIER_LABEL.to_owned(), spec.tier.clone());
    Some(CalicoPolicy { metadata, staged, spec })
}

fn read(kind: PolicyKind, spec: &Fields<'_>, dialect: Dialect) -> CalicoPolicySpec {
    let owner = |direction| Owner { direction, is_namespaced: kind.is_namespaced(), dialect };
    let selector = |name| spec.get(name).and_then(|field| plain_selector(&field));
    // What only cluster-scoped policies have is an unknown field of the others.
    let is_set = |name| {
        let field = spec.get(name).filter(|_| !kind.is_namespaced());
        field.and_then(|field| field.boolean()).unwrap_or(false)
    };
    let tier = spec.text("tier").and_then(|field| field.checked("tier", check_tier_name));
    for hint in spec.items("performanceHints") {
        hint.word("hint", HINTS);
    }
    let (ingress, egress) =
        (rules_of(spec, owner(Direction::Ingress)), rules_of(spec, owner(Direction::Egress)));
    let has = |name: &str| spec.get(name).is_some_and(|list| !list.node.items().is_empty());
    let policy = CalicoPolicySpec {
        tier: tier.unwrap_or(DEFAULT_TIER).to_owned(),
        order: spec.get("order").and_then(|field| order(&field)),
        selector: selector("selector"),
        namespace_selector: if kind.is_namespaced() { None } else { selector("namespaceSelector") },
        service_account_selector: selector("serviceAccountSelector"),
        types: types(spec, dialect, (has("ingress"), has("egress"))),
        ingress,
        egress,
        do_not_track: is_set("doNotTrack"),
        pre_dnat: is_set("preDNAT"),
        apply_on_forward: is_set("applyOnForward"),
    };
    check_stages(spec, &policy);
    policy
}

/// `types`, or by the rules that there are what it would say. Calico's API takes a policy without rules for one of
/// ingress, and one with egress rules alone for one of egress alone, unlike NetworkPolicy's.
fn types(spec: &Fields<'_>, dialect: Dialect, (ingress, egress): (bool, bool)) -> Vec<PolicyType> {
    let items = spec.items("types");
    if items.is_empty() {
        return match (dialect, ingress, egress) {
            // `felix/calc/policy_sorter.go`
            (Dialect::Stored, ..) => {
                let place = spec.get("types").unwrap_or_else(|| spec.field().clone());
                place.warn(
                    "a stored policy without `types` applies in both directions",
                    "write `types`, or apply it as projectcalico.org/v3, which fills them in by the rules",
                );
                vec![PolicyType::Ingress, PolicyType::Egress]
            }
            (Dialect::Api, _, false) => vec![PolicyType::Ingress],
            (Dialect::Api, false, true) => vec![PolicyType::Egress],
            (Dialect::Api, true, true) => vec![PolicyType::Ingress, PolicyType::Egress],
        };
    }
    let mut types = Vec::new();
    for item in &items {
        match item.word("policy type", TYPES) {
            Some(of) if types.contains(&of) => {
                item.error("the policy type stands twice", "leave one of them out");
            }
            found => types.extend(found),
        }
    }
    for (of, name, has_rules) in
        [(PolicyType::Ingress, "ingress", ingress), (PolicyType::Egress, "egress", egress)]
    {
        if has_rules
            && !types.contains(&of)
            && let Some(field) = spec.get(name)
        {
            let help = format!("add {of:?} to `types`, or leave the rules out");
            field.warn(format!("the {name} rules have no effect: `types` has no {of:?}"), help);
        }
    }
    types
}

/// The policies of hosts that apply before others (`doNotTrack`, `preDNAT`) apply to what is forwarded, too, and
/// before destinations are translated there is no egress.
fn check_stages(spec: &Fields<'_>, policy: &CalicoPolicySpec) {
    let stages = [("doNotTrack", policy.do_not_track), ("preDNAT", policy.pre_dnat)];
    for (name, _) in stages.iter().filter(|(_, is_set)| *is_set && !policy.apply_on_forward) {
        if let Some(field) = spec.get(name) {
            let help = "add `applyOnForward: true`";
            field.error(format!("`{name}` needs `applyOnForward`"), help);
        }
    }
    if policy.do_not_track
        && policy.pre_dnat
        && let Some(field) = spec.get("preDNAT")
    {
        field.error("`preDNAT` and `doNotTrack` exclude each other", "make two policies of it");
    }
    if !policy.pre_dnat {
        return;
    }
    if let Some(field) = spec.get("egress").filter(|_| !policy.egress.is_empty()) {
        let help = "leave the rules out, or `preDNAT`";
        field.error("a policy with `preDNAT` has no egress rules", help);
    }
    let is_egress = |item: &&Field<'_>| item.node.as_str() == Some("Egress");
    if let Some(field) = spec.items("types").iter().find(is_egress) {
        field.error("a policy with `preDNAT` is for ingress alone", "write `types: [Ingress]`");
    }
}
