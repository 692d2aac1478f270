//! Random clusters and random changes. Everything is drawn from small vocabularies, so that selectors match some
//! and not all, and what is next to a boundary is met as often as what is inside.

use super::case::{Case, Cluster, External, Labels, Pod, PodPort, Service, ServicePort, State};
use super::policies::{self, Surroundings};
use super::random::Random;
use netproof_api::core::TransportProtocol;
use netproof_model::{Families, NamespacedName, Wiring};
use std::collections::BTreeMap;

/// Namespaces. `x` with `y-p0` and `x-y` with `p0` are one name to who joins them carelessly.
const NAMESPACES: [&str; 3] = ["default", "x", "x-y"];
const PODS: [&str; 8] = ["p0", "p1", "p2", "y-p0", "y-p1", "p3", "p4", "p5"];
const POLICIES: [&str; 6] = ["n0", "n1", "n2", "y-n0", "y-n1", "p0"];
const SERVICES: [&str; 3] = ["s0", "y-s0", "s1"];

/// Labels of pods, some of namespaces, too, and an empty value, which is not an absent key.
pub const POD_LABELS: [(&str, &str); 8] = [
    ("app", "a"),
    ("app", "b"),
    ("app", ""),
    ("role", "x"),
    ("role", "z"),
    ("tier", ""),
    ("example.com/team", "a"),
    ("example.com/team", "b"),
];
/// Labels of namespaces besides their name's.
pub const NAMESPACE_LABELS: [(&str, &str); 6] =
    [("env", "prod"), ("env", "dev"), ("env", ""), ("app", "a"), ("role", "x"), ("example.com/team", "b")];

/// Port numbers, next to each other and at the ends.
const NUMBERS: [u16; 8] = [80, 81, 82, 8080, 1, 65535, 5000, 5001];
/// Names of ports. No pod has the last.
pub const PORT_NAMES: [&str; 4] = ["web", "dns", "alt", "absent"];

/// The last parts of addresses: on both sides of the boundaries between ranges.
const HOSTS: [u8; 12] = [62, 63, 64, 65, 66, 95, 96, 127, 128, 129, 191, 192];

/// What the command line fixes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed {
    /// The wiring of every cluster.
    pub wiring: Option<Wiring>,
    /// The families of every cluster.
    pub family: Option<Families>,
}

/// The case of a number under a seed, with so many states.
pub fn generate(seed: u64, number: usize, states: usize, fixed: Fixed) -> Case {
    let mut random = Random::of_case(seed, number);
    let mut generator = Generator { cluster: cluster(&mut random, fixed), random };
    let mut state = generator.first();
    let mut all = vec![state.clone()];
    while all.len() < states {
        let changes = 1 + generator.random.weighted([60, 30, 10]);
        (0..changes).for_each(|_| generator.change(&mut state));
        // A few more, where these changed nothing or took each other back.
        for _ in 0..8 {
            if all.last() == Some(&state) {
                generator.change(&mut state);
            }
        }
        all.push(state.clone());
    }
    Case { cluster: generator.cluster, states: all }
}

fn cluster(random: &mut Random, fixed: Fixed) -> Cluster {
    // Drawn in any case, so that a wiring or family that is fixed changes nothing else.
    let (wiring, family) = (random.pick(&Wiring::ALL), random.pick(&Families::ALL));
    let nodes = 1 + random.weighted([15, 60, 25]);
    let nat_outgoing = random.chance(25);
    let mut externals = BTreeMap::new();
    for index in 0..random.weighted([15, 60, 25]) {
        let host = HOSTS[(random.below(HOSTS.len() / 2) * 2 + index) % HOSTS.len()];
        let ports = pod_ports(random, 2).into_iter().map(|port| PodPort { name: None, ..port }).collect();
        externals.insert(format!("e{index}"), External { host, ports });
    }
    Cluster {
        wiring: fixed.wiring.unwrap_or(wiring),
        family: fixed.family.unwrap_or(family),
        nodes,
        nat_outgoing,
        externals,
    }
}

