//! Conntrack entries of UDP services that lead to endpoints which are gone.
//!
//! The first datagram of a flow is translated, and every later one goes where it went: conntrack, not
//! the rules, decides. TCP notices that nobody is there, SCTP too; UDP would be led astray for as long as
//! it goes on. So, as kube-proxy does, the entries are deleted whose original destination is a UDP
//! service's and whose answers would come from none of its endpoints that serve. Traffic policies,
//! topology and ending pods have no say in this.

use netproof_model::Family;
use nlink::netlink::netfilter::{ConntrackEntry, IpProtocol};
use nlink::netlink::{Connection, Netfilter};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use thiserror::Error;
use tokio::runtime::Builder;

/// Why stale entries may still be there.
#[derive(Debug, Error)]
pub enum ConntrackError {
    /// No runtime.
    #[error("failed to prepare the netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refused to list or to delete.
    #[error("{0}")]
    Refused(#[source] Box<nlink::Error>),
}

/// Where the datagrams of UDP services may go: whose endpoints changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UdpServices {
    /// Address and port to the addresses of endpoints that serve.
    pub(crate) addresses: BTreeMap<(IpAddr, u16), BTreeSet<IpAddr>>,
    /// Node port, in one family, to the same.
    pub(crate) node_ports: BTreeMap<(Family, u16), BTreeSet<IpAddr>>,
}

impl UdpServices {
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.node_ports.is_empty()
    }

    /// Whether a service leads an entry's datagrams to an address that does not serve it.
    fn misleads(&self, entry: &ConntrackEntry) -> bool {
        let (Some(to), Some(port), Some(answers)) =
            (entry.orig.dst_ip, entry.orig.dst_port, entry.reply.src_ip)
        else {
            return false;
        };
        let lacks = |endpoints: &BTreeSet<IpAddr>| !endpoints.contains(&answers);
        entry.proto == IpProtocol::Udp
            && (self.addresses.get(&(to, port)).is_some_and(lacks)
                || self.node_ports.get(&(Family::of(to), port)).is_some_and(lacks))
    }
}

/// Deletes the entries of a namespace that these services mislead; says how many.
pub(crate) fn delete_stale(
    netns: BorrowedFd<'_>,
    families: &[Family],
    services: &UdpServices,
) -> Result<usize, ConntrackError> {
    let refused = |error| ConntrackError::Refused(Box::new(error));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ConntrackError::Socket)?;
    runtime.block_on(async {
        let connection = Connection::<Netfilter>::new_in(netns).map_err(refused)?;
        let mut deleted = 0;
        for family in families {
            let entries = match family {
                Family::Ipv4 => connection.get_conntrack().await,
                Family::Ipv6 => connection.get_conntrack_v6().await,
            };
            for entry in entries.map_err(refused)?.iter().filter(|entry| services.misleads(entry)) {
                match connection.del_conntrack_entry(entry).await {
                    Ok(()) => deleted += 1,
                    // It ended meanwhile.
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(refused(error)),
                }
            }
        }
        Ok(deleted)
    })
}
