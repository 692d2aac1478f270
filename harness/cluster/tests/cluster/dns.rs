//! The cluster's DNS, asked from a pod.

use crate::trial;
use crate::world::{World, external, metadata, pod, topology};
use hickory_server::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_server::proto::rr::{Name, RData, RecordType};
use libtest_mimic::Trial;
use netproof_api::core::{AddressType, ServiceType};
use netproof_api::{Endpoint, EndpointSlice, Object, Service, ServicePort};
use netproof_cluster::Cluster;
use netproof_controlplane::{Change, SERVICE_NAME_LABEL};
use netproof_model::{Families, Family, NamespacedName, Place, Wiring};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("dns::names_are_answered_over_udp_and_tcp", names),
        trial("dns::records_follow_the_snapshot", follow),
        trial("dns::the_server_moves_with_its_pod", moves),
        trial("dns::external_names_are_aliases", aliases),
        trial("dns::endpoints_that_are_not_ready_may_be_published", not_ready),
    ]
}

const PATIENCE: Duration = Duration::from_secs(5);

fn server(world: &World, family: Family) -> IpAddr {
    world.snapshot().address_of(&coredns(), family).unwrap()
}

fn coredns() -> Place {
    Place::Pod(NamespacedName::new("kube-system", "coredns"))
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn over_udp(cluster: &Cluster, server: IpAddr, question: &[u8]) -> Message {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = cluster.netns(&pod("a")).unwrap().enter(|| UdpSocket::bind((any, 0)).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect((server, 53)).unwrap();
    socket.send(question).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

fn over_tcp(cluster: &Cluster, server: IpAddr, question: &[u8]) -> Message {
    let connect = || TcpStream::connect_timeout(&(server, 53).into(), PATIENCE).unwrap();
    let mut stream = cluster.netns(&pod("a")).unwrap().enter(connect).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&(question.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    Message::from_vec(&answer).unwrap()
}

/// The code, and the addresses; an answer without any has the SOA.
fn ask(cluster: &Cluster, server: IpAddr, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    let question = question(name, kind);
    let [udp, tcp] = [over_udp(cluster, server, &question), over_tcp(cluster, server, &question)];
    assert_eq!(udp.answers, tcp.answers);
    assert_eq!(udp.id, 4711);
    assert!(udp.authoritative);
    let soa = udp.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
    assert_eq!(soa, udp.answers.is_empty());
    let addresses = udp.answers.iter().map(|record| match &record.data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        other => panic!("{other}"),
    });
    (udp.response_code, addresses.collect())
}

fn service(name: &str, headless: bool) -> Change {
    let port = ServicePort {
        name: None,
        protocol: Default::default(),
        port: 80,
        target_port: netproof_api::core::IntOrString::Int(80),
        node_port: None,
    };
    Change::Apply(Object::Service(Service {
        metadata: metadata(name),
        service_type: ServiceType::default(),
        ports: vec![port],
        headless,
        ..Service::default()
    }))
}

fn endpoints(service: &str, ready: bool) -> Change {
    let mut metadata = metadata(&format!("{service}-1"));
    metadata.labels.insert(SERVICE_NAME_LABEL.into(), service.into());
    let endpoint = |address: &str, ready| Endpoint {
        addresses: vec![address.parse().unwrap()],
        ready,
        serving: ready,
        terminating: false,
        node_name: None,
        hostname: ready.then(|| "first".to_owned()),
        zone: None,
        hints: None,
        pod: None,
    };
    Change::Apply(Object::EndpointSlice(EndpointSlice {
        metadata,
        address_type: AddressType::IPv4,
        endpoints: vec![endpoint("10.9.8.7", ready), endpoint("10.9.8.6", false)],
        ports: Vec::new(),
    }))
}

fn names() {
    let mut world = World::new(topology(2, Wiring::Routed, Families::Dual));
    world.pod("a", "node2");
    world.change(service("web", false));
    world.change(service("hidden", true));
    let snapshot = world.change(endpoints("hidden", true));
    let cluster = Cluster::build(&snapshot).unwrap();
    let ips = &snapshot.services[&NamespacedName::new("default", "web")].cluster_ips;
    let (web4, web6) = (ips[0].to_string(), ips[1].to_string());
    let web = "web.default.svc.cluster.local.";
    use RecordType::{A, AAAA, TXT};
    use ResponseCode::{NXDomain, NoError};
    let cases: Vec<(&str, RecordType, ResponseCode, Vec<&str>)> = vec![
        (web, A, NoError, vec![&web4]),
        (web, AAAA, NoError, vec![&web6]),
        ("WEB.Default.svc.CLUSTER.local.", A, NoError, vec![&web4]),
        (web, TXT, NoError, vec![]),
        ("hidden.default.svc.cluster.local.", A, NoError, vec!["10.9.8.7"]),
        ("hidden.default.svc.cluster.local.", AAAA, NoError, vec![]),
        ("first.hidden.default.svc.cluster.local.", A, NoError, vec!["10.9.8.7"]),
        ("second.hidden.default.svc.cluster.local.", A, NXDomain, vec![]),
        ("first.web.default.svc.cluster.local.", A, NXDomain, vec![]),
        ("kube-dns.kube-system.svc.cluster.local.", A, NoError, vec!["10.96.0.10"]),
        ("internet.example.com.", A, NoError, vec!["203.0.113.10"]),
        ("internet.example.com.", AAAA, NoError, vec!["2001:db8:203::10"]),
        ("default.svc.cluster.local.", A, NoError, vec![]),
        ("nobody.default.svc.cluster.local.", A, NXDomain, vec![]),
        ("web.", A, NXDomain, vec![]),
        ("www.example.com.", A, NXDomain, vec![]),
    ];
    for family in Family::ALL {
        for (name, kind, code, addresses) in &cases {
            let (got, found) = ask(&cluster, server(&world, family), name, *kind);
            assert_eq!(
                (got, found.iter().map(String::as_str).collect()),
                (*code, addresses.clone()),
                "{name} {kind}"
            );
        }
    }
    // Not a question at all: an answer that says so, or none, and the server goes on.
    let mut update = question(web, A);
    update[2] |= 5 << 3;
    assert_eq!(over_udp(&cluster, server(&world, Family::Ipv4), &update).response_code, ResponseCode::NotImp);
}

fn follow() {
    let mut world = World::new(topology(1, Wiring::Bridge, Families::Ipv4));
    world.change(service("hidden", true));
    let mut cluster = Cluster::build(&world.pod("a", "node1")).unwrap();
    let at = server(&world, Family::Ipv4);
    let name = "hidden.default.svc.cluster.local.";
    assert_eq!(ask(&cluster, at, name, RecordType::A).0, ResponseCode::NXDomain, "nobody is ready");
    cluster.update(&world.change(endpoints("hidden", true))).unwrap();
    assert_eq!(ask(&cluster, at, name, RecordType::A).1, ["10.9.8.7"]);
    cluster.update(&world.change(endpoints("hidden", false))).unwrap();
    assert_eq!(ask(&cluster, at, name, RecordType::A).0, ResponseCode::NXDomain);
    assert_eq!(ask(&cluster, at, "x.example.com.", RecordType::A).0, ResponseCode::NXDomain);
    cluster.update(&world.change(Change::ApplyExternal(external("x", &["192.0.2.7"])))).unwrap();
    assert_eq!(ask(&cluster, at, "x.example.com.", RecordType::A).1, ["192.0.2.7"]);
}

fn aliases() {
    let mut world = World::new(topology(1, Wiring::Routed, Families::Dual));
    world.pod("a", "node1");
    world.change(service("web", false));
    let alias = |name: &str, target: &str| {
        Change::Apply(Object::Service(Service {
            metadata: metadata(name),
            service_type: ServiceType::ExternalName,
            external_name: Some(target.into()),
            ..Service::default()
        }))
    };
    for (name, target) in [
        ("out", "Internet.example.com."),
        ("in", "web.default.svc.cluster.local"),
        ("twice", "out.default.svc.cluster.local"),
        ("nowhere", "nobody.example.com"),
        ("circle", "circle.default.svc.cluster.local"),
    ] {
        world.change(alias(name, target));
    }
    let cluster = Cluster::build(&world.snapshot()).unwrap();
    let web = world.snapshot().services[&NamespacedName::new("default", "web")].cluster_ips[0].to_string();
    use RecordType::{A, AAAA, CNAME, TXT};
    use ResponseCode::{NXDomain, NoError};
    let own = |name: &str| format!("{name}.default.svc.cluster.local.");
    let (out, outside) = (own("out"), "internet.example.com.".to_owned());
    for (name, kind, code, records) in [
        ("out", A, NoError, vec![&*outside, "203.0.113.10"]),
        ("out", AAAA, NoError, vec![&*outside, "2001:db8:203::10"]),
        ("out", CNAME, NoError, vec![&*outside]),
        ("out", TXT, NoError, vec![&*outside]),
        ("in", A, NoError, vec![&*own("web"), &*web]),
        ("twice", A, NoError, vec![&*out, &*outside, "203.0.113.10"]),
        ("twice", CNAME, NoError, vec![&*out]),
        ("nowhere", A, NXDomain, vec!["nobody.example.com."]),
        ("circle", A, NoError, vec![&*own("circle"); 8]),
        ("web", CNAME, NoError, vec![]),
    ] {
        let answer = over_udp(&cluster, server(&world, Family::Ipv4), &question(&own(name), kind));
        let found: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(
            (answer.response_code, found),
            (code, records.iter().map(|it| (*it).into()).collect()),
            "{name} {kind}"
        );
        let owners = answer.answers.iter().map(|record| record.name.to_string());
        let expected = std::iter::once(own(name)).chain(found_names(&records));
        assert_eq!(
            owners.collect::<Vec<_>>(),
            expected.take(records.len()).collect::<Vec<_>>(),
            "{name} {kind}"
        );
    }
}

/// The names among records: what the next record belongs to.
fn found_names(records: &[&str]) -> Vec<String> {
    records.iter().filter(|record| record.ends_with('.')).map(|record| (*record).into()).collect()
}

fn not_ready() {
    let mut world = World::new(topology(1, Wiring::Routed, Families::Ipv4));
    world.pod("a", "node1");
    world.change(endpoints("hidden", true));
    let Change::Apply(Object::Service(hidden)) = service("hidden", true) else { unreachable!() };
    let published = Service { publish_not_ready_addresses: true, ..hidden };
    let cluster = Cluster::build(&world.change(Change::Apply(Object::Service(published)))).unwrap();
    let name = "hidden.default.svc.cluster.local.";
    let (_, addresses) = ask(&cluster, server(&world, Family::Ipv4), name, RecordType::A);
    assert_eq!(addresses, ["10.9.8.6", "10.9.8.7"]);
}

fn moves() {
    let mut world = World::new(topology(2, Wiring::Routed, Families::Ipv4));
    let mut cluster = Cluster::build(&world.pod("a", "node2")).unwrap();
    let before = server(&world, Family::Ipv4);
    let mut dns = (*world.snapshot().pods[&NamespacedName::new("kube-system", "coredns")]).clone();
    let gone = netproof_controlplane::ObjectRef::new("pod", Some("kube-system"), "coredns");
    cluster.update(&world.change(Change::Delete(gone))).unwrap();
    assert!(cluster.netns(&coredns()).is_none());
    dns.node_name = Some("node2".into());
    dns.pod_ips = Vec::new();
    cluster.update(&world.change(Change::Apply(Object::Pod(dns)))).unwrap();
    let after = server(&world, Family::Ipv4);
    assert_ne!(before, after);
    assert_eq!(ask(&cluster, after, "internet.example.com.", RecordType::A).1, ["203.0.113.10"]);
}
