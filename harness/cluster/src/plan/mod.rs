//! The wire plan: which namespaces there are, how they are joined, and what stands in the tables of
//! each, computed from a snapshot without touching the machine.
//!
//! The router is in the middle. Every other place hangs on one place above it by one veth: nodes and
//! external hosts on the router, pods on their node. All is routed, hop by hop, as in a cloud's network:
//! a place knows the host above it and, for a node or the router, those below, each address by a host
//! route and a permanent neighbour entry. Nothing is on-link with anything but the other end of its
//! veth, so what has no route is unreachable at once and nobody waits for a neighbour that is not there.
//! Nodes reach each other through the router's IP stack: the entries that a node has for the other nodes
//! carry the MAC address of the router's port. Where the topology says `neighbours: learned`, pods and
//! their nodes have no entries for each other and ask, and the gateway has an address to answer with.
//!
//! An overlay changes what nodes know of the pods of the others, and nothing else (`overlay.rs`). What
//! the router knows of services follows their endpoints (`services.rs`).

mod overlay;
mod planner;
mod services;

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
    /// The veth to the place above; the router has none.
    pub uplink: Option<Uplink>,
    /// Whether it passes packets on.
    pub forwards: bool,
    /// The MAC address of its bridge, if it has one.
    pub bridge: Option<Mac>,
    /// Its end of the overlay, if it has one.
    pub overlay: Option<Overlay>,
    /// The ports to those for whom the routes for packets from outside are not.
    pub inside: Vec<String>,
    pub addresses: Vec<Address>,
    pub tables: Tables,
}

/// A veth to the place above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uplink {
    pub above: Place,
    /// The name of the interface above; `eth0` here.
    pub port: String,
    /// Whether the end above is a port of the bridge there.
    pub bridged: bool,
    pub mac: Mac,
    /// That of the port above.
    pub port_mac: Mac,
    /// Where this place sends its packets: to the port above, or to the bridge that the port is in.
    pub gateway_mac: Mac,
    /// Whether the ends ask for each other's MAC address.
    pub learned: bool,
    /// The address of the port above on this link, if it has one of its own.
    pub port_address: Option<IpAddr>,
    /// The longest packet that both ends send, in bytes.
    pub mtu: u32,
}

/// A node's end of the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overlay {
    pub mac: Mac,
    /// The node's address in the network below: what its packets there come from.
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
    /// Whether neighbours ask who has it.
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
    /// `vxlan.calico`.
    Overlay,
    /// The veth to a place below.
    Port(Place),
}

/// How a neighbour's MAC address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// By an entry that the kernel neither resolves nor forgets.
    Permanent(Mac),
    /// By asking, which will find this one; what was learned of another one is forgotten.
    Learned(Mac),
}

/// Where a forwarding entry leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// To a port of the bridge.
    Port(Interface),
    /// To the overlay's end at this address of the network below.
    Peer(IpAddr),
}

/// Where a route leads.
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
    /// To several gateways, each flow to one of them.
    Gateways(Vec<(Interface, IpAddr)>),
    /// To this namespace itself.
    Local,
    Unreachable,
}

impl Plan {
    /// The plan of a snapshot. The same snapshot gives the same plan.
    pub fn new(snapshot: &Snapshot) -> Plan {
        let mut plan = Planner::new(snapshot).plan();
        plan.route_services(snapshot);
        plan
    }

    /// Brings the router's routes to addresses of services to a snapshot that differs from the plan's in
    /// nothing but services and their endpoints.
    pub fn route_services(&mut self, snapshot: &Snapshot) {
        if let Some(router) = self.stacks.get_mut(&Place::Router) {
            router.tables.outside = services::routes(snapshot);
        }
    }
}

impl Stack {
    /// Whether a namespace that was made for this stack serves for the other one, when its tables are
    /// changed, which only those that pass packets on have done to them.
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
    /// Forgets what stood on the port to a place below, and went with it.
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
