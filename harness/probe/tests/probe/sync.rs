//! Listeners and witnesses follow the cluster, and impossible requests are errors.

use crate::trial;
use crate::world::{World, client, name, pod, request, sctp, tcp, udp, web};
use libtest_mimic::Trial;
use netproof_api::Object;
use netproof_api::core::TransportProtocol;
use netproof_controlplane::{Change, ObjectRef};
use netproof_model::flow::FlowProtocol;
use netproof_model::request::RequestPort;
use netproof_model::topology::ListenPort;
use netproof_model::{Family, Outcome, Place, Protocol, Wiring};

fn listeners_follow(wiring: Wiring) {
    let mut world = World::new(wiring);
    let target = world.address(&web(), Family::Ipv4);
    let try_port = |world: &mut World, port| world.probe(request(target, tcp(port))).outcome;
    assert_eq!(try_port(&mut world, 80), Outcome::Connected);
    let ports = vec![ListenPort { port: 9999, protocol: Protocol::Tcp }];
    world.change(Change::Listen { pod: name("web"), ports });
    assert_eq!(try_port(&mut world, 80), Outcome::Refused);
    assert_eq!(try_port(&mut world, 9999), Outcome::Connected);

    world.change(Change::Apply(Object::Pod(pod("late", "node2", &[(70, TransportProtocol::Udp)]))));
    let late = world.address(&Place::pod("default", "late"), Family::Ipv6);
    assert_eq!(world.probe(request(late, udp(70))).outcome, Outcome::Connected);
    world.change(Change::Delete(ObjectRef::new("pod", Some("default"), "late")));
    assert_ne!(world.probe(request(late, udp(70))).outcome, Outcome::Connected);

    let try_sctp = |world: &mut World, port| world.probe(request(target, sctp(port))).outcome;
    assert_eq!(try_sctp(&mut world, 80), Outcome::Refused, "it listens on 9999/tcp only by now");
    let ports = vec![ListenPort { port: 80, protocol: Protocol::Sctp }];
    world.change(Change::Listen { pod: name("web"), ports });
    assert_eq!(try_sctp(&mut world, 80), Outcome::Connected);

    let outside = world.address(&Place::external("internet"), Family::Ipv4);
    let seen = world.probe(request(outside, tcp(443)));
    assert_eq!((seen.outcome, seen.served_by), (Outcome::Connected, Some(Place::external("internet"))));
}

fn pod_to_itself_and_its_neighbour(wiring: Wiring) {
    let mut world = World::new(wiring);
    for family in Family::ALL {
        let target = world.address(&web(), family);
        let mut own = request(target, tcp(80));
        own.request.source = web();
        let seen = world.probe(own);
        assert_eq!((seen.outcome, seen.served_by), (Outcome::Connected, Some(web())));
        let neighbour = Place::pod("default", "neighbour");
        let seen = world.probe(request(world.address(&neighbour, family), tcp(80)));
        assert_eq!((seen.outcome, seen.served_by), (Outcome::Connected, Some(neighbour)));
    }
}

fn errors() {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), Family::Ipv4);
    let mut message = |change: fn(&mut netproof_probe::Probe)| {
        let mut request = request(target, tcp(80));
        change(&mut request);
        world.prober.probe(&[request]).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        message(|request| request.request.source = Place::pod("default", "nobody")),
        @"there is no pod/default/nobody to send from; call sync after the cluster has changed"
    );
    insta::assert_snapshot!(
        message(|request| request.family = Family::Ipv6),
        @"a probe of ipv6 cannot be addressed to 10.244.2.2; use an address of that family"
    );
    insta::assert_snapshot!(
        message(|request| {
            request.keep = true;
            request.request.port = RequestPort::Icmp;
        }),
        @"a probe of icmp has no connection that could be kept; keep those of TCP and UDP"
    );
    insta::assert_snapshot!(
        message(|request| {
            request.keep = true;
            request.request.port = RequestPort::Port { port: 80, protocol: FlowProtocol::Http };
        }),
        @"a probe of http has no connection that could be kept; keep those of TCP and UDP"
    );
    // And it still works.
    assert_eq!(world.probe(request(target, tcp(80))).outcome, Outcome::Connected);
    assert_eq!(world.prober.probe(&[]).unwrap(), []);
}

/// A prober gives every packet a token of its own, the same ones for the same seed.
fn tokens() {
    let take = || {
        let mut world = World::new(Wiring::Routed);
        let target = world.address(&web(), Family::Ipv4);
        let mut again = request(target, tcp(80));
        again.request.source = client();
        world.prober.probe(&[again.clone(), again]).unwrap().iter().map(|seen| seen.token).collect::<Vec<_>>()
    };
    let first = take();
    assert_ne!(first[0], first[1]);
    assert_eq!(first, take());
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("requests that cannot be made", errors), trial("tokens", tokens)];
    for wiring in Wiring::ALL {
        trials
            .push(trial(format!("listeners follow the cluster, {wiring}"), move || listeners_follow(wiring)));
        trials.push(trial(format!("a pod to itself and its neighbour, {wiring}"), move || {
            pod_to_itself_and_its_neighbour(wiring);
        }));
    }
    trials
}
