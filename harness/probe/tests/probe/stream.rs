//! Streams of probes while a test's thread changes the rules that they meet, or the stacks.

use crate::world::{World, client, pod, request, tcp, udp, web};
use crate::{trial, trial_with_rules};
use libtest_mimic::Trial;
use netproof_api::Object;
use netproof_controlplane::{Change, ObjectRef};
use netproof_model::{Family, Outcome, Place, Wiring};
use netproof_probe::{Probe, Streamed, Streaming, Turn, sites};

/// Runs this many rounds, with an action before each, and keeps the results.
struct Rounds<F> {
    left: usize,
    before: F,
    done: Vec<Streamed>,
}

impl<F: FnMut(usize, &[Streamed]) -> Turn> Streaming for Rounds<F> {
    fn turn(&mut self) -> Turn {
        if self.left == 0 {
            return Turn::Stop;
        }
        self.left -= 1;
        (self.before)(self.left, &self.done)
    }

    fn done(&mut self, probe: Streamed) {
        assert!(probe.sent <= probe.decided);
        self.done.push(probe);
    }
}

/// The outcomes of each request's probes.
fn stream(
    world: &mut World,
    requests: &[Probe],
    rounds: usize,
    before: impl FnMut(usize, &[Streamed]) -> Turn,
) -> Vec<Vec<Outcome>> {
    let mut streaming = Rounds { left: rounds, before, done: Vec::new() };
    world.prober.stream(requests, &mut streaming).unwrap();
    let of = |request| {
        let own = streaming.done.iter().filter(move |probe| probe.request == request);
        own.map(|probe| probe.observation.outcome).collect()
    };
    (0..requests.len()).map(of).collect()
}

fn every_probe_is_handed_over(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let address = world.address(&web(), family);
    let keep = |port| Probe { keep: true, ..request(address, port) };
    let requests = [request(address, tcp(80)), request(address, udp(80)), keep(tcp(80)), keep(udp(80))];
    for outcomes in stream(&mut world, &requests, 300, |_, _| Turn::Go) {
        assert_eq!(outcomes, vec![Outcome::Connected; 300]);
    }
    assert!(stream(&mut world, &requests, 0, |_, _| Turn::Go).iter().all(Vec::is_empty));
    assert_eq!(world.probe(keep(tcp(80))).outcome, Outcome::Connected, "a batch goes on with what is kept");
}

/// A probe without evidence is decided when its own time is up, and delays no other.
fn silence_holds_up_nobody(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let address = world.address(&web(), family);
    world.rules("node2", "forward", "udp dport 80 drop");
    let requests = [request(address, udp(80)), request(address, tcp(80))];
    let outcomes = stream(&mut world, &requests, 1200, |_, _| Turn::Go);
    assert!(outcomes[0].len() > 600, "{}", outcomes[0].len());
    assert!(outcomes[0].iter().all(|outcome| *outcome == Outcome::Dropped));
    assert!(outcomes[1].iter().all(|outcome| *outcome == Outcome::Connected));
}

/// A lost message counts as lost, even though TCP would retransmit it.
fn a_loss_is_not_mended(family: Family) {
    let mut world = World::new(Wiring::Routed);
    world.track("node1");
    let address = world.address(&web(), family);
    let requests = [Probe { keep: true, ..request(address, tcp(80)) }];
    let node = std::sync::Arc::clone(world.cluster.netns(&Place::node("node1")).unwrap());
    let nft = move |text: &str| {
        let done = || std::process::Command::new("nft").arg(text).status().unwrap().success();
        assert!(node.enter(done).unwrap(), "{text}");
    };
    let mut blocked = false;
    let mut mended = None;
    // The rounds limit a test that goes wrong.
    let [outcomes] = &stream(&mut world, &requests, 60_000, |_, done| {
        let lost = done.iter().any(|probe| probe.observation.outcome != Outcome::Connected);
        match mended {
            None if !blocked && done.len() == 10 => {
                nft("add table inet test; add chain inet test f { type filter hook forward priority 0; }; \
                     add rule inet test f tcp flags & psh == psh drop");
                blocked = true;
            }
            None if lost => {
                nft("delete table inet test");
                mended = Some(done.len());
            }
            Some(count) if done.len() > count + 50 => return Turn::Stop,
            _ => {}
        }
        Turn::Go
    })[..] else {
        panic!("one request");
    };
    let strange: Vec<_> = outcomes.iter().filter(|outcome| **outcome != Outcome::Connected).collect();
    assert!(!strange.is_empty());
    assert!(
        strange.iter().all(|outcome| matches!(outcome, Outcome::Dropped | Outcome::NoAnswer)),
        "{strange:?}"
    );
    assert_eq!(outcomes.last(), Some(&Outcome::Connected));
}

/// Stacks that are added meanwhile are watched, and their listeners answer.
fn a_stack_comes(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let snapshot = world.control_plane.apply(&[Change::Apply(Object::Pod(pod(
        "late",
        "node2",
        &[(80, netproof_api::core::TransportProtocol::Tcp)],
    )))]);
    let snapshot = snapshot.unwrap();
    let place = Place::pod("default", "late");
    let address = snapshot.address_of(&place, family).unwrap();
    let requests = [request(address, tcp(80))];
    let World { cluster, prober, .. } = &mut world;
    let mut streaming = Rounds {
        left: 40,
        before: |left, _: &[Streamed]| match left {
            20 => {
                cluster.prepare(&snapshot).unwrap();
                let families = snapshot.topology.family.list().to_vec();
                Turn::Attach { sites: sites(cluster, &snapshot), families }
            }
            19 => {
                cluster.update(&snapshot).unwrap();
                Turn::Go
            }
            _ => Turn::Go,
        },
        done: Vec::new(),
    };
    prober.stream(&requests, &mut streaming).unwrap();
    let mut done = streaming.done;
    done.sort_by_key(|probe| probe.sent);
    let connected: Vec<bool> =
        done.iter().map(|probe| probe.observation.outcome == Outcome::Connected).collect();
    assert_eq!(connected, [vec![false; 20], vec![true; 20]].concat());
    assert!(done[20..].iter().all(|probe| probe.observation.served_by.as_ref() == Some(&place)));
    let gone = ObjectRef::new("pod", Some("default"), "late");
    world.change(Change::Delete(gone));
    assert_ne!(world.probe(requests[0].clone()).outcome, Outcome::Connected, "{}", client());
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for family in Family::ALL {
        let named = |what: &str| format!("stream: {what} over {family}");
        trials.push(trial(named("every probe is handed over"), move || every_probe_is_handed_over(family)));
        trials.push(trial(named("a stack comes"), move || a_stack_comes(family)));
        trials.push(trial_with_rules(named("silence holds up nobody"), move || {
            silence_holds_up_nobody(family);
        }));
        trials.push(trial_with_rules(named("a loss is not mended"), move || a_loss_is_not_mended(family)));
    }
    trials
}
