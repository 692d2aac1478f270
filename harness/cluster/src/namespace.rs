//! One namespace of a cluster: makes it, links it, and fills its tables.

use crate::error::ClusterError;
use crate::groups::Groups;
use crate::netlink::{self, ETHERNET_MTU, End, LOOPBACK, Netlink, Request, Via};
use crate::netns::Netns;
use crate::plan::{Forward, Hop, Interface, Neighbour, Stack, Tables, Uplink};
use crate::sysctl::{Role, Sysctls};
use netproof_model::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The index of `eth0` in every namespace. High, because a host's modules may put interfaces of their
/// own (`tunl0`, `sit0`) into each new namespace.
const UPLINK: u32 = 100;
/// The index of `cni0`.
const BRIDGE: u32 = 101;
/// The index of `vxlan0`.
const OVERLAY: u32 = 102;
/// The index of the first port.
const FIRST_PORT: u32 = 103;
/// Prefix of the names of ports that are out of use: longer than the prefix of those in use can be.
pub(crate) const UNPLUGGED: &str = "removed";
/// The bridge of a node in wiring `bridge`, as the CNI plugins for bridges call it.
pub(crate) const BRIDGE_NAME: &str = "cni0";
/// A node's end of the overlay in wiring `vxlan`. No agent takes it for its own: Felix removes a `vxlan.calico` that it
/// was not told to make.
const OVERLAY_NAME: &str = "vxlan0";

/// The namespace of a place.
#[derive(Debug)]
pub(crate) struct Namespace {
    place: Place,
    netns: Arc<Netns>,
    /// A connection to its tables, if it forwards. The tables of other namespaces never change, and a
    /// thousand pods would need a thousand descriptors.
    netlink: Option<Netlink>,
    ipv6: bool,
    /// The interface index of the port to each place below.
    ports: BTreeMap<Place, u32>,
    /// The groups in which neighbours solicit its addresses.
    groups: Groups,
    /// The index of the next port; no index is used twice.
    next: u32,
    /// The content of its tables.
    tables: Tables,
}

impl Namespace {
    /// Makes the namespace and sets its sysctls; on a node with a bridge it also queues the request for the
    /// bridge.
    pub fn new(place: &Place, stack: &Stack, sysctls: &mut Sysctls) -> Result<Self, ClusterError> {
        let failed = |error| ClusterError::io(place, "make a network namespace", &error);
        let netns = Arc::new(Netns::new().map_err(failed)?);
        let role = match (place, stack.bridge) {
            (Place::Router, _) => Role::Router,
            (_, Some(_)) => Role::Bridge,
            _ if stack.forwards => Role::Forwarder,
            _ => Role::Host,
        };
        let mut netlink = inside(place, &netns, || {
            sysctls.apply(role).map_err(|error| ClusterError::sysctl(place, &error))?;
            let open = || Netlink::open().map_err(|error| ClusterError::netlink(place, error));
            stack.forwards.then(open).transpose()
        })?;
        if let (Some(netlink), Some(mac)) = (&mut netlink, stack.bridge) {
            let bridge = End { name: BRIDGE_NAME, index: BRIDGE, mac, mtu: ETHERNET_MTU };
            netlink.queue(netlink::new_bridge(bridge), || "make the bridge cni0".into());
            if sysctls.ipv6() {
                netlink.queue(netlink::no_link_local(BRIDGE), || "set up IPv6 of the bridge cni0".into());
            }
            netlink.queue(netlink::up(BRIDGE), || "bring the bridge cni0 up".into());
        }
        Ok(Namespace {
            place: place.clone(),
            netns,
            netlink,
            ipv6: sysctls.ipv6(),
            ports: BTreeMap::new(),
            groups: Groups::default(),
            next: FIRST_PORT,
            tables: Tables::default(),
        })
    }

    pub fn netns(&self) -> &Arc<Netns> {
        &self.netns
    }

    /// Whether it forwards packets.
    pub fn forwards(&self) -> bool {
        self.netlink.is_some()
    }

