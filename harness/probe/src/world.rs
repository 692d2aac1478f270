//! The event loop: every listener, witness and log reader of the cluster on one epoll, served by one
//! thread.

use crate::error::ProbeError;
use crate::ledger::Ledger;
use crate::packet::{self, IpHeader};
use crate::stack::{self, Role, Site, Stack, interface_name};
use crate::sys::{self, MAILBOX, Mailbox};
use crate::{filter, nflog, server};
use netproof_model::topology::ListenPort;
use netproof_model::{Family, Place};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// The key of sockets that only wake the loop: those of probes under way.
const PROBE: u64 = u64::MAX;

struct Entry {
    fd: OwnedFd,
    place: Arc<Place>,
    role: Role,
}

/// Every stack of the cluster, and the loop that serves their sockets.
pub(crate) struct World {
    epoll: Epoll,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    families: Vec<Family>,
    stacks: BTreeMap<Place, Stack>,
    mailbox: Mailbox,
    events: Vec<EpollEvent>,
}

fn system(doing: &'static str, place: &Place) -> impl Fn(io::Error) -> ProbeError {
    move |source| ProbeError::System { doing, place: place.to_string(), source }
}

impl World {
    pub(crate) fn new() -> Result<Self, ProbeError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| ProbeError::System {
            doing: "make an epoll instance",
            place: "this process".into(),
            source: errno.into(),
        })?;
        Ok(World {
            epoll,
            entries: Vec::new(),
            free: Vec::new(),
            families: Vec::new(),
            stacks: BTreeMap::new(),
            mailbox: Mailbox::new(),
            events: vec![EpollEvent::empty(); 256],
        })
    }

    /// Opens what these stacks need and closes what is not among them.
    pub(crate) fn attach(&mut self, sites: Vec<Site>, families: &[Family]) -> Result<(), ProbeError> {
        let old = std::mem::take(&mut self.stacks);
        let same_families = self.families == families;
        self.families = families.to_vec();
        let mut sites: BTreeMap<Place, Site> =
            sites.into_iter().map(|site| (site.place.clone(), site)).collect();
        for (place, stack) in old {
            let kept =
                sites.get(&place).filter(|site| same_families && Arc::ptr_eq(&site.netns, &stack.netns));
            match kept {
                Some(site) => {
                    let site = site.clone();
                    sites.remove(&place);
                    self.change_listeners(site, stack)?;
                }
                None => {
                    let listeners = stack.listeners.iter().map(|(_, key)| *key);
                    for key in stack.keys.into_iter().chain(listeners).chain(stack.tracer) {
                        self.close(key);
                    }
                }
            }
        }
        for (place, site) in sites {
            let shared = Arc::new(place.clone());
            let opened = (site.netns)
                .enter(|| stack::open_witnesses(&place, families))
                .flatten()
                .map_err(system("open a witness", &place))?;
            let mut keys = Vec::with_capacity(opened.len());
            let mut icmp = Vec::new();
            for (fd, role) in opened {
                let sends = match role {
                    Role::Witness { family, protocol: netproof_model::Protocol::Icmp, .. } => Some(family),
                    _ => None,
                };
                let key = self.open(fd, &shared, role)?;
                keys.push(key);
                icmp.extend(sends.map(|family| (family, key)));
            }
            let stack = Stack {
                netns: Arc::clone(&site.netns),
                keys,
                listeners: Vec::new(),
                tracer: None,
                icmp,
                numbers: stack::Numbers::default(),
            };
            self.change_listeners(site, stack)?;
        }
        Ok(())
    }

    /// Makes the stack listen on exactly the site's ports, and keeps it.
    fn change_listeners(&mut self, site: Site, mut stack: Stack) -> Result<(), ProbeError> {
        stack.listeners.retain(|(port, key)| {
            let wanted = site.listens.contains(port);
            if !wanted {
                self.close(*key);
            }
            wanted
        });
        let have: Vec<ListenPort> = stack.listeners.iter().map(|(port, _)| *port).collect();
        let missing: Vec<ListenPort> =
            site.listens.iter().filter(|port| !have.contains(port)).copied().collect();
        if !missing.is_empty() {
            let shared = Arc::new(site.place.clone());
            let families = self.families.clone();
            let opened: Vec<(OwnedFd, Role)> = (site.netns)
                .enter(|| {
                    let listeners = missing.iter().map(|port| stack::open_listener(*port, &families));
                    listeners.collect::<io::Result<Vec<_>>>()
                })
                .flatten()
                .map_err(system("listen", &site.place))?
                .into_iter()
                .flatten()
                .collect();
            for (fd, role) in opened {
                if let Role::Listener(port) | Role::Datagrams(port) = role {
                    let key = self.open(fd, &shared, role)?;
                    stack.listeners.push((port, key));
                }
            }
        }
        self.stacks.insert(site.place, stack);
        Ok(())
    }

    fn open(&mut self, fd: OwnedFd, place: &Arc<Place>, role: Role) -> Result<usize, ProbeError> {
        let key = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key as u64);
        if let Err(errno) = self.epoll.add(&fd, event) {
            self.free.push(key);
            return Err(system("watch a socket", place)(errno.into()));
        }
        self.entries[key] = Some(Entry { fd, place: Arc::clone(place), role });
        Ok(key)
    }

    fn close(&mut self, key: usize) {
        if self.entries[key].take().is_some() {
            self.free.push(key);
        }
    }

    /// Watches the socket of a probe: an event on it ends a wait.
    pub(crate) fn watch(&self, fd: &OwnedFd) -> Result<(), ProbeError> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        match self.epoll.add(fd, EpollEvent::new(flags, PROBE)) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
            Err(errno) => Err(ProbeError::System {
                doing: "watch a socket",
                place: "this process".into(),
                source: errno.into(),
            }),
        }
    }

    /// The stack at a place.
    pub(crate) fn stack(&mut self, place: &Place) -> Result<&mut Stack, ProbeError> {
        self.stacks.get_mut(place).ok_or_else(|| ProbeError::NoSuchPlace { place: place.clone() })
    }

    /// The socket that sends the echoes of a place.
    pub(crate) fn echo_socket(&self, place: &Place, family: Family) -> Option<&OwnedFd> {
        let stack = self.stacks.get(place)?;
        let (_, key) = stack.icmp.iter().find(|(of, _)| *of == family)?;
        Some(&self.entries.get(*key)?.as_ref()?.fd)
    }

    /// Serves everything that is ready, waiting for the first of it as long as `timeout`; returns when
    /// nothing is ready any more, and says whether anything was.
    pub(crate) fn drain(&mut self, timeout: Duration, ledger: &mut Ledger) -> Result<bool, ProbeError> {
        // A wait is rounded up: a loop that comes a moment too early would spin.
        let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut timeout = EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::ZERO);
        let mut events = std::mem::take(&mut self.events);
        let mut any = false;
        let served = loop {
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => break Ok(any),
                Ok(count) => count,
                Err(errno) => {
                    break Err(ProbeError::System {
                        doing: "wait for sockets",
                        place: "this process".into(),
                        source: errno.into(),
                    });
                }
            };
            timeout = EpollTimeout::ZERO;
            any = true;
            let mut keys = events[..count].iter().map(EpollEvent::data).filter(|data| *data != PROBE);
            if let Err(error) = keys.try_for_each(|key| self.serve(key as usize, ledger)) {
                break Err(error);
            }
        };
        self.events = events;
        served
    }

    /// Serves one socket until it has nothing more.
    fn serve(&mut self, key: usize, ledger: &mut Ledger) -> Result<(), ProbeError> {
        let Some(mut entry) = self.entries.get_mut(key).and_then(Option::take) else { return Ok(()) };
        let stays = match entry.role {
            Role::Listener(_) => self.accept(&entry).map(|()| true),
            Role::Connection { .. } => Ok(converse(&mut entry)),
            _ => self.receive(&mut entry, ledger).map(|()| true),
        };
        if stays? {
            self.entries[key] = Some(entry);
        } else {
            self.free.push(key);
        }
        Ok(())
    }

    /// Accepts every connection that waits. Most were closed by their probe already.
    fn accept(&mut self, listener: &Entry) -> Result<(), ProbeError> {
        loop {
            let (fd, client) = match sys::accept(&listener.fd) {
                Ok(accepted) => accepted,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(()),
                    // The client went away while it waited in the queue.
                    Some(libc::ECONNABORTED | libc::EINTR) => continue,
                    _ => return Err(system("accept a connection", &listener.place)(error)),
                },
            };
            let role = Role::Connection { client, request: Vec::new() };
            let mut connection = Entry { fd, place: Arc::clone(&listener.place), role };
            if converse(&mut connection) {
                self.open(connection.fd, &listener.place, connection.role)?;
            }
        }
    }

    /// Receives every datagram that waits.
    fn receive(&mut self, entry: &mut Entry, ledger: &mut Ledger) -> Result<(), ProbeError> {
        loop {
            let received = match self.mailbox.receive(&entry.fd) {
                Ok(received) => received,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Err(ProbeError::LogsLost { place: (*entry.place).clone() });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A datagram socket reports the ICMP errors about its answers here.
                Err(error) if matches!(entry.role, Role::Datagrams(_)) && is_about_an_answer(&error) => {
                    continue;
                }
                Err(error) => return Err(system("receive", &entry.place)(error)),
            };
            for index in 0..received {
                deliver(entry, self.mailbox.get(index), ledger);
            }
            if received < MAILBOX {
                return Ok(());
            }
        }
    }

    /// Lets the tracer of every node and router among these stacks receive, or not.
    pub(crate) fn trace(
        &mut self,
        on: bool,
        places: &[(Place, Arc<netproof_cluster::Netns>)],
    ) -> Result<(), ProbeError> {
        for (place, netns) in places {
            let key = match self.stacks.get(place).and_then(|stack| stack.tracer) {
                Some(key) => key,
                None => {
                    let doing = "open a packet socket";
                    let (fd, role) =
                        netns.enter(stack::open_tracer).flatten().map_err(system(doing, place))?;
                    let key = self.open(fd, &Arc::new(place.clone()), role)?;
                    let stack = self.stacks.entry(place.clone()).or_insert_with(|| Stack {
                        netns: Arc::clone(netns),
                        keys: Vec::new(),
                        listeners: Vec::new(),
                        tracer: None,
                        icmp: Vec::new(),
                        numbers: stack::Numbers::default(),
                    });
                    stack.tracer = Some(key);
                    key
                }
            };
            if let Some(entry) = self.entries.get(key).and_then(Option::as_ref) {
                sys::attach_filter(&entry.fd, &filter::everything(on))
                    .map_err(system("attach a packet filter", place))?;
            }
        }
        Ok(())
    }
}

