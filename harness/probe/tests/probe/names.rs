//! Probes by name: each asks a name server first, over the wire.

use crate::world::{World, client, dns, http, pod, request, tcp, web};
use crate::{trial, trial_with_rules};
use libtest_mimic::Trial;
use netproof_api::Object;
use netproof_controlplane::Change;
use netproof_model::request::{RequestPort, RequestTarget};
use netproof_model::{Family, Observation, Outcome, Place, ProbeStage, Wiring};
use netproof_probe::Patience;
use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

/// A pod with a name server that another thread runs, as the cluster's is: it knows `web.default.svc`
/// (the pod `web`), `both.default.svc` (`web` and `neighbour`), three aliases of that, `broken` (SERVFAIL)
/// and nothing else.
struct Names {
    world: World,
    server: IpAddr,
    family: Family,
}

fn resolver() -> Place {
    Place::pod("default", "resolver")
}

impl Names {
    fn new(family: Family) -> Names {
        let mut world = World::new(Wiring::Routed);
        world.change(Change::Apply(Object::Pod(pod("resolver", "node2", &[]))));
        let server = world.address(&resolver(), family);
        let neighbour = Place::pod("default", "neighbour");
        let [web, neighbour] = [web(), neighbour].map(|place| Record::Address(world.address(&place, family)));
        let zone: Zone = [
            ("web.default.svc", vec![web.clone()]),
            ("both.default.svc", vec![web, neighbour]),
            ("whole.default.svc", vec![Record::Alias("both.default.svc")]),
            ("cname-only.default.svc", vec![Record::Alias("both.default.svc")]),
            ("cname-twice.default.svc", vec![Record::Alias("cname-only.default.svc")]),
        ]
        .map(|(name, records)| (name.to_owned(), records))
        .into();
        let netns = world.cluster.netns(&resolver()).unwrap();
        let socket = netns.enter(|| UdpSocket::bind((server, 53)).unwrap()).unwrap();
        // It ends with the test program; a namespace that it holds goes with it.
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&answer(&buffer[..length], &zone), from);
            }
        });
        Names { world, server, family }
    }

    fn probe(&mut self, name: &str, port: RequestPort) -> Observation {
        let mut request = request(self.server, port);
        let search = vec!["default.svc".to_owned(), "svc".to_owned()];
        request.request.target =
            RequestTarget::Name { name: name.into(), search, server: self.server, addresses: Vec::new() };
        self.world.probe(request)
    }
}

