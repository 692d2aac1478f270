//! Counters that mean "a packet was lost, and not to policy".
//!
//! A counter that went up since the last reading is a fault of the machine or of netproof, never a verdict.
//! The interfaces and connection tracking of nodes and the router, through which every packet passes, are
//! read each time, from files that stay open (the kernel writes the content anew for a read from the start).
//! The other counters are read in a few namespaces at a time, in turn.
//!
//! Counters that also go up for harmless reasons are not here. Drops by netfilter do not count in any of
//! these: neither a rule's, nor the verdict of a program that decides about packets (NFQUEUE), nor what an enforcer
//! drops because conntrack finds it invalid. A packet that such a program never got, because its queue or its socket was
//! full, is a loss: nobody has decided about it. (If the queue is to let packets pass then, as `fail-open` says, the
//! kernel does not count them.) A packet that waits for a program's decision when its copy comes, a second later, makes
//! `insert_failed` go up where both are accepted; that is a loss, too, though of the copy only. Martians are counted only for the whole machine (`/proc/net/stat/rt_cache` shows the same numbers
//! in every namespace); here they show as `IPReversePathFilter`, the one reason that our sysctls rule out.

use crate::error::{ClusterError, Loss};
use crate::namespace::{BRIDGE_NAME, Namespace, UNPLUGGED};
use crate::netns::Netns;
use netproof_model::Place;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;

/// Namespaces that are read in full in one turn. A full reading costs some 100 µs a namespace, because the
/// kernel writes two hundred counters beside those of sockets; reading the open files costs 10 µs.
const FULL_AT_ONCE: usize = 1;

/// A counter, by its file under `/proc/net`, its group there and its name.
struct Counter {
    file: File,
    group: &'static str,
    name: &'static str,
    meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    /// `netstat` and `snmp`: a line of names and a line of values for each group.
    Netstat,
    Snmp,
    /// `snmp6`: a line for each name.
    Snmp6,
}

/// Counters of sockets, in every namespace.
const SOCKETS: [Counter; 7] = [
    Counter {
        file: File::Netstat,
        group: "TcpExt",
        name: "ListenOverflows",
        meaning: "a listener's queue was full: connections are not accepted as fast as they are made",
    },
    Counter {
        file: File::Netstat,
        group: "TcpExt",
        name: "ListenDrops",
        meaning: "a listener dropped a connection",
    },
    Counter {
        file: File::Netstat,
        group: "TcpExt",
        name: "TCPBacklogDrop",
        meaning: "a socket's queue was full",
    },
    Counter {
        file: File::Netstat,
        group: "TcpExt",
        name: "IPReversePathFilter",
        meaning: "a source address was refused on its interface: somebody switched rp_filter on",
    },
    Counter { file: File::Snmp, group: "Udp", name: "RcvbufErrors", meaning: RECEIVE_BUFFER },
    Counter {
        file: File::Snmp,
        group: "Udp",
        name: "MemErrors",
        meaning: "the kernel's UDP memory is used up",
    },
    Counter { file: File::Snmp6, group: "Udp6", name: "RcvbufErrors", meaning: RECEIVE_BUFFER },
];

const RECEIVE_BUFFER: &str =
    "a socket's receive buffer was full: datagrams are not read as fast as they come";

/// Counters of connection tracking, where it runs: on nodes and the router.
const CONNTRACK: [(&str, &str); 3] = [
    ("insert_failed", "two connections clashed in the connection table"),
    ("drop", "the connection table is full: `sudo sysctl -w net.netfilter.nf_conntrack_max=262144`"),
    (
        "early_drop",
        "the connection table is full and lost connections: \
         `sudo sysctl -w net.netfilter.nf_conntrack_max=262144`",
    ),
];

/// What is lost of the packets that a program decides about, by the column of `netfilter/nfnetlink_queue`.
const QUEUES: [(usize, &str, &str); 2] = [
    (5, "queue_dropped", "the queue was full of packets that a program is to decide about: it is too slow"),
    (6, "user_dropped", "a program that decides about packets did not read them as fast as they came"),
];

