//! A rule as nlink's expressions, with the protocol guards that the table's family asks for.

use super::encode::Epoch;
use super::ruleset::{Field, Part, Rule, Statement, TableFamily, Test, Value, Verdict};
use super::sets::{length, write_value};
use super::{NFLOG_GROUP, NFLOG_PREFIX, NFLOG_SNAPLEN};
use netproof_model::Family;
use nlink::netlink::MessageBuilder;
use nlink::netlink::nftables::{
    self as nf, ChainName, CmpOp, CtKey, Expr, LogExpr, LookupExpr, MetaKey, Register,
};
use std::net::IpAddr;

const CT_INVALID: u32 = 1;
const CT_NEW: u32 = 8;
const CT_UNTRACKED: u32 = 64;
const CT_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT` of the connection's status.
const CT_STATUS_DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`: the type of the routes to this machine's own addresses.
const ROUTE_LOCAL: u32 = 2;
/// ICMP destination unreachable: host (RFC 792).
const ICMP_HOST_UNREACHABLE: u8 = 1;
const RANDOM_FULLY: u32 = 1 << 4;

/// The expressions of a rule in a table of this family.
pub(super) fn expressions(rule: &Rule, table: TableFamily, epoch: Epoch) -> Vec<Expr> {
    let mut writer = Writer { table, epoch, expressions: Vec::new(), guards: Vec::new() };
    for statement in &rule.statements {
        writer.statement(statement);
    }
    writer.expressions
}

struct Writer {
    table: TableFamily,
    epoch: Epoch,
    expressions: Vec<Expr>,
    /// Guards that the rule has already.
    guards: Vec<(MetaKey, Vec<u8>)>,
}

impl Writer {
    fn statement(&mut self, statement: &Statement) {
        let r0 = Register::R0;
        match statement {
            Statement::Match(fields, test) => {
                self.guard(fields);
                match test {
                    Test::Is(part) | Test::IsNot(part) => {
                        let positive = matches!(test, Test::Is(_));
                        self.load(fields);
                        // An ICMPv6 type is one byte, wherever its number came from.
                        let narrow = fields == &[Field::Icmpv6Type];
                        self.compare(part, positive, narrow);
                    }
                    Test::In(set) => {
                        self.load(fields);
                        self.push(LookupExpr::new(self.epoch.name(set), r0));
                    }
                    Test::Remembered(set) => {
                        self.load(fields);
                        self.push(LookupExpr::new(set.as_str(), r0));
                    }
                }
            }
            Statement::Family(family) => self.family_guard(*family),
            Statement::DestinationPort(protocol, part) => {
                self.meta_guard(MetaKey::L4Proto, vec![protocol.number(Family::Ipv4)]);
                self.load(&[Field::DestinationPort]);
                self.compare(part, true, false);
            }
            Statement::Established => self.ct_state(CT_ESTABLISHED_OR_RELATED),
            Statement::New => self.ct_state(CT_NEW),
            Statement::NewOrUntracked => self.ct_state(CT_NEW | CT_UNTRACKED),
            Statement::Invalid => self.ct_state(CT_INVALID),
            Statement::Translated => self.ct_bits(CtKey::Status, CT_STATUS_DNAT),
            Statement::FromThisNode => self.is_local(nf::FibFlags::SADDR),
            Statement::ToThisNode => self.is_local(nf::FibFlags::DADDR),
            Statement::NoRoute => {
                let flags = nf::FibFlags::DADDR;
                self.push(Expr::Fib { dreg: r0, result: nf::FibResult::Oif, flags });
                self.push(Expr::Cmp { sreg: r0, op: CmpOp::Eq, data: 0u32.to_ne_bytes().to_vec() });
            }
            Statement::Remember(field, set) => {
                self.guard(&[*field]);
                self.load(&[*field]);
                self.push(nf::DynsetExpr::new(nf::DynsetOp::Update, set.as_str(), r0));
            }
            Statement::VerdictMap(fields, map) => {
                self.guard(fields);
                self.load(fields);
                self.push(LookupExpr::new(self.epoch.name(map), r0).dreg(Register::Verdict));
            }
            Statement::RandomMap(modulus, map) => {
                self.random(*modulus);
                self.push(LookupExpr::new(self.epoch.name(map), r0).dreg(Register::Verdict));
            }
            Statement::MarkUnset(bits) => {
                self.push(Expr::Meta { dreg: r0, key: MetaKey::Mark });
                self.bits(*bits, 0);
                self.push(Expr::Cmp { sreg: r0, op: CmpOp::Eq, data: 0u32.to_ne_bytes().to_vec() });
            }
            Statement::SetMark(bits) => self.change_mark(!bits, *bits),
            Statement::FlipMark(bits) => self.change_mark(u32::MAX, *bits),
            Statement::Log(number) => self.log(number),
            Statement::Note(word) => self.log(word),
            Statement::Reject => {
                let (reject_type, icmp_code) = match self.table {
                    TableFamily::Ip => (nf::NFT_REJECT_ICMP_UNREACH, 3),
                    TableFamily::Ip6 => (nf::NFT_REJECT_ICMP_UNREACH, 4),
                    _ => (nf::NFT_REJECT_ICMPX_UNREACH, nf::NFT_REJECT_ICMPX_PORT_UNREACH),
                };
                self.push(Expr::Reject { reject_type, icmp_code });
            }
            Statement::Unreachable => {
                let (reject_type, icmp_code) = (nf::NFT_REJECT_ICMP_UNREACH, ICMP_HOST_UNREACHABLE);
                self.push(Expr::Reject { reject_type, icmp_code });
            }
            Statement::Dnat(address, port) => self.dnat(*address, *port),
            Statement::RandomDnat(modulus, map) => self.random_dnat(*modulus, map),
            Statement::Masquerade => {
                let mut b = MessageBuilder::new(0, 0);
                let header = b.len();
                b.append_attr_u32_be(nf::NFTA_MASQ_FLAGS, RANDOM_FULLY);
                let flags = b.as_bytes().get(header..).unwrap_or_default().to_vec();
                self.push(nf::RawExpr::new("masq", flags));
            }
            Statement::Verdict(verdict) => self.verdict(verdict),
        }
    }

