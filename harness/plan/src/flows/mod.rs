//! Flows against the objects of a step: who the two ends are, which ports are served, what to send.

mod names;
mod port;
pub mod serving;

pub use names::{destination_in, flow_in, source_in};
pub use serving::Port;

use netproof_api::suggest::did_you_mean;
use netproof_controlplane::Snapshot;
use netproof_model::flow::{Destination, Flow, FlowPort, ObjectName, Source};
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::{Family, NamespacedName, Place, PolicyKey};
use port::Found;
use std::net::IpAddr;

/// Which part of a flow is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The whole.
    Whole,
    /// The source.
    From,
    /// The destination or its port.
    To,
}

/// What is wrong with a flow in this step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Mistake {
    fn new(part: Part, message: impl Into<String>, help: impl Into<String>) -> Mistake {
        Mistake { part, message: message.into(), help: help.into() }
    }
}

/// Whom a flow is addressed to, found.
#[derive(Clone, Debug)]
pub struct ResolvedDestination {
    /// The addresses, by family; empty for a name that nobody has.
    pub addresses: Vec<IpAddr>,
    /// The ports that it knows of.
    pub ports: Vec<Port>,
    /// Whether it answers echo requests.
    pub answers_echo: bool,
}

/// A flow, found: one request for each family.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The flow with its port filled in.
    pub flow: Flow,
    /// What to send.
    pub requests: Vec<(Family, Request)>,
    /// Who may answer; empty where nobody does, or nobody is known to.
    pub backends: Vec<Place>,
    /// Whether the destination keeps a client with one of them.
    pub sticks: bool,
    /// Whether some clients may reach fewer of them.
    pub narrows: bool,
}

/// Finds the two ends of a flow. `may_miss` says that the flow need not reach anybody who serves its
/// port, or any name.
pub fn resolve(snapshot: &Snapshot, flow: &Flow, may_miss: bool) -> Result<Resolved, Mistake> {
    let source =
        place(snapshot, &flow.from).map_err(|(message, help)| Mistake::new(Part::From, message, help))?;
    let target = target(snapshot, flow, &source, may_miss)?;
    let families = families(snapshot, flow, &source, &target)?;
    let Found { port, number, known } = port::port(flow, &target, may_miss)?;
    let request_port = match &port {
        FlowPort::Icmp => RequestPort::Icmp,
        FlowPort::Port { protocol, .. } => RequestPort::Port { port: number, protocol: *protocol },
    };
    let requests = families
        .into_iter()
        .map(|family| {
            let target = request_target(snapshot, flow, &source, &target, family)?;
            Ok((family, Request { source: source.clone(), target, port: request_port }))
        })
        .collect::<Result<_, _>>()?;
    let (sticks, narrows) = known.as_ref().map_or((false, false), |port| (port.sticks, port.narrows));
    let backends = known.map(|port| port.backends).unwrap_or_default();
    Ok(Resolved { flow: Flow { port: Some(port), ..flow.clone() }, requests, backends, sticks, narrows })
}

/// The place of a name.
pub fn place(snapshot: &Snapshot, name: &Source) -> Result<Place, (String, String)> {
    match name {
        Source::Pod(name) => pod_place(snapshot, name).map_err(|mistake| (mistake.message, mistake.help)),
        Source::Node(name) if snapshot.nodes.contains_key(name) => Ok(Place::Node(name.clone())),
        Source::External(name) if snapshot.externals.contains_key(name) => Ok(Place::External(name.clone())),
        Source::Node(name) => Err(unknown("node", name, snapshot.nodes.keys())),
        Source::External(name) => match name.parse::<IpAddr>() {
            Ok(address) => host_at(snapshot, address),
            Err(_) => Err(unknown("external", name, snapshot.externals.keys())),
        },
    }
}

/// The host outside that has an address.
fn host_at(snapshot: &Snapshot, address: IpAddr) -> Result<Place, (String, String)> {
    if let Some(host) = snapshot.externals.values().find(|host| host.addresses.contains(&address)) {
        return Ok(Place::External(host.name.clone()));
    }
    let message = format!("no host outside has the address {address} in this step");
    let name = if address.is_ipv4() { address.to_string() } else { "some-host".to_owned() };
    let help =
        format!("declare it among the objects: `external: {{name: {name}, addresses: [\"{address}\"]}}`");
    Err((message, help))
}

fn namespaced(name: &ObjectName) -> NamespacedName {
    NamespacedName::new(name.namespace.as_deref().unwrap_or("default"), name.name.as_str())
}

