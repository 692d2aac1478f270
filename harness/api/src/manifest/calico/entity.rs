//! `source` and `destination` of a rule.

use super::Dialect;
use super::rule::Owner;
use super::scalars::{at_most, cidr, plain_selector, port, selector};
use crate::calico::{EntityRule, PortMatch, Selector, ServiceAccountMatch, ServiceMatch};
use crate::names;
use crate::networking::Cidr;
use crate::reader::{Field, Fields};
use netproof_model::Direction;

/// The most ranges of a list.
const MAX_NETS: usize = 256;
/// The most ports of a list.
const MAX_PORTS: usize = 50;

/// One end of a rule, with the fields that the rest of the rule has a say about.
#[derive(Default)]
pub(super) struct Entity<'a> {
    pub rule: EntityRule,
    /// Every range, and where it is written.
    pub ranges: Vec<(Field<'a>, Cidr)>,
    /// Every port, and where it is written.
    pub ports: Vec<(Field<'a>, PortMatch)>,
}

/// The end of this name; whether it is the one that is not the policy's own endpoint: only that may be a service.
pub(super) fn entity<'a>(rule: &Fields<'a>, name: &str, owner: Owner, is_other_end: bool) -> Entity<'a> {
    let fields = rule.get(name).and_then(|field| {
        field.fields(&[
            "nets",
            "notNets",
            "selector",
            "notSelector",
            "namespaceSelector",
            "serviceAccounts",
            "services",
            "ports",
            "notPorts",
        ])
    });
    let Some(fields) = fields else { return Entity::default() };
    let (nets, not_nets) =
        (ranges(&fields, "nets", owner.dialect), ranges(&fields, "notNets", owner.dialect));
    for (field, range) in not_nets.iter().filter(|(_, range)| range.net().prefix_len() == 0) {
        field.error(
            format!("a rule whose `notNets` has {range} matches nothing, and Calico leaves it out"),
            "leave the range out, or the rule",
        );
    }
    let (ports, not_ports) = (ports(&fields, "ports"), ports(&fields, "notPorts"));
    let rule = EntityRule {
        nets: values(&nets),
        not_nets: values(&not_nets),
        selector: fields.get("selector").and_then(|field| plain_selector(&field)),
        not_selector: fields.get("notSelector").and_then(|field| selector(&field)),
        namespace_selector: fields.get("namespaceSelector").and_then(|field| namespace_selector(&field)),
        service_accounts: fields.get("serviceAccounts").and_then(|field| service_accounts(&field)),
        services: fields.get("services").and_then(|field| services(&field, &fields, owner, is_other_end)),
        ports: values(&ports),
        not_ports: values(&not_ports),
    };
    let (ranges, ports) = ([nets, not_nets].concat(), [ports, not_ports].concat());
    Entity { rule, ranges, ports }
}

fn values<T: Clone>(read: &[(Field<'_>, T)]) -> Vec<T> {
    read.iter().map(|(_, value)| value.clone()).collect()
}

fn ranges<'a>(fields: &Fields<'a>, name: &str, dialect: Dialect) -> Vec<(Field<'a>, Cidr)> {
    let Some(list) = fields.get(name) else { return Vec::new() };
    let items = at_most(&list, MAX_NETS, "ranges").into_iter();
    items.filter_map(|field| cidr(&field, dialect).map(|range| (field, range))).collect()
}

fn ports<'a>(fields: &Fields<'a>, name: &str) -> Vec<(Field<'a>, PortMatch)> {
    let Some(list) = fields.get(name) else { return Vec::new() };
    let items = at_most(&list, MAX_PORTS, "ports").into_iter();
    items.filter_map(|field| port(&field).map(|port| (field, port))).collect()
}

fn namespace_selector(field: &Field<'_>) -> Option<Selector> {
    let selector = selector(field)?;
    if selector.has_global() && selector != Selector::Global {
        let help = "write `global()` alone, and a second rule for the namespaces";
        field.error("`global()` cannot be combined with other selectors", help);
    }
    Some(selector)
}

fn service_accounts(field: &Field<'_>) -> Option<ServiceAccountMatch> {
    let fields = field.fields(&["names", "selector"])?;
    let names = fields.items("names");
    let names = names.iter().filter_map(|name| name.checked("service account", names::check_dns_subdomain));
    Some(ServiceAccountMatch {
        names: names.map(str::to_owned).collect(),
        selector: fields.get("selector").and_then(|field| selector(&field)),
    })
}

fn services(
    field: &Field<'_>,
    entity: &Fields<'_>,
    owner: Owner,
    is_other_end: bool,
) -> Option<ServiceMatch> {
    let fields = field.fields(&["name", "namespace"])?;
    let name = fields.require("name").and_then(|field| field.checked("service", names::check_dns_subdomain));
    let namespace = fields.text("namespace");
    let namespace = namespace.and_then(|field| field.checked("namespace", names::check_dns_subdomain));
    if !is_other_end {
        let (message, help) = match owner.direction {
            Direction::Ingress => {
                ("the destination of an ingress rule is no service", "write it in `source`")
            }
            Direction::Egress => ("the source of an egress rule is no service", "write it in `destination`"),
        };
        field.error(message, help);
    }
    let excluded = [
        "nets",
        "notNets",
        "selector",
        "notSelector",
        "namespaceSelector",
        "serviceAccounts",
        "ports",
        "notPorts",
    ];
    // The ports of an ingress rule's source are the clients': a service does not say them.
    let excluded = if owner.direction == Direction::Egress { excluded.as_slice() } else { &excluded[..6] };
    for name in excluded {
        let written = entity.get(name).filter(|it| it.node.as_str() != Some("") && !is_empty_list(it));
        if let Some(other) = written {
            other.error(format!("`{name}` cannot stand beside `services`"), "make two rules of it");
        }
    }
    if namespace.is_none() && fields.text("namespace").is_none() {
        if owner.is_namespaced {
            field.warn(
                "Calico finds no service without a namespace, so the rule matches nothing",
                "add `namespace`: it is not the policy's own by default, whatever the reference says",
            );
        } else {
            fields.missing("namespace");
        }
    }
    Some(ServiceMatch { name: name?.to_owned(), namespace: namespace.map(str::to_owned) })
}

fn is_empty_list(field: &Field<'_>) -> bool {
    matches!(&field.node.value, netproof_text::yaml::Value::Sequence(items) if items.is_empty())
}
