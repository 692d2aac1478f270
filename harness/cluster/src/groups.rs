//! The solicited-node groups of IPv6 addresses (RFC 4291, section 2.7.1).
//!
//! The kernel joins the group of each of its addresses in a worker, some time after the address exists. A
//! solicitation before that is lost and repeated a second later, which looks like a drop. So a socket joins
//! at once.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};

/// The solicited-node groups of a namespace's addresses. (ARP requests are broadcast, so IPv4 needs no
/// group.)
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// A socket that joins the groups, made on first use. It is not bound to a port, so it takes none away.
    member: Option<UdpSocket>,
    /// Groups still to join: the link's index, and the group.
    waiting: Vec<(u32, Ipv6Addr)>,
}

impl Groups {
    /// Adds an address of a link that neighbours will solicit.
    pub fn ask(&mut self, index: u32, address: IpAddr) {
        if let IpAddr::V6(address) = address {
            self.waiting.push((index, solicited_node(address)));
        }
    }

    /// Whether there are groups to join.
    pub fn wait_to_be_joined(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Joins the groups. Call it inside the namespace, once the links exist.
    pub fn join(&mut self) -> io::Result<()> {
        let member = match self.member.take() {
            Some(member) => member,
            None => socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?.into(),
        };
        for (index, group) in self.waiting.drain(..) {
            match member.join_multicast_v6(&group, index) {
                // Two addresses of a link may share their group.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                joined => joined?,
            }
        }
        self.member = Some(member);
        Ok(())
    }
}

fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4291, section 2.7.1.
    #[test]
    fn the_group_has_the_last_24_bits_of_the_address() {
        let address = "4037::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff0e:8c6c");
    }
}
