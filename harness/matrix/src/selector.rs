//! What `--from`, `--to` and `--port` name.

use netproof_controlplane::Snapshot;
use netproof_model::flow::{FlowPort, FlowProtocol, PortRef, Source, parse_port};
use netproof_model::topology::ListenPort;
use netproof_model::{NamespacedName, Place};
use netproof_plan::flows::serving::Port;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

const KINDS: [&str; 7] = ["external", "loadbalancer", "namespace", "node", "nodeport", "pod", "service"];

/// What a selector looks like, for who wrote another.
const FORM: &str =
    "write [KIND/][NAMESPACE/]NAME, as in namespace/shop, pod/shop/web-* or external/198.51.100.7";

/// Which sources or destinations: `[KIND/][NAMESPACE/]NAME`, where a `*` stands for anything. Without a kind,
/// a name is that of a namespace, a pod, an external host or a service. A node port is
/// `nodeport/[NAMESPACE/]SERVICE[@NODE]`, and a host outside that nothing names is `external/ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    kind: Option<&'static str>,
    namespace: Option<String>,
    name: String,
    /// Of a node port, the node that is asked.
    node: Option<String>,
    /// The address that an external host is named by.
    address: Option<IpAddr>,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Selector, String> {
        let mut parts: Vec<&str> = text.split('/').collect();
        let kind = match parts.as_slice() {
            [first, _, ..] => KINDS.into_iter().find(|kind| kind == first),
            _ => None,
        };
        if kind.is_some() {
            parts.remove(0);
        }
        if let (Some("external"), [name]) = (kind, parts.as_slice())
            && name.contains(['[', ':'])
        {
            let host: Source = text.parse().map_err(|_| format!("`{name}` is not an IP address; {FORM}"))?;
            let Source::External(name) = host else { return Err(FORM.into()) };
            let address = name.parse().ok();
            return Ok(Selector { text: text.to_owned(), kind, namespace: None, name, node: None, address });
        }
        let namespaced = matches!(kind, None | Some("pod" | "service" | "loadbalancer" | "nodeport"));
        let (namespace, name) = match parts.as_slice() {
            [name] => (None, *name),
            [namespace, name] if namespaced => (Some((*namespace).to_owned()), *name),
            [other, _] if !other.is_empty() && kind.is_none() => {
                return Err(format!("`{other}` is not a kind; the kinds are {}", KINDS.join(", ")));
            }
            _ => return Err(FORM.into()),
        };
        let (name, node) = match (kind, name.split_once('@')) {
            (Some("nodeport"), Some((name, node))) if !node.is_empty() => (name, Some(node.to_owned())),
            (_, None) => (name, None),
            _ => return Err(FORM.into()),
        };
        if name.is_empty() || namespace.as_ref().is_some_and(String::is_empty) {
            return Err(FORM.into());
        }
        let address = name.parse().ok().filter(|_| kind == Some("external"));
        Ok(Selector { text: text.to_owned(), kind, namespace, name: name.to_owned(), node, address })
    }
}

impl Selector {
    fn matches(&self, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        let of_namespace = || namespace.is_some_and(|namespace| glob(&self.name, namespace));
        let of_name = || {
            let in_namespace = match (&self.namespace, namespace) {
                (Some(pattern), Some(namespace)) => glob(pattern, namespace),
                (Some(_), None) => false,
                (None, _) => true,
            };
            in_namespace && glob(&self.name, name)
        };
        match self.kind {
            Some("namespace") => of_namespace(),
            Some(own) => own == kind && of_name(),
            // Nodes are asked for by their kind only.
            None if kind == "node" => false,
            None => (self.namespace.is_none() && of_namespace()) || of_name(),
        }
    }

