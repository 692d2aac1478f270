//! The requests that build a cluster, each as one netlink message with its flags.

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlaBuffer, NlasIterator};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData,
    InfoPortKind, InfoVeth, InfoVxlan, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo,
    LinkMessage, State,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::neighbour_table::{
    NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A request and its flags beside NLM_F_REQUEST.
pub(crate) type Request = (Message, u16);

/// A link-layer address.
pub(crate) type Mac = [u8; 6];

/// The index of the loopback interface in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// The MTU of a veth, in bytes.
pub(crate) const ETHERNET_MTU: u32 = 1500;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// One end of a veth. We choose the index, so that requests that need it can be sent together with the one
/// that makes the link. The MTU is in bytes.
pub(crate) struct End<'a> {
    pub name: &'a str,
    pub index: u32,
    pub mac: Mac,
    pub mtu: u32,
}

/// A veth: `near`, up, in the socket's namespace (a port of the bridge with index `bridge`, if any), and
/// `far`, down, directly in `namespace`. (Made in one namespace and moved to another it takes 16 ms;
/// with IFF_UP at the far end the kernel refuses it.)
pub(crate) fn new_veth(near: End, bridge: Option<u32>, far: End, namespace: BorrowedFd) -> Request {
    let mut peer = end(&far);
    peer.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    let mut link = end(&near);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link.attributes.extend(bridge.map(LinkAttribute::Controller));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    (Message::NewLink(link), NEW)
}

/// A bridge, down, that learns nothing by itself and runs no protocol.
pub(crate) fn new_bridge(bridge: End) -> Request {
    let mut link = end(&bridge);
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![
            InfoBridge::ForwardDelay(0),
            InfoBridge::MulticastSnooping(false),
        ])),
    ]));
    (Message::NewLink(link), NEW)
}

/// The port of VXLAN, as IANA has it.
const VXLAN_PORT: u16 = 4789;
/// The network identifier of the overlay: Calico's default.
const VNI: u32 = 4096;

/// A VXLAN link, down, that learns nothing; forwarding entries give its peers. `local` is the source of its
/// outer packets. (They have a UDP checksum, as IPv6 requires: the kernel's default in both families.)
pub(crate) fn new_vxlan(vxlan: End, local: IpAddr) -> Request {
    let mut link = end(&vxlan);
    let local = match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    };
    let data = vec![InfoVxlan::Id(VNI), InfoVxlan::Port(VXLAN_PORT), InfoVxlan::Learning(false), local];
    // Without ARP it joins no groups of neighbour discovery either.
    link.header.flags = LinkFlags::Noarp;
    link.header.change_mask = LinkFlags::Noarp;
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vxlan),
        LinkInfo::Data(InfoData::Vxlan(data)),
    ]));
    (Message::NewLink(link), NEW)
}

/// Restricts a bridge port to frames addressed to it: nothing is learned, and nothing is flooded except, if
/// neighbours are `asked` for, the bridge's own broadcasts. Ports are isolated from each other, so that
/// packets from pod to pod pass the node's IP stack.
pub(crate) fn set_port(index: u32, asked: bool) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![
            InfoBridgePort::Learning(false),
            InfoBridgePort::UnicastFlood(false),
            InfoBridgePort::MulticastFlood(asked),
            InfoBridgePort::BroadcastFlood(asked),
            InfoBridgePort::Isolated(true),
        ])),
    ]));
    (Message::NewLink(link), 0)
}

/// Keeps the kernel from giving a link a link-local address. Send it before the link passes packets, because
/// the link gets its address then. (In the same message as the link itself this has no effect.)
pub(crate) fn no_link_local(index: u32) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    link.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]));
    (Message::SetLink(link), 0)
}

/// Brings a link up.
pub(crate) fn up(index: u32) -> Request {
    (Message::SetLink(flags(index, LinkFlags::Up)), 0)
}

/// Sets a link down, which removes its routes and neighbours.
pub(crate) fn down(index: u32) -> Request {
    (Message::SetLink(flags(index, LinkFlags::empty())), 0)
}

/// Renames a link that is down.
pub(crate) fn rename(index: u32, name: &str) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes.push(LinkAttribute::IfName(name.into()));
    (Message::SetLink(link), 0)
}

/// An address of the interface, as a single host. `quiet` makes one that the kernel never chooses as a
/// source by itself (IPv4: link scope; IPv6: deprecated).
pub(crate) fn new_address(index: u32, address: IpAddr, quiet: bool) -> Request {
    let net = IpNet::from(address);
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        family: family(address),
        prefix_len: net.prefix_len(),
        scope: if quiet && address.is_ipv4() { AddressScope::Link } else { AddressScope::Universe },
        index,
        ..AddressHeader::default()
    };
    message.attributes.push(AddressAttribute::Address(address));
    message.attributes.push(AddressAttribute::Local(address));
    if address.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        if quiet {
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_preferred = 0;
            lifetime.ifa_valid = u32::MAX;
            message.attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
    }
    (Message::NewAddress(message), NEW)
}

