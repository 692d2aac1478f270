//! From a policy change to its generation programmed on every node, against `nft -f` loading the same
//! rules.

use crate::{ms, ratio, time, worlds};
use netproof_cluster::Cluster;
use netproof_controlplane::ControlPlane;
use netproof_enforcer::{Backend, Enforcer, NodeHandle, PolicyEnforcer};
use netproof_model::Place;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Pods in every measurement: what a policy can select.
const PODS: usize = 200;

pub fn measure() {
    println!(
        "| policies | all at once | `nft -f` of the same rules | ratio | one more policy | one pod relabelled |"
    );
    println!("|---|---|---|---|---|---|");
    for policies in [1, 100, 1000] {
        let runs = if policies > 100 { 3 } else { 7 };
        let (mut all, mut one, mut label, mut text) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            let sample = program(policies);
            all.push(sample.all);
            one.push(sample.one);
            label.push(sample.label);
            text.extend(sample.text);
        }
        let middle = |mut times: Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        let all = middle(all);
        let (text, times) = match text.is_empty() {
            true => ("not there, or it refuses them".to_owned(), "-".to_owned()),
            false => {
                let text = middle(text);
                (ms(text), ratio(all, text))
            }
        };
        println!(
            "| {policies} | {} | {text} | {times} | {} | {} |",
            ms(all),
            ms(middle(one)),
            ms(middle(label))
        );
    }
}

struct Sample {
    all: Duration,
    one: Duration,
    label: Duration,
    text: Option<Duration>,
}

fn program(policies: usize) -> Sample {
    let apps = PODS;
    let mut control: ControlPlane = worlds::with_pods(1, PODS, apps);
    let cluster = Cluster::build(&control.snapshot()).expect("a cluster");
    let node = cluster.netns(&Place::node("node1")).expect("a node");
    let handle = NodeHandle { name: "node1".into(), netns: node.fd() };
    let mut enforcer = PolicyEnforcer::open(Backend::Nftables, &[handle]).expect("an enforcer");
    enforcer.program(&control.snapshot()).expect("no policy");

    let changes: Vec<_> = (0..policies).map(|n| worlds::policy(n, apps)).collect();
    let mut apply = |changes: &[netproof_controlplane::Change]| {
        let snapshot = control.apply(changes).expect("policies");
        time(|| enforcer.program(&snapshot).expect("programmed")).0
    };
    let all = apply(&changes);
    let one = apply(&[worlds::policy(policies, apps)]);
    let label = apply(&[netproof_controlplane::Change::Label {
        object: netproof_controlplane::ObjectRef::new("pod", Some("default"), "pod-0"),
        labels: [("app".to_owned(), Some("app-1".to_owned()))].into(),
    }]);
    let text = enforcer.rules("node1").and_then(|rules| nft(&rules));
    Sample { all, one, label, text }
}

/// How long the `nft` program takes to load the rules, in a namespace without any.
fn nft(rules: &str) -> Option<Duration> {
    let empty = netproof_cluster::Netns::new().ok()?;
    // The program takes shorter comments than the kernel; they are not what is measured.
    let lines = rules.lines().map(|line| line.split(" comment \"").next().unwrap_or_default());
    let rules = lines.collect::<Vec<_>>().join("\n");
    let (elapsed, status) = time(|| {
        empty.enter(|| {
            let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().ok()?;
            nft.stdin.take()?.write_all(rules.as_bytes()).ok()?;
            nft.wait().ok()
        })
    });
    status.ok()??.success().then_some(elapsed)
}
