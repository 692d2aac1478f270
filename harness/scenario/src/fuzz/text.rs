//! A case as the text of a scenario file. Each state becomes a step with the changes that lead to it.

use super::case::{Case, Labels, Pod, PodPort, Service, ServicePort, State, node_name};
use super::policy::{Peer, Policy, PortEntry, PortName, Requirement, Rule, Selector};
use netproof_api::core::TransportProtocol;
use netproof_api::networking::PolicyType;
use netproof_api::selector::Operator;
use netproof_model::{Family, NamespacedName};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// What a file says besides its case.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The scenario's name.
    pub name: String,
    /// What it is, and where it comes from; one line.
    pub description: String,
    /// What the states expect, by their number. Where nothing is, the API's answer is expected.
    pub expectations: BTreeMap<usize, Vec<Expected>>,
    /// Whether nothing but the expectations is tried.
    pub only_expectations: bool,
}

/// What is expected of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// As flows are written.
    pub flow: String,
    /// The family, where there are two.
    pub family: Option<Family>,
    /// A line: `verdict: deny`.
    pub line: String,
}

/// The text of a case.
pub fn text(case: &Case, about: &About) -> String {
    let mut lines = Lines::default();
    lines.add(0, "# yaml-language-server: $schema=../../harness/scenario/schema/scenario.json");
    lines.add(0, "apiVersion: netproof/v1alpha1");
    lines.add(0, "kind: Scenario");
    lines.add(0, format!("metadata: {{name: {}}}", about.name));
    lines.add(0, "spec:");
    lines.add(1, format!("description: {}", quoted(&about.description)));
    lines.cluster(case);
    if about.only_expectations {
        lines.add(1, "matrix: off");
    }
    let nothing = State::default();
    let without_policies = match case.states.first() {
        Some(first) => State { policies: BTreeMap::new(), ..first.clone() },
        None => nothing.clone(),
    };
    let externals = case.cluster.externals.iter().map(|(name, external)| {
        let addresses = external.addresses().map(|address| quoted(&address.to_string()));
        let ports = list(external.ports.iter().map(pod_port));
        format!("external: {{name: {name}, addresses: {}, ports: {ports}}}", list(addresses))
    });
    let mut objects = Lines::default();
    externals.for_each(|external| objects.item(2, [external]));
    objects.applied(2, &nothing, &without_policies);
    lines.field(1, "objects", objects);
    lines.add(1, "steps:");
    let mut before = &without_policies;
    for (index, state) in case.states.iter().enumerate() {
        lines.item(2, [format!("name: state {index}")]);
        lines.changes(before, state);
        match about.expectations.get(&index) {
            Some(all) if !all.is_empty() => {
                lines.add(3, "expect:");
                for Expected { flow, family, line } in all {
                    let family = family.map(|family| format!("family: {family}"));
                    let fields = [Some(format!("flow: {flow}")), family, Some(line.clone())];
                    lines.item(4, fields.into_iter().flatten());
                }
            }
            // The other states lead there.
            _ if about.only_expectations => {}
            _ => lines.add(3, "expect: oracle"),
        }
        before = state;
    }
    lines.0
}

