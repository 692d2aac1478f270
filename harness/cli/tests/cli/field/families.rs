//! Flows whose two families differ: each has an answer of its own, and a verdict of its own.

use crate::command::Folder;

const BOTH: &str = "
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: both}
spec:
  description: A block of IPv4 lets in one family of a host that has both.
  topology: two-nodes
  variants: {family: [dual]}
  objects:
    - pod: {name: web, labels: {app: web}, ports: [80]}
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web}
      spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}
  steps:
    - name: one family
      expect:
        - {flow: external/internet -> pod/web:80, verdict: VERDICT}
";

#[test]
fn a_verdict_for_each_family() {
    let folder = Folder::with(&[
        ("one.yaml", &BOTH.replace("VERDICT", "allow")),
        ("each.yaml", &BOTH.replace("VERDICT", "{ipv4: allow, ipv6: deny}")),
        ("wrong.yaml", &BOTH.replace("VERDICT", "{ipv4: deny, ipv6: allow}")),
        ("mixed.yaml", &BOTH.replace("VERDICT", "{ipv4: allow, pod/web: deny}")),
    ]);
    let run = folder.run(&["run", "each.yaml"]);
    assert!(run.starts_with("exit code 0\n"), "{run}");
    let wrong: Vec<String> =
        ["one.yaml", "wrong.yaml", "mixed.yaml"].iter().map(|file| folder.run(&["validate", file])).collect();
    insta::assert_snapshot!("families_wrong", wrong.join("\n"));
    let explained = folder.run(&["explain", "each.yaml"]);
    for line in ["external/internet -> pod/default/web:80 ipv4: allow", "pod/default/web:80 ipv6: deny"] {
        assert!(explained.contains(line), "{explained}");
    }
    let matrix = folder.run(&["matrix", "each.yaml", "--port", "80"]);
    assert!(matrix.contains("\nipv4\n") && matrix.contains("\nipv6\n"), "{matrix}");
}
