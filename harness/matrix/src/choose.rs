//! What of a cluster stands in the matrix: its own pods and services and the external hosts, or what
//! `--from`, `--to` and `--port` choose.

use crate::left_out::{LeftOut, Why};
use crate::question::{NoAnswer, Question};
use crate::selector::{PortChoice, Selector};
use crate::table::Objects;
use netproof_api::suggest::did_you_mean;
use netproof_api::{Pod, Service};
use netproof_controlplane::Snapshot;
use netproof_model::flow::{Destination, FlowPort, FlowProtocol, ObjectName, PortRef};
use netproof_model::{Family, NamespacedName, Place, Protocol};
use netproof_plan::Plan;
use netproof_plan::flows::ResolvedDestination;
use netproof_plan::flows::serving::{self, Port};
use netproof_plan::inferred::Outside;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The rows and columns, without their ports.
pub(super) struct Chosen {
    pub(super) sources: Vec<Place>,
    destinations: Vec<Place>,
    /// What is addressed by the name of a service: its cluster IP, its node ports, its load balancer.
    services: Vec<Destination>,
    /// What was chosen and can be no destination.
    left_out: Vec<LeftOut>,
    ports: Vec<PortChoice>,
    own: Own,
}

/// What every cluster has: its DNS.
struct Own {
    pods: BTreeSet<NamespacedName>,
    services: BTreeSet<NamespacedName>,
}

impl Own {
    fn of(plan: &Plan) -> Own {
        Own {
            pods: plan.own.pods.keys().cloned().collect(),
            services: plan.own.services.keys().cloned().collect(),
        }
    }
}

impl Chosen {
    pub(super) fn new(
        plan: &Plan,
        snapshot: &Snapshot,
        question: &Question,
        outside: &Outside,
    ) -> Result<Chosen, NoAnswer> {
        let own = Own::of(plan);
        let pods = snapshot.pods.iter().filter(|(_, pod)| absent(pod).is_none());
        let pods = pods.map(|(name, _)| Place::Pod(name.clone()));
        let externals = snapshot.externals.keys().map(|name| Place::External(name.clone()));
        let nodes = snapshot.nodes.keys().map(|name| Place::Node(name.clone()));
        let places: Vec<Place> = pods.chain(externals).chain(nodes).collect();
        let choose = |selectors: &[Selector], classes: &[netproof_plan::inferred::Class]| -> Vec<Place> {
            let usual = |place: &Place| match place {
                Place::Pod(name) => !own.pods.contains(name),
                // One that stands for a class of addresses stands there where that makes a difference.
                Place::External(name) => {
                    !plan.stand_ins.as_ref().is_some_and(|made_up| made_up.contains(name))
                        || classes.iter().any(|class| class.host.as_ref() == Ok(name))
                }
                Place::Node(_) | Place::Router => false,
            };
            let taken = |place: &&Place| match selectors {
                [] => usual(place),
                chosen => chosen.iter().any(|selector| selector.takes_in(place, snapshot)),
            };
            places.iter().filter(taken).cloned().collect()
        };
        let sources = choose(&question.from, &outside.ingress);
        let destinations = choose(&question.to, &outside.egress);
        let mut left_out = pods_left_out(snapshot, question, &own);
        let services = services(snapshot, question, &own, &mut left_out);
        for selector in &question.from {
            if !sources.iter().any(|place| selector.takes_in(place, snapshot)) {
                return Err(no_match("--from", selector, &places, None, snapshot));
            }
        }
        for selector in &question.to {
            let place = destinations.iter().any(|place| selector.takes_in(place, snapshot));
            let is_left_out = || left_out.iter().any(|it| it.is_named_by(selector));
            if !place && !services.iter().any(|it| takes(selector, it)) && !is_left_out() {
                return Err(no_match("--to", selector, &places, Some(snapshot), snapshot));
            }
        }
        Ok(Chosen { sources, destinations, services, left_out, ports: question.ports.clone(), own })
    }

