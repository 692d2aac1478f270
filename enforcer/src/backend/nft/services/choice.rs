//! The choice among a service port's endpoints, and what leads there.
//!
//! Without affinity the endpoints are elements of a map, from position to address and port: when one is
//! replaced, no rule changes, and the kernel need not look through the table's rules again. That a pod
//! reaches itself is seen after the choice, by a set of pairs of addresses that all services share.

use super::base::HAIRPINS;
use super::render::{Renderer, name, protocol};
use crate::services::{Endpoint, ServicePort};
use netproof_api::core::TrafficPolicy;
use netproof_netfilter::nft::{
    Element, Field, KeyType, Part, Rule, Set, Statement, Test, Value, Verdict, any_of, destinations, names,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Renderer<'_> {
    /// The rules that lead to one of the endpoints: the one that the client had, or any.
    pub(super) fn choice(
        &mut self,
        port: &ServicePort,
        policy: TrafficPolicy,
        endpoints: &BTreeSet<Endpoint>,
    ) -> Vec<Rule> {
        for endpoint in endpoints {
            self.hairpin(endpoint.address);
        }
        let map = match policy {
            TrafficPolicy::Cluster => name(port, "endpoints"),
            TrafficPolicy::Local => name(port, "local-endpoints"),
        };
        if let Some(seconds) = port.affinity {
            return self.choice_with_affinity(port, endpoints, map, seconds);
        }
        let (count, set) = destinations(self.destination, endpoints.iter().map(|it| (it.address, it.port)));
        self.table.sets.insert(map.clone(), set);
        any_of(&[of_protocol(port)], count, |among| Statement::RandomDnat(among, map.clone()))
    }

    fn choice_with_affinity(
        &mut self,
        port: &ServicePort,
        endpoints: &BTreeSet<Endpoint>,
        map: String,
        seconds: u32,
    ) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut choices = BTreeMap::new();
        let mut count = 0;
        for endpoint in endpoints {
            let clients = affinity_set(port, endpoint, seconds);
            let on = Verdict::Goto(self.endpoint(port, endpoint, &clients, seconds));
            let had = Statement::Match(vec![self.source], Test::Remembered(clients));
            rules.push(Rule::new([had, Statement::Verdict(on.clone())]));
            choices.insert(vec![Part::One(Value::Number(count))], Some(on.into()));
            count += 1;
        }
        self.table.sets.insert(map.clone(), Set { elements: choices, ..Set::map(&[KeyType::Number]) });
        rules.extend(any_of(&[], count, |among| Statement::RandomMap(among, map.clone())));
        rules
    }

    /// The chain that leads to one endpoint and remembers its clients; its name.
    fn endpoint(&mut self, port: &ServicePort, endpoint: &Endpoint, clients: &str, seconds: u32) -> String {
        let chain = of_endpoint(port, "endpoint", endpoint);
        self.table.sets.insert(clients.to_owned(), Set::remembering(self.source.key_type(), seconds));
        let rules = vec![
            Rule::new([Statement::Remember(self.source, clients.to_owned())]),
            Rule::new([of_protocol(port), Statement::Dnat(endpoint.address, endpoint.port)]),
        ];
        self.chain(&chain, rules);
        chain
    }

    /// Has the endpoint's address among those of pods that may reach themselves.
    fn hairpin(&mut self, address: IpAddr) {
        *self.endpoints.entry(address).or_default() += 1;
        if let Some(set) = self.table.sets.get_mut(HAIRPINS) {
            set.elements.insert(hairpin(address), None);
        }
    }
}

/// The element of [`HAIRPINS`] for an address.
pub(super) fn hairpin(address: IpAddr) -> Element {
    vec![Part::One(address.into()), Part::One(address.into())]
}

fn of_protocol(port: &ServicePort) -> Statement {
    Statement::Match(vec![Field::Protocol], Test::Is(protocol(port)))
}

fn of_endpoint(port: &ServicePort, kind: &str, endpoint: &Endpoint) -> String {
    // A colon may not stand in a name.
    let address = endpoint.address.to_string().replace(':', ".");
    let part = format!("{}/{}/{address}/{}", port.protocol, port.port, endpoint.port);
    names::object_part(kind, &port.service, &part)
}

/// The set of clients that an endpoint has. Its name says for how long it does: another time is another
/// set, since the kernel changes that of none.
fn affinity_set(port: &ServicePort, endpoint: &Endpoint, seconds: u32) -> String {
    of_endpoint(port, &format!("affinity-{seconds}s"), endpoint)
}