    /// How many links it has had so far.
    pub fn links(&self) -> u32 {
        self.next
    }

    /// How often the machine's tables of learned neighbours were full. Only for a namespace that forwards.
    pub fn neighbour_overflows(&mut self) -> Result<u64, ClusterError> {
        let Some(netlink) = &mut self.netlink else { return Ok(0) };
        netlink.neighbour_overflows().map_err(|error| ClusterError::netlink(&self.place, error))
    }

    /// Forgets every connection that it tracks.
    pub fn forget_connections(&self) -> Result<(), ClusterError> {
        inside(&self.place, &self.netns, || {
            let failed = |errno| ClusterError::kernel(&self.place, "forget the tracked connections", errno);
            netlink::forget_connections().map_err(failed)
        })
    }

    /// Queues the request for a veth to a place below, with the far end in `namespace`.
    pub fn plug(&mut self, place: &Place, uplink: &Uplink, namespace: &Netns) {
        let Some(netlink) = &mut self.netlink else { return };
        let index = self.next;
        self.next += 1;
        self.ports.insert(place.clone(), index);
        let near = End { name: &uplink.port, index, mac: uplink.port_mac, mtu: uplink.mtu };
        let far = End { name: "eth0", index: UPLINK, mac: uplink.mac, mtu: uplink.mtu };
        let bridge = uplink.bridged.then_some(BRIDGE);
        let request = netlink::new_veth(near, bridge, far, namespace.fd());
        netlink.queue(request, || format!("make the link {} to {place}", uplink.port));
        // Nothing needs the kernel's own link-local addresses, and a node without one sends no redirects
        // (IPv6 has no sysctl against sending them).
        if self.ipv6 {
            netlink.queue(netlink::no_link_local(index), || format!("set up IPv6 of {}", uplink.port));
        }
        if uplink.bridged {
            let request = netlink::set_port(index, uplink.learned);
            netlink.queue(request, || format!("set the bridge port {}", uplink.port));
        }
        if uplink.learned {
            // Ports of a bridge do not solicit; the bridge does.
            ask_quickly(bridge.unwrap_or(index), self.ipv6, |request| {
                netlink.queue(request, || format!("set how {} asks for its neighbour", uplink.port));
            });
        }
        if let Some(address) = uplink.port_address {
            let added = netlink::new_address(index, address, true);
            let route = netlink::another_local_route(index, address);
            for request in [added, route] {
                netlink.queue(request, || format!("add an address to {}", uplink.port));
            }
            self.groups.ask(index, address);
        }
    }

    /// Takes the port to a place below out of use. Deleting a link takes 18 ms. So the link is set down,
    /// which removes its routes and neighbours, and renamed; it disappears with the namespace of its other
    /// end.
    pub fn unplug(&mut self, place: &Place) -> Result<(), ClusterError> {
        let (Some(netlink), Some(index)) = (&mut self.netlink, self.ports.remove(place)) else {
            return Ok(());
        };
        netlink.queue(netlink::down(index), || format!("take the link to {place} down"));
        let name = format!("{UNPLUGGED}{index}");
        netlink.queue(netlink::rename(index, &name), || format!("rename the link to {place}"));
        self.tables.forget(place);
        netlink.flush().map_err(|error| ClusterError::netlink(&self.place, error))
    }