    /// The destinations that are asked at each port, in the order of protocols and numbers.
    pub(super) fn columns(&self, snapshot: &Snapshot, family: Family) -> Vec<(FlowPort, Vec<Destination>)> {
        let mut columns: BTreeMap<(Protocol, u16), Vec<Destination>> = BTreeMap::new();
        let asked = |port: &Port| self.ports.is_empty() || self.ports.iter().any(|choice| choice.takes(port));
        let mut add = |port: &Port, destination: &Destination| {
            let column = columns.entry((port.protocol, port.number)).or_default();
            // Its own ports are asked one after the other.
            if port.served && asked(port) && column.last() != Some(destination) {
                column.push(destination.clone());
            }
        };
        let echo = self.ports.iter().any(PortChoice::is_echo);
        let mut answering = Vec::new();
        for (destination, target) in self.targets(snapshot) {
            if !target.addresses.iter().any(|address| Family::of(*address) == family) {
                continue;
            }
            target.ports.iter().for_each(|port| add(port, &destination));
            if echo && target.answers_echo {
                answering.push(destination);
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

    /// The destinations, with their addresses and ports.
    fn targets<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = (Destination, ResolvedDestination)> + 'a {
        let places = self
            .destinations
            .iter()
            .filter_map(|place| Some((destination_of(place)?, serving::place(snapshot, place))));
        let services = self
            .services
            .iter()
            .filter_map(|destination| Some((destination.clone(), service_target(snapshot, destination)?)));
        places.chain(services)
    }

    /// What was chosen and stands in no table as a destination, or in none at all, and why.
    pub(super) fn left_out(&self, snapshot: &Snapshot, tables: &[crate::table::Table]) -> Vec<LeftOut> {
        let there: HashSet<&Destination> = tables.iter().flat_map(|table| &table.destinations).collect();
        let mut all = self.left_out.clone();
        for (destination, target) in self.targets(snapshot).filter(|(it, _)| !there.contains(it)) {
            // A host outside is asked where policies lead to it; nobody misses its other ports.
            if matches!(destination, Destination::External(_)) {
                continue;
            }
            let why = match (target.ports.iter().any(|port| port.served), target.ports.is_empty()) {
                (true, _) => Why::NotAskedAt,
                (false, false) => Why::NobodyListens,
                (false, true) => Why::NoPort,
            };
            all.push(LeftOut { destination, why });
        }
        all.sort_by(|a, b| (a.why, &a.destination).cmp(&(b.why, &b.destination)));
        all
    }

    /// What there would be to ask about, where nothing is left.
    pub(super) fn hint(&self, snapshot: &Snapshot) -> String {
        if self.sources.is_empty() {
            return "no pod is there that could be a source".into();
        }
        let served: BTreeSet<String> = self
            .targets(snapshot)
            .flat_map(|(_, target)| target.ports)
            .filter(|port| port.served)
            .map(|port| format!("{}/{}", port.number, port.protocol))
            .collect();
        match served.len() {
            0 if !self.left_out.is_empty() && self.targets(snapshot).next().is_none() => {
                crate::left_out::lines(&self.left_out).join("; ")
            }
            0 => {
                "no port is known of the destinations: containers declare none, and no service and no policy \
                  names one; --port N asks everybody, and --port icmp for echoes"
                    .into()
            }
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
            policies: snapshot.policies.len(),
        }
    }
}

/// Whether a pod has a network: one that has ended has none any more, and one that waits has none yet.
fn is_there(pod: &Pod) -> bool {
    !pod.phase.has_ended() && !pod.pod_ips.is_empty()
}

/// Why a pod has no address for itself.
fn absent(pod: &Pod) -> Option<Why> {
    match pod.host_network {
        _ if pod.phase.has_ended() => Some(Why::Ended),
        _ if pod.pod_ips.is_empty() => Some(Why::Waiting),
        true => Some(Why::HostNetwork),
        false => None,
    }
}

/// The pods that were chosen, as sources or as destinations, and have no address for themselves.
fn pods_left_out(snapshot: &Snapshot, question: &Question, own: &Own) -> Vec<LeftOut> {
    let is_asked = |name: &NamespacedName, selectors: &[Selector]| match selectors {
        [] => !own.pods.contains(name),
        chosen => chosen.iter().any(|selector| selector.takes(&Place::Pod(name.clone()))),
    };
    let pods = snapshot.pods.iter();
    let pods = pods.filter(|(name, _)| is_asked(name, &question.from) || is_asked(name, &question.to));
    pods.filter_map(|(name, pod)| {
        Some(LeftOut { destination: Destination::Pod(object_name(name)), why: absent(pod)? })
    })
    .collect()
}

/// What is addressed by the name of a service and was chosen. Those without an address are left out.
fn services(
    snapshot: &Snapshot,
    question: &Question,
    own: &Own,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Destination> {
    let is_asked = |destination: &Destination, name: &NamespacedName| match question.to.as_slice() {
        [] => question.services && !own.services.contains(name),
        // A service is named, or is among others that are asked for.
        chosen => chosen
            .iter()
            .any(|selector| takes(selector, destination) && (question.services || selector.names_services())),
    };
    let mut all = Vec::new();
    for (name, service) in &snapshot.services {
        let service_itself = Destination::Service(object_name(name));
        if is_asked(&service_itself, name) {
            match no_address(service) {
                Some(why) => left_out.push(LeftOut { destination: service_itself, why }),
                None => all.push(service_itself),
            }
        }
        let of_nodes = snapshot
            .nodes
            .keys()
            .map(|node| Destination::NodePort { service: object_name(name), node: node.clone() });
        let others = of_nodes.chain([Destination::LoadBalancer(object_name(name))]);
        for destination in others.filter(|destination| is_asked(destination, name)) {
            match service_target(snapshot, &destination) {
                Some(_) => all.push(destination),
                None if service.service_type == netproof_api::core::ServiceType::LoadBalancer => {
                    left_out.push(LeftOut { destination, why: Why::NoBalancer });
                }
                None => {}
            }
        }
    }
    all
}

/// Why a service has no address of its own.
fn no_address(service: &Service) -> Option<Why> {
    match &service.external_name {
        Some(_) => Some(Why::Alias),
        None if service.headless => Some(Why::Headless),
        None => None,
    }
}

/// Whether a selector chooses what is addressed by the name of a service.
fn takes(selector: &Selector, destination: &Destination) -> bool {
    match destination {
        Destination::Service(name) => selector.takes_service(&namespaced(name)),
        Destination::LoadBalancer(name) => selector.takes_load_balancer(&namespaced(name)),
        Destination::NodePort { service, node } => selector.takes_node_port(&namespaced(service), node),
        _ => false,
    }
}

/// Where a service is, addressed in one of its ways.
fn service_target(snapshot: &Snapshot, destination: &Destination) -> Option<ResolvedDestination> {
    let service = |name: &ObjectName| snapshot.services.get(&namespaced(name));
    match destination {
        Destination::Service(name) => Some(serving::service(snapshot, service(name)?)),
        Destination::LoadBalancer(name) => serving::load_balancer(snapshot, service(name)?),
        Destination::NodePort { service: name, node } => {
            serving::node_port(snapshot, service(name)?, &Place::node(node.as_str()))
        }
        _ => None,
    }
}

/// How many names a help lists.
const MOST_NAMES: usize = 20;

fn no_match(
    option: &str,
    selector: &Selector,
    places: &[Place],
    services: Option<&Snapshot>,
    snapshot: &Snapshot,
) -> NoAnswer {
    let refuse = |help: String| NoAnswer::NoMatch {
        option: option.to_owned(),
        selector: selector.text().to_owned(),
        help,
    };
    // A pod that is there and can be no source says why.
    let named = |name: &&NamespacedName| selector.takes(&Place::Pod((**name).clone()));
    if let Some((name, why)) =
        snapshot.pods.keys().find(named).and_then(|name| Some((name, absent(snapshot.pods.get(name)?)?)))
    {
        return refuse(format!("pod/{name} is there, {}", why.of_one()));
    }
    let services = services.iter().flat_map(|snapshot| snapshot.services.keys());
    let mut known: Vec<String> = places.iter().map(ToString::to_string).collect();
    known.extend(services.map(|name| format!("service/{name}")));
    // As it may be written: whole, without its kind, and by its name alone.
    let forms = |name: &str| -> Vec<String> {
        let parts: Vec<&str> = name.split('/').collect();
        (0..parts.len()).map(|from| parts[from..].join("/")).collect()
    };
    let all: Vec<String> = known.iter().flat_map(|name| forms(name)).collect();
    let near = did_you_mean(selector.text(), all.iter().map(String::as_str))
        .and_then(|near| known.iter().find(|name| forms(name).iter().any(|form| form == near)));
    refuse(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => match known.len().checked_sub(MOST_NAMES) {
            None | Some(0) => format!("there are {}", known.join(", ")),
            Some(more) => format!("there are {} and {more} more", known[..MOST_NAMES].join(", ")),
        },
    })
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
        Destination::Pod(name) => Some(Place::Pod(namespaced(name))),
        Destination::Node(name) => Some(Place::node(name.as_str())),
        Destination::External(name) => Some(Place::external(name.as_str())),
        _ => None,
    }
}

pub(super) fn object_name(name: &NamespacedName) -> ObjectName {
    ObjectName { namespace: Some(name.namespace.clone()), name: name.name.clone() }
}

fn namespaced(name: &ObjectName) -> NamespacedName {
    NamespacedName::new(name.namespace.as_deref().unwrap_or("default"), name.name.as_str())
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
