//! Where the datagrams of UDP services may go: conntrack remembers where they went.

use super::endpoints::known_endpoints;
use super::program::{Inputs, Way};
use netproof_api::ServicePort as ApiPort;
use netproof_model::{Families, Family, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where the datagrams of UDP services may go: whose endpoints changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UdpServices {
    /// Address and port to the addresses of endpoints that serve.
    pub(crate) addresses: BTreeMap<(IpAddr, u16), BTreeSet<IpAddr>>,
    /// Node port, in one family, to the same.
    pub(crate) node_ports: BTreeMap<(Family, u16), BTreeSet<IpAddr>>,
}

impl UdpServices {
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.node_ports.is_empty()
    }
}

/// Where the datagrams of a service may go, for conntrack.
pub(crate) fn udp_services(inputs: &Inputs, families: Families) -> UdpServices {
    let mut udp = UdpServices::default();
    let service = &inputs.service;
    for cluster_ip in &service.cluster_ips {
        let family = Family::of(*cluster_ip);
        let of_udp = |port: &&ApiPort| Protocol::from(port.protocol) == Protocol::Udp;
        for port in service.ports.iter().filter(of_udp).filter(|_| families.contains(family)) {
            let known = known_endpoints(&inputs.slices, family, port);
            let serving = known.iter().filter(|(_, state)| state.ready || state.serving);
            let serving: BTreeSet<IpAddr> = serving.map(|(endpoint, _)| endpoint.address).collect();
            let ingress = service.load_balancer_ingress.iter().map(|ingress| ingress.ip);
            let addresses = service.external_ips.iter().copied().chain(ingress);
            let own = |way: Way| !inputs.taken.contains(&way);
            let addresses = addresses.filter(|ip| Family::of(*ip) == family).chain([*cluster_ip]);
            for address in addresses.filter(|ip| own(Way::Address(*ip, Protocol::Udp, port.port))) {
                udp.addresses.insert((address, port.port), serving.clone());
            }
            if let Some(number) = port.node_port.filter(|it| own(Way::NodePort(Protocol::Udp, *it))) {
                udp.node_ports.insert((family, number), serving);
            }
        }
    }
    udp
}