const INTERFACE: &str = "an interface dropped packets: the machine is overloaded, or a link was down";

const NEIGHBOURS: &str = "the machine's table of learned neighbours is full: \
                          `sudo sysctl -w net.ipv4.neigh.default.gc_thresh3=65536 \
                          net.ipv6.neigh.default.gc_thresh3=65536`";

/// The last readings.
#[derive(Debug, Default)]
pub(crate) struct Health {
    neighbours: Option<u64>,
    places: BTreeMap<Place, Reading>,
    /// The last place that was read in full.
    turn: Option<Place>,
    /// What was read last; kept for its memory.
    text: String,
}

#[derive(Debug, Default)]
struct Reading {
    /// How many links the namespace has had.
    links: u32,
    /// By interface.
    interfaces: BTreeMap<String, u64>,
    conntrack: Option<[u64; CONNTRACK.len()]>,
    queues: [u64; QUEUES.len()],
    sockets: Option<[u64; SOCKETS.len()]>,
    /// The open files of a namespace that forwards, from the first reading on. (A pod keeps none open: a
    /// thousand pods would need thousands of descriptors.)
    dev_file: Option<fs::File>,
    conntrack_file: Option<fs::File>,
    queues_file: Option<fs::File>,
}

impl Health {
    /// Reads the counters and returns those that went up since the last reading; a namespace starts at 0.
    /// With `all`, every counter is read; otherwise those of forwarders' packets, and all counters of some
    /// namespaces, in turn. Counters never go down, so a later reading still shows the loss.
    pub fn read(
        &mut self,
        namespaces: &mut BTreeMap<Place, Namespace>,
        all: bool,
    ) -> Result<Vec<Loss>, ClusterError> {
        let mut losses = Vec::new();
        self.places.retain(|place, _| namespaces.contains_key(place));
        let turn = self.take_turns(namespaces, all);
        if turn.contains(&Place::Router)
            && let Some(router) = namespaces.get_mut(&Place::Router)
        {
            // The kernel answers under the lock of links, so this may wait for others.
            let fulls = router.neighbour_overflows()?;
            losses.extend(rise(None, "neighbour table_fulls", self.neighbours, fulls, NEIGHBOURS));
            self.neighbours = Some(fulls);
        }
        for (place, namespace) in namespaces.iter() {
            let full = turn.contains(place);
            if full || namespace.forwards() {
                let reading = self.places.entry(place.clone()).or_default();
                let read = reading.update(place, namespace, full, &mut self.text, &mut losses);
                read.map_err(|error| ClusterError::io(place, "read counters", &error))?;
            }
        }
        self.turn = turn.into_iter().last().or(self.turn.take());
        Ok(losses)
    }

    /// Takes the present values of new counters as their start: the machine's shared counters, and those of
    /// new links (a link with only one end up drops packets that nobody sent on purpose).
    pub fn start(&mut self, namespaces: &mut BTreeMap<Place, Namespace>) -> Result<(), ClusterError> {
        if self.neighbours.is_none()
            && let Some(router) = namespaces.get_mut(&Place::Router)
        {
            self.neighbours = Some(router.neighbour_overflows()?);
        }
        for (place, namespace) in namespaces.iter() {
            let reading = self.places.entry(place.clone()).or_default();
            if namespace.links() != reading.links {
                let drops = reading.read_drops(namespace, &mut self.text);
                let drops = drops.map_err(|error| ClusterError::io(place, "read counters", &error))?;
                let known = std::mem::replace(&mut reading.interfaces, drops);
                reading.interfaces.extend(known);
                reading.links = namespace.links();
            }
        }
        Ok(())
    }

    /// Forgets a place that is about to get another namespace.
    pub fn forget(&mut self, place: &Place) {
        self.places.remove(place);
    }

    /// Forgets a link of a place that stays: the next link of this name starts its own counters.
    pub fn forget_link(&mut self, place: &Place, link: &str) {
        if let Some(reading) = self.places.get_mut(place) {
            reading.interfaces.remove(link);
        }
    }

