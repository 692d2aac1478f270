//! External hosts: a row for each class of addresses that blocks tell apart, and hosts that are named by
//! address.

use super::inputs;
use crate::command::{netproof, shown};

fn asked(arguments: &[&str]) -> String {
    shown(&netproof(arguments).current_dir(inputs("outside")).output().unwrap())
}

/// What the matrix of each file says, with packets, which agree everywhere.
#[test]
fn blocks_tell_addresses_outside_apart() {
    for name in [
        "block-with-an-exception",
        "everywhere-but-metadata",
        "ranges-inside-ranges",
        "nobody-outside",
        "two-halves",
        "around-the-usual-host",
        "many-ranges",
        "load-balancer",
        "export-in-private-ranges",
        "egress-ports",
    ] {
        let text = asked(&["matrix", "--services", &format!("{name}.yaml")]);
        insta::assert_snapshot!(format!("outside_{name}"), text);
    }
    let both = asked(&["matrix", "--family", "dual", "--port", "80", "both-families.yaml"]);
    insta::assert_snapshot!("outside_both-families", both);
}

#[test]
fn any_address_outside_can_be_asked_about() {
    let file = "block-with-an-exception.yaml";
    let chosen = "external/198.51.100.7,external/198.51.100.77,external/192.0.2.9";
    insta::assert_snapshot!(
        "outside_by_address",
        asked(&["matrix", "--from", chosen, "--to", "pod/web", file])
    );
    let to = asked(&[
        "matrix",
        "--to",
        "external/169.254.169.254,external/[2001:db8::7]",
        "--family",
        "dual",
        "everywhere-but-metadata.yaml",
    ]);
    insta::assert_snapshot!("outside_to_an_address", to);
    let flow = |flow: &str, file: &str| asked(&["explain", "--flow", flow, file]);
    insta::assert_snapshot!("outside_explained", flow("external/198.51.100.77 -> pod/web:80", file));
    let metadata = flow("pod/web -> external/169.254.169.254:80", "everywhere-but-metadata.yaml");
    assert!(metadata.contains("external/169.254.169.254:80: deny"), "{metadata}");
    let known = flow("external/203.0.113.10 -> pod/web:80", file);
    assert!(known.contains("external/internet -> 10.244.1.3:80/TCP: denied"), "{known}");
    let balanced = flow("external/198.51.100.9 -> loadbalancer/shop:443", "load-balancer.yaml");
    assert!(balanced.contains("loadbalancer/default/shop:443: allow"), "{balanced}");
    let refused = flow("external/192.0.2.9 -> loadbalancer/shop:443", "load-balancer.yaml");
    assert!(refused.contains("loadbalancer/default/shop:443: drop"), "{refused}");
    let node = flow("external/192.0.2.9 -> nodeport/metrics@node2:9090", "load-balancer.yaml");
    assert!(node.contains("nodeport/default/metrics@node2:9090: allow"), "{node}");
}

#[test]
fn an_address_that_is_not_outside_says_whose_it_is() {
    let file = "load-balancer.yaml";
    let refused: Vec<String> = [
        "10.244.1.3",
        "10.244.1.200",
        "10.96.77.77",
        "172.18.0.2",
        "172.19.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "2001:db8::1",
    ]
    .iter()
    .map(|address| asked(&["matrix", "--predict", "--from", &format!("external/{address}"), file]))
    .collect();
    insta::assert_snapshot!("outside_not_there", refused.join("\n"));
    let explained = asked(&["explain", "--flow", "external/10.244.1.3 -> pod/web:80", file]);
    assert!(explained.contains("10.244.1.3 is the address of pod/default/web"), "{explained}");
    let unreadable = asked(&["matrix", "--predict", "--from", "external/[2001:db8::g]", file]);
    assert!(unreadable.contains("is not an IP address"), "{unreadable}");
}

/// Node ports and load balancers, chosen by their names.
#[test]
fn node_ports_and_load_balancers_are_destinations() {
    let text = asked(&["matrix", "--to", "nodeport/metrics@node2,loadbalancer/*", "load-balancer.yaml"]);
    insta::assert_snapshot!("outside_node_port", text);
}
