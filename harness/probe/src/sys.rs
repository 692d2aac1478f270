//! System calls that have no safe wrapper elsewhere: sockets with the options that probes, servers and
//! witnesses need, and datagrams received many at a time with their ancillary data.
//!
//! The only module of this crate with `unsafe`.

use netproof_model::Family;
use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// The state of a TCP socket's connection (`tcpi_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// The handshake is complete.
    Established,
    /// The SYN is sent and unanswered.
    SynSent,
    /// Closed, by a reset or by an error.
    Closed,
    /// Was connected; the other side has closed.
    Closing,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Waits until every verdict on a queued packet that was under way has been carried out, and the packet has gone on as
/// far as that takes it: the kernel does so in an RCU read-side section, and ends such sections first
/// (`MEMBARRIER_CMD_GLOBAL`, membarrier(2)).
pub(crate) fn wait_for_verdicts() -> io::Result<()> {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn domain(family: Family) -> libc::c_int {
    match family {
        Family::Ipv4 => libc::AF_INET,
        Family::Ipv6 => libc::AF_INET6,
    }
}

fn socket(domain: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a successful call returns a descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::socket(domain, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// A TCP socket, non-blocking, that sends a reset instead of a FIN when it is closed: if a policy drops the
/// acknowledgement of a FIN, the socket holds its namespace for minutes.
pub(crate) fn tcp_socket(family: Family) -> io::Result<OwnedFd> {
    let fd = socket(domain(family), libc::SOCK_STREAM, libc::IPPROTO_TCP)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Ok(fd)
}

/// A UDP socket, non-blocking.
pub(crate) fn udp_socket(family: Family) -> io::Result<OwnedFd> {
    socket(domain(family), libc::SOCK_DGRAM, libc::IPPROTO_UDP)
}

/// A raw socket, non-blocking, which receives a copy of every packet of `protocol` that is delivered to
/// this stack; datagrams come with interface, destination and hop limit.
pub(crate) fn raw_socket(family: Family, protocol: u8) -> io::Result<OwnedFd> {
    let fd = socket(domain(family), libc::SOCK_RAW, i32::from(protocol))?;
    receive_details(&fd, family)?;
    Ok(fd)
}

/// A packet socket, non-blocking, which receives a copy of every packet that arrives on any interface,
/// from its network header on.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    let fd = socket(libc::AF_PACKET, libc::SOCK_DGRAM, i32::from((libc::ETH_P_ALL as u16).to_be()))?;
    set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
    Ok(fd)
}

/// A netlink socket of the netfilter family, non-blocking and bound.
pub(crate) fn netfilter_socket() -> io::Result<OwnedFd> {
    let fd = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER)?;
    // SAFETY: sockaddr_nl is plain data, for which all zeroes is a valid value; pointer and length
    // describe it.
    unsafe {
        let mut address: libc::sockaddr_nl = zeroed();
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let length = size_of_val(&address) as libc::socklen_t;
        check(libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), length))?;
    }
    Ok(fd)
}

/// Joins a netlink socket to a multicast group.
pub(crate) fn join_netlink_group(fd: &OwnedFd, group: libc::c_int) -> io::Result<()> {
    set(fd, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, &group)
}

/// Asks for the interface and the destination of every datagram, and for its hop limit.
pub(crate) fn receive_details(fd: &OwnedFd, family: Family) -> io::Result<()> {
    match family {
        Family::Ipv4 => set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, &1i32),
        Family::Ipv6 => {
            set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1i32)?;
            set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, &1i32)
        }
    }
}

/// Restricts an IPv6 socket to IPv6.
pub(crate) fn only_ipv6(fd: &OwnedFd) -> io::Result<()> {
    set(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &1i32)
}

/// Gives the socket as large a receive buffer as an ordinary user may have.
pub(crate) fn enlarge_receive_buffer(fd: &OwnedFd) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &(8 << 20))
}

/// Lets a classic BPF program choose which packets the socket receives.
pub(crate) fn attach_filter(fd: &OwnedFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast_mut(),
    };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Chooses the sequence number of the SYN that `connect` will send: in repair mode a socket's send queue
