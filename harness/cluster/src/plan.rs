//! The wire plan: which namespaces there are, how they are joined, and what stands in the tables of
//! each, computed from a snapshot without touching the machine.
//!
//! The router is in the middle. Every other place hangs on one place above it by one veth: nodes and
//! external hosts on the router, pods on their node. All is routed, hop by hop, as in a cloud's network:
//! a place knows the host above it and, for a node or the router, those below, each address by a host
//! route and a permanent neighbour entry. Nothing is on-link with anything but the other end of its
//! veth, so what has no route is unreachable at once and nobody waits for a neighbour that is not there.
//! Nodes reach each other through the router's IP stack: the entries that a node has for the other nodes
//! carry the MAC address of the router's port.

use crate::netlink::Mac;
use ipnet::IpNet;
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Families, Family, NamespacedName, Place, Wiring};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The gateway of everyone who has no address of the place above: link-local, as Calico has it.
pub(crate) const GATEWAY_IPV4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The same in IPv6.
pub(crate) const GATEWAY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xecee, 0xeeff, 0xfeee, 0xeeee);

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
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub interface: Interface,
    pub address: IpAddr,
    /// Whether the kernel must not choose it as a source by itself.
    pub quiet: bool,
}

/// Routes, neighbours and forwarding entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub routes: BTreeMap<IpNet, Hop>,
    pub neighbours: BTreeMap<(Interface, IpAddr), Mac>,
    /// Where the bridge sends frames to a MAC address.
    pub forwarding: BTreeMap<Mac, Interface>,
}

/// An interface of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Interface {
    Loopback,
    /// `eth0`.
    Uplink,
    /// `cni0`.
    Bridge,
    /// The veth to a place below.
    Port(Place),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Link { interface: Interface, source: Option<IpAddr> },
    Gateway { interface: Interface, gateway: IpAddr },
    Unreachable,
}

impl Plan {
    /// The plan of a snapshot. The same snapshot gives the same plan.
    pub fn new(snapshot: &Snapshot) -> Plan {
        let mut planner =
            Planner { snapshot, plan: Plan { families: snapshot.topology.family, stacks: BTreeMap::new() } };
        planner.router();
        for node in &snapshot.topology.nodes {
            planner.node(&node.name);
        }
        for name in snapshot.externals.keys() {
            planner.external(name);
        }
        for name in snapshot.pods.keys() {
            planner.pod(name);
        }
        planner.plan
    }
}

impl Stack {
    /// Whether a namespace that was made for this stack serves for the other one, when its tables are
    /// changed, which only those that pass packets on have done to them.
    pub fn becomes(&self, other: &Stack) -> bool {
        let Stack { uplink, forwards, bridge, addresses, tables } = self;
        *uplink == other.uplink
            && *forwards == other.forwards
            && *bridge == other.bridge
            && *addresses == other.addresses
            && (*forwards || *tables == other.tables)
    }
}

impl Tables {
    /// Forgets what stood on the port to a place below, and went with it.
    pub fn forget(&mut self, place: &Place) {
        let on_port = |interface: &Interface| matches!(interface, Interface::Port(below) if below == place);
        self.routes.retain(|_, hop| match hop {
            Hop::Link { interface, .. } | Hop::Gateway { interface, .. } => !on_port(interface),
            Hop::Unreachable => true,
        });
        self.neighbours.retain(|(interface, _), _| !on_port(interface));
        self.forwarding.retain(|_, interface| !on_port(interface));
    }
}

struct Planner<'a> {
    snapshot: &'a Snapshot,
    plan: Plan,
}