/// A permanent neighbour: the kernel neither resolves nor forgets it, and does not count it.
pub(crate) fn new_neighbour(index: u32, address: IpAddr, mac: Mac) -> Request {
    let mut message = NeighbourMessage::default();
    message.header = neighbour_header(index, family(address), NeighbourState::Permanent);
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(address)));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    (Message::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Forgets a neighbour.
pub(crate) fn del_neighbour(index: u32, address: IpAddr) -> Request {
    let mut message = NeighbourMessage::default();
    message.header = neighbour_header(index, family(address), NeighbourState::None);
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(address)));
    (Message::DelNeighbour(message), 0)
}

/// Removes a learned neighbour, if there is one, so that it is solicited again.
pub(crate) fn forget_neighbour(index: u32, address: IpAddr) -> Request {
    let mut message = NeighbourMessage::default();
    message.header = neighbour_header(index, family(address), NeighbourState::None);
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(address)));
    (Message::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Sets a link to solicit a neighbour three times within 0.3 s instead of three seconds. So the sender of a
/// packet learns that nobody answers before a probe's wait ends.
pub(crate) fn ask_quickly(index: u32, ipv6: bool) -> Request {
    let (family, table) = match ipv6 {
        false => (AddressFamily::Inet, "arp_cache"),
        true => (AddressFamily::Inet6, "ndisc_cache"),
    };
    let mut message = NeighbourTableMessage::default();
    message.header.family = family;
    message.attributes = vec![
        NeighbourTableAttribute::Name(table.into()),
        NeighbourTableAttribute::Parms(vec![
            NeighbourTableParameter::Ifindex(index),
            NeighbourTableParameter::RetransTime(100),
            NeighbourTableParameter::McastProbes(3),
        ]),
    ];
    (Message::SetNeighbourTable(message), 0)
}

/// A static forwarding entry of a bridge: frames to `mac` leave by the port `index`.
pub(crate) fn new_forwarding(index: u32, mac: Mac) -> Request {
    let mut message = NeighbourMessage::default();
    message.header = neighbour_header(index, AddressFamily::Bridge, NeighbourState::Noarp);
    message.header.flags = NeighbourFlags::Controller;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    (Message::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// A static forwarding entry of a VXLAN link: frames to `mac` travel to the end at `peer`. (An entry for a
/// multicast address cannot be replaced.)
pub(crate) fn new_peer(index: u32, mac: Mac, peer: IpAddr) -> Request {
    let mut message = NeighbourMessage::default();
    let state = NeighbourState::Other(libc::NUD_NOARP | libc::NUD_PERMANENT);
    message.header = neighbour_header(index, AddressFamily::Bridge, state);
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(peer)));
    (Message::NewNeighbour(message), NEW)
}

/// Where a route leads.
#[derive(Clone)]
pub(crate) enum Via {
    /// To a host on the link `index`, with this preferred source address.
    Link { index: u32, source: Option<IpAddr> },
    /// To a gateway on the link `index`, whatever the gateway's address, with this preferred source address.
    Gateway { index: u32, gateway: IpAddr, source: Option<IpAddr> },
    /// To several gateways, with equal weight.
    Gateways(Vec<(u32, IpAddr)>),
    /// Unreachable: the sender gets an error at once.
    Unreachable,
    /// To this namespace itself, for an address of the link `index`.
    Local { index: u32 },
}

/// A route of a table (a local route: of the local table). It replaces a route with the same destination.
pub(crate) fn new_route(table: u8, destination: IpNet, via: Via) -> Request {
    (Message::NewRoute(route(table, destination, via)), NLM_F_CREATE | NLM_F_REPLACE)
}

/// A route to this namespace itself, for an address that several links may have.
pub(crate) fn another_local_route(index: u32, address: IpAddr) -> Request {
    let route = route(MAIN, address.into(), Via::Local { index });
    (Message::NewRoute(route), NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes the route that `new_route` made with the same arguments.
pub(crate) fn del_route(table: u8, destination: IpNet, via: Via) -> Request {
    (Message::DelRoute(route(table, destination, via)), 0)
}

/// The main table, which is looked up right after the local one.
pub(crate) const MAIN: u8 = libc::RT_TABLE_MAIN;
/// The table for packets from outside that have no route in the main one.
pub(crate) const OUTSIDE: u8 = 100;
/// The priority of the first rule after those that the kernel makes.
const AFTER_ALL: u32 = 32_768;

/// The rules by which packets from outside use the table [`OUTSIDE`] last, and packets from inside, which
/// arrive by these ports, are unreachable instead.
pub(crate) fn outside_rules(ipv6: bool, inside: &[String]) -> Vec<Request> {
    let families = [Some(AddressFamily::Inet), ipv6.then_some(AddressFamily::Inet6)];
    let rules = |family| {
        let rule = |priority, table, action, port: Option<&String>| {
            let mut message = RuleMessage::default();
            message.header = RuleHeader { family, table, action, ..RuleHeader::default() };
            message.attributes.push(RuleAttribute::Priority(priority));
            message.attributes.extend(port.map(|port| RuleAttribute::Iifname(port.clone())));
            (Message::NewRule(message), NEW)
        };
        let inside = inside.iter().map(|port| rule(AFTER_ALL, 0, RuleAction::Unreachable, Some(port)));
        let outside = rule(AFTER_ALL + 1, OUTSIDE, RuleAction::ToTable, None);
        inside.chain([outside]).collect::<Vec<_>>()
    };
    families.into_iter().flatten().flat_map(rules).collect()
}

/// Lists the links of a namespace, without their counters.
pub(crate) fn all_links() -> Message {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    Message::GetLink(link)
}

/// The index of a listed link, and whether it passes packets: its operational state is "up", which a worker
/// sets when it opens the link's queue. (IFF_RUNNING does not tell: a new link has it, because its state is
/// "unknown" at first.)
pub(crate) fn link_state(payload: &[u8]) -> Option<(u32, bool)> {
    let index = u32::from_ne_bytes(*payload.get(4..)?.first_chunk()?);
    let attributes = NlasIterator::new(payload.get(16..)?).map_while(Result::ok);
    let mut states =
        attributes.filter(|attribute: &NlaBuffer<&[u8]>| attribute.kind() == libc::IFLA_OPERSTATE);
    let up = states.next().is_some_and(|state| state.value() == [u8::from(State::Up)]);
    Some((index, up))
}

/// Lists the neighbour tables, without their parameters for each link.
pub(crate) fn all_neighbour_tables() -> Message {
    Message::GetNeighbourTable(NeighbourTableMessage::default())
}

/// How often a listed neighbour table was full: `ndts_table_fulls`, the eleventh number of NDTA_STATS.
pub(crate) fn table_overflows(payload: &[u8]) -> Option<u64> {
    const NDTA_STATS: u16 = 7;
    let attributes = NlasIterator::new(payload.get(4..)?).map_while(Result::ok);
    let mut stats = attributes.filter(|attribute: &NlaBuffer<&[u8]>| attribute.kind() == NDTA_STATS);
    stats.next().and_then(|stats| Some(u64::from_ne_bytes(*stats.value().get(80..)?.first_chunk()?)))
}

fn end(end: &End) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header = LinkHeader { index: end.index, ..LinkHeader::default() };
    link.attributes.push(LinkAttribute::IfName(end.name.into()));
    link.attributes.push(LinkAttribute::Address(end.mac.to_vec()));
    link.attributes.push(LinkAttribute::Mtu(end.mtu));
    link
}

fn flags(index: u32, flags: LinkFlags) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header = LinkHeader { index, flags, change_mask: LinkFlags::Up, ..LinkHeader::default() };
    link
}

fn neighbour_header(index: u32, family: AddressFamily, state: NeighbourState) -> NeighbourHeader {
    NeighbourHeader { family, ifindex: index, state, ..NeighbourHeader::default() }
}

fn neighbour_address(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }
}

