//! Who reaches whom, as built and after changes.

use crate::talk::{everybody_reaches_everybody, exchange, refusal};
use crate::trial;
use crate::world::{World, external, pod, topology};
use libtest_mimic::Trial;
use netproof_cluster::{Cluster, Netns};
use netproof_controlplane::{Change, Snapshot, host_interface};
use netproof_model::topology::Network;
use netproof_model::{Families, Family, NamespacedName, Place, Wiring};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

pub fn trials() -> Vec<Trial> {
    type Test = fn(Wiring, Families);
    let tests: [(&str, Test); 9] = [
        ("external_networks_have_hosts_and_nobody_else", networks),
        ("what_the_host_has_set_does_not_matter", hostile),
        ("everybody_reaches_everybody", mesh),
        ("a_place_without_owner_is_unreachable_at_once", unreachable),
        ("pods_come_go_and_come_back", pods_change),
        ("what_comes_is_there_before_its_wire", in_two_halves),
        ("externals_come_go_and_move", externals_change),
        ("an_address_moves_to_another_pod", address_moves),
        ("a_pod_with_an_address_of_another_nodes_range", stray),
    ];
    let mut trials = Vec::new();
    for (name, test) in tests {
        for wiring in Wiring::ALL {
            for family in Families::ALL {
                let name = format!("wires::{name}::{wiring}::{family}");
                trials.push(trial(name, move || test(wiring, family)));
            }
        }
    }
    trials.push(trial("wires::nothing_is_left_after_drop", nothing_left));
    trials.push(trial("wires::same_node_packets_pass_the_nodes_ip_stack", same_node));
    trials.push(trial("wires::interfaces_of_the_same_name_are_refused", same_interface));
    trials
}

fn small_world(wiring: Wiring, family: Families) -> World {
    let mut world = World::new(topology(2, wiring, family));
    world.pod("a", "node1");
    world.pod("b", "node1");
    world.pod("c", "node2");
    world
}

/// The SHA-1 of the two names begins with the same eleven digits, fd1029aad46.
fn same_interface() {
    let mut world = World::new(topology(2, Wiring::Routed, Families::Ipv4));
    world.pod("p1803518", "node1");
    let apart = world.pod("p8024346", "node2");
    Cluster::build(&apart).unwrap();
    world.delete("pod", "p8024346");
    let error = Cluster::build(&world.pod("p8024346", "node1")).unwrap_err();
    let expected = "the interfaces of pod/default/p1803518 and pod/default/p8024346 in node/node1 have the same name, \
                    npfd1029aad46: rename one of them";
    assert_eq!(error.to_string(), expected);
}

fn mesh(wiring: Wiring, family: Families) {
    let snapshot = small_world(wiring, family).snapshot();
    let mut cluster = Cluster::build(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    cluster.full_health().unwrap();
}

/// Nothing waits for a missing neighbour, from any source.
fn unreachable(wiring: Wiring, family: Families) {
    let snapshot = small_world(wiring, family).snapshot();
    let cluster = Cluster::build(&snapshot).unwrap();
    let nowhere: [&str; 8] = [
        "10.244.1.200",
        "10.244.2.200",
        "172.18.0.99",
        "198.51.100.1",
        "fd00:10:244:1::99",
        "fd00:10:244:2::99",
        "fd00:172:18::99",
        "2001:db8::1",
    ];
    for address in nowhere.map(|address| address.parse::<IpAddr>().unwrap()) {
        if !family.contains(Family::of(address)) {
            continue;
        }
        for from in [pod("a"), pod("c"), Place::node("node1"), Place::external("internet")] {
            assert_unreachable(&cluster, &from, address);
        }
    }
}

/// The worst values that a host can pass on: `conf/all` and `conf/default` are inherited.
fn hostile(wiring: Wiring, family: Families) {
    fn spoil() {
        for scope in ["all", "default", "lo"] {
            for (name, value) in [
                ("forwarding", "0"),
                ("rp_filter", "1"),
                ("accept_redirects", "1"),
                ("send_redirects", "1"),
                ("arp_ignore", "8"),
                ("arp_announce", "2"),
                ("arp_filter", "1"),
                ("accept_local", "1"),
                ("route_localnet", "1"),
                ("log_martians", "1"),
                ("proxy_arp", "1"),
                ("src_valid_mark", "1"),
                ("disable_policy", "1"),
                ("ignore_routes_with_linkdown", "1"),
            ] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/{name}"), value).unwrap();
            }
            for (name, value) in [
                ("disable_ipv6", "1"),
                ("forwarding", "0"),
                ("accept_dad", "2"),
                ("dad_transmits", "5"),
                ("accept_ra", "2"),
                ("autoconf", "1"),
                ("addr_gen_mode", "0"),
                ("accept_redirects", "1"),
                ("ignore_routes_with_linkdown", "1"),
            ] {
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{name}"), value).unwrap();
            }
        }
        for (name, value) in [
            ("ipv4/icmp_ratemask", "65535"),
            ("ipv4/icmp_ratelimit", "100000"),
            ("ipv6/icmp/ratemask", "0-255"),
            ("ipv6/icmp/ratelimit", "100000"),
            ("ipv4/icmp_echo_ignore_all", "1"),
        ] {
            std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
        }
    }
    let mut world = small_world(wiring, family);
    let mut cluster = Cluster::build_after(&world.snapshot(), Some(spoil)).unwrap();
    everybody_reaches_everybody(&cluster, &world.snapshot());
    let snapshot = world.pod("d", "node2");
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    // Refusals are not rate limited. (For IPv4, "no route" has one more limit, five at once for each source,
    // which only the host can lift.)
    for nowhere in ["10.244.1.200", "198.51.100.1", "fd00:10:244:1::99", "2001:db8::1"] {
        let nowhere: IpAddr = nowhere.parse().unwrap();
        let times = if nowhere.is_ipv4() { 2 } else { 100 };
        for _ in 0..if family.contains(Family::of(nowhere)) { times } else { 0 } {
            assert_unreachable(&cluster, &pod("a"), nowhere);
        }
    }
    let closed = address(&snapshot, &pod("b"));
    for _ in 0..100 {
        let error = refusal(&cluster, &pod("a"), closed);
        assert!(error.as_ref().is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused), "{error:?}");
    }
    cluster.full_health().unwrap();
}

