//! What the program can say beyond NetworkPolicy: three sets of policies that people have, made into programs by a
//! front end as thin as a test needs, and printed.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod programs;

#[test]
fn four_global_policies_of_calico_on_pods() {
    insta::assert_snapshot!("four-global-policies", programs::four_global_policies());
}

#[test]
fn calico_protects_node_ports_before_dnat() {
    insta::assert_snapshot!("node-ports-before-dnat", programs::node_ports_before_dnat());
}

#[test]
fn a_cluster_network_policy_passes_to_the_namespaces_own() {
    insta::assert_snapshot!("cluster-network-policy", programs::cluster_network_policy());
}
