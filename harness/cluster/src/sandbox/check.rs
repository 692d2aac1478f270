//! Tries what a cluster needs, in a namespace that is thrown away.

use super::error::{SandboxError, Trouble};
use crate::netlink::{End, LOOPBACK, Netlink, NetlinkError, new_bridge, new_veth, up};
use crate::netns::Netns;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;

/// Brings up the loopback interface of our own namespace, and makes a link, a sysctl and a ruleset in
/// another.
pub(super) fn everything(user_namespace: bool) -> Result<(), SandboxError> {
    let failed = |error: NetlinkError| match error.errno {
        Errno::EPERM | Errno::EACCES => SandboxError::denied(&error.doing, &error.errno.into()),
        Errno::EOPNOTSUPP => SandboxError::new(Trouble::NoLinks, Some(error.to_string())),
        _ => SandboxError::new(Trouble::Other { user_namespace }, Some(error.to_string())),
    };
    let mut hub = Netlink::open().map_err(failed)?;
    hub.queue(up(LOOPBACK), || "bring the loopback interface up".into());
    hub.flush().map_err(failed)?;

    let other = || -> io::Result<(Netns, Netns)> { Ok((Netns::new()?, Netns::new()?)) };
    let (node, pod) = other().map_err(|error| SandboxError::from_namespace(&error))?;
    node.enter(|| {
        let mut node = Netlink::open().map_err(failed)?;
        let near = End { name: "check", index: 10, mac: [2, 0, 0, 0, 0, 1] };
        let far = End { name: "eth0", index: 10, mac: [2, 0, 0, 0, 0, 2] };
        let bridge = End { name: "bridge", index: 11, mac: [2, 0, 0, 0, 0, 3] };
        node.queue(new_veth(near, None, far, pod.fd()), || "make a veth pair".into());
        node.queue(new_bridge(bridge), || "make a bridge".into());
        node.flush().map_err(failed)?;
        sysctl()?;
        nf_tables().map_err(|errno| match errno {
            Errno::EPERM | Errno::EACCES => SandboxError::denied("load an nf_tables ruleset", &errno.into()),
            _ => SandboxError::new(Trouble::NoNfTables, Some(errno.to_string())),
        })
    })
    .map_err(|error| SandboxError::from_namespace(&error))?
}

fn sysctl() -> Result<(), SandboxError> {
    let path = "/proc/sys/net/ipv4/ip_forward";
    fs::write(path, "1").map_err(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => SandboxError::new(Trouble::ReadOnlyProcSys, None),
        io::ErrorKind::NotFound => SandboxError::new(Trouble::NoProc, None),
        _ => SandboxError::denied(&format!("write {path}"), &error),
    })
}

/// Makes a table: a transaction of three messages, the smallest ruleset there is.
pub(crate) fn nf_tables() -> Result<(), Errno> {
    const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
    const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
    let message = |kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]| {
        let mut bytes = Vec::new();
        bytes.extend((20 + attributes.len() as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        bytes.extend(attributes);
        bytes
    };
    // NFTA_TABLE_NAME (1) = "check", padded to four bytes.
    let mut name = Vec::new();
    name.extend(10_u16.to_ne_bytes());
    name.extend(1_u16.to_ne_bytes());
    name.extend(b"check\0\0\0");
    let mut batch = message(libc::NFNL_MSG_BATCH_BEGIN as u16, 0, 0, SUBSYSTEM, &[]);
    let new_table = (SUBSYSTEM << 8) | libc::NFT_MSG_NEWTABLE as u16;
    let flags = (libc::NLM_F_CREATE | libc::NLM_F_ACK) as u16;
    batch.extend(message(new_table, flags, libc::NFPROTO_INET as u8, 0, &name));
    batch.extend(message(libc::NFNL_MSG_BATCH_END as u16, 0, 0, SUBSYSTEM, &[]));

    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    sendto(socket.as_raw_fd(), &batch, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    // The answer is there when the call returns: an NLMSG_ERROR, with 0 for success.
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let code = answer[..length].get(16..).and_then(|code| code.first_chunk()).ok_or(Errno::EPROTO)?;
    match i32::from_ne_bytes(*code) {
        0 => Ok(()),
        code => Err(Errno::from_raw(code.wrapping_neg())),
    }
}