pub fn assert_unreachable(cluster: &Cluster, from: &Place, to: IpAddr) {
    let error = refusal(cluster, from, to);
    let kinds = [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
    assert!(error.as_ref().is_some_and(|error| kinds.contains(&error.kind())), "{from} -> {to}: {error:?}");
}

fn pods_change(wiring: Wiring, family: Families) {
    let mut world = small_world(wiring, family);
    let mut cluster = Cluster::build(&world.snapshot()).unwrap();
    let kept = Arc::clone(cluster.netns(&pod("b")).unwrap());

    let snapshot = world.pod("d", "node2");
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);

    // The same name again, on the same node and then on the other: a new namespace each time.
    let first = Arc::clone(cluster.netns(&pod("a")).unwrap());
    let snapshot = world.delete("pod", "a");
    let old_address = address(&world.pod("probe", "node2"), &pod("probe"));
    cluster.update(&snapshot).unwrap();
    assert!(cluster.netns(&pod("a")).is_none());
    cluster.update(&world.snapshot()).unwrap();
    for node in ["node1", "node2", "node1"] {
        world.pod("a", node);
        let snapshot = world.snapshot();
        cluster.update(&snapshot).unwrap();
        assert!(!Arc::ptr_eq(&first, cluster.netns(&pod("a")).unwrap()));
        everybody_reaches_everybody(&cluster, &snapshot);
        let snapshot = world.delete("pod", "a");
        cluster.update(&snapshot).unwrap();
    }
    world.delete("pod", "probe");
    cluster.update(&world.snapshot()).unwrap();
    assert_unreachable(&cluster, &pod("b"), old_address);
    assert!(Arc::ptr_eq(&kept, cluster.netns(&pod("b")).unwrap()), "who stays keeps the namespace");
    cluster.full_health().unwrap();
}

/// Departing places are gone and new places have their namespace before anything is linked to it.
fn in_two_halves(wiring: Wiring, family: Families) {
    let mut world = small_world(wiring, family);
    let mut cluster = Cluster::build(&world.snapshot()).unwrap();
    world.delete("pod", "a");
    let snapshot = world.pod("d", "node2");
    cluster.prepare(&snapshot).unwrap();
    let kept = Arc::clone(cluster.netns(&pod("d")).unwrap());
    assert!(cluster.netns(&pod("a")).is_none());
    let error = refusal(&cluster, &pod("d"), address(&snapshot, &pod("b"))).map(|error| error.kind());
    let nowhere = [ErrorKind::NetworkUnreachable, ErrorKind::AddrNotAvailable];
    assert!(error.is_some_and(|error| nowhere.contains(&error)), "no wire leads out of it yet: {error:?}");
    // A snapshot in between is followed, too.
    let snapshot = world.pod("e", "node1");
    cluster.prepare(&snapshot).unwrap();
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    assert!(Arc::ptr_eq(&kept, cluster.netns(&pod("d")).unwrap()), "the namespace is the one that was made");
    cluster.prepare(&snapshot).unwrap();
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    cluster.full_health().unwrap();
}

