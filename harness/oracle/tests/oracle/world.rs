//! A cluster for tests, changed line by line. The lines are described where they are read.

use netproof_api::core::*;
use netproof_api::manifest::{Context, read_manifests};
use netproof_api::{Labels, Namespace, Object, ObjectMeta, Source};
use netproof_controlplane::{Change, ControlPlane, ObjectRef, SERVICE_NAME_LABEL, Snapshot};
use netproof_model::topology::*;
use netproof_model::{Families, NamespacedName, ProxyMode, Topology, Wiring};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A cluster on two nodes and more, and one host outside.
///
/// The control plane completes the objects. Where it might refuse what an oracle must have an answer to (an
/// address that is somebody else's), or fill in what is given here, the snapshot is changed behind it.
pub struct World {
    pub plane: ControlPlane,
    slices: BTreeMap<NamespacedName, Arc<EndpointSlice>>,
    external_addresses: BTreeMap<NamespacedName, (Vec<IpAddr>, Vec<LoadBalancerIngress>)>,
}

impl Default for World {
    fn default() -> Self {
        World::on("")
    }
}

impl World {
    /// `[family=F] [wiring=W] [nat-outgoing] [nodes=N] [advertised=WHAT,..] [balancer=NODE,..]`
    pub fn on(words: &str) -> World {
        let words = Words::new(words);
        let range =
            |ipv4: &str, ipv6: &str| PerFamily { ipv4: ipv4.parse().unwrap(), ipv6: ipv6.parse().unwrap() };
        let nodes: usize = words.value("nodes").unwrap_or("2").parse().unwrap();
        let find = |word: &str| Families::ALL.into_iter().find(|family| family.to_string() == word).unwrap();
        let advertised = words
            .list("advertised")
            .into_iter()
            .map(|word| ServiceAddresses::WORDS.iter().find(|(name, _)| *name == word).unwrap().1);
        let topology = Topology {
            name: "test".into(),
            wiring: words.value("wiring").map_or(Wiring::Routed, |word| {
                Wiring::ALL.into_iter().find(|wiring| wiring.to_string() == word).unwrap()
            }),
            family: words.value("family").map_or(Families::Ipv4, find),
            nodes: (1..=nodes)
                .map(|number| TopologyNode {
                    name: format!("node{number}"),
                    labels: labels(&format!("topology.kubernetes.io/zone=zone{number}")),
                    ..TopologyNode::default()
                })
                .collect(),
            externals: vec![external("internet", "203.0.113.10,2001:db8:113::10")],
            nat_outgoing: words.has("nat-outgoing"),
            advertised: advertised.collect(),
            proxy_mode: match words.value("proxy") {
                Some("iptables") => ProxyMode::Iptables,
                _ => ProxyMode::Nftables,
            },
            load_balancer: words.value("balancer").map(|_| LoadBalancer {
                range: range("192.0.2.0/24", "fd00:192::/64"),
                nodes: words
                    .list("balancer")
                    .into_iter()
                    .filter(|node| *node != "all")
                    .map(Into::into)
                    .collect(),
            }),
            ..Topology::default()
        };
        World {
            plane: ControlPlane::new(Arc::new(topology)).unwrap(),
            slices: BTreeMap::new(),
            external_addresses: BTreeMap::new(),
        }
    }

    /// Makes the change of one line.
    pub fn change(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap();
        let change = match verb {
            "namespace" => Change::Apply(Object::Namespace(namespace(rest))),
            "pod" => Change::Apply(Object::Pod(pod(rest))),
            "service" => {
                let mut service = service(rest);
                let addresses = (
                    std::mem::take(&mut service.external_ips),
                    std::mem::take(&mut service.load_balancer_ingress),
                );
                self.external_addresses.insert(name(rest.split(' ').next().unwrap()), addresses);
                Change::Apply(Object::Service(service))
            }
            "slice" => {
                self.slices.insert(name(rest.split(' ').next().unwrap()), Arc::new(slice(rest)));
                return;
            }
            "policy" => Change::Apply(policy(rest)),
            "cluster-policy" => Change::Apply(cluster_policy(rest)),
            "external" => {
                let (name, addresses) = rest.split_once(' ').unwrap();
                Change::ApplyExternal(external(name, addresses))
            }
            "delete" => Change::Delete(reference(rest)),
            "label" => {
                let (object, pairs) = rest.split_once(' ').unwrap();
                Change::Label { object: reference(object), labels: label_changes(pairs) }
            }
            _ => panic!("`{line}` is no change"),
        };
        self.plane.apply(&[change]).unwrap_or_else(|error| panic!("{line}: {error}"));
    }

