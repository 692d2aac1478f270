//! `neighbours: learned`: pods and their nodes solicit each other, and every place reaches every other all
//! the same.

use crate::talk::everybody_reaches_everybody;
use crate::trial;
use crate::wires::name;
use crate::world::{World, pod, topology};
use libtest_mimic::Trial;
use netproof_cluster::{Cluster, Netns};
use netproof_model::topology::Neighbours;
use netproof_model::{Families, Family, Place, Wiring};
use std::net::IpAddr;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for wiring in Wiring::ALL {
        for family in Families::ALL {
            trials.push(trial(format!("neighbours::learned::{wiring}::{family}"), move || {
                learned(wiring, family);
            }));
        }
    }
    trials
}

/// As built, after a pod that came, and after one that went and left its address to another one.
fn learned(wiring: Wiring, family: Families) {
    let mut topology = topology(2, wiring, family);
    topology.neighbours = Neighbours::Learned;
    let mut world = World::new(topology);
    world.pod("a", "node1");
    world.pod("b", "node1");
    let snapshot = world.pod("c", "node2");
    let mut cluster = Cluster::build(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    asked_and_answered(&cluster, family);

    let snapshot = world.pod("d", "node1");
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);

    let addresses: Vec<String> = snapshot.pods[&name("a")].pod_ips.iter().map(IpAddr::to_string).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    world.delete("pod", "a");
    let snapshot = world.pod_at("heir", "node1", &addresses);
    cluster.update(&snapshot).unwrap();
    everybody_reaches_everybody(&cluster, &snapshot);
    asked_and_answered(&cluster, family);
    cluster.full_health().unwrap();
}

/// There was a solicitation, and none was lost: a lost one is repeated a second later, which looks like a
/// drop. (The end that was solicited first learns the other's address, too.)
fn asked_and_answered(cluster: &Cluster, family: Families) {
    for family in family.list() {
        let mut learned = 0;
        for place in [pod("b"), pod("c"), Place::node("node1"), Place::node("node2")] {
            let netns = cluster.netns(&place).unwrap();
            match family {
                // Flag 2: known; 4: permanent.
                Family::Ipv4 => {
                    let table = read(netns, "/proc/thread-self/net/arp");
                    learned += table.lines().filter(|line| line.contains(" 0x2 ")).count() as u64;
                }
                Family::Ipv6 => {
                    let asked = counter(netns, "Icmp6OutNeighborSolicits");
                    let answers = counter(netns, "Icmp6InNeighborAdvertisements");
                    assert_eq!(asked, answers, "{place}: answers to its questions");
                    learned += answers;
                }
            }
        }
        assert!(learned >= 3, "{family}: only {learned} neighbours were asked for");
    }
}

fn counter(netns: &Netns, name: &str) -> u64 {
    let text = read(netns, "/proc/thread-self/net/snmp6");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn read(netns: &Netns, path: &str) -> String {
    netns.enter(|| std::fs::read_to_string(path)).unwrap().unwrap()
}
