//! Objects, and their parts, as the items of a scenario file.

use crate::case::{Cluster, Life, Pod, PodPort, Service, ServiceKind, ServicePort, node_name};
use crate::policy::{Labels, Peer, PortEntry, PortName, Requirement, Selector};
use netproof_api::core::TransportProtocol;
use netproof_api::selector::Operator;
use netproof_model::{Family, NamespacedName};
use std::fmt::Display;

/// What `label:` says to make new labels of old ones.
pub(super) fn label_changes(old: &Labels, new: &Labels) -> String {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| format!("{}: null", quoted(key)));
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let set = set.map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)));
    braces(gone.chain(set))
}

/// The fields of a pod's short form, without its braces.
pub(super) fn short_pod(name: &NamespacedName, pod: &Pod) -> String {
    let NamespacedName { namespace, name } = name;
    let (namespace, labels, node) = (quoted(namespace), mapping(&pod.labels), node_name(pod.node));
    let mut text = format!("name: {name}, namespace: {namespace}, labels: {labels}, node: {node}");
    if pod.host_network {
        text.push_str(", hostNetwork: true");
    } else {
        let addresses = pod.addresses().map(|address| quoted(&address.to_string()));
        text.push_str(&format!(", ip: {}", list(addresses)));
    }
    text.push_str(&format!(", ports: {}", list(pod.ports.iter().map(pod_port))));
    if !pod.ready {
        text.push_str(", ready: false");
    }
    if pod.life == Life::Terminates {
        text.push_str(", terminating: true");
    }
    text
}

/// The manifest of a pod that has ended, which the short form has no word for.
pub(super) fn ended_pod(name: &NamespacedName, pod: &Pod) -> String {
    let NamespacedName { namespace, name } = name;
    let (namespace, labels, node) = (quoted(namespace), mapping(&pod.labels), node_name(pod.node));
    let ports = pod.ports.iter().map(|PodPort { name, number, protocol }| {
        let name = name.as_ref().map(|name| format!("name: {name}"));
        let fields = [Some(format!("containerPort: {number}")), Some(format!("protocol: {protocol}")), name];
        braces(fields.into_iter().flatten())
    });
    let container =
        braces(["name: main".to_owned(), "image: netproof".to_owned(), format!("ports: {}", list(ports))]);
    let network = if pod.host_network { ", hostNetwork: true" } else { "" };
    let addresses = pod.addresses().map(|address| format!("{{ip: {}}}", quoted(&address.to_string())));
    let addresses = if pod.host_network { String::new() } else { format!(", podIPs: {}", list(addresses)) };
    braces([
        "apiVersion: v1".to_owned(),
        "kind: Pod".to_owned(),
        format!("metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}"),
        format!("spec: {{nodeName: {node}{network}, containers: [{container}]}}"),
        format!("status: {{phase: Succeeded{addresses}}}"),
    ])
}

/// The fields of a service's short form, without its braces.
pub(super) fn short_service(name: &NamespacedName, service: &Service, cluster: &Cluster) -> String {
    let NamespacedName { namespace, name } = name;
    let port =
        |it: &ServicePort| quoted(&format!("{}:{}{}", it.number, it.target, protocol_suffix(it.protocol)));
    let ports = list(service.ports.iter().map(port));
    let (namespace, selector) = (quoted(namespace), mapping(&service.selector));
    let mut text = format!("name: {name}, namespace: {namespace}, selector: {selector}, ports: {ports}");
    let local = match service.kind {
        ServiceKind::ClusterIp | ServiceKind::Headless => false,
        ServiceKind::NodePort { local } => {
            text.push_str(", type: NodePort");
            local
        }
        ServiceKind::LoadBalancer { local } => {
            text.push_str(", type: LoadBalancer");
            local
        }
    };
    let own = service.addresses().into_iter().find(|address| Family::of(*address) == cluster.primary());
    match own.filter(|_| service.kind != ServiceKind::Headless) {
        Some(address) => text.push_str(&format!(", clusterIP: {}", quoted(&address.to_string()))),
        None => text.push_str(", clusterIP: None"),
    }
    if local {
        text.push_str(", externalTrafficPolicy: Local");
    }
    if service.internal_local {
        text.push_str(", internalTrafficPolicy: Local");
    }
    if service.publish_not_ready {
        text.push_str(", publishNotReadyAddresses: true");
    }
    text
}

/// A container port: `web:80/udp`.
pub(super) fn pod_port(port: &PodPort) -> String {
    let name = port.name.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    quoted(&format!("{name}{}", flow_port(port.number, port.protocol)))
}

/// A port as flows name it: `80`, `53/udp`.
pub(super) fn flow_port(number: u16, protocol: TransportProtocol) -> String {
    format!("{number}{}", protocol_suffix(protocol))
}

fn protocol_suffix(protocol: TransportProtocol) -> &'static str {
    match protocol {
        TransportProtocol::Tcp => "",
        TransportProtocol::Udp => "/udp",
        TransportProtocol::Sctp => "/sctp",
    }
}

/// An item of `from` or `to`.
pub(super) fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods(pods) => format!("{{podSelector: {}}}", selector(pods)),
        Peer::Namespaces(namespaces) => format!("{{namespaceSelector: {}}}", selector(namespaces)),
        Peer::PodsOfNamespaces(namespaces, pods) => {
            format!("{{namespaceSelector: {}, podSelector: {}}}", selector(namespaces), selector(pods))
        }
        Peer::Block(cidr, except) => {
            let range = |range: &ipnet::IpNet| quoted(&range.to_string());
            let except = except.as_ref().map(|all| format!(", except: {}", list(all.iter().map(range))));
            format!("{{ipBlock: {{cidr: {}{}}}}}", range(cidr), except.unwrap_or_default())
        }
    }
}

/// An item of `ports`.
pub(super) fn port_entry(entry: &PortEntry) -> String {
    let protocol = entry.protocol.map(|protocol| format!("protocol: {protocol}"));
    let port = entry.port.as_ref().map(|port| match port {
        PortName::Number(number) => format!("port: {number}"),
        PortName::Name(name) => format!("port: {}", quoted(name)),
    });
    let end = entry.end.map(|end| format!("endPort: {end}"));
    braces([protocol, port, end].into_iter().flatten())
}

/// A label selector.
pub(super) fn selector(selector: &Selector) -> String {
    let labels = selector.labels.as_ref().map(|labels| format!("matchLabels: {}", mapping(labels)));
    let requirement = |it: &Requirement| {
        let Requirement { key, operator, values } = it;
        let word = match operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
        };
        let values =
            (!values.is_empty()).then(|| format!(", values: {}", list(values.iter().map(|it| quoted(it)))));
        format!("{{key: {}, operator: {word}{}}}", quoted(key), values.unwrap_or_default())
    };
    let expressions = selector.expressions.as_ref();
    let expressions =
        expressions.map(|all| format!("matchExpressions: {}", list(all.iter().map(requirement))));
    braces([labels, expressions].into_iter().flatten())
}

/// Labels.
pub(super) fn mapping(labels: &Labels) -> String {
    braces(labels.iter().map(|(key, value)| format!("{}: {}", quoted(key), quoted(value))))
}

/// A list in one line.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    format!("[{}]", joined(items))
}

/// A mapping in one line, of fields.
pub(super) fn braces<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    format!("{{{}}}", joined(items))
}

fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A string as YAML reads it back: plain where nothing in it means anything.
pub(super) fn quoted(text: &str) -> String {
    const WORDS: [&str; 7] = ["true", "false", "null", "yes", "no", "on", "off"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("{text:?}") }
}
