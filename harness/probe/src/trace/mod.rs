//! The rules that a probe's request met on every node, by nftables' own trace.
//!
//! A table of the harness marks the requests of some probes early. For a marked packet the kernel reports
//! every rule that matches to the listeners in that namespace. A message is readable as soon as the system
//! call that sent the packet returns.

mod marks;
mod message;

pub(crate) use marks::Marks;

use crate::error::ProbeError;
use crate::packet::{Kind, Packet};
use crate::sys;
use message::Speaker;
use netproof_cluster::Netns;
use netproof_model::{ChainPass, Place, RuleTrace, Token, TraceStep, TraceVerdict, TracedRule};
use netproof_netfilter::nft;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Opens a listener in the calling thread's namespace.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let fd = sys::netfilter_socket()?;
    sys::enlarge_receive_buffer(&fd)?;
    sys::join_netlink_group(&fd, libc::NFNLGRP_NFTRACE)?;
    Ok(fd)
}

/// The traces of the requests of a batch.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Each pass with its request's token and hop limit there, in the order of the messages.
    passes: Vec<(Token, u8, Pass)>,
    /// The requests under way, by node and the kernel's number of the packet.
    open: HashMap<(String, u32), Open>,
    /// Whether messages were lost.
    is_cut: bool,
}

/// A request that is under way on a node.
#[derive(Debug)]
struct Open {
    /// The packet as it was last shown.
    packet: Packet,
    /// The pass that has not ended yet.
    pass: Option<usize>,
}

/// A pass, and the kernel's key of its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The table's family, `NFPROTO_...`.
    pub family: u8,
    pub pass: ChainPass,
}

impl Traces {
    /// Takes the messages of one receive call on a node.
    pub(crate) fn told(&mut self, node: &str, data: &[u8]) {
        message::parse(data).for_each(|message| self.message(node, message));
    }

    /// Records that messages of a node were lost.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
    }

    fn message(&mut self, node: &str, message: message::Message) {
        let message::Message { id, family, table, chain, speaker, verdict, is_first, packet } = message;
        let rule = match speaker {
            Speaker::Rule(handle) => Some(TracedRule { handle, comment: None }),
            Speaker::Policy => None,
            Speaker::End => return,
        };
        let packet_of_node = (node.to_owned(), id);
        if is_first {
            self.open.remove(&packet_of_node);
            // An answer, or a packet that no probe sent, is not a request; its messages are ignored.
            let Some(packet) = packet.filter(|packet| packet.kind == Kind::Request) else { return };
            self.open.insert(packet_of_node.clone(), Open { packet, pass: None });
        }
        let Some(open) = self.open.get_mut(&packet_of_node) else { return };
        // If a base chain has only its policy's message, the packet is not shown: it is unchanged.
        let index = *open.pass.get_or_insert_with(|| {
            let Packet { addresses, hop_limit, token, .. } = open.packet;
            let pass = ChainPass { node: node.to_owned(), table, packet: addresses, steps: Vec::new() };
            self.passes.push((token, hop_limit, Pass { family, pass }));
            self.passes.len() - 1
        });
        if rule.is_none() || ends(&verdict) {
            open.pass = None;
        }
        if let Some((.., Pass { pass, .. })) = self.passes.get_mut(index) {
            pass.steps.push(TraceStep { chain, rule, verdict });
        }
    }

    /// The trace of the request with this token. The rules that decided have their comments.
    pub(crate) fn of(&self, token: Token, comments: &mut Comments<'_>) -> Result<RuleTrace, ProbeError> {
        let passes = self.passes(token).into_iter().map(|Pass { family, mut pass }| {
            let ChainPass { node, table, steps, .. } = &mut pass;
            if let Some(TraceStep { chain, rule: Some(rule), .. }) = steps.last_mut() {
                rule.comment = comments.of(node, family, table, chain)?.get(&rule.handle).cloned();
            }
            Ok(pass)
        });
        Ok(RuleTrace { passes: passes.collect::<Result<_, ProbeError>>()?, is_cut: self.is_cut })
    }

    /// Its passes in the order of its path, along which hop limits fall. A request that was sent twice has
    /// each pass once.
    fn passes(&self, token: Token) -> Vec<Pass> {
        let mut own: Vec<_> = self
            .passes
            .iter()
            .filter(|(of, _, it)| *of == token && it.pass.table != marks::TABLE.name)
            .collect();
        own.sort_by_key(|(_, hop_limit, _)| std::cmp::Reverse(*hop_limit));
        let mut passes: Vec<Pass> = Vec::new();
        for (_, _, pass) in own {
            if !passes.contains(pass) {
                passes.push(pass.clone());
            }
        }
        passes
    }
}

/// The comments of rules; each chain is listed once.
pub(crate) struct Comments<'n> {
    nodes: &'n [(Place, Arc<Netns>)],
    known: HashMap<(String, u8, String, String), BTreeMap<u64, String>>,
}

