//! A small cluster, an expectation and an observation, for tests.

use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::event::Location;
use netproof_model::flow::FlowProtocol;
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::topology::{PerFamily, Ranges, TopologyNode};
use netproof_model::{
    DecidedBy, Families, Family, Observation, Outcome, Place, ProbeStage, Token, Topology, Wiring,
};
use netproof_plan::{Expectation, Expected};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn snapshot() -> Arc<Snapshot> {
    let range = |v4: &str, v6: &str| PerFamily { ipv4: v4.parse().unwrap(), ipv6: v6.parse().unwrap() };
    let topology = Topology {
        name: "test".into(),
        description: String::new(),
        wiring: Wiring::Routed,
        family: Families::Ipv4,
        neighbours: Default::default(),
        ranges: Ranges {
            pods: range("10.244.0.0/16", "fd00:10:244::/48"),
            other_pods: Vec::new(),
            services: range("10.96.0.0/12", "fd00:10:96::/108"),
            nodes: range("172.18.0.0/24", "fd00:172:18::/64"),
        },
        nodes: vec![TopologyNode { name: "node1".into(), ..TopologyNode::default() }],
        nat_outgoing: false,
        advertised: Default::default(),
        load_balancer: None,
        proxy_mode: netproof_model::ProxyMode::default(),
        networks: Vec::new(),
        externals: Vec::new(),
    };
    ControlPlane::new(Arc::new(topology)).unwrap().snapshot()
}

pub(crate) fn expectation(expected: Expected, decided_by: Option<DecidedBy>) -> Expectation {
    Expectation {
        name: "step/flow".into(),
        location: Location { file: "f".into(), line: 1, column: 1 },
        step: "step".into(),
        flow: "pod/a -> pod/b:80".parse().unwrap(),
        family: Family::Ipv4,
        request: Request {
            source: Place::pod("default", "a"),
            target: RequestTarget::Address("10.244.1.3".parse().unwrap()),
            port: RequestPort::Port { port: 80, protocol: FlowProtocol::Tcp },
        },
        expected,
        decided_by,
        sees: None,
        served_by: None,
        sticky: false,
        via: None,
        policy_sees: None,
        rejected_with: None,
        resolves_to: None,
        keep: false,
        backends: Default::default(),
        baseline: None,
    }
}

pub(crate) fn observation(outcome: Outcome) -> Observation {
    Observation {
        outcome,
        stage: ProbeStage::Connect,
        destination: None,
        token: Token(1),
        served_by: None,
        seen_source: Some("172.18.0.2".parse().unwrap()),
        logs: Vec::new(),
        sightings: Vec::new(),
        passages: Vec::new(),
        resolved: Vec::new(),
        elapsed: Duration::ZERO,
        waited: Duration::ZERO,
    }
}
