//! Operations on a ruleset as netlink messages, with their exact size.
//!
//! The attributes of tables, chains, sets and elements are laid out here; expressions are nlink's. The
//! messages are built before they are handed over because a transaction must fit into one send.

use super::ruleset::{
    Base, Chain, ChainType, Element, Field, KeyType, Part, Rule, Set, Statement, TableFamily, TableId, Test,
    Value, Verdict,
};
use super::{NFLOG_GROUP, NFLOG_PREFIX, NFLOG_SNAPLEN};
use netproof_model::{Family, Hook};
use nlink::netlink::MessageBuilder;
use nlink::netlink::nftables::{
    self as nf, ChainName, CmpOp, CtKey, Expr, LogExpr, LookupExpr, MetaKey, Register,
};
use std::net::IpAddr;

/// Bytes before the attributes: the netlink header and the nfgenmsg.
const HEADERS: usize = 20;
/// The most that the elements of one message take: an attribute's length has 16 bits.
const ELEMENTS_LIMIT: usize = 32 * 1024;
/// The longest comment that the kernel keeps.
const COMMENT_LIMIT: usize = 127;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;
const SET_INTERVAL: u32 = 0x4;
const SET_MAP: u32 = 0x8;
const SET_CONCAT: u32 = 0x80;
const CT_NEW: u32 = 8;
const CT_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const RANDOM_FULLY: u32 = 1 << 4;

/// One message of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) family: nf::Family,
    pub(super) flags: u16,
    pub(super) attributes: Vec<u8>,
}

impl Message {
    /// Bytes that it adds to the send.
    pub(super) fn size(&self) -> usize {
        HEADERS + self.attributes.len()
    }
}

