//! The command from outside: what it prints and how it ends, where nothing is built.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod agents;
mod command;
#[path = "../completion/mod.rs"]
mod completion;
mod field;
mod skips;
mod spans;
mod topology;

use command::{Folder, netproof, run, shown};
use std::io::Read;
use std::process::{Command, Stdio};

/// A scenario that every topology can run.
const GOOD: &str = "\
apiVersion: netproof/v1alpha1
kind: Scenario
metadata:
  name: deny-all
  labels: {suite: recipes}
spec:
  description: Drop all traffic to the pods of an application.
  topology: two-nodes
  variants: {family: [ipv4, ipv6]}
  objects:
    - pod: {name: web, labels: {app: web}, node: node1, ports: [80]}
    - pod: {name: client, node: node2}
  steps:
    - name: deny all
      apply:
        - apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web-deny-all}
          spec: {podSelector: {matchLabels: {app: web}}, ingress: []}
      expect:
        - flow: pod/client -> pod/web:80
          verdict: deny
";

#[test]
fn help() {
    for command in ["", "run", "list", "validate", "explain", "matrix", "fuzz", "doctor"] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let name = if command.is_empty() { "help".to_owned() } else { format!("help_{command}") };
        insta::assert_snapshot!(name, run(&arguments));
    }
}

#[test]
fn short_help() {
    insta::assert_snapshot!(run(&["run", "-h"]));
}

/// One scenario of the suite of recipes.
fn recipe(name: &str) -> String {
    format!("{}/../../scenarios/recipes/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn explain_gives_the_reason_that_a_reader_of_the_recipe_would_give() {
    let limit = recipe("limit-traffic-to-an-application");
    insta::assert_snapshot!(
        "explain_limit_traffic",
        run(&["explain", &limit, "--step", "only the bookstore", "--filter", "across-ipv4"])
    );
    let deny = recipe("deny-all-traffic-to-an-application");
    insta::assert_snapshot!(
        "explain_one_flow",
        run(&["explain", &deny, "--flow", "pod/client -> service/web", "--family", "dual"])
    );
}

/// The manifests of the documentation.
fn shop() -> String {
    format!("{}/../../docs/examples/shop", env!("CARGO_MANIFEST_DIR"))
}

/// What the command says of the shop, without the place where the repository is.
fn of_shop(command: &[&str], arguments: &[&str]) -> String {
    run(&[command, &[&shop()], arguments].concat()).replace(&shop(), "shop")
}

#[test]
fn manifests_are_explained_without_a_scenario() {
    let flow = "pod/shop/frontend-0 -> service/shop/cart";
    insta::assert_snapshot!("explain_manifests", of_shop(&["explain"], &["--flow", flow]));
    let json = netproof(&["explain", &shop(), "--flow", flow, "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["format"], "netproof.explanation/v1alpha1");
    let explanation = &json["explanations"][0];
    assert_eq!((&explanation["answer"], &explanation["profile"]), (&"allow".into(), &"netproof".into()));
    let decisions = &explanation["ways"][0]["hops"][0]["decisions"];
    assert_eq!(decisions[0]["reason"], "not-isolated", "the default");
    assert_eq!(decisions[1]["decidedBy"][0], "networkpolicy/shop/cart-from-frontend#ingress[0]");
    let rule = &decisions[1]["policies"][0]["rules"][0];
    assert_eq!(rule["matches"], "yes");
    assert!(
        rule["sentence"].as_str().unwrap().contains("(pods with app=frontend in the policy's namespace)")
    );
}

#[test]
fn matrix_predicts_without_a_sandbox() {
    insta::assert_snapshot!("matrix_predict", of_shop(&["matrix"], &["--predict", "--services"]));
    let json = netproof(&["matrix", &shop(), "--predict", "--json", "--to", "redis-*"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["format"], "netproof.matrix/v1alpha1");
    let config_map =
        serde_json::json!({"kind": "ConfigMap", "group": "", "count": 1, "names": ["shop/frontend"]});
    assert_eq!(json["ignored"]["noEffect"][0], config_map);
    assert_eq!(json["impliedNamespaces"], serde_json::json!(["shop"]));
    assert_eq!(
        json["cells"],
        serde_json::json!({"allowed": 6, "denied": 8, "unreachable": 0, "unanswered": 0, "open": 0, "differ": null})
    );
    let table = &json["tables"][0];
    assert_eq!((&table["port"], &table["observed"]), (&"6379".into(), &serde_json::Value::Null));
}

/// What a cluster exports, on standard input.
#[test]
fn manifests_come_from_standard_input() {
    let export = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/export/cluster.yaml");
    let asked = |arguments: &[&str]| {
        netproof(arguments).stdin(std::fs::File::open(export).unwrap()).output().unwrap()
    };
    let json = asked(&["matrix", "-", "--predict", "--json", "--to", "web-*", "--port", "8080"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["scenario"], "standard input");
    assert_eq!(json["notes"].as_array().unwrap().len(), 2);
    assert_eq!(json["objects"]["hostNetworkPods"], 2);
    let flow = "pod/monitoring/prometheus-0 -> service/shop/web";
    let said = shown(&asked(&["explain", "-", "--flow", flow]));
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(said.contains("from[0] (addresses in 10.42.1.0/24) names the source"), "{said}");
    let said = run(&["matrix", "-", "--predict"]);
    assert!(
        said.starts_with("exit code 2\n") && said.contains("error: there is no object at standard input"),
        "{said}"
    );
}

/// What is odd about one pod is odd about all of its workload.
#[test]
fn warnings_that_are_alike_are_told_once() {
    let pod = |number: usize| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: a{number}}}, \
             spec: {{containers: [{{name: a, ports: [{{containerPort: 80}}, {{containerPort: 80}}]}}]}}}}\n"
        )
    };
    let folder = Folder::with(&[("pods.yaml", &(0..6).map(pod).collect::<String>())]);
    let said = folder.run(&["matrix", ".", "--predict"]);
    assert_eq!(said.matches("stands in this pod twice").count(), 3, "{said}");
    assert!(said.contains("note: 3 more warnings with the help: keep one of them"), "{said}");
    assert!(said.contains("(--verbose shows all)"), "{said}");
    let said = folder.run(&["matrix", ".", "--predict", "--verbose"]);
    assert_eq!(said.matches("stands in this pod twice").count(), 6, "{said}");
    assert!(!said.contains("more warning"), "{said}");
}

