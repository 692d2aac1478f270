//! Namespaces for the kernel tests, and what the kernel says that it holds.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

pub mod node;

use netlink_packet_core::NlasIterator;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use netproof_cluster::Netns;
use nix::libc;
use std::error::Error;
use std::io;

/// Kinds of attributes: names of tables, chains and sets, and what rules and elements have
/// (`linux/netfilter/nf_tables.h`).
const TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_COMMENT: u16 = 7;
const SET_NAME: u16 = 2;
const SET_KEY_TYPE: u16 = 4;
const SET_FLAGS: u16 = 3;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_KEY_END: u16 = 10;

/// Everything in the namespace's nf_tables, in an order of its own and without the suffix of an epoch.
pub fn dump(netns: &Netns) -> Result<String, Box<dyn Error>> {
    let (mut lines, mut rules, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    for (table, _) in list(netns, libc::NFT_MSG_GETTABLE, &[])? {
        lines.push(format!("table {table}"));
    }
    for (table, chain) in list(netns, libc::NFT_MSG_GETCHAIN, &[])? {
        let (name, hook, kind) =
            (text(&chain, CHAIN_NAME), shown(&chain, CHAIN_HOOK), text(&chain, CHAIN_TYPE));
        lines.push(format!("chain {table} {name} {kind} {hook}"));
    }
    // The order of rules within a chain counts, and that of chains, sets and elements does not.
    for (position, (table, rule)) in list(netns, libc::NFT_MSG_GETRULE, &[])?.iter().enumerate() {
        let (chain, expressions) = (text(rule, RULE_CHAIN), shown(rule, RULE_EXPRESSIONS));
        let comment = shown(rule, RULE_COMMENT);
        rules.push(format!("rule {table} {chain} {position:06} {expressions} {comment}"));
    }
    for (table, set) in list(netns, libc::NFT_MSG_GETSET, &[])? {
        let (name, key, flags) = (text(&set, SET_NAME), shown(&set, SET_KEY_TYPE), shown(&set, SET_FLAGS));
        lines.push(format!("set {table} {name} {key} {flags}"));
        sets.push((table, name));
    }
    for (table, name) in sets {
        for (_, found) in
            list(netns, libc::NFT_MSG_GETSETELEM, &[(TABLE, &table.name), (ELEMENTS_SET, &name)])?
        {
            for element in NlasIterator::new(&value(&found, ELEMENTS)[..]).map(Result::unwrap) {
                let parts = [ELEMENT_KEY, ELEMENT_KEY_END, ELEMENT_DATA, ELEMENT_FLAGS];
                let parts = parts.map(|part| shown(element.value(), part));
                lines.push(format!("element {table} {name} {}", parts.join(" ")));
            }
        }
    }
    let plain = |lines: &[String]| lines.iter().map(|line| without_epoch(line)).collect::<Vec<_>>();
    let mut lines = plain(&lines);
    lines.sort();
    // Positions count through a table, whose chains come in any order.
    rules.sort();
    let rules = plain(&rules).into_iter().map(|rule| {
        let words: Vec<&str> = rule.splitn(5, ' ').collect();
        [&words[..3], &words[4..]].concat().join(" ")
    });
    let mut rules: Vec<String> = rules.collect();
    rules.sort_by_key(|rule| rule.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>());
    lines.extend(rules);
    Ok(lines.join("\n"))
}

/// How many rules of policies the namespace has.
pub fn policy_rules(netns: &Netns) -> Result<usize, Box<dyn Error>> {
    let rules = list(netns, libc::NFT_MSG_GETRULE, &[])?;
    let of_a_policy = |rule: &Vec<u8>| {
        let comment = value(rule, RULE_COMMENT);
        text(rule, RULE_CHAIN).starts_with("ingress-networkpolicy/")
            && String::from_utf8_lossy(&comment).contains("networkpolicy/")
    };
    Ok(rules.iter().filter(|(table, rule)| table.name == "netproof-policy" && of_a_policy(rule)).count())
}

/// A table: its family and name.
struct TableName {
    family: u8,
    name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.family, self.name)
    }
}

/// What the kernel lists: the table of each thing, and its attributes. Of the tables of every family.
fn list(netns: &Netns, what: libc::c_int, of: &[(u16, &str)]) -> io::Result<Vec<(TableName, Vec<u8>)>> {
    let socket = netns.enter(|| Socket::new(NETLINK_NETFILTER))??;
    let families = [libc::NFPROTO_INET, libc::NFPROTO_IPV4, libc::NFPROTO_IPV6, libc::NFPROTO_BRIDGE];
    let mut all = Vec::new();
    for family in families {
        let mut attributes = Vec::new();
        for (kind, name) in of {
            attributes.extend((name.len() as u16 + 5).to_ne_bytes());
            attributes.extend(kind.to_ne_bytes());
            attributes.extend(name.as_bytes());
            attributes.resize((attributes.len() + 1).next_multiple_of(4), 0);
        }
        let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | what) as u16;
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let mut request = (20 + attributes.len() as u32).to_ne_bytes().to_vec();
        request.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        request.extend([0, 0, 0, 0, 0, 0, 0, 0, family as u8, 0, 0, 0]);
        request.extend(attributes);
        socket.send_to(&request, &SocketAddr::new(0, 0), 0)?;
        let mut ended = false;
        while !ended {
            let (datagram, _) = socket.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let length = u32::from_ne_bytes(*rest.first_chunk().unwrap()) as usize;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                // A table that another family has, and so not these sets.
                ended |= [libc::NLMSG_DONE, libc::NLMSG_ERROR].contains(&i32::from(kind));
                if !ended {
                    let attributes = rest[20..length].to_vec();
                    all.push((TableName { family: rest[16], name: text(&attributes, TABLE) }, attributes));
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
    Ok(all)
}

/// The value of an attribute; nothing if it is not there.
fn value(attributes: &[u8], kind: u16) -> Vec<u8> {
    let mut all = NlasIterator::new(attributes).map(Result::unwrap);
    all.find(|attribute| attribute.kind() == kind)
        .map(|attribute| attribute.value().to_vec())
        .unwrap_or_default()
}

fn text(attributes: &[u8], kind: u16) -> String {
    String::from_utf8_lossy(&value(attributes, kind)).trim_end_matches('\0').to_owned()
}

/// The value of an attribute, for comparison: without the lengths of what is nested, as they tell how long names
/// are. nf_tables does not mark what is nested, so whatever reads as attributes is taken for some.
fn shown(attributes: &[u8], kind: u16) -> String {
    tree(&value(attributes, kind))
}

fn tree(value: &[u8]) -> String {
    let inner: Result<Vec<_>, _> = NlasIterator::new(value).collect();
    match inner {
        Ok(inner) if inner.first().is_some_and(|first| first.kind() > 0) => {
            let inner = inner.iter().map(|inner| format!("{}:{}", inner.kind(), tree(inner.value())));
            format!("[{}]", inner.collect::<Vec<_>>().join(","))
        }
        _ => value.escape_ascii().to_string().replace(' ', "\\x20"),
    }
}

/// `name_e12` is `name`.
fn without_epoch(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find("_e") {
        let (before, after) = rest.split_at(at);
        let digits = after[2..].chars().take_while(char::is_ascii_digit).count();
        out.push_str(before);
        if digits == 0 {
            out.push_str("_e");
        }
        rest = &after[2 + digits..];
    }
    out + rest
}
