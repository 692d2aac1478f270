//! Operations on a ruleset as netlink messages, with their exact size.
//!
//! The messages are built before any is sent, because a transaction must fit into one send.

use super::expressions::write_expressions;
use super::ruleset::{Base, Chain, ChainType, Data, Element, Rule, Set, TableFamily, TableId};
use super::sets::{wire_elements, write_element, write_set};
use super::wire;
use crate::{Attributes, HEADERS};
use netproof_model::Hook;
use nix::libc;

/// The most bytes that the elements of one message may take: an attribute's length has 16 bits.
const ELEMENTS_LIMIT: usize = 32 * 1024;
/// The longest comment that the kernel keeps.
const COMMENT_LIMIT: u8 = 127;
/// The type of a comment in a rule's user data (libnftnl's `NFTNL_UDATA_RULE_COMMENT`).
const COMMENT: u8 = 0;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const CREATE_NEW: u16 = CREATE | libc::NLM_F_EXCL as u16;
const APPEND: u16 = CREATE | libc::NLM_F_APPEND as u16;

/// One message of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Message {
    action: libc::c_int,
    family: TableFamily,
    flags: u16,
    attributes: Attributes,
}

impl Message {
    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        HEADERS + self.attributes.as_bytes().len()
    }

    /// The bytes to send.
    pub(super) fn raw(&self) -> crate::Message<'_> {
        let family = self.family.number();
        let message = crate::Message::new(libc::NFNL_SUBSYS_NFTABLES, self.action, family, &self.attributes);
        crate::Message { flags: self.flags, ..message }
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

/// The kernel's names of everything but base chains: a suffix distinguishes the epochs of side-by-side
/// loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) u32);

impl Epoch {
    /// The kernel's name of a set, or of a chain without a hook.
    pub(super) fn name(self, logical: &str) -> String {
        match self.0 {
            0 => logical.to_owned(),
            // No object's name has an underscore, so `web` of epoch 1 is not `web.e1` of epoch 0.
            epoch => format!("{logical}_e{epoch}"),
        }
    }

    /// A remembering set outlives the epochs, and keeps its name.
    fn set(self, logical: &str, set: &Set) -> String {
        if set.remembers.is_some() { logical.to_owned() } else { self.name(logical) }
    }

    fn chain(self, logical: &str, chain: &Chain) -> String {
        if chain.base.is_some() { logical.to_owned() } else { self.name(logical) }
    }
}

/// The messages of one operation: one, or several if there are many elements.
pub(super) fn encode(operation: &Operation<'_>, epoch: Epoch, messages: &mut Vec<Message>) {
    use Operation as Op;
    match operation {
        Op::AddTable(table) => {
            messages.push(message(libc::NFT_MSG_NEWTABLE, table, CREATE_NEW, |attributes| {
                attributes.text(wire::table::NAME, table.name);
            }))
        }
        Op::DeleteTable(table) => messages.push(message(libc::NFT_MSG_DELTABLE, table, 0, |attributes| {
            attributes.text(wire::table::NAME, table.name);
        })),
        Op::AddChain(table, name, chain) => {
            messages.push(message(libc::NFT_MSG_NEWCHAIN, table, CREATE_NEW, |attributes| {
                attributes.text(wire::chain::TABLE, table.name);
                attributes.text(wire::chain::NAME, &epoch.chain(name, chain));
                if let Some(base) = &chain.base {
                    write_base(attributes, base);
                }
            }));
        }
        Op::FlushChain(table, name, chain) => {
            messages.push(message(libc::NFT_MSG_DELRULE, table, 0, |attributes| {
                attributes.text(wire::rule::TABLE, table.name);
                attributes.text(wire::rule::CHAIN, &epoch.chain(name, chain));
            }));
        }
        Op::DeleteChain(table, name, chain) => {
            messages.push(message(libc::NFT_MSG_DELCHAIN, table, 0, |attributes| {
                attributes.text(wire::chain::TABLE, table.name);
                attributes.text(wire::chain::NAME, &epoch.chain(name, chain));
            }));
        }
        Op::AddRule(table, name, chain, rule) => {
            messages.push(message(libc::NFT_MSG_NEWRULE, table, APPEND, |attributes| {
                attributes.text(wire::rule::TABLE, table.name);
                attributes.text(wire::rule::CHAIN, &epoch.chain(name, chain));
                attributes.nest(wire::rule::EXPRESSIONS, |list| {
                    write_expressions(list, rule, table.family, epoch);
                });
                if !rule.comment.is_empty() {
                    attributes.value(wire::rule::USERDATA, &comment(&rule.comment));
                }
            }));
        }
        Op::AddSet(table, name, set) => {
            messages.push(message(libc::NFT_MSG_NEWSET, table, CREATE_NEW, |attributes| {
                attributes.text(wire::set::TABLE, table.name);
                attributes.text(wire::set::NAME, &epoch.set(name, set));
                write_set(attributes, set);
            }));
        }
        Op::DeleteSet(table, name, set) => {
            messages.push(message(libc::NFT_MSG_DELSET, table, 0, |attributes| {
                attributes.text(wire::set::TABLE, table.name);
                attributes.text(wire::set::NAME, &epoch.set(name, set));
            }));
        }
        Op::AddElements(table, name, set, elements) => {
            let elements = elements.iter().copied();
            encode_elements(libc::NFT_MSG_NEWSETELEM, CREATE, table, &epoch, name, set, elements, messages);
        }
        Op::DeleteElements(table, name, set, elements) => {
            let elements = elements.iter().map(|element| (*element, None));
            encode_elements(libc::NFT_MSG_DELSETELEM, 0, table, &epoch, name, set, elements, messages);
        }
    }
}

