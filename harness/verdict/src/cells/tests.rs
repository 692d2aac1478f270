//! Which cells there are, how too many are chosen from, and what a try of one proves.

use crate::cells::compare::{Comparison, Predicted, count_observed};
use super::*;
use netproof_plan::MatrixDestination::{PodIp, ServiceIp, ServiceName};
use crate::prediction::Difference;
use netproof_plan::testing::observation;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_model::event::{ObservedCells, PredictedCells};
use netproof_model::observation::PacketAddresses;
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_model::{
    Action, Decision, Direction, Hook, NamespacedName, Place, PolicyKey, Protocol, Rejection,
};
use std::collections::BTreeSet;
use std::sync::Arc;

fn pod(name: &str, ports: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, \
         spec: {{containers: [{{name: main, image: none, ports: [{ports}]}}]}}}}"
    )
}

fn applied(text: &str) -> Change {
    let source = netproof_api::Source::new("objects", text);
    let context = netproof_api::manifest::Context::default();
    let read = netproof_api::manifest::read_manifests(&source, &context).unwrap();
    Change::Apply(read.objects[0].object.clone())
}

/// `web` serves two ports, `idle` none; a service of two endpoints, one of which does not listen.
fn cluster(extra: &[String]) -> Arc<Snapshot> {
    let topology = netproof_plan::testing::snapshot().topology.clone();
    let mut control = ControlPlane::new(topology).unwrap();
    let port = |number: u16, protocol: &str| format!("{{containerPort: {number}, protocol: {protocol}}}");
    let mut changes = vec![
        applied(&pod("web", &[port(80, "TCP"), port(53, "UDP")].join(", "))),
        applied(&pod("idle", "")),
        applied(
            "{apiVersion: v1, kind: Service, metadata: {name: web}, \
             spec: {selector: {app: web}, ports: [{port: 8080, targetPort: 80}]}}",
        ),
        Change::ApplyExternal(ExternalHost {
            name: "outside".into(),
            addresses: vec!["203.0.113.10".parse().unwrap()],
            ports: vec![ListenPort { port: 443, protocol: Protocol::Tcp }],
            dns: Vec::new(),
        }),
    ];
    changes.extend(extra.iter().map(|text| applied(text)));
    control.apply(&changes).unwrap()
}

fn on(destinations: &[netproof_plan::MatrixDestination]) -> MatrixPlan {
    MatrixPlan::On { destinations: destinations.iter().copied().collect() }
}

fn all_cells(snapshot: &Snapshot, plan: &MatrixPlan) -> Vec<Cell> {
    let (cells, sampled) = Table::new(snapshot, plan).choose(&Oracle::new(snapshot, Profile::NETPROOF), 0);
    assert_eq!(sampled, None);
    cells
}

fn by_proxy() -> Decision {
    Decision::Service { service: NamespacedName::new("default", "empty"), reason: "no endpoints".into() }
}

fn denial(decision: Decision, destination: &str) -> Denial {
    let packet = PacketAddresses {
        source: "10.244.1.9".parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol: Protocol::Tcp,
        source_port: 1000,
        destination_port: 80,
    };
    Denial { decision, action: Action::Drop, node: "node1".into(), hook: Hook::Forward, packet }
}

/// The policy, the flow, what a probe saw, and whether that is what the API says.
#[test]
fn a_try_is_held_against_every_course() {
    let isolation = || Decision::Isolation {
        endpoint: Place::pod("default", "web"),
        direction: Direction::Ingress,
        policies: vec![PolicyKey::network_policy("default", "deny")],
    };
    let deny = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny}, \
                spec: {podSelector: {matchLabels: {app: web}}, ingress: []}}";
    let empty = "{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {ports: [{port: 80}]}}";
    let deaf = "{apiVersion: v1, kind: Service, metadata: {name: deaf}, \
                spec: {selector: {app: idle}, ports: [{port: 80}]}}";
    let (web, idle) = (Place::pod("default", "web"), Place::pod("default", "idle"));
    let answered =
        |place: &Place| Observation { served_by: Some(place.clone()), ..observation(Outcome::Connected) };
    let refused = Observation { served_by: Some(idle.clone()), ..observation(Outcome::Refused) };
    let lost = || observation(Outcome::Dropped);
    let policy = || vec![denial(isolation(), "10.244.1.3")];
    let no_endpoints = || vec![denial(by_proxy(), "10.96.0.9")];
    let rejected = || observation(Outcome::Rejected(Rejection::TcpReset));
    use Comparison::Agrees;
    let differs = || Comparison::Differs(Difference::Verdict);
    let by_another = |found: Decision, says: &str| {
        Comparison::Differs(Difference::Decider { found, says: says.to_owned() })
    };
    let by_stranger = |place: &Place| Comparison::Differs(Difference::Server(place.clone()));
    let isolated = "ingress isolation of pod/default/web by networkpolicy/default/deny";
    let other = Decision::Isolation {
        endpoint: Place::pod("default", "web"),
        direction: Direction::Ingress,
        policies: vec![PolicyKey::network_policy("default", "other")],
    };
    let by_other = || vec![denial(other.clone(), "10.244.1.3")];
    let unexplained = || Comparison::Unexplained(String::new());
    let (to_web, to_empty, to_deaf) =
        ("idle -> pod/default/web:80", "service/default/empty:80", "service/default/deaf:80");
    let table: Vec<(&str, &str, Observation, Vec<Denial>, Comparison)> = vec![
        ("", to_web, answered(&web), vec![], Agrees),
        ("", to_web, answered(&idle), vec![], by_stranger(&idle)),
        ("", to_web, lost(), policy(), differs()),
        ("", to_web, lost(), vec![], unexplained()),
        ("", to_web, observation(Outcome::Refused), vec![], differs()),
        ("", to_web, observation(Outcome::Unreachable), vec![], differs()),
        (deny, to_web, lost(), policy(), Agrees),
        (deny, to_web, answered(&web), vec![], differs()),
        (deny, to_web, lost(), vec![], unexplained()),
        (deny, to_web, lost(), no_endpoints(), by_another(by_proxy(), isolated)),
        // It says itself which policies isolate the pod.
        (deny, to_web, lost(), by_other(), by_another(other.clone(), isolated)),
        (empty, to_empty, rejected(), no_endpoints(), Agrees),
        (empty, to_empty, rejected(), policy(), by_another(isolation(), "service/default/empty")),
        (empty, to_empty, answered(&web), vec![], differs()),
        // Nobody listens there: that is what must be seen.
        (deaf, to_deaf, refused, vec![], Agrees),
        (deaf, to_deaf, answered(&idle), vec![], differs()),
    ];
    for (extra, flow, seen, denials, expected) in table {
        let extra: Vec<String> =
            [extra].iter().filter(|it| !it.is_empty()).map(ToString::to_string).collect();
        let snapshot = cluster(&extra);
        let answers = Answers::new(&snapshot, Profile::NETPROOF);
        let cells = all_cells(&snapshot, &MatrixPlan::default());
        let cell = cells.into_iter().find(|cell| cell.flow.to_string().ends_with(flow)).unwrap();
        let predicted = Predicted::new(&answers, cell).unwrap();
        let mut found = predicted.compare(&seen, &rejecting(denials, &seen), &answers);
        if let Comparison::Unexplained(why) = &mut found {
            assert!(why.contains("no rule"), "{why}");
            why.clear();
        }
        assert_eq!(found, expected, "{flow} {:?} under {extra:?}", seen.outcome);
    }
}

