//! One mistake at a time, and what a user reads about it.

use super::*;

/// Loads a scenario with each of the changes, and writes down what comes of it.
fn report(cases: &[(&str, &str)]) -> String {
    let mut report = String::new();
    for (from, to) in cases {
        report.push_str(&format!("{}\n\n\n", complaints(&changed(from, to))));
    }
    report
}

#[test]
fn documents() {
    insta::assert_snapshot!(report(&[
        ("netproof/v1alpha1", "netproof/v1"),
        ("kind: Scenario", "kind: Senario"),
        ("kind: Scenario\n", ""),
        ("{name: case}", "{name: Case}"),
        ("{name: case}", "{nam: case}"),
        ("  description: A case.\n", ""),
        ("  topology: two-nodes", "  topologie: two-nodes"),
        ("  topology: two-nodes", "  topology: two-nodes\n  topology: one-node"),
        ("  topology: two-nodes", "  topology: tow-nodes"),
        ("  topology: two-nodes", "  topology: 2"),
        ("  topology: two-nodes", "  topology: ../two-nodes"),
        ("  topology: two-nodes", "  namespace: My_Space"),
        ("  topology: two-nodes", "  matrix: on"),
        ("  topology: two-nodes", "  topology: [two-nodes"),
        ("verdict: deny", "verdict: denied"),
    ]));
}

