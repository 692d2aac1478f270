//! A route netlink socket: requests queued, sent together, acknowledgements read together.

use super::message::{LOOPBACK, Request, all_links, all_neighbour_tables, link_state, table_overflows, up};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};

/// Limit of one send: well under the smallest default send buffer (208 KiB), and few enough messages that
/// their errors fit a default receive buffer.
const BATCH_BYTES: usize = 32 * 1024;
const BATCH_MESSAGES: usize = 128;

/// The kernel refused a request, or the socket failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {errno}")]
pub(crate) struct NetlinkError {
    /// What was requested, to follow "cannot".
    pub doing: String,
    /// The kernel's answer.
    pub errno: Errno,
}

/// A connection to the routing tables of the namespace in which it was opened, from whatever namespace it is
/// used.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    /// The sequence number of the last request.
    sequence: u32,
    queue: Vec<u8>,
    /// Where the last queued message starts.
    last: usize,
    /// Description of each queued request, in order; the last one has `sequence`.
    doing: Vec<String>,
    /// The first error of what was sent since the last `flush`.
    failed: Option<NetlinkError>,
}

impl Netlink {
    /// Opens a socket in the calling thread's namespace.
    pub fn open() -> Result<Netlink, NetlinkError> {
        let socket =
            connect(0).map_err(|errno| NetlinkError { doing: "open a netlink socket".into(), errno })?;
        Ok(Netlink { socket, sequence: 0, queue: Vec::new(), last: 0, doing: Vec::new(), failed: None })
    }

    /// Queues a request; `doing` describes it, to follow "cannot". `flush` sends it, or a full queue does
    /// earlier; `flush` returns its error.
    pub fn queue(&mut self, (message, flags): Request, doing: impl FnOnce() -> String) {
        self.push(message, NLM_F_REQUEST | flags, doing());
        if self.queue.len() >= BATCH_BYTES || self.doing.len() >= BATCH_MESSAGES {
            self.send();
        }
    }

    /// Sends the queue and waits for the kernel's answers. Requests after a failed one are carried out all
    /// the same; the first error is returned.
    pub fn flush(&mut self) -> Result<(), NetlinkError> {
        self.send();
        self.failed.take().map_or(Ok(()), Err)
    }

    /// The links that pass packets. If a link's other end comes up later, a kernel worker activates the
    /// link; until then it drops silently.
    fn active(&mut self) -> Result<BTreeSet<u32>, NetlinkError> {
        let mut active = BTreeSet::new();
        self.dump(all_links(), "list the links", |link| {
            active.extend(link_state(link).and_then(|(index, up)| up.then_some(index)));
        })?;
        Ok(active)
    }

    /// How often the tables of learned neighbours, which all namespaces of the machine share, were full.
    pub fn neighbour_overflows(&mut self) -> Result<u64, NetlinkError> {
        let mut overflows = 0;
        self.dump(all_neighbour_tables(), "read the neighbour tables", |table| {
            overflows += table_overflows(table).unwrap_or(0);
        })?;
        Ok(overflows)
    }

    /// Requests a list and calls back with the payload of each entry.
    fn dump(
        &mut self,
        question: RouteNetlinkMessage,
        doing: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), NetlinkError> {
        self.flush()?;
        let failed = |errno| NetlinkError { doing: doing.into(), errno };
        self.push(question, NLM_F_REQUEST | NLM_F_DUMP, String::new());
        self.doing.clear();
        let sent = self.transmit();
        self.queue.clear();
        sent.map_err(failed)?;
        let mut end = None;
        while end.is_none() {
            self.receive(|reply| match reply.kind {
                NLMSG_DONE => end = Some(Ok(())),
                NLMSG_ERROR => end = Some(Err(reply.errno().unwrap_or(Errno::EPROTO))),
                _ => each(reply.payload),
            })
            .map_err(failed)?;
        }
        end.unwrap_or(Ok(())).map_err(failed)
    }

