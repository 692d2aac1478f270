//! The one door to the kernel's nf_tables: a netlink connection of the crate `nlink` inside a node's
//! namespace.
//!
//! nlink is asynchronous; here each connection has a runtime of its own on the calling thread, and
//! what leaves this module waits.

use super::encode::Message;
use super::ruleset::{TableFamily, TableId};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nlink::netlink::nftables as nf;
use nlink::netlink::{Connection, Nftables};
use std::io;
use std::os::fd::BorrowedFd;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

/// The send buffer that is asked for where nothing else is said, in bytes. The kernel gives what
/// `net.core.wmem_max` allows, doubled.
pub const DEFAULT_SEND_BUFFER: usize = 8 << 20;

/// What the kernel keeps back of the send buffer for itself, and a margin.
const RESERVE: usize = 4096;

/// The most that is sent at once even where the buffer is larger: the kernel copies it into one
/// contiguous block.
const LARGEST_SEND: usize = 4 << 20;

/// Why the kernel did not take a ruleset.
#[derive(Debug, Error)]
pub enum KernelError {
    /// No connection to nf_tables in the namespace.
    #[error("failed to open nf_tables in the node's network namespace (it needs CAP_NET_ADMIN there)")]
    Open(#[source] Box<nlink::Error>),
    /// No runtime, no buffer.
    #[error("failed to prepare the netlink socket")]
    Socket(#[source] io::Error),
    /// The tables of the namespace could not be listed.
    #[error("failed to list the nf_tables tables of the node")]
    List(#[source] Box<nlink::Error>),
    /// A transaction was refused; nothing of it is in force.
    #[error("the kernel refused the ruleset ({messages} messages, {bytes} bytes): {source}")]
    Refused {
        /// How many messages the transaction had.
        messages: usize,
        /// Their size.
        bytes: usize,
        /// What the kernel said.
        #[source]
        source: Box<nlink::Error>,
    },
}

impl KernelError {
    /// Whether something that was to be deleted is still referred to.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, KernelError::Refused { source, .. } if source.is_busy())
    }
}

/// A connection to nf_tables in one namespace.
pub(super) struct Kernel {
    runtime: Runtime,
    connection: Connection<Nftables>,
    limit: usize,
}

impl Kernel {
    /// Connects inside the namespace, asking for a send buffer of so many bytes.
    pub(super) fn open(netns: BorrowedFd<'_>, send_buffer: usize) -> Result<Kernel, KernelError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(KernelError::Socket)?;
        let connection = {
            let _context = runtime.enter();
            Connection::<Nftables>::new_in(netns).map_err(|error| KernelError::Open(Box::new(error)))?
        };
        let buffer = || -> nix::Result<usize> {
            let socket = connection.socket();
            // Never `SO_SNDBUFFORCE`: with or without privilege the limit is the same, and so is what
            // is tested.
            setsockopt(socket, sockopt::SndBuf, &send_buffer)?;
            getsockopt(socket, sockopt::SndBuf)
        };
        let buffer = buffer().map_err(|error| KernelError::Socket(error.into()))?;
        let limit = buffer.saturating_sub(RESERVE).min(LARGEST_SEND);
        Ok(Kernel { runtime, connection, limit })
    }

    /// The most bytes of messages that one transaction may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the table is there.
    pub(super) fn has_table(&self, table: TableId) -> Result<bool, KernelError> {
        let family = match table.family {
            TableFamily::Inet => nf::Family::Inet,
            TableFamily::Ip => nf::Family::Ip,
            TableFamily::Ip6 => nf::Family::Ip6,
            TableFamily::Bridge => nf::Family::Bridge,
        };
        let tables = self
            .runtime
            .block_on(self.connection.list_tables_in(family))
            .map_err(|error| KernelError::List(Box::new(error)))?;
        Ok(tables.iter().any(|found| found.name == table.name))
    }

    /// Applies the messages as one transaction: all or nothing, at once for every packet.
    pub(super) fn commit(&self, messages: Vec<Message>) -> Result<(), KernelError> {
        let count = messages.len();
        let bytes = messages.iter().map(Message::size).sum();
        let mut transaction = self.connection.transaction();
        for message in messages {
            let raw = nf::RawMessage::new(message.kind, message.family);
            transaction = transaction.raw(raw.flags(message.flags).attrs(message.attributes));
        }
        self.runtime.block_on(transaction.commit(&self.connection)).map_err(|source| KernelError::Refused {
            messages: count,
            bytes,
            source: Box::new(source),
        })
    }
}
