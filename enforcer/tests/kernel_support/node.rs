//! One node with its pods: a cluster, of which one node matters.

use netproof_cluster::{Cluster, Netns};
use netproof_controlplane::Snapshot;
use netproof_model::{NamespacedName, Place};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect as begin, setsockopt, socket, sockopt,
};
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may take that must come: on a machine that is busy, any time.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long the socket of a connection is watched before the kernel is asked whether packets are under way: when it
/// has none, nothing will come.
const SILENCE: u8 = 50;

/// A node and its pods, which have IPv4 addresses.
pub struct Node {
    pub netns: Arc<Netns>,
    cluster: Cluster,
    snapshot: Arc<Snapshot>,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Connected; the server saw this source.
    Connected(IpAddr),
    /// Answered by a reset or an ICMP error.
    Refused,
    /// No answer.
    Dropped,
}

impl Node {
    /// Builds the cluster of the snapshot, whose node `node1` is.
    pub fn build(snapshot: &Arc<Snapshot>) -> Result<Node, Box<dyn Error>> {
        let cluster = Cluster::build(snapshot)?;
        let node = Place::Node("node1".into());
        let netns = Arc::clone(cluster.netns(&node).ok_or("there is no node1")?);
        Ok(Node { netns, cluster, snapshot: Arc::clone(snapshot) })
    }

    pub fn pod(&self, name: &str) -> &Netns {
        self.cluster.netns(&Place::Pod(pod_name(name))).unwrap()
    }

    pub fn address(&self, name: &str) -> Ipv4Addr {
        let addresses = self.snapshot.pods[&pod_name(name)].pod_ips.iter();
        let v4 = |address: &IpAddr| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        };
        addresses.filter_map(v4).next().unwrap()
    }

    /// A TCP listener in a pod.
    pub fn listen(&self, name: &str, port: u16) -> TcpListener {
        self.pod(name).enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap().unwrap()
    }

    /// A UDP socket in a pod that never waits ([`received`]). The address need not be the pod's own.
    pub fn udp(&self, name: &str, address: Ipv4Addr, port: u16) -> UdpSocket {
        let bound = || -> nix::Result<UdpSocket> {
            let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_NONBLOCK, None)?;
            setsockopt(&socket, sockopt::IpTransparent, &true)?;
            bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, port)))?;
            Ok(socket.into())
        };
        self.pod(name).enter(bound).unwrap().unwrap()
    }
}

fn pod_name(name: &str) -> NamespacedName {
    let (namespace, name) = name.split_once('/').unwrap();
    NamespacedName::new(namespace, name)
}

/// Tries a connection from a namespace; the listener tells what it saw. What is not answered was dropped when the
/// kernel has no packet under way any more.
pub fn connect(from: &Netns, to: (Ipv4Addr, u16), listener: &TcpListener) -> Fate {
    let stream = match from.enter(|| begin_to_connect(to)).unwrap() {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Fate::Refused,
        Err(error) => panic!("{error}"),
    };
    if !is_ready(&stream, PollFlags::POLLOUT, SILENCE.into()) {
        deliver_all();
        if !is_ready(&stream, PollFlags::POLLOUT, PollTimeout::ZERO) {
            return Fate::Dropped;
        }
    }
    match stream.take_error().unwrap() {
        None => Fate::Connected(listener.accept().unwrap().1.ip()),
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Fate::Refused,
        Some(error) => panic!("{error}"),
    }
}

/// Sends a connection's first packet, and does not wait for the answer.
fn begin_to_connect(to: (Ipv4Addr, u16)) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
    let address = SockaddrIn::from(SocketAddrV4::new(to.0, to.1));
    match begin(socket.as_raw_fd(), &address) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether something is to be had of a socket.
fn is_ready(socket: &impl AsFd, what: PollFlags, within: PollTimeout) -> bool {
    let mut sockets = [PollFd::new(socket.as_fd(), what)];
    poll(&mut sockets, within).unwrap() > 0
}

/// What a socket has received, once everything that was sent has been delivered.
pub fn received(socket: &UdpSocket) -> bool {
    deliver_all();
    socket.recv(&mut [0; 8]).is_ok()
}

/// Waits until the kernel has delivered what it has put off: it delivers a packet before the call that sent it
/// returns, unless it has too much to do; then it leaves that to a thread of its own.
fn deliver_all() {
    let (began, mut left) = (Instant::now(), true);
    while left && began.elapsed() < PATIENCE {
        std::thread::yield_now();
        let statistics = std::fs::read_to_string("/proc/net/softnet_stat").unwrap();
        let mut waiting = statistics.lines().filter_map(|line| line.split_whitespace().nth(11));
        left = waiting.any(|packets| packets.bytes().any(|digit| digit != b'0'));
    }
}
