//! ClusterNetworkPolicy as written, validated as its CRD does (`config/crd` of kubernetes-sigs/network-policy-api,
//! v0.2.0, the experimental channel), and the kinds of v1alpha1, which become one.

mod peers;
mod protocols;
#[cfg(test)]
mod tests;

use super::metadata::{MetadataRules, object_meta};
use super::{Context, tables};
use crate::cluster_network_policy::{
    ClusterAction, ClusterNetworkPolicy, ClusterNetworkPolicySpec, ClusterRule, ClusterTier,
};
use crate::reader::{Field, Fields};
use netproof_model::{Direction, PolicyKind};
use peers::{peers, subject};
use protocols::{check_names, protocols};

const TIERS: &[(&str, ClusterTier)] = &[("Admin", ClusterTier::Admin), ("Baseline", ClusterTier::Baseline)];

/// The most characters of a rule's name.
const MAX_NAME: usize = 100;
/// The highest priority number.
const MAX_PRIORITY: u16 = 1000;

/// The one name of a BaselineAdminNetworkPolicy.
const BASELINE_NAME: &str = "default";

/// What tells the kinds apart.
struct Dialect {
    kind: PolicyKind,
    actions: &'static [(&'static str, ClusterAction)],
    /// The list of ports of a rule.
    ports: &'static str,
    /// The most rules of a direction, peers and ports of a rule.
    limit: usize,
}

const CLUSTER: Dialect = Dialect {
    kind: PolicyKind::ClusterNetworkPolicy,
    actions: &[
        ("Accept", ClusterAction::Accept),
        ("Deny", ClusterAction::Deny),
        ("Pass", ClusterAction::Pass),
    ],
    ports: "protocols",
    limit: 25,
};

const ADMIN: Dialect = Dialect {
    kind: PolicyKind::AdminNetworkPolicy,
    actions: &[
        ("Allow", ClusterAction::Accept),
        ("Deny", ClusterAction::Deny),
        ("Pass", ClusterAction::Pass),
    ],
    ports: "ports",
    limit: 100,
};

const BASELINE: Dialect = Dialect {
    kind: PolicyKind::BaselineAdminNetworkPolicy,
    actions: &[("Allow", ClusterAction::Accept), ("Deny", ClusterAction::Deny)],
    ..ADMIN
};

impl Dialect {
    fn is_v1alpha1(&self) -> bool {
        self.kind != PolicyKind::ClusterNetworkPolicy
    }

    /// The items of a list, of which there may be so many and no more.
    fn items<'a>(&self, list: &Field<'a>, what: &str, at_least: usize) -> Vec<Field<'a>> {
        let items = list.items();
        if items.len() > self.limit {
            let help = format!("there may be {} in one list: make two of it", self.limit);
            list.error(format!("{} {what} are too many", items.len()), help);
        }
        if items.len() < at_least && matches!(list.node.value, netproof_text::yaml::Value::Sequence(_)) {
            let help = match what {
                "peers" => "write whom it means: `namespaces: {}` is every pod of every namespace",
                "protocols" => "leave the list out for all traffic",
                _ => "write at least one",
            };
            list.error(format!("the list of {what} is empty"), help);
        }
        items
    }
}

/// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy.
pub(super) fn cluster_network_policy(
    document: &Field<'_>,
    context: &Context,
) -> Option<ClusterNetworkPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::CLUSTER, context);
    let spec = object.require("spec")?.fields(&["tier", "priority", "subject", "ingress", "egress"])?;
    let tier = spec.require("tier").and_then(|field| field.word("tier", TIERS));
    let (priority, spec) = (priority(&spec), read(&CLUSTER, &spec));
    let spec = ClusterNetworkPolicySpec { tier: tier?, priority: priority?, ..spec? };
    Some(ClusterNetworkPolicy { metadata, written_as: CLUSTER.kind, spec })
}

/// policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy: of the tier Admin, at the same priority.
pub(super) fn admin_network_policy(document: &Field<'_>, context: &Context) -> Option<ClusterNetworkPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::CLUSTER, context);
    let spec = object.require("spec")?.fields(&["priority", "subject", "ingress", "egress"])?;
    let (priority, spec) = (priority(&spec), read(&ADMIN, &spec));
    let spec = ClusterNetworkPolicySpec { priority: priority?, ..spec? };
    Some(ClusterNetworkPolicy { metadata, written_as: ADMIN.kind, spec })
}

/// policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy: of the tier Baseline, the only one that there is.
pub(super) fn baseline_admin_network_policy(
    document: &Field<'_>,
    context: &Context,
) -> Option<ClusterNetworkPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::CLUSTER, context);
    if metadata.name != BASELINE_NAME
        && let Some(name) = object.get("metadata").and_then(|field| field.mapping()?.text("name"))
    {
        let help = format!("write `{BASELINE_NAME}`, or write a ClusterNetworkPolicy of the tier Baseline");
        name.error(format!("the only BaselineAdminNetworkPolicy has the name `{BASELINE_NAME}`"), help);
    }
    let spec = object.require("spec")?.fields(&["subject", "ingress", "egress"])?;
    let spec = ClusterNetworkPolicySpec { tier: ClusterTier::Baseline, ..read(&BASELINE, &spec)? };
    Some(ClusterNetworkPolicy { metadata, written_as: BASELINE.kind, spec })
}

fn priority(spec: &Fields<'_>) -> Option<u16> {
    spec.require("priority").and_then(|field| field.integer("priority", 0..=MAX_PRIORITY))
}

/// What the kinds have in common. Tier and priority are those of the first policy that there could be.
fn read(dialect: &Dialect, spec: &Fields<'_>) -> Option<ClusterNetworkPolicySpec> {
    let subject = spec.require("subject").and_then(|field| subject(dialect, &field));
    let rules = |direction: Direction| -> Vec<ClusterRule> {
        let Some(list) = spec.get(&direction.to_string()) else { return Vec::new() };
        dialect.items(&list, "rules", 0).iter().filter_map(|field| rule(dialect, field, direction)).collect()
    };
    let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
    Some(ClusterNetworkPolicySpec {
        tier: ClusterTier::Admin,
        priority: 0,
        subject: subject?,
        ingress,
        egress,
    })
}

fn rule(dialect: &Dialect, field: &Field<'_>, direction: Direction) -> Option<ClusterRule> {
    let list = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let fields = field.fields(&["name", "action", list, dialect.ports])?;
    let name = fields.text("name").and_then(|field| rule_name(&field));
    let action = fields.require("action").and_then(|field| field.word("action", dialect.actions));
    let peers = fields.require(list).map(|field| peers(dialect, &field, direction));
    let ports = fields.get(dialect.ports);
    let protocols = ports.as_ref().map(|field| protocols(dialect, field)).unwrap_or_default();
    check_names(&protocols, peers.as_deref().unwrap_or_default(), ports.as_ref());
    let peers = peers?.into_iter().collect();
    Some(ClusterRule { name, action: action?, peers, protocols })
}

fn rule_name(field: &Field<'_>) -> Option<String> {
    let name = field.string()?;
    let length = name.chars().count();
    if length > MAX_NAME {
        field.error(
            format!("the name has {length} characters"),
            format!("write at most {MAX_NAME} characters"),
        );
    }
    Some(name.to_owned())
}

/// The one field of several that is there; reports an error if it is not one. `None` likewise, and for a peer or an
/// entry of which nothing is known (`unknown`).
fn only<'a, 'n>(fields: &Fields<'a>, names: &[&'n str], (what, help): (&str, &str)) -> One<'n, Field<'a>> {
    let found: Vec<_> = names.iter().filter_map(|name| Some((*name, fields.get(name)?))).collect();
    let field = fields.field();
    match <[(&str, Field<'_>); 1]>::try_from(found) {
        Ok([(name, found)]) => One::Is(name, found),
        Err(found) if found.is_empty() => {
            let unknown = field
                .node
                .entries()
                .iter()
                .any(|(key, value)| !names.contains(&key.name.as_str()) && !value.is_null());
            match (unknown, field.report().tolerates_unknown_fields()) {
                (true, true) => return One::Unknown,
                // The unknown field is an error of its own.
                (true, false) => {}
                (false, _) => field.error(format!("{what} must have one of {}", listed(names)), help),
            }
            One::Wrong
        }
        Err(found) => {
            let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
            field.error(format!("{what} cannot have {} at once", listed(&names)), help);
            One::Wrong
        }
    }
}

/// Which of several fields there is.
enum One<'n, F> {
    /// This one.
    Is(&'n str, F),
    /// One that a newer API server knows.
    Unknown,
    /// None or several, which is an error.
    Wrong,
}

/// `a`, `b` and `c`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