fn networks(wiring: Wiring, family: Families) {
    let mut topology = topology(2, wiring, family);
    let network = |name: &str, ranges: &[&str], default| Network {
        name: name.into(),
        ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        default,
    };
    topology.networks =
        vec![network("a", &["50.60.0.0/16", "2001:db8:5060::/48"], false), network("rest", &[], true)];
    topology.externals.push(external("client", &["50.60.1.10", "2001:db8:5060::10"]));
    let mut world = World::new(topology);
    let snapshot = world.pod("a", "node1");
    let mut cluster = Cluster::build(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    for nowhere in ["50.60.1.11", "8.8.8.8", "2001:db8:5060::11", "2001:db8::1"] {
        let nowhere: IpAddr = nowhere.parse().unwrap();
        if family.contains(Family::of(nowhere)) {
            for from in [pod("a"), Place::node("node2"), Place::external("internet")] {
                assert_unreachable(&cluster, &from, nowhere);
            }
        }
    }
    cluster.full_health().unwrap();
}

fn externals_change(wiring: Wiring, family: Families) {
    let mut world = small_world(wiring, family);
    let mut cluster = Cluster::build(&world.snapshot()).unwrap();
    for addresses in [["8.8.8.8", "2001:4860::8888"], ["8.8.4.4", "2001:4860::8844"]] {
        let snapshot = world.change(Change::ApplyExternal(external("dns", &addresses)));
        cluster.update(&snapshot).unwrap();
        everybody_reaches_everybody(&cluster, &snapshot);
    }
    cluster.update(&world.delete("external", "dns")).unwrap();
    assert!(cluster.netns(&Place::external("dns")).is_none());
    cluster.full_health().unwrap();
}

/// The address of a deleted pod goes to another pod, on another node or on the same one.
fn address_moves(wiring: Wiring, family: Families) {
    let mut world = small_world(wiring, family);
    let mut cluster = Cluster::build(&world.snapshot()).unwrap();
    let addresses: Vec<String> =
        world.snapshot().pods[&name("a")].pod_ips.iter().map(IpAddr::to_string).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    world.delete("pod", "a");
    for (heir, node) in [("x", "node1"), ("y", "node2"), ("z", "node1")] {
        let snapshot = world.pod_at(heir, node, &addresses);
        cluster.update(&snapshot).unwrap();
        everybody_reaches_everybody(&cluster, &snapshot);
        world.delete("pod", heir);
    }
}

fn stray(wiring: Wiring, family: Families) {
    let mut world = small_world(wiring, family);
    let addresses: Vec<&str> = [("10.244.2.77", Family::Ipv4), ("fd00:10:244:2::77", Family::Ipv6)]
        .into_iter()
        .filter(|(_, of)| family.contains(*of))
        .map(|(address, _)| address)
        .collect();
    let snapshot = world.pod_at("stray", "node1", &addresses);
    let mut cluster = Cluster::build(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    cluster.update(&world.delete("pod", "stray")).unwrap();
    assert_unreachable(&cluster, &pod("b"), addresses[0].parse().unwrap());
}

/// A namespace lives as long as a descriptor is open, and none is. (Other tests have theirs open at the same
/// time, so the test looks for these.)
fn nothing_left() {
    let snapshot = small_world(Wiring::Routed, Families::Ipv4).snapshot();
    let cluster = Cluster::build(&snapshot).unwrap();
    let namespace =
        |netns: &Netns| std::fs::read_link(format!("/proc/self/fd/{}", netns.fd().as_raw_fd())).unwrap();
    let built: Vec<PathBuf> = cluster.places().map(|(_, netns)| namespace(netns)).collect();
    assert_eq!(built.len(), 8, "{built:?}");
    drop(cluster);
    let open = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.unwrap().path().read_link().ok());
    let left: Vec<PathBuf> = open.filter(|link| built.contains(link)).collect();
    assert!(left.is_empty(), "{left:?}");
    // The namespace that everything is made from has a loopback interface and nothing else.
    let links = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    assert_eq!(links.lines().skip(2).count(), 1, "{links}");
}

fn same_node() {
    for wiring in Wiring::ALL {
        let snapshot = small_world(wiring, Families::Dual).snapshot();
        let cluster = Cluster::build(&snapshot).unwrap();
        let node = cluster.netns(&Place::node("node1")).unwrap();
        for family in Family::ALL {
            let before = forwarded(node, family);
            let address = snapshot.address_of(&pod("b"), family).unwrap();
            exchange(&cluster, &pod("a"), &pod("b"), address).unwrap();
            assert!(forwarded(node, family) >= before + 6, "{wiring} {family}");
        }
        let names = node.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev")).unwrap().unwrap();
        assert!(names.contains(&host_interface(&snapshot.topology.interface_prefix, &name("a"))), "{names}");
    }
}

/// How many packets a namespace has forwarded.
pub fn forwarded(netns: &Netns, family: Family) -> u64 {
    let read = |path| netns.enter(|| std::fs::read_to_string(path)).unwrap().unwrap();
    match family {
        Family::Ipv4 => {
            let text = read("/proc/thread-self/net/snmp");
            let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
            let names = lines.next().unwrap().split_whitespace();
            let mut values = names.zip(lines.next().unwrap().split_whitespace());
            values.find(|(name, _)| *name == "ForwDatagrams").unwrap().1.parse().unwrap()
        }
        Family::Ipv6 => {
            let text = read("/proc/thread-self/net/snmp6");
            let line = text.lines().find(|line| line.starts_with("Ip6OutForwDatagrams")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        }
    }
}

fn address(snapshot: &Snapshot, place: &Place) -> IpAddr {
    snapshot.address_of(place, snapshot.topology.family.list()[0]).unwrap()
}

pub fn name(pod: &str) -> NamespacedName {
    NamespacedName::new("default", pod)
}
