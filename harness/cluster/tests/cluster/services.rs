//! Where the router sends packets for a service: found as in traceroute, by packets whose hop limit ends at
//! the node.

use crate::talk::refusal;
use crate::trial;
use crate::wires::{assert_unreachable, forwarded};
use crate::world::{World, metadata, pod, topology};
use libtest_mimic::Trial;
use netproof_api::core::{
    AddressType, EndpointPort, IpMode, LoadBalancerIngress, ServiceType, TrafficPolicy, TransportProtocol,
};
use netproof_api::{Endpoint, EndpointSlice, Object, Service, ServicePort};
use netproof_cluster::Cluster;
use netproof_controlplane::{Change, SERVICE_NAME_LABEL};
use netproof_model::topology::{LoadBalancer, PerFamily, ServiceAddresses};
use netproof_model::{Families, Family, Place, Topology, Wiring};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, recvmsg, setsockopt, sockopt,
};
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

pub fn trials() -> Vec<Trial> {
    type Test = fn(Wiring);
    let tests: [(&str, Test); 5] = [
        ("what_no_node_takes_goes_round_in_no_circle", no_circles),
        ("nothing_is_known_that_is_not_advertised", unknown),
        ("advertised_addresses_lead_to_the_nodes", advertised),
        ("a_load_balancer_sends_to_its_nodes", load_balanced),
        ("routes_follow_endpoints", follow),
    ];
    let trials = tests.into_iter().flat_map(|(name, test)| {
        [Wiring::Routed, Wiring::Vxlan]
            .map(|wiring| trial(format!("services::{name}::{wiring}"), move || test(wiring)))
    });
    trials.collect()
}

/// Both addresses with this last number: 192.0.2.N and 2001:db8:2::N.
fn addresses(last: u8) -> [IpAddr; 2] {
    [format!("192.0.2.{last}").parse().unwrap(), format!("2001:db8:2::{last}").parse().unwrap()]
}

/// A service whose external IPs and load balancer addresses end in these numbers.
fn service(name: &str, policy: TrafficPolicy, external: u8, balanced: u8, ip_mode: IpMode) -> Service {
    let port = ServicePort {
        name: None,
        protocol: Default::default(),
        port: 80,
        target_port: netproof_api::core::IntOrString::Int(80),
        node_port: None,
    };
    Service {
        metadata: metadata(name),
        service_type: ServiceType::LoadBalancer,
        ports: vec![port],
        external_traffic_policy: policy,
        external_ips: addresses(external).into(),
        load_balancer_ingress: addresses(balanced).map(|ip| LoadBalancerIngress { ip, ip_mode }).into(),
        ..Service::default()
    }
}

/// Endpoints of a service on these nodes, ready or not, in both families.
fn endpoints(service: &str, nodes: &[(&str, bool)]) -> Vec<Change> {
    let families = [(AddressType::IPv4, "10.9.8.7", "4"), (AddressType::IPv6, "fd00:9::7", "6")];
    let slices = families.map(|(address_type, address, suffix)| {
        let mut metadata = metadata(&format!("{service}-{suffix}"));
        metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.into());
        let endpoint = |(node, ready): &(&str, bool)| Endpoint {
            addresses: vec![address.parse().unwrap()],
            ready: *ready,
            serving: true,
            terminating: !ready,
            hostname: None,
            zone: None,
            hints: None,
            node_name: Some((*node).into()),
            pod: None,
        };
        let endpoints = nodes.iter().map(endpoint).collect();
        Change::Apply(Object::EndpointSlice(EndpointSlice {
            metadata,
            address_type,
            endpoints,
            ports: vec![EndpointPort { name: None, port: 80, protocol: TransportProtocol::Tcp }],
        }))
    });
    slices.into()
}

/// Three nodes, and the services `all` (external IPs 1, load balancer 11), `local` (2, 12; endpoints on
/// node1 and node3), `nobody` (3, 13; Local, none ready) and `proxied` (4, 14).
fn world(wiring: Wiring, change: impl FnOnce(&mut Topology)) -> (World, Cluster) {
    let mut topology = topology(3, wiring, Families::Dual);
    change(&mut topology);
    let mut world = World::new(topology);
    use TrafficPolicy::{Cluster as All, Local};
    for service in [
        service("all", All, 1, 11, IpMode::VIP),
        service("local", Local, 2, 12, IpMode::VIP),
        service("nobody", Local, 3, 13, IpMode::VIP),
        service("proxied", All, 4, 14, IpMode::Proxy),
    ] {
        world.change(Change::Apply(Object::Service(service)));
    }
    let mut changes = endpoints("local", &[("node1", true), ("node2", false), ("node3", true)]);
    changes.extend(endpoints("nobody", &[("node2", false)]));
    changes.into_iter().for_each(|change| drop(world.change(change)));
    let cluster = Cluster::build(&world.snapshot()).unwrap();
    (world, cluster)
}