    /// The completed objects, with the tunnel addresses that an overlay has.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::clone(&self.plane.snapshot());
        snapshot.endpoint_slices.extend(self.slices.clone());
        for (name, (external_ips, ingress)) in &self.external_addresses {
            if let Some(service) = snapshot.services.get_mut(name) {
                let service = Arc::make_mut(service);
                service.external_ips.clone_from(external_ips);
                service.load_balancer_ingress.clone_from(ingress);
            }
        }
        if snapshot.topology.wiring == Wiring::Vxlan {
            for node in snapshot.nodes.values_mut() {
                let node = Arc::make_mut(node);
                let first = |range: &ipnet::IpNet| match range.network() {
                    IpAddr::V4(network) => IpAddr::from(std::net::Ipv4Addr::from_bits(network.to_bits() + 1)),
                    IpAddr::V6(network) => IpAddr::from(std::net::Ipv6Addr::from_bits(network.to_bits() + 1)),
                };
                node.tunnel_addresses = node.pod_cidrs.iter().map(first).collect();
            }
        }
        snapshot
    }
}

/// Words of a line: some stand alone, some are `key=value`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Words(text.split_whitespace().collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn list(&self, key: &str) -> Vec<&'a str> {
        let all = self.value(key).unwrap_or_default().split(',');
        all.filter(|word| !word.is_empty()).collect()
    }
}

/// `NAME SPEC` of a ClusterNetworkPolicy.
fn cluster_policy(text: &str) -> Object {
    let (name, spec) = text.split_once(' ').unwrap();
    let text = format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: {name}}}, \
         spec: {spec}}}"
    );
    let source = Source::new("policy", text);
    let mut manifest =
        read_manifests(&source, &Context::default()).unwrap_or_else(|errors| panic!("{errors}"));
    manifest.objects.remove(0).object
}

/// `KEY=VALUE,..`
pub fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// `KEY=VALUE,KEY-,..`: the latter removes.
fn label_changes(text: &str) -> BTreeMap<String, Option<String>> {
    let change = |text: &str| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text.strip_suffix('-').unwrap().to_owned(), None),
    };
    text.split(',').map(change).collect()
}

/// `KIND/[NAMESPACE/]NAME`
fn reference(text: &str) -> ObjectRef {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [kind, name] => ObjectRef::new(*kind, None, *name),
        [kind, namespace, name] => ObjectRef::new(*kind, Some(namespace), *name),
        _ => panic!("`{text}` is no object"),
    }
}

/// `[NAMESPACE/]NAME`
pub fn name(text: &str) -> NamespacedName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    NamespacedName::new(namespace, name)
}

fn metadata(text: &str) -> ObjectMeta {
    let name = name(text);
    ObjectMeta { name: name.name, namespace: Some(name.namespace), ..ObjectMeta::default() }
}

fn external(name: &str, addresses: &str) -> ExternalHost {
    let addresses = addresses.split(',').map(|address| address.parse().unwrap()).collect();
    ExternalHost { name: name.into(), addresses, ports: Vec::new(), dns: Vec::new() }
}

/// `NAME [KEY=VALUE,..]`
fn namespace(text: &str) -> Namespace {
    let (name, pairs) = text.split_once(' ').unwrap_or((text, ""));
    Namespace { metadata: ObjectMeta { name: name.into(), labels: labels(pairs), ..ObjectMeta::default() } }
}

/// `[NAMESPACE/]NAME NODE [labels=KEY=VALUE,..] [ports=[NAME:]NUMBER[/PROTOCOL],..] [ip=ADDRESS] [host]
/// [failed] [account=NAME]`
fn pod(text: &str) -> Pod {
    let words = Words::new(text);
    let ports = words.list("ports").into_iter().map(|text| {
        let (text, host_port) =
            text.split_once('<').map_or((text, None), |(text, host)| (text, Some(host_port(host))));
        let (name, port) = text.split_once(':').map_or((None, text), |(name, port)| (Some(name), port));
        let (number, protocol) = port_protocol(port);
        ContainerPort { name: name.map(Into::into), container_port: number, protocol, host_port }
    });
    Pod {
        metadata: ObjectMeta {
            labels: labels(words.value("labels").unwrap_or_default()),
            ..metadata(words.0[0])
        },
        node_name: Some(words.0[1].into()),
        host_network: words.has("host"),
        service_account: words.value("account").unwrap_or("default").into(),
        containers: vec![Container { name: "c".into(), ports: ports.collect() }],
        pod_ips: words.list("ip").into_iter().map(|ip| ip.parse().unwrap()).collect(),
        phase: if words.has("failed") { PodPhase::Failed } else { PodPhase::Running },
        ready: true,
        ..Pod::default()
    }
}

/// `NUMBER[~ADDRESS]`
fn host_port(text: &str) -> HostPort {
    let (port, ip) =
        text.split_once('~').map_or((text, None), |(port, ip)| (port, Some(ip.parse().unwrap())));
    HostPort { port: port.parse().unwrap(), ip }
}

/// `NUMBER[/PROTOCOL]`
fn port_protocol(text: &str) -> (u16, TransportProtocol) {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => TransportProtocol::Tcp,
        "udp" => TransportProtocol::Udp,
        "sctp" => TransportProtocol::Sctp,
        other => panic!("`{other}` is no protocol"),
    };
    (number.parse().unwrap(), protocol)
}

