//! The cases themselves: the same for the same seed, valid, and of everything that the API has.

use crate::case::Case;
use crate::generate::{Fixed, generate};
use crate::random::Random;
use crate::text::{About, text};
use crate::visits;
use netproof_api::Source;
use netproof_documents::options::Options;
use netproof_format::load_text;
use netproof_oracle::Profile;

fn about() -> About {
    About { name: "case".into(), description: "A case.".into(), ..About::default() }
}

fn written(seed: u64, number: usize, states: usize) -> String {
    text(&generate(seed, number, states, Fixed::default()), &about())
}

#[test]
fn a_seed_repeats_its_cases() {
    assert_eq!(written(7, 3, 25), written(7, 3, 25));
    assert_ne!(written(7, 3, 25), written(7, 4, 25));
    assert_ne!(written(7, 3, 25), written(8, 3, 25));
    // Fewer states are the first of them.
    let (few, many) = (generate(7, 3, 5, Fixed::default()), generate(7, 3, 25, Fixed::default()));
    assert_eq!(few, Case { states: many.states[..5].to_vec(), ..many });
    insta::assert_snapshot!(written(1, 1, 4));
}

#[test]
fn every_case_is_valid() {
    for number in 0..500 {
        let text = written(1, number, 3);
        let loaded = load_text(&Source::new("case.yaml", text.as_str()), &Options::default());
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!((loaded.plans.len(), loaded.plans[0].steps.len()), (1, 3));
        for warning in &loaded.warnings {
            let meant = ["host bits", " matches no ", " matches only pods in the network of their node"];
            let meant = meant.iter().any(|words| warning.message.contains(words));
            assert!(meant, "{warning}\n{text}");
        }
    }
}

/// What must be met in many cases: each word of the API, each kind of emptiness, each change.
#[test]
fn nothing_is_never_drawn() {
    let all: String = (0..60).map(|number| written(1, number, 25)).collect();
    for words in [
        "wiring: routed",
        "wiring: bridge",
        "wiring: vxlan",
        "family: ipv4",
        "family: ipv6",
        "family: dual",
        "natOutgoing",
        "hostNetwork",
        "ready: false",
        "type: NodePort",
        "type: LoadBalancer",
        "clusterIP: None",
        "externalTrafficPolicy: Local",
        "internalTrafficPolicy: Local",
        "publishNotReadyAddresses: true",
        "terminating: true",
        "phase: Succeeded",
        "advertised: [cluster-ips]",
        "loadBalancer: {}",
        "service-name",
        "namespace: \"0\"",
        "namespace/x]",
        "nnn0, namespace",
        "port: 53",
        "10.96.64.",
        "external:",
        "/sctp",
        "/udp",
        "operator: In,",
        "operator: NotIn",
        "operator: Exists",
        "operator: DoesNotExist",
        "podSelector: {}\n",
        "podSelector: {}}",
        "namespaceSelector: {}",
        "matchLabels: {}",
        "matchExpressions: []",
        "app: \"\"",
        "policyTypes: []",
        "policyTypes: [Ingress]",
        "policyTypes: [Egress]",
        "policyTypes: [Ingress, Egress]",
        "policyTypes: [Egress, Ingress]",
        "ingress: []",
        "egress: []",
        "from: []",
        "to: []",
        "ports: []",
        "ports: [{}",
        "- {}\n",
        "except: []",
        "/0\"",
        "/32\"",
        "/128\"",
        "endPort: 65535",
        "port: web",
        "port: absent",
        "protocol: UDP",
        "protocol: SCTP",
        "namespaceSelector: {matchLabels: {kubernetes.io",
        "label:\n",
        ": null",
        "delete: [pod/",
        "delete: [networkpolicy/",
        ":web\"",
        "web:80",
        "web:900",
    ] {
        assert!(all.contains(words), "no case has {words:?}");
    }
}

/// Beside the matrix: what leads to services from everywhere, and what is kept. Every file is valid with it.
#[test]
fn every_way_is_gone() {
    let mut all = String::new();
    for number in 0..30 {
        let case = generate(1, number, 12, Fixed::default());
        let visits = visits::choose(&case, &mut Random::of_case(2, number));
        let expectations = visits::expectations(&case, &visits, Profile::NETPROOF).unwrap();
        assert!(expectations.values().any(|of_a_state| !of_a_state.is_empty()), "case {number} goes nowhere");
        let about = About { expectations, ..about() };
        let text = text(&case, &about);
        let loaded = load_text(&Source::new("case.yaml", text.as_str()), &Options::default());
        loaded.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        all += &text;
    }
    for words in [
        "flow: node/",
        "-> node/",
        ":icmp",
        "flow: external/e0 -> nodeport/",
        "flow: external/e0 -> loadbalancer/",
        "-> loadbalancer/",
        "flow: node/node1 -> service/",
        "-> dns/",
        ":900",
        "/udp\n",
        "verdict: deny",
        "decidedBy: service",
        "connection: keep",
        "sees: ip/172",
        "sees: ip/198",
    ] {
        assert!(all.contains(words), "no flow has {words:?}");
    }
}
