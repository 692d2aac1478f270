//! `--topology`: a name, or the path of a file.

use crate::command::Folder;

const SCENARIO: &str = "{apiVersion: netproof/v1alpha1, kind: Scenario, metadata: {name: a}, spec: {description: A., \
    objects: [{pod: {name: a, node: rack2, ports: [80]}}, {pod: {name: b, node: rack1}}], \
    steps: [{name: one, expect: [{flow: pod/b -> pod/a, verdict: allow}]}]}}";
const TOPOLOGY: &str = "{apiVersion: netproof/v1alpha1, kind: Topology, metadata: {name: two-racks}, \
    spec: {nodes: [{name: rack1}, {name: rack2}]}}";
const PODS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: rack2, \
    containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}}";

#[test]
fn a_topology_is_named_or_is_a_file() {
    let files = [("a.yaml", SCENARIO), ("racks/wired.yaml", TOPOLOGY), ("pods.yaml", PODS)];
    let folder = Folder::with(&files);
    let absolute = folder.path().join("racks/wired.yaml").to_string_lossy().into_owned();
    for topology in ["racks/wired.yaml", "./racks/wired.yaml", &absolute] {
        let said = folder.run(&["validate", "a.yaml", "--topology", topology]);
        assert!(said.starts_with("exit code 0\n"), "{topology}: {said}");
        let said = folder.run(&["matrix", "pods.yaml", "--predict", "--topology", topology]);
        assert!(said.starts_with("exit code 0\n"), "{topology}: {said}");
    }
    for (topology, expected) in [
        ("two-nodes", "rack2"),
        ("two-racks", "there is no topology `two-racks`, which --topology names"),
        ("racks/wire.yaml", "there is no file `racks/wire.yaml`, which --topology names"),
        ("racks", "there is no topology `racks`"),
        ("racks/", "there is no file `racks/`"),
        ("a.yaml", "kind"),
    ] {
        let said = folder.run(&["validate", "a.yaml", "--topology", topology]);
        assert!(said.starts_with("exit code 2\n") && said.contains(expected), "{topology}: {said}");
    }
}