/// `[NAMESPACE/]NAME SPEC`, the spec in YAML's flow style.
fn policy(text: &str) -> Object {
    let (name, spec) = text.split_once(' ').unwrap();
    let NamespacedName { namespace, name } = self::name(name);
    let text = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}"
    );
    let manifest = read_manifests(&Source::new(name, text), &Context::default());
    let manifest = manifest.unwrap_or_else(|error| panic!("{spec}: {error:?}"));
    manifest.objects.into_iter().next().unwrap().object
}

/// `[NAMESPACE/]NAME [selector=KEY=VALUE,..] ports=[NAME:]PORT[/PROTOCOL][:TARGET][@NODEPORT],..
/// [external=Local] [internal=Local] [external-ip=A,..] [lb=A,..] [lb-proxy=A] [ranges=CIDR,..] [headless]
/// [cluster-ip=A]`
fn service(text: &str) -> Service {
    let words = Words::new(text);
    let policy = |key| match words.value(key) {
        Some("Local") => TrafficPolicy::Local,
        _ => TrafficPolicy::Cluster,
    };
    let addresses = |key| words.list(key).into_iter().map(|text| text.parse::<IpAddr>().unwrap());
    let ports: Vec<ServicePort> = words.list("ports").into_iter().map(service_port).collect();
    let ingress = addresses("lb").map(|ip| LoadBalancerIngress { ip, ip_mode: IpMode::VIP });
    let proxied = addresses("lb-proxy").map(|ip| LoadBalancerIngress { ip, ip_mode: IpMode::Proxy });
    let load_balancer_ingress: Vec<LoadBalancerIngress> = ingress.chain(proxied).collect();
    let node_ports = ports.iter().any(|port| port.node_port.is_some());
    Service {
        metadata: metadata(words.0[0]),
        service_type: match (load_balancer_ingress.is_empty(), node_ports) {
            (false, _) => ServiceType::LoadBalancer,
            (true, true) => ServiceType::NodePort,
            (true, false) => ServiceType::ClusterIP,
        },
        selector: labels(words.value("selector").unwrap_or_default()),
        ports,
        cluster_ips: addresses("cluster-ip").collect(),
        headless: words.has("headless"),
        external_ips: addresses("external-ip").collect(),
        external_traffic_policy: policy("external"),
        internal_traffic_policy: policy("internal"),
        load_balancer_source_ranges: words
            .list("ranges")
            .into_iter()
            .map(|range| range.parse().unwrap())
            .collect(),
        load_balancer_ingress,
        allocate_load_balancer_node_ports: true,
        ..Service::default()
    }
}

fn service_port(text: &str) -> ServicePort {
    let (text, node_port) = text.split_once('@').map_or((text, None), |(text, port)| (text, Some(port)));
    let parts: Vec<&str> = text.split(':').collect();
    let named = parts[0].parse::<u16>().is_err() && !parts[0].contains('/');
    let (name, rest) = if named { (Some(parts[0]), &parts[1..]) } else { (None, &parts[..]) };
    let (port, protocol) = port_protocol(rest[0]);
    ServicePort {
        name: name.map(Into::into),
        protocol,
        port,
        target_port: match rest.get(1) {
            None => IntOrString::Int(port),
            Some(target) => match target.parse() {
                Ok(number) => IntOrString::Int(number),
                Err(_) => IntOrString::String((*target).into()),
            },
        },
        node_port: node_port.map(|port| port.parse().unwrap()),
    }
}

/// `[NAMESPACE/]SERVICE[-SUFFIX] port=PORT ADDRESS@NODE[:FLAG].. `: of the service before the last dash.
/// Flags: `unready`, `ending` (not ready, serving, terminating), `gone` (not serving, terminating),
/// `zone-Z` and `node-N` (hints).
fn slice(text: &str) -> EndpointSlice {
    let words = Words::new(text);
    let mut metadata = metadata(words.0[0]);
    let service = metadata.name.rsplit_once('-').unwrap().0.to_owned();
    metadata.labels.insert(SERVICE_NAME_LABEL.into(), service);
    let (port, protocol) = port_protocol(words.value("port").unwrap());
    let endpoints = words.0[1..].iter().filter(|word| word.contains('@')).map(|word| {
        let (address, rest) = word.split_once('@').unwrap();
        let mut parts = rest.split(':');
        let node = parts.next().unwrap();
        let flags: Vec<&str> = parts.collect();
        let has = |flag: &str| flags.contains(&flag);
        let hinted = |prefix: &str| -> Vec<String> {
            flags.iter().filter_map(|flag| flag.strip_prefix(prefix)).map(Into::into).collect()
        };
        let hints = EndpointHints { for_zones: hinted("zone-"), for_nodes: hinted("node-") };
        Endpoint {
            addresses: vec![address.parse().unwrap()],
            ready: !has("unready") && !has("ending") && !has("gone"),
            serving: !has("unready") && !has("gone"),
            terminating: has("ending") || has("gone"),
            hostname: None,
            zone: None,
            hints: (hints != EndpointHints::default()).then_some(hints),
            node_name: Some(node.into()),
            pod: None,
        }
    });
    EndpointSlice {
        metadata,
        address_type: AddressType::IPv4,
        endpoints: endpoints.collect(),
        ports: vec![EndpointPort { name: None, port, protocol }],
    }
}
