//! Where the proxy leads packets to a service.

use super::{handle, object, readable, three_pods, with_service};
use crate::kernel_support::dump;
use crate::kernel_support::node::{Fate, Node, PATIENCE, connect, received};
use crate::world::{self, World};
use libtest_mimic::Failed;
use netproof_api::Service;
use netproof_api::core::{ServiceType, TrafficPolicy};
use netproof_cluster::Netns;
use netproof_enforcer::backend::nft::NftServices;
use netproof_enforcer::{Backend, Enforcer, NodeHandle, PolicyEnforcer, Proxy, ProxyOptions, ServiceProxy};
use netproof_model::{Families, Wiring};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

pub fn services_lead_to_endpoints() -> Result<(), Failed> {
    let mut world = three_pods();
    world.apply(&world::service(
        "web",
        "{type: NodePort, clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 8001, targetPort: http, nodePort: 30080}]}",
    ));
    world.apply(&world::service(
        "nobody",
        "{clusterIP: 10.96.0.51, selector: {app: nobody}, ports: [{port: 80}]}",
    ));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = ServiceProxy::open(Backend::Nftables, &handle(&node), ProxyOptions::default())?;
    let mut enforcer = PolicyEnforcer::open(Backend::Nftables, &handle(&node))?;
    proxy.program(&world.snapshot())?;
    enforcer.program(&world.snapshot())?;
    let web = node.listen("default/web", 80);
    let to =
        |from: &str, address: &str, port| connect(node.pod(from), (address.parse().unwrap(), port), &web);
    let saw = |address: std::net::Ipv4Addr| Fate::Connected(address.into());
    let client = node.address("default/client");
    assert_eq!(to("default/client", "10.96.0.50", 8001), saw(client));
    assert_eq!(to("default/client", "10.96.0.50", 8002), Fate::Refused);
    assert_eq!(to("default/client", "10.96.0.51", 80), Fate::Refused);
    assert_eq!(to("default/client", "10.96.0.52", 80), Fate::Dropped);
    // A node port hides the client behind the node.
    let seen = to("default/client", "172.18.0.2", 30080);
    assert!(matches!(seen, Fate::Connected(source) if source != client), "{seen:?}");

    // A pod cannot block itself, not by its own service either.
    world.apply(&world::policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    enforcer.program(&world.snapshot())?;
    assert!(matches!(to("default/web", "10.96.0.50", 8001), Fate::Connected(_)));
    assert_eq!(to("default/client", "10.96.0.50", 8001), Fate::Dropped);

    // The endpoint goes, and the service refuses; policy has no say in it.
    proxy.program(&world.label("pod", "web", "app", Some("other")))?;
    enforcer.program(&world.snapshot())?;
    assert_eq!(to("default/client", "10.96.0.50", 8001), Fate::Refused);
    Ok(())
}

/// Services come, change and go in one proxy; each time another one starts from nothing.
pub fn a_patch_equals_a_fresh_load() -> Result<(), Failed> {
    let mut world = World::new(Families::Dual, Wiring::Routed);
    for pod in 0..4 {
        world.apply(&world::pod(&format!("pod{pod}"), "node1", &format!("app=a{}", pod % 2), "http:80"));
    }
    let spec = |app: &str| {
        format!("{{type: NodePort, selector: {{app: {app}}}, ports: [{{port: 80, targetPort: http}}]}}")
    };
    let states = [
        world.apply(&world::service("first", &spec("a0"))),
        world.apply(&world::service("second", &spec("a1"))),
        // Endpoints that two services have, and one of the services changes or goes.
        world.apply(&world::service("again", &spec("a0"))),
        world.apply(&world::service(
            "again",
            &spec("a0").replace("{type", "{sessionAffinity: ClientIP, type"),
        )),
        world.label("pod", "pod2", "app", Some("a2")),
        world.apply(&world::service("again", &spec("a2"))),
        world.label("pod", "pod2", "app", Some("a0")),
        world.apply(&world::service("again", &spec("a0"))),
        world.delete("service", "again"),
        // A slice that comes before its service, goes to another one, and goes.
        world.apply(&world::slice("given", "later", "10.244.1.77")),
        world.apply(&world::service("later", "{ports: [{port: 80}]}")),
        world.apply(&world::slice("given", "first", "10.244.1.77")),
        world.apply(&world::slice("given", "later", "10.244.1.78")),
        world.delete("service", "later"),
        world.apply(&world::service("later", "{clusterIP: None, ports: [{port: 80}]}")),
        world.delete("endpointslice", "given"),
        world.label("pod", "pod3", "app", Some("a0")),
        world.label("pod", "pod1", "app", Some("a0")),
        world.delete("service", "first"),
        world.label("pod", "pod1", "app", Some("a1")),
        {
            // Two services claim the same address: the first in the order of names has it.
            world.apply(&world::service("third", &spec("a0")));
            with_service(&world.snapshot(), "third", |service| {
                service.external_ips = world.snapshot().services[&object("second")].cluster_ips.clone();
            })
        },
        world.snapshot(),
        world.delete("service", "second"),
    ];
    let netns = Netns::new()?;
    let mut patched = proxy_in(&netns)?;
    for (position, snapshot) in states.iter().enumerate() {
        patched.program(snapshot)?;
        assert_eq!(patched.generation("node1"), Some(snapshot.generation), "state {position}");
        let fresh_netns = Netns::new()?;
        let mut fresh = proxy_in(&fresh_netns)?;
        fresh.program(snapshot)?;
        // Decisions are numbered in the order in which they are needed, which differs.
        let plain = |text: String| {
            ["netproof:", "comment \""].into_iter().fold(text, |text, before| {
                let pieces =
                    text.split(before).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
                pieces.collect::<Vec<_>>().join(before)
            })
        };
        let (got, expected) = (plain(patched.rules("node1").unwrap()), plain(fresh.rules("node1").unwrap()));
        assert_eq!(got, expected, "state {position}");
        let count = |netns| -> Result<usize, Failed> { Ok(dump(netns)?.lines().count()) };
        assert_eq!(count(&netns)?, count(&fresh_netns)?, "state {position}");
    }
    Ok(())
}

pub fn a_client_keeps_its_endpoint() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for name in ["web", "api", "client"] {
        let app = if name == "client" { "client" } else { "web" };
        world.apply(&world::pod(name, "node1", &format!("app={app}"), "http:80"));
    }
    let spec = "{clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 80, targetPort: http}]}";
    world.apply(&world::service("web", spec));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = ServiceProxy::open(Backend::Nftables, &handle(&node), ProxyOptions::default())?;
    let listeners = ["default/web", "default/api"].map(|name| {
        let listener = node.listen(name, 80);
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let address = SocketAddr::from(([10, 96, 0, 50], 80));
    // Which of the two pods answered.
    let chosen = || -> Result<usize, Failed> {
        let stream =
            node.pod("default/client").enter(|| TcpStream::connect_timeout(&address, PATIENCE))??;
        // The client's last packet may still be under way.
        let mut sockets = listeners.each_ref().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN));
        poll(&mut sockets, PollTimeout::try_from(PATIENCE)?)?;
        let accepted = listeners.iter().position(|listener| listener.accept().is_ok());
        drop(stream);
        Ok(accepted.ok_or("nobody accepted")?)
    };
    let both = |tries: usize| (0..tries).map(|_| chosen()).collect::<Result<BTreeSet<_>, _>>();
    proxy.program(&world.snapshot())?;
    assert_eq!(both(40)?.len(), 2, "without affinity both serve");
    let snapshot = with_service(&world.snapshot(), "web", |service| service.session_affinity = Some(60));
    proxy.program(&snapshot)?;
    let first = chosen()?;
    assert_eq!(both(12)?, BTreeSet::from([first]));
    // Other services come: what is remembered stays.
    let mut more = (*snapshot).clone();
    world.apply(&world::service("other", "{selector: {app: client}, ports: [{port: 80}]}"));
    for number in 0..20 {
        let mut other = Service::clone(&world.snapshot().services[&object("other")]);
        other.cluster_ips = vec![IpAddr::from([10, 96, 1, number])];
        more.services.insert(object(&format!("other{number}")), Arc::new(other));
    }
    let more = Arc::new(more);
    proxy.program(&more)?;
    assert!(!proxy.cost("node1").unwrap().side_by_side);
    assert_eq!(both(12)?, BTreeSet::from([first]));

    // So it does where rules are built anew beside the old ones.
    let nodes = handle(&node);
    let backend = Box::new(NftServices::open(&nodes, 4096)?);
    let mut proxy = ServiceProxy::new(backend, &nodes, ProxyOptions::default())?;
    proxy.program(&snapshot)?;
    let first = chosen()?;
    proxy.program(&more)?;
    assert!(proxy.cost("node1").unwrap().side_by_side);
    assert_eq!(both(12)?, BTreeSet::from([first]));
    let lines = dump(&node.netns)?;
    let remembered =
        lines.lines().filter(|line| line.starts_with("element") && line.contains(" affinity-60s/"));
    assert_eq!(remembered.count(), 1);
    Ok(())
}