    /// Brings the interfaces up, adds the addresses and fills the tables of a new namespace.
    pub fn configure(&mut self, stack: &Stack) -> Result<(), ClusterError> {
        let mut requests: Vec<(Request, String)> = Vec::new();
        requests.push((netlink::up(LOOPBACK), "bring lo up".into()));
        if stack.uplink.is_some() {
            if self.ipv6 {
                requests.push((netlink::no_link_local(UPLINK), "set up IPv6 of eth0".into()));
            }
            requests.push((netlink::up(UPLINK), "bring eth0 up".into()));
        }
        if stack.uplink.as_ref().is_some_and(|uplink| uplink.learned) {
            ask_quickly(UPLINK, self.ipv6, |request| {
                requests.push((request, "set how eth0 asks for its neighbour".into()));
            });
        }
        // After eth0: so the kernel tries eth0 first for a source address where an interface has none of its
        // own.
        if let Some(overlay) = &stack.overlay {
            let end = End { name: OVERLAY_NAME, index: OVERLAY, mac: overlay.mac, mtu: overlay.mtu };
            let request = netlink::new_vxlan(end, overlay.local);
            requests.push((request, format!("make the link {OVERLAY_NAME}")));
            if self.ipv6 {
                let request = netlink::no_link_local(OVERLAY);
                requests.push((request, format!("set up IPv6 of {OVERLAY_NAME}")));
            }
            requests.push((netlink::up(OVERLAY), format!("bring {OVERLAY_NAME} up")));
        }
        for address in &stack.addresses {
            if let Some(index) = self.index(&address.interface) {
                let request = netlink::new_address(index, address.address, address.quiet);
                requests.push((request, format!("add the address {}", address.address)));
                if address.asked {
                    self.groups.ask(index, address.address);
                }
                // The kernel adds an IPv6 address's local route from a worker, some time later; until
                // then packets to it find no route, which looks like a drop.
                if address.address.is_ipv6() {
                    let route =
                        netlink::new_route(netlink::MAIN, address.address.into(), Via::Local { index });
                    requests.push((route, format!("add the local route of {}", address.address)));
                }
            }
        }
        if !stack.inside.is_empty() {
            let rules = netlink::outside_rules(self.ipv6, &stack.inside);
            requests.extend(rules.into_iter().map(|rule| (rule, "add a routing rule".to_owned())));
        }
        requests.extend(self.difference(&stack.tables));
        self.tables = stack.tables.clone();
        self.send(requests)
    }

    /// Brings the tables from what they hold to what they should hold.
    pub fn change(&mut self, tables: &Tables) -> Result<(), ClusterError> {
        let requests = self.difference(tables);
        if !requests.is_empty() {
            self.tables = tables.clone();
        }
        self.send(requests)
    }

    /// Waits until every port passes packets. (The other ends do as soon as they are up.)
    pub fn settle(&mut self) -> Result<(), ClusterError> {
        let Some(netlink) = &mut self.netlink else { return Ok(()) };
        let mut links: BTreeSet<u32> = self.ports.values().copied().collect();
        if self.tables.forwarding.values().any(|forward| matches!(forward, Forward::Port(_))) {
            links.insert(BRIDGE);
        }
        let settled = inside(&self.place, &self.netns, || Ok(netlink.settle(&links)))?;
        let links = settled.map_err(|error| ClusterError::netlink(&self.place, error))?;
        if links.is_empty() {
            return Ok(());
        }
        let below = self.ports.iter().filter(|(_, index)| links.contains(index));
        let mut below: Vec<String> = below.map(|(place, _)| place.to_string()).collect();
        if links.contains(&BRIDGE) {
            below.push("the bridge cni0".into());
        }
        Err(ClusterError::Inactive { place: self.place.clone(), links: below })
    }

