//! Rules: each field, and what the fields of one rule ask of each other.

use super::Dialect;
use super::entity::{Entity, entity};
use super::http::check_http;
use super::scalars::{at_most, protocol};
use crate::calico::{CalicoAction, CalicoRule, IcmpMatch, PortMatch, ProtocolNumber};
use crate::names;
use crate::networking::Cidr;
use crate::reader::{Field, Fields};
use netproof_model::{Direction, Family};
use netproof_text::yaml::Value;

/// The most rules of one direction.
const MAX_RULES: usize = 1024;

const ACTIONS: &[(&str, CalicoAction)] = &[
    ("Allow", CalicoAction::Allow),
    ("Deny", CalicoAction::Deny),
    ("Log", CalicoAction::Log),
    ("Pass", CalicoAction::Pass),
];

const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// TCP, UDP and SCTP.
const PROTOCOLS_WITH_PORTS: [u8; 3] = [6, 17, 132];

/// What a list of rules belongs to.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub direction: Direction,
    /// Whether it is a policy of a namespace.
    pub is_namespaced: bool,
    pub dialect: Dialect,
}

/// The rules of one direction.
pub(super) fn rules(spec: &Fields<'_>, owner: Owner) -> Vec<CalicoRule> {
    let Some(list) = spec.get(&owner.direction.to_string()) else { return Vec::new() };
    at_most(&list, MAX_RULES, "rules").iter().filter_map(|field| rule(field, owner)).collect()
}

fn rule(field: &Field<'_>, owner: Owner) -> Option<CalicoRule> {
    let fields = field.fields(&[
        "action",
        "ipVersion",
        "protocol",
        "notProtocol",
        "icmp",
        "notICMP",
        "source",
        "destination",
        "http",
        "metadata",
    ])?;
    let action = fields.require("action").and_then(|field| field.word("action", ACTIONS));
    let family = fields.get("ipVersion").and_then(|field| family(&field));
    let protocol_field = fields.get("protocol");
    let protocol = protocol_field.as_ref().and_then(protocol);
    let not_protocol = fields.get("notProtocol").and_then(|field| super::scalars::protocol(&field));
    let icmp = fields.get("icmp").and_then(|field| icmp(&field));
    let not_icmp = fields.get("notICMP").and_then(|field| self::icmp(&field));
    let source = entity(&fields, "source", owner, owner.direction == Direction::Ingress);
    let destination = entity(&fields, "destination", owner, owner.direction == Direction::Egress);
    // Whatever is no protocol is an error of its own.
    if protocol_field.is_none() || protocol.is_some() {
        check_protocol(&fields, protocol, family);
        check_ports(&source, protocol);
        check_ports(&destination, protocol);
    }
    if owner.dialect == Dialect::Api {
        check_families(&[&source, &destination], family);
    }
    if let Some(http) = fields.get("http") {
        check_http(&http, action, protocol, owner.direction);
    }
    if let Some(annotations) =
        fields.get("metadata").and_then(|it| it.fields(&["annotations"])?.get("annotations"))
    {
        annotations.string_map(|key| names::check_label_key(&key.to_lowercase()), |_| Ok(()));
    }
    Some(CalicoRule {
        action: action?,
        family,
        protocol,
        not_protocol,
        icmp,
        not_icmp,
        source: source.rule,
        destination: destination.rule,
    })
}

fn family(field: &Field<'_>) -> Option<Family> {
    match *field.value() {
        Value::Int(4) => Some(Family::Ipv4),
        Value::Int(6) => Some(Family::Ipv6),
        ref other => {
            let message = format!("an IP version is the number 4 or 6, not {}", other.describe());
            field.error(message, "write 4 or 6, or leave it out for both");
            None
        }
    }
}

fn icmp(field: &Field<'_>) -> Option<IcmpMatch> {
    let fields = field.fields(&["type", "code"])?;
    let icmp_type = fields.get("type").map(|field| field.integer("type of ICMP messages", 0..=254));
    let code = fields.get("code").map(|field| field.integer("code of ICMP messages", 0..=255));
    if code.is_some() && icmp_type.is_none() {
        field.error("a code of ICMP messages needs their type", "add `type`");
    }
    Some(IcmpMatch { icmp_type: icmp_type.flatten(), code: code.flatten() })
}

/// What `icmp` and `ipVersion` ask of the protocol.
fn check_protocol(fields: &Fields<'_>, protocol: Option<ProtocolNumber>, family: Option<Family>) {
    let number = protocol.map(ProtocolNumber::get);
    if let Some(field) = fields.get("icmp")
        && !matches!(number, Some(ICMP | ICMP_V6))
    {
        let help = "write `protocol: ICMP` or `protocol: ICMPv6`";
        field.error("`icmp` needs the protocol ICMP or ICMPv6", help);
    }
    let contradiction = match (number, family) {
        (Some(ICMP), Some(Family::Ipv6)) => Some(("ICMP", "IPv4", "ICMPv6")),
        (Some(ICMP_V6), Some(Family::Ipv4)) => Some(("ICMPv6", "IPv6", "ICMP")),
        _ => None,
    };
    if let (Some((protocol, version, other)), Some(field)) = (contradiction, fields.get("ipVersion")) {
        let message = format!("{protocol} is a protocol of {version}, so the rule matches nothing");
        field.error(message, format!("leave `ipVersion` out, or write `protocol: {other}`"));
    }
}

/// Ports need a protocol that has some; names alone need none.
fn check_ports(entity: &Entity<'_>, protocol: Option<ProtocolNumber>) {
    for (field, port) in &entity.ports {
        match (protocol, port) {
            (Some(protocol), _) if !PROTOCOLS_WITH_PORTS.contains(&protocol.get()) => {
                let message = format!("the protocol {protocol} has no ports here");
                field.error(message, "ports are of TCP, UDP and SCTP");
            }
            (None, PortMatch::Range { .. }) => {
                field.error("a port needs a protocol", "add `protocol: TCP` (or UDP, or SCTP) to the rule");
            }
            _ => {}
        }
    }
}

/// All ranges of a rule are of one family, and of that of `ipVersion`.
fn check_families(entities: &[&Entity<'_>], family: Option<Family>) {
    let of = |range: Cidr| Family::of(range.net().network());
    let mut ranges = entities.iter().flat_map(|entity| &entity.ranges);
    if let Some(family) = family {
        for (field, range) in ranges.filter(|(_, range)| of(*range) != family) {
            let help = "write ranges of the rule's `ipVersion`";
            field.error(format!("{range} is not of the rule's IP version"), help);
        }
        return;
    }
    if let Some((_, first)) = ranges.next()
        && let Some((field, range)) = ranges.find(|(_, range)| of(*range) != of(*first))
    {
        let message = format!("{range} and {first} are of different families");
        field.error(message, "make two rules of it, one of each family");
    }
}
