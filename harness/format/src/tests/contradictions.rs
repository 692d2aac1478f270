//! Expectations against the API: what contradicts it is an error with the reason, and nothing else is.

use super::*;

/// A client, a service whose two backends differ in verdict, a pod that is isolated, one that reaches no name
/// server, a service without endpoints, two with the same two endpoints of which one keeps its clients, one with an
/// endpoint that does not listen; two steps, the second of which denies what was allowed.
const CLUSTER: &str = "
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: contradictions}
spec:
  description: One expectation a case.
  topology: two-nodes
  objects:
    - pod: {name: client, node: node1}
    - pod: {name: open, labels: {app: web}, node: node1, ports: [80]}
    - pod: {name: closed, labels: {app: web, closed: 'yes'}, node: node2, ports: [80]}
    - service: {name: web, selector: {app: web}, ports: [80]}
    - service: {name: sole, selector: {closed: 'yes'}, ports: [80]}
    - service: {name: empty, selector: {app: nothing}, ports: [80]}
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: closed}
      spec: {podSelector: {matchLabels: {closed: 'yes'}}, ingress: []}
    - pod: {name: gagged, labels: {gagged: 'yes'}, node: node1}
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: gagged}
      spec: {podSelector: {matchLabels: {gagged: 'yes'}}, policyTypes: [Egress]}
    - pod: {name: twin, labels: {app: twins}, node: node1, ports: [80]}
    - pod: {name: other, labels: {app: twins}, node: node2, ports: [80]}
    - service: {name: twins, selector: {app: twins}, ports: [80]}
    - service: {name: kept, selector: {app: twins}, sessionAffinity: ClientIP, ports: [80]}
    - pod: {name: deaf, labels: {half: 'yes'}, node: node1, ports: [80], listens: [81]}
    - pod: {name: hears, labels: {half: 'yes'}, node: node2, ports: [80]}
    - service: {name: half, selector: {half: 'yes'}, ports: [80]}
  steps:
    - name: first
      expect:
        - {FIRST}
    - name: second
      apply:
        - apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: all}
          spec: {podSelector: {}, ingress: []}
      expect:
        - {SECOND}
";

/// What holds in both steps, where a case is about the other.
const ALWAYS: &str = "{flow: 'pod/client -> pod/closed:80', verdict: deny}";

/// What `validate` says: nothing, or the messages of its errors.
fn said(first: &str, second: &str, profile: &str) -> Vec<String> {
    let text = CLUSTER.replace("{FIRST}", first).replace("{SECOND}", second);
    let options = Options { against: Profile::named(profile), ..Options::default() };
    match Folder::new(&[("scenario.yaml", &text)]).load("scenario.yaml", &options) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .lines()
            .filter_map(|line| line.split_once("error: "))
            .map(|(_, message)| message.replace("the scenario contradicts the API: ", ""))
            .collect(),
    }
}

