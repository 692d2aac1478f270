//! Selectors joined as Calico joins them: those of a policy, and those of one end of a rule, each with the scope that the
//! policy gives it.
//!
//! Source: `libcalico-go/lib/backend/syncersv1/updateprocessors` (policies, and `rules.go`).

use crate::program::index::{NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, SERVICE_ACCOUNT};
use netproof_api::calico::{CalicoPolicySpec, Condition, EntityRule, Selector, ServiceAccountMatch};

/// What one end of a rule asks of whoever has the address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The address is a pod's or in a set that this matches.
    pub(super) among: Option<Selector>,
    /// It is nobody's that this matches. Beside `among` it is part of that: an address that two have is judged for each.
    pub(super) not_among: Option<Selector>,
}

/// The pods that a policy selects, of its namespace if it has one.
pub(super) fn subject(spec: &CalicoPolicySpec, namespace: Option<&str>) -> Selector {
    let own = namespace.map(in_namespace);
    let mut joined = all_of([spec.selector.clone(), own]);
    if let Some(selector) = &spec.namespace_selector {
        joined = all_of([joined, Some(prefixed(selector, OF_NAMESPACE))]);
        joined = joined.map(|it| replaced(it, &Selector::All, &has(NAMESPACE)));
    }
    if let Some(selector) = &spec.service_account_selector {
        joined = all_of([joined, Some(prefixed(selector, OF_SERVICE_ACCOUNT))]);
        joined = joined.map(|it| replaced(it, &Selector::All, &has(SERVICE_ACCOUNT)));
    }
    joined.unwrap_or(Selector::All)
}

/// What an end of a rule asks, in a policy of a namespace or of none.
pub(super) fn end(entity: &EntityRule, namespace: Option<&str>) -> Asked {
    let accounts = entity.service_accounts.as_ref().and_then(of_accounts);
    let own = all_of([accounts, entity.selector.clone()]);
    let scope = match &entity.namespace_selector {
        Some(selector) => Some(namespaces(selector)),
        // An end without any selector is not limited to the policy's namespace.
        None if own.is_some() || entity.not_selector.is_some() => namespace.map(in_namespace),
        None => None,
    };
    match (all_of([scope, own]), entity.not_selector.clone()) {
        (Some(among), Some(not)) => {
            let among = all_of([Some(among), Some(Selector::Not(Box::new(not)))]);
            Asked { among, not_among: None }
        }
        (among, not_among) => Asked { among, not_among },
    }
}

/// What is in namespaces that match; `all()` is every namespace, and `global()` none.
fn namespaces(selector: &Selector) -> Selector {
    let selector = replaced(prefixed(selector, OF_NAMESPACE), &Selector::All, &has(NAMESPACE));
    replaced(selector, &Selector::Global, &Selector::Not(Box::new(has(NAMESPACE))))
}

/// The pods of service accounts; both names and labels must match.
fn of_accounts(accounts: &ServiceAccountMatch) -> Option<Selector> {
    let names =
        (!accounts.names.is_empty()).then(|| label(SERVICE_ACCOUNT, Condition::In(accounts.names.clone())));
    let labels = accounts.selector.as_ref().map(|it| prefixed(it, OF_SERVICE_ACCOUNT));
    all_of([names, labels])
}

fn in_namespace(namespace: &str) -> Selector {
    label(NAMESPACE, Condition::Equals(namespace.to_owned()))
}

fn has(name: &str) -> Selector {
    label(name, Condition::Has)
}

fn label(name: &str, condition: Condition) -> Selector {
    Selector::Label { name: name.to_owned(), condition }
}

/// Those that are there, of which all must match.
fn all_of<const N: usize>(selectors: [Option<Selector>; N]) -> Option<Selector> {
    let mut there: Vec<Selector> = selectors.into_iter().flatten().collect();
    match there.len() {
        0 | 1 => there.pop(),
        _ => Some(Selector::And(there)),
    }
}

/// With a prefix before the name of each label.
fn prefixed(selector: &Selector, prefix: &str) -> Selector {
    let each = |operands: &[Selector]| operands.iter().map(|it| prefixed(it, prefix)).collect();
    match selector {
        Selector::All | Selector::Global => selector.clone(),
        Selector::Label { name, condition } => label(&format!("{prefix}{name}"), condition.clone()),
        Selector::Not(operand) => Selector::Not(Box::new(prefixed(operand, prefix))),
        Selector::And(operands) => Selector::And(each(operands)),
        Selector::Or(operands) => Selector::Or(each(operands)),
    }
}