fn pod_place(snapshot: &Snapshot, name: &ObjectName) -> Result<Place, Mistake> {
    let name = namespaced(name);
    let Some(pod) = snapshot.pods.get(&name) else {
        let (message, help) = unknown_in_namespace("pod", &name, snapshot.pods.keys());
        return Err(Mistake::new(Part::To, message, help));
    };
    if pod.phase.has_ended() {
        let message = format!("pod/{name} has ended and has no network any more");
        return Err(Mistake::new(Part::To, message, "use a pod that is running"));
    }
    if pod.pod_ips.is_empty() {
        let message = format!("pod/{name} has not started and has no network yet");
        return Err(Mistake::new(Part::To, message, "use a pod that is running"));
    }
    Ok(snapshot.place_of_pod(&name).unwrap_or(Place::Pod(name)))
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a String> + Clone) -> (String, String) {
    let message = format!("{kind}/{name} does not exist in this step");
    (message, suggest(kind, name, known.map(String::as_str).collect()))
}

/// What to say of a name that nobody has, and of the names near it.
pub fn unknown_in_namespace<'a>(
    kind: &str,
    name: &NamespacedName,
    known: impl Iterator<Item = &'a NamespacedName> + Clone,
) -> (String, String) {
    let message = format!("{kind}/{name} does not exist in this step");
    if let Some(elsewhere) = known.clone().find(|other| other.name == name.name) {
        return (message, format!("did you mean {kind}/{elsewhere}?"));
    }
    let here: Vec<&str> = known
        .clone()
        .filter(|other| other.namespace == name.namespace)
        .map(|other| other.name.as_str())
        .collect();
    if let Some(near) = did_you_mean(&name.name, here.iter().copied()) {
        return (message, format!("did you mean {kind}/{}/{near}?", name.namespace));
    }
    let all: Vec<String> = known.map(ToString::to_string).collect();
    (message, suggest(kind, &name.to_string(), all.iter().map(String::as_str).collect()))
}

/// What to say of a policy that does not exist.
pub fn unknown_policy(snapshot: &Snapshot, policy: &PolicyKey) -> (String, String) {
    let known = snapshot.policies.keys().filter(|key| key.kind == policy.kind);
    let Some(namespace) = &policy.namespace else {
        let names = known.map(|key| key.name.as_str()).collect();
        let message = format!("{policy} does not exist in this step");
        return (message, suggest(policy.kind.word(), &policy.name, names));
    };
    let known: Vec<NamespacedName> = known
        .filter_map(|key| Some(NamespacedName::new(key.namespace.as_deref()?, key.name.as_str())))
        .collect();
    let name = NamespacedName::new(namespace.as_str(), policy.name.as_str());
    unknown_in_namespace(policy.kind.word(), &name, known.iter())
}

fn suggest(kind: &str, name: &str, known: Vec<&str>) -> String {
    const SHOWN: usize = 8;
    if let Some(near) = did_you_mean(name, known.iter().copied()) {
        return format!("did you mean {kind}/{near}?");
    }
    if known.is_empty() {
        return format!("this step has no {kind}");
    }
    let more = if known.len() > SHOWN { ", ..." } else { "" };
    let shown: Vec<String> = known.iter().take(SHOWN).map(|name| format!("{kind}/{name}")).collect();
    format!("this step has {}{more}", shown.join(", "))
}

/// Finds the destination.
fn target(
    snapshot: &Snapshot,
    flow: &Flow,
    source: &Place,
    may_miss: bool,
) -> Result<ResolvedDestination, Mistake> {
    let at_to = |(message, help): (String, String)| Mistake::new(Part::To, message, help);
    let service = |name: &ObjectName| {
        let name = namespaced(name);
        match snapshot.services.get(&name) {
            Some(service) => Ok((name, service)),
            None => Err(at_to(unknown_in_namespace("service", &name, snapshot.services.keys()))),
        }
    };
    match &flow.to {
        Destination::Pod(name) => Ok(serving::place(snapshot, &pod_place(snapshot, name)?)),
        Destination::Node(name) => {
            let place = place(snapshot, &Source::Node(name.clone())).map_err(at_to)?;
            Ok(serving::place(snapshot, &place))
        }
        Destination::External(name) => {
            let place = place(snapshot, &Source::External(name.clone())).map_err(at_to)?;
            Ok(serving::place(snapshot, &place))
        }
        Destination::Service(name) => {
            let (name, found) = service(name)?;
            let why = match (&found.external_name, found.headless) {
                (Some(alias), _) => Some(format!("is an alias of {alias}")),
                (None, true) => Some("is headless".to_owned()),
                (None, false) => None,
            };
            if let Some(why) = why {
                let message = format!("service/{name} {why}: it has no address of its own");
                let help = format!("write dns/{}.{}, which the source resolves", name.name, name.namespace);
                return Err(Mistake::new(Part::To, message, help));
            }
            Ok(serving::service(snapshot, found))
        }
        Destination::NodePort { service: name, node } => {
            let (name, found) = service(name)?;
            let place = place(snapshot, &Source::Node(node.clone())).map_err(at_to)?;
            serving::node_port(snapshot, found, &place).ok_or_else(|| {
                let help = "give the service `type: NodePort`";
                Mistake::new(Part::To, format!("service/{name} has no node port"), help)
            })
        }
        Destination::LoadBalancer(name) => {
            let (name, found) = service(name)?;
            serving::load_balancer(snapshot, found).ok_or_else(|| {
                let message = format!("service/{name} has no address of a load balancer in this step");
                let help = "give it `type: LoadBalancer` on a topology with a load balancer, or write its \
                    `status.loadBalancer.ingress`";
                Mistake::new(Part::To, message, help)
            })
        }
        Destination::Dns(name) => match serving::name(snapshot, name, &search(source)) {
            Some(target) => Ok(target),
            None if may_miss => {
                Ok(ResolvedDestination { addresses: Vec::new(), ports: Vec::new(), answers_echo: false })
            }
            None => {
                let known = serving::names(snapshot);
                let help = match did_you_mean(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "services are NAME.NAMESPACE, external hosts have the names at their `dns`; a name \
                        that is meant to be unknown has `outcome: name-not-found`"
                            .to_owned()
                    }
                };
                let message = format!("the cluster's DNS does not know `{name}` in this step");
                Err(Mistake::new(Part::To, message, help))
            }
        },
        Destination::Ip(address) => Ok(serving::address(snapshot, *address, source)),
    }
}