#[derive(Clone)]
enum Record {
    Address(IpAddr),
    Alias(&'static str),
}

type Zone = BTreeMap<String, Vec<Record>>;

/// Answers a query from the zone: with an alias and what it leads to if the name begins with `whole`, with
/// an alias alone for others.
fn answer(query: &[u8], zone: &Zone) -> Vec<u8> {
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    let name = labels.join(".");
    let kind = [query[at + 1], query[at + 2]];
    let mut answer = query[..at + 5].to_vec();
    answer[2] |= 0x84;
    match zone.get(&name) {
        Some(records) => write(&mut answer, &name, kind, records, zone),
        None if name.starts_with("broken") => answer[3] |= 2,
        None => answer[3] |= 3,
    }
    answer
}

fn write(answer: &mut Vec<u8>, name: &str, kind: [u8; 2], records: &[Record], zone: &Zone) {
    for record in records {
        let (of, data) = match record {
            Record::Address(IpAddr::V4(address)) => ([0, 1], address.octets().to_vec()),
            Record::Address(IpAddr::V6(address)) => ([0, 28], address.octets().to_vec()),
            Record::Alias(target) => ([0, 5], spell(target)),
        };
        if of != kind && of != [0, 5] {
            continue;
        }
        answer[7] += 1;
        answer.extend(spell(name));
        answer.extend([of[0], of[1], 0, 1, 0, 0, 0, 5, 0, data.len() as u8]);
        answer.extend(data);
        if let Record::Alias(target) = record
            && name.starts_with("whole")
        {
            write(answer, target, kind, &zone[*target], zone);
        }
    }
}

fn spell(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    name.split('.').map(label).chain([vec![0]]).collect::<Vec<_>>().concat()
}

/// Every address of a name is reported, by whatever path; an alias is followed once.
fn resolved(family: Family) {
    let mut names = Names::new(family);
    let target = names.world.address(&web(), family);
    let neighbour = names.world.address(&Place::pod("default", "neighbour"), family);
    for (name, expected) in [
        ("web", vec![target]),
        ("both", vec![target, neighbour]),
        ("whole", vec![target, neighbour]),
        ("cname-only", vec![target, neighbour]),
    ] {
        for port in [tcp(80), tcp(81), RequestPort::Icmp] {
            let seen = names.probe(name, port);
            assert_eq!(seen.resolved, expected, "{name}: {seen:#?}");
            assert_eq!((seen.destination, seen.waited), (Some(target), Duration::ZERO), "{name}: {seen:#?}");
        }
    }
    for name in ["nobody", "cname-twice"] {
        let seen = names.probe(name, tcp(80));
        assert_eq!((seen.outcome, seen.resolved.len()), (Outcome::NameNotFound, 0), "{name}: {seen:#?}");
    }
    let seen = names.world.probe(request(target, tcp(80)));
    assert!(seen.resolved.is_empty(), "no name server was asked: {seen:#?}");
}

/// A kept connection needs no name server any more, and still has its addresses.
fn kept(family: Family) {
    let mut names = Names::new(family);
    let mut by_name = request(names.server, tcp(80));
    let server = names.server;
    by_name.request.target = RequestTarget::Name {
        name: "both".into(),
        search: vec!["default.svc".into()],
        server,
        addresses: Vec::new(),
    };
    by_name.keep = true;
    let first = names.world.probe(by_name.clone());
    names.world.rules("node1", "forward", "udp dport 53 drop");
    let second = names.world.probe(by_name);
    for seen in [&first, &second] {
        assert_eq!((seen.outcome, seen.resolved.len()), (Outcome::Connected, 2), "{seen:#?}");
        assert_eq!(seen.destination, first.destination);
    }
    assert_ne!(first.token, second.token);
}

fn found(family: Family) {
    let mut names = Names::new(family);
    let target = names.world.address(&web(), family);
    for (name, port, stage) in [
        ("web", tcp(80), ProbeStage::Connect),
        ("web.default.svc.", tcp(80), ProbeStage::Connect),
        ("web.default", http(80), ProbeStage::Answer),
        ("web.default.svc", RequestPort::Icmp, ProbeStage::Connect),
    ] {
        let seen = names.probe(name, port);
        assert_eq!((seen.outcome, seen.stage), (Outcome::Connected, stage), "{name}: {seen:#?}");
        assert_eq!(
            (seen.destination, seen.served_by.as_ref()),
            (Some(target), Some(&web())),
            "{name}: {seen:#?}"
        );
        assert_eq!(seen.waited, Duration::ZERO, "{name}: {seen:#?}");
    }
    let seen = names.probe("web", tcp(81));
    assert_eq!((seen.outcome, seen.stage), (Outcome::Refused, ProbeStage::Connect), "{seen:#?}");
}

fn not_found(family: Family) {
    let mut names = Names::new(family);
    for name in ["nobody", "nobody.example.com."] {
        let seen = names.probe(name, tcp(80));
        assert_eq!((seen.outcome, seen.stage), (Outcome::NameNotFound, ProbeStage::Resolve), "{seen:#?}");
        assert_eq!((seen.destination, seen.waited), (None, Duration::ZERO), "{seen:#?}");
    }
    // The name exists, and has no address of the other family: for this family there is no such name.
    let other = if family == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 };
    let mut request = request(names.server, tcp(80));
    let server = names.server;
    request.request.target = RequestTarget::Name {
        name: "web.default.svc".into(),
        search: Vec::new(),
        server,
        addresses: Vec::new(),
    };
    request.family = other;
    let seen = names.world.probe(request);
    assert_eq!(seen.outcome, Outcome::NameNotFound, "{seen:#?}");
    let seen = names.probe("broken.", tcp(80));
    assert_eq!(seen.outcome, Outcome::NameServerUnreachable, "{seen:#?}");
}

/// Names queried one after the other, in several probes at once: the answer of one arrives while another
/// goes on to its next name.
fn many_at_once() {
    let mut names = Names::new(Family::Ipv4);
    let search: Vec<String> = ["a.test", "b.test", "default.svc", "svc"].map(String::from).into();
    let name = |name: &str, patience| {
        let mut request = request(names.server, tcp(80));
        request.request.target = RequestTarget::Name {
            name: name.into(),
            search: search.clone(),
            server: names.server,
            addresses: Vec::new(),
        };
        request.patience = patience;
        request
    };
    let mut requests = Vec::new();
    for patience in [Patience::Settle, Patience::ForAnswer] {
        requests.extend(["web", "web.default", "nobody", "web.default.svc."].map(|it| name(it, patience)));
    }
    for round in 0..100 {
        for (request, seen) in requests.iter().zip(names.world.prober.probe(&requests).unwrap()) {
            let unknown =
                matches!(&request.request.target, RequestTarget::Name { name, .. } if name == "nobody");
            let expected = if unknown { Outcome::NameNotFound } else { Outcome::Connected };
            assert_eq!(seen.outcome, expected, "round {round}, {request:?}: {seen:#?}");
            assert!(seen.waited < Duration::from_millis(900), "round {round}, {request:?}: {seen:#?}");
        }
    }
}