impl Planner<'_> {
    fn router(&mut self) {
        let addresses = self.router_addresses().into_iter().map(|address| Address {
            interface: Interface::Loopback,
            address,
            quiet: false,
        });
        let router = Stack { forwards: true, addresses: addresses.collect(), ..Stack::default() };
        self.plan.stacks.insert(Place::Router, router);
    }

    fn node(&mut self, name: &str) {
        let place = Place::node(name);
        let uplink = uplink(&place, Place::Router, format!("node{}", self.index(name)), false);
        let addresses = self.node_addresses(name);
        let mut stack =
            Stack { forwards: true, addresses: hosts(Interface::Uplink, &addresses), ..Stack::default() };
        let tables = &mut stack.tables;
        for gateway in self.router_addresses() {
            tables.host(Interface::Uplink, gateway, uplink.gateway_mac, None);
            tables.routes.insert(default_of(gateway), Hop::gateway(gateway));
        }
        for other in self.snapshot.topology.nodes.iter().filter(|other| other.name != name) {
            for address in self.node_addresses(&other.name) {
                tables.host(Interface::Uplink, address, uplink.gateway_mac, None);
                for range in self.pod_ranges(&other.name, Family::of(address)) {
                    tables.routes.insert(range, Hop::gateway(address));
                }
            }
        }
        // Without this a packet to a pod that is not there would go up to the router and come back.
        for family in self.plan.families.list() {
            for range in self.pod_ranges(name, *family) {
                tables.routes.insert(range, Hop::Unreachable);
            }
        }
        if self.snapshot.topology.wiring == Wiring::Bridge {
            stack.bridge = Some(mac(0x0a, &place));
            // Quiet: what the node sends or masquerades has the node's own address in either wiring.
            stack.addresses.extend(self.bridge_addresses(name).into_iter().map(|address| Address {
                interface: Interface::Bridge,
                address,
                quiet: true,
            }));
        }
        stack.uplink = Some(uplink.clone());
        self.plan.stacks.insert(place.clone(), stack);

        let ranges: Vec<_> = addresses
            .iter()
            .flat_map(|address| {
                let ranges = self.pod_ranges(name, Family::of(*address));
                ranges.into_iter().map(|range| (range, *address))
            })
            .collect();
        let Some(router) = self.plan.stacks.get_mut(&Place::Router) else { return };
        for address in addresses {
            router.tables.host(Interface::Port(place.clone()), address, uplink.mac, None);
        }
        for (range, gateway) in ranges {
            let hop = Hop::Gateway { interface: Interface::Port(place.clone()), gateway };
            router.tables.routes.insert(range, hop);
        }
    }

    fn external(&mut self, name: &str) {
        let Some(host) = self.snapshot.externals.get(name) else { return };
        let place = Place::external(name);
        let uplink = uplink(&place, Place::Router, port_of_external(name), false);
        let addresses = self.of_families(&host.addresses);
        let gateways = self.link_local_gateways();
        self.attach(place, uplink, &addresses, &gateways, None);
    }

    fn pod(&mut self, name: &NamespacedName) {
        let Some(pod) = self.snapshot.pods.get(name) else { return };
        let Some(node) = pod.node_name.as_deref().filter(|node| self.snapshot.nodes.contains_key(*node))
        else {
            return;
        };
        if pod.host_network || pod.phase.has_ended() {
            return;
        }
        let place = Place::Pod(name.clone());
        let bridged = self.snapshot.topology.wiring == Wiring::Bridge;
        let mut link = uplink(&place, Place::node(node), host_interface(name), bridged);
        let gateways = if bridged {
            link.gateway_mac = mac(0x0a, &link.above);
            self.bridge_addresses(node)
        } else {
            self.link_local_gateways()
        };
        let addresses = self.of_families(&pod.pod_ips);
        let above = link.above.clone();
        self.attach(place, link, &addresses, &gateways, Some(above));
        self.stray(node, &addresses);
    }

    /// Adds a host with addresses at the end of a wire, and its routes to the place above. What a node
    /// sends to its pods has the node's own address.
    fn attach(
        &mut self,
        place: Place,
        uplink: Uplink,
        addresses: &[IpAddr],
        gateways: &[IpAddr],
        node: Option<Place>,
    ) {
        let sources = match &node {
            Some(Place::Node(name)) => self.node_addresses(name),
            _ => Vec::new(),
        };
        let interface = if uplink.bridged { Interface::Bridge } else { Interface::Port(place.clone()) };
        if let Some(above) = self.plan.stacks.get_mut(&uplink.above) {
            for address in addresses {
                let source = sources.iter().copied().find(|source| same_family(*source, *address));
                above.tables.host(interface.clone(), *address, uplink.mac, source);
            }
            if uplink.bridged {
                above.tables.forwarding.insert(uplink.mac, Interface::Port(place.clone()));
            }
        }
        let mut stack = Stack { addresses: hosts(Interface::Uplink, addresses), ..Stack::default() };
        for gateway in gateways {
            stack.tables.neighbours.insert((Interface::Uplink, *gateway), uplink.gateway_mac);
            stack.tables.routes.insert(default_of(*gateway), Hop::gateway(*gateway));
        }
        stack.uplink = Some(uplink);
        self.plan.stacks.insert(place, stack);
    }

    /// A pod's address that is not of its node's range (written in its manifest) needs a route of its
    /// own: on the router, and on the node in whose range it is.
    fn stray(&mut self, node: &str, addresses: &[IpAddr]) {
        for address in addresses {
            let family = Family::of(*address);
            let within = |ranges: Vec<IpNet>| ranges.iter().any(|range| range.contains(address));
            if within(self.pod_ranges(node, family)) {
                continue;
            }
            let find = |addresses: Vec<IpAddr>| addresses.into_iter().find(|a| same_family(*a, *address));
            let (Some(router), Some(via)) = (find(self.router_addresses()), find(self.node_addresses(node)))
            else {
                continue;
            };
            for other in &self.snapshot.topology.nodes {
                if other.name != node && within(self.pod_ranges(&other.name, family)) {
                    let stack = self.plan.stacks.entry(Place::node(&*other.name)).or_default();
                    stack.tables.routes.insert(IpNet::from(*address), Hop::gateway(router));
                }
            }
            let stack = self.plan.stacks.entry(Place::Router).or_default();
            let hop = Hop::Gateway { interface: Interface::Port(Place::node(node)), gateway: via };
            stack.tables.routes.insert(IpNet::from(*address), hop);
        }
    }

    fn index(&self, node: &str) -> usize {
        self.snapshot.topology.node_index(node).unwrap_or_default()
    }

    fn of_families(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let families = self.plan.families;
        addresses.iter().copied().filter(|address| families.contains(Family::of(*address))).collect()
    }

    fn node_addresses(&self, name: &str) -> Vec<IpAddr> {
        self.snapshot.nodes.get(name).map(|node| self.of_families(&node.addresses)).unwrap_or_default()
    }

    fn pod_ranges(&self, node: &str, family: Family) -> Vec<IpNet> {
        let ranges = self.snapshot.nodes.get(node).map(|node| node.pod_cidrs.as_slice()).unwrap_or_default();
        ranges.iter().copied().filter(|range| Family::of(range.addr()) == family).collect()
    }

    /// The router has the first address of the nodes' range.
    fn router_addresses(&self) -> Vec<IpAddr> {
        let ranges = &self.snapshot.topology.ranges.nodes;
        self.plan.families.list().iter().map(|family| first_host(*ranges.get(*family))).collect()
    }

    /// A bridge has the first address of its node's pod range.
    fn bridge_addresses(&self, node: &str) -> Vec<IpAddr> {
        let families = self.plan.families.list().iter();
        families.flat_map(|family| self.pod_ranges(node, *family)).map(first_host).collect()
    }

    fn link_local_gateways(&self) -> Vec<IpAddr> {
        let families = self.plan.families.list().iter();
        families
            .map(|family| match family {
                Family::Ipv4 => IpAddr::V4(GATEWAY_IPV4),
                Family::Ipv6 => IpAddr::V6(GATEWAY_IPV6),
            })
            .collect()
    }
}

