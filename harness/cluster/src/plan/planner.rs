//! Computes the plan of a snapshot: the router, the nodes, and the places below them.

use super::{Address, Forward, Hop, Interface, Neighbour, Plan, Stack, Tables, Uplink, overlay};
use crate::netlink::{ETHERNET_MTU, Mac};
use ipnet::IpNet;
use netproof_controlplane::{POD_GATEWAY, Snapshot, host_interface, router_interface};
use netproof_model::topology::Neighbours;
use netproof_model::{Family, NamespacedName, Place, Wiring};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv6 gateway of a place that knows no address of the place above: link-local, as in Calico.
const GATEWAY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xecee, 0xeeff, 0xfeee, 0xeeee);

/// Computes the plan of a snapshot.
pub(super) struct Planner<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) plan: Plan,
}

impl Planner<'_> {
    pub fn new(snapshot: &Snapshot) -> Planner<'_> {
        let plan = Plan { families: snapshot.topology.family, ..Plan::default() };
        Planner { snapshot, plan }
    }

    /// Everything but the routes to services.
    pub fn plan(mut self) -> Plan {
        self.router();
        for node in &self.snapshot.topology.nodes {
            self.node(&node.name);
        }
        for name in self.snapshot.externals.keys() {
            self.external(name);
        }
        for name in self.snapshot.pods.keys() {
            self.pod(name);
        }
        self.plan
    }

    fn router(&mut self) {
        let addresses = self.router_addresses().into_iter().map(|address| Address {
            interface: Interface::Loopback,
            address,
            quiet: false,
            asked: false,
        });
        let mut router = Stack { forwards: true, addresses: addresses.collect(), ..Stack::default() };
        let nodes = self.snapshot.topology.nodes.iter();
        router.inside = nodes.map(|node| router_interface(&self.snapshot.topology, &node.name)).collect();
        self.plan.stacks.insert(Place::Router, router);
    }

    fn node(&mut self, name: &str) {
        let place = Place::node(name);
        let uplink = uplink(&place, Place::Router, router_interface(&self.snapshot.topology, name), false);
        let addresses = self.node_addresses(name);
        let mut stack =
            Stack { forwards: true, addresses: hosts(Interface::Uplink, &addresses), ..Stack::default() };
        let tables = &mut stack.tables;
        for gateway in self.router_addresses() {
            tables.host(Interface::Uplink, gateway, Neighbour::Permanent(uplink.gateway_mac), None);
            tables.routes.insert(default_of(gateway), Hop::gateway(gateway));
        }
        let overlay = self.overlay(name);
        for other in self.snapshot.topology.nodes.iter().filter(|other| other.name != name) {
            for address in self.node_addresses(&other.name) {
                tables.host(Interface::Uplink, address, Neighbour::Permanent(uplink.gateway_mac), None);
                if overlay.is_none() {
                    let ranges = self.pod_ranges(&other.name, Family::of(address));
                    tables.routes.extend(ranges.into_iter().map(|range| (range, Hop::gateway(address))));
                }
            }
            self.join(tables, name, &other.name);
        }
        // Without this a packet to a missing pod would go to the router and come back.
        for family in self.plan.families.list() {
            for range in self.pod_ranges(name, *family) {
                tables.routes.insert(range, Hop::Unreachable);
            }
        }
        if self.snapshot.topology.wiring == Wiring::Bridge {
            stack.bridge = Some(mac(0x0a, &place));
            // Quiet, so that what the node sends or masquerades has the node's own address in either wiring.
            stack.addresses.extend(self.bridge_addresses(name).into_iter().map(|address| Address {
                interface: Interface::Bridge,
                address,
                quiet: true,
                asked: self.learns(),
            }));
        }
        if self.learns() {
            stack.addresses.extend(self.answering_addresses());
        }
        if let Some(overlay) = overlay {
            stack.addresses.extend(hosts(Interface::Overlay, &self.tunnel_addresses(name)));
            stack.tables.forwarding.insert(overlay::GROUP_REPORTS, Forward::Peer(overlay.local));
            stack.overlay = Some(overlay);
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
            let mac = Neighbour::Permanent(uplink.mac);
            router.tables.host(Interface::Port(place.clone()), address, mac, None);
        }
        for (range, gateway) in ranges {
            let hop = Hop::Gateway { interface: Interface::Port(place.clone()), gateway, source: None };
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
        let port = host_interface(&self.snapshot.topology.interface_prefix, name);
        let mut link = uplink(&place, Place::node(node), port, bridged);
        link.mtu = self.pod_mtu();
        link.learned = self.learns();
        if link.learned && !bridged && self.plan.families.contains(Family::Ipv6) {
            link.port_address = Some(IpAddr::V6(GATEWAY_IPV6));
        }
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

    /// Adds a host with addresses at the end of a veth, and its routes to the place above. Packets from a
    /// node to its pods have the node's own address.
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
        let known = if uplink.learned { Neighbour::Learned } else { Neighbour::Permanent };
        if let Some(above) = self.plan.stacks.get_mut(&uplink.above) {
            for address in addresses {
                let source = sources.iter().copied().find(|source| same_family(*source, *address));
                above.tables.host(interface.clone(), *address, known(uplink.mac), source);
            }
            if uplink.bridged {
                let port = Forward::Port(Interface::Port(place.clone()));
                above.tables.forwarding.insert(uplink.mac, port);
            }
        }
        let mut stack = Stack { addresses: hosts(Interface::Uplink, addresses), ..Stack::default() };
        for address in &mut stack.addresses {
            address.asked = uplink.learned;
        }
        for gateway in gateways {
            stack.tables.neighbours.insert((Interface::Uplink, *gateway), known(uplink.gateway_mac));
            stack.tables.routes.insert(default_of(*gateway), Hop::gateway(*gateway));
        }
        stack.uplink = Some(uplink);
        self.plan.stacks.insert(place, stack);
    }

    /// A pod's address that is not of its node's range (written in its manifest) needs a route of its
    /// own: on the router, and on the node in whose range it is, or on every node that reaches it by the
    /// overlay.
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
            for other in self.snapshot.topology.nodes.iter().filter(|other| other.name != node) {
                let hop = match self.tunnel(&other.name, node, family) {
                    Some(tunnel) => tunnel,
                    None if within(self.pod_ranges(&other.name, family)) => Hop::gateway(router),
                    None => continue,
                };
                let stack = self.plan.stacks.entry(Place::node(&*other.name)).or_default();
                stack.tables.routes.insert(IpNet::from(*address), hop);
            }
            let stack = self.plan.stacks.entry(Place::Router).or_default();
            let hop =
                Hop::Gateway { interface: Interface::Port(Place::node(node)), gateway: via, source: None };
            stack.tables.routes.insert(IpNet::from(*address), hop);
        }
    }

    pub(super) fn of_families(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let families = self.plan.families;
        addresses.iter().copied().filter(|address| families.contains(Family::of(*address))).collect()
    }

    pub(super) fn node_addresses(&self, name: &str) -> Vec<IpAddr> {
        self.snapshot.nodes.get(name).map(|node| self.of_families(&node.addresses)).unwrap_or_default()
    }

    pub(super) fn pod_ranges(&self, node: &str, family: Family) -> Vec<IpNet> {
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

    /// Whether pods and their nodes solicit each other.
    fn learns(&self) -> bool {
        self.snapshot.topology.neighbours == Neighbours::Learned
    }

    /// The additional addresses by which a node solicits and is solicited, besides its own and those of its
    /// ports: for IPv4 the gateway's, for which any interface answers; for IPv6, where a solicitation needs
    /// an address of the link, the bridge's.
    fn answering_addresses(&self) -> Vec<Address> {
        let bridged = self.snapshot.topology.wiring == Wiring::Bridge;
        let quiet = |interface, address| Address { interface, address, quiet: true, asked: false };
        let gateways = self.link_local_gateways().into_iter();
        gateways
            .filter_map(|gateway| match (gateway, bridged) {
                (IpAddr::V4(_), false) => Some(quiet(Interface::Loopback, gateway)),
                (IpAddr::V6(_), true) => Some(quiet(Interface::Bridge, gateway)),
                _ => None,
            })
            .collect()
    }

    fn link_local_gateways(&self) -> Vec<IpAddr> {
        let families = self.plan.families.list().iter();
        families
            .map(|family| match family {
                Family::Ipv4 => IpAddr::V4(POD_GATEWAY),
                Family::Ipv6 => IpAddr::V6(GATEWAY_IPV6),
            })
            .collect()
    }
}

