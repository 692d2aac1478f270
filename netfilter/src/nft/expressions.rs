//! Encodes a rule's statements as the kernel's expressions, with the protocol guards that the table's family
//! needs.

use super::encode::Epoch;
use super::ruleset::{Rule, Statement, TableFamily, Test, Verdict};
use super::sets::{length, write_value, write_verdict};
use super::values::{Field, Part, Value};
use super::wire::{self, register};
use crate::Attributes;
use crate::{LOG_ONLY, NFLOG_GROUP, NFLOG_PREFIX, NFLOG_SNAPLEN};
use netproof_model::Family;
use nix::libc;
use std::net::IpAddr;

const CT_INVALID: u32 = 1;
const CT_NEW: u32 = 8;
const CT_UNTRACKED: u32 = 64;
const CT_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT` of the connection's status.
const CT_STATUS_DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`: the type of the routes to this machine's own addresses.
const ROUTE_LOCAL: u32 = 2;
/// ICMP destination unreachable, host and port (RFC 792); ICMPv6 destination unreachable, port (RFC 4443).
const ICMP_HOST_UNREACHABLE: u8 = 1;
const ICMP_PORT_UNREACHABLE: u8 = 3;
const ICMPV6_PORT_UNREACHABLE: u8 = 4;
/// The register that every test reads.
pub(super) const R0: u32 = register::FIRST;

/// Writes the expressions of a rule in a table of this family.
pub(super) fn write_expressions(list: &mut Attributes, rule: &Rule, table: TableFamily, epoch: Epoch) {
    let mut writer = Writer { table, epoch, list, guards: Vec::new() };
    for statement in &rule.statements {
        writer.statement(statement);
    }
}

pub(super) struct Writer<'a> {
    pub(super) table: TableFamily,
    epoch: Epoch,
    list: &'a mut Attributes,
    /// Guards that the rule already has: keys of packet metadata, and their values.
    pub(super) guards: Vec<(u32, Vec<u8>)>,
}

