//! Events made by hand, for the tests of every reporter.

use netproof_model::event::{
    Cell, CellGroup, CellTable, Cells, Check, Counts, Denial, Event, FORMAT, Finding, FindingKind, Location,
    NoCell, NotInCells, ObservedCells, Phase, PolicySees, PredictedCells, RehearsedCells, ScenarioId,
    ScenarioOutcome, Status, Summary, Trouble, WrittenObject,
};
use netproof_model::observation::PacketAddresses;
use netproof_model::topology::{Neighbours, PerFamily, Ranges, TopologyNode};
use netproof_model::{
    Action, Decision, Direction, Families, Family, Hook, InterfacePrefix, Outcome, Place, PolicyKey,
    PolicyKind, PolicyStage, Protocol, ProxyMode, Rejection, Sighting, Token, Topology, Verdict, Wiring,
};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) fn id(name: &str, variant: &[&str]) -> ScenarioId {
    ScenarioId {
        suite: "recipes".into(),
        name: name.into(),
        variant: variant.iter().map(|word| (*word).to_owned()).collect(),
    }
}

pub(crate) fn at(name: &str, line: usize) -> Location {
    Location { file: format!("scenarios/recipes/{name}.yaml"), line, column: 15 }
}

pub(crate) fn run_started(scenarios: &[ScenarioId]) -> Event {
    Event::RunStarted {
        format: FORMAT.into(),
        version: "0.1.0".into(),
        seed: 0,
        enforcer: "nftables".into(),
        proxy: "nftables".into(),
        scenarios: scenarios.to_vec(),
    }
}

/// A flow that was expected to be allowed, and was.
pub(crate) fn passed(step: &str, flow: &str) -> Check {
    let name = format!("{step}/{flow}");
    Check {
        family: Some(Family::Ipv4),
        expected: Some(Verdict::Allow.into()),
        observed: Some(Verdict::Allow.into()),
        outcome: Some(Outcome::Connected),
        served_by: Some(Place::pod("default", "web")),
        seen_source: Some("pod/default/client".into()),
        elapsed: Duration::from_micros(312),
        ..Check::new(name, at("limit-traffic", 21), Phase::Run, step, flow.into())
    }
}

fn packet() -> PacketAddresses {
    PacketAddresses {
        source: "10.244.1.2".parse().unwrap(),
        destination: "10.244.0.2".parse().unwrap(),
        protocol: Protocol::Tcp,
        source_port: 40000,
        destination_port: 80,
    }
}

fn sighting(place: Place, interface: &str) -> Sighting {
    Sighting { place, interface: interface.into(), packet: packet(), token: Token(0x5eed_0001) }
}

fn policy(name: &str) -> PolicyKey {
    PolicyKey::network_policy("default", name)
}

/// A flow that was denied, as expected, by isolation.
pub(crate) fn denied(step: &str, flow: &str) -> Check {
    Check {
        expected: Some(Verdict::Deny.into()),
        observed: Some(Verdict::Drop.into()),
        predicted: Some(Verdict::Deny.into()),
        outcome: Some(Outcome::Dropped),
        denials: vec![Denial {
            decision: Decision::Isolation {
                endpoint: Place::pod("default", "web"),
                direction: Direction::Ingress,
                policies: vec![policy("api-allow"), policy("web-deny-all")],
            },
            action: Action::Drop,
            node: "node1".into(),
            hook: Hook::Forward,
            packet: packet(),
        }],
        served_by: None,
        seen_source: None,
        ..passed(step, flow)
    }
}

/// Through a node port of another node than the backend's.
pub(crate) fn through_a_service() -> Check {
    let node = "node/node2 (172.18.0.3)";
    Check {
        seen_source: Some(node.into()),
        via: Some("node/node2".into()),
        policy_sees: Some(PolicySees {
            node: "node1".into(),
            hook: Hook::Forward,
            source: node.into(),
            destination: "pod/default/web (10.244.0.2)".into(),
        }),
        ..passed("node port", "external/internet -> nodeport/web@node2:80")
    }
}

/// Expected to be denied, and connected.
pub(crate) fn failing_deny() -> Check {
    Check {
        location: at("deny-all", 21),
        expected: Some(Verdict::Deny.into()),
        status: Status::Failed,
        findings: vec![Finding::new(FindingKind::WrongVerdict, "expected deny, observed allow")],
        path: vec![
            sighting(Place::node("node2"), "np1a2b3c4d"),
            sighting(Place::Router, "eth1"),
            sighting(Place::node("node1"), "eth0"),
            sighting(Place::pod("default", "web"), "eth0"),
        ],
        ..passed("deny all", "pod/client -> service/web:80")
    }
}