#[test]
fn wrong_questions_about_manifests_end_with_2() {
    for (command, arguments, expected) in [
        ("explain", &[][..], "manifests say nothing of flows"),
        ("explain", &["--flow", "pod/shop/cart -> pod/shop/redis-0"], "did you mean pod/shop/cart-0?"),
        ("explain", &["--flow", "pod/shop/cart-0 -> pod/shop/redis-0", "--filter", "a"], "--filter chooses"),
        ("matrix", &["--from", "frontent-0"], "did you mean `pod/shop/frontend-0`?"),
        ("matrix", &["--port", "nothing"], "the destinations serve 443/tcp"),
        ("matrix", &["--step", "x"], "its steps are: as written"),
        ("matrix", &["--topology", "x"], "there is no topology `x`"),
        ("matrix", &["--predict", "--enforcer", "none"], "cannot be used with"),
        ("matrix", &["--from", "a/b/c/d"], "write [KIND/][NAMESPACE/]NAME"),
    ] {
        let said = of_shop(&[command], arguments);
        assert!(said.starts_with("exit code 2\n") && said.contains(expected), "{arguments:?}: {said}");
    }
    let folder = Folder::with(&[("values.yaml", "replicas: 2")]);
    let said = folder.run(&["matrix", "."]);
    assert!(
        said.starts_with("exit code 2\n") && said.contains("neither a scenario nor a manifest"),
        "{said}"
    );
    let bare = Folder::with(&[(
        "web.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, ports: [{containerPort: 80}]}]}}",
    )]);
    let said = bare.run(&["matrix", ".", "--predict", "-n", "shop", "--from", "shop", "--to", "shop"]);
    assert!(said.starts_with("exit code 0\n") && said.contains("pod/shop/web  ."), "{said}");
    let said = bare.run(&["explain", ".", "-n", "shop", "--flow", "pod/web -> pod/web:80"]);
    assert!(
        said.starts_with("exit code 0\n") && said.contains("pod/shop/web -> pod/shop/web:80: allow"),
        "{said}"
    );
    let two = Folder::with(&[("a.yaml", GOOD), ("b.yaml", &GOOD.replace("name: deny-all", "name: other"))]);
    let said = two.run(&["matrix", ".", "--predict"]);
    assert!(said.starts_with("exit code 2\n") && said.contains("a matrix is of one"), "{said}");
}

#[test]
fn a_matrix_of_a_scenario_is_of_its_last_step_or_the_named_one() {
    let recipe = recipe("deny-all-traffic-to-an-application");
    let of =
        |arguments: &[&str]| run(&[&["matrix", &recipe, "--predict", "--port", "80"], arguments].concat());
    insta::assert_snapshot!(
        "matrix_of_a_scenario",
        [of(&[]), of(&["--to", "web", "--step", "deny all"])].concat()
    );
}

