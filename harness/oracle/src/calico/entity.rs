//! Whether one end of a packet is as the `source` or `destination` of a rule asks.

use super::known::{Known, Member, NAMESPACE, SERVICE_ACCOUNT, Who};
use super::selector::{Of, holds};
use netproof_api::Cidr;
use netproof_api::calico::{EntityRule, PortMatch, ServiceMatch};
use netproof_api::core::TransportProtocol;
use netproof_model::{Family, NamespacedName};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The ports of clients: a kernel takes any of these.
const CLIENT_PORTS: RangeInclusive<u16> = 32_768..=60_999;

/// One end of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub address: IpAddr,
    pub port: EndPort,
}

/// The port of an end; the protocol may have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndPort {
    /// Of a server.
    Server(Option<(u16, TransportProtocol)>),
    /// Of a client, whose kernel chooses one.
    Client { has_port: bool },
}

/// The first thing that an end lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack<'a> {
    /// `nets` or `notNets` (the name) has no range of the packet's family, so that the rule has nothing for it.
    OtherFamily(&'static str),
    /// No range of `nets` has the address.
    Nets,
    /// This range of `notNets` has it.
    NotNets(Cidr),
    /// Nobody whom Calico knows at the address is as the selectors ask.
    Selected,
    /// Somebody at the address is as `notSelector` says.
    NotSelected,
    /// No slice of the service has the address, or address and port.
    Service(&'a ServiceMatch),
    /// `ports` lack the port.
    Ports,
    /// `notPorts` have it.
    NotPorts,
}

/// What the end lacks of what is asked; `None` if the entity matches. `namespace`: the policy's, if it has one.
pub(super) fn lacks<'e>(
    known: &Known<'_>,
    namespace: Option<&str>,
    entity: &'e EntityRule,
    end: End,
) -> Option<Lack<'e>> {
    let address = lacks_address(known, namespace, entity, end.address);
    address
        .or_else(|| match &entity.services {
            Some(service) if !serves(known, service, end) => Some(Lack::Service(service)),
            _ => None,
        })
        .or_else(|| lacks_port(known, namespace, entity, end))
}

/// Likewise, of the address alone.
pub(super) fn lacks_address<'e>(
    known: &Known<'_>,
    namespace: Option<&str>,
    entity: &'e EntityRule,
    address: IpAddr,
) -> Option<Lack<'e>> {
    // Rules are made for each family by itself, and one with ranges of the other alone is not made.
    for (name, ranges) in [("nets", &entity.nets), ("notNets", &entity.not_nets)] {
        let is_of_family = |range: &Cidr| Family::of(range.net().network()) == Family::of(address);
        if !ranges.is_empty() && !ranges.iter().any(is_of_family) {
            return Some(Lack::OtherFamily(name));
        }
    }
    let has_it = |range: &&Cidr| range.net().contains(&address);
    if !entity.nets.is_empty() && entity.nets.iter().find(has_it).is_none() {
        return Some(Lack::Nets);
    }
    if let Some(range) = entity.not_nets.iter().find(has_it) {
        return Some(Lack::NotNets(*range));
    }
    let is_excluded = |member: &Member<'_>| {
        entity.not_selector.as_ref().is_some_and(|it| holds(it, Of::Itself, &member.labels))
    };
    // A selector means whom Calico knows; what stands beside it is asked of the same one.
    if is_selective(entity, namespace) {
        let mut selected = known.at(address).filter(|it| is_selected(entity, namespace, it)).peekable();
        return match (selected.peek().is_some(), selected.any(|it| !is_excluded(it))) {
            (false, _) => Some(Lack::Selected),
            (true, false) => Some(Lack::NotSelected),
            (true, true) => None,
        };
    }
    known.at(address).any(is_excluded).then_some(Lack::NotSelected)
}

/// Whether somebody in particular is asked for. A `notSelector` alone is not, but in a policy of a namespace it
/// means those of the namespace.
pub(super) fn is_selective(entity: &EntityRule, namespace: Option<&str>) -> bool {
    entity.selector.is_some()
        || entity.namespace_selector.is_some()
        || accounts_matter(entity)
        || (namespace.is_some() && entity.not_selector.is_some())
}

