//! Whole runs of the built binary, as a user starts it: properties of a run and not of a check.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use netproof_model::Verdict;
use netproof_model::event::{Cells, Check, Event, FindingKind, Phase, Status};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The repository's root, where `scenarios/` is.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The binary that was built with this test, or the one that `NETPROOF_BINARY` names.
fn netproof(arguments: &[&str]) -> Command {
    let built = || env!("CARGO_BIN_EXE_netproof").into();
    let mut command = Command::new(std::env::var_os("NETPROOF_BINARY").unwrap_or_else(built));
    command.current_dir(root()).args(arguments);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

fn file(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_string_lossy().into_owned()
}

/// Every check of a run's `--json` file, by the names that never change.
fn checks(file: &str) -> BTreeMap<(String, String), Check> {
    let text = std::fs::read_to_string(file).expect("the events file");
    let mut checks = BTreeMap::new();
    for line in text.lines() {
        if let Event::CheckFinished { id, check } = serde_json::from_str(line).expect("an event") {
            let name = (id.to_string(), check.name.clone());
            assert!(checks.insert(name.clone(), *check).is_none(), "{name:?} stands twice");
        }
    }
    checks
}

/// The matrix of every step of a run's `--json` file.
fn matrices(file: &str) -> BTreeMap<(String, String), Cells> {
    let text = std::fs::read_to_string(file).expect("the events file");
    let mut matrices = BTreeMap::new();
    for line in text.lines() {
        if let Event::StepFinished { id, step, cells, .. } = serde_json::from_str(line).expect("an event") {
            let name = (id.to_string(), step);
            assert!(matrices.insert(name.clone(), *cells).is_none(), "{name:?} stands twice");
        }
    }
    matrices
}

/// The suites of scenarios that were written one by one; the last has few denials. (What the conformance suites have beside them is many
/// times the same in small variations.)
const SUITES: [&str; 4] =
    ["scenarios/recipes", "scenarios/defaults", "scenarios/semantics", "scenarios/services"];

#[test]
fn without_an_enforcer_each_expected_deny_fails_and_nothing_else() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (with, without) = (file(&scratch, "with.jsonl"), file(&scratch, "without.jsonl"));
    let run = |json: &str, more: &[&str]| {
        let arguments = ["run", "--wiring", "routed", "--family", "ipv4", "--json", json];
        output(netproof(&arguments).args(more).args(&SUITES[..3]))
    };
    let passing = run(&with, &["--require-all"]);
    assert_eq!(passing.status.code(), Some(0), "{}", String::from_utf8_lossy(&passing.stdout));
    let failing = run(&without, &["--enforcer", "none"]);
    assert_eq!(failing.status.code(), Some(1), "{}", String::from_utf8_lossy(&failing.stdout));

    without_an_enforcer_each_denied_cell_differs(&matrices(&with), &matrices(&without));
    let (with, mut without) = (checks(&with), checks(&without));
    // The cells that differ are checks, and were counted above.
    without.retain(|(_, name), _| !name.contains("/matrix/"));
    // Nobody says who allows: that is a skip beside each flow that asks for it.
    assert!(without.values().all(|check| check.allowed_by.is_empty()));
    without.retain(|(_, name), check| check.status != Status::Skipped || !name.ends_with(" decidedBy"));
    assert_eq!(with.keys().collect::<Vec<_>>(), without.keys().collect::<Vec<_>>());
    let mut denials = 0;
    for (name, check) in &without {
        // What a policy denied is what failed, and what is seen in its place is a connection.
        let denied_by_policy =
            check.phase == Phase::Run && with[name].denials.first().is_some_and(|it| it.decision.is_policy());
        if denied_by_policy {
            denials += 1;
            assert_eq!(check.status, Status::Failed, "{name:?}: {check:#?}");
            // Of a service whose backends differ, each.
            let connects = check.observed.as_ref().is_some_and(|it| it.each() == [Verdict::Allow].into());
            assert!(connects, "{name:?}: {check:#?}");
        } else {
            assert_eq!(check.status, Status::Passed, "{name:?}: {check:#?}");
        }
    }
    assert!(denials > 100, "only {denials} denials: too few to mean anything");
}