/// Expected to connect, and dropped by isolation.
pub(crate) fn failing_allow() -> Check {
    Check {
        location: at("deny-all", 26),
        expected: Some(Verdict::Allow.into()),
        status: Status::Failed,
        findings: vec![Finding::new(FindingKind::WrongVerdict, "expected allow, observed drop")],
        path: vec![sighting(Place::node("node2"), "np1a2b3c4d")],
        ..denied("the policy is gone", "pod/client -> service/web:80")
    }
}

/// Lost without evidence of a rule.
pub(crate) fn lost() -> Check {
    Check {
        location: at("deny-all", 30),
        status: Status::Errored,
        findings: vec![Finding::new(
            FindingKind::NoEvidence,
            "the request was lost on the way, and no rule of the enforcer logged that it dropped it",
        )],
        denials: Vec::new(),
        path: vec![sighting(Place::node("node2"), "np1a2b3c4d"), sighting(Place::Router, "eth1")],
        ..denied("deny all", "pod/other -> service/web:80")
    }
}

/// Rejected where a drop was expected, by a rule.
pub(crate) fn failing_reject() -> Check {
    let mut check = denied("reject", "pod/client -> pod/web:80");
    check.denials[0].decision = Decision::Rule {
        policy: policy("web-deny-all"),
        tier: PolicyKind::NetworkPolicy.word().to_owned(),
        stage: PolicyStage::Local,
        direction: Direction::Egress,
        rule: 2,
    };
    check.denials[0].action = Action::Reject;
    Check {
        location: at("deny-all", 40),
        expected: Some(Verdict::Drop.into()),
        observed: Some(Verdict::Reject.into()),
        predicted: Some(Verdict::Allow.into()),
        outcome: Some(Outcome::Rejected(Rejection::TcpReset)),
        status: Status::Failed,
        findings: vec![Finding::new(FindingKind::WrongVerdict, "expected drop, observed reject")],
        ..check
    }
}

pub(crate) fn skipped(step: &str, flow: &str) -> Check {
    Check {
        status: Status::Skipped,
        observed: None,
        predicted: None,
        derivation: Vec::new(),
        outcome: None,
        findings: vec![Finding::new(
            FindingKind::NotChecked,
            "`decidedBy` needs an enforcer that gives evidence, and `none` gives none",
        )],
        ..denied(step, flow)
    }
}

fn outcome(status: Status, message: Option<&str>, millis: u64) -> ScenarioOutcome {
    ScenarioOutcome {
        status,
        message: message.map(str::to_owned),
        trouble: message.filter(|_| status != Status::Skipped).map(|_| Trouble::Cluster),
        elapsed: Duration::from_millis(millis),
        waited: Duration::from_micros(millis * 4),
    }
}

/// A cell of a matrix that policy should have denied.
pub(crate) fn failing_cell() -> Check {
    Check {
        name: "deny all/matrix/pod/default/other -> pod/default/web:80".into(),
        location: at("limit-traffic", 17),
        step: "deny all".into(),
        flow: "pod/default/other -> pod/default/web:80".into(),
        cells: 1,
        expected: Some(Verdict::Deny.into()),
        observed: Some(Verdict::Allow.into()),
        predicted: Some(Verdict::Deny.into()),
        derivation: vec![
            "On node1 ingress policy of pod/default/web denies it:".into(),
            "  networkpolicy/default/web-deny-all isolates it, and has no rule.".into(),
        ],
        status: Status::Failed,
        findings: vec![Finding::new(
            FindingKind::PacketsContradictApi,
            "the packets contradict the API: observed allow, the API says deny",
        )],
        ..passed("deny all", "pod/other -> pod/web:80")
    }
}

/// A node and nothing else.
fn topology() -> Topology {
    let range = |text: &str| text.parse().unwrap();
    Topology {
        name: "one-node".into(),
        description: "A node.".into(),
        wiring: Wiring::Routed,
        family: Families::Ipv4,
        neighbours: Neighbours::default(),
        ranges: Ranges {
            pods: PerFamily { ipv4: range("10.244.0.0/16"), ipv6: range("fd00:10:244::/56") },
            other_pods: Vec::new(),
            services: PerFamily { ipv4: range("10.96.0.0/16"), ipv6: range("fd00:10:96::/112") },
            nodes: PerFamily { ipv4: range("172.18.0.0/16"), ipv6: range("fc00:f853:ccd:e793::/64") },
        },
        nodes: vec![TopologyNode { name: "node1".into(), ..TopologyNode::default() }],
        networks: Vec::new(),
        externals: Vec::new(),
        nat_outgoing: false,
        advertised: BTreeSet::new(),
        load_balancer: None,
        proxy_mode: ProxyMode::Nftables,
        interface_prefix: InterfacePrefix::default(),
    }
}

