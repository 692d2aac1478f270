//! Encodes sets and their elements in the kernel's layout: concatenated keys, and ranges.

use super::encode::Epoch;
use super::ruleset::{Data, DataType, Element, Set, Verdict};
use super::values::{KeyType, Part, Value};
use super::wire;
use crate::Attributes;

/// The most elements of a remembering set; nft's own default.
const REMEMBERED: u32 = 65_535;

/// The kernel requires an identifier for every new set, by which other messages of the transaction may refer
/// to it. Ours refer to sets by name.
const SET_ID: u32 = 1;

/// The attributes that make a set.
pub(super) fn write_set(attributes: &mut Attributes, set: &Set) {
    let concatenated = set.key.len() > 1;
    let mut flags = 0;
    if set.interval {
        flags |= wire::set::FLAG_INTERVAL;
    }
    if set.data.is_some() {
        flags |= wire::set::FLAG_MAP;
    }
    if concatenated && set.interval {
        flags |= wire::set::FLAG_CONCATENATED;
    }
    if set.remembers.is_some() {
        flags |= wire::set::FLAG_TIMEOUT | wire::set::FLAG_EVAL;
    }
    attributes.number(wire::set::FLAGS, flags);
    attributes.number(wire::set::KEY_TYPE, type_ids(&set.key));
    attributes.number(wire::set::KEY_LENGTH, wire_length(&set.key));
    match &set.data {
        Some(DataType::Verdict) => attributes.number(wire::set::DATA_TYPE, wire::set::TYPE_VERDICT),
        Some(DataType::Values(types)) => {
            attributes.number(wire::set::DATA_TYPE, type_ids(types));
            attributes.number(wire::set::DATA_LENGTH, wire_length(types));
        }
        None => {}
    }
    if concatenated && set.interval {
        attributes.nest(wire::set::DESCRIPTION, |description| {
            description.nest(wire::description::CONCATENATION, |fields| {
                for key in &set.key {
                    let bytes = length(*key).into();
                    fields.nest(wire::LIST_ITEM, |field| field.number(wire::description::LENGTH, bytes));
                }
            });
        });
    }
    if let Some(seconds) = set.remembers {
        attributes.nest(wire::set::DESCRIPTION, |description| {
            description.number(wire::description::SIZE, REMEMBERED);
        });
        attributes.value(wire::set::TIMEOUT, &(u64::from(seconds) * 1000).to_be_bytes());
    }
    attributes.number(wire::set::ID, SET_ID);
}

/// nft's identifier of concatenated fields: six bits a field, the first field in the highest bits.
fn type_ids(fields: &[KeyType]) -> u32 {
    fields.iter().fold(0, |id, field| id << 6 | type_id(*field))
}

/// Size of concatenated fields in bytes: if there are several, each is padded to a multiple of four.
fn wire_length(fields: &[KeyType]) -> u32 {
    match fields {
        [field] => length(*field).into(),
        fields => fields.iter().map(|field| u32::from(length(*field).next_multiple_of(4))).sum(),
    }
}

/// The values of concatenated fields in this layout.
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

/// nft's number of a datatype, so that `nft list` shows the set correctly.
fn type_id(key: KeyType) -> u32 {
    match key {
        KeyType::Ipv4 => 7,
        KeyType::Ipv6 => 8,
        KeyType::Protocol => 12,
        KeyType::Port => 13,
        KeyType::Number => 19,
        KeyType::Icmp => 4,
        KeyType::Interface => 41,
    }
}

/// Size of a single field in bytes.
pub(super) fn length(key: KeyType) -> u8 {
    match key {
        KeyType::Ipv4 | KeyType::Number => 4,
        KeyType::Ipv6 | KeyType::Interface => 16,
        KeyType::Protocol | KeyType::Icmp => 1,
        KeyType::Port => 2,
    }
}

/// An element in the kernel's encoding.
pub(super) struct WireElement<'a> {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    is_end: bool,
    data: Option<&'a Data>,
}

pub(super) fn write_element(attributes: &mut Attributes, element: &WireElement<'_>, epoch: Epoch) {
    attributes.nest(wire::element::KEY, |key| key.value(wire::data::VALUE, &element.key));
    if let Some(end) = &element.key_end {
        attributes.nest(wire::element::KEY_END, |key| key.value(wire::data::VALUE, end));
    }
    if element.is_end {
        attributes.number(wire::element::FLAGS, wire::element::FLAG_INTERVAL_END);
    }
    if let Some(data) = element.data {
        attributes.nest(wire::element::DATA, |attributes| match data {
            Data::Verdict(verdict) => write_verdict(attributes, verdict, epoch),
            Data::Values(values) => attributes.value(wire::data::VALUE, &wire_values(values.iter())),
        });
    }
}

/// A verdict as the data of an element or of a rule.
pub(super) fn write_verdict(attributes: &mut Attributes, verdict: &Verdict, epoch: Epoch) {
    let code = match verdict {
        Verdict::Drop => wire::verdict::DROP,
        Verdict::Accept => wire::verdict::ACCEPT,
        Verdict::Jump(_) => wire::verdict::JUMP,
        Verdict::Goto(_) => wire::verdict::GOTO,
        Verdict::Return => wire::verdict::RETURN,
    };
    attributes.nest(wire::data::VERDICT, |attributes| {
        attributes.number(wire::verdict::CODE, code.cast_unsigned());
        if let Some(chain) = verdict.chain() {
            attributes.text(wire::verdict::CHAIN, &epoch.name(chain));
        }
    });
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
        Value::Icmp(number) => bytes.push(*number),
        Value::Number(number) => bytes.extend(number.to_ne_bytes()),
        Value::Interface(name) => {
            debug_assert!(
                name.len() < usize::from(length(KeyType::Interface)),
                "{name} is no interface's name"
            );
            let mut padded = name.as_bytes().to_vec();
            padded.resize(usize::from(length(KeyType::Interface)), 0);
            bytes.extend(padded);
        }
    }
}
