//! Clusters with Calico's policies, and what becomes of flows: the files of `testdata`.
//!
//! A case is `== NAME`, the lines of its world, `--`, and a line `FLOW | WAY` for each flow. A way is the verdict, and
//! who decides for each endpoint that is asked.

use crate::example_apis::cluster::{World, labels};
use crate::example_apis::{deciders, flow};
use crate::flow::{Flow, PortProtocol};
use crate::matrix::Cell;
use crate::oracle::Oracle;
use crate::prediction::Verdict;
use crate::profile::Profile;
use crate::truth::Truth;
use netproof_api::calico::{CalicoPolicy, NetworkSet, StagedAction, StagedKubernetesNetworkPolicy, Tier};
use netproof_api::yaml::{from_node, parse};
use netproof_api::{Object, ObjectMeta, Policy, Source};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::{Family, Place, Protocol};

const FILES: &[&str] = &[
    include_str!("testdata/order.txt"),
    include_str!("testdata/scope.txt"),
    include_str!("testdata/rules.txt"),
];

struct Case {
    name: &'static str,
    snapshot: Snapshot,
    flows: Vec<(&'static str, &'static str)>,
}

fn cases() -> Vec<Case> {
    let texts = FILES.iter().flat_map(|file| file.split("\n== ").skip(1));
    texts
        .map(|text| {
            let (head, flows) = text.split_once("\n--\n").unwrap_or_else(|| panic!("{text}"));
            let (name, lines) = head.split_once('\n').unwrap_or((head, ""));
            let mut world = World::default();
            let mut lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
            if lines.first().is_none_or(|line| *line != "bare") {
                lines.splice(0..0, include_str!("testdata/world.txt").lines());
            } else {
                lines.remove(0);
            }
            lines.iter().for_each(|line| change(&mut world, line));
            let flows = flows.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let flows = flows.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("{line}")));
            Case { name, snapshot: world.snapshot(), flows: flows.collect() }
        })
        .collect()
}

/// Beside the lines of every world: `(gnp | sgnp) NAME TIER TYPES SPEC`, `(np | snp) NAMESPACE/NAME TIER TYPES SPEC`,
/// `sknp NAMESPACE/NAME SPEC`, `tier NAME ORDER ACTION`, `set [NAMESPACE/]NAME LABELS NETS`. TYPES are `i`, `e` or both.
fn change(world: &mut World, line: &str) {
    let count = if line.starts_with("sknp") { 3 } else { 5 };
    let words: Vec<&str> = line.splitn(count, ' ').collect();
    let metadata = |text: &str, labels| {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, text),
        };
        ObjectMeta { name: name.into(), namespace, labels, ..ObjectMeta::default() }
    };
    let policy: Policy = match words.as_slice() {
        [kind @ ("gnp" | "np" | "sgnp" | "snp"), name, tier, types, spec] => {
            let types: Vec<&str> =
                types.chars().map(|it| if it == 'i' { "Ingress" } else { "Egress" }).collect();
            let text = format!(
                "{{metadata: {{name: x}}, spec: {{tier: {tier}, types: [{}], {}}}",
                types.join(", "),
                spec.strip_prefix('{').unwrap()
            );
            let source = Source::new(line, text);
            let mut policy: CalicoPolicy = from_node(&parse(&source).unwrap()[0], &source)
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            policy.metadata = metadata(name, Default::default());
            policy.staged = kind.starts_with('s').then_some(StagedAction::Set);
            policy.into()
        }
        ["sknp", name, spec] => {
            let text = format!("{{metadata: {{name: x}}, staged: Set, spec: {spec}}}");
            let source = Source::new(line, text);
            let mut policy: StagedKubernetesNetworkPolicy =
                from_node(&parse(&source).unwrap()[0], &source).unwrap_or_else(|it| panic!("{line}: {it}"));
            policy.metadata = metadata(name, Default::default());
            policy.into()
        }
        ["tier", name, order, action] => {
            let text =
                format!("{{metadata: {{name: {name}}}, spec: {{order: {order}, defaultAction: {action}}}}}");
            let source = Source::new(line, text);
            from_node::<Tier>(&parse(&source).unwrap()[0], &source).unwrap().into()
        }
        ["set", name, own, nets] => {
            let own = if *own == "-" { Default::default() } else { labels(own) };
            let text = format!("{{metadata: {{name: x}}, nets: [{nets}]}}");
            let source = Source::new(line, text);
            let set: NetworkSet = from_node(&parse(&source).unwrap()[0], &source).unwrap();
            NetworkSet { metadata: metadata(name, own), ..set }.into()
        }
        _ => return world.change(line),
    };
    world.plane.apply(&[Change::Apply(Object::Policy(policy))]).unwrap();
}