fn message(action: libc::c_int, table: &TableId, flags: u16, write: impl FnOnce(&mut Attributes)) -> Message {
    let mut attributes = Attributes::default();
    write(&mut attributes);
    Message { action, family: table.family, flags, attributes }
}

/// libnftnl's layout of a comment: type, length, the text and a zero byte.
fn comment(text: &str) -> Vec<u8> {
    let mut end = u8::try_from(text.len()).map_or(COMMENT_LIMIT, |length| length.min(COMMENT_LIMIT));
    while !text.is_char_boundary(usize::from(end)) {
        end -= 1;
    }
    let mut comment = vec![COMMENT, end + 1];
    comment.extend(text.bytes().take(usize::from(end)));
    comment.push(0);
    comment
}

/// The text of a comment in this layout.
pub(super) fn comment_in(mut userdata: &[u8]) -> Option<&str> {
    loop {
        let (kind, length, rest) = match userdata {
            [kind, length, rest @ ..] => (*kind, usize::from(*length), rest),
            _ => return None,
        };
        let value = rest.get(..length)?;
        if kind == COMMENT {
            return str::from_utf8(value.strip_suffix(&[0])?).ok();
        }
        userdata = rest.get(length..)?;
    }
}

fn write_base(attributes: &mut Attributes, base: &Base) {
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
    attributes.text(wire::chain::TYPE, chain_type);
    attributes.nest(wire::chain::HOOK, |attributes| {
        attributes.number(wire::hook::NUMBER, hook);
        attributes.number(wire::hook::PRIORITY, base.priority.cast_unsigned());
    });
    attributes.number(wire::chain::POLICY, libc::NF_ACCEPT.cast_unsigned());
}

#[expect(clippy::too_many_arguments, reason = "one call for adding, one for deleting")]
fn encode_elements<'a>(
    action: libc::c_int,
    flags: u16,
    table: &TableId,
    epoch: &Epoch,
    name: &str,
    set: &Set,
    elements: impl Iterator<Item = (&'a Element, Option<&'a Data>)>,
    messages: &mut Vec<Message>,
) {
    let wire: Vec<_> = elements.flat_map(|(element, data)| wire_elements(set, element, data)).collect();
    let mut rest = wire.iter().peekable();
    while rest.peek().is_some() {
        messages.push(message(action, table, flags, |attributes| {
            attributes.text(wire::elements::TABLE, table.name);
            attributes.text(wire::elements::SET, &epoch.name(name));
            attributes.nest(wire::elements::ELEMENTS, |list| {
                while list.as_bytes().len() < ELEMENTS_LIMIT
                    && let Some(element) = rest.next()
                {
                    list.nest(wire::LIST_ITEM, |attributes| write_element(attributes, element, *epoch));
                }
            });
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back() {
        let long = "x".repeat(200);
        for (text, expected) in [
            ("13 networkpolicy/a/b#ingress[0]", Some("13 networkpolicy/a/b#ingress[0]")),
            (&long, long.get(..127)),
        ] {
            assert_eq!(comment_in(&comment(text)), expected);
        }
        let after_another = [&[1, 2, 7, 7], comment("a").as_slice()].concat();
        assert_eq!(comment_in(&after_another), Some("a"));
        for broken in [&[][..], &[0], &[0, 3, b'a'], &[0, 1, b'a'], &[1, 1, 0]] {
            assert_eq!(comment_in(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_name_of_an_epoch_is_no_other_objects() {
        // Object names have letters, digits, `-` and `.` only, and ours add `/`.
        let first = Epoch(0).name("ingress-policy/default/web.e1");
        let second = Epoch(1).name("ingress-policy/default/web");
        assert_ne!(first, second);
        assert!(second.contains('_'), "{second}");
    }
}
