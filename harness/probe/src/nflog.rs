//! The NFLOG group of a node. Rules that drop or reject log the packet there first, with their number in the
//! prefix; the observer logs the requests that pass, with a word in the prefix. A message is readable as
//! soon as the system call that sent the packet returns.

use crate::packet::{self, Packet};
use crate::sys;
use netproof_model::Hook;
use netproof_netfilter::{NFLOG_GROUP, NFLOG_PREFIX, NFLOG_SNAPLEN};
use std::io;
use std::os::fd::OwnedFd;

// linux/netfilter/nfnetlink.h, nfnetlink_log.h
const SUBSYSTEM: u16 = 4;
const MESSAGE_PACKET: u16 = SUBSYSTEM << 8;
const MESSAGE_CONFIG: u16 = (SUBSYSTEM << 8) | 1;
const CONFIG_COMMAND: u16 = 1;
const CONFIG_MODE: u16 = 2;
const CONFIG_THRESHOLD: u16 = 5;
const COMMAND_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const PACKET_HEADER: u16 = 1;
const PACKET_PAYLOAD: u16 = 9;
const PACKET_PREFIX: u16 = 10;

const NLMSG_HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
pub(crate) const GENERIC_HEADER: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;

/// Opens a reader in the namespace that the calling thread is in.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let fd = sys::netfilter_socket()?;
    sys::enlarge_receive_buffer(&fd)?;
    let mut mode = NFLOG_SNAPLEN.to_be_bytes().to_vec();
    mode.extend_from_slice(&[COPY_PACKET, 0]);
    configure(&fd, 1, &[(CONFIG_COMMAND, &[COMMAND_BIND])])?;
    // One packet a message: the default waits for a hundred of them, or for a second.
    configure(&fd, 2, &[(CONFIG_MODE, &mode), (CONFIG_THRESHOLD, &1u32.to_be_bytes())])?;
    Ok(fd)
}

/// Sends a configuration message and waits for its acknowledgement, which the kernel gives before the
/// send returns.
fn configure(fd: &OwnedFd, sequence: u32, attributes: &[(u16, &[u8])]) -> io::Result<()> {
    sys::send(fd, &config_message(sequence, attributes))?;
    let mut buffer = [0; 2048];
    // Packets may be logged already; the acknowledgement is the first error message.
    loop {
        let length = sys::receive(fd, &mut buffer)?;
        for (kind, body) in messages(&buffer[..length]) {
            if kind == NLMSG_ERROR {
                let code = body.get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
                return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
            }
        }
    }
}

fn config_message(sequence: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    const REQUEST_AND_ACKNOWLEDGE: u16 = 0x1 | 0x4;
    let mut message = vec![0; 4];
    message.extend_from_slice(&MESSAGE_CONFIG.to_ne_bytes());
    message.extend_from_slice(&REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&[libc::AF_UNSPEC as u8, 0]);
    message.extend_from_slice(&NFLOG_GROUP.to_be_bytes());
    for (kind, value) in attributes {
        message.extend_from_slice(&((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message
}

/// Why a packet was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The rule with this number drops or rejects it.
    Denied(u32),
    /// It has reached the point where policy decides.
    Passed {
        /// This node has translated its destination.
        translated: bool,
    },
}

/// One logged packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub reason: Reason,
    pub hook: Hook,
    pub packet: Packet,
}

/// Reads the messages of one receive call. Packets that other rules logged, and packets that no probe sends,
/// are ignored.
pub(crate) fn parse(data: &[u8]) -> impl Iterator<Item = Logged> {
    messages(data).filter(|(kind, _)| *kind == MESSAGE_PACKET).filter_map(|(_, body)| logged(body))
}

fn logged(body: &[u8]) -> Option<Logged> {
    let (mut hook, mut payload, mut why) = (None, None, None);
    for (kind, value) in attributes(body.get(GENERIC_HEADER..)?) {
        match kind {
            // hw_protocol (2 bytes), hook, padding
            PACKET_HEADER => hook = value.get(2).copied().and_then(hook_of),
            PACKET_PAYLOAD => payload = Some(value),
            PACKET_PREFIX => why = reason(value),
            _ => {}
        }
    }
    Some(Logged { reason: why?, hook: hook?, packet: packet::parse(payload?)? })
}

/// Reads a prefix, which ends with a zero byte.
fn reason(prefix: &[u8]) -> Option<Reason> {
    let said = prefix.strip_prefix(NFLOG_PREFIX.as_bytes())?.split(|byte| matches!(byte, 0 | b' ')).next()?;
    match said {
        b"passed" => Some(Reason::Passed { translated: false }),
        b"led" => Some(Reason::Passed { translated: true }),
        number => str::from_utf8(number).ok()?.parse().ok().map(Reason::Denied),
    }
}

fn hook_of(number: u8) -> Option<Hook> {
    Some(match number {
        0 => Hook::Prerouting,
        1 => Hook::Input,
        2 => Hook::Forward,
        3 => Hook::Output,
        4 => Hook::Postrouting,
        _ => return None,
    })
}

/// Type and body of each netlink message.
pub(crate) fn messages(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(data.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(data.get(4..6)?.try_into().ok()?);
        let body = data.get(NLMSG_HEADER..length)?;
        data = data.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, body))
    })
}