    fn push(&mut self, expression: impl Into<Expr>) {
        self.expressions.push(expression.into());
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let named = |name: &str| ChainName::new(self.epoch.name(name));
        let verdict = match verdict {
            Verdict::Accept => nf::Verdict::Accept,
            Verdict::Drop => nf::Verdict::Drop,
            Verdict::Return => nf::Verdict::Return,
            // A name that the kernel could not hold cannot be in a ruleset; were it, the packet would
            // be dropped rather than let through.
            Verdict::Jump(chain) => named(chain).map_or(nf::Verdict::Drop, nf::Verdict::JumpTo),
            Verdict::Goto(chain) => named(chain).map_or(nf::Verdict::Drop, nf::Verdict::GotoTo),
        };
        self.push(Expr::Verdict(verdict));
    }

    fn guard(&mut self, fields: &[Field]) {
        for field in fields {
            match field {
                Field::SourceV4 | Field::DestinationV4 => self.family_guard(Family::Ipv4),
                Field::SourceV6 | Field::DestinationV6 => self.family_guard(Family::Ipv6),
                Field::Icmpv6Type => {
                    self.family_guard(Family::Ipv6);
                    self.meta_guard(MetaKey::L4Proto, vec![58]);
                }
                Field::Protocol | Field::DestinationPort | Field::InputInterface => {}
            }
        }
    }

    /// `ip saddr` means nothing in a packet of the other family, so each table asks in its own way.
    fn family_guard(&mut self, family: Family) {
        let (nfproto, ethertype) = match family {
            Family::Ipv4 => (2, 0x0800u16),
            Family::Ipv6 => (10, 0x86dd),
        };
        match self.table {
            TableFamily::Inet => self.meta_guard(MetaKey::NfProto, vec![nfproto]),
            TableFamily::Bridge => self.meta_guard(MetaKey::Protocol, ethertype.to_be_bytes().to_vec()),
            TableFamily::Ip | TableFamily::Ip6 => {}
        }
    }

    fn meta_guard(&mut self, key: MetaKey, data: Vec<u8>) {
        if !self.guards.contains(&(key, data.clone())) {
            self.guards.push((key, data.clone()));
            self.push(Expr::Meta { dreg: Register::R0, key });
            self.push(Expr::Cmp { sreg: Register::R0, op: CmpOp::Eq, data });
        }
    }

    /// Loads the fields side by side, each at a multiple of four bytes.
    fn load(&mut self, fields: &[Field]) {
        let mut word = 0;
        for field in fields {
            // Sixteen words hold any key that is made here; one that were longer would not load.
            let dreg = Register::word(word).unwrap_or(Register::R0);
            let payload = |base, offset, len| Expr::Payload { dreg, base, offset, len };
            self.push(match field {
                Field::SourceV4 => payload(nf::PayloadBase::Network, 12, 4),
                Field::DestinationV4 => payload(nf::PayloadBase::Network, 16, 4),
                Field::SourceV6 => payload(nf::PayloadBase::Network, 8, 16),
                Field::DestinationV6 => payload(nf::PayloadBase::Network, 24, 16),
                Field::Protocol => Expr::Meta { dreg, key: MetaKey::L4Proto },
                Field::DestinationPort => payload(nf::PayloadBase::Transport, 2, 2),
                Field::InputInterface => Expr::Meta { dreg, key: MetaKey::IifName },
                Field::Icmpv6Type => payload(nf::PayloadBase::Transport, 0, 1),
            });
            word += length(field.key_type()).div_ceil(4);
        }
    }

