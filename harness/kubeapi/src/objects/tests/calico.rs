//! Objects of Calico's API, as it has them.

use crate::objects::policy;
use netproof_api::Policy;
use netproof_api::calico::{CalicoPolicy, NetworkSet, StagedKubernetesNetworkPolicy, Tier};
use serde_json::{Value, json};

fn spec_of(object: impl Into<Policy>, kind: &str) -> Value {
    let object = policy(&object.into());
    assert_eq!((&object["apiVersion"], &object["kind"]), (&json!("projectcalico.org/v3"), &json!(kind)));
    object["spec"].clone()
}

#[test]
fn a_policys_fields_are_those_of_the_api() {
    let spec = json!({
        "tier": "default",
        "order": 10.5,
        "selector": "role == 'db'",
        "types": ["Ingress"],
        "ingress": [{
            "action": "Allow",
            "ipVersion": 4,
            "protocol": "TCP",
            "notProtocol": 47,
            "notICMP": {"type": 8},
            "source": {"notNets": ["10.0.0.0/8"], "serviceAccounts": {"names": ["a"]}},
            "destination": {"ports": [80, "90:99", "http"], "services": {"name": "s", "namespace": "n"}},
        }],
        "preDNAT": true,
        "applyOnForward": true,
    });
    let written: CalicoPolicy =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
    assert_eq!(spec_of(written, "GlobalNetworkPolicy"), spec);
    let staged: CalicoPolicy = serde_json::from_value(
        json!({"metadata": {"name": "a", "namespace": "b"}, "staged": "Set", "spec": spec}),
    )
    .unwrap();
    let mut expected = spec;
    expected["stagedAction"] = json!("Set");
    assert_eq!(spec_of(staged, "StagedNetworkPolicy"), expected);
}

#[test]
fn other_objects() {
    let tier: Tier = serde_json::from_value(
        json!({"metadata": {"name": "a"}, "spec": {"order": 1.0, "defaultAction": "Pass"}}),
    )
    .unwrap();
    assert_eq!(spec_of(tier, "Tier"), json!({"order": 1.0, "defaultAction": "Pass"}));
    let set: NetworkSet =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "nets": ["10.0.0.0/8"]})).unwrap();
    assert_eq!(spec_of(set, "GlobalNetworkSet"), json!({"nets": ["10.0.0.0/8"]}));
    let staged: StagedKubernetesNetworkPolicy = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "b"},
        "staged": "Set",
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
    }))
    .unwrap();
    let expected = json!({"podSelector": {}, "policyTypes": ["Egress"], "stagedAction": "Set"});
    assert_eq!(spec_of(staged, "StagedKubernetesNetworkPolicy"), expected);
}
