//! Which endpoints of a service port a node may choose: those that are ready and meant for the node's clients,
//! or those that still serve while they end; and who speaks for an address that several endpoints have.

use crate::profile::{EndpointsThatShareAnAddress, Profile, Switch};
use crate::truth::Truth;
use netproof_api::core::Endpoint;
use netproof_api::{EndpointSlice, Node};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The label of a node that says its zone.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// So many readings are looked at, one by one.
const MOST_READINGS: usize = 64;

/// An endpoint that may be chosen: an address and the port there.
pub(crate) type Choice = (IpAddr, u16);

/// Every endpoint that slices have, by its place. Two may be at one: pods that share their node's address, one
/// endpoint in two slices, a pod that got the address of one that has not quite ended.
#[derive(Debug, Default)]
pub(crate) struct Places<'a>(BTreeMap<Choice, Vec<&'a Endpoint>>);

/// The endpoints of a service port, one for each place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints<'a>(BTreeMap<Choice, &'a Endpoint>);

impl<'a> Places<'a> {
    pub(crate) fn new() -> Self {
        Places::default()
    }

    /// Adds the endpoints of a slice, at one of its ports.
    pub(crate) fn add(&mut self, slice: &'a EndpointSlice, port: u16) {
        for endpoint in &slice.endpoints {
            // The addresses of one endpoint are interchangeable: the first stands for it.
            if let Some(address) = endpoint.addresses.first() {
                self.0.entry((*address, port)).or_default().push(endpoint);
            }
        }
    }

    /// The endpoints in every reading that the profile allows; at least one.
    pub(crate) fn readings(&self, profile: &Profile) -> Vec<Endpoints<'a>> {
        let mut readings = vec![Endpoints::default()];
        for (place, all) in &self.0 {
            let speakers = speakers(all, profile);
            if readings.len() * speakers.len() > MOST_READINGS {
                // Which of so many holds is open in any case. That one of them differs from the others is all
                // that matters then: one without endpoints does.
                readings.push(Endpoints::default());
                return readings;
            }
            let with = |reading: &Endpoints<'a>, speaker: &&'a Endpoint| {
                let mut reading = reading.clone();
                reading.0.insert(*place, *speaker);
                reading
            };
            readings = readings
                .iter()
                .flat_map(|reading| speakers.iter().map(move |speaker| with(reading, speaker)))
                .collect();
        }
        readings
    }

    /// Whether a node has a ready endpoint.
    pub(crate) fn is_any_ready_on(&self, node: &str, profile: &Profile) -> Truth {
        let is_it = |endpoint: &&Endpoint| endpoint.ready && endpoint.node_name.as_deref() == Some(node);
        self.0.values().fold(Truth::No, |truth, all| {
            let speakers = speakers(all, profile);
            truth.or(match (speakers.iter().all(is_it), speakers.iter().any(is_it)) {
                (true, _) => Truth::Yes,
                (false, true) => Truth::open(Switch::EndpointsThatShareAnAddress),
                (false, false) => Truth::No,
            })
        })
    }
}

/// Those of a place's endpoints of which each, in some reading, is the one that counts there.
///
/// kube-proxy lets one that is not terminating replace one that is; of several that are not, "the result is
/// undefined" (addEndpoints in pkg/proxy/endpointslicecache.go), and of several that are it is the order in which
/// it meets the slices.
fn speakers<'a>(all: &[&'a Endpoint], profile: &Profile) -> Vec<&'a Endpoint> {
    let running = all.iter().any(|endpoint| !endpoint.terminating);
    let preferred = all.iter().copied().filter(|endpoint| !(running && endpoint.terminating));
    match profile.endpoints_that_share_an_address {
        EndpointsThatShareAnAddress::ReadyFirst => {
            let better = |best: &'a Endpoint, next: &'a Endpoint| {
                if fitness(next) > fitness(best) { next } else { best }
            };
            preferred.reduce(better).into_iter().collect()
        }
        EndpointsThatShareAnAddress::Either => {
            let mut different: Vec<&Endpoint> = Vec::new();
            for endpoint in preferred {
                if !different.iter().any(|known| is_alike(known, endpoint)) {
                    different.push(endpoint);
                }
            }
            different
        }
    }
}