#[test]
fn what_contradicts_the_api_says_so_and_nothing_else_does() {
    let differ = "pod/default/closed: deny, pod/default/open: allow";
    let several = |expected: &str| {
        format!("expected {expected}, but the backends differ in verdict, the API says {differ}")
    };
    // The expectation, and what is said of it; nothing where it is right.
    let cases: Vec<(&str, String)> = vec![
        ("flow: pod/client -> pod/open:80, verdict: allow", String::new()),
        ("flow: pod/client -> pod/open:80, verdict: allow, decidedBy: default", String::new()),
        ("flow: pod/client -> pod/open:80, verdict: deny", "expected deny, the API says allow".into()),
        ("flow: pod/client -> pod/closed:80, verdict: deny", String::new()),
        ("flow: pod/client -> pod/closed:80, verdict: drop", String::new()),
        ("flow: pod/client -> pod/closed:80, verdict: reject", "expected reject, the API says drop".into()),
        ("flow: pod/client -> pod/closed:80, verdict: allow", "expected allow, the API says deny".into()),
        ("flow: 'pod/client -> pod/open:81', outcome: refused", String::new()),
        (
            "flow: 'pod/client -> pod/closed:81', outcome: refused",
            "expected refused, the API says deny".into(),
        ),
        ("flow: 'pod/client -> service/web', verdict: allow", several("allow")),
        ("flow: 'pod/client -> service/web', verdict: deny", several("deny")),
        ("flow: 'pod/client -> service/web', verdict: {pod/open: allow, pod/closed: deny}", String::new()),
        (
            "flow: 'pod/client -> service/web', verdict: {pod/open: deny, pod/closed: deny}",
            format!("expected pod/default/closed: deny, pod/default/open: deny, the API says {differ}"),
        ),
        ("flow: 'pod/client -> service/empty', verdict: reject, decidedBy: service", String::new()),
        (
            "flow: 'pod/client -> service/empty', verdict: drop, decidedBy: service",
            "expected drop, the API says reject".into(),
        ),
        ("flow: 'pod/client -> dns/sole:80', verdict: deny", String::new()),
        ("flow: 'pod/client -> dns/sole:80', verdict: allow", "expected allow, the API says deny".into()),
        ("flow: 'pod/client -> dns/nobody:80', outcome: name-not-found", String::new()),
        (
            "flow: 'pod/client -> dns/sole:80', outcome: name-not-found",
            "expected name-not-found, the API says deny".into(),
        ),
        ("flow: 'pod/gagged -> dns/sole:80', outcome: name-server-unreachable", String::new()),
        (
            "flow: 'pod/gagged -> dns/sole:80', verdict: deny",
            "expected deny, the API says name-server-unreachable".into(),
        ),
        (
            "flow: 'pod/client -> dns/sole:80', outcome: name-server-unreachable",
            "expected name-server-unreachable, the API says deny".into(),
        ),
        (
            "flow: 'pod/client -> dns/nobody:80', outcome: name-server-unreachable",
            "expected name-server-unreachable, the API says name-not-found".into(),
        ),
        (
            "flow: 'pod/client -> service/web', servedBy: [pod/open], verdict: {pod/open: allow, pod/closed: deny}",
            String::new(),
        ),
        (
            "flow: 'pod/client -> service/web', servedBy: [pod/open, pod/closed], verdict: {pod/open: allow, pod/closed: deny}",
            "pod/default/closed never answers, the API says".into(),
        ),
        ("flow: pod/client -> pod/closed:80, verdict: deny, decidedBy: networkpolicy/closed", String::new()),
        ("flow: pod/client -> pod/closed:80, verdict: deny, decidedBy: isolation", String::new()),
        (
            "flow: pod/client -> pod/closed:80, verdict: deny, decidedBy: networkpolicy/gagged",
            "expected to be decided by networkpolicy/default/gagged, the API says by ingress isolation of \
             pod/default/closed by networkpolicy/default/closed"
                .into(),
        ),
        ("flow: 'pod/client -> service/empty', verdict: deny, decidedBy: isolation", "expected to be decided by isolation, the API says by service".into()),
        ("flow: pod/client -> pod/open:80, verdict: allow, sees: pod/client", String::new()),
        (
            "flow: pod/client -> pod/open:80, verdict: allow, sees: node/node1",
            "expected the server to see node/node1, the API says pod/default/client (10.244.1.3)".into(),
        ),
        (
            "flow: pod/client -> pod/closed:80, verdict: deny, policySees: {source: node/node1}",
            "expected policy to see node/node1 as the source, the API says pod/default/client (10.244.1.3)".into(),
        ),
        (
            "flow: pod/client -> service/sole, verdict: deny, policySees: {destination: pod/open}",
            "expected policy to see pod/default/open as the destination, the API says pod/default/closed (10.244.2.2)".into(),
        ),
        (
            "flow: 'pod/client -> service/web', verdict: {pod/open: allow, pod/closed: deny}, via: node/node2",
            "expected node/node2 to choose the backend, the API says node/node1 may".into(),
        ),
        (
            "flow: 'pod/client -> pod/closed', verdict: deny, rejectedWith: tcp-reset",
            "expected to be rejected with tcp-reset, the API says drop".into(),
        ),
        ("flow: 'pod/client -> service/empty', verdict: reject, decidedBy: service, rejectedWith: tcp-reset", String::new()),
        ("flow: 'pod/client -> dns/sole:80', verdict: deny, dns: service/sole", String::new()),
        (
            "flow: 'pod/client -> dns/sole:80', verdict: deny, dns: pod/closed",
            "expected the name to resolve to pod/default/closed, the API says to 10.96.1.1".into(),
        ),
        (
            "flow: 'pod/client -> dns/sole:80', verdict: deny, dns: [service/sole, service/web]",
            "expected the name to resolve to ip/10.96.1.1, ip/10.96.1.0, the API says to 10.96.1.1".into(),
        ),
        ("flow: 'external/internet -> pod/open', verdict: deny", "expected deny, the API says allow".into()),
        ("flow: 'pod/client -> ip/9.9.9.9:80', outcome: unreachable", String::new()),
        (
            "flow: 'pod/client -> ip/9.9.9.9:80', outcome: refused",
            "expected refused, the API says unreachable".into(),
        ),
        // Who listens where is said by the objects.
        (
            "flow: pod/client -> pod/open:80, outcome: refused",
            "expected refused, but pod/default/open listens there".into(),
        ),
        (
            "flow: pod/client -> service/half, verdict: allow",
            "expected allow, but nobody listens there at pod/default/deaf".into(),
        ),
        ("flow: 'pod/client -> dns/kube-dns.kube-system:53/dns', verdict: allow", String::new()),
        ("flow: 'pod/client -> pod/closed:icmp', verdict: deny", String::new()),
        // Who keeps a client is the service.
        ("flow: pod/client -> service/kept, verdict: allow, sticky: true", String::new()),
        (
            "flow: pod/client -> service/twins, verdict: allow, sticky: true",
            "expected one backend to answer every try, but service/default/twins has no sessionAffinity: ClientIP"
                .into(),
        ),
    ];
    for (case, expected) in cases {
        let messages = said(&format!("{{{case}}}"), ALWAYS, "netproof");
        assert_eq!(messages.join("; "), expected, "{case}");
    }
}

