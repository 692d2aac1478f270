//! Subjects and peers: whom a policy is about, and the other end.

use super::{Dialect, One, only};
use crate::cluster_network_policy::{ClusterPeer, ClusterSubject, NamespacedPods};
use crate::manifest::scalars;
use crate::manifest::selector::label_selector;
use crate::networking::Cidr;
use crate::reader::Field;
use netproof_model::Direction;
use std::collections::BTreeSet;

/// The most characters of an address range.
const MAX_NETWORK: usize = 43;

/// `subject`.
pub(super) fn subject(dialect: &Dialect, field: &Field<'_>) -> Option<ClusterSubject> {
    let known = ["namespaces", "pods"];
    let fields = field.fields(&known)?;
    let help = "`namespaces: {}` is every pod of every namespace";
    match only(&fields, &known, ("a subject", help)) {
        One::Is("namespaces", field) => Some(ClusterSubject::Namespaces(label_selector(&field))),
        One::Is(_, field) => pods(dialect, &field).map(ClusterSubject::Pods),
        One::Unknown => {
            field.error(
                "nothing of this subject is known here",
                "use a netproof that knows the API's version",
            );
            None
        }
        One::Wrong => None,
    }
}

/// `from` or `to`. Those that are wrong are left out.
pub(super) fn peers(dialect: &Dialect, list: &Field<'_>, direction: Direction) -> Vec<ClusterPeer> {
    dialect.items(list, "peers", 1).iter().filter_map(|field| peer(dialect, field, direction)).collect()
}

fn peer(dialect: &Dialect, field: &Field<'_>, direction: Direction) -> Option<ClusterPeer> {
    let known: &[&str] = match direction {
        Direction::Ingress => &["namespaces", "pods"],
        Direction::Egress => &["namespaces", "pods", "nodes", "networks", "domainNames"],
    };
    let fields = field.fields(known)?;
    let help = "make an item of its own of each peer; `namespaces: {}` is every pod of every namespace";
    match only(&fields, known, ("a peer", help)) {
        One::Is("namespaces", field) => Some(ClusterPeer::Namespaces(label_selector(&field))),
        One::Is("pods", field) => pods(dialect, &field).map(ClusterPeer::Pods),
        One::Is("nodes", field) => Some(ClusterPeer::Nodes(label_selector(&field))),
        One::Is("networks", field) => Some(ClusterPeer::Networks(networks(&field))),
        One::Is(_, field) => {
            field.error("`domainNames` is not supported yet", "name the addresses by `networks` instead");
            None
        }
        One::Unknown => {
            let help = "as the API asks: Accept matches nothing then, Deny and Pass deny everything";
            field.warn("nothing of this peer is known here", help);
            Some(ClusterPeer::Unknown)
        }
        One::Wrong => None,
    }
}

fn pods(dialect: &Dialect, field: &Field<'_>) -> Option<NamespacedPods> {
    let fields = field.fields(&["namespaceSelector", "podSelector"])?;
    let namespace_selector = match dialect.is_v1alpha1() {
        true => fields.require("namespaceSelector"),
        false => fields.get("namespaceSelector"),
    };
    let pod_selector = fields.require("podSelector").map(|field| label_selector(&field));
    let namespace_selector = namespace_selector.map(|field| label_selector(&field));
    Some(NamespacedPods { namespace_selector, pod_selector: pod_selector? })
}

/// `networks`: at most 25 ranges, in every version.
fn networks(list: &Field<'_>) -> Vec<Cidr> {
    let mut written = BTreeSet::new();
    let items = super::CLUSTER.items(list, "networks", 1);
    let networks = items.iter().filter_map(|field| {
        let text = field.string()?;
        if text.len() > MAX_NETWORK {
            let message = format!("an address range has at most {MAX_NETWORK} characters");
            field.error(message, "write it shorter, without zeros before other digits");
            return None;
        }
        if !written.insert(text) {
            field.error(format!("{text} stands here twice"), "leave one of the two out");
        }
        scalars::cidr(field)
    });
    networks.collect()
}