impl<'n> Comments<'n> {
    /// The comments of the rules in force on these nodes; valid until a rule changes.
    pub(crate) fn new(nodes: &'n [(Place, Arc<Netns>)]) -> Self {
        Comments { nodes, known: HashMap::new() }
    }

    /// By the kernel's number of the rule; empty for an unknown node.
    fn of(
        &mut self,
        node: &str,
        family: u8,
        table: &str,
        chain: &str,
    ) -> Result<&BTreeMap<u64, String>, ProbeError> {
        let key = (node.to_owned(), family, table.to_owned(), chain.to_owned());
        match self.known.entry(key) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let found =
                    self.nodes.iter().find(|(place, _)| matches!(place, Place::Node(name) if name == node));
                let comments = match found {
                    Some((place, netns)) => {
                        nft::comments(netns.fd(), family, table, chain).map_err(ProbeError::trace(place))?
                    }
                    None => BTreeMap::new(),
                };
                Ok(unknown.insert(comments))
            }
        }
    }
}

/// Whether no further rule of the base chain sees the packet.
fn ends(verdict: &TraceVerdict) -> bool {
    matches!(verdict, TraceVerdict::Accept | TraceVerdict::Drop | TraceVerdict::Other(_))
}

#[cfg(test)]
mod tests {
    use super::message::Message;
    use super::*;
    use crate::packet;
    use crate::packet::tests::{ipv4, tcp_header};
    use proptest::prelude::*;

    const TOKEN: Token = Token(0x1234);

    /// A message of a table's chain: with the packet or without it, a rule's or the policy's.
    fn message(
        packet: Option<Vec<u8>>,
        table: &str,
        chain: &str,
        rule: Option<u64>,
        verdict: TraceVerdict,
    ) -> Message {
        Message {
            id: 7,
            family: 1,
            table: table.into(),
            chain: chain.into(),
            speaker: rule.map_or(Speaker::Policy, Speaker::Rule),
            verdict,
            is_first: packet.is_some(),
            packet: packet.and_then(|data| packet::parse(&data)),
        }
    }

    /// Table, chain and verdict of each step, a line a pass.
    fn told(traces: &Traces) -> Vec<String> {
        let step = |step: &TraceStep| format!("{} {:?}", step.chain, step.verdict);
        let pass = |Pass { pass, .. }: Pass| {
            let steps: Vec<String> = pass.steps.iter().map(step).collect();
            format!("{} {}: {}", pass.node, pass.table, steps.join(", "))
        };
        traces.passes(TOKEN).into_iter().map(pass).collect()
    }

    #[test]
    fn messages_are_passes_in_the_order_of_the_way() {
        use TraceVerdict::{Accept, Continue, Goto};
        let request = |hops| {
            let mut data = ipv4(6, &tcp_header(TOKEN.0, 0, 2));
            data[8] = hops;
            Some(data)
        };
        let answer = Some(ipv4(6, &tcp_header(99, TOKEN.0 + 1, 0x12)));
        let mut traces = Traces::default();
        let way = |hops, translates: bool| {
            let mut way = vec![
                message(request(hops), marks::TABLE.name, "prerouting", Some(1), Continue),
                message(None, marks::TABLE.name, "prerouting", None, Accept),
                // Only its policy speaks.
                message(None, "source", "check", None, Accept),
            ];
            if translates {
                way.push(message(request(hops), "nat", "pre", Some(9), Accept));
            }
            way.extend([
                message(request(hops - 1), "policy", "egress", Some(2), Goto("pod".into())),
                message(None, "policy", "pod", Some(3), Accept),
                message(None, "policy", "ingress", None, Accept),
            ]);
            way
        };
        way(62, false).into_iter().for_each(|message| traces.message("node2", message));
        way(64, true).into_iter().for_each(|message| traces.message("node1", message));
        // The kernel gives an answer the number of a request that is over.
        traces.message("node1", message(answer, "policy", "egress", Some(5), Accept));
        traces.message("node1", message(None, "policy", "ingress", None, Accept));
        let of_node =
            ["source: check Accept", "policy: egress Goto(\"pod\"), pod Accept", "policy: ingress Accept"];
        let [check, egress, ingress] = of_node;
        let expected = [
            ("1", check),
            ("1", "nat: pre Accept"),
            ("1", egress),
            ("1", ingress),
            ("2", check),
            ("2", egress),
            ("2", ingress),
        ];
        let expected = expected.map(|(node, pass)| format!("node{node} {pass}"));
        assert_eq!(told(&traces), expected);
        // Sent a second time, it says nothing new.
        way(64, true).into_iter().for_each(|message| traces.message("node1", message));
        assert_eq!(told(&traces), expected);
        assert!(traces.passes(Token(1)).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut data in proptest::collection::vec(any::<u8>(), 0..300)) {
            Traces::default().told("node1", &data);
            if data.len() > 20 {
                let length = data.len() as u32;
                data[..4].copy_from_slice(&length.to_ne_bytes());
                data[4..6].copy_from_slice(&message::KIND.to_ne_bytes());
                Traces::default().told("node1", &data);
            }
        }
    }
}