    /// The places to read in full now.
    fn take_turns(&self, namespaces: &BTreeMap<Place, Namespace>, all: bool) -> Vec<Place> {
        let number = if all { namespaces.len() } else { FULL_AT_ONCE };
        let after = namespaces.keys().filter(|place| Some(*place) > self.turn.as_ref());
        let before = namespaces.keys().filter(|place| Some(*place) <= self.turn.as_ref());
        after.chain(before).take(number).cloned().collect()
    }
}

impl Reading {
    fn update(
        &mut self,
        place: &Place,
        namespace: &Namespace,
        full: bool,
        text: &mut String,
        losses: &mut Vec<Loss>,
    ) -> io::Result<()> {
        let interfaces = self.read_drops(namespace, text)?;
        for (name, now) in &interfaces {
            let before = self.interfaces.get(name).copied().unwrap_or(0);
            losses.extend(rise(Some(place), &format!("drops of {name}"), Some(before), *now, INTERFACE));
        }
        self.interfaces = interfaces;
        if namespace.forwards() {
            read(&mut self.conntrack_file, "stat/nf_conntrack", namespace.netns(), text)?;
            let now = conntrack(text);
            for ((i, now), (name, meaning)) in now.iter().enumerate().zip(CONNTRACK) {
                let before = self.conntrack.map_or(0, |counters| counters[i]);
                losses.extend(rise(Some(place), &format!("conntrack {name}"), Some(before), *now, meaning));
            }
            self.conntrack = Some(now);
            read(&mut self.queues_file, "netfilter/nfnetlink_queue", namespace.netns(), text)?;
            let now = queues(text);
            for ((before, now), (_, name, meaning)) in self.queues.iter().zip(now).zip(QUEUES) {
                losses.extend(rise(Some(place), &format!("NFQUEUE {name}"), Some(*before), now, meaning));
            }
            self.queues = now;
        }
        if full {
            let once = |file| {
                let mut text = String::new();
                read(&mut None, file, namespace.netns(), &mut text).map(|()| text)
            };
            let texts = [once("netstat")?, once("snmp")?, once("snmp6")?];
            let now = SOCKETS.each_ref().map(|counter| counter.find(&texts));
            for ((i, now), counter) in now.iter().enumerate().zip(&SOCKETS) {
                let before = self.sockets.map_or(0, |counters| counters[i]);
                let name = format!("{} {}", counter.group, counter.name);
                losses.extend(rise(Some(place), &name, Some(before), *now, counter.meaning));
            }
            self.sockets = Some(now);
        }
        Ok(())
    }

    fn read_drops(&mut self, namespace: &Namespace, text: &mut String) -> io::Result<BTreeMap<String, u64>> {
        let mut once = None;
        let file = if namespace.forwards() { &mut self.dev_file } else { &mut once };
        read(file, "dev", namespace.netns(), text)?;
        Ok(interface_drops(text))
    }
}

