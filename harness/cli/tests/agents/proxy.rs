//! A proxy that is an agent: netproof's own, which knows of the cluster what a watch tells. This program is it when it is
//! started as `proxy-agent NODE URL POD-RANGES SERVICE-RANGES`.

use crate::agent::watch::Watches;
use netproof_api::manifest::{Context, read_manifests};
use netproof_api::{Object, Source};
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_enforcer::{Backend, NodeHandle, Proxy, ProxyOptions, ServiceProxy};
use netproof_model::topology::{PerFamily, TopologyNode};
use netproof_model::{Families, Family, NamespacedName, Topology};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

/// What decides about services.
const KINDS: [&str; 3] = ["/api/v1/nodes", "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"];

/// Acts as the proxy.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, url, pods, services] = arguments.as_slice() else {
        return Err("usage: proxy-agent NODE URL POD-RANGES SERVICE-RANGES".into());
    };
    let netns = File::open("/proc/self/ns/net")?;
    let nodes = [NodeHandle { name: node.clone(), netns: netns.as_fd() }];
    let mut proxy = ServiceProxy::open(Backend::default(), &nodes, ProxyOptions::default())?;
    let topology = topology(node, pods, services)?;
    let empty = ControlPlane::new(Arc::new(topology))?.snapshot();
    // What the nodes are, a watch tells.
    let empty = Snapshot { nodes: BTreeMap::new(), ..Snapshot::clone(&empty) };
    let mut objects: BTreeMap<String, Value> = BTreeMap::new();
    let mut watches = Watches::begin(url, &KINDS);
    for generation in 1.. {
        for event in watches.news()? {
            let object = &event["object"];
            let metadata = &object["metadata"];
            let key = format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]);
            match event["type"] == "DELETED" {
                true => drop(objects.remove(&key)),
                false => drop(objects.insert(key, object.clone())),
            }
        }
        let mut snapshot = Snapshot { generation, ..empty.clone() };
        objects.values().try_for_each(|object| add(&mut snapshot, object))?;
        // Nothing can be programmed before the node is known.
        if snapshot.nodes.contains_key(node) {
            proxy.program(&Arc::new(snapshot))?;
        }
    }
    Ok(())
}

/// Of the cluster, what matters to services.
fn topology(node: &str, pods: &str, services: &str) -> Result<Topology, Box<dyn Error>> {
    let node = TopologyNode { name: node.to_owned(), ..TopologyNode::default() };
    let mut topology = Topology { nodes: vec![node], ..Topology::default() };
    let mut families = Vec::new();
    for (into, ranges) in [(&mut topology.ranges.pods, pods), (&mut topology.ranges.services, services)] {
        families = ranges.split(',').map(|range| add_range(into, range)).collect::<Result<_, _>>()?;
    }
    topology.family = match families.as_slice() {
        [Family::Ipv4] => Families::Ipv4,
        [Family::Ipv6] => Families::Ipv6,
        _ => Families::Dual,
    };
    Ok(topology)
}

fn add_range(ranges: &mut PerFamily<ipnet::IpNet>, range: &str) -> Result<Family, Box<dyn Error>> {
    let range: ipnet::IpNet = range.parse()?;
    let family = Family::of(range.addr());
    *ranges.get_mut(family) = range;
    Ok(family)
}

/// Adds an object as the API has it: complete, so that nothing is left for a control plane to do.
fn add(snapshot: &mut Snapshot, object: &Value) -> Result<(), Box<dyn Error>> {
    let source = Source::new("the API", object.to_string());
    let read = read_manifests(&source, &Context::default()).map_err(|problems| format!("{problems}"))?;
    for object in read.objects.into_iter().map(|it| it.object) {
        let metadata = object.metadata();
        let name = NamespacedName::new(metadata.namespace.clone().unwrap_or_default(), &metadata.name);
        match object {
            Object::Node(node) => drop(snapshot.nodes.insert(name.name, Arc::new(node))),
            Object::Service(service) => drop(snapshot.services.insert(name, Arc::new(service))),
            Object::EndpointSlice(slice) => drop(snapshot.endpoint_slices.insert(name, Arc::new(slice))),
            other => return Err(format!("nobody asked for a {}", other.kind()).into()),
        }
    }
    Ok(())
}