/// One change, in logical names.
#[derive(Clone, Debug)]
pub(super) enum Operation<'a> {
    AddTable(TableId),
    DeleteTable(TableId),
    AddChain(TableId, &'a str, &'a Chain),
    FlushChain(TableId, &'a str, &'a Chain),
    DeleteChain(TableId, &'a str, &'a Chain),
    AddRule(TableId, &'a str, &'a Chain, &'a Rule),
    AddSet(TableId, &'a str, &'a Set),
    DeleteSet(TableId, &'a str),
    AddElements(TableId, &'a str, &'a Set, Vec<(&'a Element, Option<&'a Verdict>)>),
    DeleteElements(TableId, &'a str, &'a Set, Vec<&'a Element>),
}

/// How the kernel names what is not a base chain: the epochs of side-by-side loads differ by a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);

impl Epoch {
    fn name(self, logical: &str) -> String {
        match self.0 {
            0 => logical.to_owned(),
            epoch => format!("{logical}.e{epoch}"),
        }
    }

    fn chain(self, logical: &str, chain: &Chain) -> String {
        if chain.base.is_some() { logical.to_owned() } else { self.name(logical) }
    }
}

/// The messages of one operation: one, or several where elements are many.
pub(super) fn encode(operation: &Operation<'_>, epoch: Epoch, messages: &mut Vec<Message>) {
    use Operation as Op;
    match operation {
        Op::AddTable(table) => {
            messages.push(message(nf::NFT_MSG_NEWTABLE, table, NLM_F_CREATE | NLM_F_EXCL, |b| {
                b.append_attr_str(nf::NFTA_TABLE_NAME, table.name);
            }))
        }
        Op::DeleteTable(table) => messages.push(message(nf::NFT_MSG_DELTABLE, table, 0, |b| {
            b.append_attr_str(nf::NFTA_TABLE_NAME, table.name);
        })),
        Op::AddChain(table, name, chain) => {
            messages.push(message(nf::NFT_MSG_NEWCHAIN, table, NLM_F_CREATE | NLM_F_EXCL, |b| {
                b.append_attr_str(nf::NFTA_CHAIN_TABLE, table.name);
                b.append_attr_str(nf::NFTA_CHAIN_NAME, &epoch.chain(name, chain));
                if let Some(base) = &chain.base {
                    write_base(b, base);
                }
            }));
        }
        Op::FlushChain(table, name, chain) => messages.push(message(nf::NFT_MSG_DELRULE, table, 0, |b| {
            b.append_attr_str(nf::NFTA_RULE_TABLE, table.name);
            b.append_attr_str(nf::NFTA_RULE_CHAIN, &epoch.chain(name, chain));
        })),
        Op::DeleteChain(table, name, chain) => messages.push(message(nf::NFT_MSG_DELCHAIN, table, 0, |b| {
            b.append_attr_str(nf::NFTA_CHAIN_TABLE, table.name);
            b.append_attr_str(nf::NFTA_CHAIN_NAME, &epoch.chain(name, chain));
        })),
        Op::AddRule(table, name, chain, rule) => {
            messages.push(message(nf::NFT_MSG_NEWRULE, table, NLM_F_CREATE | NLM_F_APPEND, |b| {
                b.append_attr_str(nf::NFTA_RULE_TABLE, table.name);
                b.append_attr_str(nf::NFTA_RULE_CHAIN, &epoch.chain(name, chain));
                nf::write_expressions(b, &expressions(rule, table.family, epoch));
                if !rule.comment.is_empty() {
                    b.append_attr(nf::NFTA_RULE_USERDATA, &comment(&rule.comment));
                }
            }));
        }
        Op::AddSet(table, name, set) => {
            let id = u32::try_from(messages.len()).unwrap_or(u32::MAX).saturating_add(1);
            messages.push(message(nf::NFT_MSG_NEWSET, table, NLM_F_CREATE | NLM_F_EXCL, |b| {
                b.append_attr_str(nf::NFTA_SET_TABLE, table.name);
                b.append_attr_str(nf::NFTA_SET_NAME, &epoch.name(name));
                write_set(b, set, id);
            }));
        }
        Op::DeleteSet(table, name) => messages.push(message(nf::NFT_MSG_DELSET, table, 0, |b| {
            b.append_attr_str(nf::NFTA_SET_TABLE, table.name);
            b.append_attr_str(nf::NFTA_SET_NAME, &epoch.name(name));
        })),
        Op::AddElements(table, name, set, elements) => {
            let elements = elements.iter().map(|(element, verdict)| (*element, *verdict));
            encode_elements(
                nf::NFT_MSG_NEWSETELEM,
                NLM_F_CREATE,
                table,
                &epoch,
                name,
                set,
                elements,
                messages,
            );
        }
        Op::DeleteElements(table, name, set, elements) => {
            let elements = elements.iter().map(|element| (*element, None));
            encode_elements(nf::NFT_MSG_DELSETELEM, 0, table, &epoch, name, set, elements, messages);
        }
    }
}

fn message(kind: u8, table: &TableId, flags: u16, write: impl FnOnce(&mut MessageBuilder)) -> Message {
    // The builder starts with a netlink header, which nlink writes anew for the batch.
    let mut builder = MessageBuilder::new(0, 0);
    let header = builder.len();
    write(&mut builder);
    let attributes = builder.as_bytes().get(header..).unwrap_or_default().to_vec();
    Message { kind, family: family(table.family), flags, attributes }
}

fn family(family: TableFamily) -> nf::Family {
    match family {
        TableFamily::Inet => nf::Family::Inet,
        TableFamily::Ip => nf::Family::Ip,
        TableFamily::Ip6 => nf::Family::Ip6,
        TableFamily::Bridge => nf::Family::Bridge,
    }
}

/// libnftnl's layout of a comment: type, length, the text and a zero byte.
fn comment(text: &str) -> Vec<u8> {
    let mut end = text.len().min(COMMENT_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text.as_bytes()[..end];
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[0, length], text, &[0]].concat()
}

fn write_base(b: &mut MessageBuilder, base: &Base) {
    let chain_type = match base.chain_type {
        ChainType::Filter => "filter",
        ChainType::Nat => "nat",
    };
    // The hooks have the same numbers in the families ip, ip6, inet and bridge.
    let hook: u32 = match base.hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    };
    b.append_attr_str(nf::NFTA_CHAIN_TYPE, chain_type);
    let nest = b.nest_start(nf::NFTA_CHAIN_HOOK | NLA_F_NESTED);
    b.append_attr_u32_be(nf::NFTA_HOOK_HOOKNUM, hook);
    b.append_attr_u32_be(nf::NFTA_HOOK_PRIORITY, base.priority.cast_unsigned());
    b.nest_end(nest);
    b.append_attr_u32_be(nf::NFTA_CHAIN_POLICY, nf::Policy::Accept.to_u32());
}

fn write_set(b: &mut MessageBuilder, set: &Set, id: u32) {
    let concatenated = set.key.len() > 1;
    let mut flags = 0;
    if set.interval {
        flags |= SET_INTERVAL;
    }
    if set.is_map {
        flags |= SET_MAP;
    }
    if concatenated && set.interval {
        flags |= SET_CONCAT;
    }
    // nft's identifier of a concatenation: six bits a field, the first in the highest.
    let key_type = set.key.iter().fold(0, |id, key| id << 6 | type_id(*key));
    let length = if concatenated {
        set.key.iter().map(|key| length(*key).next_multiple_of(4)).sum()
    } else {
        set.key.iter().map(|key| length(*key)).sum::<usize>()
    };
    b.append_attr_u32_be(nf::NFTA_SET_FLAGS, flags);
    b.append_attr_u32_be(nf::NFTA_SET_KEY_TYPE, key_type);
    b.append_attr_u32_be(nf::NFTA_SET_KEY_LEN, u32::try_from(length).unwrap_or(u32::MAX));
    if set.is_map {
        b.append_attr_u32_be(nf::NFTA_SET_DATA_TYPE, nf::NFT_DATA_VERDICT);
    }
    if concatenated && set.interval {
        let description = b.nest_start(nf::NFTA_SET_DESC | NLA_F_NESTED);
        let concatenation = b.nest_start(nf::NFTA_SET_DESC_CONCAT | NLA_F_NESTED);
        for key in &set.key {
            let field = b.nest_start(nf::NFTA_LIST_ELEM | NLA_F_NESTED);
            b.append_attr_u32_be(
                nf::NFTA_SET_FIELD_LEN,
                u32::try_from(self::length(*key)).unwrap_or(u32::MAX),
            );
            b.nest_end(field);
        }
        b.nest_end(concatenation);
        b.nest_end(description);
    }
    b.append_attr_u32_be(nf::NFTA_SET_ID, id);
}

/// nft's number of a datatype, by which `nft list` shows the set rightly.
fn type_id(key: KeyType) -> u32 {
    match key {
        KeyType::Ipv4 => 7,
        KeyType::Ipv6 => 8,
        KeyType::Protocol => 12,
        KeyType::Port => 13,
        KeyType::Number => 19,
        KeyType::Interface => 41,
    }
}

fn length(key: KeyType) -> usize {
    match key {
        KeyType::Ipv4 | KeyType::Number => 4,
        KeyType::Ipv6 | KeyType::Interface => 16,
        KeyType::Protocol => 1,
        KeyType::Port => 2,
    }
}

/// An element as the kernel wants it.
struct WireElement<'a> {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    is_end: bool,
    verdict: Option<&'a Verdict>,
}

