//! Policies that have no effect because all that they select is in the network of its node.

use crate::command::run;

fn said(arguments: &[&str], input: &str) -> String {
    let folder = format!("{}/tests/cli/field/inputs/host-network/", env!("CARGO_MANIFEST_DIR"));
    let path = format!("{folder}{input}");
    run(&[arguments, &[&path]].concat()).replace(&folder, "")
}

#[test]
fn a_policy_of_host_network_pods_only_is_warned_of() {
    insta::assert_snapshot!(said(&["matrix", "--predict", "--to", "collector"], "policies.yaml"));
}

#[test]
fn in_a_scenario_it_may_be_said_to_be_meant() {
    insta::assert_snapshot!(said(&["validate"], "scenario.yaml"));
}
