//! A blocking netlink socket to netfilter (nf_tables, conntrack) inside one network namespace.
//!
//! The kernel answers before the sending call returns, so nothing here waits: an answer that is missing then
//! never comes. The callers define the content of the messages.

use super::attributes::{Attributes, attribute};
use netlink_sys::{SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use std::io;
use std::os::fd::BorrowedFd;

/// `struct nlmsghdr`: length, type, flags, sequence number, port (`linux/netlink.h`).
const HEADER: usize = 16;
/// The header and `struct nfgenmsg`: family, version, resource (`linux/netfilter/nfnetlink.h`). Attributes follow.
pub const HEADERS: usize = HEADER + 4;
/// The longest datagram of an answer (`nlmsg` buffers of a dump have 32 KiB).
const LONGEST_ANSWER: usize = 64 * 1024;
/// Offset of the flags in a message.
const FLAGS: usize = 6;
/// Offset of the sequence number in a message.
const SEQUENCE: usize = 8;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;
/// `NLM_F_CAPPED`: an error's answer does not repeat the request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: attributes follow in an error's answer.
const ACK_ATTRIBUTES: u16 = 0x200;

/// `NLMSGERR_ATTR_MSG`: the kernel's text about an error.
const REASON: u16 = 1;

/// The kernel's answer to a message that it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// The kernel's text about it, if there is one.
    pub reason: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.errno.desc())?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl std::error::Error for Refusal {}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal { errno, reason: None }
    }
}

/// A connection to the netfilter subsystems of one namespace.
pub struct Socket {
    socket: netlink_sys::Socket,
    /// The sequence number of the last message.
    sequence: u32,
}

