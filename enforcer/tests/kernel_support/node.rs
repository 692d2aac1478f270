//! One node with its pods, wired as `routed`: a veth and a host route for each, IPv4 only.

use super::new_netns;
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::NamespacedName;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, socket};
use nlink::LinkCond;
use nlink::netlink::addr::Ipv4Address;
use nlink::netlink::link::VethLink;
use nlink::netlink::route::Ipv4Route;
use nlink::netlink::{Connection, Route};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// How long something may take that must come: on a machine that is busy, any time.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long the socket of a connection is watched before the kernel is asked whether packets are under way: when it
/// has none, nothing will come.
const SILENCE: u8 = 50;

/// A node and its pods.
pub struct Node {
    pub netns: File,
    pods: BTreeMap<String, (File, Ipv4Addr)>,
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
    /// Wires the pods that the snapshot has on `node1`.
    pub fn build(snapshot: &Snapshot) -> Result<Node, Box<dyn Error>> {
        let netns = new_netns()?;
        within(&netns, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))??;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut pods = BTreeMap::new();
        runtime.block_on(async {
            let node = Connection::<Route>::new_in(netns.as_fd())?;
            node.set_link_up("lo").await?;
            for address in snapshot.nodes["node1"].addresses.iter().copied().filter_map(v4) {
                node.add_address(Ipv4Address::new("lo", address, 32)).await?;
            }
            // A packet that no rule stops must have somewhere to go.
            node.add_route(Ipv4Route::default_route().dev("lo")).await?;
            for (name, pod) in &snapshot.pods {
                let Some(address) = pod.pod_ips.iter().copied().find_map(v4) else { continue };
                if pod.node_name.as_deref() == Some("node1") {
                    let pod_netns = new_netns()?;
                    wire(&node, name, &pod_netns, address).await?;
                    pods.insert(name.to_string(), (pod_netns, address));
                }
            }
            Ok::<(), nlink::Error>(())
        })?;
        Ok(Node { netns, pods })
    }

    pub fn pod(&self, name: &str) -> &File {
        &self.pods[name].0
    }

    pub fn address(&self, name: &str) -> Ipv4Addr {
        self.pods[name].1
    }

    /// A TCP listener in a pod.
    pub fn listen(&self, name: &str, port: u16) -> TcpListener {
        within(self.pod(name), || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap().unwrap()
    }

    /// A UDP socket in a pod that never waits ([`received`]).
    pub fn udp(&self, name: &str, address: Ipv4Addr, port: u16) -> UdpSocket {
        let socket = within(self.pod(name), || UdpSocket::bind((address, port))).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    /// Gives a pod an address that is not its own.
    pub fn claim(&self, name: &str, address: Ipv4Addr) -> Result<(), Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(async {
            let pod = Connection::<Route>::new_in(self.pod(name).as_fd())?;
            pod.add_address(Ipv4Address::new("lo", address, 32)).await
        })?)
    }
}

/// Tries a connection from a namespace; the listener tells what it saw. What is not answered was dropped when the
/// kernel has no packet under way any more.
pub fn connect(from: &File, to: (Ipv4Addr, u16), listener: &TcpListener) -> Fate {
    let stream = match within(from, || begin_to_connect(to)).unwrap() {
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
    match nix::sys::socket::connect(socket.as_raw_fd(), &address) {
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

/// Runs `work` on a thread of its own in a namespace.
pub fn within<T: Send>(netns: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        thread.join().unwrap()
    })
}

async fn wire(
    node: &Connection<Route>,
    name: &NamespacedName,
    pod_netns: &File,
    address: Ipv4Addr,
) -> Result<(), nlink::Error> {
    let interface = host_interface(name);
    node.add_link(VethLink::new(&interface, "eth0").peer_netns_fd(pod_netns.as_fd())).await?;
    node.set_link_up(interface.as_str()).await?;
    node.add_address(Ipv4Address::new(&interface, GATEWAY, 32)).await?;
    node.add_route(Ipv4Route::from_addr(address, 32).dev(&interface)).await?;
    let pod = Connection::<Route>::new_in(pod_netns.as_fd())?;
    pod.set_link_up("lo").await?;
    pod.set_link_up("eth0").await?;
    pod.add_address(Ipv4Address::new("eth0", address, 32)).await?;
    pod.add_route(Ipv4Route::default_route().gateway(GATEWAY).dev("eth0").onlink()).await?;
    // A worker of the kernel opens the queue of a link that has come up. It drops what is sent before.
    node.wait_link(interface.as_str(), LinkCond::OperUp, PATIENCE).await?;
    pod.wait_link("eth0", LinkCond::OperUp, PATIENCE).await?;
    Ok(())
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
