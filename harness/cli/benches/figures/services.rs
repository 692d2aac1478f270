//! What services cost: a packet to one of many, programming many at once, and changing one endpoint
//! among them. The yardstick of the packet is the same probe to the pod's own address, in turn with it.

use crate::{ms, ratio, time, worlds};
use netproof_cluster::Cluster;
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_enforcer::{Backend, NodeHandle, Proxy, ServiceProxy};
use netproof_model::flow::FlowProtocol;
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::{DataPath, Family, NamespacedName, Outcome, Place};
use netproof_probe::{Patience, Probe, Prober};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Probes of one kind in a row, and how often the two kinds take turns.
const PROBES: usize = 400;
const TURNS: usize = 15;

pub fn measure() {
    println!("| services | a TCP probe to a pod | to a service | added | ratio to 10 services |");
    println!("|---|---|---|---|---|");
    let mut few = None;
    for services in [10, 1_000, 10_000] {
        let (pod, service) = packet(services);
        let few = *few.get_or_insert(service);
        let added = service.saturating_sub(pod);
        println!("| {services} | {} | {} | {} | {} |", us(pod), us(service), us(added), ratio(service, few));
    }
    println!("\n| services of 10 endpoints | all at once | one endpoint replaced |");
    println!("|---|---|---|");
    for services in [10, 100, 1_000] {
        let (all, one) = programming(services);
        println!("| {services} | {} | {} |", ms(all), ms(one));
    }
}

/// A cluster of one node with two pods, and a proxy on the node.
struct Bench {
    control: ControlPlane,
    cluster: Cluster,
    proxy: ServiceProxy,
}

impl Bench {
    fn new() -> Bench {
        let control = worlds::with_pods(1, 2, 2);
        let cluster = Cluster::build(&control.snapshot()).expect("a cluster");
        let node = cluster.netns(&Place::node("node1")).expect("a node");
        let handle = NodeHandle { name: "node1".into(), netns: node.fd() };
        let mut proxy =
            ServiceProxy::open(Backend::Nftables, &[handle], Default::default()).expect("a proxy");
        proxy.program(&control.snapshot()).expect("no service");
        Bench { control, cluster, proxy }
    }

    fn apply(&mut self, changes: &[netproof_controlplane::Change]) -> Arc<Snapshot> {
        self.control.apply(changes).expect("services")
    }
}

/// The median time of a TCP probe to a pod and to one of so many services, each of which leads there.
fn packet(services: usize) -> (Duration, Duration) {
    let mut bench = Bench::new();
    let server = pod_address(&bench.control.snapshot(), "pod-0");
    let changes: Vec<_> = (0..services).flat_map(|n| worlds::service(n, vec![server])).collect();
    let snapshot = bench.apply(&changes);
    bench.proxy.program(&snapshot).expect("programmed");
    let mut prober = Prober::new(1, Arc::default(), DataPath::Kernel).expect("a prober");
    prober.sync(&bench.cluster, &snapshot).expect("listeners");

    let to_services: Vec<IpAddr> = (0..PROBES)
        .map(|n| {
            let name = NamespacedName::new("default", format!("service-{}", n * services / PROBES));
            snapshot.services[&name].cluster_ips[0]
        })
        .collect();
    let to_pod = vec![server; PROBES];
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        times.0.push(probe(&mut prober, &to_pod));
        times.1.push(probe(&mut prober, &to_services));
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    (middle(times.0), middle(times.1))
}

/// The time of one of these probes.
fn probe(prober: &mut Prober, addresses: &[IpAddr]) -> Duration {
    let requests: Vec<Probe> = addresses
        .iter()
        .map(|address| Probe {
            request: Request {
                source: Place::pod("default", "pod-1"),
                target: RequestTarget::Address(*address),
                port: RequestPort::Port { port: 80, protocol: FlowProtocol::Tcp },
            },
            family: Family::Ipv4,
            patience: Patience::ForAnswer,
            keep: false,
        })
        .collect();
    let (elapsed, observations) = time(|| prober.probe(&requests).expect("probes"));
    assert!(observations.iter().all(|it| it.outcome == Outcome::Connected), "every probe connects");
    elapsed / u32::try_from(addresses.len()).unwrap_or(u32::MAX)
}

/// Programming so many services with ten endpoints each, and then another endpoint of one of them: the
/// median of several changes, from the snapshot to the generation in force.
fn programming(services: usize) -> (Duration, Duration) {
    let mut bench = Bench::new();
    let endpoint = |service: usize, n: usize| -> IpAddr {
        let number = u32::try_from(service * 16 + n).unwrap_or_default();
        std::net::Ipv4Addr::from_bits(u32::from_be_bytes([10, 244, 128, 0]) + number % 0x7f00).into()
    };
    let endpoints =
        |service: usize, first: usize| (first..first + 10).map(|n| endpoint(service, n)).collect();
    let changes: Vec<_> = (0..services).flat_map(|n| worlds::service(n, endpoints(n, 0))).collect();
    let snapshot = bench.apply(&changes);
    let all = time(|| bench.proxy.program(&snapshot).expect("programmed")).0;
    let mut one: Vec<Duration> = (1..=9)
        .map(|turn| {
            let service = services / 2;
            let [_, slice] = worlds::service(service, endpoints(service, turn % 2));
            let snapshot = bench.apply(&[slice]);
            time(|| bench.proxy.program(&snapshot).expect("programmed")).0
        })
        .collect();
    one.sort();
    (all, one[one.len() / 2])
}

fn pod_address(snapshot: &Snapshot, name: &str) -> IpAddr {
    snapshot.address_of(&Place::pod("default", name), Family::Ipv4).expect("an address")
}

/// Microseconds, as the table prints them.
fn us(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