fn nobody_serves(family: Family) {
    let mut names = Names::new(family);
    names.server = names.world.address(&Place::pod("default", "neighbour"), names.family);
    let seen = names.probe("web", tcp(80));
    assert_eq!(
        (seen.outcome, seen.stage),
        (Outcome::NameServerUnreachable, ProbeStage::Resolve),
        "{seen:#?}"
    );
    assert_eq!(seen.waited, Duration::ZERO, "{seen:#?}");
}

fn denied(family: Family) {
    let mut names = Names::new(family);
    names.world.rules("node1", "forward", "udp dport 53 log prefix \"netproof:5\" group 4790 drop");
    let seen = names.probe("web", tcp(80));
    assert_eq!(
        (seen.outcome, seen.stage),
        (Outcome::NameServerUnreachable, ProbeStage::Resolve),
        "{seen:#?}"
    );
    assert_eq!((seen.logs.len(), seen.waited), (1, Duration::ZERO), "{seen:#?}");
    // The answer is dropped on its way back.
    names.world.run(&Place::node("node1"), &["nft", "flush", "ruleset"], "");
    names.world.rules("node1", "forward", "udp sport 53 log prefix \"netproof:6\" group 4790 drop");
    let seen = names.probe("web", tcp(80));
    assert_eq!(seen.outcome, Outcome::NameServerUnreachable, "{seen:#?}");
    assert_eq!((seen.logs.len(), seen.logs[0].packet.source_port), (1, 53), "{seen:#?}");
    assert!(seen.waited < Duration::from_millis(900), "{seen:#?}");
}

/// The cluster's own DNS, which a thread of the cluster serves.
fn cluster_dns(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let server = world.address(&Place::pod("kube-system", "coredns"), family);
    let internet = Place::external("internet");
    for _ in 0..20 {
        let mut by_name = request(server, tcp(443));
        let search = vec!["default.svc.cluster.local".to_owned(), "svc.cluster.local".to_owned()];
        by_name.request.target =
            RequestTarget::Name { name: "www.example.com".into(), search, server, addresses: Vec::new() };
        let seen = world.probe(by_name);
        assert_eq!(
            (seen.outcome, seen.served_by.as_ref()),
            (Outcome::Connected, Some(&internet)),
            "{seen:#?}"
        );
        assert_eq!(seen.destination, Some(world.address(&internet, family)), "{seen:#?}");
        let seen = world.probe(request(server, dns(53)));
        assert_eq!((seen.outcome, seen.waited), (Outcome::Connected, Duration::ZERO), "{seen:#?}");
    }
}

fn bad() {
    let mut world = World::new(Wiring::Routed);
    let mut request = request("10.96.0.10".parse().unwrap(), tcp(80));
    request.request.source = client();
    request.request.target = RequestTarget::Name {
        name: "a..b".into(),
        search: Vec::new(),
        server: "10.96.0.10".parse().unwrap(),
        addresses: Vec::new(),
    };
    let error = world.prober.probe(&[request]).unwrap_err().to_string();
    assert!(error.contains("\"a..b\" is not a name"), "{error}");
}

pub fn trials() -> Vec<Trial> {
    let mut trials =
        vec![trial("names that DNS cannot carry", bad), trial("many names at once", many_at_once)];
    for family in Family::ALL {
        trials.push(trial(format!("a name is found over {family}"), move || found(family)));
        trials.push(trial(format!("what names lead to over {family}"), move || resolved(family)));
        trials.push(trial_with_rules(format!("a name of a kept connection over {family}"), move || {
            kept(family)
        }));
        trials.push(trial(format!("a name is not found over {family}"), move || not_found(family)));
        trials.push(trial(format!("the cluster's DNS over {family}"), move || cluster_dns(family)));
        trials.push(trial(format!("nobody serves names over {family}"), move || nobody_serves(family)));
        trials.push(trial_with_rules(format!("queries are denied over {family}"), move || denied(family)));
    }
    trials
}
