//! The Cyclonus table says what Cyclonus says: its cases, steps and tags are those of Cyclonus, and what our
//! oracle answers for every cell is what a second, tiny evaluation answers that reads no YAML (`model`).
//!
//! The two differ from Cyclonus's own oracle in one thing here: a pod always reaches itself.

mod model;

use super::*;
use model::{Pod, Port, Protocol, State};
use netproof_api::core::TransportProtocol;
use netproof_controlplane::Snapshot;
use netproof_model::{Family, NamespacedName, Place};
use netproof_oracle::{Cell, Oracle, PortProtocol};

/// Cyclonus's tags with their number of cases: all, and in its default run.
const TAGS: [(&str, usize, usize); 46] = [
    ("action", 7, 6),
    ("all-namespaces", 58, 10),
    ("all-pods", 84, 14),
    ("allow-all", 7, 6),
    ("any-peer", 2, 2),
    ("any-port", 14, 14),
    ("any-port-protocol", 2, 2),
    ("conflict", 17, 16),
    ("create-namespace", 1, 1),
    ("create-pod", 1, 1),
    ("create-policy", 2, 2),
    ("delete-namespace", 1, 1),
    ("delete-pod", 1, 1),
    ("delete-policy", 2, 1),
    ("deny-all", 13, 10),
    ("direction", 206, 100),
    ("egress", 103, 51),
    ("end-port", 12, 0),
    ("example", 1, 0),
    ("ingress", 105, 51),
    ("ip-block-no-except", 20, 2),
    ("ip-block-with-except", 20, 2),
    ("miscellaneous", 36, 22),
    ("multi-peer", 90, 0),
    ("multi-port-protocol", 14, 14),
    ("named-port", 25, 24),
    ("namespaces-by-default-label", 2, 0),
    ("namespaces-by-label", 54, 6),
    ("numbered-port", 40, 28),
    ("pathological", 6, 6),
    ("peer-ipblock", 38, 4),
    ("peer-pods", 110, 20),
    ("pods-by-label", 54, 6),
    ("policy-namespace", 38, 4),
    ("port", 69, 56),
    ("protocol", 54, 42),
    ("rule", 124, 30),
    ("sctp", 14, 10),
    ("set-namespace-labels", 1, 1),
    ("set-pod-labels", 1, 1),
    ("target", 6, 6),
    ("target-namespace", 3, 3),
    ("target-pod-selector", 3, 3),
    ("tcp", 20, 16),
    ("udp", 20, 16),
    ("update-policy", 1, 1),
];

fn cyclonus(family: Families) -> Vec<Plan> {
    let options = Options { family: Some(family), ..Options::default() };
    let loaded = load(&[repository().join("scenarios/conformance/cyclonus.yaml")], &options)
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.plans
}

#[test]
fn there_are_as_many_cases_of_each_tag() {
    let plans = cyclonus(Families::Ipv4);
    let is_default = |plan: &&Plan| plan.tags.contains("default");
    let steps = |plans: &mut dyn Iterator<Item = &Plan>| plans.map(|plan| plan.steps.len()).sum::<usize>();
    assert_eq!((plans.len(), steps(&mut plans.iter())), (230, 256));
    assert_eq!(
        (plans.iter().filter(is_default).count(), steps(&mut plans.iter().filter(is_default))),
        (112, 122)
    );
    for (tag, all, default) in TAGS {
        let tagged = || plans.iter().filter(|plan| plan.tags.contains(tag));
        assert_eq!((tagged().count(), tagged().filter(is_default).count()), (all, default), "{tag}");
    }
    let known = |tag: &String| {
        TAGS.iter().any(|(known, ..)| known == tag) || ["default", "upstream-e2e"].contains(&tag.as_str())
    };
    let tags: BTreeSet<&String> = plans.iter().flat_map(|plan| &plan.tags).collect();
    assert!(tags.iter().all(|tag| known(tag)), "{tags:?}");
}

const PORTS: [Port; 2] = [80, 81];
const PROTOCOLS: [(Protocol, TransportProtocol); 3] = [
    (Protocol::Tcp, TransportProtocol::Tcp),
    (Protocol::Udp, TransportProtocol::Udp),
    (Protocol::Sctp, TransportProtocol::Sctp),
];

#[test]
fn the_oracle_answers_as_the_model_does() {
    let model = model::cases();
    for (families, family) in [(Families::Ipv4, Family::Ipv4), (Families::Ipv6, Family::Ipv6)] {
        let plans = cyclonus(families);
        assert_eq!(plans.len(), model.len());
        for plan in &plans {
            let states = model.get(&plan.id.name).unwrap_or_else(|| panic!("the model has no {}", plan.id));
            assert_eq!(states.len(), plan.steps.len(), "{}", plan.id);
            for (step, state) in plan.steps.iter().zip(states) {
                let said = differences(&step.states.after(), state, family);
                assert!(said.is_empty(), "{}, {}, {family}: {said:#?}", plan.id, step.name);
            }
        }
    }
}

/// The cells of a step that the oracle and the model see differently.
fn differences(snapshot: &Snapshot, state: &State, family: Family) -> Vec<String> {
    let place = |pod: &Pod| Place::Pod(NamespacedName::new(pod.namespace, pod.name));
    let places: Vec<Place> = state.pods.iter().map(place).collect();
    let own = snapshot.pods.keys().filter(|name| name.namespace != "kube-system").count();
    let mut said = Vec::new();
    if own != places.len() {
        said.push(format!("{own} pods, and the model has {}", places.len()));
    }
    let ports: Vec<(Port, Protocol, PortProtocol)> = PROTOCOLS
        .into_iter()
        .flat_map(|(word, protocol)| {
            PORTS.map(|number| (number, word, PortProtocol::Port { number, protocol }))
        })
        .collect();
    let asked: Vec<PortProtocol> = ports.iter().map(|(.., port)| *port).collect();
    let matrix = |profile| Oracle::new(snapshot, profile).matrix(&places, family, &asked).unwrap();
    let (netproof, strict) = (matrix(Profile::NETPROOF), matrix(Profile::STRICT));
    for (i, from) in state.pods.iter().enumerate() {
        for (j, to) in state.pods.iter().enumerate() {
            for (k, (port, protocol, _)) in ports.iter().enumerate() {
                let expected =
                    if state.allows(from, to, *port, *protocol) { Cell::Allow } else { Cell::Deny };
                let (ours, open) = (netproof.cell(i, j, k), strict.cell(i, j, k));
                if ours != Some(expected) || (open != Some(expected) && open != Some(Cell::Either)) {
                    said.push(format!(
                        "{from} -> {to}:{port} {protocol:?}: {ours:?}, {open:?}, {expected:?}"
                    ));
                }
            }
        }
    }
    said
}
