//! Pods.

use super::metadata::{annotate, metadata};
use super::{fields, insert, insert_filled, object};
use netproof_api::{Container, ContainerPort, Pod, Toleration};
use netproof_controlplane::host_interface;
use netproof_model::{InterfacePrefix, NamespacedName};
use serde_json::{Map, Value, json};

/// The annotation of a pod with a network of its own: the name of its interface on its node's side.
pub const INTERFACE_ANNOTATION: &str = "netproof.io/interface";

/// Since when a pod that is being deleted is: all that matters is that it is.
const DELETED_SINCE: &str = "2026-01-01T00:00:00Z";

/// A Pod (v1), whose interface has that prefix.
pub fn pod(prefix: &InterfacePrefix, name: &NamespacedName, pod: &Pod) -> Value {
    let mut metadata = metadata(&pod.metadata);
    if !pod.host_network {
        annotate(&mut metadata, INTERFACE_ANNOTATION, host_interface(prefix, name));
    }
    if pod.terminating {
        metadata.insert("deletionTimestamp".into(), DELETED_SINCE.into());
    }
    let containers: Vec<Value> = pod.containers.iter().map(|it| container(pod, it)).collect();
    let mut spec =
        fields([("serviceAccountName", json!(pod.service_account)), ("containers", json!(containers))]);
    insert(&mut spec, "nodeName", &pod.node_name);
    insert(&mut spec, "hostname", &pod.hostname);
    insert(&mut spec, "subdomain", &pod.subdomain);
    insert_filled(&mut spec, "nodeSelector", json!(pod.node_selector));
    insert_filled(&mut spec, "tolerations", pod.tolerations.iter().map(toleration).collect());
    if pod.host_network {
        spec.insert("hostNetwork".into(), true.into());
    }
    let ready = if pod.ready { "True" } else { "False" };
    let conditions = json!([{"type": "Ready", "status": ready}]);
    let mut status = fields([("phase", json!(pod.phase)), ("conditions", conditions)]);
    for (one, all, ips) in [("podIP", "podIPs", &pod.pod_ips), ("hostIP", "hostIPs", &pod.host_ips)] {
        insert(&mut status, one, &ips.first());
        insert_filled(&mut status, all, ips.iter().map(|ip| json!({"ip": ip})).collect());
    }
    object("v1", "Pod", metadata, [("spec", spec.into()), ("status", status.into())])
}

fn container(pod: &Pod, container: &Container) -> Value {
    let mut fields = fields([("name", json!(container.name))]);
    let ports = container.ports.iter().map(|port| container_port(pod, port));
    insert_filled(&mut fields, "ports", ports.collect());
    fields.into()
}

fn container_port(pod: &Pod, port: &ContainerPort) -> Value {
    let mut fields =
        fields([("containerPort", port.container_port.into()), ("protocol", json!(port.protocol))]);
    insert(&mut fields, "name", &port.name);
    if pod.host_network {
        fields.insert("hostPort".into(), port.container_port.into());
    }
    if let Some(host) = &port.host_port {
        fields.insert("hostPort".into(), host.port.into());
        insert(&mut fields, "hostIP", &host.ip);
    }
    fields.into()
}

fn toleration(toleration: &Toleration) -> Value {
    let mut fields = Map::new();
    insert_filled(&mut fields, "key", json!(toleration.key));
    fields.insert("operator".into(), json!(toleration.operator));
    insert_filled(&mut fields, "value", json!(toleration.value));
    insert(&mut fields, "effect", &toleration.effect);
    fields.into()
}