/// The search list of a source: pods have one.
pub fn search(source: &Place) -> Vec<String> {
    match source {
        Place::Pod(pod) => vec![
            format!("{}.svc.cluster.local", pod.namespace),
            "svc.cluster.local".to_owned(),
            "cluster.local".to_owned(),
        ],
        Place::Node(_) | Place::External(_) | Place::Router => Vec::new(),
    }
}

/// The families that both ends and the topology have, or the one that the flow asks for.
fn families(
    snapshot: &Snapshot,
    flow: &Flow,
    source: &Place,
    target: &ResolvedDestination,
) -> Result<Vec<Family>, Mistake> {
    let topology = snapshot.topology.family.list();
    let own = |family: &Family| snapshot.address_of(source, *family).is_some();
    // A name that nobody has is asked for in every family that the source has.
    let theirs = |family: &Family| {
        target.addresses.is_empty() || target.addresses.iter().any(|a| Family::of(*a) == *family)
    };
    let both: Vec<Family> = topology.iter().copied().filter(own).filter(theirs).collect();
    let list = |families: Vec<Family>| match families.as_slice() {
        [] => "no address".to_owned(),
        [one] => one.to_string(),
        _ => "ipv4 and ipv6".to_owned(),
    };
    let ends = || {
        let source_has = list(Family::ALL.into_iter().filter(own).collect());
        let target_has = list(Family::ALL.into_iter().filter(theirs).collect());
        format!(
            "{} has {source_has}, {} has {target_has}, the topology is {}",
            flow.from, flow.to, snapshot.topology.family
        )
    };
    let help = "`requires: {family: ..., because: ...}` says where a scenario applies, `family:` on which family a \
        flow is tried";
    match flow.family {
        None if both.is_empty() => Err(Mistake::new(
            Part::Whole,
            format!("the two ends have no address family in common: {}", ends()),
            help,
        )),
        None => Ok(both),
        Some(family) if both.contains(&family) => Ok(vec![family]),
        Some(family) => {
            Err(Mistake::new(Part::Whole, format!("the flow cannot be tried on {family}: {}", ends()), help))
        }
    }
}

fn request_target(
    snapshot: &Snapshot,
    flow: &Flow,
    source: &Place,
    target: &ResolvedDestination,
    family: Family,
) -> Result<RequestTarget, Mistake> {
    if let Destination::Dns(name) = &flow.to {
        let server = match source {
            Place::Pod(_) | Place::Node(_) => snapshot.cluster_dns(family),
            Place::External(_) | Place::Router => None,
        };
        let Some(server) = server else {
            let message = format!("{} has no name server: the cluster's DNS serves the cluster", flow.from);
            return Err(Mistake::new(
                Part::From,
                message,
                "let an external host try an address: nodeport/[NAMESPACE/]SERVICE@NODE, pod/[NAMESPACE/]NAME, ...",
            ));
        };
        let addresses = target.addresses.iter().copied().filter(|it| Family::of(*it) == family).collect();
        return Ok(RequestTarget::Name { name: name.clone(), search: search(source), server, addresses });
    }
    let address = target.addresses.iter().copied().find(|address| Family::of(*address) == family);
    address.map(RequestTarget::Address).ok_or_else(|| {
        Mistake::new(Part::To, format!("{} has no {family} address", flow.to), "try it on another family")
    })
}
