//! What the server costs: 1,000 pods and 1,000 policies, listed and watched by three clients. The yardstick is
//! `serde_json`, which writes the same objects once. Processor time of the server's thread (of this one, where there is
//! no server), so that other work on the machine does not count. `cargo bench -p netproof-kubeapi`; needs no privilege.

#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]

#[path = "../tests/http/mod.rs"]
mod http;

use http::world::{World, pod, policy};
use http::{Ask, Cluster};
use netproof_kubeapi::{Store, events};
use netproof_model::{Families, Wiring};
use std::hint::black_box;
use std::thread;
use std::time::Duration;

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

    let before = resident();
    let store = Store::new();
    store.apply(&all).expect("a cluster");
    println!("memory of a store: {:.1} MB", (resident() - before) / 1e6);
    drop(store);

    let yardstick = best(None, || {
        for event in &all {
            black_box(event.object.to_string());
        }
    });
    let show = |what: &str, time: Duration| {
        println!(
            "{what}: {:.1} ms, {:.1} times the yardstick",
            ms(time),
            time.as_secs_f64() / yardstick.as_secs_f64()
        );
    };
    show("written by serde_json", yardstick);
    show("objects of a snapshot", best(None, || drop(black_box(events::between(None, &snapshot)))));
    show("stored", best(None, || drop(black_box(Store::new().apply(&all)))));

    let mut cluster = Cluster::serve(world, snapshot);
    let server = thread_of("kubeapi");
    let list = |tls: bool| {
        each_client(|| {
            for (path, _) in PATHS {
                let answer =
                    if tls { cluster.https("localhost").get(path) } else { cluster.http().get(path) };
                assert_eq!(answer.status, 200);
            }
        });
    };
    show("listed by each client", best(Some(server), || list(false)));
    show("listed by each client, over TLS", best(Some(server), || list(true)));
    let watch = || {
        each_client(|| {
            for (path, count) in PATHS {
                cluster.http().watch(&Ask::get(format!("{path}?watch=1"))).pass(count);
            }
        });
    };
    show("watched by each client, up to what is there", best(Some(server), watch));

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

/// How many bytes of memory this process has.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}

/// The number of a thread of this process.
fn thread_of(name: &str) -> u32 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let numbers = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
    let is_it = |number: &u32| {
        let comm = std::fs::read_to_string(format!("/proc/self/task/{number}/comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    };
    numbers.into_iter().find(is_it).expect("the thread")
}

/// The processor time that a thread has had; this one's where none is given.
fn processor_time(thread: Option<u32>) -> Duration {
    let path =
        thread.map_or("/proc/thread-self/schedstat".into(), |it| format!("/proc/self/task/{it}/schedstat"));
    let text = std::fs::read_to_string(path).expect("the kernel counts it");
    let nanoseconds = text.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// The best of several runs: what other work does to the caches makes the others longer.
fn best(thread: Option<u32>, run: impl Fn()) -> Duration {
    let time = |_| {
        let begin = processor_time(thread);
        run();
        processor_time(thread) - begin
    };
    (0..ROUNDS).map(time).min().expect("there are rounds")
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