impl Writer<'_> {
    fn expression(&mut self, name: &str, write: impl FnOnce(&mut Attributes)) {
        self.list.nest(wire::LIST_ITEM, |attributes| {
            attributes.text(wire::expression::NAME, name);
            attributes.nest(wire::expression::DATA, write);
        });
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Match(fields, test) => {
                self.guard(fields);
                match test {
                    Test::Is(part) | Test::IsNot(part) => {
                        let positive = matches!(test, Test::Is(_));
                        self.load(fields);
                        self.compare(part, positive);
                    }
                    Test::In(set) => {
                        self.load(fields);
                        self.look_up(&self.epoch.name(set), None);
                    }
                    Test::NotIn(set) => {
                        self.load(fields);
                        self.look_up_none(&self.epoch.name(set));
                    }
                    Test::Remembered(set) => {
                        self.load(fields);
                        self.look_up(set, None);
                    }
                }
            }
            Statement::Family(family) => self.family_guard(*family),
            Statement::DestinationPort(protocol, part) => {
                self.meta_guard(wire::meta::L4PROTO, vec![protocol.number(Family::Ipv4)]);
                self.load(&[Field::DestinationPort]);
                self.compare(part, true);
            }
            Statement::Established => self.ct_state(CT_ESTABLISHED_OR_RELATED),
            Statement::New => self.ct_state(CT_NEW),
            Statement::NewOrUntracked => self.ct_state(CT_NEW | CT_UNTRACKED),
            Statement::Invalid => self.ct_state(CT_INVALID),
            Statement::Translated => self.ct_bits(wire::ct::STATUS, CT_STATUS_DNAT),
            Statement::FromThisNode => self.is_local(wire::fib::OF_SOURCE),
            Statement::ToThisNode => self.is_local(wire::fib::OF_DESTINATION),
            Statement::NoRoute => {
                self.fib(wire::fib::RESULT_INTERFACE, wire::fib::OF_DESTINATION);
                self.cmp(wire::cmp::EQUAL, &0u32.to_ne_bytes());
            }
            Statement::Remember(field, set) => {
                self.guard(&[*field]);
                self.load(&[*field]);
                self.remember(set);
            }
            Statement::VerdictMap(fields, map) => {
                self.guard(fields);
                self.load(fields);
                self.look_up(&self.epoch.name(map), Some(register::VERDICT));
            }
            Statement::RandomMap(modulus, map) => {
                self.random(*modulus);
                self.look_up(&self.epoch.name(map), Some(register::VERDICT));
            }
            Statement::MarkUnset(bits) => {
                self.meta(R0, wire::meta::MARK);
                self.bits(*bits, 0);
                self.cmp(wire::cmp::EQUAL, &0u32.to_ne_bytes());
            }
            Statement::HasMark(bits) => {
                self.meta(R0, wire::meta::MARK);
                self.bits(*bits, 0);
                self.cmp(wire::cmp::EQUAL, &bits.to_ne_bytes());
            }
            Statement::SetMark(bits) => self.change_mark(!bits, *bits),
            Statement::FlipMark(bits) => self.change_mark(u32::MAX, *bits),
            Statement::Log(number) => self.log(number),
            Statement::LogOnly(number) => self.log(&format_args!("{LOG_ONLY} {number}")),
            Statement::Note(word) => self.log(word),
            Statement::Reject => match self.table {
                TableFamily::Ip => self.reject(wire::reject::ICMP, ICMP_PORT_UNREACHABLE),
                TableFamily::Ip6 => self.reject(wire::reject::ICMP, ICMPV6_PORT_UNREACHABLE),
                TableFamily::Inet | TableFamily::Bridge => {
                    self.reject(wire::reject::ICMPX, wire::reject::ICMPX_PORT);
                }
            },
            Statement::Unreachable => self.reject(wire::reject::ICMP, ICMP_HOST_UNREACHABLE),
            Statement::Dnat(address, port) => self.dnat(*address, *port),
            Statement::RandomDnat(modulus, map) => self.random_dnat(*modulus, map),
            Statement::Masquerade => self.expression("masq", |attributes| {
                attributes.number(wire::masquerade::FLAGS, wire::masquerade::RANDOM_FULLY);
            }),
            Statement::Trace => {
                self.immediate(R0, &[1]);
                self.set_meta(wire::meta::TRACE);
            }
            Statement::Verdict(verdict) => self.verdict(verdict),
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let epoch = self.epoch;
        self.expression("immediate", |attributes| {
            attributes.number(wire::immediate::DESTINATION, register::VERDICT);
            attributes.nest(wire::immediate::DATA, |data| write_verdict(data, verdict, epoch));
        });
    }

    /// Loads the concatenated fields, each at a multiple of four bytes. (Sixteen words hold any key that is
    /// made here; the kernel refuses a longer one.)
    fn load(&mut self, fields: &[Field]) {
        let mut register = register::FIRST_WORD;
        for field in fields {
            match field {
                Field::SourceV4 => self.payload(register, wire::payload::NETWORK_HEADER, 12, 4),
                Field::DestinationV4 => self.payload(register, wire::payload::NETWORK_HEADER, 16, 4),
                Field::SourceV6 => self.payload(register, wire::payload::NETWORK_HEADER, 8, 16),
                Field::DestinationV6 => self.payload(register, wire::payload::NETWORK_HEADER, 24, 16),
                Field::Protocol => self.meta(register, wire::meta::L4PROTO),
                Field::SourcePort => self.payload(register, wire::payload::TRANSPORT_HEADER, 0, 2),
                Field::DestinationPort => self.payload(register, wire::payload::TRANSPORT_HEADER, 2, 2),
                Field::InputInterface => self.meta(register, wire::meta::INPUT_NAME),
                Field::IcmpType | Field::Icmpv6Type => {
                    self.payload(register, wire::payload::TRANSPORT_HEADER, 0, 1);
                }
                Field::IcmpCode | Field::Icmpv6Code => {
                    self.payload(register, wire::payload::TRANSPORT_HEADER, 1, 1);
                }
                Field::TransportWord(place) => {
                    self.payload(register, wire::payload::TRANSPORT_HEADER, u32::from(*place), 4);
                }
            }
            register += u32::from(length(field.key_type()).div_ceil(4));
        }
    }

    fn compare(&mut self, part: &Part, positive: bool) {
        let bytes = |value: &Value| {
            let mut bytes = Vec::new();
            write_value(&mut bytes, value);
            bytes
        };
        match part {
            Part::One(value) => {
                self.cmp(if positive { wire::cmp::EQUAL } else { wire::cmp::NOT_EQUAL }, &bytes(value));
            }
            Part::Range(first, last) => {
                let operation = if positive { wire::range::INSIDE } else { wire::range::OUTSIDE };
                self.expression("range", |attributes| {
                    attributes.number(wire::range::SOURCE, R0);
                    attributes.number(wire::range::OPERATION, operation);
                    attributes.nest(wire::range::FROM, |data| data.value(wire::data::VALUE, &bytes(first)));
                    attributes.nest(wire::range::TO, |data| data.value(wire::data::VALUE, &bytes(last)));
                });
            }
        }
    }

    fn log(&mut self, what: &dyn std::fmt::Display) {
        self.expression("log", |attributes| {
            attributes.value(wire::log::GROUP, &NFLOG_GROUP.to_be_bytes());
            attributes.text(wire::log::PREFIX, &format!("{NFLOG_PREFIX}{what}"));
            attributes.number(wire::log::LENGTH, NFLOG_SNAPLEN);
            attributes.value(wire::log::THRESHOLD, &1u16.to_be_bytes());
        });
    }

    fn is_local(&mut self, flags: u32) {
        self.fib(wire::fib::RESULT_ADDRESS_TYPE, flags);
        self.cmp(wire::cmp::EQUAL, &ROUTE_LOCAL.to_ne_bytes());
    }

    fn ct_state(&mut self, states: u32) {
        self.ct_bits(wire::ct::STATE, states);
    }

    fn ct_bits(&mut self, key: u32, bits: u32) {
        self.expression("ct", |attributes| {
            attributes.number(wire::ct::DESTINATION, R0);
            attributes.number(wire::ct::KEY, key);
        });
        self.bits(bits, 0);
        self.cmp(wire::cmp::NOT_EQUAL, &0u32.to_ne_bytes());
    }

    fn change_mark(&mut self, mask: u32, xor: u32) {
        self.meta(R0, wire::meta::MARK);
        self.bits(mask, xor);
        self.set_meta(wire::meta::MARK);
    }

    fn set_meta(&mut self, key: u32) {
        self.expression("meta", |attributes| {
            attributes.number(wire::meta::KEY, key);
            attributes.number(wire::meta::SOURCE, R0);
        });
    }

    fn bits(&mut self, mask: u32, xor: u32) {
        self.expression("bitwise", |attributes| {
            attributes.number(wire::bitwise::SOURCE, R0);
            attributes.number(wire::bitwise::DESTINATION, R0);
            attributes.number(wire::bitwise::LENGTH, 4);
            for (kind, bits) in [(wire::bitwise::MASK, mask), (wire::bitwise::XOR, xor)] {
                attributes.nest(kind, |data| data.value(wire::data::VALUE, &bits.to_ne_bytes()));
            }
        });
    }

    fn random(&mut self, modulus: u32) {
        self.expression("numgen", |attributes| {
            attributes.number(wire::numgen::DESTINATION, R0);
            attributes.number(wire::numgen::MODULUS, modulus);
            attributes.number(wire::numgen::TYPE, wire::numgen::RANDOM);
            attributes.number(wire::numgen::OFFSET, 0);
        });
    }

    fn random_dnat(&mut self, modulus: u32, map: &str) {
        // The map's data is the address, and the port in the word after it.
        let address = register::FIRST_WORD;
        let (family, port) = match self.table {
            TableFamily::Ip6 => (libc::NFPROTO_IPV6, address + 4),
            _ => (libc::NFPROTO_IPV4, address + 1),
        };
        self.random(modulus);
        self.look_up(&self.epoch.name(map), Some(address));
        self.nat(family, address, port);
    }

    fn dnat(&mut self, address: IpAddr, port: u16) {
        let (family, octets) = match address {
            IpAddr::V4(address) => (libc::NFPROTO_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::NFPROTO_IPV6, address.octets().to_vec()),
        };
        self.immediate(R0, &octets);
        self.immediate(register::SECOND, &port.to_be_bytes());
        self.nat(family, R0, register::SECOND);
    }

    fn nat(&mut self, family: libc::c_int, address: u32, port: u32) {
        self.expression("nat", |attributes| {
            attributes.number(wire::nat::TYPE, wire::nat::DESTINATION);
            attributes.number(wire::nat::FAMILY, family.cast_unsigned());
            attributes.number(wire::nat::ADDRESS, address);
            attributes.number(wire::nat::PORT, port);
        });
    }

    fn immediate(&mut self, register: u32, data: &[u8]) {
        self.expression("immediate", |attributes| {
            attributes.number(wire::immediate::DESTINATION, register);
            attributes.nest(wire::immediate::DATA, |value| value.value(wire::data::VALUE, data));
        });
    }

    pub(super) fn meta(&mut self, register: u32, key: u32) {
        self.expression("meta", |attributes| {
            attributes.number(wire::meta::DESTINATION, register);
            attributes.number(wire::meta::KEY, key);
        });
    }

    pub(super) fn cmp(&mut self, operation: u32, data: &[u8]) {
        self.expression("cmp", |attributes| {
            attributes.number(wire::cmp::SOURCE, R0);
            attributes.number(wire::cmp::OPERATION, operation);
            attributes.nest(wire::cmp::DATA, |value| value.value(wire::data::VALUE, data));
        });
    }

    fn payload(&mut self, register: u32, base: u32, offset: u32, length: u32) {
        self.expression("payload", |attributes| {
            attributes.number(wire::payload::DESTINATION, register);
            attributes.number(wire::payload::BASE, base);
            attributes.number(wire::payload::OFFSET, offset);
            attributes.number(wire::payload::LENGTH, length);
        });
    }

    fn fib(&mut self, result: u32, flags: u32) {
        self.expression("fib", |attributes| {
            attributes.number(wire::fib::DESTINATION, R0);
            attributes.number(wire::fib::RESULT, result);
            attributes.number(wire::fib::FLAGS, flags);
        });
    }

    fn reject(&mut self, how: u32, code: u8) {
        self.expression("reject", |attributes| {
            attributes.number(wire::reject::TYPE, how);
            attributes.value(wire::reject::CODE, &[code]);
        });
    }

    fn look_up(&mut self, set: &str, result: Option<u32>) {
        self.expression("lookup", |attributes| {
            attributes.text(wire::lookup::SET, set);
            attributes.number(wire::lookup::SOURCE, R0);
            if let Some(register) = result {
                attributes.number(wire::lookup::DESTINATION, register);
            }
        });
    }

    /// Continues if the loaded key is in no element of the set.
    fn look_up_none(&mut self, set: &str) {
        self.expression("lookup", |attributes| {
            attributes.text(wire::lookup::SET, set);
            attributes.number(wire::lookup::SOURCE, R0);
            attributes.number(wire::lookup::FLAGS, wire::lookup::INVERTED);
        });
    }

    /// Adds the loaded key to a set, or renews its timeout.
    fn remember(&mut self, set: &str) {
        self.expression("dynset", |attributes| {
            attributes.text(wire::dynset::SET_NAME, set);
            attributes.number(wire::dynset::OPERATION, wire::dynset::UPDATE);
            attributes.number(wire::dynset::KEY, R0);
        });
    }
}