impl Counter {
    fn find(&self, texts: &[String; 3]) -> u64 {
        let text = &texts[self.file as usize];
        if self.file == File::Snmp6 {
            let mut lines =
                text.lines().filter_map(|line| line.strip_prefix(self.group)?.strip_prefix(self.name));
            return lines.next().and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        }
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(self.group)?.strip_prefix(": "));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
        let mut pairs = names.split(' ').zip(values.split(' '));
        pairs.find(|(name, _)| *name == self.name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

/// The drops of each interface in use, of both directions, from `/proc/net/dev`.
fn interface_drops(text: &str) -> BTreeMap<String, u64> {
    let interface = |line: &str| {
        let (name, values) = line.split_once(':')?;
        // A bridge counts packets without a port to go to as dropped (IPv6 group membership on a node
        // without pods). If it lost packets of ours, its ports and the probes would show it.
        if name.trim().starts_with(UNPLUGGED) || name.trim() == BRIDGE_NAME {
            return None;
        }
        let values: Vec<u64> = values.split_whitespace().filter_map(|value| value.parse().ok()).collect();
        Some((name.trim().to_owned(), values.get(3)? + values.get(11)?))
    };
    text.lines().skip(2).filter_map(interface).collect()
}

/// The sums over processors of the counters of [`CONNTRACK`], from `/proc/net/stat/nf_conntrack`.
fn conntrack(text: &str) -> [u64; CONNTRACK.len()] {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let mut sums = [0; CONNTRACK.len()];
    for line in lines {
        for (name, value) in names.iter().zip(line.split_whitespace()) {
            if let Some(i) = CONNTRACK.iter().position(|(wanted, _)| wanted == name) {
                sums[i] += u64::from_str_radix(value, 16).unwrap_or(0);
            }
        }
    }
    sums
}

/// The sums over a namespace's queues of the columns of [`QUEUES`], from `/proc/net/netfilter/nfnetlink_queue`.
fn queues(text: &str) -> [u64; QUEUES.len()] {
    QUEUES.map(|(column, ..)| {
        let values = text.lines().filter_map(|line| line.split_whitespace().nth(column)?.parse::<u64>().ok());
        values.sum()
    })
}

/// Reads a file of a namespace into `text` and keeps it open in `file`. `text` is empty if the kernel lacks
/// the file (no IPv6, connection tracking not loaded yet).
fn read(file: &mut Option<fs::File>, name: &str, netns: &Netns, text: &mut String) -> io::Result<()> {
    text.clear();
    if file.is_none() {
        *file = match netns.enter(|| fs::File::open(format!("/proc/thread-self/net/{name}")))? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => Some(opened?),
        };
    }
    let Some(file) = file else { return Ok(()) };
    let mut bytes = std::mem::take(text).into_bytes();
    let mut end = 0;
    loop {
        if bytes.len() == end {
            bytes.resize((2 * end).max(16 * 1024), 0);
        }
        match file.read_at(&mut bytes[end..], end as u64) {
            Ok(0) => break,
            Ok(length) => end += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(end);
    *text = String::from_utf8(bytes).map_err(io::Error::other)?;
    Ok(())
}

fn rise(
    place: Option<&Place>,
    counter: &str,
    before: Option<u64>,
    now: u64,
    meaning: &'static str,
) -> Option<Loss> {
    let increase = now.checked_sub(before?).filter(|increase| *increase > 0)?;
    Some(Loss { place: place.cloned(), counter: counter.to_owned(), increase, meaning })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let texts = [
            "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 22 33\nIpExt: A\nIpExt: 9\n"
                .into(),
            "Udp: InDatagrams RcvbufErrors\nUdp: 5 6\nUdpLite: InDatagrams RcvbufErrors\nUdpLite: 7 8\n"
                .into(),
            "Udp6InDatagrams   \t3\nUdp6RcvbufErrors                \t4\n".into(),
        ];
        let found = SOCKETS.each_ref().map(|counter| counter.find(&texts));
        assert_eq!(found, [22, 33, 0, 0, 6, 0, 4]);
        let nothing = [String::new(), String::new(), String::new()];
        assert_eq!(SOCKETS.each_ref().map(|counter| counter.find(&nothing)), [0; 7]);
    }

    #[test]
    fn conntrack_is_hexadecimal_and_summed() {
        let text = "entries insert_failed drop early_drop\n00000001 00000010 00000002 00000000\n\
                    00000001 00000001 0000000a 00000003\n";
        assert_eq!(conntrack(text), [17, 12, 3]);
        assert_eq!(conntrack(""), [0; 3]);
    }

    #[test]
    fn losses_of_every_queue_are_summed() {
        let text = "    7 3279100561     2 1     0     3    20    20208  1\n   \
                    100  101     0 2 65531     1     0    17  1\n";
        assert_eq!(queues(text), [4, 20]);
        assert_eq!(queues(""), [0; 2]);
    }

    #[test]
    fn drops_of_both_directions() {
        let text = "Inter-|   Receive      |  Transmit\n face |bytes packets ...\n\
                    \x20 eth0: 1 2 0 3 0 0 0 0 4 5 0 6 0 0 0 0\n    lo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let drops = interface_drops(text);
        assert_eq!(drops, BTreeMap::from([("eth0".to_owned(), 9), ("lo".to_owned(), 0)]));
    }
}
