//! The connections that nodes and the router track are forgotten when asked, of both families, and in no other cluster.

use crate::trial;
use crate::world::{World, topology};
use libtest_mimic::Trial;
use netproof_cluster::Cluster;
use netproof_model::{Families, Place, Wiring};
use netproof_netfilter::{Attributes, Message, Socket};
use nix::libc;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// Messages of connection tracking (`linux/netfilter/nfnetlink_conntrack.h`).
const NEW: libc::c_int = 0;
const GET: libc::c_int = 1;
/// What an entry is made of.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const TIMEOUT: u16 = 7;

pub fn trials() -> Vec<Trial> {
    vec![trial("connections::are_forgotten_everywhere", forgotten)]
}

fn forgotten() {
    let snapshot = World::new(topology(2, Wiring::Routed, Families::Dual)).pod("a", "node1");
    let cluster = Cluster::build(&snapshot).unwrap();
    let another = Cluster::build(&snapshot).unwrap();
    let places = [Place::node("node1"), Place::node("node2"), Place::Router];
    let tracked = |cluster: &Cluster| places.each_ref().map(|place| Tracking::of(cluster, place).entries());
    for mut tracking in
        [&cluster, &another].iter().flat_map(|it| places.iter().map(|place| Tracking::of(it, place)))
    {
        tracking.add("10.244.1.2", "10.244.2.2");
        tracking.add("fd00:10:244:1::2", "fd00:10:244:2::2");
    }
    assert_eq!(tracked(&cluster), [2, 2, 2]);
    cluster.forget_connections().unwrap();
    assert_eq!(tracked(&cluster), [0, 0, 0]);
    assert_eq!(tracked(&another), [2, 2, 2]);
    cluster.forget_connections().unwrap();
}

/// A connection to connection tracking in one namespace.
struct Tracking(Socket);

impl Tracking {
    fn of(cluster: &Cluster, place: &Place) -> Tracking {
        Tracking(Socket::open(cluster.netns(place).unwrap().as_fd()).unwrap())
    }

    fn entries(mut self) -> usize {
        let mut entries = 0;
        let all = Message::new(libc::NFNL_SUBSYS_CTNETLINK, GET, libc::AF_UNSPEC, Attributes::NONE);
        self.0.dump(all, |_| entries += 1).unwrap();
        entries
    }

    /// Adds an entry of UDP, from port 1 to port 2.
    fn add(&mut self, source: &str, destination: &str) {
        let [source, destination]: [IpAddr; 2] = [source, destination].map(|text| text.parse().unwrap());
        let mut entry = Attributes::default();
        entry.nest(ORIGINAL, |tuple| write(tuple, (source, 1), (destination, 2)));
        entry.nest(REPLY, |tuple| write(tuple, (destination, 2), (source, 1)));
        entry.number(TIMEOUT, 60);
        let family = if source.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let message = Message::new(libc::NFNL_SUBSYS_CTNETLINK, NEW, family, &entry);
        self.0.request(Message { flags: libc::NLM_F_CREATE as u16, ..message }).unwrap();
    }
}

/// Writes a tuple of UDP.
fn write(tuple: &mut Attributes, source: (IpAddr, u16), destination: (IpAddr, u16)) {
    tuple.nest(1, |addresses| {
        for (number, address) in [(1, source.0), (2, destination.0)] {
            match address {
                IpAddr::V4(address) => addresses.value(number, &address.octets()),
                IpAddr::V6(address) => addresses.value(number + 2, &address.octets()),
            }
        }
    });
    tuple.nest(2, |protocol| {
        protocol.value(1, &[libc::IPPROTO_UDP as u8]);
        protocol.value(2, &source.1.to_be_bytes());
        protocol.value(3, &destination.1.to_be_bytes());
    });
}