/// Lines of YAML; a level of indentation is two spaces.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, level: usize, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:1$}{line}", "", level * 2);
    }

    /// An item of a list whose dash is at `level`: a mapping of these lines.
    fn item(&mut self, level: usize, lines: impl IntoIterator<Item = String>) {
        for (index, line) in lines.into_iter().enumerate() {
            let dash = if index == 0 { "- " } else { "  " };
            self.add(level, format!("{dash}{line}"));
        }
    }

    /// A list, or nothing where it has no item.
    fn field(&mut self, level: usize, name: &str, items: Lines) {
        if !items.0.is_empty() {
            self.add(level, format!("{name}:"));
            self.0.push_str(&items.0);
        }
    }

    fn cluster(&mut self, case: &Case) {
        let cluster = &case.cluster;
        self.add(1, "topology:");
        self.add(2, format!("wiring: {}", cluster.wiring));
        self.add(2, format!("family: {}", cluster.family));
        let nodes = cluster.node_names().map(|name| format!("{{name: {name}}}"));
        self.add(2, format!("nodes: {}", list(nodes)));
        if cluster.nat_outgoing {
            self.add(2, "natOutgoing: true");
        }
    }

    /// What leads from one state to the next. Where pods go they go first, so that their addresses are free.
    fn changes(&mut self, before: &State, after: &State) {
        let mut deleted: Vec<String> = gone("networkpolicy", &before.policies, &after.policies);
        deleted.extend(gone("service", &before.services, &after.services));
        let another = |name: &&NamespacedName| match (before.pods.get(*name), after.pods.get(*name)) {
            (Some(before), Some(after)) => after.is_another(before),
            (before, _) => before.is_some(),
        };
        deleted.extend(before.pods.keys().filter(another).map(|name| format!("pod/{name}")));
        let (old, new) = (&before.namespaces, &after.namespaces);
        deleted.extend(old.keys().filter(|it| !new.contains_key(*it)).map(|it| format!("namespace/{it}")));
        let labelled = labelled(before, after);
        // At once, where no address changes hands.
        if !deleted.iter().any(|name| name.starts_with("pod/")) {
            let mut applied = Lines::default();
            applied.applied(4, before, after);
            self.field(3, "apply", applied);
            let mut labels = Lines::default();
            labelled.iter().for_each(|line| labels.add(4, line));
            self.field(3, "label", labels);
            if !deleted.is_empty() {
                self.add(3, format!("delete: {}", list(deleted)));
            }
            return;
        }
        self.add(3, "changes:");
        self.item(4, [format!("delete: {}", list(deleted))]);
        let mut applied = Lines::default();
        applied.applied(6, before, after);
        if !applied.0.is_empty() {
            self.item(4, ["apply:".to_owned()]);
            self.0.push_str(&applied.0);
        }
        if !labelled.is_empty() {
            self.item(4, ["label:".to_owned()]);
            labelled.iter().for_each(|line| self.add(6, line));
        }
    }

    /// The objects that are new or not as before, except where only labels are.
    fn applied(&mut self, level: usize, before: &State, after: &State) {
        for (name, labels) in
            after.namespaces.iter().filter(|(name, _)| !before.namespaces.contains_key(*name))
        {
            // That one exists from the start.
            if name == "default" {
                continue;
            }
            self.item(level, [format!("namespace: {{name: {name}, labels: {}}}", mapping(labels))]);
        }
        for (name, pod) in &after.pods {
            let same = before.pods.get(name).is_some_and(|it| !pod.is_another(it) && it.ready == pod.ready);
            if !same {
                self.item(level, [format!("pod: {{{}}}", short_pod(name, pod))]);
            }
        }
        for (name, service) in &after.services {
            if before.services.get(name) != Some(service) {
                self.item(level, [format!("service: {{{}}}", short_service(name, service))]);
            }
        }
        for (name, policy) in &after.policies {
            if before.policies.get(name) != Some(policy) {
                self.policy(level, name, policy);
            }
        }
    }

    fn policy(&mut self, level: usize, name: &NamespacedName, policy: &Policy) {
        let NamespacedName { namespace, name } = name;
        let head = [
            "apiVersion: networking.k8s.io/v1".to_owned(),
            "kind: NetworkPolicy".to_owned(),
            format!("metadata: {{name: {name}, namespace: {namespace}}}"),
            "spec:".to_owned(),
            format!("  podSelector: {}", selector(&policy.pods)),
        ];
        self.item(level, head);
        if let Some(types) = &policy.types {
            let words = types.iter().map(|one| match one {
                PolicyType::Ingress => "Ingress",
                PolicyType::Egress => "Egress",
            });
            self.add(level + 2, format!("policyTypes: {}", list(words)));
        }
        self.rules(level + 2, ("ingress", "from"), policy.ingress.as_deref());
        self.rules(level + 2, ("egress", "to"), policy.egress.as_deref());
    }

    fn rules(&mut self, level: usize, (direction, peers): (&str, &str), rules: Option<&[Rule]>) {
        match rules {
            None => {}
            Some([]) => self.add(level, format!("{direction}: []")),
            Some(rules) => {
                self.add(level, format!("{direction}:"));
                for rule in rules {
                    let fields = [
                        rule.peers.as_ref().map(|all| format!("{peers}: {}", list(all.iter().map(peer)))),
                        rule.ports.as_ref().map(|all| format!("ports: {}", list(all.iter().map(port_entry)))),
                    ];
                    match fields {
                        [None, None] => self.item(level + 1, ["{}".to_owned()]),
                        fields => self.item(level + 1, fields.into_iter().flatten()),
                    }
                }
            }
        }
    }
}

fn gone<V>(
    kind: &str,
    before: &BTreeMap<NamespacedName, V>,
    after: &BTreeMap<NamespacedName, V>,
) -> Vec<String> {
    before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{kind}/{name}")).collect()
}

/// Lines for the objects whose labels change, and of pods nothing else.
fn labelled(before: &State, after: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, labels) in &after.namespaces {
        // The namespace that exists from the start has no labels of its own then.
        let nothing = Labels::new();
        let old = before.namespaces.get(name).or((name == "default").then_some(&nothing));
        if let Some(old) = old.filter(|old| *old != labels) {
            lines.push(format!("namespace/{name}: {}", label_changes(old, labels)));
        }
    }
    for (name, pod) in &after.pods {
        let old = before.pods.get(name).filter(|it| !pod.is_another(it) && it.ready == pod.ready);
        if let Some(old) = old.filter(|old| old.labels != pod.labels) {
            lines.push(format!("pod/{name}: {}", label_changes(&old.labels, &pod.labels)));
        }
    }
    lines
}

