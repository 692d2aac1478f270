//! The sysctls of a namespace, none trusted to its default.
//!
//! A new namespace inherits `net.ipv4.conf.{all,default}` from the host (and IPv6's, where
//! `net.core.devconf_inherit_init_net` says so), and interfaces copy `default` when they are made. So
//! everything is set before there is a link. Reading and writing a sysctl costs some microseconds, and
//! all namespaces of one moment inherit the same: the first one is compared in full, the others get what
//! was wrong there.

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
    /// For each role, what a fresh namespace has wrong.
    wrong: [Option<Vec<Setting>>; 2],
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

/// `net.ipv4.conf.*`. `forwarding` comes first, because changing it resets others.
const IPV4: [(&str, &str); 22] = [
    // Asymmetric paths and addresses without a route back are for policy to judge.
    ("rp_filter", "0"),
    ("accept_local", "0"),
    ("route_localnet", "0"),
    ("src_valid_mark", "0"),
    ("accept_source_route", "0"),
    // Same-node traffic over a bridge leaves by the interface that it came by; nobody is to be told.
    ("accept_redirects", "0"),
    ("secure_redirects", "0"),
    ("send_redirects", "0"),
    ("shared_media", "1"),
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

/// `net.ipv6.conf.*`.
const IPV6: [(&str, &str); 15] = [
    // Duplicate-address detection makes an address useless for a second, which looks like a drop.
    ("accept_dad", "0"),
    ("dad_transmits", "0"),
    ("accept_ra", "0"),
    ("autoconf", "0"),
    ("router_solicitations", "0"),
    ("use_tempaddr", "0"),
    // No link-local addresses: neighbours are permanent, so nobody needs them, and a node that has none
    // sends no redirects (IPv6 has no sysctl against sending them).
    ("addr_gen_mode", "1"),
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
const OTHERS: [(&str, &str); 13] = [
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
    ("ipv4/tcp_max_syn_backlog", "4096"),
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
        Sysctls { ipv6, spoil, wrong: [None, None] }
    }

    /// Sets everything in the namespace of the calling thread, which must be new.
    pub fn apply(&mut self, role: Role) -> Result<(), SysctlError> {
        if let Some(spoil) = self.spoil {
            spoil();
        }
        let wrong = &mut self.wrong[role as usize];
        match wrong {
            Some(settings) => settings.iter().try_for_each(Setting::write),
            None => {
                let mut corrected = Vec::new();
                for setting in wanted(self.ipv6, role) {
                    if setting.differs()? {
                        setting.write()?;
                        corrected.push(setting);
                    }
                }
                *wrong = Some(corrected);
                Ok(())
            }
        }
    }
}

fn wanted(ipv6: bool, role: Role) -> Vec<Setting> {
    let forwarding = if role == Role::Forwarder { "1" } else { "0" };
    let setting = |path: String, value| Setting { path: format!("/proc/sys/net/{path}"), value };
    let mut wanted = vec![setting("ipv4/conf/all/forwarding".into(), forwarding)];
    if ipv6 {
        wanted.push(setting("ipv6/conf/all/disable_ipv6".into(), "0"));
        wanted.push(setting("ipv6/conf/default/disable_ipv6".into(), "0"));
        wanted.push(setting("ipv6/conf/all/forwarding".into(), forwarding));
        wanted.push(setting("ipv6/conf/default/forwarding".into(), forwarding));
    } else {
        // Without addresses there is still multicast; without IPv6 there is silence.
        wanted.push(setting("ipv6/conf/all/disable_ipv6".into(), "1"));
        wanted.push(setting("ipv6/conf/default/disable_ipv6".into(), "1"));
    }
    wanted.push(setting("ipv4/conf/default/forwarding".into(), forwarding));
    for scope in ["all", "default", "lo"] {
        wanted.extend(IPV4.map(|(name, value)| setting(format!("ipv4/conf/{scope}/{name}"), value)));
    }
    if ipv6 {
        for scope in ["all", "default"] {
            wanted.extend(IPV6.map(|(name, value)| setting(format!("ipv6/conf/{scope}/{name}"), value)));
        }
    }
    let others = OTHERS.into_iter().filter(|(path, _)| ipv6 || !path.starts_with("ipv6/"));
    wanted.extend(others.map(|(path, value)| setting(path.to_owned(), value)));
    wanted
}

impl Setting {
    /// Whether the sysctl is there and has another value. One that this kernel lacks does nothing.
    fn differs(&self) -> Result<bool, SysctlError> {
        let mut text = [0; 64];
        match File::open(&self.path).and_then(|mut file| file.read(&mut text)) {
            Ok(length) => Ok(text[..length].trim_ascii() != self.value.as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

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
