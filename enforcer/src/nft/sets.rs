//! Sets and their elements as the kernel lays them out: keys side by side, ranges as it takes them.

use super::encode::{Epoch, NLA_F_NESTED};
use super::ruleset::{Data, DataType, Element, KeyType, Part, Set, Value, Verdict};
use nlink::netlink::MessageBuilder;
use nlink::netlink::nftables as nf;

const SET_INTERVAL: u32 = 0x4;
const SET_MAP: u32 = 0x8;
const SET_TIMEOUT: u32 = 0x10;
const SET_EVAL: u32 = 0x20;
/// How much a set of what is remembered holds; nft's own default.
const REMEMBERED: u32 = 65_535;
const SET_CONCAT: u32 = 0x80;

/// The attributes that make a set.
pub(super) fn write_set(b: &mut MessageBuilder, set: &Set, id: u32) {
    let concatenated = set.key.len() > 1;
    let mut flags = 0;
    if set.interval {
        flags |= SET_INTERVAL;
    }
    if set.data.is_some() {
        flags |= SET_MAP;
    }
    if concatenated && set.interval {
        flags |= SET_CONCAT;
    }
    if set.remembers.is_some() {
        flags |= SET_TIMEOUT | SET_EVAL;
    }
    b.append_attr_u32_be(nf::NFTA_SET_FLAGS, flags);
    b.append_attr_u32_be(nf::NFTA_SET_KEY_TYPE, type_ids(&set.key));
    b.append_attr_u32_be(nf::NFTA_SET_KEY_LEN, wire_length(&set.key));
    match &set.data {
        Some(DataType::Verdict) => b.append_attr_u32_be(nf::NFTA_SET_DATA_TYPE, nf::NFT_DATA_VERDICT),
        Some(DataType::Values(types)) => {
            b.append_attr_u32_be(nf::NFTA_SET_DATA_TYPE, type_ids(types));
            b.append_attr_u32_be(nf::NFTA_SET_DATA_LEN, wire_length(types));
        }
        None => {}
    }
    if concatenated && set.interval {
        let description = b.nest_start(nf::NFTA_SET_DESC | NLA_F_NESTED);
        let concatenation = b.nest_start(nf::NFTA_SET_DESC_CONCAT | NLA_F_NESTED);
        for key in &set.key {
            let field = b.nest_start(nf::NFTA_LIST_ELEM | NLA_F_NESTED);
            b.append_attr_u32_be(nf::NFTA_SET_FIELD_LEN, u32::try_from(length(*key)).unwrap_or(u32::MAX));
            b.nest_end(field);
        }
        b.nest_end(concatenation);
        b.nest_end(description);
    }
    if let Some(seconds) = set.remembers {
        let description = b.nest_start(nf::NFTA_SET_DESC | NLA_F_NESTED);
        b.append_attr_u32_be(nf::NFTA_SET_DESC_SIZE, REMEMBERED);
        b.nest_end(description);
        b.append_attr(nf::NFTA_SET_TIMEOUT, &(u64::from(seconds) * 1000).to_be_bytes());
    }
    b.append_attr_u32_be(nf::NFTA_SET_ID, id);
}

/// nft's identifier of fields side by side: six bits a field, the first in the highest.
fn type_ids(fields: &[KeyType]) -> u32 {
    fields.iter().fold(0, |id, field| id << 6 | type_id(*field))
}

/// Bytes of fields side by side: each of several is filled up to a multiple of four.
fn wire_length(fields: &[KeyType]) -> u32 {
    let bytes = match fields {
        [field] => length(*field),
        fields => fields.iter().map(|field| length(*field).next_multiple_of(4)).sum(),
    };
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The values of fields side by side, laid out so.
fn wire_values<'a>(values: impl ExactSizeIterator<Item = &'a Value>) -> Vec<u8> {
    let padded = values.len() > 1;
    let mut bytes = Vec::new();
    for value in values {
        write_value(&mut bytes, value);
        if padded {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
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

/// Bytes of a field by itself.
pub(super) fn length(key: KeyType) -> usize {
    match key {
        KeyType::Ipv4 | KeyType::Number => 4,
        KeyType::Ipv6 | KeyType::Interface => 16,
        KeyType::Protocol => 1,
        KeyType::Port => 2,
    }
}

/// An element as the kernel wants it.
pub(super) struct WireElement<'a> {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    is_end: bool,
    data: Option<&'a Data>,
}

pub(super) fn write_element(b: &mut MessageBuilder, element: &WireElement<'_>, epoch: Epoch) {
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
    if let Some(data) = element.data {
        let nest = b.nest_start(nf::NFTA_SET_ELEM_DATA | NLA_F_NESTED);
        match data {
            Data::Verdict(verdict) => write_verdict(b, verdict, epoch),
            Data::Values(values) => b.append_attr(nf::NFTA_DATA_VALUE, &wire_values(values.iter())),
        }
        b.nest_end(nest);
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
pub(super) fn wire_elements<'a>(
    set: &Set,
    element: &Element,
    data: Option<&'a Data>,
) -> Vec<WireElement<'a>> {
    let padded = set.key.len() > 1;
    let first = wire_values(element.iter().map(Part::first));
    if !set.interval {
        return vec![WireElement { key: first, key_end: None, is_end: false, data }];
    }
    let last = wire_values(element.iter().map(Part::last));
    if padded {
        let key_end = (first != last).then_some(last);
        return vec![WireElement { key: first, key_end, is_end: false, data }];
    }
    let mut wire = vec![WireElement { key: first, key_end: None, is_end: false, data }];
    if let Some(end) = one_beyond(last) {
        wire.push(WireElement { key: end, key_end: None, is_end: true, data: None });
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

pub(super) fn write_value(bytes: &mut Vec<u8>, value: &Value) {
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