/// Type and value of each attribute.
pub(crate) fn attributes(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const NESTED_AND_BYTE_ORDER: u16 = 0xc000;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(data.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(data.get(2..4)?.try_into().ok()?) & !NESTED_AND_BYTE_ORDER;
        let value = data.get(ATTRIBUTE_HEADER..length)?;
        data = data.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Kind;
    use crate::packet::tests::{ipv4, tcp_header};
    use netproof_model::Token;
    use netproof_netfilter::LOG_ONLY;
    use proptest::prelude::*;

    fn message(hook: u8, prefix: &[u8], payload: &[u8]) -> Vec<u8> {
        let header = [0x08, 0x00, hook, 0];
        let body = config_message(
            0,
            &[(PACKET_HEADER, &header), (PACKET_PREFIX, prefix), (3, &[0; 16]), (PACKET_PAYLOAD, payload)],
        );
        let mut message = body;
        message[4..6].copy_from_slice(&MESSAGE_PACKET.to_ne_bytes());
        message
    }

    #[test]
    fn logged_packets_are_read() {
        let syn = ipv4(6, &tcp_header(0x1234, 0, 2));
        let mut data = message(2, b"netproof:17\0", &syn);
        data.extend(message(3, b"someone else\0", &syn));
        data.extend(message(9, b"netproof:18\0", &syn));
        data.extend(message(1, b"netproof:x\0", &syn));
        data.extend(message(1, b"netproof:leder\0", &syn));
        // A rule that only logs.
        data.extend(message(2, format!("netproof:{LOG_ONLY} 17\0").as_bytes(), &syn));
        data.extend(message(2, b"netproof:led\0", &syn));
        data.extend(message(2, b"netproof:passed\0", &syn));
        data.extend(message(1, b"netproof:4294967295\0", &syn));
        let found: Vec<_> = parse(&data)
            .map(|logged| (logged.reason, logged.hook, logged.packet.kind, logged.packet.token))
            .collect();
        assert_eq!(
            found,
            [
                (Reason::Denied(17), Hook::Forward, Kind::Request, Token(0x1234)),
                (Reason::Passed { translated: true }, Hook::Forward, Kind::Request, Token(0x1234)),
                (Reason::Passed { translated: false }, Hook::Forward, Kind::Request, Token(0x1234)),
                (Reason::Denied(u32::MAX), Hook::Input, Kind::Request, Token(0x1234)),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&data).count();
            if data.len() > 20 {
                let length = data.len() as u32;
                data[..4].copy_from_slice(&length.to_ne_bytes());
                data[4..6].copy_from_slice(&MESSAGE_PACKET.to_ne_bytes());
                let _ = parse(&data).count();
            }
        }
    }
}
