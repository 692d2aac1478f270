//! What is left of a thing without one of its parts.

use crate::case::{Cluster, External, Life, Pod, PodPort, Service, ServiceKind, ServicePort};
use crate::policy::{Peer, Policy, PortEntry, Requirement, Rule, Selector};
use ipnet::IpNet;
use netproof_api::networking::PolicyType;
use std::collections::BTreeMap;

/// Something with parts that can be left out.
pub trait Smaller: Sized {
    /// The same with less, each time by as little as possible; large parts first.
    fn smaller(&self) -> Vec<Self>;
}

/// Without parts.
macro_rules! atoms {
    ($($name:ident),+) => {
        $(impl Smaller for $name {
            fn smaller(&self) -> Vec<Self> {
                Vec::new()
            }
        })+
    };
}
atoms!(String, IpNet, PolicyType);

/// The parts are these fields.
macro_rules! fields {
    ($name:ident { $($field:ident),+ }) => {
        impl Smaller for $name {
            fn smaller(&self) -> Vec<Self> {
                let mut all = Vec::new();
                $(for $field in self.$field.smaller() {
                    all.push($name { $field, ..self.clone() });
                })+
                all
            }
        }
    };
}
fields!(Policy { ingress, egress, types, pods });
fields!(Rule { peers, ports });
fields!(Selector { expressions, labels });
fields!(PodPort { name });
fields!(Service { ports, selector, kind, internal_local, publish_not_ready });
fields!(Pod { labels, ports, host_network, life });
fields!(Cluster { externals, nat_outgoing, advertised, load_balancer, names });
fields!(External { ports });
atoms!(ServicePort);

impl Smaller for bool {
    fn smaller(&self) -> Vec<Self> {
        if *self { vec![false] } else { Vec::new() }
    }
}

impl Smaller for Life {
    fn smaller(&self) -> Vec<Self> {
        if *self == Life::Runs { Vec::new() } else { vec![Life::Runs] }
    }
}

impl Smaller for ServiceKind {
    fn smaller(&self) -> Vec<Self> {
        let less = match *self {
            ServiceKind::ClusterIp => return Vec::new(),
            ServiceKind::Headless | ServiceKind::NodePort { local: false } => None,
            ServiceKind::NodePort { local: true } => Some(ServiceKind::NodePort { local: false }),
            ServiceKind::LoadBalancer { local } => Some(ServiceKind::NodePort { local }),
        };
        std::iter::once(ServiceKind::ClusterIp).chain(less).collect()
    }
}

impl Smaller for PortEntry {
    fn smaller(&self) -> Vec<Self> {
        match self {
            // The end of a range needs its start.
            PortEntry { end: Some(_), .. } => vec![PortEntry { end: None, ..self.clone() }],
            PortEntry { port: Some(_), .. } => vec![PortEntry { port: None, ..self.clone() }],
            _ => Vec::new(),
        }
    }
}

impl Smaller for Requirement {
    fn smaller(&self) -> Vec<Self> {
        // In and NotIn need a value.
        let values = if self.values.len() > 1 { self.values.smaller() } else { Vec::new() };
        values.into_iter().map(|values| Requirement { values, ..self.clone() }).collect()
    }
}

impl Smaller for Peer {
    fn smaller(&self) -> Vec<Self> {
        match self {
            Peer::Pods(pods) => pods.smaller().into_iter().map(Peer::Pods).collect(),
            Peer::Namespaces(namespaces) => namespaces.smaller().into_iter().map(Peer::Namespaces).collect(),
            Peer::PodsOfNamespaces(namespaces, pods) => {
                let mut all = vec![Peer::Pods(pods.clone()), Peer::Namespaces(namespaces.clone())];
                let less = namespaces.smaller().into_iter();
                all.extend(less.map(|less| Peer::PodsOfNamespaces(less, pods.clone())));
                let less = pods.smaller().into_iter();
                all.extend(less.map(|less| Peer::PodsOfNamespaces(namespaces.clone(), less)));
                all
            }
            Peer::Block(cidr, except) => {
                let less = except.smaller().into_iter();
                let plain = (cidr.trunc() != *cidr).then(|| Peer::Block(cidr.trunc(), except.clone()));
                plain.into_iter().chain(less.map(|less| Peer::Block(*cidr, less))).collect()
            }
        }
    }
}

impl<T: Smaller + Clone> Smaller for Vec<T> {
    fn smaller(&self) -> Vec<Self> {
        let without = (0..self.len()).map(|index| {
            let mut less = self.clone();
            less.remove(index);
            less
        });
        let inside = self.iter().enumerate().flat_map(|(index, item)| {
            item.smaller().into_iter().map(move |item| {
                let mut less = self.clone();
                less[index] = item;
                less
            })
        });
        without.chain(inside).collect()
    }
}

impl<T: Smaller> Smaller for Option<T> {
    fn smaller(&self) -> Vec<Self> {
        let inside = self.iter().flat_map(T::smaller).map(Some);
        self.iter().map(|_| None).chain(inside).collect()
    }
}

impl<K: Ord + Clone, V: Smaller + Clone> Smaller for BTreeMap<K, V> {
    fn smaller(&self) -> Vec<Self> {
        let with = |key: &K, value: Option<V>| {
            let mut less = self.clone();
            match value {
                Some(value) => less.insert(key.clone(), value),
                None => less.remove(key),
            };
            less
        };
        let without = self.keys().map(|key| with(key, None));
        let inside = self
            .iter()
            .flat_map(|(key, value)| value.smaller().into_iter().map(move |value| (key, value)))
            .map(|(key, value)| with(key, Some(value)));
        without.chain(inside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::PortName;
    use super::*;

    #[test]
    fn each_part_is_left_out_once_and_the_rest_stays() {
        let entry = PortEntry { protocol: None, port: Some(PortName::Number(80)), end: Some(81) };
        let rule = Rule { peers: None, ports: Some(vec![entry.clone(), PortEntry::default()]) };
        let said: Vec<String> = rule.smaller().iter().map(|rule| format!("{:?}", rule.ports)).collect();
        let first = "PortEntry { protocol: None, port: Some(Number(80)), end: Some(81) }";
        let none = "PortEntry { protocol: None, port: None, end: None }";
        assert_eq!(
            said,
            [
                "None".to_owned(),
                format!("Some([{none}])"),
                format!("Some([{first}])"),
                format!("Some([PortEntry {{ protocol: None, port: Some(Number(80)), end: None }}, {none}])"),
            ]
        );
    }
}