/// can be positioned, and `connect` keeps a position that is not zero.
pub(crate) fn set_initial_sequence(fd: &OwnedFd, sequence: u32) -> io::Result<()> {
    const TCP_SEND_QUEUE: i32 = 2;
    set(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, &1i32)?;
    set(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE, &TCP_SEND_QUEUE)?;
    set(fd, libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ, &sequence)?;
    set(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, &0i32)
}

fn set<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which outlives the call; the kernel copies it.
    unsafe {
        let length = size_of::<T>() as libc::socklen_t;
        check(libc::setsockopt(fd.as_raw_fd(), level, option, ptr::from_ref(value).cast(), length))?;
    }
    Ok(())
}

fn get<T: Copy>(fd: &OwnedFd, level: i32, option: i32, mut value: T) -> io::Result<T> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: pointer and length describe `value`; the callers below use integers, for which any bytes
    // that the kernel writes are a valid value.
    unsafe {
        let value = ptr::from_mut(&mut value).cast();
        check(libc::getsockopt(fd.as_raw_fd(), level, option, value, &raw mut length))?;
    }
    Ok(value)
}

/// The state of the connection.
pub(crate) fn tcp_state(fd: &OwnedFd) -> io::Result<TcpState> {
    // The first byte of `struct tcp_info` is the state; the kernel returns as many bytes as requested.
    Ok(match get(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 0u8)? {
        1 => TcpState::Established,
        2 | 3 => TcpState::SynSent,
        7 => TcpState::Closed,
        _ => TcpState::Closing,
    })
}

/// Takes the socket's pending error, 0 if there is none.
pub(crate) fn take_error(fd: &OwnedFd) -> io::Result<i32> {
    get(fd, libc::SOL_SOCKET, libc::SO_ERROR, 0i32)
}

/// The name of the interface with this index in the socket's namespace.
pub(crate) fn interface_name(fd: &OwnedFd, index: u32) -> io::Result<String> {
    // SAFETY: ifreq is plain data, for which all zeroes is a valid value; the kernel reads the index and
    // writes a name that it ends with a zero; both are within the structure.
    let name = unsafe {
        let mut request: libc::ifreq = zeroed();
        request.ifr_ifru.ifru_ifindex = index.cast_signed();
        check(libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFNAME as _, &raw mut request))?;
        request.ifr_name
    };
    Ok(name.iter().take_while(|c| **c != 0).map(|c| char::from(c.cast_unsigned())).collect())
}

/// A socket address in the kernel's form.
struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl RawAddress {
    fn empty() -> Self {
        // SAFETY: sockaddr_storage is plain data, for which all zeroes is a valid value.
        let storage = unsafe { zeroed() };
        RawAddress { storage, length: 0 }
    }

    fn new(address: SocketAddr) -> Self {
        let mut raw = RawAddress::empty();
        let storage = ptr::from_mut(&mut raw.storage);
        // SAFETY: sockaddr_storage is large enough and aligned for either form.
        unsafe {
            match address {
                SocketAddr::V4(v4) => {
                    raw.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                    *storage.cast::<libc::sockaddr_in>() = libc::sockaddr_in {
                        sin_family: libc::AF_INET as libc::sa_family_t,
                        sin_port: v4.port().to_be(),
                        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                        sin_zero: [0; 8],
                    };
                }
                SocketAddr::V6(v6) => {
                    raw.length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                    *storage.cast::<libc::sockaddr_in6>() = libc::sockaddr_in6 {
                        sin6_family: libc::AF_INET6 as libc::sa_family_t,
                        sin6_port: v6.port().to_be(),
                        sin6_flowinfo: v6.flowinfo(),
                        sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                        sin6_scope_id: v6.scope_id(),
                    };
                }
            }
        }
        raw
    }

    fn pointer(&self) -> *const libc::sockaddr {
        ptr::from_ref(&self.storage).cast()
    }
}

