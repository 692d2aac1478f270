//! Profiles: the shipped ones, a whole one, and everything that can be wrong with one.

use super::*;
use netproof_api::Source;

/// Names of the oracle's profiles; the real ones are held against the shipped profiles by the command's tests.
const ORACLES: [&str; 4] = ["netproof", "strict", "calico", "kube-router"];

fn profile(name: &str, text: &str) -> Profile {
    match read(&Source::new(name, text), &ORACLES) {
        Ok(profile) => profile,
        Err(problems) => {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
        }
    }
}

#[test]
fn the_shipped_profiles_are_sound() {
    for (name, text) in SHIPPED {
        let profile = profile(name, text);
        assert_eq!(profile.name, name);
        assert!(shipped(name).is_some());
    }
    let names = SHIPPED.map(|(name, _)| name);
    assert!(names.is_sorted() && shipped("no-such").is_none());
}

const WHOLE: &str = r#"
apiVersion: netproof/v1alpha1
kind: AgentProfile
metadata: {name: mine}
spec:
  title: an agent of mine
  role: proxy
  program: my-agent
  arguments: ["--node={node}", "--api={api}", "--plain={plainApi}"]
  setup: echo {apiHost} {apiPort}
  environment: {FAMILIES: "{ipv4} {ipv6}", RANGES: "{podRanges} {serviceRanges}"}
  files: [{path: /run/mine/config, content: "{ca} {token} {kubeconfig} {{node}"}]
  private: [/var/lib/mine]
  objects: [{apiVersion: example.org/v1, kind: Setting, metadata: {name: default}, on: yes, number: 1}]
  needs: {programs: [nft], kernel: [nft_queue, nfnetlink_queue, xt_nfqueue, ip_set, xt_set]}
  notApplicable:
  - {wiring: bridge, because: it knows no bridges}
  - {family: ipv6, because: it knows no IPv6}
  policies: [clusternetworkpolicy, networkpolicy]
  interfaces: {prefix: veth}
  verdicts: userSpace
  sentinel: {times: 2, inFrontOf: clusterNetworkPolicy}
  oracle: calico
  proxyMode: iptables
"#;

#[test]
fn every_key_is_read() {
    let mut whole = profile("mine.yaml", WHOLE);
    // Templates are shown filled in, below.
    assert_eq!((whole.arguments.len(), whole.environment.len(), whole.files.len()), (3, 2, 1));
    (whole.arguments, whole.environment, whole.files, whole.setup) = Default::default();
    insta::assert_debug_snapshot!("every_key", whole);
}

#[test]
fn what_is_absent_has_its_default() {
    let least = "{apiVersion: netproof/v1alpha1, kind: AgentProfile, metadata: {name: least}, \
                 spec: {title: nothing, role: enforcer, program: least}}";
    insta::assert_debug_snapshot!("defaults", profile("least.yaml", least));
}

#[test]
fn placeholders_are_found_in_every_text() {
    let whole = profile("mine.yaml", WHOLE);
    let mut texts: Vec<&Template> = whole.arguments.iter().chain(&whole.setup).collect();
    texts.extend(whole.environment.iter().map(|(_, value)| value));
    texts.extend(whole.files.iter().map(|file| &file.content));
    let filled: Vec<String> = texts.iter().map(|text| text.fill(|it| format!("<{it:?}>"))).collect();
    let expected = [
        "--node=<Node>",
        "--api=<Api>",
        "--plain=<PlainApi>",
        "echo <ApiHost> <ApiPort>",
        "<Ipv4> <Ipv6>",
        "<PodRanges> <ServiceRanges>",
        "<Ca> <Token> <Kubeconfig> {node}",
    ];
    assert_eq!(filled, expected);
}

/// Everything that can be wrong, in one file: each is said, with its place.
#[test]
fn each_mistake_is_named_at_its_place() {
    let texts = [
        r#"
apiVersion: netproof/v1alpha1
kind: AgentProfile
metadata: {name: My_Agent}
spec:
  title: ""
  role: enforcer
  program: /usr/bin/agent
  argument: [x]
  arguments: ["--a={nod}", "{node} {Node} {x-y}"]
  setup: |
    echo {node}
    echo {nodes}
  environment: {"A=B": c, "": d}
  files:
  - {path: etc/agent, content: "{xyzzy}"}
  - {path: /etc/agent/../x, content: ""}
  - {path: /etc/agent/x, content: ""}
  - {path: /etc/agent/x, content: ""}
  private: [/, /proc/sys/net, var/lib]
  objects: [{apiVersion: v1, metadata: {}}, {}]
  needs: {programs: [sbin/nft], kernel: [nft_que, br_netfilter]}
  notApplicable:
  - {wiring: bridg, because: x}
  - {wiring: bridge, family: ipv6, because: x}
  - {family: ipv4, because: " "}
  - {because: x}
  policies: [networkpolcy, NetworkPolicy, service]
  interfaces: {prefix: calico}
  verdicts: user
  sentinel: {times: 3, inFrontOf: tier}
  oracle: calic
  proxyMode: iptables
"#,
        r#"
apiVersion: netproof/v1
kind: Profile
metadata: {name: mine, labels: {}}
spec:
  title: [mine]
  role: firewall
  environment: {A: true, B: 1}
  private: /var/lib
  notApplicable:
  - because: 1
  sentinel: {times: twice}
  proxyMode: ipvs
"#,
        r#"
apiVersion: netproof/v1alpha1
kind: AgentProfile
metadata: {name: mine}
spec:
  title: mine
  role: proxy
  program: mine
  notApplicable:
  - {wiring: routed, because: x}
  - {wiring: bridge, because: x}
  - {wiring: vxlan, because: x}
"#,
        "",
        "{",
        "a: 1\n---\nb: 2\n",
    ];
    let said = texts.map(|text| {
        let problems = read(&Source::new("mine.yaml", text), &ORACLES).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
    });
    insta::assert_snapshot!("mistakes", said.join("\n\n==========\n\n"));
}

const PAGE: &str = include_str!("../../../../docs/agent-profiles.md");

#[test]
fn the_documentation_has_a_sound_profile_and_every_shipped_one() {
    let examples: Vec<&str> =
        PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        profile("docs/agent-profiles.md", example);
    }
    for (name, text) in SHIPPED {
        let Profile { role, title, .. } = profile(name, text);
        let line = format!("| `{name}` | `--{role}` | {title} |");
        assert!(PAGE.contains(&line), "docs/agent-profiles.md lacks this line:\n{line}");
    }
}

#[test]
fn the_documentation_names_every_key_word_and_placeholder() {
    let schema: Value = serde_json::from_str(&profile_schema()).unwrap();
    let mut words: Vec<String> = Placeholder::ALL.map(|(word, _)| format!("`{{{word}}}`")).into();
    let mut nodes = vec![&schema];
    while let Some(node) = nodes.pop() {
        let properties = node.get("properties").and_then(Value::as_object);
        words.extend(properties.into_iter().flatten().map(|(key, _)| key.clone()));
        words.extend(node.get("const").and_then(Value::as_str).map(str::to_owned));
        match node {
            Value::Object(fields) => nodes.extend(fields.values()),
            Value::Array(items) => nodes.extend(items),
            _ => {}
        }
    }
    assert!(words.len() > 50, "{words:?}");
    words.retain(|word| !PAGE.contains(word.as_str()));
    assert!(words.is_empty(), "docs/agent-profiles.md says nothing about {words:?}");
}
