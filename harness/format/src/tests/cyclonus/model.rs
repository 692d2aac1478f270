//! What each case of Cyclonus should come to, told once more: policies as functions of pods and ports, from
//! the description of the cases, with nothing read and nothing shared.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

pub type Port = u16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

use Protocol::{Sctp, Tcp, Udp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    pub namespace: &'static str,
    pub name: &'static str,
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

type Who = Rc<dyn Fn(&Pod) -> bool>;
type What = Rc<dyn Fn(Port, Protocol) -> bool>;

#[derive(Clone)]
struct Rule(Who, What);

/// A policy: whom it selects, and what it lets in and out; `None` where it does not isolate.
#[derive(Clone)]
struct Policy {
    target: Who,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// What there is in a step.
pub struct State {
    pub pods: Vec<Pod>,
    policies: Vec<Policy>,
}

impl State {
    pub fn allows(&self, from: &Pod, to: &Pod, port: Port, protocol: Protocol) -> bool {
        let side = |subject: &Pod, peer: &Pod, rules: fn(&Policy) -> &Option<Vec<Rule>>| {
            let selecting = self.policies.iter().filter(|policy| (policy.target)(subject));
            let rules: Vec<_> = selecting.filter_map(|policy| rules(policy).as_ref()).collect();
            rules.is_empty()
                || rules.iter().copied().flatten().any(|Rule(who, what)| who(peer) && what(port, protocol))
        };
        from == to || side(from, to, |policy| &policy.egress) && side(to, from, |policy| &policy.ingress)
    }
}

fn who(test: impl Fn(&Pod) -> bool + 'static) -> Who {
    Rc::new(test)
}

fn what(test: impl Fn(Port, Protocol) -> bool + 'static) -> What {
    Rc::new(test)
}

fn anyone() -> Who {
    who(|_| true)
}

fn nobody() -> Who {
    who(|_| false)
}

fn anything() -> What {
    what(|_, _| true)
}

fn in_namespace(name: &'static str) -> Who {
    who(move |pod| pod.namespace == name)
}

fn only(namespace: &'static str, name: &'static str) -> Who {
    who(move |pod| (pod.namespace, pod.name) == (namespace, name))
}

fn tcp_80() -> What {
    what(|port, protocol| (port, protocol) == (80, Tcp))
}

fn base() -> Policy {
    let from = who(|pod| ["b", "c"].contains(&pod.name) && ["x", "y", "y-2"].contains(&pod.namespace));
    let to = who(|pod| ["a", "b"].contains(&pod.name) && ["y", "y-2", "z"].contains(&pod.namespace));
    Policy {
        target: only("x", "a"),
        ingress: Some(vec![Rule(from, tcp_80())]),
        egress: Some(vec![Rule(to, tcp_80())]),
    }
}

const DIRECTIONS: [&str; 2] = ["ingress", "egress"];

/// A policy with other rules in one direction.
fn with(direction: &str, rules: Vec<Rule>, policy: Policy) -> Policy {
    match direction {
        "ingress" => Policy { ingress: Some(rules), ..policy },
        _ => Policy { egress: Some(rules), ..policy },
    }
}

/// The base policy with other peers, or other ports, in one direction.
fn with_peers(direction: &str, peers: Who) -> Policy {
    with(direction, vec![Rule(peers, tcp_80())], base())
}

fn with_ports(direction: &str, ports: What) -> Policy {
    let peers = match direction {
        "ingress" => base().ingress,
        _ => base().egress,
    };
    let rules = peers.into_iter().flatten().map(|Rule(who, _)| Rule(who, ports.clone())).collect();
    with(direction, rules, base())
}

/// A policy of one direction only.
fn one_way(direction: &str, target: Who, rules: Vec<Rule>) -> Policy {
    with(direction, rules, Policy { target, ingress: None, egress: None })
}

fn nine() -> Vec<Pod> {
    ["x", "y", "z"].iter().flat_map(|namespace| ["a", "b", "c"].map(|name| Pod { namespace, name })).collect()
}

fn state(policies: Vec<Policy>) -> State {
    State { pods: nine(), policies }
}

fn and(pods: &[(&'static str, &'static str)], policies: Vec<Policy>) -> State {
    let mut all = nine();
    all.extend(pods.iter().map(|(namespace, name)| Pod { namespace, name }));
    State { pods: all, policies }
}

/// The addresses around z/c: those on its node, and of these the ones that share all but four bits with it.
fn near(pod: &Pod) -> bool {
    [("x", "a"), ("x", "c"), ("y", "b"), ("z", "a"), ("z", "c")].contains(&(pod.namespace, pod.name))
}

fn nearest(pod: &Pod) -> bool {
    [("x", "c"), ("z", "a"), ("z", "c")].contains(&(pod.namespace, pod.name))
}

fn peers() -> [(&'static str, Who); 10] {
    [
        ("all-pods-own-ns", in_namespace("x")),
        ("pods-by-label-own-ns", only("x", "c")),
        ("any-ns", anyone()),
        ("all-pods-any-ns", anyone()),
        ("pods-by-label-any-ns", who(|pod| pod.name == "c")),
        ("ns-by-label", in_namespace("x")),
        ("all-pods-ns-by-label", in_namespace("x")),
        ("pods-by-label-ns-by-label", only("x", "c")),
        ("ip-block", who(near)),
        ("ip-block-with-except", who(|pod| near(pod) && !nearest(pod))),
    ]
}

fn ports() -> Vec<(String, What)> {
    let mut all: Vec<(String, What)> = vec![
        ("port-empty".into(), what(|_, protocol| protocol == Tcp)),
        ("port-80".into(), tcp_80()),
        ("port-81".into(), what(|port, protocol| (port, protocol) == (81, Tcp))),
        ("ports-none".into(), anything()),
        ("port-name-of-another-protocol".into(), what(|_, _| false)),
        ("port-name-not-served".into(), what(|_, _| false)),
        ("port-number-not-served".into(), what(|_, _| false)),
        ("2-port-empty-and-80".into(), what(|_, protocol| protocol == Tcp)),
        ("2-port-empty-and-serve-80-tcp".into(), what(|_, protocol| protocol == Tcp)),
        ("2-port-empty-and-udp".into(), what(|_, protocol| protocol != Sctp)),
        ("2-port-80-and-81".into(), what(|_, protocol| protocol == Tcp)),
        ("2-port-80-and-serve-81-tcp".into(), what(|_, protocol| protocol == Tcp)),
        (
            "2-port-80-and-udp-serve-81-udp".into(),
            what(|port, protocol| [(80, Tcp), (81, Udp)].contains(&(port, protocol))),
        ),
        ("2-port-udp-80-and-udp-serve-81-udp".into(), what(|_, protocol| protocol == Udp)),
    ];
    for (word, is) in [("tcp", Tcp), ("udp", Udp), ("sctp", Sctp)] {
        all.push((format!("port-{word}"), what(move |_, protocol| protocol == is)));
        for number in [80, 81] {
            let one = what(move |port, protocol| (port, protocol) == (number, is));
            all.push((format!("port-{word}-{number}"), one.clone()));
            all.push((format!("port-{word}-serve-{number}-{word}"), one));
        }
        all.push((format!("port-{word}-53-to-80"), what(move |port, protocol| (port, protocol) == (80, is))));
        all.push((format!("port-{word}-53-to-84"), what(move |_, protocol| protocol == is)));
    }
    all
}

/// The state after each step of each case.
pub fn cases() -> BTreeMap<String, Vec<State>> {
    let mut cases = BTreeMap::new();
    let mut case = |name: String, states: Vec<State>| {
        assert!(cases.insert(name.clone(), states).is_none(), "{name} stands here twice");
    };
    for namespace in ["x", "y", "z"] {
        let policy = Policy { target: only(namespace, "a"), ..base() };
        case(format!("target-namespace-{namespace}"), vec![state(vec![policy])]);
    }
    for (name, names) in [("all", &["a", "b", "c"][..]), ("by-label", &["a"]), ("by-expression", &["a", "b"])]
    {
        let target = who(move |pod| pod.namespace == "x" && names.contains(&pod.name));
        case(format!("target-pods-{name}"), vec![state(vec![Policy { target, ..base() }])]);
    }
    let all = || Rule(anyone(), anything());
    for direction in DIRECTIONS {
        case(format!("{direction}-deny-all"), vec![state(vec![with(direction, vec![], base())])]);
        case(format!("{direction}-allow-all"), vec![state(vec![with(direction, vec![all()], base())])]);
        case(format!("{direction}-peers-none"), vec![state(vec![with_peers(direction, anyone())])]);
        for (i, (name, one)) in peers().into_iter().enumerate() {
            case(format!("{direction}-peer-{name}"), vec![state(vec![with_peers(direction, one.clone())])]);
            for (other_name, other) in peers().into_iter().skip(i + 1) {
                let one = one.clone();
                let both = who(move |pod| one(pod) || other(pod));
                let policy = with_peers(direction, both);
                case(format!("{direction}-2-peer-{name}-and-{other_name}"), vec![state(vec![policy])]);
            }
        }
        for (name, ports) in ports() {
            case(format!("{direction}-{name}"), vec![state(vec![with_ports(direction, ports)])]);
        }
        let policy = with_peers(direction, in_namespace("z"));
        case(format!("{direction}-namespace-by-default-label"), vec![state(vec![policy])]);

        // Deny rules name nobody; the policies of DNS allow nothing that is probed, and isolate no more.
        let source = |rules| one_way(direction, only("x", "b"), rules);
        let (deny, allow) = (source(vec![]), source(vec![all()]));
        let conflict = |rest: &str| format!("conflict-{direction}-{rest}");
        for how in [
            "deny-all-allow-all-by-pod",
            "deny-all-allow-all-by-ip",
            "deny-all-by-ip-allow-all-by-pod",
            "deny-all-by-pod-allow-all-by-ip",
        ] {
            case(conflict(how), vec![state(vec![deny.clone(), allow.clone()])]);
        }
        for how in ["deny-all-by-ip", "deny-all-by-pod"] {
            case(conflict(how), vec![state(vec![deny.clone()])]);
        }
        let target = || if direction == "egress" { only("x", "b") } else { only("y", "c") };
        let both = vec![one_way(direction, target(), vec![]), one_way(direction, target(), vec![all()])];
        case(conflict("deny-all-allow-all"), vec![state(both)]);
    }
    let (source, destination) = (|| only("x", "b"), || only("y", "c"));
    case(
        "conflict-deny-all-of-source-allow-all-of-destination".into(),
        vec![state(vec![
            one_way("egress", source(), vec![]),
            one_way("ingress", destination(), vec![all()]),
        ])],
    );
    case(
        "conflict-allow-all-of-source-deny-all-of-destination".into(),
        vec![state(vec![
            one_way("egress", source(), vec![all()]),
            one_way("ingress", destination(), vec![]),
        ])],
    );

    case("action-create-and-delete-policy".into(), vec![state(vec![base()]), state(vec![])]);
    let updated = with_ports("ingress", what(|port, protocol| (port, protocol) == (81, Udp)));
    case("action-create-and-update-policy".into(), vec![state(vec![base()]), state(vec![updated])]);
    let more = and(&[("y-2", "a"), ("y-2", "b")], vec![base()]);
    case("action-create-and-delete-namespace".into(), vec![state(vec![base()]), more, state(vec![base()])]);
    let more = and(&[("x", "d")], vec![base()]);
    case("action-create-and-delete-pod".into(), vec![state(vec![base()]), more, state(vec![base()])]);
    for (name, peer) in [("namespace", in_namespace("y")), ("pod", only("y", "b"))] {
        let states = [nobody(), peer, nobody()].map(|peer| state(vec![with_peers("ingress", peer)]));
        case(format!("action-label-and-unlabel-{name}"), states.into());
    }

    let of_x = |rules| one_way("ingress", in_namespace("x"), rules);
    let of_a = |rules| one_way("ingress", only("x", "a"), rules);
    let named = || of_x(vec![Rule(anyone(), what(|port, protocol| (port, protocol) == (81, Tcp)))]);
    let mut example: Vec<State> = (0..7).map(|_| state(vec![named()])).collect();
    example[1] = and(&[("w", "a")], vec![named()]);
    case("example-ingress-on-one-named-port".into(), example);

    let nothing = |policy: Policy| Policy { egress: Some(vec![]), ..policy };
    let multiple = who(|pod| pod.namespace != "x" && ["b", "c"].contains(&pod.name));
    let port =
        |number| Rule(in_namespace("y"), what(move |port, protocol| (port, protocol) == (number, Tcp)));
    let updated_namespace = of_a(vec![Rule(in_namespace("y"), anything())]);
    let from_b = of_a(vec![Rule(only("x", "b"), anything())]);
    let both_ways = || Policy { egress: Some(vec![Rule(anyone(), tcp_80())]), ..from_b.clone() };
    let from_a = |target| one_way("ingress", target, vec![Rule(only("x", "a"), anything())]);
    let to_a = one_way("egress", only("x", "a"), vec![Rule(only("y", "a"), anything())]);
    for (name, steps) in [
        ("default-deny-ingress", vec![vec![of_x(vec![])]]),
        ("default-deny-all", vec![vec![nothing(of_x(vec![]))]]),
        ("multiple-selectors", vec![vec![of_a(vec![Rule(multiple, anything())])]]),
        (
            "stacked-policies",
            vec![
                vec![of_a(vec![port(81)])],
                vec![of_a(vec![port(81)])],
                vec![of_a(vec![port(81)]), of_a(vec![port(80)])],
            ],
        ),
        ("allow-all", vec![vec![of_x(vec![all()])], vec![of_x(vec![all()])]]),
        ("named-port", vec![vec![named()], vec![named()]]),
        ("updated-policy", vec![vec![of_x(vec![all()])], vec![of_x(vec![])]]),
        ("updated-namespace", vec![vec![of_a(vec![])], vec![updated_namespace]]),
        ("updated-pod", vec![vec![of_a(vec![])], vec![from_b.clone()]]),
        ("deny-updated-pod", vec![vec![], vec![of_a(vec![])]]),
        ("ingress-and-egress", vec![vec![both_ways()], vec![both_ways()]]),
        ("egress-denied-at-the-client", vec![vec![to_a, from_a(only("y", "a")), from_a(only("y", "b"))]]),
        ("deleted-policy", vec![vec![nothing(of_x(vec![]))], vec![]]),
    ] {
        case(format!("upstream-{name}"), steps.into_iter().map(state).collect());
    }
    cases
}
