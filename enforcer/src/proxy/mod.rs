//! The service proxy with nftables: an agent for each node.

mod program;
mod render;

pub use program::{Endpoint, ServicePort, compile};
pub use render::{TABLE_IPV4, TABLE_IPV6, render};

use crate::identities::Numbers;
use crate::nft::{Agent, Report};
use crate::{EnforcerError, NodeHandle, Options, Proxy};
use netproof_controlplane::Snapshot;
use netproof_model::IdentityTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leads service addresses and node ports to endpoints, as kube-proxy's nftables mode does.
pub struct NftablesProxy {
    agents: BTreeMap<String, Agent>,
    numbers: Numbers,
    reports: BTreeMap<String, Report>,
}

impl NftablesProxy {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: Vec<NodeHandle<'_>>, options: &Options) -> Result<Self, EnforcerError> {
        let agents = crate::open_agents(nodes, options)?;
        Ok(NftablesProxy { agents, numbers: Numbers::even(), reports: BTreeMap::new() })
    }

    /// What the last change took, by node.
    pub fn reports(&self) -> &BTreeMap<String, Report> {
        &self.reports
    }
}

impl Proxy for NftablesProxy {
    fn name(&self) -> &str {
        "nftables"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let services = compile(snapshot);
        for (node, agent) in &mut self.agents {
            let addresses = snapshot.nodes.get(node).map_or(&[][..], |node| &node.addresses);
            let ruleset = render(&services, &snapshot.topology, addresses, &mut self.numbers);
            let report = agent.apply(ruleset).map_err(|source| EnforcerError::node(node, source))?;
            self.reports.insert(node.clone(), report);
        }
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.contains_key(node).then(|| self.numbers.table())
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.get(node).map(|agent| agent.current().to_string())
    }
}
