//! Building a cluster and taking it down, against `ip -batch` doing the same and against the bare cost
//! of as many namespaces and veth pairs.

use crate::{median, ms, ratio, time, worlds};
use netproof_cluster::{Cluster, yardstick};
use netproof_controlplane::Snapshot;
use netproof_model::Family;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn measure() {
    println!("| nodes, pods | netproof | bare namespaces and veths | ratio | `ip -batch` | ratio |");
    println!("|---|---|---|---|---|---|");
    let with_ip = has_ip();
    for (nodes, pods, runs) in [(2, 6, 20), (2, 100, 5), (5, 1000, 3)] {
        let snapshot = worlds::with_pods(nodes, pods, 1).snapshot();
        let ours = median(runs, || build_and_drop(&snapshot));
        // The pods, the name server's, two nodes, and the router; one veth pair for each but the router.
        let namespaces = snapshot.pods.len() + snapshot.nodes.len() + 1;
        let bare = median(runs, || {
            let (elapsed, result) = time(|| yardstick::namespaces_and_veths(namespaces));
            result.expect("the yardstick");
            elapsed
        });
        let batch = with_ip.then(|| median(runs.min(5), || ip_batch(&snapshot)));
        let (batch, batch_ratio) = match batch {
            Some(batch) => (ms(batch), ratio(ours, batch)),
            None => ("no `ip` here".to_owned(), "-".to_owned()),
        };
        println!(
            "| {nodes}, {pods} | {} | {} | {} | {batch} | {batch_ratio} |",
            ms(ours),
            ms(bare),
            ratio(ours, bare)
        );
    }
}

fn build_and_drop(snapshot: &Snapshot) -> Duration {
    time(|| drop(Cluster::build(snapshot).expect("a cluster"))).0
}

/// Whether the program `ip` is here; if so, its named namespaces get a place of our own to be in.
fn has_ip() -> bool {
    let none: Option<&str> = None;
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(none, "/run", Some("tmpfs"), flags, none).expect("a private /run");
    Command::new("ip").arg("-V").stdout(Stdio::null()).status().is_ok_and(|it| it.success())
}

/// The same cluster by iproute2: one batch for namespaces and links, one in each namespace for addresses,
/// neighbours and routes, and the namespaces deleted again.
fn ip_batch(snapshot: &Snapshot) -> Duration {
    let mut links = String::from("netns add router\n");
    let mut inside: Vec<(String, String)> = Vec::new();
    let mut remove = String::from("netns del router\n");
    for (n, node) in snapshot.nodes.keys().enumerate() {
        let _ = writeln!(
            links,
            "netns add {node}\nlink add up{n} netns router type veth peer name eth0 netns {node}"
        );
        let _ = writeln!(remove, "netns del {node}");
    }
    for (n, pod) in snapshot.pods.values().enumerate() {
        let (Some(node), Some(address)) =
            (&pod.node_name, pod.pod_ips.iter().find(|it| Family::of(**it) == Family::Ipv4))
        else {
            continue;
        };
        let _ =
            writeln!(links, "netns add p{n}\nlink add v{n} netns {node} type veth peer name eth0 netns p{n}");
        let _ = writeln!(remove, "netns del p{n}");
        inside.push((
            format!("p{n}"),
            format!(
                "link set lo up\nlink set eth0 up\naddr add {address}/32 dev eth0\n\
                 route add 169.254.1.1 dev eth0\nroute add default via 169.254.1.1 dev eth0\n\
                 neigh replace 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n"
            ),
        ));
        let of_node = format!("link set v{n} up\nroute add {address}/32 dev v{n}\n");
        match inside.iter_mut().find(|it| it.0 == *node) {
            Some(batch) => batch.1.push_str(&of_node),
            None => inside.push((node.clone(), of_node)),
        }
    }
    time(|| {
        run_ip(&[], &links);
        for (namespace, batch) in &inside {
            run_ip(&["-n", namespace], batch);
        }
        run_ip(&[], &remove);
    })
    .0
}

fn run_ip(arguments: &[&str], batch: &str) {
    let mut ip = Command::new("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("ip starts");
    ip.stdin.take().expect("its input").write_all(batch.as_bytes()).expect("its input takes the batch");
    assert!(ip.wait().expect("ip ends").success(), "ip -batch failed");
}
