//! Flows beside the matrix: those of nodes, ICMP, and node ports. A state says of some of them what the API says.

use super::case::{Case, Cluster, State, node_name};
use super::random::Random;
use super::text::{About, Expected, flow_port, text};
use crate::format::{Options, load_text};
use crate::plan::Plan;
use crate::prediction::{Answer, Answers};
use netproof_api::Source;
use netproof_controlplane::{ChangeError, ControlPlane};
use netproof_model::Place;
use netproof_model::topology::ListenPort;
use netproof_model::{Families, NamespacedName};
use netproof_oracle::PortProtocol;
use netproof_oracle::Profile;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

/// So many are tried in a state.
const OF_A_STATE: usize = 6;

/// A flow of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    from: End,
    to: End,
    /// With its protocol, or `icmp`.
    port: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Pod(NamespacedName),
    Node(usize),
    External(String),
    Service(NamespacedName),
    NodePort(NamespacedName, usize),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Pod(name) => write!(f, "pod/{name}"),
            End::Node(node) => write!(f, "node/{}", node_name(*node)),
            End::External(name) => write!(f, "external/{name}"),
            End::Service(name) => write!(f, "service/{name}"),
            End::NodePort(name, node) => write!(f, "nodeport/{name}@{}", node_name(*node)),
        }
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}:{}", self.from, self.to, self.port)
    }
}

impl Visit {
    /// Whether both ends are there.
    fn is_possible(&self, cluster: &Cluster, state: &State) -> bool {
        [&self.from, &self.to].into_iter().all(|end| match end {
            End::Pod(name) => state.pods.get(name).is_some_and(|pod| pod.node < cluster.nodes),
            End::Node(node) => *node < cluster.nodes,
            End::External(name) => cluster.externals.contains_key(name),
            End::Service(name) => state.services.contains_key(name),
            End::NodePort(name, node) => {
                *node < cluster.nodes && state.services.get(name).is_some_and(|service| service.node_port)
            }
        })
    }
}

/// Some visits for each state of a case.
pub(super) fn choose(case: &Case, random: &mut Random) -> Vec<Vec<Visit>> {
    case.states.iter().map(|state| of_state(&case.cluster, state, random)).collect()
}

/// This visit in every state of a case, or none in any.
pub(super) fn in_every_state(case: &Case, visit: Option<&Visit>) -> Vec<Vec<Visit>> {
    vec![visit.cloned().into_iter().collect(); case.states.len()]
}

fn of_state(cluster: &Cluster, state: &State, random: &mut Random) -> Vec<Visit> {
    let pods: Vec<_> = state.pods.iter().filter(|(_, pod)| !pod.host_network).collect();
    let agents: Vec<_> = state.pods.iter().filter(|(_, pod)| pod.host_network).collect();
    let services: Vec<_> = state.services.iter().collect();
    let externals: Vec<&String> = cluster.externals.keys().collect();
    let mut visits: Vec<Visit> = Vec::new();
    for _ in 0..OF_A_STATE {
        let Some((name, pod)) = random.choose(&pods) else { break };
        let (one, node) = (End::Pod((*name).clone()), End::Node(random.below(cluster.nodes)));
        let served =
            |random: &mut Random| random.choose(&pod.ports).map(|port| flow_port(port.number, port.protocol));
        let visit = match random.weighted([25, 20, 15, 10, 10, 20]) {
            0 => served(random).map(|port| (node, one, port)),
            1 => random.choose(&pods).map(|(other, _)| (one, End::Pod((*other).clone()), "icmp".to_owned())),
            2 => Some((one, node, "icmp".to_owned())),
            3 => {
                let host = match random.choose(&externals) {
                    Some(name) => End::External((*name).clone()),
                    None => node,
                };
                Some(if random.chance(50) {
                    (host, one, "icmp".to_owned())
                } else {
                    (one, host, "icmp".to_owned())
                })
            }
            4 => {
                let agent = random.choose(&agents).map(|(name, _)| End::Pod((*name).clone()));
                let port = served(random);
                agent.zip(port).map(|(agent, port)| (agent, one, port))
            }
            _ => random.choose(&services).and_then(|(name, service)| {
                let port = service.ports.first().map(|port| flow_port(port.number, port.protocol))?;
                let from = match random.choose(&externals) {
                    Some(host) if random.chance(60) => End::External((*host).clone()),
                    _ if random.chance(50) => End::Node(random.below(cluster.nodes)),
                    _ => one,
                };
                let to = match service.node_port {
                    true => End::NodePort((*name).clone(), random.below(cluster.nodes)),
                    false => End::Service((*name).clone()),
                };
                // Nothing leads from outside to a cluster IP.
                let outside = matches!((&from, &to), (End::External(_), End::Service(_)));
                (!outside).then_some((from, to, port))
            }),
        };
        let visit = visit.map(|(from, to, port)| Visit { from, to, port });
        visits.extend(visit.filter(|visit| visit.from != visit.to && !visits.contains(visit)));
    }
    visits
}

