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

/// There is no flow to try, and that is the answer with packets too.
#[test]
fn where_everybody_is_in_the_network_of_the_node_there_is_nothing_to_try() {
    let predicted = said(&["matrix", "--predict"], "nobody-else.yaml");
    insta::assert_snapshot!(predicted);
    assert_eq!(said(&["matrix"], "nobody-else.yaml"), predicted);
}