fn accounts_matter(entity: &EntityRule) -> bool {
    let accounts = entity.service_accounts.as_ref();
    accounts.is_some_and(|it| !it.names.is_empty() || it.selector.is_some())
}

/// Whether somebody is as selectors, namespaces and service accounts ask.
fn is_selected(entity: &EntityRule, namespace: Option<&str>, member: &Member<'_>) -> bool {
    let labels = &member.labels;
    let in_namespace = match (&entity.namespace_selector, namespace) {
        (Some(selector), _) => holds(selector, Of::Namespace, labels),
        // A policy of a namespace means its own.
        (None, Some(own)) => labels.get(NAMESPACE).is_some_and(|it| it == own),
        (None, None) => true,
    };
    let accounts = entity.service_accounts.as_ref().is_none_or(|accounts| {
        let name = labels.get(SERVICE_ACCOUNT);
        let named = accounts.names.is_empty() || name.is_some_and(|name| accounts.names.contains(name));
        named && accounts.selector.as_ref().is_none_or(|it| holds(it, Of::ServiceAccount, labels))
    });
    in_namespace && accounts && entity.selector.as_ref().is_none_or(|it| holds(it, Of::Itself, labels))
}

/// Whether the end is an endpoint of a service: of a server its port counts, too.
fn serves(known: &Known<'_>, service: &ServiceMatch, end: End) -> bool {
    // One without a namespace is looked for without, and there is none.
    let Some(namespace) = &service.namespace else { return false };
    let slices = known.slices(&NamespacedName::new(namespace.as_str(), service.name.as_str()));
    slices.iter().any(|slice| {
        let has_port = match end.port {
            EndPort::Server(Some(wanted)) => {
                slice.ports.iter().any(|port| (port.port, port.protocol) == wanted)
            }
            EndPort::Server(None) => false,
            EndPort::Client { .. } => true,
        };
        has_port && slice.endpoints.iter().any(|endpoint| endpoint.addresses.contains(&end.address))
    })
}

fn lacks_port<'e>(
    known: &Known<'_>,
    namespace: Option<&str>,
    entity: &'e EntityRule,
    end: End,
) -> Option<Lack<'e>> {
    let has = |entry: &PortMatch| match (entry, end.port) {
        (_, EndPort::Server(None) | EndPort::Client { has_port: false }) => false,
        (PortMatch::Range { first, last }, EndPort::Server(Some((number, _)))) => {
            (*first..=*last).contains(&number)
        }
        (PortMatch::Range { first, last }, EndPort::Client { .. }) => {
            first <= CLIENT_PORTS.start() && CLIENT_PORTS.end() <= last
        }
        // A name is that of an endpoint which the selectors match, if there are any.
        (PortMatch::Named(name), EndPort::Server(Some((number, protocol)))) => {
            known.at(end.address).any(|member| {
                let Who::Pod(pod) = member.who else { return false };
                let is_it = |port: &netproof_api::ContainerPort| {
                    port.name.as_ref() == Some(name)
                        && (port.container_port, port.protocol) == (number, protocol)
                };
                let is_meant = !selects_ports(entity) || is_selected(entity, namespace, member);
                is_meant && pod.ports().any(is_it)
            })
        }
        (PortMatch::Named(_), EndPort::Client { .. }) => false,
    };
    if !entity.ports.is_empty() && !entity.ports.iter().any(has) {
        return Some(Lack::Ports);
    }
    // What has no ports has none that differ, either.
    let has_none = matches!(end.port, EndPort::Server(None) | EndPort::Client { has_port: false });
    let excluded = !entity.not_ports.is_empty() && (has_none || entity.not_ports.iter().any(has));
    excluded.then_some(Lack::NotPorts)
}

/// Whether names of ports are those of selected endpoints alone: a policy's own namespace does not select any.
fn selects_ports(entity: &EntityRule) -> bool {
    entity.selector.is_some() || entity.namespace_selector.is_some() || accounts_matter(entity)
}