/// What rejects says so.
fn rejecting(denials: Vec<Denial>, seen: &Observation) -> Vec<Denial> {
    let action = if seen.outcome == Outcome::Dropped { Action::Drop } else { Action::Reject };
    denials.into_iter().map(|denial| Denial { action, ..denial }).collect()
}

#[test]
fn cells_are_counted_by_what_the_api_says_and_by_what_was_seen() {
    let block = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: block}, \
                 spec: {podSelector: {matchLabels: {app: web}}, \
                 ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16}}]}]}}";
    let snapshot = cluster(&[block.to_owned()]);
    let answers = Answers::new(&snapshot, Profile::STRICT);
    let mut counts = PredictedCells::default();
    for cell in all_cells(&snapshot, &on(&[PodIp, ServiceIp])) {
        let predicted = Predicted::new(&answers, cell).unwrap();
        predicted.count(&mut counts);
    }
    // To itself, and out; from outside it is denied; whether the block matches idle's address is open.
    let undefined: Vec<(&str, usize)> =
        counts.undefined.iter().map(|(switches, count)| (switches.as_str(), *count)).collect();
    assert_eq!((counts.allowed, counts.denied, counts.other), (4, 2, 1), "{undefined:?}");
    assert_eq!(undefined.iter().map(|(_, count)| count).sum::<usize>(), 4, "{undefined:?}");
    assert!(undefined.iter().any(|(switches, _)| switches.contains("ip-block-and-pods")), "{undefined:?}");
    let mut observed = ObservedCells::default();
    let service = by_proxy();
    for (outcome, denials) in [
        (Outcome::Connected, vec![]),
        (Outcome::Dropped, vec![]),
        (Outcome::Dropped, vec![denial(service, "10.96.0.9")]),
        (Outcome::Refused, vec![]),
    ] {
        count_observed(&mut observed, outcome, &denials);
    }
    assert_eq!((observed.allowed, observed.denied, observed.other), (1, 1, 2));
}

/// The clean-up asks again, when there is no policy: what a name hid before is known then.
#[test]
fn who_does_not_listen_is_known_of_a_name_that_policy_hid() {
    let policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: hidden}, \
                  spec: {podSelector: {matchLabels: {app: idle}}, policyTypes: [Egress]}}";
    let service = "{apiVersion: v1, kind: Service, metadata: {name: nobody}, \
                   spec: {selector: {app: idle}, ports: [{port: 80}]}}";
    let snapshot = cluster(&[policy.to_owned(), service.to_owned()]);
    let bare = snapshot.without_policies();
    let [before, after] = [&snapshot, &bare].map(|it| Answers::new(it, Profile::NETPROOF));
    let cells = all_cells(&snapshot, &on(&[ServiceName])).into_iter();
    let from_idle = cells.filter(|cell| cell.request.source.to_string() == "pod/default/idle");
    let told: Vec<(String, bool, bool, bool)> = from_idle
        .map(|cell| {
            let [hidden, open] = [&before, &after].map(|it| Predicted::new(it, cell.clone()).unwrap());
            (cell.flow.to_string(), hidden.is_denied(), open.is_denied(), open.is_served())
        })
        .collect();
    let flow = |name: &str, port| format!("pod/default/idle -> dns/{name}.default:{port}");
    assert_eq!(told, [(flow("nobody", 80), true, false, false), (flow("web", 8080), true, false, true)]);
}
