//! Pods as written, and pod templates, defaulted and validated as the API server does.

use super::metadata::{MetadataRules, object_meta};
use super::{Context, scalars, scheduling, tables};
use crate::core::{Container, ContainerPort, HostPort, Pod, PodPhase, TransportProtocol};
use crate::meta::ObjectMeta;
use crate::names;
use crate::reader::{Field, Fields};
use netproof_text::quote::quote;
use std::collections::BTreeMap;
use std::net::IpAddr;

const PHASES: &[(&str, PodPhase)] = &[
    ("Pending", PodPhase::Pending),
    ("Running", PodPhase::Running),
    ("Succeeded", PodPhase::Succeeded),
    ("Failed", PodPhase::Failed),
    // The node does not answer: assume that the pod runs.
    ("Unknown", PodPhase::Running),
];

pub(super) fn pod(document: &Field<'_>, context: &Context) -> Option<Pod> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    let mut pod = pod_spec(metadata, &object, &PodRules::KUBERNETES);
    let deletion = object.get("metadata").filter(|field| !field.node.entries().is_empty());
    let deletion =
        deletion.and_then(|field| field.mapping()).and_then(|fields| fields.text("deletionTimestamp"));
    if let Some(field) = deletion {
        field.checked("time", scalars::check_time);
        pod.terminating = true;
    }
    if let Some(status) = object.get("status").and_then(|field| field.fields(tables::POD_STATUS)) {
        pod.pod_ips = addresses(&status, "podIPs", "podIP", "a pod");
        pod.host_ips = addresses(&status, "hostIPs", "hostIP", "a node");
        pod.phase = status.text("phase").and_then(|field| field.word("phase", PHASES)).unwrap_or_default();
        pod.ready = status.items("conditions").iter().all(|condition| !says_unready(condition));
    }
    Some(pod)
}

/// The rules for a pod's `spec`.
pub(super) struct PodRules<'a> {
    /// All fields that it may have.
    pub(super) known: &'a [&'a str],
    /// Whether its containers must have names.
    pub(super) named_containers: bool,
}

impl PodRules<'static> {
    /// The rules for a pod, and for the templates of Kubernetes' own kinds.
    pub(super) const KUBERNETES: Self = PodRules { known: tables::POD_SPEC, named_containers: true };
}