#[expect(clippy::too_many_arguments, reason = "one call for adding, one for deleting")]
fn encode_elements<'a>(
    kind: u8,
    flags: u16,
    table: &TableId,
    epoch: &Epoch,
    name: &str,
    set: &Set,
    elements: impl Iterator<Item = (&'a Element, Option<&'a Verdict>)>,
    messages: &mut Vec<Message>,
) {
    let wire: Vec<WireElement<'_>> =
        elements.flat_map(|(element, verdict)| wire_elements(set, element, verdict)).collect();
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        let mut taken = 0;
        messages.push(message(kind, table, flags, |b| {
            b.append_attr_str(nf::NFTA_SET_ELEM_LIST_TABLE, table.name);
            b.append_attr_str(nf::NFTA_SET_ELEM_LIST_SET, &epoch.name(name));
            let list = b.nest_start(nf::NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED);
            while b.len() < ELEMENTS_LIMIT
                && let Some(element) = rest.get(taken)
            {
                write_element(b, element, *epoch);
                taken += 1;
            }
            b.nest_end(list);
        }));
        rest = rest.get(taken..).unwrap_or_default();
    }
}

fn write_element(b: &mut MessageBuilder, element: &WireElement<'_>, epoch: Epoch) {
    let nest = b.nest_start(nf::NFTA_LIST_ELEM | NLA_F_NESTED);
    let key = b.nest_start(nf::NFTA_SET_ELEM_KEY | NLA_F_NESTED);
    b.append_attr(nf::NFTA_DATA_VALUE, &element.key);
    b.nest_end(key);
    if let Some(end) = &element.key_end {
        let key = b.nest_start(nf::NFTA_SET_ELEM_KEY_END | NLA_F_NESTED);
        b.append_attr(nf::NFTA_DATA_VALUE, end);
        b.nest_end(key);
    }
    if element.is_end {
        b.append_attr_u32_be(nf::NFTA_SET_ELEM_FLAGS, nf::NFT_SET_ELEM_INTERVAL_END);
    }
    if let Some(verdict) = element.verdict {
        let data = b.nest_start(nf::NFTA_SET_ELEM_DATA | NLA_F_NESTED);
        write_verdict(b, verdict, epoch);
        b.nest_end(data);
    }
    b.nest_end(nest);
}

