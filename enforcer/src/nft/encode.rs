//! Operations on a ruleset as netlink messages, with their exact size.
//!
//! The messages are built before they are handed over because a transaction must fit into one send.

use super::expressions::expressions;
use super::ruleset::{Base, Chain, ChainType, Data, Element, Rule, Set, TableFamily, TableId};
use super::sets::{wire_elements, write_element, write_set};
use netproof_model::Hook;
use nlink::netlink::MessageBuilder;
use nlink::netlink::nftables as nf;

/// Bytes before the attributes: the netlink header and the nfgenmsg.
const HEADERS: usize = 20;
/// The most that the elements of one message take: an attribute's length has 16 bits.
const ELEMENTS_LIMIT: usize = 32 * 1024;
/// The longest comment that the kernel keeps.
const COMMENT_LIMIT: usize = 127;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_APPEND: u16 = 0x800;
pub(super) const NLA_F_NESTED: u16 = 0x8000;

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
    DeleteSet(TableId, &'a str, &'a Set),
    AddElements(TableId, &'a str, &'a Set, Vec<(&'a Element, Option<&'a Data>)>),
    DeleteElements(TableId, &'a str, &'a Set, Vec<&'a Element>),
}

/// How the kernel names what is not a base chain: the epochs of side-by-side loads differ by a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);

impl Epoch {
    /// What the kernel calls a set, or a chain that has no hook.
    pub(super) fn name(self, logical: &str) -> String {
        match self.0 {
            0 => logical.to_owned(),
            // No object's name has an underscore, so `web` of epoch 1 is not `web.e1` of epoch 0.
            epoch => format!("{logical}_e{epoch}"),
        }
    }

    /// What is remembered stays through the epochs, and so does its name.
    fn set(self, logical: &str, set: &Set) -> String {
        if set.remembers.is_some() { logical.to_owned() } else { self.name(logical) }
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
                b.append_attr_str(nf::NFTA_SET_NAME, &epoch.set(name, set));
                write_set(b, set, id);
            }));
        }
        Op::DeleteSet(table, name, set) => messages.push(message(nf::NFT_MSG_DELSET, table, 0, |b| {
            b.append_attr_str(nf::NFTA_SET_TABLE, table.name);
            b.append_attr_str(nf::NFTA_SET_NAME, &epoch.set(name, set));
        })),
        Op::AddElements(table, name, set, elements) => {
            let elements = elements.iter().copied();
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

#[expect(clippy::too_many_arguments, reason = "one call for adding, one for deleting")]
fn encode_elements<'a>(
    kind: u8,
    flags: u16,
    table: &TableId,
    epoch: &Epoch,
    name: &str,
    set: &Set,
    elements: impl Iterator<Item = (&'a Element, Option<&'a Data>)>,
    messages: &mut Vec<Message>,
) {
    let wire: Vec<_> = elements.flat_map(|(element, data)| wire_elements(set, element, data)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_an_epoch_is_no_other_objects() {
        // Object names have letters, digits, `-` and `.` only, and ours add `/`.
        let first = Epoch(0).name("ingress-policy/default/web.e1");
        let second = Epoch(1).name("ingress-policy/default/web");
        assert_ne!(first, second);
        assert!(second.contains('_'), "{second}");
    }
}