/// A pod from the field `spec` of a pod or of a pod template.
pub(super) fn pod_spec(metadata: ObjectMeta, object: &Fields<'_>, rules: &PodRules<'_>) -> Pod {
    let mut pod = Pod { metadata, service_account: "default".to_owned(), ready: true, ..Pod::default() };
    let Some(spec) = object.require("spec").and_then(|field| field.fields(rules.known)) else {
        return pod;
    };
    let name =
        |key| spec.text(key).and_then(|field: Field<'_>| field.checked("name", names::check_dns_subdomain));
    pod.node_name = name("nodeName").map(str::to_owned);
    if let Some(account) = name("serviceAccountName").or(name("serviceAccount")) {
        pod.service_account = account.to_owned();
    }
    pod.host_network = spec.get("hostNetwork").and_then(|field| field.boolean()).unwrap_or(false);
    scheduling::wishes(&spec, &mut pod);
    let label = |key| spec.text(key).filter(|field| field.node.as_str() != Some(""));
    let label =
        |key| label(key).and_then(|field: Field<'_>| field.checked("host name", names::check_dns_label));
    pod.hostname = label("hostname").map(str::to_owned);
    pod.subdomain = label("subdomain").map(str::to_owned);

    let (host_network, named) = (pod.host_network, rules.named_containers);
    let mut containers = Containers { host_network, named, ..Containers::default() };
    for field in spec.items("initContainers") {
        // An init container that always restarts is a sidecar: it runs and serves next to the others. Any
        // other has ended before they start: it shares their names, and no port.
        match field.node.get("restartPolicy").and_then(|node| node.as_str()) {
            Some("Always") => pod.containers.extend(containers.read(&field)),
            _ => containers.read_alone(&field),
        }
    }
    match spec.get("containers") {
        Some(field) if field.node.items().is_empty() => {
            field.items();
            field.error("a pod needs a container", "add `- name: ...`");
        }
        Some(field) => pod.containers.extend(field.items().iter().filter_map(|item| containers.read(item))),
        None => spec.missing("containers"),
    }
    pod
}

/// Names and ports that the containers of one pod must not share.
#[derive(Default)]
struct Containers {
    host_network: bool,
    /// Whether each must have a name.
    named: bool,
    names: Vec<String>,
    port_names: BTreeMap<String, usize>,
    ports: Vec<(u16, TransportProtocol)>,
}

impl Containers {
    /// Reads a container that runs when no other does.
    fn read_alone(&mut self, field: &Field<'_>) {
        let names = std::mem::take(&mut self.names);
        let (host_network, named) = (self.host_network, self.named);
        let mut alone = Containers { host_network, named, names, ..Containers::default() };
        alone.read(field);
        self.names = alone.names;
    }

    fn read(&mut self, field: &Field<'_>) -> Option<Container> {
        let fields = field.fields(tables::CONTAINER)?;
        let name = if self.named { fields.require("name") } else { fields.get("name") };
        let name = name.and_then(|field| {
            let name = field.checked("name", names::check_dns_label)?;
            if self.names.iter().any(|other| other == name) {
                let message = format!("two containers of the name {}", quote(name));
                field.error(message, "give every container of the pod a name of its own");
            }
            self.names.push(name.to_owned());
            Some(name.to_owned())
        });
        let index = self.names.len();
        let ports = fields.items("ports").iter().filter_map(|port| self.port(port, index)).collect();
        Some(Container { name: name.unwrap_or_default(), ports })
    }

    fn port(&mut self, field: &Field<'_>, container: usize) -> Option<ContainerPort> {
        let fields = field.fields(tables::CONTAINER_PORT)?;
        let container_port = fields.require("containerPort").and_then(|field| scalars::port_number(&field));
        let name = fields.text("name").and_then(|field| {
            let name = field.checked("port name", names::check_port_name)?;
            let message = format!("two ports of the name {}", quote(name));
            match self.port_names.insert(name.to_owned(), container) {
                Some(other) if other == container => {
                    field.error(message, "give every port of the container a name of its own");
                }
                Some(_) => field.warn(message, "policies and services that name the port mean the first one"),
                None => {}
            }
            Some(name.to_owned())
        });
        let host_port =
            fields.get("hostPort").filter(|field| *field.value() != netproof_text::yaml::Value::Int(0));
        let host_port = host_port.and_then(|field| Some((scalars::port_number(&field)?, field)));
        let ip = fields.get("hostIP").filter(|field| field.string().is_none_or(|text| !text.is_empty()));
        let ip = ip.and_then(|field| scalars::address(&field));
        if let Some((number, field)) = &host_port
            && self.host_network
            && container_port.is_some_and(|port| port != *number)
        {
            let help = "a pod in its node's network has the same port inside and outside; leave it out";
            field.error("`hostPort` differs from `containerPort`", help);
        }
        let host_port = host_port.filter(|_| !self.host_network).map(|(port, _)| HostPort { port, ip });
        let (container_port, protocol) = (container_port?, scalars::protocol(&fields));
        if self.ports.contains(&(container_port, protocol)) {
            let help = "keep one of them: one process can listen on it";
            field.warn(format!("the port {container_port}/{protocol} stands in this pod twice"), help);
        }
        self.ports.push((container_port, protocol));
        Some(ContainerPort { name, container_port, protocol, host_port })
    }
}

/// A list of addresses such as `podIPs`, and the field that is its first: at most one of each family.
fn addresses(status: &Fields<'_>, list: &str, first: &str, whose: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for item in status.items(list) {
        let field = item.fields(&["ip"]).and_then(|fields| fields.require("ip"));
        let Some(field) = field else { continue };
        let Some(address) = scalars::address(&field) else { continue };
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            let help = format!("{whose} has at most one IPv4 and one IPv6 address");
            field.error("two addresses of one family", help);
        }
        addresses.push(address);
    }
    if let Some(field) = status.text(first)
        && let Some(address) = scalars::address(&field)
    {
        match addresses.first() {
            None => addresses.push(address),
            Some(other) if *other != address => {
                field.error(format!("`{first}` is not the first of `{list}`, {other}"), "make them the same");
            }
            Some(_) => {}
        }
    }
    addresses
}

/// Whether it is the condition Ready, and is not true.
fn says_unready(condition: &Field<'_>) -> bool {
    let Some(fields) = condition.fields(tables::CONDITION) else { return false };
    let is = |name, word| fields.get(name).and_then(|field| field.string()) == Some(word);
    is("type", "Ready") && !is("status", "True")
}
