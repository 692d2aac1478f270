//! Single requests to the netfilter subsystems: to find out which ones the kernel has, and to forget connections.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::AsRawFd;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;

/// Makes an nf_tables table in the namespace of the calling thread: a transaction of three messages, the
/// smallest ruleset there is.
pub(crate) fn nf_tables() -> Result<(), Errno> {
    const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
    const TABLE_NAME: u16 = 1;
    let kind = (SUBSYSTEM << 8) | libc::NFT_MSG_NEWTABLE as u16;
    let name = attribute(TABLE_NAME, b"check\0");
    let mut batch = message(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, 0, SUBSYSTEM, &[]);
    batch.extend(message(kind, CREATE | ACK, libc::NFPROTO_INET as u8, 0, &name));
    batch.extend(message(libc::NFNL_MSG_BATCH_END as u16, 0, 0, SUBSYSTEM, &[]));
    ask(&batch)
}

/// Binds an NFLOG group.
pub(crate) fn nflog() -> Result<(), Errno> {
    const CONFIG: u16 = 1;
    const COMMAND: u16 = 1;
    const BIND: u8 = 1;
    let kind = ((libc::NFNL_SUBSYS_ULOG as u16) << 8) | CONFIG;
    ask(&message(kind, ACK, 0, 1, &attribute(COMMAND, &[BIND])))
}

/// Adds a rule with nf_tables' `queue` expression to a chain that no packet meets.
pub(crate) fn nft_queue() -> Result<(), Errno> {
    const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
    const TABLE: u16 = 1;
    const CHAIN: u16 = 2;
    const CHAIN_NAME: u16 = 3;
    const EXPRESSIONS: u16 = 4;
    const ELEMENT: u16 = 1;
    const EXPRESSION_NAME: u16 = 1;
    const EXPRESSION_DATA: u16 = 2;
    const QUEUE_NUMBER: u16 = 1;
    let inet = libc::NFPROTO_INET as u8;
    let (name, chain) = (attribute(TABLE, b"check\0"), attribute(CHAIN_NAME, b"check\0"));
    let number = attribute(QUEUE_NUMBER, &100u16.to_be_bytes());
    let expression = [attribute(EXPRESSION_NAME, b"queue\0"), nested(EXPRESSION_DATA, &number)].concat();
    let expressions = nested(EXPRESSIONS, &nested(ELEMENT, &expression));
    let rule = [name.clone(), attribute(CHAIN, b"check\0"), expressions].concat();
    let chain = [name.clone(), chain].concat();
    let kind = |message: libc::c_int| (SUBSYSTEM << 8) | message as u16;
    let mut batch = message(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, 0, SUBSYSTEM, &[]);
    batch.extend(message(kind(libc::NFT_MSG_NEWTABLE), CREATE, inet, 0, &name));
    batch.extend(message(kind(libc::NFT_MSG_NEWCHAIN), CREATE, inet, 0, &chain));
    batch.extend(message(kind(libc::NFT_MSG_NEWRULE), CREATE | ACK, inet, 0, &rule));
    batch.extend(message(libc::NFNL_MSG_BATCH_END as u16, 0, 0, SUBSYSTEM, &[]));
    ask(&batch)
}

/// Binds a queue of packets that are handed to a program.
pub(crate) fn nfnetlink_queue() -> Result<(), Errno> {
    const CONFIG: u16 = 2;
    const COMMAND: u16 = 1;
    // The command and its padding, and a family that no longer counts.
    const BIND: [u8; 4] = [1, 0, 0, 0];
    let kind = ((libc::NFNL_SUBSYS_QUEUE as u16) << 8) | CONFIG;
    ask(&message(kind, ACK, 0, 1, &attribute(COMMAND, &BIND)))
}

/// What of iptables rules in nf_tables may be made of.
#[derive(Clone, Copy)]
pub(crate) enum XTable {
    Match(&'static [u8]),
    Target(&'static [u8]),
}

/// Asks whether rules in nf_tables may have a match or a target of iptables, by its name with a NUL after it.
pub(crate) fn xtables(what: XTable) -> Result<(), Errno> {
    const NAME: u16 = 1;
    const REVISION: u16 = 2;
    const KIND: u16 = 3;
    let (name, is_target) = match what {
        XTable::Match(name) => (name, 0u32),
        XTable::Target(name) => (name, 1),
    };
    let revision = attribute(REVISION, &0u32.to_be_bytes());
    let attributes = [attribute(NAME, name), revision, attribute(KIND, &is_target.to_be_bytes())].concat();
    let kind = (libc::NFNL_SUBSYS_NFT_COMPAT as u16) << 8;
    ask(&message(kind, 0, libc::NFPROTO_IPV4 as u8, 0, &attributes))
}

/// Asks ipset for the version of its protocol.
pub(crate) fn ipset() -> Result<(), Errno> {
    const GET_PROTOCOL: u16 = 1;
    const VERSION: u16 = 1;
    let kind = ((libc::NFNL_SUBSYS_IPSET as u16) << 8) | GET_PROTOCOL;
    ask(&message(kind, ACK, 0, 0, &attribute(VERSION, &[6])))
}

/// Asks connection tracking for the number of its entries.
pub(crate) fn conntrack() -> Result<(), Errno> {
    const GET_STATS: u16 = 5;
    let kind = ((libc::NFNL_SUBSYS_CTNETLINK as u16) << 8) | GET_STATS;
    ask(&message(kind, ACK, 0, 0, &[]))
}

/// Deletes every entry of connection tracking in the namespace of the calling thread, of each family: the request
/// names none.
pub(crate) fn forget_connections() -> Result<(), Errno> {
    const DELETE: u16 = 2;
    let kind = ((libc::NFNL_SUBSYS_CTNETLINK as u16) << 8) | DELETE;
    ask(&message(kind, ACK, libc::AF_UNSPEC as u8, 0, &[]))
}

/// A message of nfnetlink: its resource id is in network byte order.
fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((20 + attributes.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute that holds others.
fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | libc::NLA_F_NESTED as u16, attributes)
}

/// Sends messages and reads the first answer: an error, or anything else for success. The answer is there
/// when the send returns.
fn ask(messages: &[u8]) -> Result<(), Errno> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    sendto(socket.as_raw_fd(), messages, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 8192];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let answer = &answer[..length];
    let kind = answer.get(4..).and_then(|kind| kind.first_chunk()).ok_or(Errno::EPROTO)?;
    if u16::from_ne_bytes(*kind) != libc::NLMSG_ERROR as u16 {
        return Ok(());
    }
    let code = answer.get(16..).and_then(|code| code.first_chunk()).ok_or(Errno::EPROTO)?;
    match i32::from_ne_bytes(*code) {
        0 => Ok(()),
        code => Err(Errno::from_raw(code.wrapping_neg())),
    }
}
