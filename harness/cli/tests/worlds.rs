//! Worlds as agents have them. They go on from one scenario run to the next of an equal topology: the verdicts are
//! those of worlds of their own, an enforcer starts once, and not where a run has failed. And a proxy in them gives no
//! evidence of what it denies. This program acts as the example of an enforcer when it is started as `agent`.

#![expect(clippy::expect_used, reason = "a test says what went wrong by panicking")]

#[path = "../../../enforcer/exec/examples/agent/main.rs"]
mod agent;

use libtest_mimic::{Arguments, Trial};
use netproof_documents::Options;
use netproof_enforcer_agent::{Agent, AgentName, DescribedAgent};
use netproof_model::event::{Event, FindingKind, Status};
use netproof_model::{Families, Wiring};
use netproof_oracle::PROFILES;
use netproof_plan::{Loaded, Plan};
use netproof_runner::{Backend, EnforcerChoice, ExecCommand, ProxyChoice, RunOptions, Worlds, run_plan};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "agent") {
        return match agent::main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    if !arguments.list {
        // Before any thread exists: libtest-mimic starts them below.
        if let Err(error) = netproof_cluster::sandbox::enter() {
            eprintln!("cannot run scenarios here: {error}");
            return ExitCode::from(3);
        }
    }
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("verdicts_are_those_of_worlds_of_their_own", verdicts_are_those_of_worlds_of_their_own),
        trial("an_enforcer_starts_once_on_each_node", an_enforcer_starts_once_on_each_node),
        trial("between_two_runs_the_cluster_is_empty", between_two_runs_the_cluster_is_empty),
        trial("a_run_that_failed_leaves_no_world", a_run_that_failed_leaves_no_world),
        trial("other_topologies_have_other_worlds", other_topologies_have_other_worlds),
        trial("what_agents_cannot_do_is_set_aside", what_agents_cannot_do_is_set_aside),
        trial("without_evidence_of_the_proxy_only_who_decided_is_open", without_evidence_of_the_proxy),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A run of each scenario of these folders or files, in the plain wiring, with IPv4.
fn plans(paths: &[&str]) -> Vec<Plan> {
    let mut plans = all_plans(paths);
    plans.retain(|plan| plan.topology.wiring == Wiring::Routed && plan.topology.family == Families::Ipv4);
    plans.dedup_by_key(|plan| (plan.id.suite.clone(), plan.id.name.clone()));
    plans
}

fn all_plans(paths: &[&str]) -> Vec<Plan> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
    let options = Options { root: Some(root), ..Options::default() };
    netproof_format::load(&paths, &options).expect("the scenarios are valid").plans
}

/// What a scenario run has found, without what is a matter of chance: times, ports, tokens and chosen backends.
#[derive(Clone, Debug, PartialEq)]
struct Verdicts {
    id: String,
    status: Status,
    message: Option<String>,
    /// Each check's name, status and findings.
    checks: Vec<(String, Status, Vec<FindingKind>)>,
    /// Of each step's matrix: all cells, and those that differ, have no explanation or prove nothing.
    cells: Vec<[usize; 4]>,
}

fn verdicts(plans: &[Plan], options: &RunOptions) -> Vec<Verdicts> {
    let worlds = Worlds::new(1);
    let of_plan = |plan: &Plan| {
        let (events, outcome) = run_plan(plan, options, &worlds);
        let (mut checks, mut cells) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::CheckFinished { check, .. } => {
                    let findings = check.findings.iter().map(|finding| finding.kind).collect();
                    checks.push((check.name, check.status, findings));
                }
                Event::StepFinished { cells: it, .. } => {
                    cells.push([it.total, it.differing, it.unexplained, it.unproven]);
                }
                _ => {}
            }
        }
        let (status, message) = (outcome.status, outcome.message);
        Verdicts { id: plan.id.to_string(), status, message, checks, cells }
    };
    plans.iter().map(of_plan).collect()
}