fn route(table: u8, destination: IpNet, via: Via) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(destination.addr()),
        destination_prefix_length: destination.prefix_len(),
        table,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    if destination.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(RouteAddress::from(destination.addr())));
    }
    match via {
        Via::Link { index, source } => {
            if destination.addr().is_ipv4() {
                message.header.scope = RouteScope::Link;
            }
            attributes.push(RouteAttribute::Oif(index));
            attributes.extend(source.map(|source| RouteAttribute::PrefSource(RouteAddress::from(source))));
        }
        Via::Gateway { index, gateway, source } => {
            message.header.flags = RouteFlags::Onlink;
            attributes.push(RouteAttribute::Oif(index));
            attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
            attributes.extend(source.map(|source| RouteAttribute::PrefSource(RouteAddress::from(source))));
        }
        Via::Gateways(gateways) => {
            let hop = |(index, gateway)| {
                let mut hop = RouteNextHop::default();
                hop.flags = RouteNextHopFlags::Onlink;
                hop.interface_index = index;
                hop.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
                hop
            };
            attributes.push(RouteAttribute::MultiPath(gateways.into_iter().map(hop).collect()));
        }
        Via::Unreachable => message.header.kind = RouteType::Unreachable,
        Via::Local { index } => {
            message.header.kind = RouteType::Local;
            message.header.table = libc::RT_TABLE_LOCAL;
            if destination.addr().is_ipv4() {
                message.header.scope = RouteScope::Host;
            }
            attributes.push(RouteAttribute::Oif(index));
        }
    }
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
