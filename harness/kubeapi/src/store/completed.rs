//! What an API server, kubelets and controllers add to an object that has nothing to do with its network, but that
//! agents and people read: an identity, times, conditions.
//!
//! All of it is the same in every run.

use crate::kinds::Kind;
use serde_json::{Map, Value, json};

/// When everything came into being, and became as it is.
const TIME: &str = "2026-01-01T00:00:00Z";

/// The time of everything.
pub(crate) fn now() -> Value {
    TIME.into()
}

/// Completes an object of a kind; what it has stays as it is.
pub(crate) fn complete(object: &mut Value, kind: &Kind) {
    let Some(object) = object.as_object_mut() else { return };
    metadata(object, kind);
    match (kind.group, kind.kind) {
        ("", "Namespace") => default(object, &["spec", "finalizers"], json!(["kubernetes"])),
        ("", "Node") => node(object),
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        ("networking.k8s.io", "ServiceCIDR") => {
            let ready = json!([condition("Ready", true, "")]);
            default(object, &["status", "conditions"], ready);
        }
        _ => (),
    }
}

/// Puts the version into an object's metadata.
pub(super) fn set_version(object: &mut Value, version: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), version.to_string().into());
    }
}

/// The uid of an object: the same for the same kind, namespace and name. A UUID of version 8, whose bits are a hash
/// (FNV-1a) of the three.
fn uid(kind: &str, namespace: &str, name: &str) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in [kind, "/", namespace, "/", name].iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let hash = hash & !(0xf << 76) | (8 << 76);
    let hash = hash & !(0x3 << 62) | (2 << 62);
    let part = |from: u32, digits: u32| (hash >> from) & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

fn metadata(object: &mut Map<String, Value>, kind: &Kind) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let text = |metadata: &Map<String, Value>, key: &str| {
        metadata.get(key).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let namespace = text(metadata, "namespace");
    let id = uid(kind.kind, &namespace, &text(metadata, "name"));
    metadata.entry("uid").or_insert(id.into());
    metadata.entry("creationTimestamp").or_insert_with(now);
    if metadata.contains_key("deletionTimestamp") {
        metadata.entry("deletionGracePeriodSeconds").or_insert(json!(30));
    }
    let owners = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten().filter_map(Value::as_object_mut) {
        let id = uid(&text(owner, "kind"), &namespace, &text(owner, "name"));
        owner.entry("uid").or_insert(id.into());
    }
}

fn node(object: &mut Map<String, Value>) {
    let name = object.get("metadata").and_then(|it| it.get("name")).cloned();
    let status = child(object, "status");
    let addresses =
        status.and_then(|status| status.entry("addresses").or_insert_with(|| json!([])).as_array_mut());
    if let (Some(addresses), Some(name)) = (addresses, name) {
        let address = json!({"type": "Hostname", "address": name});
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let conditions = json!([
        condition("MemoryPressure", false, "KubeletHasSufficientMemory"),
        condition("DiskPressure", false, "KubeletHasNoDiskPressure"),
        condition("PIDPressure", false, "KubeletHasSufficientPID"),
        condition("Ready", true, "KubeletReady"),
    ]);
    default(object, &["status", "conditions"], conditions);
    let info = json!({
        "architecture": std::env::consts::ARCH, "operatingSystem": "linux", "osImage": "netproof",
        "kernelVersion": "", "kubeletVersion": crate::VERSION, "kubeProxyVersion": crate::VERSION,
        "containerRuntimeVersion": "netproof://1", "machineID": "", "systemUUID": "", "bootID": "",
    });
    default(object, &["status", "nodeInfo"], info);
}

/// A pod is scheduled if it has a node, and all of it is ready or none.
fn pod(object: &mut Map<String, Value>) {
    let at = |object: &Map<String, Value>, parent: &str, key: &str| {
        object.get(parent).and_then(|it| it.get(key)).cloned()
    };
    let is_scheduled = at(object, "spec", "nodeName").is_some();
    let phase = at(object, "status", "phase");
    let is = |wanted: &str| phase.as_ref().and_then(Value::as_str) == Some(wanted);
    let (runs, has_succeeded, has_failed) = (is("Running"), is("Succeeded"), is("Failed"));
    let account = at(object, "spec", "serviceAccountName");
    let ready = at(object, "status", "conditions")
        .and_then(|it| it.as_array()?.iter().find(|it| it["type"] == "Ready")?.get("status").cloned())
        .is_some_and(|it| it == "True");
    let containers = at(object, "spec", "containers");
    let containers = containers.as_ref().and_then(Value::as_array).into_iter().flatten();
    let statuses = containers.map(|container| {
        let state = match () {
            () if runs => json!({"running": {"startedAt": TIME}}),
            () if has_succeeded || has_failed => json!({"terminated": {
                "exitCode": u8::from(has_failed), "reason": if has_failed { "Error" } else { "Completed" },
                "startedAt": TIME, "finishedAt": TIME,
            }}),
            () => json!({"waiting": {"reason": "ContainerCreating"}}),
        };
        json!({
            "name": container["name"], "ready": runs && ready, "started": runs, "restartCount": 0,
            "image": "", "imageID": "", "state": state,
        })
    });
    let statuses: Vec<Value> = statuses.collect();
    if let Some(account) = account {
        default(object, &["spec", "serviceAccount"], account);
    }
    default(object, &["spec", "restartPolicy"], json!("Always"));
    default(object, &["spec", "dnsPolicy"], json!("ClusterFirst"));
    default(object, &["status", "qosClass"], json!("BestEffort"));
    let Some(status) = child(object, "status") else { return };
    let mut conditions = vec![condition("PodScheduled", is_scheduled, "")];
    if is_scheduled {
        conditions.push(condition("Initialized", true, ""));
        conditions.push(condition("ContainersReady", runs && ready, ""));
        status.entry("startTime").or_insert_with(now);
        status.entry("containerStatuses").or_insert(statuses.into());
    }
    conditions.push(condition("Ready", ready, ""));
    status.insert("conditions".into(), conditions.into());
}

/// A service has a policy about its families unless it is an alias, which has none.
fn service(object: &mut Map<String, Value>) {
    let families = object.get("spec").and_then(|spec| spec.get("ipFamilies")).and_then(Value::as_array);
    let policy = match families.map(Vec::len) {
        None => return,
        Some(1) => "SingleStack",
        Some(_) => "PreferDualStack",
    };
    default(object, &["spec", "ipFamilyPolicy"], policy.into());
}

/// Whoever an endpoint refers to has a uid.
fn endpoint_slice(object: &mut Map<String, Value>) {
    let endpoints = object.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        let Some(target) = endpoint.get_mut("targetRef").and_then(Value::as_object_mut) else { continue };
        let text = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or("");
        let id = uid(text("kind"), text("namespace"), text("name"));
        target.entry("uid").or_insert(id.into());
    }
}

