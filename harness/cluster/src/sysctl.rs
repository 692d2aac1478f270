//! The sysctls of a namespace. No default is trusted.
//!
//! A new namespace inherits `net.ipv4.conf.{all,default}` from the host (and IPv6's, if
//! `net.core.devconf_inherit_init_net` says so), and interfaces copy `default` when they are made. So all
//! sysctls are set before there is a link. Reading and writing one costs some microseconds, and namespaces
//! made together inherit the same values: the first one is compared in full, the others get the same
//! corrections.
//!
//! Some sysctls (marked "lock" below) take the kernel's lock of links; they do not wait for it but retry,
//! which burns a processor while an earlier cluster is taken down. So sysctls are not written if the kernel
//! ignores them, or if the namespace's role does not need them. IPv6's `addr_gen_mode` (lock) is set as an
//! attribute of the links instead.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// The role of a namespace, as far as sysctls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Forwards packets: nodes.
    Forwarder,
    /// Forwards packets, and spreads them over routes of equal cost.
    Router,
    /// Forwards packets and has a bridge.
    Bridge,
    /// Only sends and receives its own packets: pods and external hosts.
    Host,
}

/// Sets the sysctls of the namespaces that are made together.
#[derive(Debug)]
pub(crate) struct Sysctls {
    ipv6: bool,
    /// What a test does to each new namespace first.
    spoil: Option<fn()>,
    /// What a fresh namespace has wrong.
    wrong: Option<Wrong>,
}

/// The wrong values of a fresh namespace: forwarding, for forwarders and for hosts; the others that matter
/// to forwarders, to routers, to bridges, and to all.
#[derive(Debug)]
struct Wrong {
    forwarding: Vec<Setting>,
    not_forwarding: Vec<Setting>,
    forwarder: Vec<Setting>,
    router: Vec<Setting>,
    bridge: Vec<Setting>,
    all: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    path: String,
    value: &'static str,
}

/// A sysctl could not be set.
#[derive(Debug, thiserror::Error)]
#[error("set {path} to {value:?}: {source}")]
pub(crate) struct SysctlError {
    pub path: String,
    pub value: &'static str,
    pub source: io::Error,
}

/// `net.ipv4.conf.*`.
const IPV4: [(&str, &str); 18] = [
    // Policy decides about asymmetric paths and addresses without a route back.
    ("rp_filter", "0"),
    ("accept_local", "0"),
    ("route_localnet", "0"),
    ("src_valid_mark", "0"),
    ("accept_redirects", "0"),
    ("arp_accept", "0"),
    ("arp_announce", "0"),
    ("arp_filter", "0"),
    ("arp_ignore", "0"),
    ("arp_notify", "0"),
    ("drop_gratuitous_arp", "0"),
    ("proxy_arp", "0"),
    ("proxy_arp_pvlan", "0"),
    ("drop_unicast_in_l2_multicast", "0"),
    ("ignore_routes_with_linkdown", "0"),
    ("log_martians", "0"),
    ("disable_policy", "0"),
    ("disable_xfrm", "0"),
];

/// Those of `net.ipv4.conf.lo` that matter; `lo` exists from the start, with the host's default.
const LOOPBACK: [&str; 3] = ["rp_filter", "accept_local", "route_localnet"];

/// `net.ipv6.conf.*`.
const IPV6: [(&str, &str); 14] = [
    // Duplicate-address detection makes an address useless for a second, which looks like a drop.
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    ("accept_ra", "0"),
    ("autoconf", "0"),
    ("router_solicitations", "0"),
    ("use_tempaddr", "0"),
    ("accept_redirects", "0"),
    ("accept_source_route", "0"),
    ("drop_unicast_in_l2_multicast", "0"),
    ("drop_unsolicited_na", "0"),
    ("ignore_routes_with_linkdown", "0"),
    ("ndisc_notify", "0"),
    ("proxy_ndp", "0"),
    ("disable_policy", "0"),
];

/// Those of `net.ipv6.conf.all` that the kernel uses in addition to the interface's own; it ignores the
/// others.
const IPV6_ALL: [&str; 5] =
    ["accept_dad", "accept_source_route", "ndisc_notify", "proxy_ndp", "disable_policy"];

/// Additional ones for forwarders: same-node traffic over a bridge leaves by the interface by which it came,
/// and must cause no redirects.
const FORWARDER: [(&str, &str); 2] =
    [("ipv4/conf/all/send_redirects", "0"), ("ipv4/conf/default/send_redirects", "0")];

/// Flows between the same two hosts are spread by their ports, too; and a gateway is not solicited before it
/// is used.
const ROUTER: [(&str, &str); 3] = [
    ("ipv4/fib_multipath_hash_policy", "1"),
    ("ipv4/fib_multipath_use_neigh", "0"),
    ("ipv6/fib_multipath_hash_policy", "1"),
];

/// With br_netfilter loaded, bridged frames would meet the IP hooks as bridged ones.
const BRIDGE: [(&str, &str); 3] = [
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
];

/// The rest.
const OTHERS: [(&str, &str); 10] = [
    // No ICMP type is rate limited; otherwise rejects and refusals vanish after the sixth. The masks also
    // lift the global limit, which a namespace cannot set on older kernels.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratemask", ""),
    ("ipv4/icmp_echo_ignore_all", "0"),
    ("ipv4/ip_default_ttl", "64"),
    ("ipv4/ip_nonlocal_bind", "0"),
    ("ipv4/ip_unprivileged_port_start", "0"),
    // A closed connection that a deny has cut off must not hold its namespace for minutes.
    ("ipv4/tcp_orphan_retries", "1"),
    ("core/somaxconn", "4096"),
    ("ipv6/bindv6only", "0"),
    // Only `all` decides: unless it is set, no interface accepts them.
    ("ipv4/conf/all/accept_source_route", "0"),
];

