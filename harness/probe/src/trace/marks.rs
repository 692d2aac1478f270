//! The table that marks the requests of some probes for nftables' trace. Every node has it, only during the
//! trace.

use crate::error::ProbeError;
use netproof_cluster::Netns;
use netproof_model::{Family, Hook, Place, Protocol, Token};
use netproof_netfilter::nft::{
    Agent, Base, Chain, ChainType, DEFAULT_SEND_BUFFER, Field, KeyType, Part, Rule, Ruleset, Set, Statement,
    Table, TableFamily, TableId, Test, Value,
};
use std::sync::Arc;

/// The table.
pub(super) const TABLE: TableId = TableId { family: TableFamily::Inet, name: "netproof-trace" };

/// Before everything else that sees packets: defragmentation has priority -400, notrack rules have -300.
const FIRST: i32 = -500;

/// The tokens of the requests that are marked.
const TOKENS: &str = "tokens";

/// Offset of the token in the transport header: TCP's sequence number, the payload of a datagram and of an
/// echo, SCTP's initiate tag.
const PLACES: [(Protocol, u8); 4] =
    [(Protocol::Tcp, 4), (Protocol::Udp, 8), (Protocol::Icmp, 8), (Protocol::Sctp, 16)];

/// The table on the nodes. It stays there until [`Marks::remove`].
pub(crate) struct Marks {
    agents: Vec<(Place, Agent)>,
}

impl Marks {
    /// Marks the requests with these tokens on every node.
    pub(crate) fn set(nodes: &[(Place, Arc<Netns>)], tokens: &[Token]) -> Result<Marks, ProbeError> {
        let mut marks = Marks { agents: Vec::with_capacity(nodes.len()) };
        let set = nodes.iter().try_for_each(|(place, netns)| {
            let agent = Agent::open(netns.fd(), DEFAULT_SEND_BUFFER).map_err(ProbeError::trace(place))?;
            marks.agents.push((place.clone(), agent));
            let (_, agent) =
                marks.agents.last_mut().ok_or_else(|| ProbeError::NoSuchPlace { place: place.clone() })?;
            agent.apply(ruleset(tokens)).map(drop).map_err(ProbeError::trace(place))
        });
        match set {
            Ok(()) => Ok(marks),
            Err(error) => {
                // Report why it could not be set, not a later error.
                let _ = marks.remove();
                Err(error)
            }
        }
    }

    /// Removes the table from every node; an error says why one could not be removed.
    pub(crate) fn remove(self) -> Result<(), ProbeError> {
        let removed = self.agents.into_iter().map(|(place, mut agent)| {
            agent.apply(Ruleset::default()).map(drop).map_err(ProbeError::trace(&place))
        });
        removed.collect::<Vec<_>>().into_iter().collect()
    }
}

fn ruleset(tokens: &[Token]) -> Ruleset {
    // The set compares the packet's bytes.
    let element = |token: &Token| vec![Part::One(Value::Number(u32::from_ne_bytes(token.0.to_be_bytes())))];
    let set = Set::new(&[KeyType::Number]).with(tokens.iter().map(element));
    let rules = PLACES.iter().flat_map(|(protocol, place)| {
        let mut numbers = Family::ALL.map(|family| protocol.number(family)).to_vec();
        numbers.dedup();
        numbers.into_iter().map(|number| {
            let of_protocol = Test::Is(Part::One(Value::Protocol(number)));
            Rule::new([
                Statement::Match(vec![Field::Protocol], of_protocol),
                Statement::Match(vec![Field::TransportWord(*place)], Test::In(TOKENS.to_owned())),
                Statement::Trace,
            ])
        })
    });
    let rules: Vec<Rule> = rules.collect();
    let chain = |hook| {
        let base = Base { chain_type: ChainType::Filter, hook, priority: FIRST };
        (hook.to_string(), Chain { base: Some(base), rules: rules.clone() })
    };
    let chains = [Hook::Prerouting, Hook::Output].map(chain).into();
    let table = Table { sets: [(TOKENS.to_owned(), set)].into(), chains };
    Ruleset { tables: [(TABLE, table)].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_known_by_their_tokens() {
        // The same number in either order of bytes.
        insta::assert_snapshot!(ruleset(&[Token(0x0102_0201)]), @r"
        table inet netproof-trace {
        	set tokens {
        		type mark
        		elements = { 16908801 }
        	}

        	chain output {
        		type filter hook output priority -500; policy accept;
        		meta l4proto tcp @th,32,32 @tokens meta nftrace set 1
        		meta l4proto udp @th,64,32 @tokens meta nftrace set 1
        		meta l4proto 1 @th,64,32 @tokens meta nftrace set 1
        		meta l4proto 58 @th,64,32 @tokens meta nftrace set 1
        		meta l4proto sctp @th,128,32 @tokens meta nftrace set 1
        	}

        	chain prerouting {
        		type filter hook prerouting priority -500; policy accept;
        		meta l4proto tcp @th,32,32 @tokens meta nftrace set 1
        		meta l4proto udp @th,64,32 @tokens meta nftrace set 1
        		meta l4proto 1 @th,64,32 @tokens meta nftrace set 1
        		meta l4proto 58 @th,64,32 @tokens meta nftrace set 1
        		meta l4proto sctp @th,128,32 @tokens meta nftrace set 1
        	}
        }
        ");
    }
}
