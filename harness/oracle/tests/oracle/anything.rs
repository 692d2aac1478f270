//! Whatever the objects say and whoever asks whom: no panic, and an answer that makes sense.

use crate::world::World;
use netproof_model::{Place, Protocol};
use netproof_oracle::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;
use std::net::IpAddr;

/// Services of every kind, in conflict with each other and with nobody, and endpoints that are pods, nodes,
/// hosts outside, services or nothing.
const LINES: [&str; 14] = [
    "pod a node1 labels=app=web ports=http:80",
    "pod b node2 labels=app=web ports=http:8080",
    "pod agent node3 host labels=app=web ports=http:80",
    "service a selector=app=web ports=80:http@30080 cluster-ip=10.96.1.1",
    "service b selector=app=web ports=81:http@30081 cluster-ip=10.96.1.2 external=Local internal=Local",
    "service c ports=80@30082 cluster-ip=10.96.1.3 lb=192.0.2.1 ranges=10.0.0.0/8",
    "service d ports=80@30083 cluster-ip=10.96.1.4 lb-proxy=192.0.2.2 external-ip=203.0.113.10",
    "service e ports=80 cluster-ip=10.96.1.5 lb=192.0.2.3 external=Local external-ip=172.18.0.2",
    "slice c-1 port=80 10.244.1.3@node1 203.0.113.10@node2 10.96.1.1@node2:ending 198.51.100.1@node3",
    "slice d-1 port=30082 172.18.0.2@node1 172.18.0.3@node2 172.18.0.4@node3",
    "slice e-1 port=80 192.0.2.2@node1 127.0.0.1@node2 10.96.1.4@node1 0.0.0.0@node3",
    "policy p {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.96.0.0/12]}}]}]}",
    "policy q {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]}",
    "external other 198.51.100.7",
];

const ADDRESSES: [&str; 17] = [
    "10.244.1.3",
    "10.244.2.2",
    "10.244.9.9",
    "10.96.1.1",
    "10.96.1.2",
    "10.96.1.3",
    "10.96.1.4",
    "10.96.1.5",
    "10.96.9.9",
    "172.18.0.1",
    "172.18.0.2",
    "172.18.0.4",
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "203.0.113.10",
    "127.0.0.1",
];

const TOPOLOGIES: [&str; 4] = [
    "nodes=3",
    "nodes=3 nat-outgoing wiring=vxlan balancer=all advertised=cluster-ips,external-ips,load-balancer-ips",
    "nodes=3 wiring=bridge balancer=node3 advertised=external-ips",
    "nodes=3 nat-outgoing advertised=cluster-ips,load-balancer-ips",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn there_is_an_answer(
        topology in select(&TOPOLOGIES[..]),
        lines in subsequence(LINES.to_vec(), 0..=LINES.len()),
        profile in select(&PROFILES[..]),
        numbers in subsequence(vec![80, 81, 30080, 30081, 30082, 30083], 1..3),
    ) {
        let mut world = World::on(topology);
        lines.iter().for_each(|line| world.change(line));
        let snapshot = world.snapshot();
        let oracle = Oracle::new(&snapshot, profile);
        let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network);
        let sources = pods.map(|(name, _)| Place::Pod(name.clone()))
            .chain(snapshot.nodes.keys().map(|name| Place::Node(name.clone())))
            .chain(snapshot.externals.keys().map(|name| Place::External(name.clone())));
        let mut ports: Vec<PortProtocol> =
            numbers.into_iter().map(|number| PortProtocol::new(number, Protocol::Tcp)).collect();
        ports.push(PortProtocol::Echo);
        for from in sources {
            for (to, port) in ADDRESSES.iter().flat_map(|to| ports.iter().map(move |port| (to, *port))) {
                let flow = Flow { from: from.clone(), to: to.parse::<IpAddr>().unwrap(), port };
                let prediction = oracle.predict(&flow).unwrap();
                makes_sense(&prediction)?;
                let text = oracle.explain(&prediction);
                prop_assert!(text.starts_with(&from.to_string()) && text.ends_with(".\n"), "{text}");
            }
        }
    }
}

fn makes_sense(prediction: &Prediction) -> Result<(), TestCaseError> {
    prop_assert!(!prediction.alternatives.is_empty());
    for (index, alternative) in prediction.alternatives.iter().enumerate() {
        prop_assert!(!prediction.alternatives[..index].contains(alternative), "twice: {alternative:?}");
        let denied = alternative.denied_by().is_some();
        match &alternative.verdict {
            Verdict::Allow => prop_assert!(alternative.server.is_some() && !denied),
            // Nobody may be there, or the proxy refuse it, where policy does not deny it before.
            Verdict::Either(_) => prop_assert!(!denied),
            Verdict::Deny(PredictedDenial::Policy { .. }) => prop_assert!(denied),
            Verdict::Deny(PredictedDenial::Service { .. }) => {
                let refused = |hop: &Hop| matches!(hop.service, Some(ServiceStep::Refuse { .. }));
                prop_assert!(alternative.server.is_none() && !denied);
                prop_assert!(alternative.hops.last().is_some_and(refused));
            }
            Verdict::Unreachable => prop_assert!(alternative.server.is_none() && !denied),
            Verdict::NoAnswer { past } => {
                let translated = |hop: &Hop| {
                    hop.place == *past
                        && hop.source.is_none()
                        && matches!(hop.service, Some(ServiceStep::Translate { .. }))
                };
                prop_assert!(alternative.server.is_some() && !denied);
                prop_assert!(alternative.hops.iter().any(translated));
            }
        }
        for pair in alternative.hops.windows(2) {
            let sent = pair[0].source.map_or(pair[0].seen.source, |(address, _)| address);
            let received = Packet { source: sent, ..pair[0].seen };
            prop_assert_eq!(received, pair[1].received, "what one hop sends the next one gets");
        }
    }
    Ok(())
}