/// A policy object that a step makes, or another object that is there from the start.
fn written(object: &str, step: Option<&str>) -> WrittenObject {
    WrittenObject {
        object: object.into(),
        is_policy: step.is_some(),
        step: step.map(Into::into),
        location: at("deny-all", 9),
        text: step.map(|_| "metadata: {name: web-deny-all}".into()),
    }
}

/// A cell that policy denies.
fn cell(source: &str, destination: &str) -> Cell {
    Cell {
        source: source.into(),
        destination: destination.into(),
        group: CellGroup {
            family: Family::Ipv4,
            expected: None,
            predicted: Verdict::Deny.into(),
            observed: Verdict::Drop,
            decided_by: denied("", "").denials.pop().map(|denial| denial.decision),
            agrees: true,
            cells: Vec::new(),
        },
    }
}

/// The events of one scenario run.
pub(crate) fn scenario(
    id: &ScenarioId,
    checks: Vec<Check>,
    status: Status,
    message: Option<&str>,
    millis: u64,
) -> Vec<Event> {
    let mut events = vec![Event::ScenarioStarted {
        id: id.clone(),
        location: at(&id.name, 3),
        description: "Drop all traffic to the pods of an application.".into(),
        topology: Box::new(topology()),
        objects: vec![
            written("pod/default/web", None),
            written("networkpolicy/default/web-deny-all", Some("deny all")),
        ],
    }];
    events.extend(
        checks.into_iter().map(|check| Event::CheckFinished { id: id.clone(), check: Box::new(check) }),
    );
    events.push(Event::ScenarioFinished { id: id.clone(), result: outcome(status, message, millis) });
    events
}

/// The same with the matrix of a step, of which some cells contradict the API.
fn with_matrix(mut events: Vec<Event>, differing: usize) -> Vec<Event> {
    let id = match events.last() {
        Some(Event::ScenarioFinished { id, .. }) => id.clone(),
        other => panic!("{other:?} is not the end of a scenario run"),
    };
    let cells = Cells {
        total: 486,
        predicted: PredictedCells {
            allowed: 300,
            denied: 180,
            other: 0,
            undefined: [("ip-block-and-pods".to_owned(), 6)].into(),
        },
        observed: ObservedCells { allowed: 306 + differing, denied: 180 - differing, other: 0 },
        differing,
        wrong_deciders: 0,
        unexplained: 0,
        unproven: 0,
        rehearsed: RehearsedCells { tried: 40, shared: 140 },
        sampled: None,
        in_no_cell: vec![NotInCells { name: "pod/default/client".into(), why: NoCell::ListensNowhere }],
        table: CellTable::of([cell("pod/client", "pod/web:80"), cell("pod/other", "pod/web:80")]),
        profile: "strict".into(),
        elapsed: Duration::from_millis(20),
    };
    let location = at(&id.name, 17);
    let step = Event::StepFinished { id, step: "deny all".into(), location, cells: Box::new(cells) };
    events.insert(events.len() - 1, step);
    events
}

/// A run with these scenario runs, and its sums.
pub(crate) fn run(extra: Vec<Event>, scenarios: Vec<Vec<Event>>) -> Vec<Event> {
    let mut summary = Summary { elapsed: Duration::from_millis(1240), ..Summary::default() };
    let mut ids = Vec::new();
    for event in scenarios.iter().flatten() {
        match event {
            Event::ScenarioStarted { id, .. } => ids.push(id.clone()),
            Event::CheckFinished { check, .. } => summary.checks.add(check.status),
            Event::StepFinished { cells, .. } => summary.cells += cells.total,
            Event::ScenarioFinished { result, .. } => {
                summary.scenarios.add(result.status);
                summary.waited += result.waited;
                summary.busy += result.elapsed;
            }
            _ => {}
        }
    }
    let mut events = vec![run_started(&ids)];
    events.extend(extra);
    events.extend(scenarios.into_iter().flatten());
    events.push(Event::RunFinished { summary });
    events
}

fn two_checks() -> Vec<Check> {
    vec![passed("before", "pod/client -> service/web:80"), denied("deny all", "pod/client -> service/web:80")]
}