fn cluster_ips(world: &World, service: &str) -> [IpAddr; 2] {
    let name = netproof_model::NamespacedName::new("default", service);
    world.snapshot().services[&name].cluster_ips.clone().try_into().unwrap()
}

const ALL: &[&str] = &["node1", "node2", "node3"];

/// The nodes to which 64 flows from the internet to an address are sent; none if it is unreachable. (The
/// chance that one of three nodes gets none is 2e-11.)
fn takers(world: &World, cluster: &Cluster, address: IpAddr) -> Vec<String> {
    let hops: BTreeSet<Option<IpAddr>> = (1..=64).map(|port| second_hop(cluster, address, port)).collect();
    assert!(hops.len() == 1 || !hops.contains(&None), "some flows are sent on and some are not: {hops:?}");
    let snapshot = world.snapshot();
    let name = |hop: IpAddr| {
        let node = snapshot.nodes.values().find(|node| node.addresses.contains(&hop));
        node.unwrap_or_else(|| panic!("{hop} is no node's")).metadata.name.clone()
    };
    hops.into_iter().flatten().map(name).collect()
}

/// Who reports "time exceeded" for a packet from the internet at the second hop.
fn second_hop(cluster: &Cluster, to: IpAddr, port: u16) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let from = Place::external("internet");
    let socket = cluster.netns(&from).unwrap().enter(|| UdpSocket::bind((any, 0)).unwrap()).unwrap();
    match Family::of(to) {
        Family::Ipv4 => {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true).unwrap();
            setsockopt(&socket, sockopt::Ipv4Ttl, &2).unwrap();
            socket.send_to(b"who is there?", (to, port)).unwrap();
            offender::<SockaddrIn>(&socket)
        }
        Family::Ipv6 => {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true).unwrap();
            setsockopt(&socket, sockopt::Ipv6Ttl, &2).unwrap();
            socket.send_to(b"who is there?", (to, port)).unwrap();
            offender::<SockaddrIn6>(&socket)
        }
    }
}

/// The sender of the "time exceeded" in a socket's error queue, where there is one.
fn offender<S: SockaddrLike>(socket: &UdpSocket) -> Option<IpAddr> {
    const ICMP_TIME_EXCEEDED: u8 = 11;
    const ICMPV6_TIME_EXCEEDED: u8 = 3;
    let mut payload = [0; 64];
    let mut control = nix::cmsg_space!([u8; 128]);
    let mut parts = [IoSliceMut::new(&mut payload)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = match recvmsg::<S>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
        // For IPv4, the kernel reports a missing route only five times to the same sender.
        Err(Errno::EAGAIN) => return None,
        message => message.unwrap(),
    };
    message.cmsgs().unwrap().find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, from) if error.ee_type == ICMP_TIME_EXCEEDED => {
            Some(IpAddr::from(u32::from_be(from?.sin_addr.s_addr).to_be_bytes()))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) if error.ee_type == ICMPV6_TIME_EXCEEDED => {
            Some(IpAddr::from(from?.sin6_addr.s6_addr))
        }
        _ => None,
    })
}

fn assert_takers(world: &World, cluster: &Cluster, addresses: [IpAddr; 2], nodes: &[&str]) {
    for address in addresses {
        assert_eq!(takers(world, cluster, address), nodes, "{address}");
    }
}

fn unknown(wiring: Wiring) {
    let (world, cluster) = world(wiring, |_| {});
    for address in addresses(1) {
        assert_unreachable(&cluster, &Place::external("internet"), address);
    }
    for last in [1, 2, 4, 11, 12, 14] {
        assert_takers(&world, &cluster, addresses(last), &[]);
    }
    assert_takers(&world, &cluster, cluster_ips(&world, "all"), &[]);
}

