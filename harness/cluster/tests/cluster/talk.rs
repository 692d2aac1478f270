//! Plain sockets in a cluster's namespaces.

use netproof_cluster::Cluster;
use netproof_controlplane::Snapshot;
use netproof_model::topology::Neighbours;
use netproof_model::{Family, Place};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Long enough for a busy machine; what is unreachable says so at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A TCP exchange and a UDP exchange from `from` to an address of `to`; the source addresses that the
/// server saw, which are equal.
pub fn exchange(cluster: &Cluster, from: &Place, to: &Place, address: IpAddr) -> io::Result<IpAddr> {
    let server = |address| cluster.netns(to).unwrap().enter(|| TcpListener::bind((address, 0)))?;
    let listener: TcpListener = server(address)?;
    let address_and_port = listener.local_addr()?;
    let connect = || TcpStream::connect_timeout(&address_and_port, PATIENCE);
    let mut client = cluster.netns(from).unwrap().enter(connect)??;
    let (mut accepted, peer) = listener.accept()?;
    client.write_all(b"tcp")?;
    let mut text = [0; 3];
    accepted.read_exact(&mut text)?;
    assert_eq!(&text, b"tcp");

    let server = cluster.netns(to).unwrap().enter(|| UdpSocket::bind((address, 0)))??;
    let client = cluster.netns(from).unwrap().enter(|| UdpSocket::bind(any(address)))??;
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    client.connect(server.local_addr()?)?;
    client.send(b"udp")?;
    let (_, asker) = server.recv_from(&mut text)?;
    server.send_to(b"pdu", asker)?;
    client.recv(&mut text)?;
    assert_eq!(&text, b"pdu");
    assert_eq!(peer.ip(), asker.ip(), "TCP and UDP show the same source");
    Ok(peer.ip())
}

/// The error of a datagram to an address without owner, read at once: nothing waits.
pub fn refusal(cluster: &Cluster, from: &Place, to: IpAddr) -> Option<io::Error> {
    let socket = cluster.netns(from).unwrap().enter(|| UdpSocket::bind(any(to))).unwrap().unwrap();
    match Family::of(to) {
        Family::Ipv4 => setsockopt(&socket, sockopt::Ipv4RecvErr, &true).unwrap(),
        Family::Ipv6 => setsockopt(&socket, sockopt::Ipv6RecvErr, &true).unwrap(),
    }
    match socket.connect((to, 9)).and_then(|()| socket.send(b"anybody?")) {
        Ok(_) => socket.take_error().unwrap(),
        Err(error) => Some(error),
    }
}

/// One exchange for every pair of places that have addresses, in every family that both have.
pub fn everybody_reaches_everybody(cluster: &Cluster, snapshot: &Snapshot) {
    for (place, netns) in cluster.places() {
        // A kernel without IPv6 has no such file.
        let addresses = netns.enter(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6")).unwrap();
        let learned = snapshot.topology.neighbours == Neighbours::Learned;
        let link_local = addresses.unwrap_or_default().contains("fe80");
        assert!(learned || !link_local, "{place} has a link-local address");
    }
    let places: Vec<Place> =
        cluster.places().map(|(place, _)| place.clone()).filter(|place| *place != Place::Router).collect();
    let mut exchanges = 0;
    for (from, to) in places.iter().flat_map(|from| places.iter().map(move |to| (from, to))) {
        for family in snapshot.topology.family.list() {
            let (Some(source), Some(address)) =
                (snapshot.address_of(from, *family), snapshot.address_of(to, *family))
            else {
                continue;
            };
            match exchange(cluster, from, to, address) {
                Ok(seen) => {
                    let source = tunnel_source(snapshot, from, to, *family).unwrap_or(source);
                    assert_eq!(seen, source, "{to} sees {from} at its own address");
                }
                Err(error) => panic!("{from} -> {to} at {address}: {error}"),
            }
            exchanges += 1;
        }
    }
    assert!(exchanges >= places.len() * (places.len() - 1), "{exchanges} exchanges");
}

/// A node's packets to a pod of another node over the overlay come from the node's end of the overlay.
fn tunnel_source(snapshot: &Snapshot, from: &Place, to: &Place, family: Family) -> Option<IpAddr> {
    let (Place::Node(from), Place::Pod(to)) = (from, to) else { return None };
    let far = snapshot.pods[to].node_name.as_ref() != Some(from);
    let mut addresses = snapshot.nodes[from].tunnel_addresses.iter();
    addresses.find(|address| far && Family::of(**address) == family).copied()
}

fn any(address: IpAddr) -> SocketAddr {
    match Family::of(address) {
        Family::Ipv4 => ([0; 4], 0).into(),
        Family::Ipv6 => ([0_u16; 8], 0).into(),
    }
}
