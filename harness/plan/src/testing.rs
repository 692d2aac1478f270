//! A small cluster, for tests.

use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::topology::{PerFamily, Ranges, TopologyNode};
use netproof_model::{Families, Topology, Wiring};
use std::sync::Arc;

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