fn label_changes(old: &Labels, new: &Labels) -> String {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| format!("{}: null", quoted(key)));
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let set = set.map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)));
    braces(gone.chain(set))
}

fn short_pod(name: &NamespacedName, pod: &Pod) -> String {
    let NamespacedName { namespace, name } = name;
    let node = node_name(pod.node);
    let mut text =
        format!("name: {name}, namespace: {namespace}, labels: {}, node: {node}", mapping(&pod.labels));
    if pod.host_network {
        text.push_str(", hostNetwork: true");
    } else {
        let addresses = pod.addresses().map(|address| quoted(&address.to_string()));
        text.push_str(&format!(", ip: {}", list(addresses)));
    }
    text.push_str(&format!(", ports: {}", list(pod.ports.iter().map(pod_port))));
    if !pod.ready {
        text.push_str(", ready: false");
    }
    text
}

fn short_service(name: &NamespacedName, service: &Service) -> String {
    let NamespacedName { namespace, name } = name;
    let port =
        |it: &ServicePort| quoted(&format!("{}:{}{}", it.number, it.target, protocol_suffix(it.protocol)));
    let ports = list(service.ports.iter().map(port));
    let kind = if service.node_port { ", type: NodePort" } else { "" };
    let selector = mapping(&service.selector);
    format!("name: {name}, namespace: {namespace}{kind}, selector: {selector}, ports: {ports}")
}

fn pod_port(port: &PodPort) -> String {
    let name = port.name.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    quoted(&format!("{name}{}", flow_port(port.number, port.protocol)))
}

/// A port as flows name it: `80`, `53/udp`.
pub fn flow_port(number: u16, protocol: TransportProtocol) -> String {
    format!("{number}{}", protocol_suffix(protocol))
}

fn protocol_suffix(protocol: TransportProtocol) -> &'static str {
    match protocol {
        TransportProtocol::Tcp => "",
        TransportProtocol::Udp => "/udp",
        TransportProtocol::Sctp => "/sctp",
    }
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods(pods) => format!("{{podSelector: {}}}", selector(pods)),
        Peer::Namespaces(namespaces) => format!("{{namespaceSelector: {}}}", selector(namespaces)),
        Peer::PodsOfNamespaces(namespaces, pods) => {
            format!("{{namespaceSelector: {}, podSelector: {}}}", selector(namespaces), selector(pods))
        }
        Peer::Block(cidr, except) => {
            let range = |range: &ipnet::IpNet| quoted(&range.to_string());
            let except = except.as_ref().map(|all| format!(", except: {}", list(all.iter().map(range))));
            format!("{{ipBlock: {{cidr: {}{}}}}}", range(cidr), except.unwrap_or_default())
        }
    }
}

fn port_entry(entry: &PortEntry) -> String {
    let protocol = entry.protocol.map(|protocol| format!("protocol: {protocol}"));
    let port = entry.port.as_ref().map(|port| match port {
        PortName::Number(number) => format!("port: {number}"),
        PortName::Name(name) => format!("port: {}", quoted(name)),
    });
    let end = entry.end.map(|end| format!("endPort: {end}"));
    braces([protocol, port, end].into_iter().flatten())
}

fn selector(selector: &Selector) -> String {
    let labels = selector.labels.as_ref().map(|labels| format!("matchLabels: {}", mapping(labels)));
    let requirement = |it: &Requirement| {
        let Requirement { key, operator, values } = it;
        let word = match operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
        };
        let values =
            (!values.is_empty()).then(|| format!(", values: {}", list(values.iter().map(|it| quoted(it)))));
        format!("{{key: {}, operator: {word}{}}}", quoted(key), values.unwrap_or_default())
    };
    let expressions = selector.expressions.as_ref();
    let expressions =
        expressions.map(|all| format!("matchExpressions: {}", list(all.iter().map(requirement))));
    braces([labels, expressions].into_iter().flatten())
}

fn mapping(labels: &Labels) -> String {
    braces(labels.iter().map(|(key, value)| format!("{}: {}", quoted(key), quoted(value))))
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    format!("[{}]", joined(items))
}

fn braces<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    format!("{{{}}}", joined(items))
}

fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A string as YAML reads it back: plain where nothing in it means anything.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 7] = ["true", "false", "null", "yes", "no", "on", "off"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("{text:?}") }
}
