//! A program that decides about packets: a loop on a queue of NFQUEUE, spoken by hand. Every packet waits there for
//! some time, or for ever.

use libc::{NFNL_SUBSYS_QUEUE, NLM_F_REQUEST};
use netproof_cluster::Netns;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use std::collections::VecDeque;
use std::io::pipe;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The queue's number.
pub const QUEUE: u16 = 7;

const PACKET: u16 = 0;
const VERDICT: u16 = 1;
const CONFIG: u16 = 2;
/// Attributes of a configuration, with the values that bind a queue, and that ask for packets without their
/// content.
const COMMAND: u16 = 1;
const BIND: [u8; 4] = [1, 0, 0, 0];
const PARAMETERS: u16 = 2;
const NO_CONTENT: [u8; 5] = [0, 0, 0, 0, 1];
/// The first attribute of a packet, and of a verdict.
const HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;

/// What becomes of the packets, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Each passes after this time.
    Pass(Duration),
    /// The first ones are dropped, those after them pass.
    LoseFirst(usize),
    /// Nobody ever decides.
    Hold,
}

/// The program, until it is dropped.
pub struct Judge {
    thread: Option<JoinHandle<()>>,
    stop: Option<OwnedFd>,
}

impl Judge {
    /// Binds the queue in a namespace and decides from now on.
    pub fn new(netns: &Netns, fate: Fate) -> Judge {
        let open = || {
            socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkNetFilter,
            )
        };
        let queue = netns.enter(open).unwrap().unwrap();
        bind(queue.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
        for attribute in [attribute(COMMAND, &BIND), attribute(PARAMETERS, &NO_CONTENT)] {
            request(&queue, CONFIG, libc::NLM_F_ACK, &attribute);
            let mut answer = [0; 512];
            let length = recv(queue.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
            assert_eq!(answer[..length].get(16..20), Some(&[0; 4][..]), "the kernel has no NFQUEUE");
        }
        let (stopped, stop) = pipe().unwrap();
        let thread =
            std::thread::spawn(move || decide(&queue, stopped.as_fd().try_clone_to_owned().unwrap(), fate));
        Judge { thread: Some(thread), stop: Some(stop.into()) }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.stop.take();
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Decides about every packet when its time has come, until the other end of `stopped` is closed.
fn decide(queue: &OwnedFd, stopped: OwnedFd, fate: Fate) {
    let mut waiting: VecDeque<(Instant, [u8; 4])> = VecDeque::new();
    let mut seen = 0;
    loop {
        let next = waiting.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        let timeout = next.map_or(PollTimeout::NONE, |next| {
            PollTimeout::try_from(next.as_micros().div_ceil(1000) as i32).unwrap()
        });
        let mut watched = [queue, &stopped].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        poll(&mut watched, timeout).unwrap();
        if watched[1].revents().is_some_and(|events| !events.is_empty()) {
            return;
        }
        let mut buffer = [0; 65_536];
        while let Ok(length) = recv(queue.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            for packet in identifiers(&buffer[..length]) {
                seen += 1;
                match fate {
                    Fate::Pass(time) => waiting.push_back((Instant::now() + time, packet)),
                    Fate::LoseFirst(lost) if seen <= lost => give(queue, libc::NF_DROP, packet),
                    Fate::LoseFirst(_) => give(queue, libc::NF_ACCEPT, packet),
                    Fate::Hold => {}
                }
            }
        }
        while let Some((_, packet)) = waiting.front().copied().filter(|(due, _)| *due <= Instant::now()) {
            waiting.pop_front();
            give(queue, libc::NF_ACCEPT, packet);
        }
    }
}

fn give(queue: &OwnedFd, verdict: libc::c_int, packet: [u8; 4]) {
    let header = [(verdict as u32).to_be_bytes(), packet].concat();
    request(queue, VERDICT, 0, &attribute(VERDICT_HEADER, &header));
}

/// The identifiers of the packets in these messages, whose first attribute has it first.
fn identifiers(mut messages: &[u8]) -> Vec<[u8; 4]> {
    let mut identifiers = Vec::new();
    while let Some(length) = messages.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let kind = u16::from_ne_bytes(messages[4..6].try_into().unwrap());
        if kind == (NFNL_SUBSYS_QUEUE as u16) << 8 | PACKET {
            assert_eq!(u16::from_ne_bytes(messages[22..24].try_into().unwrap()), HEADER);
            identifiers.push(messages[24..28].try_into().unwrap());
        }
        messages = &messages[length.next_multiple_of(4).min(messages.len())..];
    }
    identifiers
}

/// Sends a message about the queue.
fn request(queue: &OwnedFd, kind: u16, flags: libc::c_int, attribute: &[u8]) {
    let mut bytes = Vec::new();
    bytes.extend((20 + attribute.len() as u32).to_ne_bytes());
    bytes.extend(((NFNL_SUBSYS_QUEUE as u16) << 8 | kind).to_ne_bytes());
    bytes.extend(((NLM_F_REQUEST | flags) as u16).to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(QUEUE.to_be_bytes());
    bytes.extend(attribute);
    send(queue.as_raw_fd(), &bytes, MsgFlags::empty()).unwrap();
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [(4 + value.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
