//! What a node's service proxy does with a packet: kube-proxy's rules, in the mode that the topology says, with the
//! range of pods as its local detector and without masqueradeAll.

use crate::endpoints::{Choice, Endpoints};
use crate::flow::Packet;
use crate::host_ports;
use crate::profile::{Profile, Switch};
use crate::services::{Port, ServiceAddress, Services};
use crate::truth::Truth;
use crate::world::World;
use netproof_api::Node;
use netproof_api::core::TrafficPolicy;
use netproof_model::{Action, Family, NamespacedName, ProxyMode};
use std::net::IpAddr;

/// What the proxy of a node did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceStep {
    /// It rewrote the destination to an endpoint.
    Translate {
        /// The service; of a host port the pod.
        service: NamespacedName,
        /// Why the destination was the service's.
        address: ServiceAddress,
        /// The packet's destination now.
        endpoint: Choice,
        /// How many endpoints it could choose from, this one included.
        choices: usize,
        /// Why it also marked the packet for masquerade; `None` where it did not.
        masquerade: Option<Masquerade>,
    },
    /// It refused the packet.
    Refuse {
        /// The service; `None` where no service has the address.
        service: Option<NamespacedName>,
        /// Why.
        refusal: Refusal,
    },
}

/// Why the proxy marks a packet for masquerade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masquerade {
    /// It came for a cluster IP from an address that is no pod's.
    NotFromAPod,
    /// It came for a node port, external IP or load balancer's address of a service whose
    /// `externalTrafficPolicy` is Cluster.
    ExternalTraffic,
    /// The node itself sent it to such an address of a service whose `externalTrafficPolicy` is Local.
    FromTheNode,
    /// Its sender is the endpoint that was chosen.
    Hairpin,
}

/// Why the proxy refuses a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The service has no usable endpoint in the whole cluster.
    NoEndpoints,
    /// The node has none, and `internalTrafficPolicy` is Local.
    NoLocalEndpointsInternal,
    /// The node has none, and `externalTrafficPolicy` is Local.
    NoLocalEndpointsExternal,
    /// The service has no such port.
    NoSuchPort,
    /// The source is not in `loadBalancerSourceRanges`.
    SourceRanges,
    /// The address is in the range of services, and no service has it.
    NoSuchService,
}

impl Refusal {
    /// What becomes of the packet.
    pub fn action(self) -> Action {
        match self {
            Refusal::NoEndpoints | Refusal::NoSuchPort => Action::Reject,
            Refusal::NoLocalEndpointsInternal
            | Refusal::NoLocalEndpointsExternal
            | Refusal::SourceRanges
            | Refusal::NoSuchService => Action::Drop,
        }
    }
}

/// Everything that the proxy of a node may do with a packet.
pub(crate) struct Steps {
    /// One for each choice. Empty: it lets the packet go on unchanged.
    pub steps: Vec<ServiceStep>,
    /// Whether that is so in every reading of the API, or in some.
    pub truth: Truth,
}

impl Steps {
    fn certain(steps: Vec<ServiceStep>) -> Self {
        Steps { steps, truth: Truth::Yes }
    }

    /// What holds if one of several readings does.
    fn of_readings(readings: Vec<Vec<ServiceStep>>) -> Self {
        let differ = readings.iter().zip(readings.iter().skip(1)).any(|(one, next)| one != next);
        let mut steps: Vec<ServiceStep> = Vec::new();
        for step in readings.into_iter().flatten() {
            if !steps.iter().any(|known| known.leads_where(&step)) {
                steps.push(step);
            }
        }
        let truth = if differ { Truth::open(Switch::EndpointsThatShareAnAddress) } else { Truth::Yes };
        Steps { steps, truth }
    }
}

impl ServiceStep {
    /// Whether the packet ends in the same place as after the other step.
    fn leads_where(&self, other: &ServiceStep) -> bool {
        match (self, other) {
            (ServiceStep::Translate { endpoint: own, .. }, ServiceStep::Translate { endpoint, .. }) => {
                own == endpoint
            }
            _ => self == other,
        }
    }
}

