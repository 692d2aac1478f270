//! What it takes to build, to update, to examine and to drop a cluster: `build_times [NODES PODS [routed|bridge|vxlan [ipv4|ipv6|dual]]]`.
#![expect(clippy::unwrap_used, dead_code, reason = "the worlds are those of the tests")]

#[path = "../tests/cluster/world.rs"]
mod world;

use netproof_cluster::{Cluster, Netns, sandbox};
use netproof_model::{Families, Wiring};
use std::time::{Duration, Instant};
use world::World;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    sandbox::enter()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| words.get(i).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (nodes, pods): (usize, usize) = (number(0, 2), number(1, 6));
    let wirings = Wiring::ALL.into_iter().filter(|w| words.get(2).is_none_or(|word| *word == w.to_string()));
    for wiring in wirings {
        let families = Families::ALL.into_iter();
        for family in families.filter(|f| words.get(3).is_none_or(|word| *word == f.to_string())) {
            let mut world = World::new(world::topology(nodes, wiring, family));
            for i in 0..pods {
                world.pod(&format!("pod{i}"), &format!("node{}", i % nodes + 1));
            }
            let snapshot = world.snapshot();
            let rounds = if pods > 100 { 3 } else { 20 };
            let mut built = Vec::new();
            let mut dropped = Vec::new();
            let (mut updated, mut examined) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let start = Instant::now();
                let mut cluster = Cluster::build(&snapshot)?;
                built.push(start.elapsed());
                for _ in 0..20 {
                    let start = Instant::now();
                    cluster.update(&snapshot)?;
                    updated.push(start.elapsed());
                    let start = Instant::now();
                    cluster.health()?;
                    examined.push(start.elapsed());
                }
                let start = Instant::now();
                drop(cluster);
                dropped.push(start.elapsed());
            }
            println!(
                "{nodes} nodes, {pods} pods, {wiring}, {family}: built in {}, updated in {}, \
                 examined in {}, dropped in {}",
                spread(&mut built),
                spread(&mut updated),
                spread(&mut examined),
                spread(&mut dropped)
            );
        }
    }
    let start = Instant::now();
    let bare = (0..pods).map(|_| Netns::new()).collect::<Result<Vec<_>, _>>()?;
    println!("{pods} bare namespaces: {:?}", start.elapsed());
    drop(bare);
    Ok(())
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    format!("{:.1?} (median; {:.1?} to {:.1?})", times[times.len() / 2], times[0], times[times.len() - 1])
}
