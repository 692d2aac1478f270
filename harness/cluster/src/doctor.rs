//! What this machine can do, for `netproof doctor` and for the reasons of skips.

use crate::netlink::{self, ETHERNET_MTU, End, Netlink, XTable};
use crate::netns::Netns;
use crate::sandbox::Sandbox;
use netproof_model::{Family, KernelFeature, Topology, Wiring};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::utsname::uname;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::OnceLock;

/// The oldest kernel that is supported.
const OLDEST_KERNEL: (u32, u32) = (5, 15);
/// Open files that a cluster of a thousand pods may need, probes included.
const OPEN_FILES: u64 = 16384;

const VXLAN: &str = "vxlan";
const IPV6: &str = "IPv6";

/// One capability that a machine may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Short name: `nf_tables`, `SCTP sockets`.
    pub name: &'static str,
    /// Whether it is present and sufficient.
    pub present: bool,
    /// What was found: a version, a number, the kernel's answer.
    pub found: String,
    /// What does not work without it.
    pub consequence: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Examines the machine, from inside a sandbox. What the sandbox itself needs is not examined: without it
/// there would be no sandbox.
pub fn examine(sandbox: &Sandbox) -> io::Result<Vec<Capability>> {
    Netns::new()?.enter(|| {
        vec![
            kernel(),
            user_namespaces(sandbox),
            open_files(sandbox),
            answer(
                "nf_tables",
                netlink::nf_tables(),
                "no policy can be enforced",
                "sudo modprobe nf_tables, or a kernel with CONFIG_NF_TABLES",
            ),
            answer(
                "NFLOG",
                netlink::nflog(),
                "a denial's reason is not known",
                "sudo modprobe nfnetlink_log, or a kernel with CONFIG_NETFILTER_NETLINK_LOG",
            ),
            answer(
                "connection tracking",
                netlink::conntrack(),
                "replies of allowed connections cannot be let through",
                "sudo modprobe nf_conntrack_netlink, or a kernel with CONFIG_NF_CT_NETLINK",
            ),
            answer(
                "ipset",
                netlink::ipset(),
                "no enforcer that uses ipset can run (`agent:NAME`, `exec:COMMAND`); netproof's own uses none",
                "sudo modprobe ip_set, or a kernel with CONFIG_IP_SET",
            ),
            overlay(),
            ipv6(),
            answer(
                "SCTP sockets",
                socket_of(SockProtocol::Sctp),
                "nothing: netproof makes the packets of its SCTP probes itself",
                "sudo modprobe sctp",
            ),
            send_buffer(),
            receive_buffer(),
        ]
    })
}

/// Why this machine cannot build a topology, as the reason of a skip; `None` if it can. Call it inside a
/// sandbox; the first call examines the machine.
pub fn lack(topology: &Topology) -> io::Result<Option<String>> {
    static CAPABILITIES: OnceLock<[Capability; 2]> = OnceLock::new();
    let capabilities = match CAPABILITIES.get() {
        Some(capabilities) => capabilities,
        None => {
            let found = Netns::new()?.enter(|| [overlay(), ipv6()])?;
            CAPABILITIES.get_or_init(|| found)
        }
    };
    Ok(reason(topology, capabilities))
}

/// Why programs that need a feature of the kernel cannot work here, as the reason of a skip; `None` if they can. Call it
/// inside a sandbox; the first call examines the machine.
pub fn lacks(feature: KernelFeature) -> io::Result<Option<String>> {
    static FOUND: OnceLock<[Option<String>; KernelFeature::ALL.len()]> = OnceLock::new();
    let found = match FOUND.get() {
        Some(found) => found,
        None => {
            let found = Netns::new()?.enter(|| KernelFeature::ALL.map(missing))?;
            FOUND.get_or_init(|| found)
        }
    };
    let place = KernelFeature::ALL.iter().position(|known| *known == feature);
    Ok(place.and_then(|place| found.get(place)).cloned().flatten())
}