/// A folder with the example as an enforcer that writes down each of its starts, with the same that writes down
/// what it is told, too, and with one that enforces nothing.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Programs {
        let programs = Programs(tempfile::tempdir().expect("a scratch folder"));
        let this = std::env::current_exe().expect("this program has a path");
        symlink(this, programs.path("agent")).expect("the example gets its name");
        let (started, agent) = (programs.path("started"), programs.path("agent"));
        let note = format!("#!/bin/sh\necho $NETPROOF_NODE >> {}\n", started.display());
        programs.script("example", &format!("{note}exec {}\n", agent.display()));
        let lines = programs.path("lines").display().to_string();
        programs.script("told", &format!("{note}tee {lines}-$NETPROOF_NODE | {}\n", agent.display()));
        let answer = r#"n=${line#*:}; echo "{\"generation\":${n%%,*}}""#;
        programs.script("nothing", &format!("{note}while read -r line; do {answer}; done\n"));
        programs
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the script is written");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).expect("it is made executable");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self, name: &str) -> RunOptions {
        let command = ExecCommand::parse(&self.path(name).to_string_lossy()).expect("a command");
        RunOptions { enforcer: EnforcerChoice::Exec(command), keep_worlds: true, ..RunOptions::default() }
    }

    /// The nodes on which it was started, in order.
    fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("started")).expect("it has started");
        let mut nodes: Vec<String> = text.lines().map(str::to_owned).collect();
        nodes.sort();
        nodes
    }
}

fn verdicts_are_those_of_worlds_of_their_own() {
    // Node and router are asked a lot here: services, hosts outside, connections that are kept, names that come back.
    let plans = plans(&["scenarios/semantics", "scenarios/services"]);
    let own = verdicts(&plans, &RunOptions::default());
    // In either order: each run follows others than before.
    let there_and_back: Vec<Plan> = plans.iter().chain(plans.iter().rev()).cloned().collect();
    let kept = verdicts(&there_and_back, &RunOptions { keep_worlds: true, ..RunOptions::default() });
    assert!(own.len() > 40, "{} runs", own.len());
    for (own, kept) in own.iter().chain(own.iter().rev()).zip(&kept) {
        assert_eq!(own, kept);
    }
}

fn an_enforcer_starts_once_on_each_node() {
    let (programs, plans) = (Programs::new(), plans(&["scenarios/defaults", "scenarios/recipes"]));
    let two_nodes: Vec<Plan> = plans.into_iter().filter(|plan| plan.topology.nodes.len() == 2).collect();
    let options = programs.options("example");
    let kept = verdicts(&two_nodes, &options);
    assert_eq!(programs.started(), ["node1", "node2"]);
    let own = verdicts(&two_nodes, &RunOptions { keep_worlds: false, ..options });
    assert_eq!(programs.started().len(), 2 + 2 * two_nodes.len());
    assert_eq!(own, kept);
    assert!(kept.iter().all(|it| it.status == Status::Passed) && kept.len() > 10, "{} runs", kept.len());
}

fn between_two_runs_the_cluster_is_empty() {
    let (programs, plans) = (Programs::new(), plans(&["scenarios/defaults"]));
    let found = verdicts(&plans[..3], &programs.options("told"));
    assert!(found.iter().all(|it| it.status == Status::Passed), "{found:#?}");
    let lines = fs::read_to_string(programs.path("lines-node1")).expect("it was told something");
    let own = &plans[0].own;
    let of_every_cluster = own.namespaces.len() + own.nodes.len() + own.pods.len();
    let of_every_cluster = of_every_cluster + own.services.len() + own.endpoint_slices.len();
    let (mut objects, mut emptied) = (BTreeSet::new(), 0);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        for event in line["events"].as_array().expect("it has events") {
            let metadata = &event["object"]["metadata"];
            let key =
                [&event["object"]["kind"], &metadata["namespace"], &metadata["name"]].map(Value::to_string);
            match event["type"] == "DELETED" {
                true => drop(objects.remove(&key)),
                false => drop(objects.insert(key)),
            }
        }
        emptied += usize::from(objects.len() == of_every_cluster);
    }
    assert_eq!((emptied, programs.started().len()), (2, plans[0].topology.nodes.len()));
}

fn a_run_that_failed_leaves_no_world() {
    let (programs, plans) = (Programs::new(), plans(&["scenarios/defaults"]));
    let found = verdicts(&plans[..3], &programs.options("nothing"));
    assert!(found.iter().all(|it| it.status == Status::Failed), "{found:#?}");
    let nodes: usize = plans[..3].iter().map(|plan| plan.topology.nodes.len()).sum();
    assert_eq!(programs.started().len(), nodes);
}