impl Tables {
    /// A host at the other end of a link: its route and its neighbour entry.
    fn host(&mut self, interface: Interface, address: IpAddr, mac: Mac, source: Option<IpAddr>) {
        self.neighbours.insert((interface.clone(), address), mac);
        self.routes.insert(IpNet::from(address), Hop::Link { interface, source });
    }
}

impl Hop {
    /// A gateway behind `eth0`.
    fn gateway(gateway: IpAddr) -> Hop {
        Hop::Gateway { interface: Interface::Uplink, gateway }
    }
}

fn uplink(place: &Place, above: Place, port: String, bridged: bool) -> Uplink {
    let port_mac = mac(0x06, place);
    Uplink { above, port, bridged, mac: mac(0x02, place), port_mac, gateway_mac: port_mac }
}

/// A locally administered MAC address: `kind` tells a place's own interface from the port above it and
/// from a bridge, the rest is a hash (FNV-1a) of the place's name.
fn mac(kind: u8, place: &Place) -> Mac {
    let hash = fnv(&place.to_string()).to_be_bytes();
    [kind, hash[3], hash[4], hash[5], hash[6], hash[7]]
}

/// The router's port to an external host. Interface names have at most fifteen characters.
fn port_of_external(name: &str) -> String {
    format!("ex{:012x}", fnv(name) & 0xffff_ffff_ffff)
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn hosts(interface: Interface, addresses: &[IpAddr]) -> Vec<Address> {
    let host = |address| Address { interface: interface.clone(), address, quiet: false };
    addresses.iter().copied().map(host).collect()
}

fn first_host(range: IpNet) -> IpAddr {
    match range {
        IpNet::V4(range) => IpAddr::V4(Ipv4Addr::from_bits(range.network().to_bits().saturating_add(1))),
        IpNet::V6(range) => IpAddr::V6(Ipv6Addr::from_bits(range.network().to_bits().saturating_add(1))),
    }
}

fn default_of(gateway: IpAddr) -> IpNet {
    match gateway {
        IpAddr::V4(_) => IpNet::V4(Default::default()),
        IpAddr::V6(_) => IpNet::V6(Default::default()),
    }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}
