//! What `netproof matrix` prints, pasted into a step.

use crate::command::{Folder, netproof};

const SCENARIO: &str = "
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: two-ports}
spec:
  description: Two ports, two families, an external host.
  topology: two-nodes
  variants: {family: [FAMILY]}
  objects:
    - pod: {name: server, labels: {app: server}, node: node1, ports: [80, 443, 53/udp]}
    - pod: {name: client, node: node2}
    - external: {name: 198.51.100.7, addresses: [198.51.100.7, \"2001:db8:7::7\"]}
    - service: {name: server, selector: {app: server}, ports: [80, 443]}
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: server}
      spec:
        podSelector: {matchLabels: {app: server}}
        ingress:
          - ports: [{port: 443}]
          - from: [{ipBlock: {cidr: 198.51.100.0/24}}]
  steps:
    - name: as it is
      expect: [{flow: pod/client -> pod/server:443, verdict: allow}]
";

/// The tables of a matrix, as they are pasted.
fn tables(text: &str) -> String {
    let is_of_a_table =
        |part: &&str| part.starts_with(':') || matches!(*part, "ipv4" | "ipv6" | "ipv4 and ipv6");
    let tables: Vec<String> = text
        .trim_end()
        .split("\n\n")
        .filter(is_of_a_table)
        .map(|table| table.lines().map(|line| format!("        {line}\n")).collect())
        .collect();
    tables.join("\n")
}

#[test]
fn every_table_of_a_matrix_can_be_pasted() {
    for family in ["ipv4", "ipv6", "dual"] {
        let scenario = SCENARIO.replace("FAMILY", family);
        let folder = Folder::with(&[("bare.yaml", &scenario)]);
        let print =
            netproof(&["matrix", "bare.yaml", "--services"]).current_dir(folder.path()).output().unwrap();
        let printed = String::from_utf8(print.stdout).unwrap();
        let pasted = tables(&printed);
        assert!(pasted.matches("        :").count() > 2, "{printed}");
        let whole = format!("{scenario}      matrix: |\n{pasted}");
        std::fs::write(folder.path().join("pasted.yaml"), &whole).unwrap();
        let valid = folder.run(&["validate", "pasted.yaml"]);
        assert!(valid.starts_with("exit code 0\n"), "{valid}\n{whole}");
        let run = folder.run(&["run", "pasted.yaml"]);
        assert!(run.starts_with("exit code 0\n"), "{run}\n{whole}");
        // The step expects what the tables say: the other verdict is a contradiction.
        let wrong = whole.replacen(" X", " .", 1);
        assert_ne!(wrong, whole);
        std::fs::write(folder.path().join("pasted.yaml"), &wrong).unwrap();
        let invalid = folder.run(&["validate", "pasted.yaml"]);
        assert!(invalid.starts_with("exit code 2\n"), "{invalid}");
    }
}

/// What cannot be pasted says what to do.
#[test]
fn what_cannot_be_pasted_says_what_to_do() {
    let scenario = SCENARIO.replace("FAMILY", "ipv4");
    let tables = "
      matrix: |
        :80          pod/server+1  service/server
        pod/client   X             ~.

        :443         pod/server
        pod/client   .!
        external/192.0.2.9  .

        :443         pod/server
        pod/client   .

        `.` allowed, `X` denied by policy
";
    let folder = Folder::with(&[("pasted.yaml", &format!("{}{}", scenario.trim_end(), tables))]);
    insta::assert_snapshot!("pasted_wrong", folder.run(&["validate", "pasted.yaml"]));
}