#[test]
fn explain_says_what_is_not_there() {
    let limit = recipe("limit-traffic-to-an-application");
    for (arguments, expected) in [
        (["--step", "only the bookstor"], "did you mean `only the bookstore`?"),
        (["--step", "after"], "its steps are: before the policy, only the bookstore"),
        (["--flow", "pod/nobody -> pod/web"], "pod/default/nobody does not exist in this step"),
        (["--flow", "pod/client -> ip/9.9.9.9"], "write the port"),
    ] {
        let said = run(&["explain", &limit, arguments[0], arguments[1]]);
        assert!(said.starts_with("exit code 2\n") && said.contains(expected), "{arguments:?}: {said}");
    }
}

/// What `validate` says of a deny that the policy does not make, and with which code it ends.
#[test]
fn validate_finds_what_contradicts_the_api() {
    let wrong = GOOD.replace("verdict: deny", "verdict: allow");
    let folder = Folder::with(&[("wrong.yaml", &wrong)]);
    insta::assert_snapshot!(folder.run(&["validate", "wrong.yaml"]));
}

#[test]
fn version() {
    assert_eq!(
        run(&["--version"]),
        format!("exit code 0\n--- stdout\nnetproof {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_usage_ends_with_2() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["validate"],
        &["list"],
        &["run", "a", "--enforcer", "cilium"],
        &["run", "a", "--wiring", "tokenring"],
        &["run", "a", "--family", "ipv5"],
        &["run", "a", "--jobs", "0"],
        &["run", "a", "--timeout", "5"],
        &["run", "a", "--seed", "-1"],
        &["run", "a", "--color", "mauve"],
        &["validate", "a", "--profile", "romana"],
        &["explain"],
        &["explain", "a", "--flow", "pod/a"],
        &["matrix"],
        &["matrix", "a", "--port", "0"],
        &["matrix", "a", "--namespace", "A"],
        &["doctor", "--frobnicate"],
    ] {
        assert!(run(arguments).starts_with("exit code 2\n"), "{arguments:?}: {}", run(arguments));
    }
}

#[test]
fn what_is_not_built_yet_says_so() {
    insta::assert_snapshot!(
        [run(&["run", "a", "--enforcer", "iptables"]), run(&["run", "a", "--proxy", "iptables"]),].concat()
    );
}

#[test]
fn reports_that_cannot_be_written_are_bad_input_and_nothing_runs() {
    let folder = Folder::with(&[("deny-all.yaml", GOOD), ("file", "")]);
    insta::assert_snapshot!(
        [
            folder.run(&["run", "deny-all.yaml", "--junit", "."]),
            folder.run(&["run", "deny-all.yaml", "--json", "file/events.json"]),
        ]
        .concat()
        .replace(&folder.path().canonicalize().unwrap().display().to_string(), "FOLDER")
    );
    let missing = folder.run(&["run", "deny-all.yaml", "--json", "missing/events.json"]);
    assert!(missing.starts_with("exit code 2\n") && missing.contains("create it first"), "{missing}");
}

#[test]
fn no_report_overwrites_what_was_read_or_another_report() {
    let files =
        [("deny-all.yaml", GOOD), ("bad.yaml", "kind: Scenario"), ("named", GOOD), ("old.json", "old")];
    let folder = Folder::with(&files);
    for (arguments, reason) in [
        (&["run", "deny-all.yaml", "--json", "deny-all.yaml"][..], "would overwrite deny-all.yaml"),
        (&["run", "deny-all.yaml", "--junit", "./bad.yaml"], "would overwrite ./bad.yaml"),
        (&["run", "named", "--json", "named"], "would overwrite named"),
        (&["run", "deny-all.yaml", "--json", "new", "--junit", "./new"], "--json and --junit name the same"),
        (&["run", "bad.yaml", "--json", "old.json"], "bad.yaml:1:1: error"),
        (&["run", "deny-all.yaml", "--filter", "nobody", "--json", "old.json"], "nothing to do"),
    ] {
        let text = folder.run(arguments);
        assert!(text.starts_with("exit code 2\n") && text.contains(reason), "{arguments:?}: {text}");
    }
    for (name, before) in files {
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), before, "{name}");
    }
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = Folder::with(&[("deny-all.yaml", GOOD)]);
    let mut child = netproof(&["list", "deny-all.yaml"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut complaints = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!(complaints, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = Folder::with(&[("deny-all.yaml", GOOD)]);
    for command in ["run", "list", "validate"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = netproof(&[command, "deny-all.yaml"])
            .current_dir(folder.path())
            .stdout(Stdio::from(full))
            .output()
            .unwrap();
        let shown = shown(&output);
        assert!(shown.starts_with("exit code 3\n"), "{command}: {shown}");
        assert!(
            shown.contains("error: cannot write to standard output: No space left"),
            "{command}: {shown}"
        );
    }
}

#[test]
fn too_few_open_files_are_one_sentence() {
    let folder = Folder::with(&[("deny-all.yaml", GOOD)]);
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" run deny-all.yaml", env!("CARGO_BIN_EXE_netproof")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    insta::assert_snapshot!(shown(&output));
}

#[test]
fn list_prints_the_names_that_would_run() {
    let folder = Folder::with(&[("scenarios/recipes/deny-all.yaml", GOOD)]);
    insta::assert_snapshot!(
        [
            folder.run(&["list", "scenarios"]),
            folder.run(&["list", "scenarios", "--filter", "variant=ipv6"]),
            folder.run(&["list", "scenarios", "--filter", "id=recipes::deny-all::ipv4"]),
            folder.run(&["list", "scenarios", "--filter", "nobody"]),
            folder.run(&["list", "scenarios", "--filter", "a and and b"]),
            folder.run(&["list", "nowhere"]),
        ]
        .join("\n")
    );
}

#[test]
fn list_topologies_prints_the_built_in_ones() {
    let folder = Folder::with(&[]);
    insta::assert_snapshot!(folder.run(&["list", "topologies"]));
}

#[test]
fn list_topologies_prints_those_of_the_folder_too() {
    let file = |name: &str, nodes: &str| {
        format!(
            "apiVersion: netproof/v1alpha1\nkind: Topology\nmetadata: {{name: {name}}}\n\
             spec: {{description: mine, nodes: {nodes}}}\n"
        )
    };
    let folder = Folder::with(&[
        ("topologies/one-node.yaml", &file("one-node", "[{name: other}]")),
        ("topologies/own.yml", &file("own", "[{name: a}]")),
    ]);
    let shown = folder.run(&["list", "topologies"]);
    assert!(shown.contains("one-node: mine\n    nodes           other\n"), "{shown}");
    assert!(shown.contains("own: mine\n"), "{shown}");
    assert_eq!(shown.matches("one-node:").count(), 1, "{shown}");
    let folder = Folder::with(&[("topologies/own.yaml", &file("own", "[]"))]);
    let shown = folder.run(&["list", "topologies"]);
    assert!(shown.starts_with("exit code 2\n") && shown.contains("has no node"), "{shown}");
}

#[test]
fn validate_says_what_is_wrong_and_where() {
    let folder = Folder::with(&[
        ("good.yaml", GOOD),
        ("unknown-key.yaml", &GOOD.replace("verdict: deny", "verdikt: deny")),
        ("unknown-pod.yaml", &GOOD.replace("pod/client ->", "pod/cleint ->")),
        ("empty.yaml", ""),
        ("matches-nothing.yaml", &GOOD.replace("matchLabels: {app: web}", "matchLabels: {app: wep}")),
    ]);
    insta::assert_snapshot!(
        ["good.yaml", "unknown-key.yaml", "unknown-pod.yaml", "empty.yaml", "nowhere.yaml", "pod/web:80"]
            .map(|file| format!("$ netproof validate {file}\n{}", folder.run(&["validate", file])))
            .join("\n")
    );
}

#[test]
fn bad_input_ends_with_2_before_anything_is_built() {
    let folder = Folder::with(&[("bad.yaml", &GOOD.replace("verdict: deny", "verdikt: deny"))]);
    let shown = folder.run(&["run", "bad.yaml", "--junit", "junit.xml", "--json", "events.json"]);
    assert!(shown.starts_with("exit code 2\n"), "{shown}");
    assert!(shown.contains("bad.yaml:22:11"), "{shown}");
}

#[test]
fn strict_lets_no_warning_pass() {
    let warned = GOOD
        .replace("matchLabels: {app: web}", "matchLabels: {app: wep}")
        .replace("verdict: deny", "verdict: allow");
    let folder = Folder::with(&[("warned.yaml", &warned)]);
    insta::assert_snapshot!(
        [folder.run(&["validate", "warned.yaml"]), folder.run(&["validate", "--strict", "warned.yaml"])]
            .join("\n")
    );
}

#[test]
fn doctor_agrees_with_itself() {
    let shown = run(&["doctor"]);
    let works = shown.contains("`netproof run` works here");
    assert!(shown.starts_with(if works { "exit code 0\n" } else { "exit code 3\n" }), "{shown}");
}
