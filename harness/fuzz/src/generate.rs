//! Random clusters and random changes. Everything is drawn from small vocabularies, so that selectors match some
//! and not all, and what is next to a boundary is met as often as what is inside.

use crate::case::{Case, Cluster, External, Life, Pod, PodPort, Service, ServiceKind, ServicePort, State};
use crate::policies::{self, Surroundings};
use crate::policy::Labels;
use crate::random::Random;
use crate::vocabulary::{
    FIRST_OF_HOSTS, HOSTS, LONGEST_NAME, NAMESPACE_LABELS, NAMESPACES, POD_LABELS, PODS, POLICIES,
    PORT_NAMES, SERVICES, labels, number_of, pod_ports, protocol, relabel,
};
use netproof_model::{Families, NamespacedName, Wiring};
use std::collections::BTreeMap;

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
    let cluster = cluster(&mut random, fixed);
    let (policies, pods) = match random.weighted([86, 11, 3]) {
        0 => (6, 7),
        // Many policies on few pods, and many pods.
        1 => (14, 4),
        _ => (4, 22),
    };
    let mut generator = Generator { cluster, random, policies, pods };
    let mut state = generator.first();
    let mut all = vec![state.clone()];
    while all.len() < states {
        let changes = 1 + generator.random.weighted([57, 28, 9, 0, 0, 0, 6]);
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
    let (advertised, load_balancer, names) = (random.chance(25), random.chance(45), random.chance(30));
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
        advertised,
        load_balancer,
        names,
        externals,
    }
}

struct Generator {
    cluster: Cluster,
    random: Random,
    /// So many policies at most.
    policies: usize,
    /// So many pods at most.
    pods: usize,
}

impl Generator {
    fn first(&mut self) -> State {
        let mut state = State::default();
        for name in NAMESPACES {
            if name == NAMESPACES[0] || self.random.chance(65) {
                let own = labels(&mut self.random, &NAMESPACE_LABELS, 2);
                state.namespaces.insert(name.to_owned(), own);
            }
        }
        for _ in 0..self.random.between(self.pods / 2, self.pods - 1) {
            self.add_pod(&mut state, None);
        }
        for _ in 0..self.random.weighted([15, 45, 30, 10]) {
            self.set_service(&mut state);
        }
        let most = self.policies / 2;
        for _ in 0..self.random.between(0, most).max(self.random.between(0, most)) {
            self.add_policy(&mut state);
        }
        state
    }

