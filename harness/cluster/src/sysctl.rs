//! The sysctls of a namespace, none trusted to its default.
//!
//! A new namespace inherits `net.ipv4.conf.{all,default}` from the host (and IPv6's, where
//! `net.core.devconf_inherit_init_net` says so), and interfaces copy `default` when they are made. So
//! everything is set before there is a link. Reading and writing a sysctl costs some microseconds, and
//! all namespaces of one moment inherit the same: the first one is compared in full, the others get what
//! was wrong there.
//!
//! Some of them (marked "lock" below) take the kernel's lock of links, and do not wait for it but try
//! again and again, which burns a processor while an earlier cluster is being taken down. So none of
//! these is written without need.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// What a namespace is for, as far as sysctls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Passes packets on: nodes and the router.
    Forwarder,
    /// Sends and receives its own only: pods and external hosts.
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

/// What a fresh namespace has wrong: for each role, then for all.
#[derive(Debug)]
struct Wrong {
    forwarder: Vec<Setting>,
    host: Vec<Setting>,
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
const IPV4: [(&str, &str); 20] = [
    // Asymmetric paths and addresses without a route back are for policy to judge.
    ("rp_filter", "0"),
    ("accept_local", "0"),
    ("route_localnet", "0"),
    ("src_valid_mark", "0"),
    ("accept_source_route", "0"),
    // Same-node traffic over a bridge leaves by the interface that it came by; nobody is to be told.
    ("accept_redirects", "0"),
    ("send_redirects", "0"),
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

/// Those of `net.ipv4.conf.lo` that matter; it was made with the namespace, as the host's default was.
const LOOPBACK: [&str; 4] = ["rp_filter", "accept_local", "route_localnet", "disable_policy"];

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

/// The rest.
const OTHERS: [(&str, &str); 12] = [
    // No ICMP type is rate limited, or rejects and refusals vanish after the sixth. The masks lift the
    // global limit as well, which older kernels do not let a namespace set.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratemask", ""),
    ("ipv4/icmp_echo_ignore_all", "0"),
    ("ipv4/ip_default_ttl", "64"),
    ("ipv4/ip_nonlocal_bind", "0"),
    ("ipv4/ip_unprivileged_port_start", "0"),
    // A closed connection whose peer a deny has cut off must not hold its namespace for minutes.
    ("ipv4/tcp_orphan_retries", "1"),
    ("core/somaxconn", "4096"),
    // With br_netfilter loaded, bridged frames would meet the IP hooks as bridged ones.
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
    ("ipv6/bindv6only", "0"),
];

impl Sysctls {
    /// For namespaces with IPv6 or with none of it.
    pub fn new(ipv6: bool, spoil: Option<fn()>) -> Self {
        Sysctls { ipv6, spoil, wrong: None }
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
            self.wrong = Some(Wrong {
                forwarder: differing(forwarding(self.ipv6, "1"))?,
                host: differing(forwarding(self.ipv6, "0"))?,
                all: differing(wanted(self.ipv6))?,
            });
        }
        let Some(wrong) = &self.wrong else { return Ok(()) };
        let of_role = if role == Role::Forwarder { &wrong.forwarder } else { &wrong.host };
        of_role.iter().chain(&wrong.all).try_for_each(Setting::write)?;
        // Switching forwarding off switches this on.
        let redirects = Setting::new("ipv4/conf/all/accept_redirects", "0");
        if of_role.is_empty() { Ok(()) } else { redirects.write() }
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
        // Lock, but only where a host has it otherwise.
        wanted.push(Setting::new("ipv6/conf/all/disable_ipv6", "0"));
        wanted.push(Setting::new("ipv6/conf/default/disable_ipv6", "0"));
        // No link-local addresses: neighbours are permanent, so nobody needs them, and a node that has
        // none sends no redirects (IPv6 has no sysctl against sending them). Lock.
        wanted.push(Setting::new("ipv6/conf/default/addr_gen_mode", "1"));
    } else {
        // Without addresses there is still multicast; without IPv6 there is silence. Lock.
        wanted.push(Setting::new("ipv6/conf/default/disable_ipv6", "1"));
    }
    for scope in ["all", "default"] {
        wanted.extend(IPV4.map(|(name, value)| Setting::new(&format!("ipv4/conf/{scope}/{name}"), value)));
        if ipv6 {
            wanted
                .extend(IPV6.map(|(name, value)| Setting::new(&format!("ipv6/conf/{scope}/{name}"), value)));
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

    /// Whether the sysctl is there and has another value. One that this kernel lacks does nothing.
    fn differs(&self) -> Result<bool, SysctlError> {
        let mut text = [0; 64];
        match File::open(&self.path).and_then(|mut file| file.read(&mut text)) {
            Ok(length) => Ok(text[..length].trim_ascii() != self.value.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes the value; without IPv6 in the kernel there is nothing to write it to.
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
