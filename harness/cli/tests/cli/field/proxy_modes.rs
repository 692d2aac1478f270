//! The two modes of kube-proxy: what a scenario says of them, and what the API says in each.

use crate::command::{Folder, run};

const INPUT: &str = "\
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: lost-port}
spec:
  description: A port that the service does not have.
  topology: two-nodes
  requires: {kubeProxyMode: nftables, because: iptables mode lets it through}
  objects:
    - pod: {name: web, labels: {app: web}, node: node2, ports: [80]}
    - pod: {name: client, node: node1}
    - service: {name: web, selector: {app: web}, clusterIP: 10.96.7.7, ports: [80]}
  steps:
    - name: another port
      expect:
        - {flow: pod/client -> ip/10.96.7.7:81, verdict: reject, decidedBy: service}
";

#[test]
fn a_scenario_says_which_mode_it_means() {
    let folder = Folder::with(&[("lost.yaml", INPUT)]);
    let in_mode = |mode| folder.run(&["validate", "lost.yaml", "--kube-proxy-mode", mode]);
    assert!(in_mode("nftables").contains("valid: 1 file, 1 scenario run"), "{}", in_mode("nftables"));
    let text = folder.run(&["list", "lost.yaml", "--kube-proxy-mode", "iptables"]);
    assert!(text.contains("iptables mode lets it through"), "{text}");
    // The old name of the option is still understood.
    assert_eq!(text, folder.run(&["list", "lost.yaml", "--proxy-mode", "iptables"]));
    let wrong = Folder::with(&[("lost.yaml", &INPUT.replace("nftables, because", "ipvs, because"))]);
    let text = wrong.run(&["validate", "lost.yaml"]);
    assert!(
        text.starts_with("exit code 2\n") && text.contains("nftables") && text.contains("iptables"),
        "{text}"
    );
}

#[test]
fn the_api_is_asked_in_the_mode_that_the_run_has() {
    let folder = Folder::with(&[("lost.yaml", &INPUT.replace("kubeProxyMode: nftables", "family: ipv4"))]);
    let text = folder.run(&["validate", "lost.yaml", "--family", "ipv4"]);
    assert!(text.starts_with("exit code 0\n"), "{text}");
    let text = folder.run(&["validate", "lost.yaml", "--family", "ipv4", "--kube-proxy-mode", "iptables"]);
    assert!(text.starts_with("exit code 2\n"), "{text}");
    assert!(text.contains("expected reject, the API says unreachable"), "{text}");
}

#[test]
fn every_refusal_is_judged_in_iptables_mode_too() {
    let suite = format!("{}/../../scenarios/services", env!("CARGO_MANIFEST_DIR"));
    let files =
        ["unknown-ports-and-addresses-fall-through", "source-ranges-without-endpoints-hold-nobody-off"];
    let files = files.map(|name| format!("{suite}/{name}.yaml"));
    let mut arguments = vec!["run", "--require-all", "--family", "dual", "--kube-proxy-mode", "iptables"];
    arguments.extend(files.iter().map(String::as_str));
    let text = run(&arguments);
    assert!(text.starts_with("exit code 0\n"), "{text}");
    assert!(text.contains("checks, all passed; ") && !text.contains("N/A"), "{text}");
}