    /// Waits until these links pass packets, and returns those that still do not after ten seconds. Call it
    /// in the socket's own namespace.
    pub fn settle(&mut self, links: &BTreeSet<u32>) -> Result<Vec<u32>, NetlinkError> {
        let mut news: Option<OwnedFd> = None;
        loop {
            let active = self.active()?;
            let inactive: Vec<u32> = links.difference(&active).copied().collect();
            if inactive.is_empty() {
                // The worker marks a link before it opens its queue, and holds a lock meanwhile. This
                // request changes nothing, but has to wait for that lock.
                self.queue(up(LOOPBACK), || "bring lo up".into());
                self.flush()?;
                return Ok(inactive);
            }
            let failed = |errno| NetlinkError { doing: "follow the links".into(), errno };
            match &news {
                // The socket reports changes from now on; the next list shows earlier ones.
                None => news = Some(connect(libc::RTMGRP_LINK as u32).map_err(failed)?),
                Some(news) => match recv(news.as_raw_fd(), &mut [0; 4096], MsgFlags::empty()) {
                    Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                    Err(Errno::EAGAIN) => return Ok(inactive),
                    Err(errno) => return Err(failed(errno)),
                },
            }
        }
    }

    fn push(&mut self, message: RouteNetlinkMessage, flags: u16, doing: String) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        self.last = self.queue.len();
        self.queue.resize(self.last + packet.buffer_len().next_multiple_of(4), 0);
        packet.serialize(&mut self.queue[self.last..]);
        self.doing.push(doing);
    }

    /// Sends the queue and keeps the first error.
    fn send(&mut self) {
        if self.doing.is_empty() {
            return;
        }
        // Errors are always answered; success only where it is asked for. So the answer to the last
        // request means that all are done.
        let flags = u16::from_ne_bytes([self.queue[self.last + 6], self.queue[self.last + 7]]) | NLM_F_ACK;
        self.queue[self.last + 6..self.last + 8].copy_from_slice(&flags.to_ne_bytes());
        let first = self.sequence.wrapping_sub(self.doing.len() as u32 - 1);
        let doing = std::mem::take(&mut self.doing);
        let outcome = self.transmit();
        self.queue.clear();
        if let Err(errno) = outcome {
            let doing = doing.into_iter().next().unwrap_or_default();
            self.failed.get_or_insert(NetlinkError { doing, errno });
            return;
        }
        let mut finished = false;
        while !finished {
            let mut failures = Vec::new();
            let received = self.receive(|reply| {
                if reply.kind == NLMSG_ERROR {
                    failures.extend(reply.errno().map(|errno| (reply.sequence, errno)));
                    finished |= reply.sequence == self.sequence;
                }
            });
            if let Err(errno) = received {
                failures.push((self.sequence, errno));
                finished = true;
            }
            for (sequence, errno) in failures {
                let doing = doing.get(sequence.wrapping_sub(first) as usize).cloned().unwrap_or_default();
                self.failed.get_or_insert(NetlinkError { doing, errno });
            }
        }
    }

    fn transmit(&self) -> nix::Result<()> {
        let kernel = NetlinkAddr::new(0, 0);
        loop {
            match sendto(self.socket.as_raw_fd(), &self.queue, &kernel, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Reads one datagram and passes on each message in it.
    fn receive(&self, mut each: impl FnMut(Reply<'_>)) -> nix::Result<()> {
        let mut buffer = [0; 32 * 1024];
        let length = loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                // The receive timeout has passed.
                Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
                other => break other?,
            }
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(|_| Errno::EPROTO)?;
            each(Reply {
                kind: message.message_type(),
                sequence: message.sequence_number(),
                payload: message.payload(),
            });
            rest = rest.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A socket in the calling thread's namespace that receives the given multicast groups.
fn connect(groups: u32) -> nix::Result<OwnedFd> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    // The kernel answers before `sendto` returns; waiting this long means it never will.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(10, 0))?;
    Ok(socket)
}

/// One message from the kernel. Its payload stays bytes: we read little of it, and a newer kernel's
/// attributes must not make a parser fail.
struct Reply<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Reply<'_> {
    /// The error that an NLMSG_ERROR carries; none for an acknowledgement.
    fn errno(&self) -> Option<Errno> {
        let code = i32::from_ne_bytes(*self.payload.first_chunk()?);
        (code != 0).then(|| Errno::from_raw(code.wrapping_neg()))
    }
}
