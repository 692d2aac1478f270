//! EndpointSlices.

use super::metadata::{metadata, own};
use super::{fields, insert, insert_filled, object};
use netproof_api::core::EndpointHints;
use netproof_api::{Endpoint, EndpointSlice, OwnerReference};
use netproof_controlplane::{ENDPOINT_SLICE_CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL};
use serde_json::{Map, Value, json};

/// An EndpointSlice (discovery.k8s.io/v1). One that the controller made is its service's.
pub fn endpoint_slice(slice: &EndpointSlice) -> Value {
    let mut metadata = metadata(&slice.metadata);
    let labels = &slice.metadata.labels;
    let is_made = labels.get(MANAGED_BY_LABEL).is_some_and(|it| it == ENDPOINT_SLICE_CONTROLLER);
    if let (true, None, Some(service)) = (is_made, &slice.metadata.controller, labels.get(SERVICE_NAME_LABEL))
    {
        let service = OwnerReference { group: String::new(), kind: "Service".into(), name: service.clone() };
        own(&mut metadata, &service);
    }
    let namespace = slice.metadata.namespace.as_deref();
    let endpoints: Vec<Value> = slice.endpoints.iter().map(|it| endpoint(namespace, it)).collect();
    // These two are required, and there when they are empty.
    let rest = [
        ("addressType", json!(slice.address_type)),
        ("endpoints", endpoints.into()),
        ("ports", json!(slice.ports)),
    ];
    object("discovery.k8s.io/v1", "EndpointSlice", metadata, rest)
}

fn endpoint(namespace: Option<&str>, endpoint: &Endpoint) -> Value {
    let conditions = json!({
        "ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating,
    });
    let mut fields = fields([("addresses", json!(endpoint.addresses)), ("conditions", conditions)]);
    insert(&mut fields, "hostname", &endpoint.hostname);
    insert(&mut fields, "nodeName", &endpoint.node_name);
    insert(&mut fields, "zone", &endpoint.zone);
    insert(&mut fields, "hints", &endpoint.hints.as_ref().map(hints));
    if let Some(pod) = &endpoint.pod {
        let target = json!({"kind": "Pod", "namespace": namespace, "name": pod});
        fields.insert("targetRef".into(), target);
    }
    fields.into()
}

fn hints(hints: &EndpointHints) -> Value {
    let named = |names: &[String]| names.iter().map(|name| json!({"name": name})).collect();
    let mut fields = Map::new();
    insert_filled(&mut fields, "forZones", named(&hints.for_zones));
    insert_filled(&mut fields, "forNodes", named(&hints.for_nodes));
    fields.into()
}