/// Reads an address that the kernel wrote; `None` for other families.
fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer = ptr::from_ref(storage);
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in, and the storage is large enough for one.
            let v4 = unsafe { *pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: likewise, a sockaddr_in6.
            let v6 = unsafe { *pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Binds the socket to an address.
pub(crate) fn bind(fd: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(address);
    // SAFETY: pointer and length describe `raw`, which outlives the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.pointer(), raw.length) }).map(drop)
}

/// Connects the socket; EINPROGRESS counts as success.
pub(crate) fn connect(fd: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(address);
    // SAFETY: pointer and length describe `raw`, which outlives the call.
    match check(unsafe { libc::connect(fd.as_raw_fd(), raw.pointer(), raw.length) }) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(()),
    }
}

/// Listens with the longest backlog that the namespace allows.
pub(crate) fn listen(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), i32::MAX) }).map(drop)
}

/// Takes a connection from the queue, and its client's address.
pub(crate) fn accept(fd: &OwnedFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut raw = RawAddress::empty();
    raw.length = size_of_val(&raw.storage) as libc::socklen_t;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let address = ptr::from_mut(&mut raw.storage).cast();
    // SAFETY: pointer and length describe `raw`; a successful call returns a descriptor that nobody else
    // owns.
    let accepted = unsafe {
        let accepted = check(libc::accept4(fd.as_raw_fd(), address, &raw mut raw.length, flags))?;
        OwnedFd::from_raw_fd(accepted)
    };
    Ok((accepted, socket_address(&raw.storage)))
}

/// Receives from a socket into `buffer`.
pub(crate) fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length describe `buffer`.
    let received = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// Sends on a connected socket, without SIGPIPE.
