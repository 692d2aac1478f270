//! Guards: a rule tests that a packet has a field before it reads the field. A rule has each guard once.

use super::expressions::{R0, Writer};
use super::ruleset::TableFamily;
use super::values::Field;
use super::wire;
use netproof_model::{Family, Protocol};

impl Writer<'_> {
    /// Adds the guards of these fields.
    pub(super) fn guard(&mut self, fields: &[Field]) {
        for field in fields {
            match field {
                Field::SourceV4 | Field::DestinationV4 => self.family_guard(Family::Ipv4),
                Field::SourceV6 | Field::DestinationV6 => self.family_guard(Family::Ipv6),
                Field::IcmpType | Field::IcmpCode => self.icmp_guard(Family::Ipv4),
                Field::Icmpv6Type | Field::Icmpv6Code => self.icmp_guard(Family::Ipv6),
                Field::Protocol
                | Field::SourcePort
                | Field::DestinationPort
                | Field::InputInterface
                | Field::TransportWord(_) => {}
            }
        }
    }

    fn icmp_guard(&mut self, family: Family) {
        self.family_guard(family);
        self.meta_guard(wire::meta::L4PROTO, vec![Protocol::Icmp.number(family)]);
    }

    /// `ip saddr` means nothing in a packet of the other family, so the guard depends on the table's family.
    pub(super) fn family_guard(&mut self, family: Family) {
        let (nfproto, ethertype) = match family {
            Family::Ipv4 => (2, 0x0800u16),
            Family::Ipv6 => (10, 0x86dd),
        };
        match self.table {
            TableFamily::Inet => self.meta_guard(wire::meta::NFPROTO, vec![nfproto]),
            TableFamily::Bridge => self.meta_guard(wire::meta::PROTOCOL, ethertype.to_be_bytes().to_vec()),
            TableFamily::Ip | TableFamily::Ip6 => {}
        }
    }

    pub(super) fn meta_guard(&mut self, key: u32, data: Vec<u8>) {
        let guard = (key, data);
        if !self.guards.contains(&guard) {
            self.meta(R0, key);
            self.cmp(wire::cmp::EQUAL, &guard.1);
            self.guards.push(guard);
        }
    }
}