/// Every scenario run passed; one scenario has two variants.
pub(crate) fn all_passed() -> Vec<Event> {
    run(
        Vec::new(),
        vec![
            scenario(&id("limit-traffic", &["across"]), two_checks(), Status::Passed, None, 42),
            scenario(&id("deny-all", &[]), two_checks(), Status::Passed, None, 9),
            scenario(&id("limit-traffic", &["same-node"]), two_checks(), Status::Passed, None, 40),
        ],
    )
}

/// One of everything.
pub(crate) fn mixed_run() -> Vec<Event> {
    let not_applicable = |variant: &str| Event::NotApplicable {
        id: id("ip-block", &[variant]),
        location: at("ip-block", 7),
        because: "the addresses of the sample policy are IPv4".into(),
    };
    let extra = vec![
        Event::Warning {
            location: Some(at("ip-block", 12)),
            message: "the pod selector of networkpolicy/default/web matches nothing in any step".into(),
        },
        not_applicable("across-ipv6"),
        not_applicable("same-node-ipv6"),
    ];
    let mut with_skips = two_checks();
    with_skips.push(skipped("deny all", "pod/other -> service/web:80"));
    with_skips.push(skipped("deny all", "pod/third -> service/web:80"));
    run(
        extra,
        vec![
            with_matrix(scenario(&id("limit-traffic", &["across"]), with_skips, Status::Passed, None, 42), 0),
            with_matrix(
                scenario(
                    &id("deny-all", &["across", "ipv6"]),
                    vec![
                        passed("before", "pod/client -> service/web:80"),
                        failing_deny(),
                        failing_allow(),
                        lost(),
                        failing_cell(),
                    ],
                    Status::Failed,
                    None,
                    31,
                ),
                1,
            ),
            scenario(&id("limit-traffic", &["same-node"]), two_checks(), Status::Passed, None, 40),
            scenario(
                &id("node-port", &[]),
                Vec::new(),
                Status::Errored,
                Some(
                    "cannot build the cluster: the kernel has no bridge module; load it with `modprobe bridge` as root",
                ),
                3,
            ),
            scenario(
                &id("deny-all", &["same-node", "ipv6"]),
                vec![failing_reject()],
                Status::Failed,
                Some("cannot probe: the witness of node1 is gone"),
                31,
            ),
            scenario(
                &id("sctp", &[]),
                Vec::new(),
                Status::Skipped,
                Some("this kernel has no SCTP; load it with `modprobe sctp` as root"),
                1,
            ),
        ],
    )
}

/// A run whose every string is `text`.
pub(crate) fn run_of(text: &str, elapsed: Duration) -> Vec<Event> {
    let id = ScenarioId { suite: text.into(), name: text.into(), variant: vec![text.into()] };
    let location = Location { file: text.into(), line: 1, column: 1 };
    let check = |base: Check| Check {
        name: text.into(),
        location: location.clone(),
        step: text.into(),
        flow: text.into(),
        open: vec![text.into()],
        derivation: vec![text.into()],
        findings: vec![Finding::new(FindingKind::WrongSource, text)],
        seen_source: Some(text.into()),
        elapsed,
        ..base
    };
    let result = ScenarioOutcome {
        status: Status::Failed,
        message: Some(text.into()),
        trouble: None,
        elapsed,
        waited: elapsed,
    };
    let mut events = vec![
        run_started(std::slice::from_ref(&id)),
        Event::Warning { location: Some(location.clone()), message: text.into() },
        Event::NotApplicable { id: id.clone(), location: location.clone(), because: text.into() },
        Event::ScenarioStarted {
            id: id.clone(),
            location: location.clone(),
            description: text.into(),
            topology: Box::new(Topology { name: text.into(), ..topology() }),
            objects: vec![WrittenObject { text: Some(text.into()), ..written(text, Some(text)) }],
        },
    ];
    for base in [passed("", ""), failing_deny(), failing_allow(), lost(), skipped("", "")] {
        events.push(Event::CheckFinished { id: id.clone(), check: Box::new(check(base)) });
    }
    events.push(Event::ScenarioFinished { id, result });
    let counts = Counts { passed: 1, failed: 2, errored: 1, skipped: 1 };
    let scenarios = Counts { failed: 1, ..Counts::default() };
    events.push(Event::RunFinished {
        summary: Summary { scenarios, checks: counts, cells: 3, elapsed, waited: elapsed, busy: elapsed },
    });
    events
}