    /// The address of an external host that it names by that.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether it chooses a place, external hosts by their addresses, too.
    pub(super) fn takes_in(&self, place: &Place, snapshot: &Snapshot) -> bool {
        let has = |address: &IpAddr| match place {
            Place::External(name) => {
                snapshot.externals.get(name).is_some_and(|host| host.addresses.contains(address))
            }
            _ => false,
        };
        self.takes(place) || self.address.as_ref().is_some_and(has)
    }

    /// Whether it chooses a place by its name.
    pub(super) fn takes(&self, place: &Place) -> bool {
        match place {
            Place::Pod(pod) => self.matches("pod", Some(&pod.namespace), &pod.name),
            Place::Node(name) => self.matches("node", None, name),
            Place::External(name) => self.matches("external", None, name),
            Place::Router => false,
        }
    }

    /// Whether it chooses what is addressed by a service's name.
    pub(super) fn takes_service(&self, service: &NamespacedName) -> bool {
        self.matches("service", Some(&service.namespace), &service.name)
    }

    /// Whether it chooses a service at its load balancer, which is named by that or by the service alone.
    pub(super) fn takes_load_balancer(&self, service: &NamespacedName) -> bool {
        self.matches("loadbalancer", Some(&service.namespace), &service.name)
    }

    /// Whether it chooses the node port of a service at a node, likewise.
    pub(super) fn takes_node_port(&self, service: &NamespacedName, node: &str) -> bool {
        self.node.as_ref().is_none_or(|pattern| glob(pattern, node))
            && self.matches("nodeport", Some(&service.namespace), &service.name)
    }

    /// Whether services need not be asked for beside it.
    pub(super) fn names_services(&self) -> bool {
        matches!(self.kind, Some("service" | "nodeport" | "loadbalancer"))
    }

    /// Whether it asks for load balancers.
    pub(super) fn names_balancers(&self) -> bool {
        self.kind == Some("loadbalancer")
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a text is what the pattern says, where `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A port to ask for, as flows write it: `80`, `53/udp`, `metrics/tcp`, `icmp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChoice(FlowPort);

impl FromStr for PortChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<PortChoice, String> {
        let port = parse_port(text).map_err(|error| format!("{}; {}", error.message, error.help))?;
        Ok(PortChoice(port))
    }
}

impl PortChoice {
    /// Whether it asks for echoes.
    pub(super) fn is_echo(&self) -> bool {
        self.0 == FlowPort::Icmp
    }

    /// The port that everybody can be asked at: it has a number.
    pub(super) fn number(&self) -> Option<ListenPort> {
        match self.0 {
            FlowPort::Port { port: PortRef::Number(port), protocol } => {
                Some(ListenPort { port, protocol: FlowProtocol::transport(protocol) })
            }
            _ => None,
        }
    }

    pub(super) fn takes(&self, port: &Port) -> bool {
        match &self.0 {
            FlowPort::Icmp => false,
            FlowPort::Port { port: called, protocol } => {
                port.protocol == protocol.transport() && port.is_called(called)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web-0", false),
            ("web-*", "web-0", true),
            ("web-*", "web", false),
            ("*-0", "web-0", true),
            ("*", "", true),
            ("w*b*0", "web-0", true),
            ("w*b*1", "web-0", false),
            ("a*a", "a", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn selectors() {
        let pod = Place::pod("shop", "web-0");
        for (text, expected) in [
            ("shop", true),
            ("web-0", true),
            ("web-*", true),
            ("shop/web-0", true),
            ("other/web-0", false),
            ("pod/web-0", true),
            ("pod/shop/web-*", true),
            ("pod/shop", false),
            ("namespace/shop", true),
            ("namespace/web-0", false),
            ("external/shop", false),
            ("node/web-0", false),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().takes(&pod), expected, "{text}");
        }
        for text in ["", "pod/", "/web", "pod/a/b/c", "namespace/a/b", "external/a/b"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        assert!(!"node1".parse::<Selector>().unwrap().takes(&Place::node("node1")));
        assert!("node/node1".parse::<Selector>().unwrap().takes(&Place::node("node1")));
    }
}