/// Why a feature is not there, tried in the namespace of the calling thread.
fn missing(feature: KernelFeature) -> Option<String> {
    let (tried, module, option) = match feature {
        KernelFeature::NftQueue => (netlink::nft_queue(), "nft_queue", "CONFIG_NFT_QUEUE"),
        KernelFeature::NfnetlinkQueue => {
            (netlink::nfnetlink_queue(), "nfnetlink_queue", "CONFIG_NETFILTER_NETLINK_QUEUE")
        }
        KernelFeature::XtNfqueue => (
            netlink::xtables(XTable::Target(b"NFQUEUE\0")),
            "xt_NFQUEUE nft_compat",
            "CONFIG_NETFILTER_XT_TARGET_NFQUEUE and CONFIG_NFT_COMPAT",
        ),
        KernelFeature::IpSet => (netlink::ipset(), "ip_set", "CONFIG_IP_SET"),
        KernelFeature::XtSet => (
            netlink::xtables(XTable::Match(b"set\0")),
            "xt_set nft_compat",
            "CONFIG_NETFILTER_XT_SET and CONFIG_NFT_COMPAT",
        ),
    };
    let errno = tried.err()?;
    Some(format!(
        "this machine has no {feature} ({}): sudo modprobe -a {module}, or a kernel with {option}",
        errno.desc()
    ))
}

/// What a topology needs and these lack, with the remedy.
fn reason(topology: &Topology, capabilities: &[Capability]) -> Option<String> {
    let missing = capabilities.iter().find(|capability| {
        let needed = match capability.name {
            VXLAN => topology.wiring == Wiring::Vxlan,
            IPV6 => topology.family.contains(Family::Ipv6),
            _ => false,
        };
        needed && !capability.present
    })?;
    Some(format!("this machine has no {}: {}", missing.name, missing.remedy))
}

fn overlay() -> Capability {
    let (consequence, remedy) =
        ("the wiring `vxlan` is skipped", "sudo modprobe vxlan, or a kernel with CONFIG_VXLAN");
    answer(VXLAN, vxlan(), consequence, remedy)
}

fn ipv6() -> Capability {
    Capability {
        name: IPV6,
        present: Path::new("/proc/sys/net/ipv6").exists(),
        found: String::new(),
        consequence: "the families `ipv6` and `dual` are skipped",
        remedy: "boot without ipv6.disable=1",
    }
}

fn kernel() -> Capability {
    let found = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    Capability {
        name: "kernel",
        present: version(&found).is_some_and(|version| version >= OLDEST_KERNEL),
        found,
        consequence: "nothing is known about kernels before 5.15",
        remedy: "a kernel of 5.15 or later",
    }
}

/// The first two numbers of a release such as `6.18.44-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn user_namespaces(sandbox: &Sandbox) -> Capability {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    Capability {
        name: "user namespaces",
        present: sandbox.user_namespace,
        found: format!("at most {}", limit.trim()),
        consequence: "only root can run netproof",
        remedy: "sudo sysctl -w user.max_user_namespaces=10000",
    }
}

fn open_files(sandbox: &Sandbox) -> Capability {
    Capability {
        name: "open files",
        present: sandbox.open_files >= OPEN_FILES,
        found: sandbox.open_files.to_string(),
        consequence: "clusters of a thousand pods may be too large",
        remedy: "ulimit -Hn 65536 as root, or LimitNOFILE= of the service",
    }
}

/// A ruleset goes to the kernel in one send, and without privilege on the machine the buffer limits its
/// size.
fn send_buffer() -> Capability {
    let size = buffer(
        |socket| setsockopt(socket, sockopt::SndBuf, &BUFFER),
        |socket| getsockopt(socket, sockopt::SndBuf),
    );
    Capability {
        name: "send buffer",
        present: size >= 1 << 20,
        found: format!("{} KiB", size / 1024),
        consequence: "nothing: large rulesets are loaded in several transactions",
        remedy: "sudo sysctl -w net.core.wmem_max=4194304",
    }
}

