//! What the network between the nodes sees of an overlay, and how long packets may be.

use crate::talk::exchange;
use crate::trial;
use crate::world::{World, pod, topology};
use libtest_mimic::Trial;
use netproof_cluster::Cluster;
use netproof_model::{Families, Family, Place, Wiring};
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, getsockopt,
    sockopt,
};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for family in Families::ALL {
        trials.push(trial(format!("overlay::packets_between_nodes_are_wrapped::{family}"), move || {
            wrapped(family)
        }));
        trials.push(trial(format!("overlay::packets_fit_when_they_are_wrapped::{family}"), move || {
            fit(family)
        }));
    }
    trials
}

/// A node, and a pod on each of two.
fn build(wiring: Wiring, family: Families) -> (World, Cluster) {
    let mut world = World::new(topology(2, wiring, family));
    world.pod("a", "node1");
    let cluster = Cluster::build(&world.pod("b", "node2")).unwrap();
    (world, cluster)
}

/// A socket that receives all UDP datagrams of a node, without the IP header in either family.
struct Ear {
    socket: OwnedFd,
    family: Family,
}

impl Ear {
    fn new(cluster: &Cluster, node: &str, family: Family) -> Ear {
        let of = if family == Family::Ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let open = || socket::socket(of, SockType::Raw, SockFlag::empty(), SockProtocol::Udp).unwrap();
        Ear { socket: cluster.netns(&Place::node(node)).unwrap().enter(open).unwrap(), family }
    }

    /// The sender of the next datagram, and its bytes from the UDP header on.
    fn hear(&self) -> Option<(IpAddr, Vec<u8>)> {
        let mut bytes = vec![0; 65_536];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
        let (length, from) = match self.family {
            Family::Ipv4 => {
                let message = socket::recvmsg::<SockaddrIn>(fd, &mut parts, None, flags).ok()?;
                (message.bytes, message.address?.ip().into())
            }
            Family::Ipv6 => {
                let message = socket::recvmsg::<SockaddrIn6>(fd, &mut parts, None, flags).ok()?;
                (message.bytes, message.address?.ip().into())
            }
        };
        let header = if self.family == Family::Ipv4 { usize::from(bytes[0] & 15) * 4 } else { 0 };
        Some((from, bytes[header..length].to_vec()))
    }
}

/// The addresses of the packet in a VXLAN datagram.
fn unwrap(datagram: &[u8]) -> (IpAddr, IpAddr) {
    let (udp, vxlan) = datagram.split_at(8);
    assert_eq!(udp[2..4], 4789_u16.to_be_bytes(), "the port of VXLAN");
    assert_ne!(udp[6..8], [0, 0], "a checksum, which IPv6 demands");
    assert_eq!(vxlan[..8], [8, 0, 0, 0, 0, 0x10, 0, 0], "network 4096");
    let packet = &vxlan[8 + 14..];
    match packet[0] >> 4 {
        4 => (ip::<4>(&packet[12..]), ip::<4>(&packet[16..])),
        _ => (ip::<16>(&packet[8..]), ip::<16>(&packet[24..])),
    }
}

fn ip<const N: usize>(bytes: &[u8]) -> IpAddr
where
    IpAddr: From<[u8; N]>,
{
    IpAddr::from(*bytes.first_chunk::<N>().unwrap())
}

fn wrapped(families: Families) {
    let (world, mut cluster) = build(Wiring::Vxlan, families);
    let snapshot = world.snapshot();
    let below = families.list()[0];
    let [node1, node2] = ["node1", "node2"].map(|name| snapshot.nodes[name].clone());
    for family in families.list() {
        let address = |place: &Place| snapshot.address_of(place, *family).unwrap();
        let tunnel = node1.tunnel_addresses.iter().find(|it| Family::of(**it) == *family).copied().unwrap();
        let (a, b) = (address(&pod("a")), address(&pod("b")));
        for (from, to, source) in [(pod("a"), b, a), (Place::node("node1"), b, tunnel)] {
            let ear = Ear::new(&cluster, "node2", below);
            assert_eq!(exchange(&cluster, &from, &pod("b"), to).unwrap(), source);
            let mut heard = 0;
            while let Some((sender, datagram)) = ear.hear() {
                assert_eq!(sender, node1.addresses[0], "a node speaks from its own address");
                assert_eq!(unwrap(&datagram), (source, to));
                heard += 1;
            }
            assert!(heard >= 4, "{from}: {heard} datagrams");
        }
        // All else is not encapsulated: between nodes, and into and out of the cluster.
        let ear = Ear::new(&cluster, "node2", below);
        let (node, outside) = (address(&Place::node("node2")), Place::external("internet"));
        assert_eq!(
            exchange(&cluster, &Place::node("node1"), &Place::node("node2"), node).unwrap(),
            address(&Place::node("node1"))
        );
        assert_eq!(exchange(&cluster, &outside, &pod("b"), b).unwrap(), address(&outside));
        assert_eq!(exchange(&cluster, &pod("b"), &outside, address(&outside)).unwrap(), b);
        while let Some((sender, datagram)) = ear.hear() {
            assert_ne!(datagram[2..4], 4789_u16.to_be_bytes(), "from {sender} to {:?}", node2.addresses);
        }
    }
    cluster.full_health().unwrap();
}

/// A TCP segment has the rest of a packet after the headers of IP and TCP and its timestamps.
fn fit(families: Families) {
    let below = if families == Families::Ipv6 { 40 } else { 20 };
    for (wiring, mtu) in [(Wiring::Routed, 1500), (Wiring::Bridge, 1500), (Wiring::Vxlan, 1500 - 30 - below)]
    {
        let (world, cluster) = build(wiring, families);
        for family in families.list() {
            let to = world.snapshot().address_of(&pod("b"), *family).unwrap();
            let enter = |place: &Place| cluster.netns(place).unwrap();
            let listener = enter(&pod("b")).enter(|| TcpListener::bind((to, 0)).unwrap()).unwrap();
            for from in [pod("a"), Place::node("node1")] {
                let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let client = enter(&from).enter(connect).unwrap();
                let header = if *family == Family::Ipv4 { 20 } else { 40 };
                let segment = getsockopt(&client, sockopt::TcpMaxSeg).unwrap();
                assert_eq!(segment, mtu - header - 20 - 12, "{wiring} {family} from {from}");
            }
        }
    }
}