pub fn datagrams_follow_the_endpoints() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for (name, app) in [("web", "dns"), ("api", "other"), ("client", "client")] {
        world.apply(&world::pod(name, "node1", &format!("app={app}"), "dns:53/UDP"));
    }
    let spec =
        "{clusterIP: 10.96.0.50, selector: {app: dns}, ports: [{port: 53, targetPort: 53, protocol: UDP}]}";
    world.apply(&world::service("dns", spec));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = ServiceProxy::open(Backend::Nftables, &handle(&node), ProxyOptions::default())?;
    proxy.program(&world.snapshot())?;
    let [web, api] = ["default/web", "default/api"].map(|name| node.udp(name, node.address(name), 53));
    let client = node.udp("default/client", node.address("default/client"), 1000);
    let send = || {
        client.send_to(b"hello", "10.96.0.50:53").unwrap();
        [&web, &api].map(received)
    };
    assert_eq!(send(), [true, false]);
    // A second endpoint changes nothing for a flow that has the first.
    proxy.program(&world.label("pod", "api", "app", Some("dns")))?;
    for _ in 0..8 {
        assert_eq!(send(), [true, false]);
    }
    proxy.program(&world.label("pod", "web", "app", Some("other")))?;
    assert_eq!(send(), [false, true]);
    Ok(())
}