/// The matrix of every step, the profile that it is read by, and a step that relies on it.
#[test]
fn matrices_of_steps() {
    let topology = "  topology: two-nodes";
    let mut report = report(&[
        (topology, "  topology: two-nodes\n  matrix: [pod-ip]"),
        (topology, "  topology: two-nodes\n  matrix: {}"),
        (topology, "  topology: two-nodes\n  matrix: {destinations: []}"),
        (topology, "  topology: two-nodes\n  matrix: {destinations: [pod-ip, service]}"),
        (topology, "  topology: two-nodes\n  matrix: {destination: [pod-ip]}"),
        (topology, "  topology: two-nodes\n  profile: strickt"),
        (topology, "  topology: two-nodes\n  profile: romana"),
        (topology, "  topology: two-nodes\n  profile: [strict]"),
    ]);
    let step = |expect: &str| {
        let (head, _) = GOOD.split_once("      expect:").unwrap();
        format!("{head}      expect: {expect}\n")
    };
    let off = |text: String| text.replace(topology, "  topology: two-nodes\n  matrix: off");
    let nowhere = |text: String| {
        let text = text.replace(topology, "  topology: {nodes: [{name: node1}]}");
        let text = text.replace(", ports: [80, 53/udp, \"metrics:9100\"]", "");
        text.replace("    - service: {name: web, selector: {app: web}, ports: [80]}\n", "")
    };
    for text in
        [step("orakle"), step("{oracle: true}"), step("[]"), off(step("oracle")), nowhere(step("oracle"))]
    {
        report.push_str(&format!("{}\n\n\n", complaints(&text)));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn learned_neighbours_are_few() {
    let pods: String = (0..45).map(|i| format!("    - pod: {{name: p{i}}}\n")).collect();
    let text = GOOD
        .replace(
            "  topology: two-nodes",
            "  topology: {nodes: [{name: node1}, {name: node2}], neighbours: learned}",
        )
        .replace("  objects:\n", &format!("  objects:\n{pods}"));
    insta::assert_snapshot!(complaints(&text));
    let fewer = text.replace("    - pod: {name: p0}\n", "");
    assert_eq!(load_text(&fewer).unwrap().plans[0].places, 50);
}

#[test]
fn objects() {
    let pod = "- pod: {name: client}";
    insta::assert_snapshot!(report(&[
        (pod, "- pod: {name: client, colour: red}"),
        (pod, "- pod: {name: Client}"),
        (pod, "- pod: {name: client, namespace: nowhere}"),
        (pod, "- pod: {name: client, node: node3}"),
        (pod, "- pod: {name: client, labels: {app: 1}}"),
        (pod, "- pod: {name: client, labels: {app: \"a b\"}}"),
        (pod, "- pod: {name: client, ip: 10.0.0.1}"),
        (pod, "- pod: {name: client, ip: ten}"),
        (pod, "- pod: {name: client, ports: [0]}"),
        (pod, "- pod: {name: client, ports: [80/quic]}"),
        (pod, "- pod: {name: client, ports: [\"Metrics:80\"]}"),
        (pod, "- pod: {name: client, listens: [80, 80/tcp, x]}"),
        (pod, "- pod: {name: client}\n      node: {name: node1}"),
        (pod, "- deployment: {name: client}"),
        (pod, "- client"),
        (pod, "- pod: {name: client}\n    - pod: {name: web}"),
        (
            pod,
            "- pod: {name: client}\n    - {apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}"
        ),
        (pod, "- pod: {name: client}\n    - service: {name: two, ports: [80, \"80:81\"]}"),
        (pod, "- pod: {name: client}\n    - service: {name: two, ports: [\"80:\"]}"),
        (pod, "- pod: {name: client}\n    - service: {name: two, ports: [80, 81], nodePort: 30000}"),
        (pod, "- pod: {name: client}\n    - service: {name: two, ports: [80], nodePort: 30000}"),
        (pod, "- pod: {name: client}\n    - service: {name: two, type: Loadbalancer, ports: [80]}"),
        (pod, "- pod: {name: client}\n    - node: {name: node3, labels: {a: b}}"),
        (pod, "- pod: {name: client}\n    - external: {name: far, addresses: []}"),
        (pod, "- pod: {name: client}\n    - external: {name: far, addresses: [10.244.1.1, 127.0.0.1, x]}"),
        (pod, "- pod: {name: client}\n    - external: {name: far, addresses: [203.0.113.10]}"),
        (pod, "- pod: {name: client}\n    - listens: {pod/nobody: [80]}"),
        (pod, "- pod: {name: client}\n    - listens: {service/web: [80]}"),
        ("podSelector: {matchLabels", "podSelectr: {matchLabels"),
        ("kind: NetworkPolicy", "kind: NetworkPolcy"),
        ("ingress: []", "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]"),
        ("podSelector: {matchLabels: {app: web}}", "podSelector: {matchLabels: {app: wbe}}"),
        (
            "ingress: []",
            "ingress: [{from: [{podSelector: {matchLabels: {app: x}}}, {namespaceSelector: {matchLabels: {a: b}}}]}]",
        ),
        ("selector: {app: web}", "selector: {app: wbe}"),
        ("  objects:", "  matchesNothing: [networkpolicy/dney, pod/web]\n  objects:"),
        ("  objects:", "  matchesNothing: [networkpolicy/dney]\n  objects:"),
    ]));
}

#[test]
fn steps() {
    let delete = |what: &str| format!("- name: one\n      delete: [{what}]");
    let label = |what: &str| format!("- name: one\n      label: {{{what}}}");
    let name = "- name: one";
    let cases = [
        delete("networkpolicy/other"),
        delete("pod"),
        delete("pods/web"),
        delete("pod/web, pod/default/web"),
        delete("node/node1"),
        delete("pod/Web"),
        label("pod/nobody: {a: b}"),
        label("pod/web: {a b: c}"),
        label("pod/web: [a]"),
        label("external/internet: {a: b}"),
        "- name: one\n      changes: [{label: {pod/web: {a: b}}}]".to_owned(),
        "- name: zero\n      changes: [{remove: [pod/web]}]\n    - name: one".to_owned(),
        "- name: zero\n      changes: [{delete: [pod/web], apply: [{pod: {name: web}}]}, {}]\n    - name: one".to_owned(),
        "- name: zero\n      apply: [{pod: {name: web, ports: [81]}}]\n    - name: one".to_owned(),
        "- name: zero\n      apply: [{pod: {name: web, node: node2}}]\n    - name: one".to_owned(),
        "- name: one\n    - name: one".to_owned(),
        "- name: \"\"".to_owned(),
        "- name: \"one\\ntwo\"".to_owned(),
        format!("- name: {}", "x".repeat(201)),
        "- nam: one".to_owned(),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|case| (name, case.as_str())).collect();
    insta::assert_snapshot!(report(&cases));
}

#[test]
fn flows() {
    let flow = "pod/client -> pod/web:80";
    insta::assert_snapshot!(report(&[
        (flow, "pod/client"),
        (flow, "pod/clint -> pod/web:80"),
        (flow, "pod/client -> pod/other/web:80"),
        (flow, "pod/client -> pod/wbe:80"),
        (flow, "pod/client -> service/wbe:80"),
        (flow, "pod/client -> node/node3:80"),
        (flow, "pod/client -> external/intranet:80"),
        (flow, "service/web -> pod/web:80"),
        (flow, "pod/client -> pod/web"),
        (flow, "pod/web -> pod/client"),
        (flow, "pod/client -> pod/web:81"),
        (flow, "pod/client -> pod/web:80/udp"),
        (flow, "pod/client -> pod/web:metric"),
        (flow, "pod/client -> pod/web:metrics/udp"),
        (flow, "pod/client -> pod/web:80/quic"),
        (flow, "pod/client -> service/web:icmp"),
        (flow, "pod/client -> service/web:81"),
        (flow, "pod/client -> nodeport/web@node1:80"),
        (flow, "pod/client -> nodeport/web:80"),
        (flow, "pod/client -> loadbalancer/web:80"),
        (flow, "pod/client -> loadbalancer/wbe:80"),
        (flow, "pod/client -> dns/wbe.default:80"),
        (flow, "external/internet -> dns/web.default.svc.cluster.local:80"),
        (flow, "pod/client -> ip/10.0.0.1:80"),
        (flow, "pod/client -> ip/[2001:db8:113::10]:80"),
        (flow, "{from: pod/client, to: \"pod/web:80\", port: 80}"),
        (flow, "{from: pod/client, to: pod/web, protocol: udp}"),
        (flow, "{from: pod/client, to: pod/web, port: 53/udp, protocol: udp}"),
        (flow, "{from: pod/client, to: pod/web, port: 80, protocol: icmp}"),
        (flow, "{from: pod/client, to: pod/wbe, port: 80}"),
        (flow, "{from: pod/client, to: 7}"),
        (flow, "{from: pod/client, too: pod/web}"),
        (flow, "[pod/client]"),
        ("flow: pod/client -> pod/web:80", "flows: []"),
        (
            "flow: pod/client -> pod/web:80",
            "flows: |\n            pod/client -> pod/web:80\n\n            pod/client -> pod/wbe:80"
        ),
        (
            "flow: pod/client -> pod/web:80",
            "flows: [pod/client -> pod/web:80]\n          flow: pod/client -> pod/web:80"
        ),
        ("- flow: pod/client -> pod/web:80\n         ", "-"),
    ]));
}

#[test]
fn expectations() {
    let verdict = "verdict: deny\n          decidedBy: networkpolicy/deny\n";
    let decided_by = "decidedBy: networkpolicy/deny";
    insta::assert_snapshot!(report(&[
        (verdict, "decidedBy: isolation\n"),
        (verdict, "verdict: deny\n          outcome: refused\n"),
        (verdict, "outcome: refussed\n"),
        (verdict, "verdict: {}\n"),
        (verdict, "verdict: {pod/client: allow}\n"),
        (verdict, "verdict: {pod/web: maybe}\n"),
        (verdict, "verdict: allow\n          baseline: {outcome: refused, because: x}\n"),
        (verdict, "verdict: deny\n          baseline: {outcome: refused}\n"),
        (verdict, "verdict: deny\n          sees: pod/client\n"),
        (verdict, "verdict: allow\n          sees: pod/clint\n"),
        (verdict, "verdict: allow\n          sees: client\n"),
        (verdict, "verdict: allow\n          sees: ip/fd00::1\n"),
        (verdict, "verdict: allow\n          servedBy: pod/client\n"),
        (verdict, "verdict: allow\n          servedBy: []\n"),
        (verdict, "verdict: allow\n          decidedBy: networkpolicy/deny\n"),
        (verdict, "verdict: deny\n          baseline: {outcome: refused, because: \" \"}\n"),
        (verdict, "verdict: allow\n          via: node/node1\n"),
        (verdict, "verdict: allow\n          family: ipv6\n"),
        (verdict, "verdict: allow\n          family: dual\n"),
        (verdict, "outcome: refused\n          decidedBy: isolation\n"),
        (decided_by, "decidedBy: networkpolicy/dney"),
        (decided_by, "decidedBy: networkpolicy/other/deny"),
        (decided_by, "decidedBy: networkpolicy/deny#egress"),
        (decided_by, "decidedBy: networkpolicy/deny#ingress[0]"),
        (decided_by, "decidedBy: networkpolicy/deny#sideways"),
        (decided_by, "decidedBy: pod/web"),
        (decided_by, "decidedBy: isolaton"),
        (decided_by, "decidedBy: default"),
        (decided_by, "decidedBy: host"),
        (verdict, "verdict: allow\n          decidedBy: isolation\n"),
        (verdict, "verdict: allow\n          decidedBy: service\n"),
        (verdict, "verdict: allow\n          decidedBy: networkpolicy/deny#ingress\n"),
        (verdict, "verdict: allow\n          decidedBy: networkpolicy/deny#egress\n"),
        (verdict, "verdict: {pod/web: allow}\n          decidedBy: isolation\n"),
        (
            "- flow: pod/client -> pod/web:80\n          verdict: deny\n          decidedBy: networkpolicy/deny\n",
            "[]\n"
        ),
    ]));
}

/// Keys about services: where they belong, and what they may name.
#[test]
fn service_expectations() {
    let flow = "flow: pod/client -> pod/web:80";
    let verdict = "verdict: deny\n          decidedBy: networkpolicy/deny\n";
    let objects = "    - pod: {name: client}\n";
    let with = |flow_: &str, keys: &[&str]| {
        let text = changed(flow, &format!("flow: {flow_}"));
        let other = "    - pod: {name: client}\n    - pod: {name: api, labels: {app: web}, ports: [80]}\n";
        let text = text.replace(objects, other);
        complaints(&text.replace(verdict, &format!("{}\n", keys.join("\n          "))))
    };
    let (pod, service) = ("pod/client -> pod/web:80", "pod/client -> service/web:80");
    let cases: &[(&str, &[&str])] = &[
        (pod, &["verdict: [deny]"]),
        (pod, &["verdict: allow", "rejectedWith: tcp-reset"]),
        (pod, &["verdict: drop", "rejectedWith: tcp-reset"]),
        (pod, &["verdict: reject", "rejectedWith: reset"]),
        (pod, &["verdict: allow", "sticky: true"]),
        (pod, &["verdict: deny", "sticky: true"]),
        (service, &["verdict: allow", "sticky: 3"]),
        (service, &["verdict: {pod/web: allow, pod/api: deny}", "sticky: true"]),
        (service, &["verdict: {pod/web: allow}"]),
        (service, &["verdict: allow", "sticky: true", "connection: keep"]),
        (service, &["verdict: {pod/web: allow, pod/api: deny}", "connection: keep"]),
        (pod, &["verdict: allow", "connection: close"]),
        ("pod/client -> pod/web:icmp", &["verdict: allow", "connection: keep"]),
        ("pod/client -> pod/web:80/http", &["verdict: allow", "connection: keep"]),
        (
            pod,
            &[
                "verdict: allow",
                "connection: keep\n        - flow: pod/client -> pod/default/web:80/tcp",
                "verdict: deny",
                "connection: keep",
            ],
        ),
        (service, &["verdict: allow", "via: []"]),
        (service, &["verdict: allow", "via: pod/web"]),
        (service, &["verdict: allow", "via: [node/node1, node/node3]"]),
        (service, &["verdict: allow", "policySees: {}"]),
        (service, &["verdict: allow", "policySees: {from: pod/client}"]),
        (service, &["verdict: allow", "policySees: {destination: service/web}"]),
        (service, &["verdict: allow", "policySees: pod/clint"]),
        (service, &["verdict: allow", "sees: tunnel/node1"]),
        (service, &["verdict: allow", "sees: tunnel/node3"]),
        (service, &["verdict: allow", "sees: routter"]),
        (service, &["verdict: allow", "dns: pod/web"]),
        (service, &["outcome: name-not-found"]),
        (service, &["verdict: deny", "baseline: {outcome: name-server-unreachable, because: x}"]),
        ("pod/client -> dns/web:80", &["verdict: allow", "dns: []"]),
        ("pod/client -> dns/web:80", &["verdict: allow", "dns: service/wbe"]),
        ("pod/client -> dns/web:80", &["verdict: allow", "dns: [service/web, ip/fd00::1]"]),
        ("pod/client -> dns/wbe:80", &["outcome: name-not-found", "dns: service/web"]),
    ];
    let mut report = String::new();
    for (flow, keys) in cases {
        report.push_str(&format!("{}\n\n\n", with(flow, keys)));
    }
    insta::assert_snapshot!(report);
}

/// What is expected to answer has somebody who can.
#[test]
fn nobody_behind_a_service() {
    let flow = "flow: pod/client -> pod/web:80";
    let text = changed(flow, "flow: FLOW")
        .replace("verdict: deny\n          decidedBy: networkpolicy/deny", "verdict: allow");
    let text = text
        .replace("selector: {app: web}, ports: [80]}", "selector: {app: none}, type: NodePort, ports: [80]}");
    let mut report = String::new();
    for flow in
        ["pod/client -> service/web:80", "pod/client -> nodeport/web@node1:80", "pod/client -> dns/web:80"]
    {
        report.push_str(&format!("{}\n\n\n", complaints(&text.replace("FLOW", flow))));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn matrices() {
    let expect = "expect:\n        - flow: pod/client -> pod/web:80\n          verdict: deny\n          decidedBy: networkpolicy/deny\n";
    let matrix = |table: &str| format!("matrix: |\n        {}\n", table.replace('\n', "\n        "));
    let tables = [
        ":80 pod/web\npod/client x",
        ":80 pod/web pod/client\npod/client . ",
        ":80 pod/web\npod/client . .",
        ":80 pod/web pod/default/web\npod/client . .",
        ":80 pod/web\npod/client .\npod/client X",
        "80 pod/web\npod/client .",
        ":80 pod/wbe\npod/client .",
        ":80 pod/web\npod/clint .",
        ":81 pod/web\npod/client X",
        ":80 web\npod/client X",
        ":80",
        " ",
    ];
    let mut texts: Vec<String> = tables.iter().map(|table| matrix(table)).collect();
    texts.push("matrix: [{a: b}]\n".to_owned());
    texts.push("matrix: \":80 pod/web\"\n".to_owned());
    let cases: Vec<(&str, &str)> = texts.iter().map(|text| (expect, text.as_str())).collect();
    insta::assert_snapshot!(report(&cases));
}

#[test]
fn topologies() {
    let topology = "topology: two-nodes";
    let inline = |fields: &str| format!("topology: {{{fields}}}");
    let nodes = "nodes: [{name: node1}, {name: node2}]";
    let texts = [
        inline("wiring: routed"),
        inline("nodes: []"),
        inline("nodes: [{name: node1}, {name: node1}]"),
        inline("nodes: [{name: Node}]"),
        inline("nodes: [{name: node1, labels: {\"a b\": c}}]"),
        inline(&format!("{nodes}, wiring: bridged")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv4: 10.244.0.0}}}}")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv4: 10.244.0.1/16}}}}")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv6: 'ff02::/48'}}, nodes: {{ipv4: 127.0.0.0/24}}}}")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv4: \"fd00::/48\"}}}}")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv4: 10.96.4.0/22}}}}")),
        inline(&format!("{nodes}, ranges: {{pods: {{ipv4: 10.1.0.0/24}}}}")),
        inline(&format!("{nodes}, externals: [{{name: a, addresses: [10.96.0.1]}}]")),
        inline(&format!(
            "{nodes}, externals: [{{name: a, addresses: [192.0.2.1]}}, {{name: b, addresses: [192.0.2.1]}}]"
        )),
        inline(&format!(
            "{nodes}, externals: [{{name: a, addresses: [192.0.2.1]}}, {{name: a, addresses: [192.0.2.2]}}]"
        )),
        inline(&format!("{nodes}, externals: [{{name: a, addresses: [192.0.2.1], ports: [\"80:81\"]}}]")),
        inline(&format!("{nodes}, externals: [{{name: a, addresses: [192.0.2.1], dns: [a..b]}}]")),
    ];
    let cases: Vec<(&str, &str)> = texts.iter().map(|text| (topology, text.as_str())).collect();
    insta::assert_snapshot!(report(&cases));
}