/// What policy denied and connected without it is what differs, and nothing else does.
fn without_an_enforcer_each_denied_cell_differs(
    with: &BTreeMap<(String, String), Cells>,
    without: &BTreeMap<(String, String), Cells>,
) {
    assert_eq!(with.keys().collect::<Vec<_>>(), without.keys().collect::<Vec<_>>());
    let mut denied = 0;
    for (name, cells) in without {
        let enforced = &with[name];
        assert_eq!((cells.total, &cells.predicted), (enforced.total, &enforced.predicted), "{name:?}");
        assert_eq!((enforced.differing, enforced.unexplained, cells.unexplained), (0, 0, 0), "{name:?}");
        denied += cells.predicted.denied;
        // Where it depends on the endpoint, so does what becomes of it.
        let possible = cells.predicted.denied..=cells.predicted.denied + cells.predicted.other;
        assert!(possible.contains(&cells.differing), "{name:?}: {cells:#?}");
    }
    assert!(denied > 1_000, "only {denied} cells are denied: too few to mean anything");
}

/// Every cell of the matrix, tried with packets, and the result without an enforcer.
#[test]
fn a_matrix_of_packets_is_what_the_api_says_and_shows_what_is_not() {
    let matrix = |arguments: &[&str]| {
        let all = [&["matrix", "docs/examples/shop", "--services", "--json"], arguments].concat();
        let output = output(&mut netproof(&all));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), json)
    };
    for choice in [&[][..], &["--wiring", "bridge", "--family", "dual"]] {
        let (code, json) = matrix(choice);
        assert_eq!((code, &json["cells"]["differ"]), (Some(0), &0.into()), "{json:#}");
    }
    let (_, with) = matrix(&[]);
    let (code, without) = matrix(&["--enforcer", "none"]);
    assert_eq!(code, Some(1));
    let cells = |json: &serde_json::Value, what: &str| -> Vec<String> {
        let tables = json["tables"].as_array().expect("tables");
        tables
            .iter()
            .flat_map(|table| table[what].as_array().expect("rows").iter())
            .flat_map(|row| row.as_array().expect("cells").iter().map(ToString::to_string))
            .collect()
    };
    let denied = cells(&without, "predicted").iter().filter(|word| *word == "\"deny\"").count();
    assert_eq!(without["cells"]["differ"], denied, "each deny of a policy, and nothing else");
    assert!(denied > 20, "{denied}");
    assert_eq!(cells(&with, "predicted"), cells(&without, "predicted"));
    for (predicted, observed) in cells(&with, "predicted").iter().zip(cells(&with, "observed")) {
        let expected = match predicted.as_str() {
            "\"deny\"" => "\"drop\"",
            "\"not-asked\"" => "null",
            other => other,
        };
        assert_eq!(observed, expected);
    }
}

