//! Losses for other reasons than policy are detected, and denials by policy are not counted as losses.

use crate::trial;
use crate::world::{World, pod, topology};
use libtest_mimic::Trial;
use netproof_cluster::{Cluster, ClusterError};
use netproof_model::{Families, Family, Wiring};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("health::refusals_and_resets_are_no_losses", refusals)];
    trials.push(trial("health::a_pod_that_comes_back_is_no_loss", comes_back));
    for family in Family::ALL {
        trials.push(trial(format!("health::a_full_receive_buffer_is_a_loss::{family}"), move || {
            buffer(family)
        }));
        trials.push(trial(format!("health::a_full_listener_is_a_loss::{family}"), move || listener(family)));
    }
    trials
}

fn world() -> (World, Cluster) {
    let mut world = World::new(topology(2, Wiring::Routed, Families::Dual));
    world.pod("a", "node1");
    let cluster = Cluster::build(&world.pod("b", "node2")).unwrap();
    (world, cluster)
}

fn address(world: &World, name: &str, family: Family) -> IpAddr {
    world.snapshot().address_of(&pod(name), family).unwrap()
}

fn enter<T>(cluster: &Cluster, name: &str, f: impl FnOnce() -> T) -> T {
    cluster.netns(&pod(name)).unwrap().enter(f).unwrap()
}

fn losses(error: ClusterError) -> Vec<String> {
    match error {
        ClusterError::Unhealthy { losses } => {
            losses.into_iter().map(|loss| format!("{} in {}", loss.counter, loss.place.unwrap())).collect()
        }
        error => panic!("{error}"),
    }
}

/// Closed ports, nobody's addresses, connections that are cut off.
fn refusals() {
    let (world, mut cluster) = world();
    for family in Family::ALL {
        let b = address(&world, "b", family);
        for _ in 0..20 {
            enter(&cluster, "a", || {
                TcpStream::connect_timeout(&(b, 9).into(), Duration::from_secs(5)).unwrap_err()
            });
            let socket = enter(&cluster, "a", || UdpSocket::bind((address(&world, "a", family), 0)).unwrap());
            socket.send_to(b"closed", (b, 9)).unwrap();
        }
        let listener = enter(&cluster, "b", || TcpListener::bind((b, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let client = enter(&cluster, "a", || TcpStream::connect(to).unwrap());
        drop((listener, client));
    }
    cluster.full_health().unwrap();
}

/// A link drops packets while only one of its ends is up, and the link of a recreated pod has the old link's
/// name. (A bridge with IPv6 sends into some new ports, not into each.)
fn comes_back() {
    let mut world = World::new(topology(1, Wiring::Bridge, Families::Ipv6));
    world.pod("stays", "node1");
    let mut cluster = Cluster::build(&world.pod("returns", "node1")).unwrap();
    for _ in 0..100 {
        cluster.update(&world.delete("pod", "returns")).unwrap();
        cluster.update(&world.pod("returns", "node1")).unwrap();
        cluster.health().unwrap();
    }
}

fn buffer(family: Family) {
    let (world, mut cluster) = world();
    let to = address(&world, "b", family);
    let server = enter(&cluster, "b", || UdpSocket::bind((to, 0)).unwrap());
    let client = enter(&cluster, "a", || UdpSocket::bind((address(&world, "a", family), 0)).unwrap());
    cluster.health().unwrap();
    let message = [0; 1000];
    for _ in 0..10_000 {
        client.send_to(&message, server.local_addr().unwrap()).unwrap();
    }
    let group = if family == Family::Ipv4 { "Udp" } else { "Udp6" };
    let error = cluster.full_health().unwrap_err();
    assert!(error.to_string().contains("are not read as fast as they come"), "{error}");
    assert!(losses(error).contains(&format!("{group} RcvbufErrors in pod/default/b")));
    cluster.full_health().unwrap();
}

fn listener(family: Family) {
    let (world, mut cluster) = world();
    let to = address(&world, "b", family);
    let listener = enter(&cluster, "b", || TcpListener::bind((to, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    // The standard library listens with a backlog of 128, or 4096: nobody accepts, so it fills up. On a busy
    // machine a connection may come too late for another reason.
    let overflow = (0..5000).find_map(|_| {
        match enter(&cluster, "a", || TcpStream::connect_timeout(&address, Duration::from_millis(20))) {
            Ok(client) => clients.push(client),
            Err(_) => return cluster.full_health().err(),
        }
        None
    });
    let losses = losses(overflow.unwrap());
    assert!(losses.contains(&"TcpExt ListenOverflows in pod/default/b".to_owned()), "{losses:?}");
}
