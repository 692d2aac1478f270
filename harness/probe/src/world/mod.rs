//! The event loop: every listener, witness and log reader of the cluster on one epoll, served by one
//! thread.

mod queues;
mod tracing;
mod traffic;

use crate::error::ProbeError;
use crate::kept::{self, Connection};
use crate::ledger::Ledger;
use crate::stack::{self, Numbers, Role, Site, Stack};
use crate::sys::{self, MAILBOX, Mailbox};
use netproof_model::topology::ListenPort;
use netproof_model::{DataPath, Family, Place, Protocol, Token};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use traffic::{converse, deliver};

/// The key of sockets that only wake the loop: sockets of probes under way.
const PROBE: u64 = u64::MAX;

struct Entry {
    fd: OwnedFd,
    place: Arc<Place>,
    role: Role,
}

/// Every stack of the cluster, and the loop that serves their sockets.
pub(crate) struct World {
    data_path: DataPath,
    epoll: Epoll,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    families: Vec<Family>,
    stacks: BTreeMap<Place, Stack>,
    /// The counters of stacks that are gone: a new stack may get the address of one of them, whose
    /// connections the nodes still know.
    counted: Numbers,
    /// Open packet sockets, while a probe is traced.
    tracers: Vec<usize>,
    /// Open trace sockets, while rules are traced.
    rule_tracers: Vec<usize>,
    /// Connections that stay open between probes.
    kept: HashMap<kept::Key, Connection>,
    mailbox: Mailbox,
    events: Vec<EpollEvent>,
}

fn system(doing: &'static str, place: &Place) -> impl Fn(io::Error) -> ProbeError {
    move |source| ProbeError::System { doing, place: place.to_string(), source }
}