fn receive_buffer() -> Capability {
    let size = buffer(
        |socket| setsockopt(socket, sockopt::RcvBuf, &BUFFER),
        |socket| getsockopt(socket, sockopt::RcvBuf),
    );
    Capability {
        name: "receive buffer",
        present: size >= 1 << 20,
        found: format!("{} KiB", size / 1024),
        consequence: "nothing: evidence is read more often",
        remedy: "sudo sysctl -w net.core.rmem_max=4194304",
    }
}

const BUFFER: usize = 4 << 20;

/// The size of a buffer after asking for a large one. (Not every namespace shows the sysctls themselves.)
fn buffer(
    set: impl Fn(&std::os::fd::OwnedFd) -> nix::Result<()>,
    get: impl Fn(&std::os::fd::OwnedFd) -> nix::Result<usize>,
) -> usize {
    let made =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
    let size = made.and_then(|socket| set(&socket).and_then(|()| get(&socket)));
    size.unwrap_or(0)
}

fn socket_of(protocol: SockProtocol) -> Result<(), Errno> {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, protocol).map(drop)
}

fn vxlan() -> Result<(), Errno> {
    let mut netlink = Netlink::open().map_err(|error| error.errno)?;
    let link = End { name: "check", index: 10, mac: [2, 0, 0, 0, 0, 1], mtu: ETHERNET_MTU };
    netlink.queue(netlink::new_vxlan(link, Ipv4Addr::LOCALHOST.into()), || "make a vxlan link".into());
    netlink.flush().map_err(|error| error.errno)
}

fn answer(
    name: &'static str,
    answer: Result<(), Errno>,
    consequence: &'static str,
    remedy: &'static str,
) -> Capability {
    let found = answer.map_or_else(|errno| errno.to_string(), |()| String::new());
    Capability { name, present: answer.is_ok(), found, consequence, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::Families;
    use netproof_model::topology::{PerFamily, Ranges};

    #[test]
    fn what_a_topology_lacks() {
        let net = |text: &str| text.parse().unwrap();
        let range = PerFamily { ipv4: net("10.0.0.0/8"), ipv6: net("fd00::/48") };
        let topology = |wiring, family| Topology {
            name: "x".into(),
            description: String::new(),
            wiring,
            family,
            neighbours: Default::default(),
            ranges: Ranges { pods: range, other_pods: Vec::new(), services: range, nodes: range },
            nodes: Vec::new(),
            networks: Vec::new(),
            externals: Vec::new(),
            nat_outgoing: false,
            advertised: Default::default(),
            load_balancer: None,
            proxy_mode: netproof_model::ProxyMode::default(),
            interface_prefix: netproof_model::InterfacePrefix::default(),
        };
        let machine = |vxlan, ipv6| {
            [(VXLAN, vxlan), (IPV6, ipv6)].map(|(name, present)| Capability {
                name,
                present,
                found: String::new(),
                consequence: "",
                remedy: "get it",
            })
        };
        for (wiring, family, vxlan, ipv6, missing) in [
            (Wiring::Vxlan, Families::Dual, true, true, None),
            (Wiring::Vxlan, Families::Ipv4, false, false, Some("this machine has no vxlan: get it")),
            (Wiring::Routed, Families::Dual, false, true, None),
            (Wiring::Routed, Families::Dual, false, false, Some("this machine has no IPv6: get it")),
            (Wiring::Bridge, Families::Ipv4, false, false, None),
        ] {
            let reason = reason(&topology(wiring, family), &machine(vxlan, ipv6));
            assert_eq!(reason.as_deref(), missing, "{wiring} {family}");
        }
    }

    #[test]
    fn versions_of_releases() {
        for (release, expected) in [
            ("6.18.44-generic", Some((6, 18))),
            ("5.15.0-1-amd64", Some((5, 15))),
            ("6.1-rc3", Some((6, 1))),
            ("", None),
            ("linux", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