/// With another selector wherever this one stands.
fn replaced(selector: Selector, what: &Selector, by: &Selector) -> Selector {
    let each = |operands: Vec<Selector>| operands.into_iter().map(|it| replaced(it, what, by)).collect();
    match selector {
        whole if whole == *what => by.clone(),
        Selector::Not(operand) => Selector::Not(Box::new(replaced(*operand, what, by))),
        Selector::And(operands) => Selector::And(each(operands)),
        Selector::Or(operands) => Selector::Or(each(operands)),
        leaf => leaf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::Source;
    use netproof_api::yaml::{from_node, parse};
    use serde::de::DeserializeOwned;

    fn read<T: DeserializeOwned>(text: &str) -> T {
        let source = Source::new("test.yaml", text);
        let node = parse(&source).unwrap().pop().unwrap();
        from_node(&node, &source).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The namespace of a policy, what it says, and the selector of its pods.
    #[test]
    fn whom_a_policy_selects() {
        for (namespace, says, expected) in [
            (None, "", "all()"),
            (None, "selector: a == 'x'", "a == 'x'"),
            (Some("shop"), "", "projectcalico.org/namespace == 'shop'"),
            (Some("shop"), "selector: a == 'x'", "a == 'x' && projectcalico.org/namespace == 'shop'"),
            (None, "namespaceSelector: all()", "has(projectcalico.org/namespace)"),
            (
                None,
                "selector: '!all()', namespaceSelector: b != 'y'",
                "!has(projectcalico.org/namespace) && pcns.b != 'y'",
            ),
            (
                None,
                "selector: all(), namespaceSelector: has(b), serviceAccountSelector: all() || has(c)",
                "(has(projectcalico.org/namespace) && has(pcns.b)) && (has(projectcalico.org/serviceaccount) || has(pcsa.c))",
            ),
            (
                Some("shop"),
                "serviceAccountSelector: \"c in {'z'}\"",
                "projectcalico.org/namespace == 'shop' && pcsa.c in {'z'}",
            ),
        ] {
            let spec: CalicoPolicySpec = read(&format!("{{tier: default, types: [Ingress], {says}}}"));
            assert_eq!(subject(&spec, namespace).to_string(), expected, "{namespace:?} {says}");
        }
    }

    /// The namespace of a policy, what an end of a rule says, among whom the address must be, and among whom not.
    #[test]
    fn whom_an_end_of_a_rule_means() {
        let shop = Some("shop");
        for (namespace, says, among, not_among) in [
            (None, "nets: [10.0.0.0/8]", "", ""),
            (shop, "nets: [10.0.0.0/8], ports: [web]", "", ""),
            (None, "selector: all()", "all()", ""),
            (None, "selector: a == 'x'", "a == 'x'", ""),
            (shop, "selector: a == 'x'", "projectcalico.org/namespace == 'shop' && a == 'x'", ""),
            (None, "notSelector: a == 'x'", "", "a == 'x'"),
            (shop, "notSelector: a == 'x'", "projectcalico.org/namespace == 'shop' && !a == 'x'", ""),
            (None, "selector: has(b), notSelector: a == 'x'", "has(b) && !a == 'x'", ""),
            (shop, "namespaceSelector: all()", "has(projectcalico.org/namespace)", ""),
            (
                shop,
                "namespaceSelector: global(), selector: has(b)",
                "!has(projectcalico.org/namespace) && has(b)",
                "",
            ),
            (None, "namespaceSelector: team != 'red', selector: all()", "pcns.team != 'red' && all()", ""),
            (None, "serviceAccounts: {names: [a, b]}", "projectcalico.org/serviceaccount in {'a', 'b'}", ""),
            (
                shop,
                "serviceAccounts: {names: [a], selector: role == 'x'}, selector: has(b)",
                "projectcalico.org/namespace == 'shop' && ((projectcalico.org/serviceaccount in {'a'} && pcsa.role == 'x') && has(b))",
                "",
            ),
            (None, "serviceAccounts: {}", "", ""),
        ] {
            let asked = end(&read(&format!("{{{says}}}")), namespace);
            let shown = |it: Option<Selector>| it.map_or_else(String::new, |it| it.to_string());
            assert_eq!(
                (shown(asked.among).as_str(), shown(asked.not_among).as_str()),
                (among, not_among),
                "{says}"
            );
        }
    }
}
