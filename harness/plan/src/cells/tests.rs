//! Tables of cells of a small cluster.

use super::*;
use crate::plan::MatrixDestination::{PodIp, ServiceIp, ServiceName};
use crate::testing;
use netproof_controlplane::{Change, ControlPlane};
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_oracle::Profile;
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
    let topology = testing::snapshot().topology.clone();
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

fn on(destinations: &[MatrixDestination]) -> MatrixPlan {
    MatrixPlan::On { destinations: destinations.iter().copied().collect() }
}

fn all_cells(snapshot: &Snapshot, plan: &MatrixPlan) -> Vec<Cell> {
    let (cells, sampled) = Table::new(snapshot, plan).choose(&Oracle::new(snapshot, Profile::NETPROOF), 0);
    assert_eq!(sampled, None);
    cells
}

/// Nothing is missing without a word: what no cell is addressed to has its reason.
#[test]
fn what_stands_in_no_cell_is_named() {
    let quiet = "{apiVersion: v1, kind: Pod, metadata: {name: quiet}, spec: {containers: [{name: a}]}}";
    let host = "{apiVersion: v1, kind: Pod, metadata: {name: host}, spec: {hostNetwork: true, containers: [{name: a}]}}";
    let done = "{apiVersion: v1, kind: Pod, metadata: {name: done}, spec: {containers: [{name: a}]}, status: {phase: Succeeded}}";
    let headless = "{apiVersion: v1, kind: Service, metadata: {name: bare}, spec: {clusterIP: None, ports: [{port: 80}]}}";
    let snapshot = cluster(&[quiet, host, done, headless].map(str::to_owned));
    let named = |plan: &MatrixPlan| -> Vec<String> {
        let table = Table::new(&snapshot, plan);
        table.in_no_cell().iter().map(|it| format!("{} {:?}", it.name, it.why)).collect()
    };
    let before: Vec<String> = Table::new(&cluster(&[]), &MatrixPlan::default())
        .in_no_cell()
        .iter()
        .map(|it| it.name.clone())
        .collect();
    let mut all = named(&MatrixPlan::default());
    all.retain(|line| !before.iter().any(|name| line.starts_with(&format!("{name} "))));
    assert_eq!(
        all,
        [
            "pod/default/quiet ListensNowhere",
            "pod/default/host HostNetwork",
            "pod/default/done NoNetwork",
            "service/default/bare NoAddress",
        ]
    );
    let pods_only = named(&on(&[PodIp]));
    assert!(
        !pods_only.iter().any(|line| line.starts_with("service/")),
        "no service was to be asked: {pods_only:?}"
    );
    assert!(Table::new(&snapshot, &MatrixPlan::Off).in_no_cell().is_empty());
}

#[test]
fn the_cells_are_those_of_the_scenarios_own_places() {
    let snapshot = cluster(&[]);
    let flows = |plan: &MatrixPlan| -> Vec<String> {
        all_cells(&snapshot, plan).iter().map(|cell| cell.flow.to_string()).collect()
    };
    assert_eq!(
        flows(&on(&[PodIp])),
        [
            "pod/default/idle -> pod/default/web:53/udp",
            "pod/default/idle -> pod/default/web:80",
            "pod/default/idle -> external/outside:443",
            "pod/default/web -> pod/default/web:53/udp",
            "pod/default/web -> pod/default/web:80",
            "pod/default/web -> external/outside:443",
            "external/outside -> pod/default/web:53/udp",
            "external/outside -> pod/default/web:80",
        ]
    );
    assert_eq!(
        flows(&on(&[ServiceIp])),
        [
            "pod/default/idle -> service/default/web:8080",
            "pod/default/web -> service/default/web:8080",
            "external/outside -> service/default/web:8080",
        ]
    );
    // Nobody outside asks the cluster's DNS.
    let by_name = ["pod/default/idle -> dns/web.default:8080", "pod/default/web -> dns/web.default:8080"];
    assert_eq!(flows(&on(&[ServiceName])), by_name);
    assert!(Table::new(&snapshot, &MatrixPlan::Off).is_empty());
}

#[test]
fn of_too_many_cells_one_of_each_kind_is_chosen_and_the_rest_by_the_seed() {
    let more: Vec<String> = (0..60).map(|i| pod(&format!("p{i}"), "{containerPort: 80}")).collect();
    let deny = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny}, \
                spec: {podSelector: {matchLabels: {app: p7}}, ingress: []}}";
    let snapshot = cluster(&[more, vec![deny.to_owned()]].concat());
    let oracle = Oracle::new(&snapshot, Profile::NETPROOF);
    let table = Table::new(&snapshot, &on(&[PodIp]));
    let of = all_cells(&snapshot, &on(&[PodIp])).len();
    let (numbers, kinds) = table.sample(&oracle, 0, 100);
    assert!(kinds < 60 && of > 3_700, "{kinds} kinds of {of}");
    assert_eq!(numbers.len(), 100);
    assert_eq!(table.sample(&oracle, 0, 100), (numbers.clone(), kinds), "the seed decides");
    assert_ne!(table.sample(&oracle, 1, 100).0, numbers);
    let flows: BTreeSet<String> = numbers.iter().map(|number| table.cell(*number).flow.to_string()).collect();
    assert!(flows.iter().any(|flow| flow.contains("-> pod/default/p7:80")), "{flows:?}");
    assert!(flows.iter().any(|flow| flow.starts_with("external/outside ->")));
    // More kinds than may be tried: so many of them.
    assert_eq!(table.sample(&oracle, 0, 5).0.len(), 5);
}
