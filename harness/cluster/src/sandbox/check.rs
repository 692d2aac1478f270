//! Tries what a cluster needs, in a temporary namespace.

use super::error::{SandboxError, Trouble};
use crate::netlink::{
    ETHERNET_MTU, End, LOOPBACK, Netlink, NetlinkError, new_bridge, new_veth, nf_tables, up,
};
use crate::netns::Netns;
use nix::errno::Errno;
use std::fs;
use std::io;

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
        let near = End { name: "check", index: 10, mac: [2, 0, 0, 0, 0, 1], mtu: ETHERNET_MTU };
        let far = End { name: "eth0", index: 10, mac: [2, 0, 0, 0, 0, 2], mtu: ETHERNET_MTU };
        let bridge = End { name: "bridge", index: 11, mac: [2, 0, 0, 0, 0, 3], mtu: ETHERNET_MTU };
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
