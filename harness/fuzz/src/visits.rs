//! Flows beside the matrix: those of nodes, ICMP, and ways to a service besides its cluster IP; and connections
//! that are kept from state to state. A state says of some of them what the API says.

use crate::answers;
use crate::case::{Case, Cluster, Life, Pod, PodPort, ServiceKind, State, node_name};
use crate::objects::flow_port;
use crate::random::Random;
use crate::text::{About, Expected, text};
use netproof_api::Source;
use netproof_api::core::TransportProtocol;
use netproof_documents::options::Options;
use netproof_format::load_text;
use netproof_model::{Families, NamespacedName};
use netproof_oracle::Profile;
use std::collections::BTreeMap;
use std::fmt;

/// So many are tried in a state.
const OF_A_STATE: usize = 8;
/// So many connections are kept in a case.
const KEPT: usize = 3;

/// A flow of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    from: End,
    to: End,
    /// With its protocol, or `icmp`.
    port: String,
    /// Whether its connection is kept for the next state.
    pub(super) keep: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Pod(NamespacedName),
    Node(usize),
    External(String),
    Service(NamespacedName),
    NodePort(NamespacedName, usize),
    LoadBalancer(NamespacedName),
    Name(NamespacedName),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Pod(name) => write!(f, "pod/{name}"),
            End::Node(node) => write!(f, "node/{}", node_name(*node)),
            End::External(name) => write!(f, "external/{name}"),
            End::Service(name) => write!(f, "service/{name}"),
            End::NodePort(name, node) => write!(f, "nodeport/{name}@{}", node_name(*node)),
            End::LoadBalancer(name) => write!(f, "loadbalancer/{name}"),
            End::Name(name) => write!(f, "dns/{}.{}", name.name, name.namespace),
        }
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}:{}", self.from, self.to, self.port)
    }
}

impl Visit {
    fn new(from: End, to: End, port: String) -> Visit {
        Visit { from, to, port, keep: false }
    }

    /// Whether both ends are there.
    fn is_possible(&self, cluster: &Cluster, state: &State) -> bool {
        [&self.from, &self.to].into_iter().all(|end| match end {
            End::Pod(name) => {
                let there = |pod: &Pod| pod.node < cluster.nodes && pod.life != Life::Ended;
                state.pods.get(name).is_some_and(there)
            }
            End::Node(node) => *node < cluster.nodes,
            End::External(name) => cluster.externals.contains_key(name),
            End::Service(name) => {
                state.services.get(name).is_some_and(|service| service.kind != ServiceKind::Headless)
            }
            End::Name(name) => state.services.contains_key(name),
            End::NodePort(name, node) => {
                *node < cluster.nodes && state.services.get(name).is_some_and(|it| it.has_node_ports())
            }
            End::LoadBalancer(name) => {
                let kind = state.services.get(name).map(|service| service.kind);
                cluster.load_balancer && matches!(kind, Some(ServiceKind::LoadBalancer { .. }))
            }
        })
    }

    /// Whether what was there before is there still, and no other by its name.
    fn goes_on(&self, before: &State, state: &State) -> bool {
        [&self.from, &self.to].into_iter().all(|end| match end {
            End::Pod(name) => match (before.pods.get(name), state.pods.get(name)) {
                (Some(before), Some(now)) => !now.is_another(before),
                _ => false,
            },
            _ => true,
        })
    }
}

/// Some visits for each state of a case, kept connections first.
pub(super) fn choose(case: &Case, random: &mut Random) -> Vec<Vec<Visit>> {
    let mut all = vec![Vec::new(); case.states.len()];
    for _ in 0..KEPT {
        let start = random.below(case.states.len());
        let kept = case.states.get(start).and_then(|state| to_keep(&case.cluster, state, random));
        if let Some(visit) = kept {
            add(case, &visit, start, &mut all);
        }
    }
    for (state, visits) in case.states.iter().zip(&mut all) {
        for visit in of_state(&case.cluster, state, random) {
            if !visits
                .iter()
                .any(|other| (&other.from, &other.to, &other.port) == (&visit.from, &visit.to, &visit.port))
            {
                visits.push(visit);
            }
        }
    }
    all
}

