//! A small cluster, an expectation and an observation, for tests of this crate and of those that stand on it.

use crate::{Expectation, Expected};
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::event::Location;
use netproof_model::flow::{Destination, Flow, FlowPort, FlowProtocol, ObjectName, PortRef, Source};
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::topology::TopologyNode;
use netproof_model::{DecidedBy, Family, Observation, Outcome, Place, ProbeStage, Token, Topology};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A cluster of one node, without a pod.
pub fn control_plane() -> ControlPlane {
    let nodes = vec![TopologyNode { name: "node1".into(), ..TopologyNode::default() }];
    let topology = Topology { name: "test".into(), nodes, ..Topology::default() };
    let Ok(control_plane) = ControlPlane::new(Arc::new(topology)) else {
        unreachable!("the topology is right")
    };
    control_plane
}

/// Its objects.
pub fn snapshot() -> Arc<Snapshot> {
    control_plane().snapshot()
}

/// An expectation on `pod/a -> pod/b:80`.
pub fn expectation(expected: Expected, decided_by: Option<DecidedBy>) -> Expectation {
    let pod = |name: &str| ObjectName { namespace: None, name: name.into() };
    Expectation {
        name: "step/flow".into(),
        location: Location { file: "f".into(), line: 1, column: 1 },
        step: "step".into(),
        flow: Flow {
            from: Source::Pod(pod("a")),
            to: Destination::Pod(pod("b")),
            port: Some(FlowPort::Port { port: PortRef::Number(80), protocol: FlowProtocol::Tcp }),
            family: None,
        },
        family: Family::Ipv4,
        request: Request {
            source: Place::pod("default", "a"),
            target: RequestTarget::Address(IpAddr::from([10, 244, 1, 3])),
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

/// An observation of this outcome. If a server saw the request, it came from the node.
pub fn observation(outcome: Outcome) -> Observation {
    Observation {
        outcome,
        stage: ProbeStage::Connect,
        destination: None,
        token: Token(1),
        served_by: None,
        seen_source: Some(IpAddr::from([172, 18, 0, 2])),
        logs: Vec::new(),
        sightings: Vec::new(),
        passages: Vec::new(),
        resolved: Vec::new(),
        elapsed: Duration::ZERO,
        waited: Duration::ZERO,
    }
}
