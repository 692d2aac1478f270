//! A cluster of two nodes with pods, an external host and a prober, and rules and routes by command.

use netproof_api::core::{Container, ContainerPort, TransportProtocol};
use netproof_api::{Object, ObjectMeta, Pod};
use netproof_cluster::Cluster;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_model::flow::FlowProtocol;
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::topology::{ExternalHost, ListenPort, PerFamily, Ranges, TopologyNode};
use netproof_model::{
    DataPath, Families, Family, NamespacedName, Observation, Place, Protocol, Topology, Wiring,
};
use netproof_probe::{Grace, Patience, Probe, Prober};
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// `client` and `neighbour` on node1, `web` (80/tcp, 80/udp, 80/sctp, 53/udp) and the hostNetwork pod
/// `agent` (9000/tcp, 9000/udp, 9000/sctp) on node2, `internet` (443/tcp) outside; dual-stack.
pub struct World {
    pub control_plane: ControlPlane,
    pub cluster: Cluster,
    pub prober: Prober,
}

pub fn pod(name: &str, node: &str, ports: &[(u16, TransportProtocol)]) -> Pod {
    let ports = ports
        .iter()
        .map(|(port, protocol)| ContainerPort {
            name: None,
            container_port: *port,
            protocol: *protocol,
            host_port: None,
        })
        .collect();
    Pod {
        metadata: ObjectMeta {
            name: name.into(),
            namespace: Some("default".into()),
            ..ObjectMeta::default()
        },
        node_name: Some(node.into()),
        containers: vec![Container { name: "c".into(), ports }],
        ready: true,
        ..Pod::default()
    }
}

impl World {
    pub fn new(wiring: Wiring) -> World {
        World::with_grace(wiring, Arc::default())
    }

    pub fn with_grace(wiring: Wiring, grace: Arc<Grace>) -> World {
        World::with(wiring, grace, DataPath::Kernel)
    }

    pub fn with(wiring: Wiring, grace: Arc<Grace>, data_path: DataPath) -> World {
        use TransportProtocol::{Sctp, Tcp, Udp};
        let range =
            |ipv4: &str, ipv6: &str| PerFamily { ipv4: ipv4.parse().unwrap(), ipv6: ipv6.parse().unwrap() };
        let topology = Topology {
            name: "two-nodes".into(),
            wiring,
            family: Families::Dual,
            ranges: Ranges {
                pods: range("10.244.0.0/16", "fd00:10:244::/48"),
                other_pods: Vec::new(),
                services: range("10.96.0.0/16", "fd00:10:96::/112"),
                nodes: range("172.18.0.0/24", "fd00:172:18::/64"),
            },
            nodes: ["node1", "node2"]
                .map(|name| TopologyNode { name: name.into(), ..TopologyNode::default() })
                .into(),
            externals: vec![ExternalHost {
                name: "internet".into(),
                addresses: vec!["203.0.113.10".parse().unwrap(), "2001:db8:203::10".parse().unwrap()],
                ports: vec![ListenPort { port: 443, protocol: Protocol::Tcp }],
                dns: vec!["www.example.com".into()],
            }],
            ..Topology::default()
        };
        let mut control_plane = ControlPlane::new(Arc::new(topology)).unwrap();
        let agent =
            Pod { host_network: true, ..pod("agent", "node2", &[(9000, Tcp), (9000, Udp), (9000, Sctp)]) };
        let pods = [
            pod("client", "node1", &[]),
            pod("neighbour", "node1", &[(80, Tcp)]),
            pod("web", "node2", &[(80, Tcp), (80, Udp), (80, Sctp), (53, Udp)]),
            agent,
        ];
        let snapshot = control_plane.apply(&pods.map(|pod| Change::Apply(Object::Pod(pod)))).unwrap();
        let cluster = Cluster::build(&snapshot).unwrap();
        let mut prober = Prober::new(1, grace, data_path).unwrap();
        prober.sync(&cluster, &snapshot).unwrap();
        World { control_plane, cluster, prober }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.control_plane.snapshot()
    }

    /// Applies a change to the cluster.
    pub fn change(&mut self, change: Change) {
        let snapshot = self.control_plane.apply(&[change]).unwrap();
        self.cluster.update(&snapshot).unwrap();
        self.prober.sync(&self.cluster, &snapshot).unwrap();
    }

    pub fn address(&self, place: &Place, family: Family) -> IpAddr {
        self.snapshot().address_of(place, family).unwrap()
    }

    pub fn probe(&mut self, request: Probe) -> Observation {
        self.prober.probe(&[request]).unwrap().pop().unwrap()
    }

    /// Runs a program in a place's namespace.
    pub fn run(&self, place: &Place, command: &[&str], input: &str) {
        let spawn = || {
            let mut child = Command::new(command[0])
                .args(&command[1..])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait().unwrap()
        };
        let status = self.cluster.netns(place).unwrap().enter(spawn).unwrap();
        assert!(status.success(), "{command:?} failed with input:\n{input}");
    }

    /// The output of a program in a place's namespace.
    pub fn output(&self, place: &Place, command: &[&str]) -> String {
        let run = || Command::new(command[0]).args(&command[1..]).output().unwrap();
        let output = self.cluster.netns(place).unwrap().enter(run).unwrap();
        assert!(output.status.success(), "{command:?} failed");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Removes the loaded rules.
    pub fn no_rules(&self, node: &str) {
        self.run(&Place::node(node), &["nft", "delete", "table", "inet", "test"], "");
    }

    /// Enables connection tracking, as on a node whose rules match connection state.
    pub fn track(&self, node: &str) {
        let table = "table inet track { chain forward { type filter hook forward priority -9;\n\
                     ct state new accept\n}\n}\n";
        self.run(&Place::node(node), &["nft", "-f", "-"], table);
    }

    /// Loads rules on a node: `rules` is the body of a chain at `hook`.
    pub fn rules(&self, node: &str, hook: &str, rules: &str) {
        let text = format!(
            "table inet test {{ chain {hook} {{ type filter hook {hook} priority 0; policy accept;\n{rules}\n}}\n}}\n"
        );
        self.run(&Place::node(node), &["nft", "-f", "-"], &text);
    }
}

pub fn has_nft() -> bool {
    Command::new("nft").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

pub fn client() -> Place {
    Place::pod("default", "client")
}

pub fn web() -> Place {
    Place::pod("default", "web")
}

pub fn name(name: &str) -> NamespacedName {
    NamespacedName::new("default", name)
}

/// A probe by `client`, which expects no answer.
pub fn request(address: IpAddr, port: RequestPort) -> Probe {
    let family = Family::of(address);
    Probe {
        request: Request { source: client(), target: RequestTarget::Address(address), port },
        family,
        patience: Patience::Settle,
        keep: false,
    }
}

pub fn tcp(port: u16) -> RequestPort {
    RequestPort::Port { port, protocol: FlowProtocol::Tcp }
}

pub fn udp(port: u16) -> RequestPort {
    RequestPort::Port { port, protocol: FlowProtocol::Udp }
}

pub fn sctp(port: u16) -> RequestPort {
    RequestPort::Port { port, protocol: FlowProtocol::Sctp }
}

pub fn http(port: u16) -> RequestPort {
    RequestPort::Port { port, protocol: FlowProtocol::Http }
}

pub fn dns(port: u16) -> RequestPort {
    RequestPort::Port { port, protocol: FlowProtocol::Dns }
}
