//! Thousands of probes with every processor busy give exact outcomes.

use crate::trial_with_rules;
use crate::world::{World, http, request, sctp, tcp, udp, web};
use libtest_mimic::Trial;
use netproof_model::request::RequestPort;
use netproof_model::{Family, Outcome, Place, Rejection, Wiring};
use netproof_probe::Probe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PROBES: usize = 4000;

fn exact() {
    let mut world = World::new(Wiring::Routed);
    world.rules(
        "node1",
        "forward",
        "th dport 1000 log prefix \"netproof:3\" group 4790 drop\n\
         th dport 1001 log prefix \"netproof:5\" group 4790 reject\n\
         tcp dport 1002 log prefix \"netproof:7\" group 4790 reject with tcp reset\n\
         tcp dport 1003 drop",
    );
    let targets = Family::ALL.map(|family| world.address(&web(), family));
    let kinds = [
        (tcp(80), Outcome::Connected, 0),
        (udp(80), Outcome::Connected, 0),
        (http(80), Outcome::Connected, 0),
        (sctp(80), Outcome::Connected, 0),
        (RequestPort::Icmp, Outcome::Connected, 0),
        (tcp(81), Outcome::Refused, 0),
        (udp(81), Outcome::Refused, 0),
        (sctp(81), Outcome::Refused, 0),
        (tcp(1000), Outcome::Dropped, 3),
        (udp(1000), Outcome::Dropped, 3),
        (sctp(1000), Outcome::Dropped, 3),
        (tcp(1001), Outcome::Rejected(Rejection::PortUnreachable), 5),
        (udp(1001), Outcome::Rejected(Rejection::PortUnreachable), 5),
        (sctp(1001), Outcome::Rejected(Rejection::PortUnreachable), 5),
        (tcp(1002), Outcome::Rejected(Rejection::TcpReset), 7),
        (tcp(1003), Outcome::Dropped, 0),
    ];
    let plan: Vec<(Probe, Outcome, u32)> = (0..PROBES)
        .map(|i| {
            let (port, outcome, number) = kinds[i % kinds.len()];
            let mut request = request(targets[i / kinds.len() % 2], port);
            if i % 5 == 0 {
                request.request.source = Place::pod("default", "neighbour");
            }
            (request, outcome, number)
        })
        .collect();
    let requests: Vec<Probe> = plan.iter().map(|(request, ..)| request.clone()).collect();

    let busy = Arc::new(AtomicBool::new(true));
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let loops: Vec<_> = (0..2 * processors)
        .map(|_| {
            let busy = Arc::clone(&busy);
            std::thread::spawn(move || {
                while busy.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let observations = world.prober.probe(&requests);
    busy.store(false, Ordering::Relaxed);
    loops.into_iter().for_each(|thread| thread.join().unwrap());
    let observations = observations.unwrap();

    assert_eq!(observations.len(), PROBES);
    for (i, (seen, (request, expected, number))) in observations.iter().zip(&plan).enumerate() {
        assert_eq!(seen.outcome, *expected, "probe {i}, {request:?}: {seen:#?}");
        assert!(seen.logs.iter().all(|log| log.number == *number), "probe {i}, {request:?}: {seen:#?}");
        assert_eq!(seen.logs.len(), usize::from(*number != 0), "probe {i}, {request:?}: {seen:#?}");
        assert_eq!(seen.sightings.is_empty(), !matches!(expected, Outcome::Connected | Outcome::Refused));
    }
    // Nothing came late.
    world.prober.probe(&[]).unwrap();
}

pub fn trials() -> Vec<Trial> {
    vec![trial_with_rules("thousands of probes on a busy machine", exact)]
}