impl Tables {
    /// A host at the other end of a link: its route and its neighbour entry.
    fn host(&mut self, interface: Interface, address: IpAddr, found: Neighbour, source: Option<IpAddr>) {
        self.neighbours.insert((interface.clone(), address), found);
        self.routes.insert(IpNet::from(address), Hop::Link { interface, source });
    }
}

impl Hop {
    /// A gateway behind `eth0`.
    fn gateway(gateway: IpAddr) -> Hop {
        Hop::Gateway { interface: Interface::Uplink, gateway, source: None }
    }
}

fn uplink(place: &Place, above: Place, port: String, bridged: bool) -> Uplink {
    let port_mac = mac(0x06, place);
    Uplink {
        above,
        port,
        bridged,
        mac: mac(0x02, place),
        port_mac,
        gateway_mac: port_mac,
        learned: false,
        port_address: None,
        mtu: ETHERNET_MTU,
    }
}

/// A locally administered MAC address. `kind` distinguishes a place's own interface, the port above it, a
/// bridge and an end of the overlay; the rest is a hash (FNV-1a) of the place's name.
pub(super) fn mac(kind: u8, place: &Place) -> Mac {
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
    let host = |address| Address { interface: interface.clone(), address, quiet: false, asked: false };
    addresses.iter().copied().map(host).collect()
}

fn first_host(range: IpNet) -> IpAddr {
    match range {
        IpNet::V4(range) => IpAddr::V4(Ipv4Addr::from_bits(range.network().to_bits().saturating_add(1))),
        IpNet::V6(range) => IpAddr::V6(Ipv6Addr::from_bits(range.network().to_bits().saturating_add(1))),
    }
}

fn default_of(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(_) => IpNet::V4(Default::default()),
        IpAddr::V6(_) => IpNet::V6(Default::default()),
    }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}