pub fn health_checks_are_answered() -> Result<(), Failed> {
    let mut world = three_pods();
    world.apply(&world::service("web", "{selector: {app: web}, ports: [{port: 80, targetPort: http}]}"));
    let balanced = |world: &World| {
        with_service(&world.snapshot(), "web", |service| {
            service.service_type = ServiceType::LoadBalancer;
            service.external_traffic_policy = TrafficPolicy::Local;
            service.health_check_node_port = Some(32000);
        })
    };
    let node = Node::build(&world.snapshot())?;
    let ask = || -> std::io::Result<String> {
        let address = SocketAddr::from(([172, 18, 0, 2], 32000));
        let mut stream =
            node.pod("default/client").enter(|| TcpStream::connect_timeout(&address, PATIENCE))??;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"}\n") {
            match stream.read(&mut buffer)? {
                0 => break,
                length => answer.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(String::from_utf8_lossy(&answer).replace('\r', ""))
    };
    let mut proxy = ServiceProxy::open(Backend::Nftables, &handle(&node), ProxyOptions::default())?;
    proxy.program(&balanced(&world))?;
    let answer = ask()?;
    readable().bind(|| insta::assert_snapshot!("health-check", answer));
    world.label("pod", "web", "app", Some("other"));
    proxy.program(&balanced(&world))?;
    let answer = ask()?;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"localEndpoints\":0"), "{answer}");
    // Nobody asks any more: the port is closed when this returns, and so it is without the proxy.
    proxy.program(&world.snapshot())?;
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.program(&balanced(&world))?;
    assert!(ask().is_ok());
    drop(proxy);
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionRefused);

    // A port that is taken is an error that names it.
    let taken = node.netns.enter(|| TcpListener::bind(("0.0.0.0", 32000)))??;
    let mut proxy = ServiceProxy::open(Backend::Nftables, &handle(&node), ProxyOptions::default())?;
    let error = proxy.program(&balanced(&world)).unwrap_err().to_string();
    assert!(
        error.starts_with("node node1: cannot serve healthCheckNodePort 32000 of service/default/web"),
        "{error}"
    );
    drop(taken);
    proxy.program(&balanced(&world))?;
    assert!(ask().is_ok());
    Ok(())
}

fn proxy_in(netns: &Netns) -> Result<ServiceProxy, Failed> {
    let handle = NodeHandle { name: "node1".into(), netns: netns.as_fd() };
    Ok(ServiceProxy::open(Backend::Nftables, &[handle], ProxyOptions::default())?)
}
