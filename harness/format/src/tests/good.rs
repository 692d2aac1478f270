//! Scenarios that are right, and the plans that they become.

use super::*;
use netproof_controlplane::Change;
use netproof_model::request::{RequestPort, RequestTarget};
use netproof_model::{Family, Topology};
use netproof_plan::{AddressName, Expectation, PolicySees};

#[test]
fn every_scenario_of_the_repository_loads() {
    let loaded = load(&[repository().join("scenarios")], &Options::default());
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(!loaded.plans.is_empty());
    // One is about blocks that are written by an address in them (point 30), which is warned of.
    let meant = |it: &Diagnostic| {
        let file = it.source.as_ref().map_or("", |source| source.name.as_str());
        file.ends_with("points/overlapping-blocks.yaml") && it.message.contains("has host bits set")
    };
    let warnings = loaded.warnings.iter().filter(|warning| !meant(warning));
    let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
    assert_eq!(warnings.join("\n\n"), "");
}

#[test]
fn the_examples_of_the_documentation_load() {
    let text = std::fs::read_to_string(repository().join("docs/scenarios.md")).unwrap();
    let examples: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|example| example.contains("kind: Scenario"))
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        load_text(example).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn the_topology_of_the_documentation_loads() {
    let text = std::fs::read_to_string(repository().join("docs/topologies.md")).unwrap();
    let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = Folder::new(&[
        ("topologies/shop.yaml", example),
        ("scenario.yaml", &changed("topology: two-nodes", "topology: shop")),
    ]);
    let loaded =
        folder.load("scenario.yaml", &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let shop = &loaded.plans[0].topology;
    // What it says stands where nothing is written is so.
    let inline = load_text(&changed("topology: two-nodes", "topology: {nodes: [{name: a}]}")).unwrap();
    assert_eq!(shop.ranges, inline.plans[0].topology.ranges);
    let inline = "topology: {nodes: [{name: a}], loadBalancer: {}}";
    let inline = load_text(&changed("topology: two-nodes", inline)).unwrap();
    let balancer = |topology: &Topology| topology.load_balancer.clone().unwrap();
    assert_eq!(balancer(shop).range, balancer(&inline.plans[0].topology).range);
    assert_eq!(balancer(shop).nodes, ["node1", "node2"]);
    assert_eq!(shop.advertised.len(), 2);
    assert!(shop.nat_outgoing);
    let networks = ["50.60.1.1", "70.80.90.1", "8.8.8.8"]
        .map(|address| shop.network_of(address.parse().unwrap()).map(|network| network.name.as_str()));
    assert_eq!(networks, [Some("customers"), Some("office"), Some("internet")]);
}

#[test]
fn built_in_topologies_are_right_and_their_ranges_the_default() {
    let topologies = topologies(Path::new("/nowhere")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(topologies.len(), library::BUILT_IN.len());
    let inline = load_text(&changed("topology: two-nodes", "topology: {nodes: [{name: a}]}")).unwrap();
    for topology in topologies {
        assert_eq!(topology.ranges, inline.plans[0].topology.ranges);
        for host in &topology.externals {
            let families: Vec<Family> = host.addresses.iter().map(|address| Family::of(*address)).collect();
            assert_eq!(families, Family::ALL, "{} of {}", host.name, topology.name);
        }
        let networks = topology.networks.iter().filter(|network| !network.default);
        for network in networks {
            assert_eq!(network.ranges.len(), 2, "{} of {}", network.name, topology.name);
        }
    }
}

/// One line for each thing that a plan says.
fn describe(loaded: &Loaded) -> String {
    let mut lines = Vec::new();
    for plan in &loaded.plans {
        lines.push(format!(
            "{} on {} {} {}",
            plan.id, plan.topology.name, plan.topology.wiring, plan.topology.family
        ));
        let set = |changes: &[Change]| changes.iter().map(change).collect::<Vec<_>>().join("; ");
        lines.push(format!("  objects: {}", set(&plan.initial)));
        for step in &plan.steps {
            lines.push(format!("  step {}, line {}", step.name, step.location.line));
            lines.extend(step.change_sets.iter().map(|changes| format!("    change: {}", set(changes))));
            lines.extend(step.expectations.iter().map(expectation));
        }
    }
    for NotApplicable { id, location, because } in &loaded.not_applicable {
        lines.push(format!("{id} does not apply because {because} (line {})", location.line));
    }
    lines.join("\n")
}

fn change(change: &Change) -> String {
    match change {
        Change::Apply(netproof_api::Object::Pod(pod)) => {
            let node = pod.node_name.as_deref().unwrap_or("?");
            let ports: Vec<String> =
                pod.ports().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect();
            format!("pod/{} @{node} [{}]", pod.metadata.name, ports.join(" "))
        }
        Change::Apply(object) => format!("{}/{}", object.kind(), object.metadata().name),
        Change::ApplyExternal(host) => format!("external/{} {:?}", host.name, host.addresses),
        Change::Listen { pod, ports } => {
            let ports: Vec<String> =
                ports.iter().map(|port| format!("{}/{}", port.port, port.protocol)).collect();
            format!("pod/{pod} listens on [{}]", ports.join(" "))
        }
        Change::Label { object, labels } => format!("label {object} {labels:?}"),
        Change::Delete(object) => format!("delete {object}"),
    }
}

fn expectation(expectation: &Expectation) -> String {
    let Expectation { name, location, request, expected, .. } = expectation;
    let target = match &request.target {
        RequestTarget::Address(address) => address.to_string(),
        RequestTarget::Name { name, search, server, .. } => {
            format!("{name} (of {server}, {} suffixes)", search.len())
        }
    };
    let port = match request.port {
        RequestPort::Icmp => "icmp".to_owned(),
        RequestPort::Port { port, protocol } => format!("{port}/{protocol}"),
    };
    let mut line = format!(
        "    {}:{} {name}: {} to {target} {port}: {expected}",
        location.line, location.column, request.source
    );
    if let Some(decided_by) = &expectation.decided_by {
        line.push_str(&format!(", decided by {decided_by}"));
    }
    if let Some(sees) = &expectation.sees {
        line.push_str(&format!(", sees {sees}"));
    }
    if let Some(served_by) = &expectation.served_by {
        let places: Vec<String> = served_by.iter().map(ToString::to_string).collect();
        line.push_str(&format!(", served by {}", places.join(" ")));
    }
    let backends: Vec<String> = expectation.backends.iter().map(ToString::to_string).collect();
    if backends.len() > 1 {
        line.push_str(&format!(", of {}", backends.join(" ")));
    }
    if expectation.sticky {
        line.push_str(", sticky");
    }
    if expectation.keep {
        line.push_str(", kept");
    }
    if let Some(via) = &expectation.via {
        line.push_str(&format!(", via {}", via.iter().cloned().collect::<Vec<_>>().join(" or ")));
    }
    if let Some(PolicySees { source, destination }) = &expectation.policy_sees {
        let end = |name: &Option<AddressName>| name.as_ref().map_or("anything".into(), ToString::to_string);
        line.push_str(&format!(", policy sees {} to {}", end(source), end(destination)));
    }
    if let Some(kind) = expectation.rejected_with {
        line.push_str(&format!(", with {}", kind.word()));
    }
    if let Some(names) = &expectation.resolves_to {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        line.push_str(&format!(", resolves to {}", names.join(" ")));
    }
    if let Some(baseline) = &expectation.baseline {
        line.push_str(&format!(", else {} because {}", baseline.outcome, baseline.because));
    }
    line
}

/// The example of the format's definition.
const EXAMPLE: &str = "\
# yaml-language-server: $schema=../../harness/format/schema/scenario.json
apiVersion: netproof/v1alpha1
kind: Scenario
metadata:
  name: deny-all-traffic-to-an-application
  labels: {suite: recipes}
spec:
  description: Drop all traffic to the pods of an application.
  topology: two-nodes
  objects:
    - pod: {name: web, labels: {app: web}, node: node1, ports: [80]}
    - service: {name: web, selector: {app: web}, ports: [80]}
    - pod: {name: client, node: node2}
  steps:
    - name: deny all
      apply:
        - apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web-deny-all}
          spec: {podSelector: {matchLabels: {app: web}}, ingress: []}
      expect:
        - flow: pod/client -> service/web:80
          verdict: deny
          decidedBy: networkpolicy/web-deny-all
    - name: the policy is gone
      delete: [networkpolicy/web-deny-all]
      expect:
        - flow: pod/client -> service/web:80
          verdict: allow
          sees: pod/client          # the source address that the server saw
";

#[test]
fn the_example() {
    insta::assert_snapshot!(describe(&load_text(EXAMPLE).unwrap()));
}

/// What every step tries beside its expectations, and how it is read.
#[test]
fn matrices_and_profiles() {
    use netproof_plan::{MatrixDestination, MatrixPlan};
    let topology = "  topology: two-nodes";
    let plan = |words: &str, destinations: &[MatrixDestination]| {
        let text = changed(topology, &format!("{topology}{words}"));
        let folder = Folder::new(&[("scenario.yaml", &text)]);
        let destinations = destinations.iter().copied().collect();
        let options = Options { destinations, ..Options::default() };
        folder.load("scenario.yaml", &options).unwrap().plans.remove(0)
    };
    let on = |destinations: &[MatrixDestination]| {
        let destinations = destinations.iter().copied().collect();
        MatrixPlan::On { destinations }
    };
    use MatrixDestination::{PodIp, ServiceIp, ServiceName};
    let written = "\n  matrix: {destinations: [service-name, pod-ip]}";
    for (words, asked, expected) in [
        ("", &[][..], on(&[PodIp, ServiceIp])),
        (written, &[], on(&[PodIp, ServiceName])),
        (written, &[ServiceIp], on(&[ServiceIp])),
        ("\n  matrix: off", &[], MatrixPlan::Off),
        ("\n  matrix: off", &[PodIp], MatrixPlan::Off),
    ] {
        assert_eq!(plan(words, asked).matrix, expected, "{words} {asked:?}");
    }
    assert_eq!(plan("", &[]).profile, None);
    let profile = plan("\n  profile: kube-router", &[]).profile.unwrap();
    assert_eq!(profile.name, "kube-router");
    let (head, _) = GOOD.split_once("      expect:").unwrap();
    let loaded = load_text(&format!("{head}      expect: oracle\n")).unwrap();
    assert!(loaded.plans[0].steps[0].expectations.is_empty());
}

/// Every form that the format has.
pub(super) const EVERYTHING: &str = "\
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: everything}
spec:
  description: Every form.
  namespace: shop
  topology:
    family: dual
    nodes: [{name: a, labels: {zone: x}}, {name: b}]
    externals:
      - {name: internet, addresses: [203.0.113.10, \"2001:db8::10\"], ports: [443], dns: [example.com]}
  variants: {placement: [same-node, across]}
  requires: {placement: across, because: the pods are on two nodes}
  matrix: off
  objects:
    - namespace: {name: shop, labels: {team: shop}}
    - node: {name: a, labels: {zone: y}}
    - pod: {name: web, labels: {app: web}, ports: [80, 53/udp, \"metrics:9100\", {name: raw, containerPort: 7}]}
    - pod: {name: api, labels: {app: web}, ports: [80], listens: [80, 81], serviceAccount: api}
    - pod: {name: host, hostNetwork: true, ports: [9000]}
    - pod: {name: late, labels: {app: web}, ready: false, ip: [10.244.1.77, \"fd00:10:244:1::77\"]}
    - pod: {name: away, namespace: default, node: b}
    - service: {name: web, type: NodePort, selector: {app: web}, ports: [\"8080:80\"], nodePort: 30080}
    - service: {name: two, selector: {app: web}, ports: [80, \"9100:metrics\"]}
    - service: {name: peers, selector: {app: web}, clusterIP: None, ports: [80]}
    - external: {name: branch, addresses: [198.51.100.7], ports: [22, 53/udp]}
    - listens: {pod/web: [80, 9100, 53/udp]}
  steps:
    - name: short
      expect:
        - flow: pod/web -> pod/api:80
          verdict: allow
          sees: pod/web
        - flow: pod/default/away -> pod/web:metrics
          verdict: allow
        - flow: pod/web -> node/a:9000
          verdict: allow
        - flow: node/b -> pod/web:icmp
          verdict: allow
        - flow: pod/web -> external/branch:22
          verdict: allow
        - flow: external/internet -> nodeport/web@b
          verdict: allow
          sees: node/b
          servedBy: [pod/api, pod/web]
        - flow: external/internet -> nodeport/web@b:30080/http
          verdict: allow
        - flow: pod/web -> dns/web:8080/http
          verdict: allow
        - flow: node/a -> dns/peers.shop.svc.cluster.local:80
          verdict: allow
        - flow: pod/web -> dns/example.com
          verdict: allow
          family: ipv6
        - flow: pod/web -> dns/nowhere:80
          outcome: name-not-found
        - flow: pod/web -> ip/[2001:db8::10]:443
          verdict: allow
        - flow: pod/web -> pod/api:82
          outcome: refused
        - flow: pod/web -> service/kube-system/kube-dns:53/dns
          verdict: allow
        - flow: pod/host -> pod/web:53/udp
          verdict: deny
          baseline: {outcome: refused, because: it is a case}
        - flow: pod/host -> service/web
          verdict: {pod/web: allow, pod/api: deny}
        - flow: external/internet -> nodeport/web@a
          verdict: allow
          sees: router
          servedBy: [pod/web, pod/api]
          sticky: true
          via: node/a
          policySees: {source: external/internet, destination: pod/web}
        - flow: pod/host -> service/two:80
          verdict: allow
          servedBy: [pod/web, pod/api]
          sticky: true
          via: [node/a, node/b]
          policySees: ip/10.244.0.1
          family: ipv4
        - flow: pod/web -> pod/host:9000
          verdict: reject
          rejectedWith: admin-prohibited
          policySees: {destination: node/a}
          baseline: {outcome: refused, because: it is a case}
        - flow: pod/api -> pod/web:53/udp
          verdict: allow
          connection: keep
        - flow: pod/api -> dns/web:8080
          verdict: allow
          dns: service/web
        - flow: pod/web -> dns/peers:80
          verdict: allow
          dns: [pod/web, pod/api]
    - name: long
      apply:
        - pod: {name: more, labels: {app: more}}
      label: {pod/web: {tier: front, old: null}, namespace/shop: {team: web}}
      delete: [pod/late, external/branch]
      expect:
        - flow: {from: pod/web, to: pod/api, port: 80, family: ipv4}
          verdict: allow
        - flow: {from: pod/web, to: pod/api, protocol: icmp}
          verdict: allow
        - flow: {from: pod/api, to: pod/web, port: 53, protocol: udp}
          verdict: allow
        - flows: |
            pod/more -> pod/api:80

            pod/more -> pod/web:80
          verdict: allow
        - flows: [pod/more -> pod/api:80, {from: pod/more, to: service/web}]
          verdict: allow
          family: ipv4
    - name: one after the other
      changes:
        - delete: [pod/more]
        - apply: [{pod: {name: more}}]
        - label: {pod/more: {a: b}}
      matrix:
        - |
          :80       pod/web  pod/api
          pod/web   .        X
          pod/more  -        ?
        - |
          :icmp     node/a
          pod/web   D
";

#[test]
fn every_form() {
    insta::assert_snapshot!(describe(&load_text(EVERYTHING).unwrap_or_else(|errors| panic!("{errors}"))));
}

#[test]
fn variants_overrides_and_filters_choose() {
    let text = changed(
        "topology: two-nodes",
        "variants: {wiring: [routed, bridge], family: [ipv4, ipv6], placement: [same-node, across]}\n  \
         requires: {family: [ipv4, ipv6], because: the addresses are written out}",
    );
    let folder = Folder::new(&[("s.yaml", &text)]);
    let ids = |options: &Options| {
        let loaded = folder.load("s.yaml", options).unwrap_or_else(|errors| panic!("{errors}"));
        let plans = loaded.plans.iter().map(|plan| plan.id.variant_name());
        let others = loaded.not_applicable.iter().map(|it| format!("not {}", it.id.variant_name()));
        plans.chain(others).collect::<Vec<_>>().join(" ")
    };
    let all = "same-node-routed-ipv4 same-node-routed-ipv6 same-node-bridge-ipv4 same-node-bridge-ipv6 \
               across-routed-ipv4 across-routed-ipv6 across-bridge-ipv4 across-bridge-ipv6";
    let default = Options::default();
    assert_eq!(ids(&default), all);
    let bridge = Options { wiring: Some(Wiring::Bridge), filter: Some("across".into()), ..default.clone() };
    assert_eq!(ids(&bridge), "across-bridge-ipv4 across-bridge-ipv6");
    let dual = Options { family: Some(Families::Dual), ..bridge };
    assert_eq!(ids(&dual), "not across-bridge-dual");
    let named = Options { interface_prefix: Some("cali".parse().unwrap()), ..default.clone() };
    let loaded = folder.load("s.yaml", &named).unwrap_or_else(|errors| panic!("{errors}"));
    let prefixes =
        loaded.plans.iter().map(|plan| plan.start.snapshot().topology.interface_prefix.to_string());
    assert_eq!(prefixes.collect::<BTreeSet<_>>(), BTreeSet::from(["cali".to_owned()]));
    let none = Options { filter: Some("nothing like it".replace(' ', "-")), ..default.clone() };
    assert_eq!(ids(&none), "");
    let bad = Options { filter: Some("a b".into()), ..default };
    insta::assert_snapshot!(folder.load("s.yaml", &bad).unwrap_err(), @r"
    --filter:1:3: error: two conditions stand side by side: write `and` or `or` between them
      |
    1 | a b
      |   ^
    help: as in `suite=recipes and not (ipv6 or variant=bridge)`
    ");
}

#[test]
fn the_same_flow_twice_has_two_names() {
    let text = changed(
        "decidedBy: networkpolicy/deny",
        "decidedBy: networkpolicy/deny\n        - flow: pod/client -> pod/default/web:80/tcp\n          verdict: deny",
    );
    let loaded = load_text(&text).unwrap();
    let names: Vec<&str> =
        loaded.plans[0].steps[0].expectations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["one/pod/default/client -> pod/default/web:80", "one/pod/default/client -> pod/default/web:80 (2)"]
    );
}
