//! Packets about which a program decides, some time after they were sent.

use crate::queue::{Fate, Judge, QUEUE};
use crate::world::{World, client, http, request, sctp, tcp, udp, web};
use libtest_mimic::Trial;
use netproof_cluster::Netns;
use netproof_model::request::RequestPort;
use netproof_model::{DataPath, Family, Observation, Outcome, Place, Wiring};
use netproof_probe::{Patience, Probe, Streamed, Streaming, Turn};
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Shorter than any wait, longer than `connect`.
const SOON: Duration = Duration::from_millis(3);
/// Longer than the wait for an expected denial.
const LATE: Duration = Duration::from_millis(80);

/// A world in which a program on each node decides about every packet that is forwarded: on node1, where the client is,
/// as it is said, on node2 like it or at once.
fn world(data_path: DataPath, fate: Fate) -> (World, Vec<Judge>) {
    let world = World::with(Wiring::Routed, Arc::default(), data_path);
    let there = if let Fate::Pass(_) = fate { fate } else { Fate::Pass(Duration::ZERO) };
    let judge = |(node, fate): (&str, Fate)| {
        let place = Place::node(node);
        for program in PROGRAMS {
            let queue = QUEUE.to_string();
            world.run(&place, &[program, "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", &queue], "");
        }
        Judge::new(world.cluster.netns(&place).unwrap(), fate)
    };
    let judges = [("node1", fate), ("node2", there)].map(judge).into();
    (world, judges)
}

const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];

/// Whether a rule of this machine's iptables can hand packets to a program.
fn can_queue() -> bool {
    let load = |program: &&str| {
        let mut command = Command::new(program);
        command.args(["-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "1"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    Netns::new().unwrap().enter(|| PROGRAMS.iter().all(load)).unwrap()
}

/// Every protocol, and whether somebody serves the port.
fn requests(world: &World, family: Family, patience: Patience) -> Vec<(Probe, bool)> {
    let address = world.address(&web(), family);
    let ports: [(RequestPort, bool); 8] = [
        (tcp(80), true),
        (http(80), true),
        (udp(80), true),
        (sctp(80), true),
        (RequestPort::Icmp, true),
        (tcp(81), false),
        (udp(81), false),
        (sctp(81), false),
    ];
    let probe = |(port, serves)| (Probe { patience, ..request(address, port) }, serves);
    ports.into_iter().map(probe).collect()
}

fn is_answered(seen: &Observation, serves: bool) {
    let outcome = if serves { Outcome::Connected } else { Outcome::Refused };
    let who = (seen.outcome, seen.served_by.as_ref(), seen.sightings.len());
    assert_eq!(who, (outcome, Some(&web()), 1), "{seen:#?}");
}

/// Whoever answers has been seen, however long after `connect` the packet came.
fn later(data_path: DataPath, time: Duration, patience: Patience, family: Family) {
    let (mut world, _judges) = world(data_path, Fate::Pass(time));
    for _ in 0..3 {
        let (probes, serves): (Vec<Probe>, Vec<bool>) =
            requests(&world, family, patience).into_iter().cycle().take(40).unzip();
        let seen = world.prober.probe(&probes).unwrap();
        seen.iter().zip(serves).for_each(|(seen, serves)| is_answered(seen, serves));
    }
}

fn denied() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::LoseFirst(usize::MAX));
    for (probe, _) in requests(&world, Family::Ipv4, Patience::Settle) {
        let seen = world.probe(probe);
        assert_eq!((seen.outcome, seen.sightings.len()), (Outcome::Dropped, 0), "{seen:#?}");
        assert!(seen.waited < Duration::from_secs(1), "{seen:#?}");
    }
}

/// A program may lose a packet, and the one that is sent in its place: here the two first ones of each protocol.
fn lost_twice() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::LoseFirst(8));
    let address = world.address(&web(), Family::Ipv4);
    let probe = |port| Probe { patience: Patience::ForAnswer, ..request(address, port) };
    let seen = world.prober.probe(&[tcp(80), udp(80), sctp(80), RequestPort::Icmp].map(probe)).unwrap();
    seen.iter().for_each(|seen| is_answered(seen, true));
}

fn undecided() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::Hold);
    let address = world.address(&web(), Family::Ipv4);
    let error = world.prober.probe(&[request(address, udp(80))]).unwrap_err();
    let expected = "packets wait in node/node1 for the enforcer's decision after 5 s: 1 of them; it hangs, or is too \
                    slow for so many at once";
    assert_eq!(error.to_string(), expected);
}