fn other_topologies_have_other_worlds() {
    let programs = Programs::new();
    let plans = all_plans(&["scenarios/defaults/default-deny-ingress.yaml"]);
    let mut topologies: Vec<_> = plans.iter().map(|plan| &plan.topology).collect();
    topologies.sort_by_key(|topology| (topology.name.as_str(), topology.wiring, topology.family));
    topologies.dedup();
    let nodes: usize = topologies.iter().map(|topology| topology.nodes.len()).sum();
    assert!((2..=6).contains(&topologies.len()), "{}", topologies.len());
    // There and back: each waits while the others are used.
    let there_and_back: Vec<Plan> = plans.iter().chain(plans.iter().rev()).cloned().collect();
    let found = verdicts(&there_and_back, &programs.options("example"));
    assert!(found.iter().all(|it| it.status == Status::Passed));
    assert_eq!(programs.started().len(), nodes);
}

/// Wirings that an enforcer cannot do, and what is no matter of a proxy, do not apply; the rest stays, in order.
fn what_agents_cannot_do_is_set_aside() {
    let oracles = PROFILES.map(|profile| profile.name);
    let agent = |name: &str| {
        let DescribedAgent { name, profile } = AgentName::parse(name)
            .and_then(|it| it.describe(&oracles).map_err(|it| it.to_string()))
            .expect("a profile");
        Agent { name, profile, program: "/bin/true".into() }
    };
    let felix =
        RunOptions { enforcer: EnforcerChoice::Agent(agent("calico-felix")), ..RunOptions::default() };
    let proxy = RunOptions { proxy: ProxyChoice::Agent(agent("kube-proxy")), ..RunOptions::default() };
    let iptables =
        RunOptions { proxy: ProxyChoice::Agent(agent("kube-proxy-iptables")), ..RunOptions::default() };
    for (paths, options, left, because) in [
        (&["scenarios/semantics/icmp.yaml"][..], RunOptions::default(), None, ""),
        (
            &["scenarios/semantics/icmp.yaml"],
            felix,
            Some("routed"),
            "calico-felix: Felix finds a pod's packets by",
        ),
        (
            &["scenarios/services/host-ports.yaml"],
            proxy.clone(),
            Some("none"),
            "kube-proxy: a proxy does not lead",
        ),
        (&["scenarios/services/readiness.yaml"], proxy, None, ""),
        (
            &["scenarios/services/readiness.yaml"],
            iptables,
            Some("none"),
            "kube-proxy-iptables: it does as kube-proxy",
        ),
    ] {
        let all = all_plans(paths);
        let mut loaded = Loaded { plans: all.clone(), ..Loaded::default() };
        netproof_runner::set_aside(&mut loaded, &options);
        let stays = |plan: &&Plan| left.is_none_or(|word| plan.id.variant.iter().any(|it| it == word));
        let expected: Vec<_> = all.iter().filter(stays).map(|plan| plan.id.clone()).collect();
        assert_eq!(loaded.plans.iter().map(|plan| plan.id.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(loaded.plans.len() + loaded.not_applicable.len(), all.len());
        assert!(
            loaded.not_applicable.iter().all(|it| it.because.starts_with(because)),
            "{:?}",
            loaded.not_applicable
        );
    }
}

/// Every verdict on services is as it is with the proxy's evidence; only who decided is not checked, visibly.
fn without_evidence_of_the_proxy() {
    let programs = Programs::new();
    let all = plans(&["scenarios/services"]);
    let some =
        plans(&["scenarios/services/refusals.yaml", "scenarios/services/load-balancer-source-ranges.yaml"]);
    for (plans, enforcer, skipped) in
        [(all, EnforcerChoice::default(), 20), (some, programs.options("example").enforcer, 10)]
    {
        let options = RunOptions { enforcer, ..RunOptions::default() };
        let own = verdicts(&plans, &options);
        let mute = RunOptions { proxy: ProxyChoice::Mute(Backend::default()), ..options };
        let mut mute = verdicts(&plans, &mute);
        let mut unchecked = 0;
        for (own, mute) in own.iter().zip(&mut mute) {
            assert_eq!(own.status, Status::Passed, "{own:#?}");
            let checks = mute.checks.len();
            mute.checks.retain(|check| check.1 != Status::Skipped || own.checks.contains(check));
            unchecked += checks - mute.checks.len();
            assert_eq!(own, mute);
        }
        assert!(unchecked > skipped, "{unchecked}");
    }
}