/// What the API says of the visits of each state, as expectations. Where it leaves one open nothing is expected,
/// and one whose ends are not both there is left out.
pub(super) fn expectations(
    case: &Case,
    visits: &[Vec<Visit>],
    profile: Profile,
) -> BTreeMap<usize, Vec<Expected>> {
    let mut about =
        About { name: "visits".to_owned(), description: "Visits.".to_owned(), ..About::default() };
    for (index, (state, visits)) in case.states.iter().zip(visits).enumerate() {
        let possible = visits.iter().filter(|visit| visit.is_possible(&case.cluster, state));
        let unjudged =
            |visit: &Visit| Expected { flow: visit.to_string(), family: None, line: "verdict: allow".into() };
        about.expectations.insert(index, possible.map(unjudged).collect());
    }
    // What is wrong with a case is said when it is tried.
    let source = Source::new("visits.yaml", text(case, &about));
    let Ok(loaded) = load_text(&source, &Options::default()) else { return BTreeMap::new() };
    let Some(plan) = loaded.plans.first() else { return BTreeMap::new() };
    let dual = case.cluster.family == Families::Dual;
    answers(plan, profile, dual).unwrap_or_default()
}

fn answers(plan: &Plan, profile: Profile, dual: bool) -> Result<BTreeMap<usize, Vec<Expected>>, ChangeError> {
    let mut control = ControlPlane::new(plan.topology.clone())?;
    control.apply(&plan.initial)?;
    let mut all = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        for changes in &step.change_sets {
            control.apply(changes)?;
        }
        let snapshot = control.snapshot();
        let answers = Answers::new(&snapshot, profile);
        let listens = netproof_probe::listens(&snapshot);
        let expected = step.expectations.iter().filter_map(|expectation| {
            let answer = answers.fresh(&expectation.request).filter(|answer| is_served(answer, &listens))?;
            let line = line(&answer.to_string())?;
            let family = dual.then_some(expectation.family);
            Some(Expected { flow: expectation.flow.to_string(), family, line })
        });
        all.insert(index, expected.collect());
    }
    Ok(all)
}

/// Whether somebody listens wherever the API lets the request through: the rest is for the matrix.
fn is_served(answer: &Answer, listens: &BTreeMap<Place, BTreeSet<ListenPort>>) -> bool {
    let alternatives = answer.predictions.iter().flat_map(|prediction| &prediction.alternatives);
    alternatives.filter_map(|alternative| alternative.server.as_ref()).all(|server| {
        let own = listens.get(&server.place).into_iter().flatten();
        let mut ports = own.map(|own| PortProtocol::new(own.port, own.protocol));
        server.packet.port == PortProtocol::Echo || ports.any(|port| port == server.packet.port)
    })
}

/// An answer of the API as an expectation, where there is a word for it.
pub(super) fn line(answer: &str) -> Option<String> {
    match answer {
        "allow" | "deny" | "drop" | "reject" => Some(format!("verdict: {answer}")),
        "unreachable" | "name-not-found" | "name-server-unreachable" => Some(format!("outcome: {answer}")),
        // A verdict for each backend.
        _ if answer.contains(": ") && !answer.contains("nobody") && !answer.contains('(') => {
            Some(format!("verdict: {{{answer}}}"))
        }
        _ => None,
    }
}