    /// One change, or none where there is nothing to change.
    fn change(&mut self, state: &mut State) {
        match self.random.weighted([26, 20, 13, 12, 6, 5, 4, 6, 3, 3, 3, 2, 3]) {
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
                    if let Some(pod) = self.pod(state, &name, address) {
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
            8 if state.pods.len() < self.pods => self.add_pod(state, None),
            8 => {
                self.take_pod(state);
            }
            9 => {
                let pod = self.one(&state.pods).and_then(|name| state.pods.get_mut(&name));
                if let Some(pod) = pod {
                    match self.random.chance(30) && pod.life == Life::Runs {
                        true => pod.life = Life::Terminates,
                        false => pod.ready = !pod.ready,
                    }
                }
            }
            10 => {
                // A pod ends, and another one gets its address, or not.
                if let Some((name, old)) = self.take_pod(state) {
                    let address = (old.node, old.host);
                    state.pods.insert(name, Pod { life: Life::Ended, ..old });
                    if self.random.chance(60) {
                        self.add_pod(state, Some(address));
                    }
                }
            }
            11 => state.policies.clear(),
            _ => self.namespace_comes_or_goes(state),
        }
    }

    /// A namespace comes, with a pod, or goes with all that is in it, if a pod with a network of its own stays.
    fn namespace_comes_or_goes(&mut self, state: &mut State) {
        let name = NAMESPACES[self.random.between(1, NAMESPACES.len() - 1)];
        if state.namespaces.contains_key(name) {
            let here = |it: &NamespacedName| it.namespace == name;
            if state.pods.iter().any(|(pod, it)| !here(pod) && it.has_own_network()) {
                state.namespaces.remove(name);
                state.pods.retain(|it, _| !here(it));
                state.services.retain(|it, _| !here(it));
                state.policies.retain(|it, _| !here(it));
            }
            return;
        }
        let own = labels(&mut self.random, &NAMESPACE_LABELS, 2);
        state.namespaces.insert(name.to_owned(), own);
        let pod = NamespacedName::new(name, self.random.pick(&PODS));
        if state.pods.len() < self.pods
            && let Some(new) = self.pod(state, &pod, None)
        {
            state.pods.insert(pod, new);
        }
    }

    fn one<V>(&mut self, from: &BTreeMap<NamespacedName, V>) -> Option<NamespacedName> {
        let names: Vec<&NamespacedName> = from.keys().collect();
        self.random.choose(&names).map(|name| (*name).clone())
    }

    /// A name in one of the namespaces, most often in the one that stays, so that something is together.
    fn name(&mut self, state: &State, name: &str) -> Option<NamespacedName> {
        let namespaces: Vec<&String> = state.namespaces.keys().collect();
        match self.random.chance(25) {
            true => Some(NamespacedName::new(NAMESPACES[0], name)),
            false => {
                self.random.choose(&namespaces).map(|namespace| NamespacedName::new(namespace.as_str(), name))
            }
        }
    }

    /// A pod of a name with this node and address, or with others if these are not free.
    fn pod(&mut self, state: &State, name: &NamespacedName, address: Option<(usize, u8)>) -> Option<Pod> {
        let is_free = |address: &(usize, u8)| {
            let others = state.pods.values().filter(|pod| pod.life != Life::Ended);
            others.into_iter().all(|pod| (pod.node, pod.host) != *address)
        };
        let free = |node| HOSTS.into_iter().filter(|host| is_free(&(node, *host))).collect::<Vec<u8>>();
        let (node, host) = match address.filter(is_free) {
            Some(address) => address,
            None => {
                let node = self.random.below(self.cluster.nodes);
                (node, *self.random.choose(&free(node))?)
            }
        };
        let host_network = self.random.chance(10) && state.pods.values().any(Pod::has_own_network);
        let mut ports = pod_ports(&mut self.random, 3);
        if host_network {
            // Pods in one network cannot listen on one port.
            ports.truncate(1);
            ports.iter_mut().for_each(|port| port.number = FIRST_OF_HOSTS + number_of(name, &PODS));
        }
        Some(Pod {
            labels: labels(&mut self.random, &POD_LABELS, 3),
            node,
            host,
            ports,
            host_network,
            ready: self.random.chance(92),
            life: Life::Runs,
            incarnation: 0,
        })
    }

    /// Takes a pod away, if another one with a network of its own stays: something must be there to be tried.
    fn take_pod(&mut self, state: &mut State) -> Option<(NamespacedName, Pod)> {
        let name = self.one(&state.pods)?;
        let stays = state.pods.iter().any(|(other, pod)| *other != name && pod.has_own_network());
        if stays { state.pods.remove_entry(&name) } else { None }
    }

    fn add_pod(&mut self, state: &mut State, address: Option<(usize, u8)>) {
        let name = self.random.pick(&PODS);
        let name = self.name(state, name).filter(|name| !state.pods.contains_key(name));
        if let Some(name) = name
            && let Some(pod) = self.pod(state, &name, address)
        {
            state.pods.insert(name, pod);
        }
    }

    fn set_service(&mut self, state: &mut State) {
        let name = self.random.pick(&SERVICES);
        let name = match self.one(&state.pods) {
            Some(pod) if self.random.chance(80) => NamespacedName::new(pod.namespace, name),
            _ => match self.name(state, name) {
                Some(name) => name,
                None => return,
            },
        };
        // A label of some pod there, more often than not: several services then lead to the same pods.
        let here =
            || state.pods.iter().filter(|(pod, _)| pod.namespace == name.namespace).map(|(_, pod)| pod);
        let known: Vec<(&String, &String)> = here().flat_map(|pod| &pod.labels).collect();
        let (key, value) = match self.random.choose(&known) {
            Some((key, value)) if self.random.chance(80) => ((*key).clone(), (*value).clone()),
            _ => {
                let (key, value) = self.random.pick(&POD_LABELS);
                (key.to_owned(), value.to_owned())
            }
        };
        let behind = here().filter(|pod| pod.labels.get(&key) == Some(&value));
        let served: Vec<&PodPort> = behind.flat_map(|pod| &pod.ports).collect();
        let mut ports: Vec<ServicePort> = Vec::new();
        for _ in 0..self.random.weighted([0, 70, 30]) {
            // What some of its pods serves, more often than not.
            let (target, protocol) = match self.random.choose(&served) {
                Some(port) if self.random.chance(85) => {
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
        let local = self.random.chance(40);
        let kind = match self.random.weighted([46, 12, 18, 24]) {
            0 => ServiceKind::ClusterIp,
            1 => ServiceKind::Headless,
            2 => ServiceKind::NodePort { local },
            _ => ServiceKind::LoadBalancer { local },
        };
        let service = Service {
            selector: Labels::from([(key, value)]),
            ports,
            kind,
            internal_local: self.random.chance(15),
            publish_not_ready: self.random.chance(10),
            // There are few enough names.
            host: number_of(&name, &SERVICES) as u8,
        };
        state.services.insert(name, service);
    }

    fn add_policy(&mut self, state: &mut State) {
        if state.policies.len() >= self.policies {
            return self.replace_policy(state);
        }
        let name = match self.random.chance(88) {
            true => self.random.pick(&POLICIES).to_owned(),
            // They differ in the end, or in length.
            false => "n".repeat(LONGEST_NAME - 1) + self.random.pick(&["", "0", "1"]),
        };
        if let Some(name) = self.name(state, &name) {
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
