//! Names in an expectation that nobody has in its step: all of them, whatever else is wrong.

use crate::expect::Written;
use crate::expect::assertions::{PolicyNames, WrittenExpected};
use crate::refs::PlaceName;
use netproof_api::source::Span;
use netproof_controlplane::Snapshot;
use netproof_documents::lost::Lost;
use netproof_model::flow::{Destination, ObjectName, Source};
use netproof_model::{DecidedBy, NamespacedName};
use netproof_plan::flows;
use std::net::IpAddr;

/// What an expectation names.
#[derive(Debug, Default)]
pub struct Named {
    /// What does not exist, where it is named, and what to say of it.
    pub absent: Vec<(Span, String, String)>,
    /// Whether any of it was written and could not be read, or was refused.
    pub is_lost: bool,
}

/// Looks up everything that an expectation names.
pub fn look_up(snapshot: &Snapshot, lost: &Lost, written: &Written) -> Named {
    let mut search = Search { snapshot, lost, named: Named::default() };
    let (flow, spans, assertions) = (&written.flow, written.spans, &written.assertions);
    search.place(&flow.from, spans.from);
    match &flow.to {
        Destination::Pod(name) => search.place(&Source::Pod(name.clone()), spans.to),
        Destination::Node(name) => search.place(&Source::Node(name.clone()), spans.to),
        Destination::External(name) => search.place(&Source::External(name.clone()), spans.to),
        Destination::Service(name) | Destination::LoadBalancer(name) => {
            search.service(&namespaced(name), spans.to);
        }
        Destination::NodePort { service, node } => {
            search.service(&namespaced(service), spans.to);
            search.place(&Source::Node(node.clone()), spans.to);
        }
        Destination::Dns(_) | Destination::Ip(_) => {}
    }
    if let WrittenExpected::PerBackend(verdicts) = &assertions.expected {
        verdicts.value.iter().for_each(|(place, _)| search.place(&place.value, place.span));
    }
    for place in assertions.served_by.iter().flatten() {
        search.place(&place.value, place.span);
    }
    for node in assertions.via.iter().flatten() {
        search.place(&Source::Node(node.value.clone()), node.span);
    }
    let policy_sees = assertions.policy_sees.iter();
    let policy_sees = policy_sees.flat_map(|PolicyNames { source, destination }| [source, destination]);
    let addresses = policy_sees.chain([&assertions.sees]).flatten();
    for address in addresses.chain(assertions.dns.iter().flat_map(|names| &names.value)) {
        match &address.value {
            PlaceName::Place(place) => search.place(place, address.span),
            PlaceName::Tunnel(node) => search.place(&Source::Node(node.clone()), address.span),
            PlaceName::Service(name) => search.service(name, address.span),
            PlaceName::Router | PlaceName::Address(_) => {}
        }
    }
    if let Some(decided_by) = &assertions.decided_by
        && let DecidedBy::Policy { policy, .. } = &decided_by.value
    {
        let exists = snapshot.policies.contains_key(policy);
        let say = || flows::unknown_policy(snapshot, policy);
        search.found((policy.kind.word(), &policy.name), exists, decided_by.span, say);
    }
    search.named
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    lost: &'a Lost,
    named: Named,
}

impl Search<'_> {
    fn place(&mut self, place: &Source, span: Span) {
        let snapshot = self.snapshot;
        let (kind, name, exists) = match place {
            Source::Pod(name) => ("pod", &name.name, snapshot.pods.contains_key(&namespaced(name))),
            Source::Node(name) => ("node", name, snapshot.nodes.contains_key(name)),
            Source::External(name) => ("external", name, has_external(snapshot, name)),
        };
        let say = || flows::place(snapshot, place).err().unwrap_or_default();
        self.found((kind, name), exists, span, say);
    }

    fn service(&mut self, name: &NamespacedName, span: Span) {
        let services = &self.snapshot.services;
        let say = || flows::unknown_in_namespace("service", name, services.keys());
        self.found(("service", &name.name), services.contains_key(name), span, say);
    }

    fn found(
        &mut self,
        (kind, name): (&str, &str),
        exists: bool,
        span: Span,
        say: impl FnOnce() -> (String, String),
    ) {
        if self.lost.may_be(kind, name) {
            self.named.is_lost = true;
        } else if !exists {
            let (message, help) = say();
            self.named.absent.push((span, message, help));
        }
    }
}

fn has_external(snapshot: &Snapshot, name: &str) -> bool {
    match name.parse::<IpAddr>() {
        _ if snapshot.externals.contains_key(name) => true,
        Ok(address) => snapshot.externals.values().any(|host| host.addresses.contains(&address)),
        Err(_) => false,
    }
}

fn namespaced(name: &ObjectName) -> NamespacedName {
    NamespacedName::new(name.namespace.as_deref().unwrap_or("default"), name.name.as_str())
}