/// Ready is more than still serving, and that is more than neither.
fn fitness(endpoint: &Endpoint) -> u8 {
    match endpoint {
        Endpoint { ready: true, .. } => 2,
        _ if is_ending(&endpoint) => 1,
        _ => 0,
    }
}

/// Whether it makes no difference which of two endpoints at one place counts.
fn is_alike(a: &Endpoint, b: &Endpoint) -> bool {
    (a.ready, is_ending(&a), &a.node_name, &a.hints) == (b.ready, is_ending(&b), &b.node_name, &b.hints)
}

/// Being deleted, and still able to answer.
fn is_ending(endpoint: &&Endpoint) -> bool {
    endpoint.serving && endpoint.terminating
}

impl Endpoints<'_> {
    /// Those that a node may choose of the whole cluster: those that are ready and meant for this node's
    /// clients; if there is none, those that still serve while they end.
    pub(crate) fn of_the_cluster(&self, node: &Node) -> Vec<Choice> {
        let hints = Hints::of(self.0.values().copied().filter(|endpoint| endpoint.ready), node);
        let ready = |endpoint: &&Endpoint| endpoint.ready && hints.allow(endpoint);
        self.choose(ready).or_else(|| self.choose(is_ending)).unwrap_or_default()
    }

    /// Those on one node that may be chosen there where the traffic policy is Local.
    pub(crate) fn on_node(&self, node: &str) -> Vec<Choice> {
        let local = |endpoint: &&Endpoint| endpoint.node_name.as_deref() == Some(node);
        self.choose(|endpoint| local(endpoint) && endpoint.ready)
            .or_else(|| self.choose(|endpoint| local(endpoint) && is_ending(endpoint)))
            .unwrap_or_default()
    }

    /// Whether any of them could be chosen by somebody.
    pub(crate) fn serve_anybody(&self) -> bool {
        self.0.values().any(|endpoint| endpoint.ready || is_ending(endpoint))
    }

    /// Those that are fit, if there are any.
    fn choose(&self, fit: impl Fn(&&Endpoint) -> bool) -> Option<Vec<Choice>> {
        let fit = self.0.iter().filter(|(_, endpoint)| fit(endpoint));
        let chosen: Vec<Choice> = fit.map(|(choice, _)| *choice).collect();
        (!chosen.is_empty()).then_some(chosen)
    }
}

/// Which hints of endpoints a node's proxy follows.
enum Hints<'a> {
    /// Those for the node: every ready endpoint has such hints, and one is for this node.
    Node(&'a str),
    /// Those for its zone, likewise.
    Zone(&'a str),
    /// None.
    Ignored,
}

impl<'a> Hints<'a> {
    fn of<'e>(ready: impl Iterator<Item = &'e Endpoint> + Clone, node: &'a Node) -> Self {
        let follow = |names: fn(&Endpoint) -> &[String], own: &str| {
            ready.clone().all(|endpoint| !names(endpoint).is_empty())
                && ready.clone().any(|endpoint| names(endpoint).iter().any(|name| name == own))
        };
        let name = node.metadata.name.as_str();
        if follow(for_nodes, name) {
            return Hints::Node(name);
        }
        match node.metadata.labels.get(ZONE_LABEL) {
            Some(zone) if follow(for_zones, zone) => Hints::Zone(zone),
            _ => Hints::Ignored,
        }
    }

    fn allow(&self, endpoint: &Endpoint) -> bool {
        match self {
            Hints::Node(node) => for_nodes(endpoint).iter().any(|name| name == node),
            Hints::Zone(zone) => for_zones(endpoint).iter().any(|name| name == zone),
            Hints::Ignored => true,
        }
    }
}

fn for_nodes(endpoint: &Endpoint) -> &[String] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.for_nodes)
}

fn for_zones(endpoint: &Endpoint) -> &[String] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.for_zones)
}
