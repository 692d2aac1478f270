//! What must hold while changes are made: what is planned, what makes no sense, what contradicts the API.

use super::*;
use netproof_model::event::Never;

/// A pod that a policy isolates but for its friends; a guest who comes and goes.
const CHURN: &str = "\
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: churn}
spec:
  description: A case.
  topology: two-nodes
  objects:
    - pod: {name: web, labels: {app: web}, ports: [80, 53/udp]}
    - pod: {name: friend, labels: {role: friend}}
    - pod: {name: stranger}
    - pod: {name: other, labels: {app: other}, ports: [80]}
    - service: {name: web, selector: {app: web}, ports: [80]}
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web}
      spec:
        podSelector: {matchLabels: {app: web}}
        ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}]}]
  steps:
    - name: churn
      CHANGES
      meanwhile:
        - {STREAM}
";

/// A guest comes with an address of its own, and goes.
const GUEST: &str = "changes: [{apply: [{pod: {name: guest, node: node1, ip: [10.244.1.99, 'fd00:10:244:1::99'], ports: [80]}}]}, \
                     {delete: [pod/guest]}]";

fn text(changes: &str, stream: &str) -> String {
    CHURN.replace("CHANGES", changes).replace("STREAM", stream)
}

#[test]
fn a_stream_is_planned() {
    let stream = "flows: [pod/stranger -> pod/web:80, pod/stranger -> pod/web:80], never: allow}\n        \
                  - {flow: pod/friend -> service/web, never: cut, connection: keep}\n        \
                  - {flow: pod/friend -> pod/guest:80, never: allow";
    let text = text(&format!("repeat: 7\n      {GUEST}"), stream)
        .replace("topology:", "variants: {family: [dual]}\n  topology:");
    let loaded = load_text(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let [step] = &loaded.plans[0].steps[..] else { panic!("one step") };
    assert_eq!((step.rounds, step.change_sets.len()), (7, 2));
    let streams = step.streams.iter().map(|it| (it.name.as_str(), it.never, it.keep, it.complete_after));
    let stranger = "churn/never allow/pod/default/stranger -> pod/default/web:80";
    let [v4, v6] = ["ipv4", "ipv6"].map(|family| format!("{stranger} {family}"));
    let kept = "churn/never cut, kept/pod/default/friend -> service/default/web:80";
    let guest = "churn/never allow/pod/default/friend -> pod/default/guest:80";
    let expected = [
        (v4.clone(), Never::Allow, false, 0),
        (v6.clone(), Never::Allow, false, 0),
        (format!("{v4} (2)"), Never::Allow, false, 0),
        (format!("{v6} (2)"), Never::Allow, false, 0),
        (format!("{kept} ipv4"), Never::Cut, true, 0),
        (format!("{kept} ipv6"), Never::Cut, true, 0),
        // The guest is there after the first change.
        (format!("{guest} ipv4"), Never::Allow, false, 1),
        (format!("{guest} ipv6"), Never::Allow, false, 1),
    ];
    assert_eq!(streams.map(|it| (it.0.to_owned(), it.1, it.2, it.3)).collect::<Vec<_>>(), expected);
}

#[test]
fn what_makes_no_sense() {
    let flow = "flow: pod/stranger -> pod/web:80, never: allow";
    let cases = [
        (GUEST, "flow: pod/stranger -> pod/web:80"),
        (GUEST, "flow: pod/stranger -> pod/web:80, never: deny"),
        (GUEST, "never: cut"),
        (GUEST, "flow: pod/stranger -> pod/web:80, never: allow, connection: keep"),
        (GUEST, "flow: 'pod/friend -> pod/web:icmp', never: cut, connection: keep"),
        (GUEST, "flow: pod/friend -> dns/web:80, never: cut"),
        (GUEST, "flow: pod/friend -> pod/guest:80, never: cut"),
        (GUEST, "flow: pod/guest -> pod/web:80, never: allow"),
        (GUEST, "flow: pod/friend -> pod/nobody:80, never: allow"),
        ("", flow),
        ("repeat: 0\n      label: {pod/other: {a: b}}", flow),
        ("repeat: 1001\n      label: {pod/other: {a: b}}", flow),
        ("repeat: -1\n      label: {pod/other: {a: b}}", flow),
        ("repeat: 5000000000\n      label: {pod/other: {a: b}}", flow),
        ("changes: [{}]", flow),
        ("delete: [pod/other]", flow),
        ("changes: [{apply: [{pod: {name: guest}}]}, {delete: [pod/guest]}]", flow),
        (
            "changes: [{apply: [{pod: {name: guest, ip: 10.244.1.98, ports: [80]}}]}, {delete: [pod/guest]}, \
             {apply: [{pod: {name: guest, ip: 10.244.1.99, ports: [80]}}]}, {delete: [pod/guest]}]",
            "flow: pod/friend -> pod/guest:80, never: allow",
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(changes, stream)| format!("{changes}\n{stream}\n\n{}", complaints(&text(changes, stream))))
        .collect();
    insta::assert_snapshot!(said.join("\n\n----\n\n"));
}

/// What `validate` says of a claim: the messages of its errors.
fn said(changes: &str, stream: &str, profile: &str) -> Vec<String> {
    let text = text(changes, stream);
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
fn a_claim_must_hold_in_every_state() {
    let make_friends =
        "changes: [{label: {pod/stranger: {role: friend}}}, {label: {pod/stranger: {role: null}}}]";
    let lose_friends = "changes: [{label: {pod/other: {a: b}}}, {label: {pod/friend: {role: null}}}, \
                        {label: {pod/friend: {role: friend}}}]";
    let never = |flow: &str, never: &str| format!("flow: {flow}, never: {never}");
    let web = "pod/stranger -> pod/web:80";
    assert!(said(GUEST, &never(web, "allow"), "netproof").is_empty());
    assert!(said(GUEST, &never("pod/friend -> pod/web:80", "cut"), "netproof").is_empty());
    assert_eq!(
        said(make_friends, &never(web, "allow"), "netproof"),
        ["never allow, and after change 1 of the step the API says allow"]
    );
    assert_eq!(
        said(make_friends, &never(web, "cut"), "netproof"),
        ["never cut, and before the step's changes the API says deny"]
    );
    assert_eq!(
        said(lose_friends, &never("pod/friend -> pod/web:80", "cut"), "netproof"),
        ["never cut, and after change 2 of the step the API says deny"]
    );
    // Whether a connection that exists is cut is the profile's choice, also one that a service led.
    for to in ["pod/web:80", "service/web:80", "pod/web:53/udp"] {
        let kept = format!("flow: pod/friend -> {to}, never: cut, connection: keep");
        assert!(said(lose_friends, &kept, "netproof").is_empty());
        assert!(said(lose_friends, &kept, "strict").is_empty(), "what is open contradicts nothing");
        assert_eq!(
            said(lose_friends, &kept, "antrea").is_empty(),
            Profile::named("antrea").unwrap().existing_connections
                == netproof_oracle::ExistingConnections::Keep
        );
    }
    // The guest is nobody's until it comes, and then nothing isolates it.
    assert_eq!(
        said(GUEST, &never("pod/stranger -> pod/guest:80", "allow"), "netproof"),
        ["never allow, and after change 1 of the step the API says allow"]
    );
}