/// This visit in every state of a case, or none in any.
pub(super) fn in_every_state(case: &Case, visit: Option<&Visit>) -> Vec<Vec<Visit>> {
    let mut all = vec![Vec::new(); case.states.len()];
    match visit {
        Some(visit) if visit.keep => {
            let first = case.states.iter().position(|state| visit.is_possible(&case.cluster, state));
            add(case, visit, first.unwrap_or(case.states.len()), &mut all);
        }
        Some(visit) => all.iter_mut().for_each(|visits| visits.push(visit.clone())),
        None => {}
    }
    all
}

/// Adds a kept connection to the state where it is opened and to those after it, as long as its ends stay.
fn add(case: &Case, visit: &Visit, start: usize, all: &mut [Vec<Visit>]) {
    let mut before = None;
    for (state, visits) in case.states.iter().zip(all).skip(start) {
        let goes_on = before.is_none_or(|before| visit.goes_on(before, state));
        if !goes_on || !visit.is_possible(&case.cluster, state) {
            break;
        }
        if !visits.contains(visit) {
            visits.push(visit.clone());
        }
        before = Some(state);
    }
}

/// A connection that can be kept, to or from a pod.
fn to_keep(cluster: &Cluster, state: &State, random: &mut Random) -> Option<Visit> {
    let pods: Vec<_> = state.pods.iter().filter(|(_, pod)| pod.has_own_network()).collect();
    let externals: Vec<_> = cluster.externals.iter().collect();
    let (name, pod) = *random.choose(&pods)?;
    let one = End::Pod(name.clone());
    let (from, to, ports) = match random.choose(&externals).filter(|_| random.chance(40)) {
        Some((host, external)) if random.chance(50) => (one, End::External((*host).clone()), &external.ports),
        Some((host, _)) => (End::External((*host).clone()), one, &pod.ports),
        None => {
            let (other, _) = random.choose(&pods)?;
            (End::Pod((*other).clone()), one, &pod.ports)
        }
    };
    let ports: Vec<_> = ports.iter().filter(|port| port.protocol != TransportProtocol::Sctp).collect();
    let port = random.choose(&ports)?;
    let visit = Visit::new(from, to, flow_port(port.number, port.protocol));
    (visit.from != visit.to).then_some(Visit { keep: true, ..visit })
}

fn of_state(cluster: &Cluster, state: &State, random: &mut Random) -> Vec<Visit> {
    let pods: Vec<_> = state.pods.iter().filter(|(_, pod)| pod.has_own_network()).collect();
    let agents: Vec<_> =
        state.pods.iter().filter(|(_, pod)| pod.host_network && pod.life != Life::Ended).collect();
    let externals: Vec<&String> = cluster.externals.keys().collect();
    let served = |pod: &Pod, random: &mut Random| {
        random.choose(&pod.ports).map(|port| flow_port(port.number, port.protocol))
    };
    let mut visits: Vec<Visit> = Vec::new();
    for _ in 0..OF_A_STATE {
        let Some((name, pod)) = random.choose(&pods) else { break };
        let (one, node) = (End::Pod((*name).clone()), End::Node(random.below(cluster.nodes)));
        let visit = match random.weighted([16, 14, 10, 8, 12, 40]) {
            0 => served(pod, random).map(|port| Visit::new(node, one, port)),
            1 => random
                .choose(&pods)
                .map(|(other, _)| Visit::new(one, End::Pod((*other).clone()), "icmp".to_owned())),
            2 => Some(Visit::new(one, node, "icmp".to_owned())),
            3 => {
                let host = match random.choose(&externals) {
                    Some(name) => End::External((*name).clone()),
                    None => node,
                };
                let (from, to) = if random.chance(50) { (host, one) } else { (one, host) };
                Some(Visit::new(from, to, "icmp".to_owned()))
            }
            4 => random.choose(&agents).and_then(|(name, agent)| {
                let there = End::Pod((*name).clone());
                match random.chance(50) {
                    true => served(agent, random).map(|port| Visit::new(one, there, port)),
                    false => served(pod, random).map(|port| Visit::new(there, one, port)),
                }
            }),
            _ => to_service(one, (cluster, state), random),
        };
        let visit = visit.filter(|visit| visit.from != visit.to && !visits.contains(visit));
        visits.extend(visit.filter(|visit| visit.is_possible(cluster, state)));
    }
    visits
}