/// What must come of a flow without policy, so that its denial counts.
#[test]
fn what_a_rehearsal_cannot_see_contradicts_the_api() {
    let refused = "verdict: deny, baseline: {outcome: refused, because: nobody listens}";
    for (case, expected) in [
        (
            format!("pod/client -> pod/closed:80, {refused}"),
            "without policy, expected refused, but pod/default/closed listens there",
        ),
        (format!("'pod/client -> pod/closed:81', {refused}"), ""),
        (
            "'pod/client -> pod/closed:81', verdict: deny, baseline: {outcome: unreachable, because: far}"
                .into(),
            "without policy, expected unreachable, the API says allow",
        ),
        (
            "pod/client -> service/empty, verdict: deny".into(),
            "without policy, expected allow, the API says reject",
        ),
        ("pod/client -> service/empty, verdict: deny, decidedBy: service".into(), ""),
        (
            "'pod/gagged -> dns/nobody:80', outcome: name-server-unreachable".into(),
            "without policy, expected allow, the API says name-not-found",
        ),
        (
            "'pod/gagged -> dns/nobody:80', outcome: name-server-unreachable, \
             baseline: {outcome: name-not-found, because: nobody has it}"
                .into(),
            "",
        ),
    ] {
        let messages = said(&format!("{{flow: {case}}}"), ALWAYS, "netproof");
        assert_eq!(messages.join("; "), expected, "{case}");
    }
}

/// A new connection is denied in the second step; one that exists goes on, is cut, or either, as the profile
/// has it.
#[test]
fn kept_connections_are_judged_as_ones_that_exist() {
    let flow = |keep: bool, verdict: &str| {
        let keep = if keep { "connection: keep, " } else { "" };
        format!("{{flow: pod/client -> pod/open:80, {keep}verdict: {verdict}}}")
    };
    let deny = "expected deny, the API says allow";
    for (keep, verdict, profile, expected) in [
        (false, "allow", "netproof", "expected allow, the API says deny"),
        (false, "deny", "netproof", ""),
        (true, "allow", "netproof", ""),
        (true, "deny", "netproof", deny),
        (true, "allow", "strict", ""),
        (true, "deny", "strict", ""),
    ] {
        let messages = said(&flow(keep, "allow"), &flow(keep, verdict), profile);
        assert_eq!(messages.join("; "), expected, "{keep} {verdict} {profile}");
    }
}

/// The point that a profile settles is open in `strict`, and an open point contradicts nothing.
#[test]
fn what_the_api_leaves_open_contradicts_nothing() {
    for (verdict, profile, expected) in [
        ("allow", "netproof", "expected allow, the API says deny"),
        ("allow", "strict", ""),
        ("deny", "strict", ""),
    ] {
        let flow = format!("{{flow: 'node/node1 -> pod/closed', verdict: {verdict}}}");
        assert_eq!(said(&flow, ALWAYS, profile).join("; "), expected, "{verdict} {profile}");
    }
}

#[test]
fn a_contradiction_is_explained() {
    let text = CLUSTER
        .replace("{FIRST}", "{flow: 'pod/client -> service/sole', verdict: allow}")
        .replace("{SECOND}", ALWAYS);
    let folder = Folder::new(&[("scenario.yaml", &text)]);
    let options = Options { against: Some(Profile::NETPROOF), ..Options::default() };
    let said = folder.load("scenario.yaml", &options).unwrap_err();
    insta::assert_snapshot!(said.replace("FOLDER/", ""));
}
