//! `healthCheckNodePort`: on every node an HTTP answer that tells load balancers whether a service whose
//! `externalTrafficPolicy` is Local has ready endpoints there.
//!
//! 200 with endpoints, 503 without; the body is kube-proxy's JSON. The header `Server: netproof` tells a
//! probe whose answer it has: a 200 counts as connected, a 503 is no answer.
//!
//! One thread serves all nodes: a socket stays in the namespace that it was created in. Every socket has
//! `SO_LINGER` zero, and is closed when a port is given up or the proxy is dropped, so that none holds
//! its namespace afterwards.

use super::gathered::Gathered;
use crate::EnforcerError;
use crate::services::{Inputs, is_of_family};
use netproof_api::core::{ServiceType, TrafficPolicy};
use netproof_model::{Family, NamespacedName};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, listen,
    setsockopt, socket, sockopt,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The longest request that is read.
const LONGEST_REQUEST: usize = 4096;
/// How long a client may take for its request, and afterwards to hang up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a node answers on one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Whose health it is.
    pub service: NamespacedName,
    /// How many ready endpoints of it are on the node.
    pub local_endpoints: usize,
}

/// The health checks of a node, by port.
pub(super) fn health_checks(gathered: &Gathered, node: &str) -> BTreeMap<u16, HealthCheck> {
    let mut checks = BTreeMap::new();
    for (name, service) in &gathered.snapshot().services {
        let local = service.service_type == ServiceType::LoadBalancer
            && service.external_traffic_policy == TrafficPolicy::Local;
        let Some(port) = service.health_check_node_port.filter(|_| local) else { continue };
        let Some(inputs) = gathered.inputs(name) else { continue };
        let check = HealthCheck { service: name.clone(), local_endpoints: local_endpoints(&inputs, node) };
        // A port belongs to one service, the first.
        checks.entry(port).or_insert(check);
    }
    checks
}

/// How many ready endpoints of a service are on a node.
fn local_endpoints(inputs: &Inputs, node: &str) -> usize {
    // Each family has the same endpoints: those of the primary one are counted.
    let Some(family) = inputs.service.cluster_ips.first().copied().map(Family::of) else { return 0 };
    let slices = inputs.slices.iter().filter(|slice| is_of_family(slice, family));
    let ready = slices
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.ready && endpoint.node_name.as_deref() == Some(node));
    ready.filter_map(|endpoint| endpoint.addresses.first()).collect::<BTreeSet<_>>().len()
}

/// Answers health checks on every node.
pub(super) struct HealthServer {
    /// Started with the first check: most clusters have none.
    worker: Option<Worker>,
    listeners: BTreeMap<(String, u16), Listener>,
}

struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Listener {
    service: NamespacedName,
    local_endpoints: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    /// Hangs up when every socket of the listener is closed.
    closed: mpsc::Receiver<()>,
}

impl HealthServer {
    pub(super) fn new() -> HealthServer {
        HealthServer { worker: None, listeners: BTreeMap::new() }
    }

    /// Makes `checks` what a node answers, from when this returns.
    pub(super) fn update(
        &mut self,
        node: &str,
        netns: BorrowedFd<'_>,
        ipv6: bool,
        checks: &BTreeMap<u16, HealthCheck>,
    ) -> Result<(), EnforcerError> {
        self.listeners.retain(|(of, port), listener| {
            of != node || checks.get(port).is_some_and(|check| check.service == listener.service)
        });
        for (port, check) in checks {
            let key = (node.to_owned(), *port);
            if let Some(listener) = self.listeners.get(&key) {
                listener.local_endpoints.store(check.local_endpoints, Ordering::Release);
                continue;
            }
            let socket = open(netns, *port, ipv6).map_err(|source| EnforcerError::HealthCheck {
                node: node.to_owned(),
                service: check.service.clone(),
                port: *port,
                source,
            })?;
            let worker = match &mut self.worker {
                Some(worker) => worker,
                none => none.insert(Worker::start().map_err(EnforcerError::HealthChecks)?),
            };
            self.listeners.insert(key, worker.serve(socket, check));
        }
        Ok(())
    }
}

