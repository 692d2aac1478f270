//! The groups in which IPv6 neighbours ask for an address.
//!
//! The kernel joins the solicited-node group of each of its addresses (RFC 4291, section 2.7.1), but by a
//! worker, some time after the address is there; what is asked until then is lost, and asked again a second
//! later, which looks like a drop. A socket joins at once.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};

/// The solicited-node groups of a namespace's addresses. Whoever is asked in IPv4 hears every question.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// A member of each group; made when it is needed. It has no port, so that it is in nobody's way.
    member: Option<UdpSocket>,
    /// What is still to be joined: the link's index, and the group.
    waiting: Vec<(u32, Ipv6Addr)>,
}

impl Groups {
    /// Notes an address of a link for which neighbours will ask.
    pub fn ask(&mut self, index: u32, address: IpAddr) {
        if let IpAddr::V6(address) = address {
            self.waiting.push((index, solicited_node(address)));
        }
    }

    /// Whether there is anything to join.
    pub fn wait_to_be_joined(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Joins what is to be joined. To be called inside the namespace, where the links exist.
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