/// What a program never got was lost, and what it drops was not.
fn lost_on_the_way_to_it() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::LoseFirst(usize::MAX));
    let send = |world: &World, datagrams: usize| {
        let address = world.address(&web(), Family::Ipv4);
        let send = || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            for _ in 0..datagrams {
                socket.send_to(b"flood", (address, 80)).unwrap();
            }
        };
        world.cluster.netns(&client()).unwrap().enter(send).unwrap();
    };
    send(&world, 20);
    world.cluster.full_health().unwrap();
    let (mut world, _judges) = self::world(DataPath::UserSpace, Fate::Hold);
    send(&world, 2000);
    let error = world.cluster.health().unwrap_err().to_string();
    assert!(error.contains("NFQUEUE") && error.contains("in node/node1"), "{error}");
}

fn kept(port: RequestPort) {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::Pass(SOON));
    let address = world.address(&web(), Family::Ipv4);
    for _ in 0..5 {
        let seen = world.probe(Probe { keep: true, ..request(address, port) });
        is_answered(&seen, true);
    }
}

struct Rounds {
    left: usize,
    done: Vec<Streamed>,
}

impl Streaming for Rounds {
    fn turn(&mut self) -> Turn {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { Turn::Stop } else { Turn::Go }
    }

    fn done(&mut self, probe: Streamed) {
        self.done.push(probe);
    }
}

fn streamed() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::Pass(SOON));
    let probes = requests(&world, Family::Ipv4, Patience::Settle);
    let (probes, serves): (Vec<Probe>, Vec<bool>) = probes.into_iter().unzip();
    let mut rounds = Rounds { left: 2000, done: Vec::new() };
    world.prober.stream(&probes, &mut rounds).unwrap();
    rounds.done.iter().for_each(|probe| is_answered(&probe.observation, serves[probe.request]));
    assert!(rounds.done.len() > 1000, "{}", rounds.done.len());
}

fn traced() {
    let (mut world, _judges) = world(DataPath::UserSpace, Fate::Pass(SOON));
    let address = world.address(&web(), Family::Ipv4);
    let World { prober, cluster, .. } = &mut world;
    let seen = prober.trace(cluster, |prober| prober.probe(&[request(address, tcp(80))])).unwrap();
    let path: Vec<String> = seen[0].sightings.iter().map(|it| it.place.to_string()).collect();
    assert_eq!(path, ["node/node1", "router", "node/node2", "pod/default/web"]);
    assert_eq!(seen[0].served_by, Some(web()));
}

/// `is_list` is whether the tests are only listed, so that nothing may be tried.
pub fn trials(is_list: bool) -> Vec<Trial> {
    let missing = !is_list && !can_queue();
    let trial = |name: String, test: Box<dyn FnOnce() + Send>| {
        crate::trial(format!("slow::{name}"), test)
            .with_kind(if missing { "skipped: no iptables that hands packets to programs" } else { "" })
            .with_ignored_flag(missing)
    };
    let mut trials = vec![
        trial("what_a_program_drops_is_dropped".into(), Box::new(denied)),
        trial("a_program_that_does_not_decide_is_an_error".into(), Box::new(undecided)),
        trial("a_request_is_sent_three_times".into(), Box::new(lost_twice)),
        trial("what_a_program_never_got_is_lost".into(), Box::new(lost_on_the_way_to_it)),
        trial("streams".into(), Box::new(streamed)),
        trial("traces".into(), Box::new(traced)),
    ];
    for family in Family::ALL {
        for patience in [Patience::Settle, Patience::ForAnswer] {
            for (name, data_path, time) in [
                ("soon", DataPath::UserSpace, SOON),
                ("late", DataPath::UserSpace, LATE),
                ("soon_and_unannounced", DataPath::Kernel, SOON),
            ] {
                let test = move || later(data_path, time, patience, family);
                trials.push(trial(
                    format!("whoever_answers_was_seen::{name}::{patience:?}::{family}"),
                    Box::new(test),
                ));
            }
        }
    }
    for (name, port) in [("tcp", tcp(80)), ("udp", udp(80))] {
        trials.push(trial(format!("kept_connections::{name}"), Box::new(move || kept(port))));
    }
    trials
}