impl World {
    pub(crate) fn new(data_path: DataPath) -> Result<Self, ProbeError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| ProbeError::System {
            doing: "make an epoll instance",
            place: "this process".into(),
            source: errno.into(),
        })?;
        Ok(World {
            data_path,
            epoll,
            entries: Vec::new(),
            free: Vec::new(),
            families: Vec::new(),
            stacks: BTreeMap::new(),
            counted: Numbers::default(),
            tracers: Vec::new(),
            rule_tracers: Vec::new(),
            kept: HashMap::new(),
            mailbox: Mailbox::new(),
            events: vec![EpollEvent::empty(); 256],
        })
    }

    /// Opens what these stacks need and closes all other stacks.
    pub(crate) fn attach(&mut self, sites: Vec<Site>, families: &[Family]) -> Result<(), ProbeError> {
        let old = std::mem::take(&mut self.stacks);
        let same_families = self.families == families;
        self.families = families.to_vec();
        let mut sites: BTreeMap<Place, Site> =
            sites.into_iter().map(|site| (site.place.clone(), site)).collect();
        let mut gone = BTreeSet::new();
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
                    self.counted.follow(&stack.numbers);
                    let listeners = stack.listeners.iter().map(|(_, key)| *key);
                    for key in stack.keys.into_iter().chain(listeners) {
                        self.close(key);
                    }
                    gone.insert(place);
                }
            }
        }
        if !gone.is_empty() {
            self.hang_up(|place, _| gone.contains(place));
        }
        let is_lost = |key: &kept::Key, connection: &Connection| {
            gone.contains(&key.request.source)
                || connection.server.as_ref().is_some_and(|it| gone.contains(it))
        };
        let lost: Vec<Connection> =
            self.kept.extract_if(|key, connection| is_lost(key, connection)).map(|(_, it)| it).collect();
        lost.into_iter().for_each(|connection| self.discard(connection));
        for (place, site) in sites {
            let shared = Arc::new(place.clone());
            let opened = (site.netns)
                .enter(|| stack::open_witnesses(&place, families))
                .flatten()
                .map_err(system("open a witness", &place))?;
            let mut keys = Vec::with_capacity(opened.len());
            let mut senders = Vec::new();
            for (fd, role) in opened {
                let sends = match role {
                    Role::Witness {
                        family, protocol: protocol @ (Protocol::Icmp | Protocol::Sctp), ..
                    } => Some((protocol, family)),
                    _ => None,
                };
                let key = self.open(fd, &shared, role)?;
                keys.push(key);
                senders.extend(sends.map(|(protocol, family)| (protocol, family, key)));
            }
            let stack = Stack {
                netns: Arc::clone(&site.netns),
                keys,
                listeners: Vec::new(),
                sctp: BTreeSet::new(),
                senders,
                queues: None,
                numbers: self.counted,
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
        let of_sctp = site.listens.iter().filter(|port| port.protocol == Protocol::Sctp);
        stack.sctp = of_sctp.map(|port| port.port).collect();
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

    /// Who decides about packets.
    pub(crate) fn data_path(&self) -> DataPath {
        self.data_path
    }

    /// The stack at a place.
    pub(crate) fn stack(&mut self, place: &Place) -> Result<&mut Stack, ProbeError> {
        self.stacks.get_mut(place).ok_or_else(|| ProbeError::NoSuchPlace { place: place.clone() })
    }

    /// The shared socket that sends echoes and SCTP packets, which have no socket for each probe.
    pub(crate) fn sender(&self, place: &Place, protocol: Protocol, family: Family) -> Option<&OwnedFd> {
        if !matches!(protocol, Protocol::Icmp | Protocol::Sctp) {
            return None;
        }
        let senders = &self.stacks.get(place)?.senders;
        let (.., key) = senders.iter().find(|(of, in_family, _)| *of == protocol && *in_family == family)?;
        Some(&self.entries.get(*key)?.as_ref()?.fd)
    }

    /// Takes the connection that was kept for this request.
    pub(crate) fn take_kept(&mut self, key: &kept::Key) -> Option<Connection> {
        self.kept.remove(key)
    }

    /// Keeps a connection.
    pub(crate) fn keep(&mut self, key: kept::Key, connection: Connection) {
        self.kept.insert(key, connection);
    }

    /// Closes every kept connection.
    pub(crate) fn release(&mut self) {
        for (_, connection) in std::mem::take(&mut self.kept) {
            self.discard(connection);
        }
    }

    fn discard(&mut self, connection: Connection) {
        let opened_by = connection.opened_by;
        drop(connection);
        self.forget(opened_by);
    }

    /// Closes the server's end of a connection. It may never learn that the client closed, and would
    /// retransmit a lost answer again and again.
    pub(crate) fn forget(&mut self, opened_by: Token) {
        self.hang_up(|_, token| token == Some(opened_by));
    }

    /// Closes the accepted connections at these places, or with this token.
    fn hang_up(&mut self, which: impl Fn(&Place, Option<Token>) -> bool) {
        for key in 0..self.entries.len() {
            if let Some(Entry { place, role: Role::Connection { opened_by, .. }, .. }) = &self.entries[key]
                && which(place, *opened_by)
            {
                self.close(key);
            }
        }
    }

    /// Serves every ready socket, and waits up to `timeout` for the first one. Returns when none is ready
    /// any more, with whether any was.
    pub(crate) fn drain(&mut self, timeout: Duration, ledger: &mut Ledger) -> Result<bool, ProbeError> {
        // Round the wait up: a loop that wakes too early would spin.
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
        // An operation that failed once may be repeated.
        if *stays.as_ref().unwrap_or(&true) {
            self.entries[key] = Some(entry);
        } else {
            self.free.push(key);
        }
        stays.map(drop)
    }

    /// Accepts every waiting connection. Most of their probes have closed them already.
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
            let role = Role::Connection { client, request: Vec::new(), opened_by: None };
            let mut connection = Entry { fd, place: Arc::clone(&listener.place), role };
            if converse(&mut connection) {
                self.open(connection.fd, &listener.place, connection.role)?;
            }
        }
    }

    /// Receives every waiting datagram.
    fn receive(&mut self, entry: &mut Entry, ledger: &mut Ledger) -> Result<(), ProbeError> {
        loop {
            let received = match self.mailbox.receive(&entry.fd) {
                Ok(received) => received,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    if matches!(entry.role, Role::RuleTracer) {
                        // The messages are true, and the trace says that some are missing.
                        ledger.traces.cut();
                        continue;
                    }
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
                deliver(entry, self.mailbox.get(index), &self.stacks, ledger);
            }
            if received < MAILBOX {
                return Ok(());
            }
        }
    }
}

fn is_about_an_answer(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH))
}