fn advertised(wiring: Wiring) {
    let all = ServiceAddresses::WORDS.map(|(_, addresses)| addresses);
    let (world, mut cluster) = world(wiring, |topology| topology.advertised = all.into());
    let ips = |service| cluster_ips(&world, service);
    for (addresses, nodes) in [
        (ips("all"), ALL),
        (ips("local"), &["node1", "node3"]),
        // Withdrawn, so the route of the range is what is left.
        (ips("nobody"), ALL),
        (addresses(1), ALL),
        (addresses(2), &["node1", "node3"]),
        (addresses(3), &[]),
        (addresses(4), ALL),
        (addresses(11), ALL),
        (addresses(12), &["node1", "node3"]),
        (addresses(13), &[]),
        (addresses(14), &[]),
    ] {
        assert_takers(&world, &cluster, addresses, nodes);
    }
    cluster.full_health().unwrap();

    let only = BTreeSet::from([ServiceAddresses::ExternalIps]);
    let (world, cluster) = self::world(wiring, |topology| topology.advertised = only);
    assert_takers(&world, &cluster, addresses(1), ALL);
    assert_takers(&world, &cluster, addresses(11), &[]);
    assert_takers(&world, &cluster, cluster_ips(&world, "all"), &[]);
}

/// Nothing translates the address, so the node returns the packet, and the router does not send it to a node
/// again.
fn no_circles(wiring: Wiring) {
    let all = ServiceAddresses::WORDS.map(|(_, addresses)| addresses);
    let (world, mut cluster) = world(wiring, |topology| topology.advertised = all.into());
    let passed_on = |cluster: &Cluster, family| -> u64 {
        ALL.iter().map(|node| forwarded(cluster.netns(&Place::node(*node)).unwrap(), family)).sum()
    };
    cluster.update(&{ world }.pod("a", "node1")).unwrap();
    // The pod's node also forwards the router's answer.
    for (from, times) in [(Place::external("internet"), 1), (pod("a"), 2)] {
        for address in addresses(1) {
            let before = passed_on(&cluster, Family::of(address));
            assert_unreachable(&cluster, &from, address);
            assert_eq!(passed_on(&cluster, Family::of(address)), before + times, "{from} -> {address}");
        }
    }
    cluster.full_health().unwrap();
}

fn balancer(nodes: &[&str]) -> Option<LoadBalancer> {
    let range =
        PerFamily { ipv4: "198.18.0.0/24".parse().unwrap(), ipv6: "2001:db8:18::/64".parse().unwrap() };
    Some(LoadBalancer { range, nodes: nodes.iter().map(|node| (*node).into()).collect() })
}

fn load_balanced(wiring: Wiring) {
    for (chosen, all, local) in [
        (&[][..], ALL, &["node1", "node3"][..]),
        (&["node1"], &["node1"], &["node1"]),
        // Its only node fails the health check.
        (&["node2"], &["node2"], &[]),
    ] {
        let (world, cluster) = world(wiring, |topology| topology.load_balancer = balancer(chosen));
        assert_takers(&world, &cluster, addresses(11), all);
        assert_takers(&world, &cluster, addresses(12), local);
        assert_takers(&world, &cluster, addresses(13), &[]);
        assert_takers(&world, &cluster, addresses(1), &[]);
        assert_takers(&world, &cluster, cluster_ips(&world, "all"), &[]);
        for address in addresses(14) {
            // It is the load balancer's own, where nobody listens.
            let error = refusal(&cluster, &Place::external("internet"), address);
            assert!(error.as_ref().is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused), "{error:?}");
        }
    }
}

fn follow(wiring: Wiring) {
    let (mut world, mut cluster) = world(wiring, |topology| topology.load_balancer = balancer(&[]));
    let router = Arc::clone(cluster.netns(&Place::Router).unwrap());
    for nodes in [&["node2"][..], &[], ALL, &["node1"], &["node2", "node3"], &["node1", "node2"]] {
        let ready: Vec<(&str, bool)> = nodes.iter().map(|node| (*node, true)).collect();
        endpoints("local", &ready).into_iter().for_each(|change| drop(world.change(change)));
        cluster.update(&world.snapshot()).unwrap();
        assert_takers(&world, &cluster, addresses(12), nodes);
    }
    // A new pod removes no route, and a deleted service removes its routes.
    cluster.update(&world.pod("a", "node1")).unwrap();
    assert_takers(&world, &cluster, addresses(12), &["node1", "node2"]);
    cluster.update(&world.delete("service", "local")).unwrap();
    assert_takers(&world, &cluster, addresses(12), &[]);
    assert_takers(&world, &cluster, addresses(11), ALL);
    assert!(Arc::ptr_eq(&router, cluster.netns(&Place::Router).unwrap()));
    cluster.full_health().unwrap();
}
