//! NetworkPolicy as written, defaulted and validated as the API server does
//! (`pkg/apis/networking/v1/defaults.go`, `pkg/apis/networking/validation`).

use super::metadata::{MetadataRules, object_meta};
use super::selector::label_selector;
use super::{Context, scalars, tables};
use crate::core::IntOrString;
use crate::networking::{
    IpBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule, NetworkPolicySpec,
    PolicyType,
};
use crate::reader::{Field, Fields};

const POLICY_TYPES: &[(&str, PolicyType)] =
    &[("Ingress", PolicyType::Ingress), ("Egress", PolicyType::Egress)];

pub(super) fn network_policy(document: &Field<'_>, context: &Context) -> Option<NetworkPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    if let Some(status) = object.get("status") {
        // Kubernetes 1.24 to 1.27 had one.
        status.warn("a NetworkPolicy has no status, and kubectl refuses it", "leave it out");
    }
    let fields = object.get("spec").and_then(|field| field.fields(SPEC));
    Some(NetworkPolicy { metadata, spec: spec(fields.as_ref()) })
}

/// The fields of `spec`.
pub(super) const SPEC: &[&str] = &["podSelector", "policyTypes", "ingress", "egress"];

/// `spec`, if there is one.
pub(super) fn spec(fields: Option<&Fields<'_>>) -> NetworkPolicySpec {
    let mut policy = NetworkPolicySpec {
        pod_selector: Default::default(),
        policy_types: Vec::new(),
        ingress: Vec::new(),
        egress: Vec::new(),
    };
    if let Some(spec) = fields {
        policy.pod_selector = spec.get("podSelector").map(|field| label_selector(&field)).unwrap_or_default();
        policy.policy_types = policy_types(spec);
        policy.ingress = spec.items("ingress").iter().filter_map(|field| rule(field, "from")).collect();
        policy.egress = spec.items("egress").iter().filter_map(|field| rule(field, "to")).collect();
    }
    // Without policyTypes a policy is for ingress, and for egress if it has an egress rule.
    if policy.policy_types.is_empty() {
        policy.policy_types.push(PolicyType::Ingress);
        if !policy.egress.is_empty() {
            policy.policy_types.push(PolicyType::Egress);
        }
    }
    policy
}

fn policy_types(spec: &Fields<'_>) -> Vec<PolicyType> {
    let items = spec.items("policyTypes");
    if let Some(field) = spec.get("policyTypes")
        && items.len() > 2
    {
        field.error("more than two policy types", "there are only Ingress and Egress");
    }
    items.iter().filter_map(|item| item.word("policy type", POLICY_TYPES)).collect()
}

/// A rule; its peers are the field `from` or `to`.
fn rule(field: &Field<'_>, peers: &str) -> Option<NetworkPolicyRule> {
    let fields = field.fields(&["ports", peers])?;
    if field.node.is_null() {
        field.warn("an empty item is a rule that allows everything", "write `{}` if that is meant");
    }
    Some(NetworkPolicyRule {
        peers: fields.items(peers).iter().filter_map(peer).collect(),
        ports: fields.items("ports").iter().filter_map(port).collect(),
    })
}

fn peer(field: &Field<'_>) -> Option<NetworkPolicyPeer> {
    let fields = field.fields(&["podSelector", "namespaceSelector", "ipBlock"])?;
    let pods = fields.get("podSelector").map(|field| label_selector(&field));
    let namespaces = fields.get("namespaceSelector").map(|field| label_selector(&field));
    match (fields.get("ipBlock"), &pods, &namespaces) {
        (None, None, None) => {
            let help = if field.node.entries().iter().any(|(_, value)| value.is_null()) {
                "a field with nothing after it is absent: `podSelector: {}` is every pod of the namespace"
            } else {
                "write `podSelector`, `namespaceSelector` or `ipBlock`; `podSelector: {}` is every pod of the \
                 namespace; leave the whole list out for everybody"
            };
            field.error("a peer must say whom it means", help);
            None
        }
        (Some(block), None, None) => ip_block(&block).map(NetworkPolicyPeer::IpBlock),
        (Some(block), _, _) => {
            let help = "make two items of it: `- ipBlock` and `- podSelector`";
            block.error("`ipBlock` cannot stand beside a selector", help);
            ip_block(&block);
            None
        }
        (None, _, _) => Some(NetworkPolicyPeer::Pods { namespace_selector: namespaces, pod_selector: pods }),
    }
}

fn ip_block(field: &Field<'_>) -> Option<IpBlock> {
    let fields = field.fields(&["cidr", "except"])?;
    let cidr = fields.require("cidr").and_then(|field| scalars::cidr(&field));
    let mut except = Vec::new();
    for field in fields.items("except") {
        let Some(range) = scalars::cidr(&field) else { continue };
        if let Some(cidr) = cidr {
            // Strictly within: of the same family, inside, and longer.
            let (outer, inner) = (cidr.net(), range.net());
            if !outer.contains(&inner.network()) || inner.prefix_len() <= outer.prefix_len() {
                let help = format!(
                    "write a part of {cidr}, or leave it out: what lies outside is not matched anyway"
                );
                field.error(format!("{range} is not strictly inside {cidr}"), help);
            }
        }
        except.push(range);
    }
    Some(IpBlock { cidr: cidr?, except })
}

fn port(field: &Field<'_>) -> Option<NetworkPolicyPort> {
    let fields = field.fields(&["protocol", "port", "endPort"])?;
    let protocol = scalars::optional_protocol(&fields);
    let written = fields.get("port");
    let port = written.as_ref().and_then(scalars::port);
    let end_port = fields.get("endPort");
    let end = end_port.as_ref().and_then(scalars::port_number);
    if let Some(end_port) = &end_port {
        match (&port, end) {
            (Some(IntOrString::Int(first)), Some(end)) if end < *first => {
                let help = format!("write a number from {first} up, or exchange the two");
                end_port.error(format!("the range ends at {end}, before it starts at {first}"), help);
            }
            (Some(IntOrString::String(name)), _) => {
                let help = format!("write the number of `{name}` as `port`");
                end_port.error("`endPort` needs a `port` that is a number", help);
            }
            (None, _) if written.is_none() => {
                end_port.error("`endPort` needs a `port`", "write the first port of the range as `port`");
            }
            _ => {}
        }
    }
    if written.is_some() && port.is_none() {
        return None;
    }
    Some(NetworkPolicyPort { protocol, port, end_port: end })
}
