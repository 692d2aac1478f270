//! What of a cluster stands in the matrix: its own pods and services and the external hosts, or what
//! `--from`, `--to` and `--port` choose.

use super::{Objects, Question};
use crate::explain::NoAnswer;
use crate::format::serving::{self, Port};
use crate::plan::Plan;
use netproof_api::Pod;
use netproof_api::suggest::did_you_mean;
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::flow::{Destination, FlowPort, FlowProtocol, ObjectName, PortRef, parse_port};
use netproof_model::{Family, NamespacedName, Place, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

const KINDS: [&str; 5] = ["external", "namespace", "node", "pod", "service"];

/// Which sources or destinations: `[KIND/][NAMESPACE/]NAME`, where a `*` stands for anything. Without a kind,
/// a name is that of a namespace, a pod, an external host or a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    kind: Option<&'static str>,
    namespace: Option<String>,
    name: String,
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
        let namespaced = matches!(kind, None | Some("pod" | "service"));
        let (namespace, name) = match parts.as_slice() {
            [name] => (None, *name),
            [namespace, name] if namespaced => (Some((*namespace).to_owned()), *name),
            [other, _] if !other.is_empty() && kind.is_none() => {
                return Err(format!("`{other}` is not a kind; the kinds are {}", KINDS.join(", ")));
            }
            _ => return Err("write [KIND/][NAMESPACE/]NAME, as in namespace/shop or pod/shop/web-*".into()),
        };
        if name.is_empty() || namespace.as_ref().is_some_and(String::is_empty) {
            return Err("write [KIND/][NAMESPACE/]NAME, as in namespace/shop or pod/shop/web-*".into());
        }
        Ok(Selector { text: text.to_owned(), kind, namespace, name: name.to_owned() })
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

    /// Whether it chooses a place.
    fn takes(&self, place: &Place) -> bool {
        match place {
            Place::Pod(pod) => self.matches("pod", Some(&pod.namespace), &pod.name),
            Place::Node(name) => self.matches("node", None, name),
            Place::External(name) => self.matches("external", None, name),
            Place::Router => false,
        }
    }

    fn takes_service(&self, service: &NamespacedName) -> bool {
        self.matches("service", Some(&service.namespace), &service.name)
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
    fn takes(&self, port: &Port) -> bool {
        match &self.0 {
            FlowPort::Icmp => false,
            FlowPort::Port { port: called, protocol } => {
                port.protocol == protocol.transport() && port.is_called(called)
            }
        }
    }
}

/// The rows and columns, without their ports.
pub(super) struct Chosen {
    pub(super) sources: Vec<Place>,
    destinations: Vec<Place>,
    services: Vec<NamespacedName>,
    ports: Vec<PortChoice>,
    own: Own,
}

/// What every cluster has: its DNS.
struct Own {
    pods: BTreeSet<NamespacedName>,
    services: BTreeSet<NamespacedName>,
}

impl Chosen {
    pub(super) fn new(plan: &Plan, snapshot: &Snapshot, question: &Question) -> Result<Chosen, NoAnswer> {
        let bare = ControlPlane::new(plan.topology.clone()).map_err(NoAnswer::Refused)?.snapshot();
        let own = Own {
            pods: bare.pods.keys().cloned().collect(),
            services: bare.services.keys().cloned().collect(),
        };
        let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network && is_there(pod));
        let pods = pods.map(|(name, _)| Place::Pod(name.clone()));
        let externals = snapshot.externals.keys().map(|name| Place::External(name.clone()));
        let nodes = snapshot.nodes.keys().map(|name| Place::Node(name.clone()));
        let places: Vec<Place> = pods.chain(externals).chain(nodes).collect();
        let usual = |place: &Place| match place {
            Place::Pod(name) => !own.pods.contains(name),
            Place::External(_) => true,
            Place::Node(_) | Place::Router => false,
        };
        let choose = |selectors: &[Selector]| -> Vec<Place> {
            let taken = |place: &&Place| match selectors {
                [] => usual(place),
                chosen => chosen.iter().any(|selector| selector.takes(place)),
            };
            places.iter().filter(taken).cloned().collect()
        };
        let services: Vec<NamespacedName> = snapshot
            .services
            .keys()
            .filter(|name| match question.to.as_slice() {
                [] => question.services && !own.services.contains(name),
                // A service is named, or is among others that are asked for.
                chosen => chosen.iter().any(|selector| {
                    selector.takes_service(name) && (question.services || selector.kind == Some("service"))
                }),
            })
            .cloned()
            .collect();
        let chosen = Chosen {
            sources: choose(&question.from),
            destinations: choose(&question.to),
            services,
            ports: question.ports.clone(),
            own,
        };
        for selector in &question.from {
            if !chosen.sources.iter().any(|place| selector.takes(place)) {
                return Err(no_match("--from", selector, &places, None));
            }
        }
        for selector in &question.to {
            let place = chosen.destinations.iter().any(|place| selector.takes(place));
            if !place && !chosen.services.iter().any(|service| selector.takes_service(service)) {
                return Err(no_match("--to", selector, &places, Some(snapshot)));
            }
        }
        Ok(chosen)
    }

    /// The destinations that serve each port, in the order of protocols and numbers.
    pub(super) fn columns(&self, snapshot: &Snapshot, family: Family) -> Vec<(FlowPort, Vec<Destination>)> {
        let mut columns: BTreeMap<(Protocol, u16), Vec<Destination>> = BTreeMap::new();
        let asked = |port: &Port| self.ports.is_empty() || self.ports.iter().any(|choice| choice.takes(port));
        let mut add = |port: &Port, destination: &Destination| {
            let column = columns.entry((port.protocol, port.number)).or_default();
            if port.served && asked(port) && !column.contains(destination) {
                column.push(destination.clone());
            }
        };
        let echo = self.ports.iter().any(|choice| choice.0 == FlowPort::Icmp);
        let mut answering = Vec::new();
        for place in self.destinations.iter().filter(|place| snapshot.address_of(place, family).is_some()) {
            let Some(destination) = destination_of(place) else { continue };
            serving::place(snapshot, place).ports.iter().for_each(|port| add(port, &destination));
            if echo {
                answering.push(destination);
            }
        }
        for name in &self.services {
            let Some(service) = snapshot.services.get(name) else { continue };
            let target = serving::service(snapshot, service);
            if target.addresses.iter().any(|address| Family::of(*address) == family) {
                let destination = Destination::Service(object_name(name));
                target.ports.iter().for_each(|port| add(port, &destination));
            }
        }
        let mut list: Vec<(FlowPort, Vec<Destination>)> = Vec::new();
        for ((protocol, number), destinations) in columns {
            if let Some(port) = flow_port(protocol, number).filter(|_| !destinations.is_empty()) {
                list.push((port, destinations));
            }
        }
        if !answering.is_empty() {
            list.push((FlowPort::Icmp, answering));
        }
        list
    }

    /// What there would be to ask about, where nothing is left.
    pub(super) fn hint(&self, snapshot: &Snapshot) -> String {
        if self.sources.is_empty() {
            return "no pod is there that could be a source".into();
        }
        let places = self.destinations.iter().map(|place| serving::place(snapshot, place));
        let services = self.services.iter().filter_map(|name| snapshot.services.get(name));
        let services = services.map(|service| serving::service(snapshot, service));
        let served: BTreeSet<String> = places
            .chain(services)
            .flat_map(|target| target.ports)
            .filter(|port| port.served)
            .map(|port| format!("{}/{}", port.number, port.protocol))
            .collect();
        match served.len() {
            0 => "the destinations serve no port: pods serve the `ports` of their containers; --port icmp asks \
                  for echoes"
                .into(),
            _ => {
                format!("the destinations serve {}", served.into_iter().collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// What the cluster has, its DNS left out.
    pub(super) fn objects(&self, snapshot: &Snapshot) -> Objects {
        let pods =
            || snapshot.pods.iter().filter(|(name, pod)| !self.own.pods.contains(name) && is_there(pod));
        Objects {
            pods: pods().filter(|(_, pod)| !pod.host_network).count(),
            host_network_pods: pods().filter(|(_, pod)| pod.host_network).count(),
            externals: snapshot.externals.len(),
            services: snapshot.services.keys().filter(|name| !self.own.services.contains(name)).count(),
            policies: snapshot.network_policies.len(),
        }
    }
}

/// Whether a pod has a network: one that has ended has none any more, and one that waits has none yet.
fn is_there(pod: &Pod) -> bool {
    !pod.phase.has_ended() && !pod.pod_ips.is_empty()
}

/// How many names a help lists.
const MOST_NAMES: usize = 20;

fn no_match(option: &str, selector: &Selector, places: &[Place], snapshot: Option<&Snapshot>) -> NoAnswer {
    let services = snapshot.iter().flat_map(|snapshot| snapshot.services.keys());
    let mut known: Vec<String> = places.iter().map(ToString::to_string).collect();
    known.extend(services.map(|name| format!("service/{name}")));
    // As it may be written: whole, without its kind, and by its name alone.
    let forms = |name: &str| -> Vec<String> {
        let parts: Vec<&str> = name.split('/').collect();
        (0..parts.len()).map(|from| parts[from..].join("/")).collect()
    };
    let all: Vec<String> = known.iter().flat_map(|name| forms(name)).collect();
    let near = did_you_mean(&selector.text, all.iter().map(String::as_str))
        .and_then(|near| known.iter().find(|name| forms(name).iter().any(|form| form == near)));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => match known.len().checked_sub(MOST_NAMES) {
            None | Some(0) => format!("there are {}", known.join(", ")),
            Some(more) => format!("there are {} and {more} more", known[..MOST_NAMES].join(", ")),
        },
    };
    NoAnswer::NoMatch { option: option.to_owned(), selector: selector.text.clone(), help }
}

/// The name by which a place is a destination.
fn destination_of(place: &Place) -> Option<Destination> {
    match place {
        Place::Pod(name) => Some(Destination::Pod(object_name(name))),
        Place::Node(name) => Some(Destination::Node(name.clone())),
        Place::External(name) => Some(Destination::External(name.clone())),
        Place::Router => None,
    }
}

/// The place that a destination is; `None` for a service.
pub(super) fn place_of(destination: &Destination) -> Option<Place> {
    match destination {
        Destination::Pod(name) => {
            Some(Place::pod(name.namespace.as_deref().unwrap_or("default"), name.name.as_str()))
        }
        Destination::Node(name) => Some(Place::node(name.as_str())),
        Destination::External(name) => Some(Place::external(name.as_str())),
        _ => None,
    }
}

pub(super) fn object_name(name: &NamespacedName) -> ObjectName {
    ObjectName { namespace: Some(name.namespace.clone()), name: name.name.clone() }
}

fn flow_port(protocol: Protocol, number: u16) -> Option<FlowPort> {
    let protocol = match protocol {
        Protocol::Tcp => FlowProtocol::Tcp,
        Protocol::Udp => FlowProtocol::Udp,
        Protocol::Sctp => FlowProtocol::Sctp,
        Protocol::Icmp => return None,
    };
    Some(FlowPort::Port { port: PortRef::Number(number), protocol })
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
