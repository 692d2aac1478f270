//! Agents that are found on this machine: their start, a change until it is in force, and whole suites, beside netproof's
//! own enforcer in the same run.

use crate::{ms, ratio, time, worlds};
use netproof_cluster::Cluster;
use netproof_controlplane::Snapshot;
use netproof_documents::Options;
use netproof_enforcer::{Backend, Enforcer, EnforcerError, NodeHandle, PolicyEnforcer};
use netproof_enforcer_agent::profile::{Role, SHIPPED};
use netproof_enforcer_agent::{Agent, AgentEnforcer, AgentName, Hidden};
use netproof_model::{InterfacePrefix, NamespacedName, Place, Topology};
use netproof_oracle::PROFILES;
use netproof_runner::{EnforcerChoice, RunOptions, run, set_aside};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The cluster of the first table.
const NODES: usize = 2;
const PODS: usize = 8;
const POLICIES: usize = 4;
/// So many changes are made, one after the other.
const CHANGES: usize = 20;
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that a scenario run of the second table may take.
const LONGEST: Duration = Duration::from_secs(300);

pub fn measure() {
    let agents = agents();
    println!("{NODES} nodes, {PODS} pods, {POLICIES} policies; a change is one policy, replaced.\n");
    println!(
        "| enforcer | its start, until the first objects are in force | a change, until it is in force | ratio |"
    );
    println!("|---|---|---|---|");
    let own = sample(None, |nodes, _, _| {
        Box::new(PolicyEnforcer::open(Backend::Nftables, nodes).expect("an enforcer"))
    })
    .expect("the own enforcer programs");
    let row = |name: &str, sample: &Sample| {
        println!(
            "| {name} | {} | {} | {} |",
            ms(sample.start),
            ms(sample.change),
            ratio(sample.change, own.change)
        );
    };
    row("nftables", &own);
    for (name, agent) in &agents {
        match agent {
            Ok(agent) => match of_agent(agent) {
                Ok(sample) => row(name, &sample),
                Err(error) => println!("| {name} | {error} | - | - |"),
            },
            Err(missing) => println!("| {name} | {missing} | - | - |"),
        }
    }
    println!("\n| enforcer | suite | scenario runs | passed | wall time | ratio |");
    println!("|---|---|---|---|---|---|");
    for suite in ["recipes", "conformance/cyclonus.yaml"] {
        let own = play(suite, EnforcerChoice::default(), "nftables", None);
        for (name, agent) in &agents {
            if let Ok(agent) = agent {
                play(suite, EnforcerChoice::Agent(agent.clone()), name, Some(own));
            }
        }
    }
}

/// The shipped profiles of enforcers, each with its agent or with what is missing.
fn agents() -> Vec<(&'static str, Result<Agent, String>)> {
    let oracles: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
    let described = SHIPPED.iter().map(|(name, _)| {
        let name_of = AgentName::parse(name).expect("a shipped profile");
        (*name, name_of.describe(&oracles).expect("a shipped profile"))
    });
    let enforcers = described.filter(|(_, agent)| agent.check(Role::Enforcer).is_ok());
    enforcers.map(|(name, agent)| (name, agent.find().map_err(|missing| missing.in_short()))).collect()
}

struct Sample {
    start: Duration,
    /// The median.
    change: Duration,
}

/// The error is what a run would end with.
fn of_agent(agent: &Agent) -> Result<Sample, EnforcerError> {
    sample(Some(&agent.profile.interface_prefix), |nodes, cluster, snapshot| {
        let hidden = |name: &NamespacedName| Some(cluster.netns(&Place::Pod(name.clone()))?.fd());
        let topology = &snapshot.topology;
        Box::new(AgentEnforcer::new(nodes, &hidden, topology, agent, PATIENCE).expect("an enforcer"))
    })
}

fn sample(
    interface_prefix: Option<&InterfacePrefix>,
    open: impl Fn(&[NodeHandle<'_>], &Cluster, &Snapshot) -> Box<dyn Enforcer>,
) -> Result<Sample, EnforcerError> {
    let mut topology = Topology::clone(&worlds::topology(NODES));
    if let Some(prefix) = interface_prefix {
        topology.interface_prefix = prefix.clone();
    }
    let mut control = worlds::with_pods_on(Arc::new(topology), PODS, PODS);
    let policies: Vec<_> = (0..POLICIES).map(|n| worlds::policy(n, PODS)).collect();
    // The pods of the sentinel, for whom it needs.
    let with_hidden = |snapshot: Arc<Snapshot>| {
        Hidden { policy: true, services: false }.among(&snapshot).expect("hidden pods")
    };
    let snapshot = with_hidden(control.apply(&policies).expect("policies"));
    let cluster = Cluster::build(&snapshot).expect("a cluster");
    let handle = |name: &String| {
        let netns = cluster.netns(&Place::Node(name.clone())).expect("a node");
        NodeHandle { name: name.clone(), netns: netns.fd() }
    };
    let nodes: Vec<NodeHandle<'_>> = snapshot.nodes.keys().map(handle).collect();
    let (start, started) = time(|| {
        let mut enforcer = open(&nodes, &cluster, &snapshot);
        enforcer.program(&snapshot).map(|()| enforcer)
    });
    let mut enforcer = started?;
    let changes: Result<Vec<Duration>, EnforcerError> = (0..CHANGES)
        .map(|n| {
            // The same name, another app: a policy replaced.
            let replaced = worlds::policy_named(0, n + 1, PODS);
            let snapshot = with_hidden(control.apply(&[replaced]).expect("a policy"));
            let (took, programmed) = time(|| enforcer.program(&snapshot));
            programmed.map(|()| took)
        })
        .collect();
    let mut changes = changes?;
    changes.sort();
    Ok(Sample { start, change: changes[changes.len() / 2] })
}

/// Plays a suite and prints its row; gives its wall time.
fn play(suite: &str, enforcer: EnforcerChoice, name: &str, own: Option<Duration>) -> Duration {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let interface_prefix = match &enforcer {
        EnforcerChoice::Agent(agent) => Some(agent.profile.interface_prefix.clone()),
        _ => None,
    };
    let options = Options { root: Some(root.clone()), interface_prefix, ..Options::default() };
    let mut loaded =
        netproof_format::load(&[root.join("scenarios").join(suite)], &options).expect("the suite");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let options =
        RunOptions { jobs, enforcer, enforcer_timeout: PATIENCE, timeout: LONGEST, ..RunOptions::default() };
    set_aside(&mut loaded, &options);
    let summary = run(&loaded, &options, &mut |_| {});
    let times = own.map_or("1.00".to_owned(), |own| ratio(summary.elapsed, own));
    println!(
        "| {name} | {suite} | {} | {} | {:.1} s | {times} |",
        summary.scenarios.total(),
        summary.scenarios.passed,
        summary.elapsed.as_secs_f64(),
    );
    summary.elapsed
}