/// What the proxy of `node` may do with a packet that the node itself sends (`is_own`), or that it
/// receives.
pub(crate) fn steps(
    world: &World<'_>,
    services: &Services<'_>,
    profile: &Profile,
    node: &Node,
    packet: &Packet,
    is_own: bool,
) -> Steps {
    let family = Family::of(packet.destination);
    let mode = world.snapshot.topology.proxy_mode;
    let found = services.lookup(packet.destination, packet.port).or_else(|| {
        let is_node = match mode {
            // Node ports are at the primary addresses of the node.
            ProxyMode::Nftables => node.addresses.contains(&packet.destination),
            // They are at every address that it has, loopback's apart.
            ProxyMode::Iptables => world
                .node_at(packet.destination)
                .is_some_and(|owner| owner.metadata.name == node.metadata.name),
        };
        let port = is_node.then(|| services.node_port(family, packet.port)).flatten()?;
        Some((ServiceAddress::NodePort, port))
    });
    let Some((address, port)) = found else {
        let refuse = |service, refusal| Steps::certain(vec![ServiceStep::Refuse { service, refusal }]);
        let range = world.snapshot.topology.ranges.services.get(family);
        if let Some(step) = to_host_port(world, node, packet) {
            return Steps::certain(vec![step]);
        }
        // What no rule of its iptables mode knows goes on as it is.
        if mode == ProxyMode::Iptables {
            return Steps::certain(Vec::new());
        }
        return match services.cluster_ip(packet.destination) {
            // An active cluster IP has no other ports.
            Some((name, _)) => refuse(Some(name.clone()), Refusal::NoSuchPort),
            None if range.contains(&packet.destination) => refuse(None, Refusal::NoSuchService),
            None => Steps::certain(Vec::new()),
        };
    };
    let refuse = |refusal| vec![ServiceStep::Refuse { service: Some(port.name.clone()), refusal }];
    // Node ports and external IPs are not subject to it.
    let ranges = &port.service.load_balancer_source_ranges;
    let is_outside = address == ServiceAddress::LoadBalancerIp
        && !ranges.is_empty()
        && !ranges.iter().any(|range| range.contains(&packet.source));
    // In nftables mode they are held against the packet before anything else.
    if is_outside && mode == ProxyMode::Nftables {
        return Steps::certain(refuse(Refusal::SourceRanges));
    }
    let from_pod = world.is_pod_address(packet.source);
    let plan = match address {
        ServiceAddress::ClusterIp => internal(&port, from_pod),
        _ => external(&port, from_pod, is_own),
    };
    let with = |endpoints: Endpoints<'_>| {
        // In iptables mode they are a part of what leads to the endpoints, if there are any.
        if is_outside && !endpoints.of_the_cluster(node).is_empty() {
            return refuse(Refusal::SourceRanges);
        }
        let choices = match plan.refusal_without_local {
            None => endpoints.of_the_cluster(node),
            Some(_) => endpoints.on_node(&node.metadata.name),
        };
        // A number that is a host port, too, leads there only where the service's rules translate nothing.
        if choices.is_empty()
            && address == ServiceAddress::NodePort
            && let Some(step) = to_host_port(world, node, packet)
        {
            return vec![step];
        }
        if choices.is_empty() {
            return refuse(match plan.refusal_without_local {
                Some(refusal) if endpoints.serve_anybody() => refusal,
                _ => Refusal::NoEndpoints,
            });
        }
        let translate = |endpoint: &Choice| ServiceStep::Translate {
            service: port.name.clone(),
            address,
            endpoint: *endpoint,
            choices: choices.len(),
            masquerade: plan.masquerade.or_else(|| hairpin(packet.source, endpoint)),
        };
        choices.iter().map(translate).collect()
    };
    Steps::of_readings(services.endpoints(&port, family, profile).into_iter().map(with).collect())
}

/// What the node's port mapping does with a packet to the `hostPort` of one of its pods.
fn to_host_port(world: &World<'_>, node: &Node, packet: &Packet) -> Option<ServiceStep> {
    let (pod, endpoint) = host_ports::lookup(world, node, packet)?;
    let masquerade = hairpin(packet.source, &endpoint);
    Some(ServiceStep::Translate {
        service: pod,
        address: ServiceAddress::HostPort,
        endpoint,
        choices: 1,
        masquerade,
    })
}

/// Which endpoints are asked, and whether the answer must come back through this node.
struct Plan {
    /// The traffic policy is Local: what happens if this node has no endpoint.
    refusal_without_local: Option<Refusal>,
    masquerade: Option<Masquerade>,
}

/// To a cluster IP.
fn internal(port: &Port<'_>, from_pod: bool) -> Plan {
    let local = port.service.internal_traffic_policy == TrafficPolicy::Local;
    Plan {
        refusal_without_local: local.then_some(Refusal::NoLocalEndpointsInternal),
        masquerade: (!from_pod).then_some(Masquerade::NotFromAPod),
    }
}

/// To a node port, an external IP or a load balancer's address.
fn external(port: &Port<'_>, from_pod: bool, is_own: bool) -> Plan {
    match port.service.external_traffic_policy {
        TrafficPolicy::Cluster => {
            Plan { refusal_without_local: None, masquerade: Some(Masquerade::ExternalTraffic) }
        }
        // Local keeps the sender's address by keeping the packet on the node. The cluster's own pods and
        // this node itself do not come from outside: they may use every endpoint.
        TrafficPolicy::Local if from_pod => Plan { refusal_without_local: None, masquerade: None },
        TrafficPolicy::Local if is_own => {
            Plan { refusal_without_local: None, masquerade: Some(Masquerade::FromTheNode) }
        }
        TrafficPolicy::Local => {
            Plan { refusal_without_local: Some(Refusal::NoLocalEndpointsExternal), masquerade: None }
        }
    }
}

fn hairpin(source: IpAddr, endpoint: &Choice) -> Option<Masquerade> {
    (source == endpoint.0).then_some(Masquerade::Hairpin)
}