    /// The requests that lead from the tables as they are to `new`: first what goes, then neighbours and
    /// forwarding entries, then the routes that use them.
    fn difference(&self, new: &Tables) -> Vec<(Request, String)> {
        let old = &self.tables;
        let mut requests = Vec::new();
        let tables =
            [(netlink::MAIN, &old.routes, &new.routes), (netlink::OUTSIDE, &old.outside, &new.outside)];
        for (table, old, new) in tables {
            for (net, hop) in old.iter().filter(|(net, _)| !new.contains_key(net)) {
                if let Some(via) = self.via(hop) {
                    let request = netlink::del_route(table, *net, via);
                    requests.push((request, format!("remove the route to {net}")));
                }
            }
        }
        for (key @ (interface, address), known) in &old.neighbours {
            let (Some(index), true) = (self.index(interface), new.neighbours.get(key) != Some(known)) else {
                continue;
            };
            match known {
                Neighbour::Learned(_) => {
                    let request = netlink::forget_neighbour(index, *address);
                    requests.push((request, format!("forget the neighbour {address}")));
                }
                // A new entry takes the place of an old one.
                Neighbour::Permanent(_) if new.neighbours.contains_key(key) => {}
                Neighbour::Permanent(_) => {
                    let request = netlink::del_neighbour(index, *address);
                    requests.push((request, format!("remove the neighbour {address}")));
                }
            }
        }
        for ((interface, address), known) in changed(&old.neighbours, &new.neighbours) {
            if let (Some(index), Neighbour::Permanent(mac)) = (self.index(interface), known) {
                let request = netlink::new_neighbour(index, *address, *mac);
                requests.push((request, format!("add the neighbour {address}")));
            }
        }
        for (mac, forward) in changed(&old.forwarding, &new.forwarding) {
            let request = match forward {
                Forward::Peer(address) => Some(netlink::new_peer(OVERLAY, *mac, *address)),
                Forward::Port(port) => self.index(port).map(|index| netlink::new_forwarding(index, *mac)),
            };
            let doing = || format!("add a forwarding entry for {forward:?}");
            requests.extend(request.map(|request| (request, doing())));
        }
        for (table, old, new) in tables {
            for (net, hop) in changed(old, new) {
                if let Some(via) = self.via(hop) {
                    let request = netlink::new_route(table, *net, via);
                    requests.push((request, format!("add the route to {net}")));
                }
            }
        }
        requests
    }

    fn send(&mut self, requests: Vec<(Request, String)>) -> Result<(), ClusterError> {
        let place = &self.place;
        let failed = |error| ClusterError::netlink(place, error);
        let mut borrowed;
        let netlink = match &mut self.netlink {
            Some(netlink) => netlink,
            None if requests.is_empty() => return Ok(()),
            None => {
                borrowed = inside(place, &self.netns, || Netlink::open().map_err(failed))?;
                &mut borrowed
            }
        };
        for (request, doing) in requests {
            netlink.queue(request, || doing);
        }
        netlink.flush().map_err(failed)?;
        if self.groups.wait_to_be_joined() {
            let joined = inside(place, &self.netns, || Ok(self.groups.join()))?;
            joined.map_err(|error| {
                ClusterError::io(place, "join the group of its neighbours' questions", &error)
            })?;
        }
        Ok(())
    }

    fn index(&self, interface: &Interface) -> Option<u32> {
        match interface {
            Interface::Loopback => Some(LOOPBACK),
            Interface::Uplink => Some(UPLINK),
            Interface::Bridge => Some(BRIDGE),
            Interface::Overlay => Some(OVERLAY),
            Interface::Port(place) => self.ports.get(place).copied(),
        }
    }

    fn via(&self, hop: &Hop) -> Option<Via> {
        Some(match hop {
            Hop::Link { interface, source } => Via::Link { index: self.index(interface)?, source: *source },
            Hop::Gateway { interface, gateway, source } => {
                Via::Gateway { index: self.index(interface)?, gateway: *gateway, source: *source }
            }
            Hop::Gateways(hops) => {
                let hops = hops.iter().map(|(interface, gateway)| Some((self.index(interface)?, *gateway)));
                Via::Gateways(hops.collect::<Option<_>>()?)
            }
            Hop::Local => Via::Local { index: LOOPBACK },
            Hop::Unreachable => Via::Unreachable,
        })
    }
}

/// What `new` has that `old` has not, or otherwise.
fn changed<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    new.iter().filter(|(key, value)| old.get(key) != Some(value))
}

/// The requests that make a link ask quickly for neighbours, in each family that there is.
fn ask_quickly(index: u32, ipv6: bool, mut request: impl FnMut(Request)) {
    for family in [Some(false), ipv6.then_some(true)].into_iter().flatten() {
        request(netlink::ask_quickly(index, family));
    }
}

fn inside<T>(
    place: &Place,
    netns: &Netns,
    f: impl FnOnce() -> Result<T, ClusterError>,
) -> Result<T, ClusterError> {
    netns.enter(f).map_err(|error| ClusterError::io(place, "enter the network namespace", &error))?
}