impl Socket {
    /// Connects inside the namespace.
    pub fn open(netns: BorrowedFd<'_>) -> io::Result<Socket> {
        // A socket belongs to the namespace of the thread that makes it. A separate thread can end there;
        // this one would have to move back.
        let opened = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
                connect()
            })?;
            thread.join().map_err(|_| io::Error::other("the thread that opens the socket panicked"))
        })?;
        Ok(Socket { socket: opened?, sequence: 0 })
    }

    /// Asks for a send buffer of this many bytes, and returns the size that the kernel gave: at most twice
    /// `net.core.wmem_max`. It never uses `SO_SNDBUFFORCE`, so that the limit is the same with and without
    /// privilege, and tests cover both.
    pub fn set_send_buffer(&self, bytes: usize) -> io::Result<usize> {
        setsockopt(&self.socket, sockopt::SndBuf, &bytes)?;
        Ok(getsockopt(&self.socket, sockopt::SndBuf)?)
    }

    /// Sends messages as one batch of the subsystem, which takes effect as a whole or not at all.
    pub fn commit<'a>(
        &mut self,
        subsystem: libc::c_int,
        messages: impl Iterator<Item = Message<'a>>,
    ) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        self.push(&mut buffer, Message::batch(libc::NFNL_MSG_BATCH_BEGIN, subsystem))?;
        let mut last = 0;
        for message in messages {
            last = buffer.len();
            self.push(&mut buffer, message)?;
        }
        if last == 0 {
            return Ok(());
        }
        // The kernel always reports errors, and success on request. (It acknowledges the end of a batch only
        // since Linux 6.10.)
        add_flags(&mut buffer, last, ACK);
        let acknowledged = self.sequence;
        self.push(&mut buffer, Message::batch(libc::NFNL_MSG_BATCH_END, subsystem))?;
        self.send(&buffer)?;
        self.acknowledgement(acknowledged)
    }

    /// Sends one message and waits for its acknowledgement.
    pub fn request(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        self.push(&mut buffer, Message { flags: message.flags | ACK, ..message })?;
        self.send(&buffer)?;
        self.acknowledgement(self.sequence)
    }

    /// Requests a list, and calls back with the attributes of each entry.
    pub fn dump(&mut self, message: Message<'_>, mut each: impl FnMut(&[u8])) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        self.push(&mut buffer, Message { flags: message.flags | DUMP, ..message })?;
        self.send(&buffer)?;
        // The kernel fills one datagram when the request is sent, and the next whenever one has been read.
        loop {
            let mut end = None;
            self.receive(|reply| match (reply.kind, reply.payload.get(HEADERS - HEADER..)) {
                (DONE, _) => end = Some(Ok(())),
                (ERROR, _) => end = Some(reply.refusal().map_or(Ok(()), Err)),
                (_, Some(attributes)) => each(attributes),
                (_, None) => end = Some(Err(Errno::EPROTO.into())),
            })?;
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn push(&mut self, buffer: &mut Vec<u8>, message: Message<'_>) -> Result<(), Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let attributes = message.attributes.as_bytes();
        let length = u32::try_from(HEADERS + attributes.len()).map_err(|_| Errno::EMSGSIZE)?;
        if message.attributes.are_too_long() {
            let reason = "an attribute is longer than 64 KiB, which is a bug of netproof's".to_owned();
            return Err(Refusal { errno: Errno::EMSGSIZE, reason: Some(reason) });
        }
        buffer.extend(length.to_ne_bytes());
        buffer.extend(message.kind.to_ne_bytes());
        buffer.extend((message.flags | REQUEST).to_ne_bytes());
        buffer.extend(self.sequence.to_ne_bytes());
        buffer.extend(0u32.to_ne_bytes());
        buffer.extend([message.family, 0]);
        buffer.extend(message.resource.to_be_bytes());
        buffer.extend(attributes);
        buffer.resize(buffer.len().next_multiple_of(4), 0);
        Ok(())
    }

    fn send(&self, buffer: &[u8]) -> Result<(), Refusal> {
        loop {
            match self.socket.send_to(buffer, &SocketAddr::new(0, 0), 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Ok(other.map(drop).map_err(errno)?),
            }
        }
    }

    /// Reads all answers and returns the first error; without an error, the acknowledgement must be there.
    fn acknowledgement(&self, sequence: u32) -> Result<(), Refusal> {
        let (mut refusal, mut acknowledged) = (None, false);
        loop {
            let received = self.receive(|reply| {
                if reply.kind == ERROR {
                    match reply.refusal() {
                        Some(refused) => drop(refusal.get_or_insert(refused)),
                        None => acknowledged |= reply.sequence == sequence,
                    }
                }
            });
            match received {
                Ok(()) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(refusal.unwrap_or(errno.into())),
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if acknowledged => Ok(()),
            None => Err(Refusal { errno: Errno::EPROTO, reason: Some("no acknowledgement came".to_owned()) }),
        }
    }

    /// Reads one datagram and calls back with each message in it; `EAGAIN` if there is none.
    fn receive(&self, mut each: impl FnMut(Reply<'_>)) -> nix::Result<()> {
        let mut buffer = Vec::with_capacity(LONGEST_ANSWER);
        loop {
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map(drop).map_err(errno)?,
            }
        }
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let (reply, length) = Reply::first_of(rest).ok_or(Errno::EPROTO)?;
            each(reply);
            // The last message need not be padded.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The error's number; every socket error has one.
fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A netlink socket in the calling thread's namespace. An error's answer has the kernel's text and does not
/// repeat the request: the answers to a batch of thousands must fit the receive buffer.
fn connect() -> io::Result<netlink_sys::Socket> {
    let socket = netlink_sys::Socket::new(NETLINK_NETFILTER)?;
    socket.set_cap_ack(true)?;
    socket.set_ext_ack(true)?;
    Ok(socket)
}

fn add_flags(buffer: &mut [u8], message: usize, flags: u16) {
    if let Some(place) = buffer.get_mut(message + FLAGS..).and_then(|rest| rest.first_chunk_mut()) {
        *place = (u16::from_ne_bytes(*place) | flags).to_ne_bytes();
    }
}

/// One message to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Subsystem and message type, in one number.
    pub kind: u16,
    /// Flags beside `NLM_F_REQUEST`.
    pub flags: u16,
    /// The address family, `NFPROTO_...`.
    pub family: u8,
    /// The resource; the subsystem for the begin and the end of a batch.
    pub resource: u16,
    /// Its attributes.
    pub attributes: &'a Attributes,
}

impl<'a> Message<'a> {
    /// A message to a subsystem.
    pub fn new(
        subsystem: libc::c_int,
        action: libc::c_int,
        family: libc::c_int,
        attributes: &'a Attributes,
    ) -> Message<'a> {
        let kind = (subsystem << 8 | action) as u16;
        Message { kind, flags: 0, family: family as u8, resource: 0, attributes }
    }

    fn batch(kind: libc::c_int, subsystem: libc::c_int) -> Message<'static> {
        Message {
            kind: kind as u16,
            flags: 0,
            family: 0,
            resource: subsystem as u16,
            attributes: Attributes::NONE,
        }
    }
}

/// One message from the kernel.
struct Reply<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The first message of several, and its length.
    fn first_of(bytes: &'a [u8]) -> Option<(Reply<'a>, usize)> {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let number = |at: usize| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let sequence = u32::from_ne_bytes(*bytes.get(SEQUENCE..)?.first_chunk()?);
        let payload = bytes.get(HEADER..length)?;
        Some((Reply { kind: number(4)?, flags: number(FLAGS)?, sequence, payload }, length))
    }

    /// The refusal that an `NLMSG_ERROR` carries; none for an acknowledgement.
    fn refusal(&self) -> Option<Refusal> {
        let code = i32::from_ne_bytes(*self.payload.first_chunk()?);
        if code == 0 {
            return None;
        }
        // The code, then the header of the refused message, then attributes about it.
        let attributes = self.payload.get(4 + HEADER..).unwrap_or_default();
        let said = self.flags & (CAPPED | ACK_ATTRIBUTES) == CAPPED | ACK_ATTRIBUTES;
        let reason = attribute(attributes, REASON).filter(|_| said);
        let reason = reason.map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        Some(Refusal { errno: Errno::from_raw(code.wrapping_neg()), reason })
    }
}