pub(crate) fn send(fd: &OwnedFd, data: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: pointer and length describe `data`.
    let sent = unsafe { libc::send(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends one datagram to an address.
pub(crate) fn send_to(fd: &OwnedFd, data: &[u8], to: SocketAddr) -> io::Result<()> {
    let raw = RawAddress::new(to);
    let (pointer, length) = (data.as_ptr().cast(), data.len());
    // SAFETY: the pointers and lengths describe `data` and `raw`.
    let sent = unsafe { libc::sendto(fd.as_raw_fd(), pointer, length, 0, raw.pointer(), raw.length) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Room for one message's ancillary data: packet information, hop limit and slack, aligned as cmsghdr.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 128]);

/// Sends one datagram from a given address of this stack, so that the answer comes from the requested
/// address even if there are several.
pub(crate) fn send_from(fd: &OwnedFd, data: &[u8], to: SocketAddr, from: IpAddr) -> io::Result<()> {
    let raw = RawAddress::new(to);
    let mut control = Control([0; 128]);
    let mut vector = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: msghdr is plain data. Name, vector and control point to locals that outlive the call; the
    // control buffer holds one header and the larger of the two structures, and is aligned for both.
    let sent = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_name = raw.pointer().cast_mut().cast();
        message.msg_namelen = raw.length;
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let length = match from {
            IpAddr::V4(v4) => {
                (*header).cmsg_level = libc::IPPROTO_IP;
                (*header).cmsg_type = libc::IP_PKTINFO;
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ptr::write_unaligned(libc::CMSG_DATA(header).cast(), info);
                size_of::<libc::in_pktinfo>() as u32
            }
            IpAddr::V6(v6) => {
                (*header).cmsg_level = libc::IPPROTO_IPV6;
                (*header).cmsg_type = libc::IPV6_PKTINFO;
                let info =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: v6.octets() }, ipi6_ifindex: 0 };
                ptr::write_unaligned(libc::CMSG_DATA(header).cast(), info);
                size_of::<libc::in6_pktinfo>() as u32
            }
        };
        (*header).cmsg_len = libc::CMSG_LEN(length) as _;
        message.msg_controllen = libc::CMSG_SPACE(length) as _;
        libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The most datagrams of one call.
pub(crate) const MAILBOX: usize = 32;
/// The longest datagram that is kept whole: a netlink message, a DNS answer.
const DATAGRAM: usize = 2048;

/// Buffers for receiving many datagrams with one call.
pub(crate) struct Mailbox {
    data: Box<[[u8; DATAGRAM]; MAILBOX]>,
    names: Box<[libc::sockaddr_storage; MAILBOX]>,
    controls: Box<[Control; MAILBOX]>,
    lengths: [usize; MAILBOX],
    control_lengths: [usize; MAILBOX],
}

/// One received datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// Its bytes: for a raw IPv4 socket from the IP header on, for others the payload.
    pub data: &'a [u8],
    /// Its source.
    pub from: Option<SocketAddr>,
    /// Its destination.
    pub to: Option<IpAddr>,
    /// The interface on which it arrived; 0 if unknown.
    pub interface: u32,
    /// The hop limit (IPv6).
    pub hop_limit: u8,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        // SAFETY: sockaddr_storage is plain data, for which all zeroes is a valid value.
        let name: libc::sockaddr_storage = unsafe { zeroed() };
        Mailbox {
            data: Box::new([[0; DATAGRAM]; MAILBOX]),
            names: Box::new([name; MAILBOX]),
            controls: Box::new([Control([0; 128]); MAILBOX]),
            lengths: [0; MAILBOX],
            control_lengths: [0; MAILBOX],
        }
    }

    /// Receives up to [`MAILBOX`] datagrams and returns their number; 0 if there is none.
    pub(crate) fn receive(&mut self, fd: &OwnedFd) -> io::Result<usize> {
        // SAFETY: mmsghdr and iovec are plain data, for which all zeroes is a valid value. Every pointer
        // put into them is to a buffer of `self`, with that buffer's length, and none outlives the call.
        let received = unsafe {
            let mut vectors: [libc::iovec; MAILBOX] = zeroed();
            let mut messages: [libc::mmsghdr; MAILBOX] = zeroed();
            for i in 0..MAILBOX {
                vectors[i].iov_base = self.data[i].as_mut_ptr().cast();
                vectors[i].iov_len = DATAGRAM;
                let header = &mut messages[i].msg_hdr;
                header.msg_name = ptr::from_mut(&mut self.names[i]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
                header.msg_iov = &raw mut vectors[i];
                header.msg_iovlen = 1;
                header.msg_control = self.controls[i].0.as_mut_ptr().cast();
                header.msg_controllen = size_of::<Control>() as _;
            }
            let flags = libc::MSG_DONTWAIT;
            let count = MAILBOX as libc::c_uint;
            let received =
                libc::recvmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count, flags, ptr::null_mut());
            for (i, message) in messages.iter().enumerate().take(usize::try_from(received).unwrap_or(0)) {
                self.lengths[i] = (message.msg_len as usize).min(DATAGRAM);
                self.control_lengths[i] = message.msg_hdr.msg_controllen;
            }
            check(received)
        };
        match received {
            Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The datagram at `index` of those that the last call received.
    pub(crate) fn get(&self, index: usize) -> Datagram<'_> {
        let mut datagram = Datagram {
            data: &self.data[index][..self.lengths[index]],
            from: socket_address(&self.names[index]),
            to: None,
            interface: 0,
            hop_limit: 0,
        };
        if i32::from(self.names[index].ss_family) == libc::AF_PACKET {
            // SAFETY: the family says that it is a sockaddr_ll, and the storage is large enough for one.
            let link = unsafe { *ptr::from_ref(&self.names[index]).cast::<libc::sockaddr_ll>() };
            datagram.interface = link.sll_ifindex.cast_unsigned();
        }
        // SAFETY: msghdr is plain data; its control pointer and length are those of the buffer that the
        // kernel filled, which is not written through them. The CMSG functions stay within that length,
        // and each structure is read only under the level and type that say what it is.
        unsafe {
            let mut message: libc::msghdr = zeroed();
            message.msg_control = self.controls[index].0.as_ptr().cast_mut().cast();
            message.msg_controllen = self.control_lengths[index] as _;
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while !header.is_null() {
                let data = libc::CMSG_DATA(header);
                match ((*header).cmsg_level, (*header).cmsg_type) {
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info: libc::in_pktinfo = ptr::read_unaligned(data.cast());
                        datagram.to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
                        datagram.interface = info.ipi_ifindex.cast_unsigned();
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info: libc::in6_pktinfo = ptr::read_unaligned(data.cast());
                        datagram.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                        datagram.interface = info.ipi6_ifindex as u32;
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                        let limit: i32 = ptr::read_unaligned(data.cast());
                        datagram.hop_limit = u8::try_from(limit).unwrap_or(0);
                    }
                    _ => {}
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        datagram
    }
}
