//! A case as the text of a scenario file. Each state becomes a step with the changes that lead to it.

use crate::case::{Case, Cluster, Life, Pod, Service, State};
use crate::objects::{
    ended_pod, label_changes, list, mapping, peer, pod_port, port_entry, quoted, selector, short_pod,
    short_service,
};
use crate::policy::{Labels, Policy, Rule};
use netproof_api::networking::PolicyType;
use netproof_model::{Family, NamespacedName, PolicyKind};
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
    /// Lines: `verdict: deny`, `sees: ip/10.244.1.62`.
    pub lines: Vec<String>,
}

/// The text of a case.
pub fn text(case: &Case, about: &About) -> String {
    let mut lines = Lines::of(&case.cluster);
    lines.add(0, "# yaml-language-server: $schema=../../harness/format/schema/scenario.json");
    lines.add(0, "apiVersion: netproof/v1alpha1");
    lines.add(0, "kind: Scenario");
    lines.add(0, format!("metadata: {{name: {}}}", about.name));
    lines.add(0, "spec:");
    lines.add(1, format!("description: {}", quoted(&about.description)));
    lines.cluster();
    if about.only_expectations {
        lines.add(1, "matrix: off");
    } else if case.cluster.names {
        lines.add(1, "matrix: {destinations: [pod-ip, service-ip, service-name]}");
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
    let mut objects = Lines::of(&case.cluster);
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
                for Expected { flow, family, lines: says } in all {
                    let family = family.map(|family| format!("family: {family}"));
                    let flow = std::iter::once(format!("flow: {flow}"));
                    lines.item(4, flow.chain(family).chain(says.iter().cloned()));
                }
            }
            // The other states lead there.
            _ if about.only_expectations => {}
            _ => lines.add(3, "expect: oracle"),
        }
        before = state;
    }
    lines.text
}

/// Lines of YAML about the objects of a cluster; a level of indentation is two spaces.
struct Lines<'a> {
    cluster: &'a Cluster,
    text: String,
}

impl<'a> Lines<'a> {
    fn of(cluster: &'a Cluster) -> Lines<'a> {
        Lines { cluster, text: String::new() }
    }

    fn add(&mut self, level: usize, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", level * 2);
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
        if !items.text.is_empty() {
            self.add(level, format!("{name}:"));
            self.text.push_str(&items.text);
        }
    }

    fn cluster(&mut self) {
        let cluster = self.cluster;
        self.add(1, "topology:");
        self.add(2, format!("wiring: {}", cluster.wiring));
        self.add(2, format!("family: {}", cluster.family));
        let nodes = cluster.node_names().map(|name| format!("{{name: {name}}}"));
        self.add(2, format!("nodes: {}", list(nodes)));
        if cluster.nat_outgoing {
            self.add(2, "natOutgoing: true");
        }
        if cluster.advertised {
            self.add(2, "advertised: [cluster-ips]");
        }
        if cluster.load_balancer {
            self.add(2, "loadBalancer: {}");
        }
    }

    /// What leads from one state to the next. Where pods and services go they go first, so that their addresses
    /// are free. A namespace takes along what is in it.
    fn changes(&mut self, before: &State, after: &State) {
        let (old, new) = (&before.namespaces, &after.namespaces);
        let stays = |name: &NamespacedName| new.contains_key(&name.namespace);
        let never = |_: &Policy, _: &Policy| false;
        let mut deleted =
            gone(PolicyKind::NetworkPolicy.word(), (&before.policies, &after.policies), stays, never);
        let policies = deleted.len();
        deleted.extend(gone("service", (&before.services, &after.services), stays, Service::is_another));
        deleted.extend(gone("pod", (&before.pods, &after.pods), stays, Pod::is_another));
        deleted.extend(old.keys().filter(|it| !new.contains_key(*it)).map(|it| format!("namespace/{it}")));
        let labelled = labelled(before, after);
        // At once, where no address changes hands.
        if deleted.len() == policies {
            let mut applied = Lines::of(self.cluster);
            applied.applied(4, before, after);
            self.field(3, "apply", applied);
            let mut labels = Lines::of(self.cluster);
            labelled.iter().for_each(|line| labels.add(4, line));
            self.field(3, "label", labels);
            if !deleted.is_empty() {
                self.add(3, format!("delete: {}", list(deleted)));
            }
            return;
        }
        self.add(3, "changes:");
        self.item(4, [format!("delete: {}", list(deleted))]);
        let mut applied = Lines::of(self.cluster);
        applied.applied(6, before, after);
        if !applied.text.is_empty() {
            self.item(4, ["apply:".to_owned()]);
            self.text.push_str(&applied.text);
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
            self.item(level, [format!("namespace: {{name: {}, labels: {}}}", quoted(name), mapping(labels))]);
        }
        // Those that have ended leave their addresses to the others.
        let (ended, others): (Vec<_>, Vec<_>) =
            after.pods.iter().partition(|(_, pod)| pod.life == Life::Ended);
        for (name, pod) in ended.into_iter().chain(others) {
            if !before.pods.get(name).is_some_and(|it| pod.is_as(it)) {
                let one = match pod.life {
                    Life::Ended => ended_pod(name, pod),
                    Life::Runs | Life::Terminates => format!("pod: {{{}}}", short_pod(name, pod)),
                };
                self.item(level, [one]);
            }
        }
        for (name, service) in &after.services {
            if before.services.get(name) != Some(service) {
                let short = short_service(name, service, self.cluster);
                self.item(level, [format!("service: {{{short}}}")]);
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
            format!("metadata: {{name: {}, namespace: {}}}", quoted(name), quoted(namespace)),
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

/// What goes of one kind, and what gives way to another one of its name; of those whose namespace stays.
fn gone<V>(
    kind: &str,
    (before, after): (&BTreeMap<NamespacedName, V>, &BTreeMap<NamespacedName, V>),
    stays: impl Fn(&NamespacedName) -> bool,
    is_another: impl Fn(&V, &V) -> bool,
) -> Vec<String> {
    let goes = |(name, old): &(&NamespacedName, &V)| {
        stays(name) && after.get(*name).is_none_or(|new| is_another(new, old))
    };
    before.iter().filter(goes).map(|(name, _)| format!("{kind}/{name}")).collect()
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
        let old = before.pods.get(name).filter(|it| pod.is_as(it));
        if let Some(old) = old.filter(|old| old.labels != pod.labels) {
            lines.push(format!("pod/{name}: {}", label_changes(&old.labels, &pod.labels)));
        }
    }
    lines
}
