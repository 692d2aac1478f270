//! The only access to the kernel's nf_tables, inside a node's namespace.

use super::encode::{Message, comment_in};
use super::ruleset::TableId;
use super::wire;
use crate::{Attributes, Refusal, Socket, attribute};
use nix::errno::Errno;
use nix::libc;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use thiserror::Error;

/// The default send buffer to ask for, in bytes. The kernel gives what `net.core.wmem_max` allows, doubled.
pub const DEFAULT_SEND_BUFFER: usize = 8 << 20;

/// The part of the send buffer that the kernel keeps for itself, and a margin.
const RESERVE: usize = 4096;

/// The most bytes to send at once, even if the buffer is larger: the kernel copies them into one contiguous
/// block.
const LARGEST_SEND: usize = 4 << 20;

/// Why a ruleset could not be loaded or read.
#[derive(Debug, Error)]
pub enum KernelError {
    /// No connection to nf_tables in the namespace.
    #[error("failed to open nf_tables in the node's network namespace (it needs CAP_NET_ADMIN there): {0}")]
    Open(#[source] io::Error),
    /// The tables of the namespace could not be listed.
    #[error("failed to list the nf_tables tables of the node: {0}")]
    List(#[source] Refusal),
    /// The rules of a chain could not be listed.
    #[error("failed to list the rules of chain {chain} in table {table}: {source}")]
    Rules {
        /// The table.
        table: String,
        /// The chain, by the kernel's name.
        chain: String,
        /// What the kernel said.
        #[source]
        source: Refusal,
    },
    /// A transaction was refused; nothing of it is in force.
    #[error("the kernel refused the ruleset ({messages} messages, {bytes} bytes): {source}")]
    Refused {
        /// How many messages the transaction had.
        messages: usize,
        /// Their size.
        bytes: usize,
        /// What the kernel said.
        #[source]
        source: Refusal,
    },
}

impl KernelError {
    /// Whether the error means that something to delete is still referred to.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, KernelError::Refused { source, .. } if source.errno == Errno::EBUSY)
    }
}

/// A connection to nf_tables in one namespace.
pub(super) struct Kernel {
    socket: Socket,
    limit: usize,
}

impl Kernel {
    /// Connects inside the namespace, asking for a send buffer of this many bytes.
    pub(super) fn open(netns: BorrowedFd<'_>, send_buffer: usize) -> Result<Kernel, KernelError> {
        let socket = Socket::open(netns).map_err(KernelError::Open)?;
        let buffer = socket.set_send_buffer(send_buffer).map_err(KernelError::Open)?;
        let limit = buffer.saturating_sub(RESERVE).min(LARGEST_SEND);
        Ok(Kernel { socket, limit })
    }

    /// The most bytes of messages in one transaction.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the table exists.
    pub(super) fn has_table(&mut self, table: TableId) -> Result<bool, KernelError> {
        let mut found = false;
        let request = crate::Message::new(
            libc::NFNL_SUBSYS_NFTABLES,
            libc::NFT_MSG_GETTABLE,
            table.family.number(),
            Attributes::NONE,
        );
        let listed = self.socket.dump(request, |attributes| {
            let name = attribute(attributes, wire::table::NAME).and_then(|name| name.strip_suffix(&[0]));
            found |= name == Some(table.name.as_bytes());
        });
        listed.map_err(KernelError::List)?;
        Ok(found)
    }

    /// Applies the messages as one transaction: all or nothing, at once for every packet.
    pub(super) fn commit(&mut self, messages: &[Message]) -> Result<(), KernelError> {
        let raw = messages.iter().map(Message::raw);
        self.socket.commit(libc::NFNL_SUBSYS_NFTABLES, raw).map_err(|source| KernelError::Refused {
            messages: messages.len(),
            bytes: messages.iter().map(Message::size).sum(),
            source,
        })
    }
}

/// The comments of a chain's rules in the namespace, by the kernel's number of the rule. `family`: the
/// table's, `NFPROTO_...`; the chain by the kernel's name. Rules without a comment are left out.
pub fn comments(
    netns: BorrowedFd<'_>,
    family: u8,
    table: &str,
    chain: &str,
) -> Result<BTreeMap<u64, String>, KernelError> {
    let mut socket = Socket::open(netns).map_err(KernelError::Open)?;
    let mut wanted = Attributes::default();
    wanted.text(wire::rule::TABLE, table);
    wanted.text(wire::rule::CHAIN, chain);
    let request =
        crate::Message::new(libc::NFNL_SUBSYS_NFTABLES, libc::NFT_MSG_GETRULE, family.into(), &wanted);
    let mut comments = BTreeMap::new();
    let listed = socket.dump(request, |attributes| {
        let handle = attribute(attributes, wire::rule::HANDLE).and_then(|it| it.first_chunk());
        let comment = attribute(attributes, wire::rule::USERDATA).and_then(comment_in);
        if let (Some(handle), Some(comment)) = (handle, comment) {
            comments.insert(u64::from_be_bytes(*handle), comment.to_owned());
        }
    });
    match listed {
        Ok(()) => Ok(comments),
        Err(source) => Err(KernelError::Rules { table: table.into(), chain: chain.into(), source }),
    }
}