/// With the addresses of an exported cluster, packets do what the API says, in every wiring.
#[test]
fn an_exported_cluster_is_built_with_its_own_addresses() {
    let tests = "harness/manifests/src/tests/exports";
    for export in ["docs/examples/export", &format!("{tests}/flat.yaml"), &format!("{tests}/dual.json")] {
        for wiring in ["routed", "bridge", "vxlan"] {
            let matrix = output(&mut netproof(&["matrix", export, "--services", "--wiring", wiring]));
            let text = String::from_utf8_lossy(&matrix.stdout);
            let errors = String::from_utf8_lossy(&matrix.stderr);
            assert_eq!(matrix.status.code(), Some(0), "{export} {wiring}: {text}{errors}");
            assert!(text.contains(", the packets did the same"), "{export} {wiring}: {text}");
        }
    }
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let start = || {
        netproof(&["run", "scenarios/recipes"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    };
    let both: Vec<Child> = (0..2).map(|_| start()).collect();
    for run in both {
        let output = run.wait_with_output().expect("the binary ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A flow whose backends have different verdicts is judged by each backend, and never by chance: whatever
/// endpoint each try meets, all runs say the same, for right and for wrong expectations.
#[test]
fn backends_that_differ_are_never_judged_by_luck() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let right = root().join("scenarios/services/backends-that-differ.yaml");
    let text = std::fs::read_to_string(&right).expect("the scenario");
    let by_backend = "verdict: {pod/a: allow, pod/b: deny}\n";
    assert!(text.contains(by_backend), "the scenario expects what this test changes");
    let rewritten = |name: &str, verdict: &str| {
        let path = file(&scratch, name);
        std::fs::write(&path, text.replace(by_backend, verdict)).expect("a scratch file");
        path
    };
    let cases = [
        (right.to_string_lossy().into_owned(), 0),
        (rewritten("swapped.yaml", "verdict: {pod/a: deny, pod/b: allow}\n"), 1),
        (rewritten("deny.yaml", "verdict: deny\n"), 1),
    ];
    for (path, code) in cases {
        let json = file(&scratch, "events.jsonl");
        let mut first = None;
        // With CI's five soak runs, a hundred. A check that fails is traced, which takes its time.
        for seed in 0..soak_runs() * if code == 0 { 20 } else { 1 } {
            let seed = seed.to_string();
            let filter = ["--filter", "routed-ipv4", "--seed", &seed, "--json", &json];
            let run = output(netproof(&["run", &path]).args(filter));
            assert_eq!(run.status.code(), Some(code), "{path}: {}", String::from_utf8_lossy(&run.stdout));
            let verdicts: Vec<_> = checks(&json).into_iter().map(|(name, it)| (name, it.status)).collect();
            assert_eq!(*first.get_or_insert_with(|| verdicts.clone()), verdicts, "{path}, seed {seed}");
        }
    }
}

/// Who allows is held against a trace of the flow: each way to name another fails, for a wrong decider.
#[test]
fn another_name_for_who_allows_fails() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (json, path) = (file(&scratch, "events.jsonl"), file(&scratch, "who-allows.yaml"));
    let right = root().join("scenarios/semantics/who-allows.yaml");
    let text = std::fs::read_to_string(right).expect("the scenario");
    for (right, wrong) in [
        ("networkpolicy/web#ingress[0]", "networkpolicy/web#ingress[1]"),
        ("networkpolicy/web#ingress[2]", "networkpolicy/web-from-outside#ingress[0]"),
        ("networkpolicy/web-from-outside\n", "networkpolicy/web\n"),
        ("networkpolicy/api#egress[1]", "networkpolicy/api#egress[2]"),
        ("networkpolicy/api#egress[2]", "default"),
    ] {
        assert!(text.contains(right), "the scenario expects what this test changes: {right}");
        std::fs::write(&path, text.replace(right, wrong)).expect("a scratch file");
        for filter in ["routed-ipv4", "vxlan-ipv6"] {
            let run =
                output(netproof(&["run", &path, "--filter", filter, "--json", &json]).args(["--jobs", "1"]));
            assert_eq!(run.status.code(), Some(1), "{right}: {}", String::from_utf8_lossy(&run.stdout));
            let checks = checks(&json);
            let failed: Vec<&Check> = checks.values().filter(|it| it.status == Status::Failed).collect();
            assert!(!failed.is_empty());
            for check in failed {
                let kinds: Vec<FindingKind> = check.findings.iter().map(|it| it.kind).collect();
                // The packets and the API agree, and the scenario is alone.
                let expected = [FindingKind::WrongDecider, FindingKind::ScenarioContradictsApi];
                assert_eq!(kinds, expected, "{check:#?}");
                assert!(!check.allowed_by.is_empty(), "{check:#?}");
            }
        }
    }
}

/// How often a test that looks for chance results repeats itself: `NETPROOF_SOAK_RUNS`; CI sets 5.
fn soak_runs() -> u32 {
    asked_soak_runs().unwrap_or(2)
}

fn asked_soak_runs() -> Option<u32> {
    std::env::var("NETPROOF_SOAK_RUNS").ok()?.parse().ok()
}

/// Runs of the same scenarios give the same verdicts, even on busy processors: all suites if soak runs are
/// requested, else the recipes.
#[test]
fn busy_processors_change_no_verdict() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let file = file(&scratch, "events.jsonl");
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let suites = if asked_soak_runs().is_some() { &SUITES[..] } else { &SUITES[..1] };
        let verdicts = || {
            let run = output(netproof(&["run", "--wiring", "routed", "--json", &file]).args(suites));
            let checks = checks(&file);
            let verdicts: Vec<_> =
                checks.into_iter().map(|(name, check)| (name, check.status, check.observed)).collect();
            (run.status.code(), verdicts)
        };
        let results: Vec<_> = (0..soak_runs()).map(|_| verdicts()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for result in &results {
            assert_eq!(result.0, Some(0));
            assert!(*result == results[0], "two runs differ");
        }
    });
}