fn write_verdict(b: &mut MessageBuilder, verdict: &Verdict, epoch: Epoch) {
    let code: i32 = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
        Verdict::Jump(_) => -3,
        Verdict::Goto(_) => -4,
        Verdict::Return => -5,
    };
    let nest = b.nest_start(nf::NFTA_DATA_VERDICT | NLA_F_NESTED);
    b.append_attr_u32_be(nf::NFTA_VERDICT_CODE, code.cast_unsigned());
    if let Some(chain) = verdict.chain() {
        b.append_attr_str(nf::NFTA_VERDICT_CHAIN, &epoch.name(chain));
    }
    b.nest_end(nest);
}

/// A concatenated element carries its own end; one of a plain interval set is a start and, unless it
/// reaches the highest value, an end one beyond.
fn wire_elements<'a>(set: &Set, element: &Element, verdict: Option<&'a Verdict>) -> Vec<WireElement<'a>> {
    let padded = set.key.len() > 1;
    let bytes = |part: fn(&Part) -> &Value| -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in element {
            write_value(&mut bytes, part(field));
            if padded {
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    };
    let first = bytes(Part::first);
    let last = bytes(Part::last);
    if !set.interval {
        return vec![WireElement { key: first, key_end: None, is_end: false, verdict }];
    }
    if padded {
        let key_end = (first != last).then_some(last);
        return vec![WireElement { key: first, key_end, is_end: false, verdict }];
    }
    let mut wire = vec![WireElement { key: first, key_end: None, is_end: false, verdict }];
    if let Some(end) = one_beyond(last) {
        wire.push(WireElement { key: end, key_end: None, is_end: true, verdict: None });
    }
    wire
}

/// The next number in network byte order; `None` after the highest.
fn one_beyond(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    for byte in bytes.iter_mut().rev() {
        let (next, overflowed) = byte.overflowing_add(1);
        *byte = next;
        if !overflowed {
            return Some(bytes);
        }
    }
    None
}

impl Part {
    fn first(&self) -> &Value {
        match self {
            Part::One(value) | Part::Range(value, _) => value,
        }
    }

    fn last(&self) -> &Value {
        match self {
            Part::One(value) | Part::Range(_, value) => value,
        }
    }
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Ipv4(address) => bytes.extend(address.octets()),
        Value::Ipv6(address) => bytes.extend(address.octets()),
        Value::Protocol(number) => bytes.push(*number),
        Value::Port(port) => bytes.extend(port.to_be_bytes()),
        Value::Number(number) => bytes.extend(number.to_ne_bytes()),
        Value::Interface(name) => {
            let mut padded = name.as_bytes().to_vec();
            padded.resize(length(KeyType::Interface), 0);
            bytes.extend(padded);
        }
    }
}

/// A rule's expressions, with the protocol guards that the table's family asks for.
fn expressions(rule: &Rule, table: TableFamily, epoch: Epoch) -> Vec<Expr> {
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
            Statement::VerdictMap(fields, map) => {
                self.guard(fields);
                self.load(fields);
                self.push(LookupExpr::new(self.epoch.name(map), r0).dreg(Register::Verdict));
            }
            Statement::RandomMap(modulus, map) => {
                self.push(Expr::Numgen {
                    dreg: r0,
                    kind: nf::NumgenKind::Random,
                    modulus: *modulus,
                    offset: 0,
                });
                self.push(LookupExpr::new(self.epoch.name(map), r0).dreg(Register::Verdict));
            }
            Statement::MarkUnset(bits) => {
                self.push(Expr::Meta { dreg: r0, key: MetaKey::Mark });
                self.bits(*bits, 0);
                self.push(Expr::Cmp { sreg: r0, op: CmpOp::Eq, data: 0u32.to_ne_bytes().to_vec() });
            }
            Statement::SetMark(bits) => self.change_mark(!bits, *bits),
            Statement::FlipMark(bits) => self.change_mark(u32::MAX, *bits),
            Statement::Log(number) => self.push(
                LogExpr::new()
                    .prefix(format!("{NFLOG_PREFIX}{number}"))
                    .group(NFLOG_GROUP)
                    .snaplen(NFLOG_SNAPLEN)
                    .queue_threshold(1),
            ),
            Statement::Reject => {
                let (reject_type, icmp_code) = match self.table {
                    TableFamily::Ip => (nf::NFT_REJECT_ICMP_UNREACH, 3),
                    TableFamily::Ip6 => (nf::NFT_REJECT_ICMP_UNREACH, 4),
                    _ => (nf::NFT_REJECT_ICMPX_UNREACH, nf::NFT_REJECT_ICMPX_PORT_UNREACH),
                };
                self.push(Expr::Reject { reject_type, icmp_code });
            }
            Statement::Dnat(address, port) => self.dnat(*address, *port),
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

    fn ct_state(&mut self, states: u32) {
        self.push(Expr::Ct { dreg: Register::R0, key: CtKey::State });
        self.bits(states, 0);
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