impl Sysctls {
    /// For namespaces with IPv6 or with none of it.
    pub fn new(ipv6: bool, spoil: Option<fn()>) -> Self {
        Sysctls { ipv6, spoil, wrong: None }
    }

    /// Whether the namespaces have IPv6.
    pub fn ipv6(&self) -> bool {
        self.ipv6
    }

    /// Sets everything in the namespace of the calling thread, which must be new.
    pub fn apply(&mut self, role: Role) -> Result<(), SysctlError> {
        if let Some(spoil) = self.spoil {
            spoil();
        }
        if self.wrong.is_none() {
            let differing = |settings: Vec<Setting>| {
                let differs = settings.into_iter().map(|setting| Ok((setting.differs()?, setting)));
                let differs: Vec<_> = differs.collect::<Result<_, SysctlError>>()?;
                Ok(differs.into_iter().filter_map(|(differs, setting)| differs.then_some(setting)).collect())
            };
            let list = |list: &[(&str, &'static str)]| {
                list.iter().map(|(path, value)| Setting::new(path, value)).collect()
            };
            self.wrong = Some(Wrong {
                forwarding: differing(forwarding(self.ipv6, "1"))?,
                not_forwarding: differing(forwarding(self.ipv6, "0"))?,
                forwarder: differing(list(&FORWARDER))?,
                router: differing(list(&ROUTER))?,
                bridge: differing(list(&BRIDGE))?,
                all: differing(wanted(self.ipv6))?,
            });
        }
        let Some(wrong) = &self.wrong else { return Ok(()) };
        let write = |settings: &[Setting]| settings.iter().try_for_each(Setting::write);
        if role == Role::Host {
            write(&wrong.not_forwarding)?;
        } else {
            write(&wrong.forwarding)?;
            write(&wrong.forwarder)?;
        }
        match role {
            Role::Router => write(&wrong.router)?,
            Role::Bridge => write(&wrong.bridge)?,
            Role::Forwarder | Role::Host => {}
        }
        write(&wrong.all)?;
        // Switching forwarding off switches this on.
        if role == Role::Host && !wrong.not_forwarding.is_empty() {
            Setting::new("ipv4/conf/all/accept_redirects", "0").write()?;
        }
        Ok(())
    }
}

/// What depends on the role (lock). Written to `all`, it is set for the default and every interface.
fn forwarding(ipv6: bool, value: &'static str) -> Vec<Setting> {
    let ipv6 = ipv6.then(|| Setting::new("ipv6/conf/all/forwarding", value));
    [Setting::new("ipv4/conf/all/forwarding", value)].into_iter().chain(ipv6).collect()
}

/// What all namespaces have in common.
fn wanted(ipv6: bool) -> Vec<Setting> {
    let mut wanted = Vec::new();
    if ipv6 {
        // Lock, but only if the host has another value.
        wanted.push(Setting::new("ipv6/conf/all/disable_ipv6", "0"));
        wanted.push(Setting::new("ipv6/conf/default/disable_ipv6", "0"));
    } else {
        // Without addresses there is still multicast; without IPv6 there is silence. Lock.
        wanted.push(Setting::new("ipv6/conf/default/disable_ipv6", "1"));
    }
    for scope in ["all", "default"] {
        wanted.extend(IPV4.map(|(name, value)| Setting::new(&format!("ipv4/conf/{scope}/{name}"), value)));
        if ipv6 {
            let counts = |name: &str| scope == "default" || IPV6_ALL.contains(&name);
            let settings = IPV6.into_iter().filter(|(name, _)| counts(name));
            wanted.extend(
                settings.map(|(name, value)| Setting::new(&format!("ipv6/conf/{scope}/{name}"), value)),
            );
        }
    }
    let loopback = IPV4.into_iter().filter(|(name, _)| LOOPBACK.contains(name));
    wanted.extend(loopback.map(|(name, value)| Setting::new(&format!("ipv4/conf/lo/{name}"), value)));
    let others = OTHERS.into_iter().filter(|(path, _)| ipv6 || !path.starts_with("ipv6/"));
    wanted.extend(others.map(|(path, value)| Setting::new(path, value)));
    wanted
}

impl Setting {
    fn new(path: &str, value: &'static str) -> Self {
        Setting { path: format!("/proc/sys/net/{path}"), value }
    }

    /// Whether the sysctl exists and has another value. A sysctl that this kernel lacks has no effect.
    fn differs(&self) -> Result<bool, SysctlError> {
        let mut text = [0; 64];
        match File::open(&self.path).and_then(|mut file| file.read(&mut text)) {
            Ok(length) => Ok(text[..length].trim_ascii() != self.value.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes the value; without IPv6 in the kernel the file is missing.
    fn write(&self) -> Result<(), SysctlError> {
        // A write of no bytes would not reach the kernel's parser; a line end alone means "empty".
        let value = if self.value.is_empty() { "\n" } else { self.value };
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(value.as_bytes()))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> SysctlError {
        SysctlError { path: self.path.clone(), value: self.value, source }
    }
}