fn is_about_an_answer(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH))
}

/// Books or answers one datagram.
fn deliver(entry: &mut Entry, datagram: sys::Datagram<'_>, ledger: &mut Ledger) {
    let fd = &entry.fd;
    let place = &*entry.place;
    match &mut entry.role {
        Role::Log => {
            if let Place::Node(node) = place {
                nflog::parse(datagram.data).for_each(|logged| ledger.logged(node, &logged));
            }
        }
        Role::Witness { family, protocol, interfaces } => {
            let packet = match family {
                Family::Ipv4 => packet::parse(datagram.data),
                Family::Ipv6 => datagram.from.zip(datagram.to).and_then(|(from, to)| {
                    let header = IpHeader {
                        source: from.ip(),
                        destination: to,
                        hop_limit: datagram.hop_limit,
                        protocol: protocol.number(*family),
                    };
                    packet::transport(header, datagram.data)
                }),
            };
            if let Some(packet) = packet {
                ledger.delivered(place, &packet, || interface_name(fd, interfaces, datagram.interface));
            }
        }
        Role::Tracer { interfaces } => {
            if let Some(packet) = packet::parse(datagram.data) {
                ledger.passed(place, &packet, || interface_name(fd, interfaces, datagram.interface));
            }
        }
        Role::Datagrams(_) => {
            if let (Some(from), Some(to)) = (datagram.from, datagram.to)
                && let Some(answer) = server::answer_datagram(datagram.data, &place.to_string(), Some(from))
            {
                // An answer that its own node refuses is a reply lost, which the probe will notice.
                let _ = sys::send_from(fd, &answer, from, to);
            }
        }
        Role::Listener(_) | Role::Connection { .. } => {}
    }
}

/// Reads what a client has sent and answers when it can; false when the connection is over.
fn converse(connection: &mut Entry) -> bool {
    let Role::Connection { client, request } = &mut connection.role else { return false };
    let mut buffer = [0; 2048];
    loop {
        match sys::receive(&connection.fd, &mut buffer) {
            Ok(0) => return false,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        if request.len() > server::LONGEST_REQUEST {
            return false;
        }
        if let Some(answer) = server::answer_stream(request, &connection.place.to_string(), *client) {
            request.clear();
            // A client that cannot be answered will say so itself.
            if sys::send(&connection.fd, &answer).is_err() {
                return false;
            }
        }
    }
}