#[test]
fn networks() {
    let with = |fields: &str| format!("topology: {{nodes: [{{name: node1}}, {{name: node2}}], {fields}}}");
    let clients = "{name: clients, range: 50.60.0.0/16}";
    let host = |fields: &str| {
        with(&format!(
            "networks: [{clients}, {{name: far, range: {{ipv6: \"2001:db8::/48\"}}}}], externals: [{{name: a, {fields}}}]"
        ))
    };
    let texts = [
        with("networks: [{name: clients}]"),
        with("networks: [{name: clients, range: {}}]"),
        with("networks: [{name: clients, range: 50.60.0.1/16}]"),
        with("networks: [{name: clients, range: fifty}]"),
        with("networks: [{name: clients, range: {ipv4: \"2001:db8::/48\"}}]"),
        with("networks: [{name: clients, range: [50.60.0.0/16]}]"),
        with(&format!("networks: [{clients}, {{name: clients, range: 70.80.90.0/24}}]")),
        with(&format!("networks: [{clients}, {{name: part, range: 50.60.7.0/24}}]")),
        with("networks: [{name: pods, range: 10.244.3.0/24}]"),
        with("networks: [{name: a, default: true}, {name: b, default: true}]"),
        with("networks: [{name: a, default: yes}]"),
        host("addresses: [50.60.0.1, 192.0.2.1]"),
        host("addresses: [50.60.0.1], network: client"),
        host("addresses: [50.60.0.1], network: far"),
        with("externals: [{name: a, addresses: [192.0.2.1], network: far}]"),
        with("advertised: [cluster-ip]"),
        with("advertised: [cluster-ips, cluster-ips]"),
        with("loadBalancer: {nodes: [nod1, node2, node2]}"),
        with("loadBalancer: {range: {ipv4: 172.18.0.128/25}}"),
        with(&format!("loadBalancer: {{range: {{ipv4: 50.60.1.0/24}}}}, networks: [{clients}]")),
        with("loadBalancer: {}, externals: [{name: a, addresses: [172.19.0.7]}]"),
        with("natOutgoing: maybe"),
    ];
    let topology = "topology: two-nodes";
    let cases: Vec<(&str, &str)> = texts.iter().map(|text| (topology, text.as_str())).collect();
    let mut report = report(&cases);
    let far = "topology: three-nodes-bgp\n  objects:\n    - external: {name: far, addresses: [203.0.113.7], network: clients-a}";
    let text = changed(topology, far).replacen("  objects:\n    - pod", "    - pod", 1);
    report.push_str(&complaints(&text));
    insta::assert_snapshot!(report);
}

#[test]
fn variants() {
    let topology = "topology: two-nodes";
    insta::assert_snapshot!(report(&[
        (topology, "variants: {wiring: []}"),
        (topology, "variants: {wiring: [routed, routed]}"),
        (topology, "variants: {wiring: [flat]}"),
        (topology, "variants: {colour: [red]}"),
        (topology, "requires: {family: ipv4}"),
        (topology, "requires: {because: so}"),
        (topology, "requires: {because: so, family: []}"),
        (topology, "requires: {family: ipv4, because: \"\"}"),
    ]));
}

#[test]
fn a_mistake_of_one_variant_says_which() {
    let topology = "variants: {family: [ipv4, ipv6], wiring: [routed, bridge]}";
    let text = changed("topology: two-nodes", topology)
        .replace("pod/client -> pod/web:80", "pod/client -> ip/203.0.113.10:80");
    let errors = load_text(&text).unwrap_err();
    let first: Vec<&str> = errors.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(first.len(), 1, "{errors}");
    assert!(first[0].ends_with("the topology is ipv6 (in variant routed-ipv6)"), "{errors}");
}
