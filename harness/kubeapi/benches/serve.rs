//! What the server costs: 1,000 pods and 1,000 policies, listed and watched by three clients. The yardstick is
//! `serde_json`, which writes the same objects once. `cargo bench -p netproof-kubeapi`; needs no privilege.

#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]

#[path = "../tests/http/mod.rs"]
mod http;

use http::world::{World, pod, policy};
use http::{Ask, Cluster};
use netproof_kubeapi::{Store, events};
use netproof_model::{Families, Wiring};
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

const PODS: usize = 1000;
const POLICIES: usize = 1000;
const CLIENTS: usize = 3;
const ROUNDS: usize = 21;
const CHANGES: usize = 201;

const PATHS: [(&str, usize); 2] =
    [("/api/v1/pods", PODS + 1), ("/apis/networking.k8s.io/v1/networkpolicies", POLICIES)];

fn main() {
    // A node has room for some 250 pods.
    let nodes = ["node1", "node2", "node3", "node4", "node5"];
    let mut world = World::of_nodes(Families::Dual, Wiring::Routed, &nodes);
    let mut objects = String::new();
    for number in 0..PODS {
        let (node, labels) = (nodes[number % nodes.len()], format!("app=a{}", number % 100));
        objects += &pod(&format!("p{number}"), node, &labels, "http:80");
    }
    for number in 0..POLICIES {
        let spec = format!(
            "{{podSelector: {{matchLabels: {{app: a{}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: \
             {{app: a{}}}}}}}], ports: [{{port: 80}}]}}]}}",
            number % 100,
            (number + 1) % 100
        );
        objects += &policy(&format!("n{number}"), &spec);
    }
    let snapshot = world.apply(&objects);
    let all = events::between(None, &snapshot);
    let size: usize = all.iter().map(|event| event.object.to_string().len()).sum();
    println!(
        "{PODS} pods, {POLICIES} policies, {} objects, {} kB of JSON; {CLIENTS} clients",
        all.len(),
        size / 1000
    );

    let yardstick = best(|| {
        for event in &all {
            black_box(event.object.to_string());
        }
    });
    show("written by serde_json", yardstick, yardstick);
    show("objects of a snapshot", best(|| events::between(None, &snapshot)), yardstick);
    show("stored", best(|| black_box(Store::new()).apply(&all).expect("a cluster")), yardstick);

    let mut cluster = Cluster::serve(world, snapshot);
    let list = |tls: bool| {
        each_client(|| {
            for (path, _) in PATHS {
                let answer =
                    if tls { cluster.https("localhost").get(path) } else { cluster.http().get(path) };
                assert_eq!(answer.status, 200);
            }
        });
    };
    show("listed by each", best(|| list(false)), yardstick);
    show("listed by each, over TLS", best(|| list(true)), yardstick);
    let watch = || {
        each_client(|| {
            for (path, count) in PATHS {
                cluster.http().watch(&Ask::get(format!("{path}?watch=1"))).pass(count);
            }
        });
    };
    show("watched by each, to the end of what is there", best(watch), yardstick);

    let mut watches: Vec<_> =
        (0..CLIENTS).map(|_| cluster.http().watch(&Ask::get("/api/v1/pods?watch=1"))).collect();
    watches.iter_mut().for_each(|watch| watch.pass(PODS + 1));
    let mut told: Vec<Duration> = (0..CHANGES)
        .map(|number| {
            let begin = cluster.relabel("p0", if number % 2 == 0 { "x" } else { "y" });
            watches.iter_mut().for_each(|watch| watch.pass(1));
            begin.elapsed()
        })
        .collect();
    told.sort();
    println!(
        "one pod relabelled, until each is told: best {:.2} ms, median {:.2} ms",
        ms(told[0]),
        ms(told[CHANGES / 2])
    );
}

/// Does the same as so many clients at once.
fn each_client(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(&work);
        }
    });
}

/// The best of several runs: other work on the machine makes the others longer.
fn best<T>(run: impl Fn() -> T) -> Duration {
    let time = |_| {
        let begin = Instant::now();
        black_box(run());
        begin.elapsed()
    };
    (0..ROUNDS).map(time).min().expect("there are rounds")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn show(what: &str, time: Duration, yardstick: Duration) {
    println!(
        "{what}: {:.1} ms, {:.1} times the yardstick",
        ms(time),
        time.as_secs_f64() / yardstick.as_secs_f64()
    );
}
