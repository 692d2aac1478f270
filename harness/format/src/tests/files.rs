//! Files and folders: what is found, what is passed over, and what a scenario may read.

use super::*;
use netproof_api::Effect;

fn ids(loaded: &Loaded) -> Vec<String> {
    loaded.plans.iter().map(|plan| plan.id.to_string()).collect()
}

#[test]
fn folders_are_searched_and_other_yaml_is_passed_over() {
    let folder = Folder::new(&[
        ("scenarios/b/two.yaml", GOOD),
        ("scenarios/a/one.yml", GOOD),
        ("scenarios/a/deep/three.yaml", GOOD),
        ("scenarios/a/manifests/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"),
        ("scenarios/a/chart/template.yaml", "{{ if .Values.x }}\n"),
        ("scenarios/a/empty.yaml", ""),
        ("scenarios/a/notes.txt", "kind: Scenario"),
        ("scenarios/.hidden/four.yaml", GOOD),
    ]);
    let loaded = folder.load("scenarios", &Options::default()).unwrap();
    assert_eq!(ids(&loaded), ["a::deep::case", "a::case", "b::case"]);
    assert_eq!((loaded.files, loaded.passed_over_files), (3, 3));
    assert_eq!(ids(&folder.load("scenarios/b/two.yaml", &Options::default()).unwrap()), ["b::case"]);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end_somewhere() {
    let folder = Folder::new(&[("a/one.yaml", GOOD)]);
    std::os::unix::fs::symlink("..", folder.path("a/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path("a/lost.yaml")).unwrap();
    std::os::unix::fs::symlink("one.yaml", folder.path("a/same.yaml")).unwrap();
    assert_eq!(ids(&folder.load("", &Options::default()).unwrap()), ["a::case"]);
}

#[test]
fn one_scenario_a_document() {
    let text = format!("{GOOD}---\n{}", changed("{name: case}", "{name: second}"));
    assert_eq!(ids(&load_text(&text).unwrap()), ["case", "second"]);
}

#[test]
fn what_is_not_there() {
    let folder = Folder::new(&[
        ("empty.yaml", ""),
        ("null.yaml", "---\n---\n"),
        ("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"),
        ("list.yaml", "- a\n"),
        ("typo/x.yaml", "apiVersion: netproof/v1alpha1\nkind: Scenaro\n"),
        ("folder/notes.txt", ""),
        ("twice/a.yaml", GOOD),
        ("twice/b.yaml", GOOD),
        ("mixed.yaml", &format!("{GOOD}---\napiVersion: v1\nkind: Pod\n")),
        ("two/a.yaml", &changed("pod/web:80", "pod/web:1")),
        ("two/b.yaml", &changed("pod/web:80", "pod/web:2")),
    ]);
    std::fs::write(folder.path("binary.yaml"), b"\xff\xfe\x00kind: Scenario").unwrap();
    let mut report = String::new();
    for path in [
        "absent.yaml",
        "empty.yaml",
        "null.yaml",
        "pod.yaml",
        "list.yaml",
        "typo",
        "folder",
        "twice",
        "mixed.yaml",
        "two",
        "binary.yaml",
    ] {
        let errors = folder.load(path, &Options::default()).expect_err(path);
        report.push_str(&format!("{errors}\n\n\n"));
    }
    insta::assert_snapshot!(report);
    assert!(load(&[], &Options::default()).is_err());
}

#[test]
fn manifests_come_from_files_inside_the_root() {
    let manifests = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: a, image: b, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
";
    let item = |path: &str| {
        changed("- pod: {name: client}", &format!("- pod: {{name: client}}\n    - file: {path}"))
    };
    let folder = Folder::new(&[
        ("root/manifests/shop.yaml", manifests),
        ("root/s/good.yaml", &item("../manifests/shop.yaml").replace("pod/web:80", "pod/shop-0:80")),
        ("root/s/above.yaml", &item("../../outside.yaml")),
        ("root/s/link.yaml", &item("link/outside.yaml")),
        ("root/s/absolute.yaml", &item("/etc/hostname")),
        ("root/s/absent.yaml", &item("nowhere.yaml")),
        ("root/s/folder.yaml", &item(".")),
        ("root/s/itself.yaml", &item("itself.yaml")),
        ("root/s/broken.yaml", &item("broken-manifest.yml")),
        ("root/s/broken-manifest.yml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x, nmae: y}\n"),
        ("root/s/again.yaml", &item("again-manifest.yml")),
        (
            "root/s/again-manifest.yml",
            "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 1}]}}",
        ),
        ("outside.yaml", manifests),
    ]);
    #[cfg(unix)]
    std::os::unix::fs::symlink("../..", folder.path("root/s/link")).unwrap();
    let options = Options { root: Some(folder.path("root")), ..Options::default() };
    let load_file = |name: &str| load(&[folder.path(&format!("root/s/{name}.yaml"))], &options);
    let good = load_file("good").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        good.plans[0].steps[0].expectations[0].name,
        "one/pod/default/client -> pod/default/shop-0:80"
    );
    let ignored: Vec<_> =
        good.ignored.of(Effect::None).into_iter().map(|kind| (kind.kind, kind.count)).collect();
    assert_eq!(ignored, [("ConfigMap".to_owned(), 1)]);
    let mut report = String::new();
    for name in ["above", "link", "absolute", "absent", "folder", "itself", "broken", "again"] {
        let errors = load_file(name).expect_err(name);
        report.push_str(&format!("{}\n\n\n", folder.without_path(&errors.to_string())));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn topologies_are_found_beside_and_above_the_scenario() {
    let topology = |name: &str, node: &str| {
        format!(
            "apiVersion: netproof/v1alpha1\nkind: Topology\nmetadata: {{name: {name}}}\nspec: {{nodes: [{{name: {node}}}]}}\n"
        )
    };
    let scenario = |name: &str| changed("topology: two-nodes", &format!("topology: {name}"));
    let folder = Folder::new(&[
        ("topologies/far.yaml", &topology("far", "root")),
        ("topologies/near.yaml", &topology("near", "root")),
        ("scenarios/topologies/near.yml", &topology("near", "here")),
        ("scenarios/topologies/wrong.yaml", &topology("right", "here")),
        ("scenarios/a/near.yaml", &scenario("near")),
        ("scenarios/a/far.yaml", &scenario("far")),
        ("scenarios/b/wrong.yaml", &scenario("wrong")),
        ("scenarios/b/absent.yaml", &scenario("fra")),
    ]);
    let node = |path: &str, options: &Options| {
        let loaded = folder.load(path, options).unwrap_or_else(|errors| panic!("{errors}"));
        loaded.plans[0].topology.nodes[0].name.clone()
    };
    assert_eq!(node("scenarios/a/near.yaml", &Options::default()), "here");
    assert_eq!(node("scenarios/a/far.yaml", &Options::default()), "root");
    let one = Options { topology: Some("one-node".to_owned()), ..Options::default() };
    assert_eq!(node("scenarios/a/far.yaml", &one), "node1");
    let mut report = String::new();
    for path in ["scenarios/b/wrong.yaml", "scenarios/b/absent.yaml"] {
        report.push_str(&format!("{}\n\n\n", folder.load(path, &Options::default()).expect_err(path)));
    }
    let absent = Options { topology: Some("tow-nodes".to_owned()), ..Options::default() };
    report.push_str(&folder.load("scenarios/a/far.yaml", &absent).unwrap_err());
    insta::assert_snapshot!(report);
}

const SUITE: &str = "\
apiVersion: netproof/v1alpha1
kind: Suite
metadata: {name: all}
spec:
  description: Scenarios of other folders.
  include: [../b, ../c/three.yaml]
";

#[test]
fn a_suite_plays_what_stands_elsewhere_once_and_by_its_own_name() {
    let folder = Folder::new(&[
        ("scenarios/a/all.yaml", SUITE),
        ("scenarios/a/one.yaml", GOOD),
        ("scenarios/b/two.yaml", GOOD),
        // Suites may include each other.
        ("scenarios/b/back.yaml", &SUITE.replace("[../b, ../c/three.yaml]", "[../a/all.yaml, ../a]")),
        ("scenarios/c/three.yaml", GOOD),
        ("scenarios/c/four.yaml", &changed("{name: case}", "{name: four}")),
    ]);
    let load = |path| folder.load(path, &Options::default()).unwrap();
    assert_eq!(ids(&load("scenarios/a")), ["a::case", "b::case", "c::case"]);
    assert_eq!(ids(&load("scenarios/a/all.yaml")), ["b::case", "c::case", "a::case"]);
    assert_eq!(ids(&load("scenarios")), ["a::case", "b::case", "c::four", "c::case"]);
    // As if it had been named itself.
    let location = &load("scenarios/a").plans[1].location;
    assert!(location.file.ends_with("scenarios/b/two.yaml"), "{location}");
}

#[test]
fn what_is_wrong_with_a_suite() {
    let folder = Folder::new(&[("inside/scenarios/b/two.yaml", GOOD), ("outside.yaml", GOOD)]);
    std::fs::create_dir_all(folder.path("inside/scenarios/c")).unwrap();
    let mut report = String::new();
    for (from, to) in [
        ("../b, ../c/three.yaml", "../c, ../c/three.yaml, /etc, ../../../outside.yaml, ../b"),
        ("[../b, ../c/three.yaml]", "[]"),
        ("[../b, ../c/three.yaml]", "../b"),
        ("include: ", "includes: "),
        ("  description: Scenarios of other folders.\n", ""),
        ("{name: all}", "{name: All}"),
        ("kind: Suite", "kind: Sweet"),
    ] {
        std::fs::create_dir_all(folder.path("inside/scenarios/a")).unwrap();
        std::fs::write(folder.path("inside/scenarios/a/all.yaml"), SUITE.replace(from, to)).unwrap();
        let options = Options { root: Some(folder.path("inside")), ..Options::default() };
        let errors = load(&[folder.path("inside/scenarios/a/all.yaml")], &options).expect_err(to);
        report.push_str(&format!("{}\n\n\n", folder.without_path(&errors.to_string())));
    }
    insta::assert_snapshot!(report);
}