/// A way to a service that the matrix does not try: from a node or a host outside, or from this pod by a node
/// port, the load balancer or a name that means the endpoints.
fn to_service(one: End, (cluster, state): (&Cluster, &State), random: &mut Random) -> Option<Visit> {
    let services: Vec<_> = state.services.iter().collect();
    let externals: Vec<&String> = cluster.externals.keys().collect();
    let (name, service) = *random.choose(&services)?;
    let own = random.choose(&service.ports)?;
    let mut port = flow_port(own.number, own.protocol);
    let host = random.choose(&externals).map(|host| End::External((*host).clone()));
    let node = End::Node(random.below(cluster.nodes));
    let at_node = End::NodePort(name.clone(), random.below(cluster.nodes));
    let (to, outside) = match service.kind {
        ServiceKind::ClusterIp => (End::Service(name.clone()), 0),
        ServiceKind::Headless => {
            // At the ports of its endpoints; they may differ where the target is a name.
            let behind =
                |pod: &&Pod| service.selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value));
            let meant = |port: &&PodPort| {
                let name = port.name.as_ref() == Some(&own.target);
                port.protocol == own.protocol && (name || port.number.to_string() == own.target)
            };
            let here = state.pods.iter().filter(|(pod, _)| pod.namespace == name.namespace);
            let pods: Vec<&Pod> = here.map(|(_, pod)| pod).filter(behind).collect();
            // Which of the others have an address there is for the scenarios of services.
            if pods.iter().any(|pod| !pod.ready || pod.life != Life::Runs) {
                return None;
            }
            let ports: Vec<_> = pods.into_iter().flat_map(|pod| &pod.ports).filter(meant).collect();
            let target = random.choose(&ports)?;
            port = flow_port(target.number, target.protocol);
            (End::Name(name.clone()), 0)
        }
        ServiceKind::LoadBalancer { .. } if cluster.load_balancer && random.chance(65) => {
            (End::LoadBalancer(name.clone()), 80)
        }
        ServiceKind::NodePort { .. } | ServiceKind::LoadBalancer { .. } => (at_node, 60),
    };
    let from = match host {
        Some(host) if random.chance(outside) => host,
        _ if random.chance(40) => node,
        _ => one,
    };
    Some(Visit::new(from, to, port))
}

/// What the API says of the visits of each state, as expectations. Where it leaves one open nothing is expected,
/// and one whose ends are not both there is left out. The error is what is wrong with the case.
pub(super) fn expectations(
    case: &Case,
    visits: &[Vec<Visit>],
    profile: Profile,
) -> Result<BTreeMap<usize, Vec<Expected>>, String> {
    let mut about =
        About { name: "visits".to_owned(), description: "Visits.".to_owned(), ..About::default() };
    for (index, (state, visits)) in case.states.iter().zip(visits).enumerate() {
        let possible = visits.iter().filter(|visit| visit.is_possible(&case.cluster, state));
        about.expectations.insert(index, possible.map(unjudged).collect());
    }
    let source = Source::new("visits.yaml", text(case, &about));
    let loaded = load_text(&source, &Options::default()).map_err(|errors| errors.to_string())?;
    let Some(plan) = loaded.plans.first() else { return Ok(BTreeMap::new()) };
    let dual = case.cluster.family == Families::Dual;
    Ok(answers::expectations(plan, profile, dual))
}

/// The visit with an expectation that a file may have whatever the API says.
fn unjudged(visit: &Visit) -> Expected {
    let word = if visit.port == "icmp" { "verdict: allow" } else { "outcome: refused" };
    let keep = visit.keep.then_some("connection: keep");
    let lines = std::iter::once(word).chain(keep).map(str::to_owned).collect();
    Expected { flow: visit.to_string(), family: None, lines }
}