impl Worker {
    fn start() -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("health-checks".into()).spawn(move || {
            // Ends when the sender is dropped; with the runtime go its tasks and their sockets.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Worker { handle, stop: Some(stop), thread: Some(thread) })
    }

    fn serve(&self, socket: TcpListener, check: &HealthCheck) -> Listener {
        let local_endpoints = Arc::new(AtomicUsize::new(check.local_endpoints));
        let (stop, stopped) = oneshot::channel();
        let (open, closed) = mpsc::channel();
        let answer = Answer { service: check.service.clone(), local_endpoints: Arc::clone(&local_endpoints) };
        self.handle.spawn(accept(socket, answer, stopped, open));
        Listener { service: check.service.clone(), local_endpoints, stop: Some(stop), closed }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nobody ever sends: this returns when the last socket is closed.
        let _ = self.closed.recv();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        // The worker closes their sockets, so they go before it.
        self.listeners.clear();
    }
}

/// A listening socket in the namespace, on every address of it.
fn open(netns: BorrowedFd<'_>, port: u16, ipv6: bool) -> io::Result<TcpListener> {
    let listener = std::thread::scope(|scope| {
        // A thread of its own, which ends there.
        let thread = scope.spawn(move || {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
            if ipv6 {
                let any = SockaddrIn6::from(std::net::SocketAddrV6::new(
                    std::net::Ipv6Addr::UNSPECIFIED,
                    port,
                    0,
                    0,
                ));
                listening(AddressFamily::Inet6, &any)
            } else {
                let any =
                    SockaddrIn::from(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, port));
                listening(AddressFamily::Inet, &any)
            }
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that opens the socket failed")))
    })?;
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn listening(family: AddressFamily, address: &dyn SockaddrLike) -> io::Result<OwnedFd> {
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd.as_fd(), sockopt::ReuseAddr, &true)?;
    // Before anybody connects: accepted sockets inherit it.
    setsockopt(&fd.as_fd(), sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
    if family == AddressFamily::Inet6 {
        setsockopt(&fd.as_fd(), sockopt::Ipv6V6Only, &false)?;
    }
    bind(fd.as_raw_fd(), address)?;
    listen(&fd, Backlog::MAXCONN)?;
    Ok(fd)
}

#[derive(Clone)]
struct Answer {
    service: NamespacedName,
    local_endpoints: Arc<AtomicUsize>,
}

impl Answer {
    fn text(&self, body_wanted: bool) -> String {
        let local = self.local_endpoints.load(Ordering::Acquire);
        let status = if local > 0 { "200 OK" } else { "503 Service Unavailable" };
        let NamespacedName { namespace, name } = &self.service;
        // Names of objects need no escapes in JSON.
        let body = format!(
            "{{\"service\":{{\"namespace\":\"{namespace}\",\"name\":\"{name}\"}},\
             \"localEndpoints\":{local},\"serviceProxyHealthy\":true}}\n"
        );
        let head = format!(
            "HTTP/1.1 {status}\r\nServer: netproof\r\nContent-Type: application/json\r\n\
             X-Content-Type-Options: nosniff\r\nX-Load-Balancing-Endpoint-Weight: {local}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        if body_wanted { head + &body } else { head }
    }
}

/// Accepts and answers until `stopped`. `open` is dropped after the sockets are.
async fn accept(
    socket: TcpListener,
    answer: Answer,
    mut stopped: oneshot::Receiver<()>,
    open: mpsc::Sender<()>,
) {
    // Declared in this order, dropped in the other.
    let _open = open;
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(tokio::time::timeout(PATIENCE, converse(stream, answer.clone())));
                }
                // Of one connection that ended early; the next may be better. Nothing is logged: the
                // client has its own account of it.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Reads one request, answers it, and waits for the client to hang up: closing first would take back
/// what it has not read yet.
async fn converse(stream: TcpStream, answer: Answer) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => request.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if request.len() > LONGEST_REQUEST {
            return Ok(());
        }
    }
    let text = answer.text(!request.starts_with(b"HEAD "));
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
