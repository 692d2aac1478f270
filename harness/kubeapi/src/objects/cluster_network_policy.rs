//! ClusterNetworkPolicies, and the kinds of v1alpha1 in their own form.

use super::metadata::metadata;
use super::{fields, insert, insert_filled, object};
use netproof_api::core::TransportProtocol;
use netproof_api::{
    ClusterAction, ClusterNetworkPolicy, ClusterPeer, ClusterPort, ClusterRule, ClusterSubject,
};
use netproof_model::PolicyKind;
use serde_json::{Map, Value, json};

/// How the kinds differ.
#[derive(Clone, Copy)]
struct Form {
    accept: &'static str,
    ports: &'static str,
    port: fn(&ClusterPort) -> Value,
}

const V1ALPHA2: Form = Form { accept: "Accept", ports: "protocols", port: protocol };
const V1ALPHA1: Form = Form { accept: "Allow", ports: "ports", port };

pub(super) fn cluster_network_policy(policy: &ClusterNetworkPolicy) -> Value {
    let kind = policy.written_as;
    let (version, form) = match kind {
        PolicyKind::AdminNetworkPolicy | PolicyKind::BaselineAdminNetworkPolicy => ("v1alpha1", V1ALPHA1),
        _ => ("v1alpha2", V1ALPHA2),
    };
    let spec = &policy.spec;
    let subject = match &spec.subject {
        ClusterSubject::Namespaces(selector) => json!({"namespaces": selector}),
        ClusterSubject::Pods(pods) => json!({"pods": pods}),
    };
    let mut fields = fields([("subject", subject)]);
    if kind == PolicyKind::ClusterNetworkPolicy {
        fields.insert("tier".into(), json!(spec.tier));
    }
    if kind != PolicyKind::BaselineAdminNetworkPolicy {
        fields.insert("priority".into(), json!(spec.priority));
    }
    insert_filled(&mut fields, "ingress", spec.ingress.iter().map(|it| form.rule(it, "from")).collect());
    insert_filled(&mut fields, "egress", spec.egress.iter().map(|it| form.rule(it, "to")).collect());
    let api_version = format!("{}/{version}", kind.group());
    object(&api_version, kind.name(), metadata(&policy.metadata), [("spec", fields.into())])
}

impl Form {
    fn rule(self, rule: &ClusterRule, peers: &str) -> Value {
        let action = match rule.action {
            ClusterAction::Accept => self.accept,
            ClusterAction::Deny => "Deny",
            ClusterAction::Pass => "Pass",
        };
        let mut fields = fields([("action", action.into())]);
        insert(&mut fields, "name", &rule.name);
        insert_filled(&mut fields, peers, rule.peers.iter().map(peer).collect());
        insert_filled(&mut fields, self.ports, rule.protocols.iter().map(self.port).collect());
        fields.into()
    }
}

/// What is not known of a peer or a protocol leaves an empty object, as for a client of an older version.
fn peer(peer: &ClusterPeer) -> Value {
    match peer {
        ClusterPeer::Namespaces(selector) => json!({"namespaces": selector}),
        ClusterPeer::Pods(pods) => json!({"pods": pods}),
        ClusterPeer::Nodes(selector) => json!({"nodes": selector}),
        ClusterPeer::Networks(networks) => json!({"networks": networks}),
        ClusterPeer::Unknown => Map::new().into(),
    }
}

/// An entry of `protocols` of v1alpha2.
fn protocol(port: &ClusterPort) -> Value {
    let of = |protocol: &TransportProtocol, destination: Value| {
        let name = match protocol {
            TransportProtocol::Tcp => "tcp",
            TransportProtocol::Udp => "udp",
            TransportProtocol::Sctp => "sctp",
        };
        let destination = json!({"destinationPort": destination});
        fields([(name, destination)]).into()
    };
    match port {
        ClusterPort::Number { protocol, number } => of(protocol, json!({"number": number})),
        ClusterPort::Range { protocol, start, end } => {
            of(protocol, json!({"range": {"start": start, "end": end}}))
        }
        ClusterPort::Named(name) => json!({"destinationNamedPort": name}),
        ClusterPort::Unknown => json!({"destinationNamedPort": ""}),
    }
}

/// An entry of `ports` of v1alpha1.
fn port(port: &ClusterPort) -> Value {
    match port {
        ClusterPort::Number { protocol, number } => {
            json!({"portNumber": {"protocol": protocol, "port": number}})
        }
        ClusterPort::Range { protocol, start, end } => {
            json!({"portRange": {"protocol": protocol, "start": start, "end": end}})
        }
        ClusterPort::Named(name) => json!({"namedPort": name}),
        ClusterPort::Unknown => json!({"namedPort": ""}),
    }
}