fn condition(name: &str, holds: bool, reason: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let mut condition = json!({"type": name, "status": status, "lastTransitionTime": TIME});
    if let (Some(condition), false) = (condition.as_object_mut(), reason.is_empty()) {
        condition.insert("reason".into(), reason.into());
    }
    condition
}

/// Sets a field that is not there.
fn default<const N: usize>(object: &mut Map<String, Value>, path: &[&str; N], value: Value) {
    let [parents @ .., name] = path.as_slice() else { return };
    let parent = parents.iter().try_fold(object, |parent, key| child(parent, key));
    if let Some(parent) = parent {
        parent.entry(*name).or_insert(value);
    }
}

/// The map under a key, which is made if nothing is there.
fn child<'a>(object: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    object.entry(key).or_insert_with(|| json!({})).as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn completed(mut object: Value) -> Value {
        let (_, kind) =
            kinds::of_object(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap())
                .expect("a kind that is served");
        complete(&mut object, kind);
        object
    }

    #[test]
    fn uids_are_uuids_and_tell_objects_apart() {
        let ids = [uid("Pod", "a", "b"), uid("Pod", "a", "c"), uid("Pod", "", "b"), uid("Node", "a", "b")];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        for id in ids {
            let parts: Vec<&str> = id.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(parts[2].starts_with('8') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        }
    }

    #[test]
    fn a_slice_refers_to_its_service_and_pods_by_the_uids_that_these_have() {
        let pod = completed(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "dev", "name": "a"},
        }));
        let service = completed(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "dev", "name": "s"},
        }));
        let slice = completed(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": "dev", "name": "s-1", "ownerReferences": [{"kind": "Service", "name": "s"}]},
            "endpoints": [{"targetRef": {"kind": "Pod", "namespace": "dev", "name": "a"}}, {}],
        }));
        assert_eq!(slice["endpoints"][0]["targetRef"]["uid"], pod["metadata"]["uid"]);
        assert_eq!(slice["metadata"]["ownerReferences"][0]["uid"], service["metadata"]["uid"]);
    }

    #[test]
    fn a_pod_is_ready_if_its_condition_says_so() {
        let pod = |phase: &str, ready: &str, node: Option<&str>| {
            completed(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "dev", "name": "a"},
                "spec": node.map_or(json!({"containers": [{"name": "c"}]}), |node| {
                    json!({"containers": [{"name": "c"}], "nodeName": node})
                }),
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
            }))
        };
        let shown = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array().unwrap().iter();
            let conditions: Vec<String> = conditions
                .map(|it| format!("{}={}", it["type"].as_str().unwrap(), it["status"].as_str().unwrap()))
                .collect();
            let status = &pod["status"]["containerStatuses"][0];
            let state = status["state"].as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
            format!("{} {:?} {}", conditions.join(" "), state, status["ready"])
        };
        let table = [
            (
                pod("Running", "True", Some("n")),
                r#"PodScheduled=True Initialized=True ContainersReady=True Ready=True Some(["running"]) true"#,
            ),
            (
                pod("Running", "False", Some("n")),
                r#"PodScheduled=True Initialized=True ContainersReady=False Ready=False Some(["running"]) false"#,
            ),
            (
                pod("Failed", "False", Some("n")),
                r#"PodScheduled=True Initialized=True ContainersReady=False Ready=False Some(["terminated"]) false"#,
            ),
            (pod("Pending", "False", None), "PodScheduled=False Ready=False None null"),
        ];
        for (pod, expected) in table {
            assert_eq!(shown(&pod), expected);
        }
    }

    #[test]
    fn a_service_has_a_policy_about_its_families() {
        let policy = |spec: Value| {
            let service =
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec});
            completed(service)["spec"]["ipFamilyPolicy"].clone()
        };
        assert_eq!(policy(json!({"ipFamilies": ["IPv4"]})), "SingleStack");
        assert_eq!(policy(json!({"ipFamilies": ["IPv4", "IPv6"]})), "PreferDualStack");
        let required = json!({"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"});
        assert_eq!(policy(required), "RequireDualStack");
        assert_eq!(policy(json!({"type": "ExternalName"})), Value::Null);
    }

    #[test]
    fn what_an_object_has_stays() {
        let node = completed(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n", "uid": "its own", "creationTimestamp": "then"},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}], "conditions": []},
        }));
        assert_eq!(node["metadata"]["uid"], "its own");
        assert_eq!(node["metadata"]["creationTimestamp"], "then");
        assert_eq!(node["status"]["conditions"], json!([]));
        assert_eq!(node["status"]["addresses"].as_array().unwrap().len(), 2);
    }
}