    fn compare(&mut self, part: &Part, positive: bool, narrow: bool) {
        let bytes = |value: &Value| {
            let mut bytes = Vec::new();
            match value {
                Value::Number(number) if narrow => bytes.push(u8::try_from(*number).unwrap_or(u8::MAX)),
                value => write_value(&mut bytes, value),
            }
            bytes
        };
        let sreg = Register::R0;
        match part {
            Part::One(value) => {
                let op = if positive { CmpOp::Eq } else { CmpOp::Neq };
                self.push(Expr::Cmp { sreg, op, data: bytes(value) });
            }
            Part::Range(first, last) => {
                let op = if positive { nf::RangeOp::Eq } else { nf::RangeOp::Neq };
                self.push(Expr::Range { sreg, op, from: bytes(first), to: bytes(last) });
            }
        }
    }

    fn log(&mut self, what: &dyn std::fmt::Display) {
        self.push(
            LogExpr::new()
                .prefix(format!("{NFLOG_PREFIX}{what}"))
                .group(NFLOG_GROUP)
                .snaplen(NFLOG_SNAPLEN)
                .queue_threshold(1),
        );
    }

    fn is_local(&mut self, flags: nf::FibFlags) {
        self.push(Expr::Fib { dreg: Register::R0, result: nf::FibResult::AddrType, flags });
        let data = ROUTE_LOCAL.to_ne_bytes().to_vec();
        self.push(Expr::Cmp { sreg: Register::R0, op: CmpOp::Eq, data });
    }

    fn ct_state(&mut self, states: u32) {
        self.ct_bits(CtKey::State, states);
    }

    fn ct_bits(&mut self, key: CtKey, bits: u32) {
        self.push(Expr::Ct { dreg: Register::R0, key });
        self.bits(bits, 0);
        self.push(Expr::Cmp { sreg: Register::R0, op: CmpOp::Neq, data: 0u32.to_ne_bytes().to_vec() });
    }

    fn change_mark(&mut self, mask: u32, xor: u32) {
        self.push(Expr::Meta { dreg: Register::R0, key: MetaKey::Mark });
        self.bits(mask, xor);
        self.push(Expr::MetaSet { key: MetaKey::Mark, sreg: Register::R0 });
    }

    fn bits(&mut self, mask: u32, xor: u32) {
        self.push(Expr::Bitwise {
            sreg: Register::R0,
            dreg: Register::R0,
            len: 4,
            mask: mask.to_ne_bytes().to_vec(),
            xor: xor.to_ne_bytes().to_vec(),
        });
    }

    fn random(&mut self, modulus: u32) {
        let kind = nf::NumgenKind::Random;
        self.push(Expr::Numgen { dreg: Register::R0, kind, modulus, offset: 0 });
    }

    fn random_dnat(&mut self, modulus: u32, map: &str) {
        // The map gives the address, and the port in the word after it.
        let address = Register::Reg32_00;
        let (family, port) = match self.table {
            TableFamily::Ip6 => (nf::Family::Ip6, Register::Reg32_04),
            _ => (nf::Family::Ip, Register::Reg32_01),
        };
        self.random(modulus);
        self.push(LookupExpr::new(self.epoch.name(map), Register::R0).dreg(address));
        // nlink's own expression takes the port from the second large register only.
        let mut b = MessageBuilder::new(0, 0);
        let header = b.len();
        b.append_attr_u32_be(nf::NFTA_NAT_TYPE, nf::NatType::Dnat as u32);
        b.append_attr_u32_be(nf::NFTA_NAT_FAMILY, family as u32);
        b.append_attr_u32_be(nf::NFTA_NAT_REG_ADDR_MIN, address as u32);
        b.append_attr_u32_be(nf::NFTA_NAT_REG_PROTO_MIN, port as u32);
        let attributes = b.as_bytes().get(header..).unwrap_or_default().to_vec();
        self.push(nf::RawExpr::new("nat", attributes));
    }

    fn dnat(&mut self, address: IpAddr, port: u16) {
        let (family, data) = match address {
            IpAddr::V4(address) => (nf::Family::Ip, address.octets().to_vec()),
            IpAddr::V6(address) => (nf::Family::Ip6, address.octets().to_vec()),
        };
        let mut nat = nf::NatExpr::dnat(family).port(port);
        nat.addr = nf::NatAddr::Reg;
        self.push(Expr::Immediate { dreg: Register::R0, data });
        self.push(Expr::Immediate { dreg: Register::R1, data: port.to_be_bytes().to_vec() });
        self.push(Expr::Nat(nat));
    }
}
