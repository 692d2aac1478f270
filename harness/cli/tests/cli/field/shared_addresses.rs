//! Services at one address: what must differ is the port, and what does not goes to the first by name.

use crate::command::run;

fn input(name: &str) -> String {
    format!("{}/tests/cli/field/inputs/shared-addresses/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What the command says, without the place of the inputs.
fn said(arguments: &[&str]) -> String {
    run(arguments).replace(&input(""), "")
}

#[test]
fn services_may_have_the_addresses_of_nodes_together() {
    let export = input("export.yaml");
    let text = said(&["matrix", "--services", "--from", "internet,broker", "--to", "proxy,broker", &export]);
    assert!(text.contains("0 denied, 2 without a route, the packets did the same"), "{text}");
    for (flow, backend) in [
        ("external/internet -> loadbalancer/edge/proxy:80", "pod/edge/proxy sees it"),
        ("external/internet -> loadbalancer/broker:5672", "pod/default/broker sees it"),
        ("external/internet -> ip/192.168.9.22:80", "pod/edge/proxy sees it"),
        ("pod/broker -> ip/192.168.9.22:5672", "pod/default/broker sees it"),
    ] {
        let text = said(&["explain", &export, "--flow", flow]);
        assert!(text.contains(": allow\n") && text.contains(backend), "{flow}: {text}");
    }
}

#[test]
fn a_port_that_two_have_at_one_address_is_warned_of() {
    let files = [input("export.yaml"), input("one-more.yaml")];
    let text =
        said(&["explain", &files[0], &files[1], "--flow", "external/internet -> ip/192.168.9.21:5672"]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_contested_port_is_of_the_first_by_name_in_every_mode_of_the_proxy() {
    for mode in ["nftables", "iptables"] {
        let text = said(&["run", "--proxy-mode", mode, &input("contested.yaml")]);
        assert!(text.contains("4 checks, all passed"), "{mode}: {text}");
        assert!(
            text.contains("service/default/a and service/default/b both have port 80/TCP"),
            "{mode}: {text}"
        );
    }
}
