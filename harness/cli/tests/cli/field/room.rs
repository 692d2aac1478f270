//! Nodes for the pods of manifests: as many made-up ones as they need, and what waits where nodes are given.

use crate::command::run;

/// What `matrix` says of these files of the folder with these options, their paths left out.
fn matrix(options: &[&str], files: &[&str]) -> String {
    let folder = format!("{}/tests/cli/field/inputs/room/", env!("CARGO_MANIFEST_DIR"));
    let paths: Vec<String> = files.iter().map(|file| format!("{folder}{file}")).collect();
    let mut arguments = vec!["matrix"];
    arguments.extend(options);
    arguments.extend(paths.iter().map(String::as_str));
    run(&arguments).replace(&folder, "")
}

#[test]
fn manifests_that_name_no_node_get_as_many_as_their_pods_need() {
    let ends = ["--from", "crawler-0,crawler-599,internet", "--to", "crawler-1,crawler-599"];
    insta::assert_snapshot!(matrix(&[&["--predict"], &ends[..]].concat(), &["many.yaml"]));
    let probed = matrix(&[&["--wiring", "bridge", "--family", "dual"], &ends[..]].concat(), &["many.yaml"]);
    assert!(probed.contains("12 cells: 8 allowed, 4 denied, the packets did the same"), "{probed}");
}

#[test]
fn a_node_that_is_named_has_room_for_all_who_name_it() {
    let text = matrix(&["--predict", "--from", "crawler-599", "--to", "crawler-0"], &["one-node.yaml"]);
    assert!(text.contains("600 pods, 1 external host"), "{text}");
    assert!(text.contains("the cluster is as the manifests say: the node big"), "{text}");
}

#[test]
fn pods_that_share_a_port_of_their_node_are_on_nodes_of_their_own() {
    insta::assert_snapshot!(matrix(&["--predict", "--to", "client"], &["gateways.yaml"]));
}

#[test]
fn who_finds_no_node_is_pending_where_the_nodes_are_given() {
    insta::assert_snapshot!(matrix(&["--predict", "--to", "client"], &["gateways.yaml", "nodes.yaml"]));
}

#[test]
fn pods_that_share_a_host_port_are_on_nodes_of_their_own() {
    insta::assert_snapshot!(matrix(&["--predict"], &["host-ports.yaml"]));
}

#[test]
fn whom_the_named_node_does_not_take_is_pending() {
    insta::assert_snapshot!(matrix(&["--predict"], &["fixed-node.yaml"]));
}