/// So many ports at most, at least one.
fn pod_ports(random: &mut Random, most: usize) -> Vec<PodPort> {
    let mut ports: Vec<PodPort> = Vec::new();
    for _ in 0..random.between(1, most) {
        let port = PodPort {
            name: random.chance(60).then(|| PORT_NAMES[random.below(PORT_NAMES.len() - 1)].to_owned()),
            number: if random.chance(50) { random.pick(&[80, 81]) } else { random.pick(&NUMBERS) },
            protocol: protocol(random),
        };
        let taken = |it: &PodPort| {
            (it.number, it.protocol) == (port.number, port.protocol)
                || (port.name.is_some() && it.name == port.name)
        };
        if !ports.iter().any(taken) {
            ports.push(port);
        }
    }
    ports
}

/// TCP more often than others.
pub fn protocol(random: &mut Random) -> TransportProtocol {
    random.pick(&[
        TransportProtocol::Tcp,
        TransportProtocol::Tcp,
        TransportProtocol::Tcp,
        TransportProtocol::Udp,
        TransportProtocol::Udp,
        TransportProtocol::Sctp,
    ])
}

/// So many labels at most; a key stands once.
pub fn labels<const N: usize>(random: &mut Random, from: &[(&str, &str); N], most: usize) -> Labels {
    let count = random.between(0, most);
    (0..count).map(|_| random.pick(from)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

struct Generator {
    cluster: Cluster,
    random: Random,
}

impl Generator {
    fn first(&mut self) -> State {
        let mut state = State::default();
        for name in NAMESPACES {
            if name == "default" || self.random.chance(75) {
                let own = labels(&mut self.random, &NAMESPACE_LABELS, 2);
                state.namespaces.insert(name.to_owned(), own);
            }
        }
        for _ in 0..self.random.between(3, 6) {
            self.add_pod(&mut state, None);
        }
        for _ in 0..self.random.weighted([15, 45, 30, 10]) {
            self.set_service(&mut state);
        }
        for _ in 0..self.random.weighted([10, 35, 30, 25]) {
            self.add_policy(&mut state);
        }
        state
    }

    /// One change, or none where there is nothing to change.
    fn change(&mut self, state: &mut State) {
        match self.random.weighted([26, 20, 16, 12, 6, 5, 4, 4, 3, 2, 2]) {
            0 => self.add_policy(state),
            1 => self.replace_policy(state),
            2 => {
                if let Some(name) = self.one(&state.policies) {
                    state.policies.remove(&name);
                }
            }
            3 => {
                let pod = self.one(&state.pods).and_then(|name| state.pods.get_mut(&name));
                if let Some(pod) = pod {
                    relabel(&mut self.random, &mut pod.labels, &POD_LABELS);
                }
            }
            4 => {
                let names: Vec<&String> = state.namespaces.keys().collect();
                let name = self.random.choose(&names).map(ToString::to_string);
                if let Some(labels) = name.and_then(|name| state.namespaces.get_mut(&name)) {
                    relabel(&mut self.random, labels, &NAMESPACE_LABELS);
                }
            }
            5 => {
                // Another pod of the same name: here or there, with the same address or another.
                if let Some((name, old)) = self.take_pod(state) {
                    let address = self.random.chance(50).then_some((old.node, old.host));
                    if let Some(pod) = self.pod(state, address) {
                        state.pods.insert(name, Pod { incarnation: old.incarnation + 1, ..pod });
                    }
                }
            }
            6 => {
                // Another pod with the address of one that goes.
                if let Some((_, old)) = self.take_pod(state) {
                    self.add_pod(state, Some((old.node, old.host)));
                }
            }
            7 => self.set_service(state),
            8 if state.pods.len() < 7 => self.add_pod(state, None),
            8 => {
                self.take_pod(state);
            }
            9 => {
                let pod = self.one(&state.pods).and_then(|name| state.pods.get_mut(&name));
                if let Some(pod) = pod {
                    pod.ready = !pod.ready;
                }
            }
            _ => state.policies.clear(),
        }
    }

    fn one<V>(&mut self, from: &BTreeMap<NamespacedName, V>) -> Option<NamespacedName> {
        let names: Vec<&NamespacedName> = from.keys().collect();
        self.random.choose(&names).map(|name| (*name).clone())
    }

    /// A name in one of the namespaces.
    fn name(&mut self, state: &State, name: &str) -> Option<NamespacedName> {
        let namespaces: Vec<&String> = state.namespaces.keys().collect();
        self.random.choose(&namespaces).map(|namespace| NamespacedName::new(namespace.as_str(), name))
    }

    /// A pod with this node and address, or with free ones.
    fn pod(&mut self, state: &State, address: Option<(usize, u8)>) -> Option<Pod> {
        let free = |node: usize| {
            let taken = |host: u8| state.pods.values().any(|pod| (pod.node, pod.host) == (node, host));
            HOSTS.into_iter().filter(|host| !taken(*host)).collect::<Vec<u8>>()
        };
        let (node, host) = match address {
            Some(address) => address,
            None => {
                let node = self.random.below(self.cluster.nodes);
                (node, *self.random.choose(&free(node))?)
            }
        };
        let host_network = self.random.chance(8) && state.pods.values().any(|pod| !pod.host_network);
        Some(Pod {
            labels: labels(&mut self.random, &POD_LABELS, 3),
            node,
            host,
            // Pods in one network cannot listen on one port.
            ports: if host_network { Vec::new() } else { pod_ports(&mut self.random, 3) },
            host_network,
            ready: self.random.chance(92),
            incarnation: 0,
        })
    }

    /// Takes a pod away, if another one with a network of its own stays: something must be there to be tried.
    fn take_pod(&mut self, state: &mut State) -> Option<(NamespacedName, Pod)> {
        let name = self.one(&state.pods)?;
        let stays = state.pods.iter().any(|(other, pod)| *other != name && !pod.host_network);
        if stays { state.pods.remove_entry(&name) } else { None }
    }

    fn add_pod(&mut self, state: &mut State, address: Option<(usize, u8)>) {
        let name = self.random.pick(&PODS);
        let name = self.name(state, name).filter(|name| !state.pods.contains_key(name));
        if let (Some(name), Some(pod)) = (name, self.pod(state, address)) {
            state.pods.insert(name, pod);
        }
    }

    fn set_service(&mut self, state: &mut State) {
        let mut ports: Vec<ServicePort> = Vec::new();
        for _ in 0..self.random.weighted([0, 70, 30]) {
            // What some pod serves, more often than not.
            let served: Vec<&PodPort> = state.pods.values().flat_map(|pod| &pod.ports).collect();
            let (target, protocol) = match self.random.choose(&served) {
                Some(port) if self.random.chance(75) => {
                    let name = port.name.clone().filter(|_| self.random.chance(50));
                    (name.unwrap_or_else(|| port.number.to_string()), port.protocol)
                }
                _ => {
                    let name = PORT_NAMES[self.random.below(PORT_NAMES.len() - 1)];
                    (name.to_owned(), protocol(&mut self.random))
                }
            };
            let number = self.random.pick(&[80, 81, 8080, 7000]);
            let port = ServicePort { number, protocol, target };
            if !ports.iter().any(|it| (it.number, it.protocol) == (port.number, port.protocol)) {
                ports.push(port);
            }
        }
        let (key, value) = self.random.pick(&POD_LABELS);
        let selector = Labels::from([(key.to_owned(), value.to_owned())]);
        let node_port = self.random.chance(20);
        let name = self.random.pick(&SERVICES);
        if let Some(name) = self.name(state, name) {
            state.services.insert(name, Service { selector, ports, node_port });
        }
    }

    fn add_policy(&mut self, state: &mut State) {
        if state.policies.len() >= 6 {
            return self.replace_policy(state);
        }
        let name = self.random.pick(&POLICIES);
        if let Some(name) = self.name(state, name) {
            let policy = policies::policy(&mut self.random, &Surroundings::new(&self.cluster, state));
            state.policies.insert(name, policy);
        }
    }

    /// Something else under the same name, or the same without a part.
    fn replace_policy(&mut self, state: &mut State) {
        let Some(name) = self.one(&state.policies) else { return };
        let Some(old) = state.policies.get(&name) else { return };
        let less = super::smaller::Smaller::smaller(old);
        let new = match self.random.choose(&less) {
            Some(less) if self.random.chance(50) => less.clone(),
            _ => policies::policy(&mut self.random, &Surroundings::new(&self.cluster, state)),
        };
        state.policies.insert(name, new);
    }
}

/// Another value, or none, for a key; or a key more.
fn relabel<const N: usize>(random: &mut Random, labels: &mut Labels, from: &[(&str, &str); N]) {
    let keys: Vec<String> = labels.keys().cloned().collect();
    match random.choose(&keys) {
        Some(key) if random.chance(50) => {
            labels.remove(key);
        }
        _ => {
            let (key, value) = random.pick(from);
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
}
