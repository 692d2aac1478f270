//! The plan of a cluster: its namespaces, the links between them, and the content of their tables, computed
//! from a snapshot without touching the machine.
//!
//! The router is in the middle. Every other place has one veth to a place above it: nodes and external hosts
//! to the router, pods to their node. Everything is routed, hop by hop, as in a cloud's network. A place has
//! a host route and a permanent neighbour entry for each address above it and, on a node or the router, for
//! each address below. Only the two ends of a veth are on-link with each other, so an address without a
//! route is unreachable at once, and nothing waits for a missing neighbour. Nodes reach each other through
//! the router's IP stack: a node's entries for the other nodes have the MAC address of the router's port.
//! With `neighbours: learned`, pods and their nodes have no entries and solicit each other, and the gateway
//! has an address to answer with.
//!
//! An overlay changes only the nodes' routes to the pods of other nodes (`overlay.rs`). The router's routes
//! to services follow their endpoints (`services.rs`).

mod overlay;
mod planner;
mod services;

use crate::error::ClusterError;
use crate::netlink::Mac;
use ipnet::IpNet;
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Place};
use planner::Planner;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All namespaces of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub families: Families,
    pub stacks: BTreeMap<Place, Stack>,
}

/// One namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    /// The veth to the place above; `None` for the router.
    pub uplink: Option<Uplink>,
    /// Whether it passes packets on.
    pub forwards: bool,
    /// The MAC address of its bridge, if it has one.
    pub bridge: Option<Mac>,
    /// Its end of the overlay, if it has one.
    pub overlay: Option<Overlay>,
    /// The ports whose packets must not use the routes for packets from outside.
    pub inside: Vec<String>,
    pub addresses: Vec<Address>,
    pub tables: Tables,
}

/// A veth to the place above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uplink {
    pub above: Place,
    /// The name of the interface at the place above; here it is `eth0`.
    pub port: String,
    /// Whether the end above is a port of the bridge there.
    pub bridged: bool,
    pub mac: Mac,
    /// That of the port above.
    pub port_mac: Mac,
    /// The MAC address to which this place sends: the port's above, or that of its bridge.
    pub gateway_mac: Mac,
    /// Whether the ends solicit each other's MAC address.
    pub learned: bool,
    /// The address of the port above on this link, if it has one of its own.
    pub port_address: Option<IpAddr>,
    /// The MTU of both ends, in bytes.
    pub mtu: u32,
}

/// A node's end of the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overlay {
    pub mac: Mac,
    /// The node's address in the underlying network: the source of the outer packets.
    pub local: IpAddr,
    pub mtu: u32,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub interface: Interface,
    pub address: IpAddr,
    /// Whether the kernel must not choose it as a source by itself.
    pub quiet: bool,
    /// Whether neighbours solicit it.
    pub asked: bool,
}

/// Routes, neighbours and forwarding entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub routes: BTreeMap<IpNet, Hop>,
    /// Routes for packets from outside that have no other route.
    pub outside: BTreeMap<IpNet, Hop>,
    pub neighbours: BTreeMap<(Interface, IpAddr), Neighbour>,
    /// Where the bridge or the overlay sends frames to a MAC address.
    pub forwarding: BTreeMap<Mac, Forward>,
}

/// An interface of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Interface {
    Loopback,
    /// `eth0`.
    Uplink,
    /// `cni0`.
    Bridge,
    /// `vxlan0`.
    Overlay,
    /// The veth to a place below.
    Port(Place),
}

/// How a neighbour's MAC address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// By a permanent entry, which the kernel neither resolves nor forgets.
    Permanent(Mac),
    /// By soliciting, which will find this address; an entry learned for another one is removed.
    Learned(Mac),
}

/// The target of a forwarding entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// To a port of the bridge.
    Port(Interface),
    /// To the end of the overlay at this address of the underlying network.
    Peer(IpAddr),
}

/// The target of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Link {
        interface: Interface,
        source: Option<IpAddr>,
    },
    Gateway {
        interface: Interface,
        gateway: IpAddr,
        source: Option<IpAddr>,
    },
    /// To several gateways; each flow takes one of them.
    Gateways(Vec<(Interface, IpAddr)>),
    /// To this namespace itself.
    Local,
    Unreachable,
}

impl Plan {
    /// Computes the plan of a snapshot. The same snapshot always gives the same plan.
    pub fn new(snapshot: &Snapshot) -> Plan {
        let mut plan = Planner::new(snapshot).plan();
        plan.route_services(snapshot);
        plan
    }

    /// Refuses two interfaces of the same name in one namespace: names are hashes.
    pub fn check_names(&self) -> Result<(), ClusterError> {
        let mut owners = BTreeMap::new();
        for (place, uplink) in
            self.stacks.iter().filter_map(|(place, stack)| Some((place, stack.uplink.as_ref()?)))
        {
            let Uplink { above, port, .. } = uplink;
            if let Some(other) = owners.insert((above, port), place) {
                let places = Box::new([other.clone(), place.clone()]);
                return Err(ClusterError::SameInterface { above: above.clone(), name: port.clone(), places });
            }
        }
        Ok(())
    }

    /// Updates the router's routes to services, for a snapshot that differs from the plan's only in services
    /// and endpoints.
    pub fn route_services(&mut self, snapshot: &Snapshot) {
        if let Some(router) = self.stacks.get_mut(&Place::Router) {
            router.tables.outside = services::routes(snapshot);
        }
    }
}

impl Stack {
    /// Whether the namespace of this stack can serve for the other one after a change of its tables. Only
    /// tables of namespaces that forward are ever changed.
    pub fn becomes(&self, other: &Stack) -> bool {
        let Stack { uplink, forwards, bridge, overlay, inside, addresses, tables } = self;
        *uplink == other.uplink
            && *forwards == other.forwards
            && *bridge == other.bridge
            && *overlay == other.overlay
            && *inside == other.inside
            && *addresses == other.addresses
            && (*forwards || *tables == other.tables)
    }
}

impl Tables {
    /// Forgets the table entries that disappeared with the port to a place below.
    pub fn forget(&mut self, place: &Place) {
        let on_port = |interface: &Interface| matches!(interface, Interface::Port(below) if below == place);
        let stays = |_: &IpNet, hop: &mut Hop| match hop {
            Hop::Link { interface, .. } | Hop::Gateway { interface, .. } => !on_port(interface),
            Hop::Gateways(hops) => !hops.iter().any(|(interface, _)| on_port(interface)),
            Hop::Local | Hop::Unreachable => true,
        };
        self.routes.retain(stays);
        self.outside.retain(stays);
        self.neighbours.retain(|(interface, _), _| !on_port(interface));
        self.forwarding
            .retain(|_, forward| !matches!(forward, Forward::Port(interface) if on_port(interface)));
    }
}