/// `VERDICT: DIRECTION DECIDER, ..`, of each alternative.
fn way(oracle: &Oracle<'_>, flow: &Flow) -> String {
    let prediction = oracle.predict(flow).unwrap();
    let ways = prediction.alternatives.iter().map(|way| {
        let verdict = match &way.verdict {
            Verdict::Allow => "allow".to_owned(),
            Verdict::Deny(_) => "deny".to_owned(),
            other => format!("{other:?}"),
        };
        let decisions = way.decisions().map(|it| {
            let open = if matches!(it.truth, Truth::Either(_)) { "open" } else { "" };
            format!("{} {}{open}", it.direction, deciders(it))
        });
        format!("{verdict}: {}", decisions.collect::<Vec<_>>().join(", "))
    });
    let mut ways: Vec<String> = ways.collect();
    ways.dedup();
    ways.join(" / ")
}

#[test]
fn flows_under_policies() {
    let mut wrong = Vec::new();
    for Case { name, snapshot, flows } in cases() {
        let oracle = Oracle::new(&snapshot, Profile::named("calico").unwrap());
        for (text, expected) in flows {
            let found = way(&oracle, &flow(&snapshot, &places(text)));
            if found != expected {
                wrong.push(format!("{name}: {text}\n    expected {expected}\n    found    {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `a/b` is a pod, and a word alone a host outside.
fn places(text: &str) -> String {
    let (from, rest) = text.split_once(" -> ").unwrap();
    let (to, port) = rest.rsplit_once(':').unwrap();
    let place = |text: &str| match text.split('/').collect::<Vec<_>>().as_slice() {
        [namespace, name] if !["node", "external"].contains(namespace) => format!("pod/{namespace}/{name}"),
        [name] if name.parse::<std::net::IpAddr>().is_err() => format!("external/{name}"),
        _ => text.to_owned(),
    };
    format!("{} -> {}:{port}", place(from), place(to))
}

/// One by one or all at once.
#[test]
fn the_matrix_says_what_each_flow_is_told() {
    let ports: Vec<PortProtocol> = [(80, Protocol::Tcp), (8080, Protocol::Tcp), (5432, Protocol::Tcp)]
        .into_iter()
        .chain([(53, Protocol::Udp), (80, Protocol::Sctp), (0, Protocol::Icmp)])
        .map(|(number, protocol)| PortProtocol::new(number, protocol))
        .collect();
    for Case { name, snapshot, .. } in cases() {
        let oracle = Oracle::new(&snapshot, Profile::named("calico").unwrap());
        let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network && !pod.phase.has_ended());
        let pods = pods.map(|(name, _)| Place::Pod(name.clone()));
        let places: Vec<Place> =
            pods.chain(snapshot.externals.keys().map(|name| Place::external(name.as_str()))).collect();
        let matrix = oracle.matrix(&places, Family::Ipv4, &ports).unwrap();
        for (from, source) in places.iter().enumerate() {
            for (to, destination) in places.iter().enumerate().filter(|(to, _)| *to != from) {
                for (index, port) in ports.iter().enumerate() {
                    let address = snapshot.address_of(destination, Family::Ipv4).unwrap();
                    let flow = Flow { from: source.clone(), to: address, port: *port };
                    let expected = Cell::of(&oracle.predict(&flow).unwrap());
                    let found = matrix.cell(from, to, index);
                    assert_eq!(found, Some(expected), "{name}: {source} -> {destination} {port}");
                }
            }
        }
    }
}

/// What the policies of the first case say about one flow.
#[test]
fn accounts() {
    let mut told = Vec::new();
    for Case { name, snapshot, flows } in cases() {
        let Some((text, _)) = flows.last().filter(|_| name.ends_with(", told")) else { continue };
        let oracle = Oracle::new(&snapshot, Profile::named("calico").unwrap());
        let prediction = oracle.predict(&flow(&snapshot, &places(text))).unwrap();
        told.push(format!("{name}: {text}"));
        for decision in prediction.alternatives.iter().flat_map(|way| way.decisions()) {
            told.push(format!("{} of {}", decision.direction, decision.endpoint));
            for account in oracle.accounts(decision) {
                told.push(format!("- {}", account.sentence));
                told.extend(account.rules.iter().map(|rule| format!("  - {}", rule.line())));
            }
        }
    }
    insta::assert_snapshot!(told.join("\n"));
}
