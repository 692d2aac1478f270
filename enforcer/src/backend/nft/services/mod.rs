//! The programs of services as nftables rulesets.

mod base;
mod choice;
mod host_ports;
mod render;

pub use render::{Rendered, render, table};

use super::Agents;
use crate::backend::{Cause, InForce, ServiceBackend};
use crate::identities::Numbers;
use crate::services::{ServiceChange, ServiceProgram, ServiceSite};
use crate::{EnforcerError, NodeHandle};
use base::HAIRPINS;
use choice::hairpin;
use netproof_model::Family;
use render::render_ports;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How often each address is an endpoint's.
type Endpoints = BTreeMap<IpAddr, usize>;

/// Services with nftables.
pub struct NftServices {
    agents: Agents,
    /// The endpoints in force on each node: services share the set of those that may reach themselves.
    endpoints: BTreeMap<String, Endpoints>,
}

impl NftServices {
    /// An agent on each node; see [`Agents::open`].
    ///
    /// # Errors
    /// Where nf_tables cannot be reached in a namespace.
    pub fn open(nodes: &[NodeHandle<'_>], send_buffer: usize) -> Result<Self, EnforcerError> {
        let agents = Agents::open(nodes, send_buffer, Numbers::even())?;
        Ok(NftServices { agents, endpoints: BTreeMap::new() })
    }
}

impl ServiceBackend for NftServices {
    fn in_force(&self) -> &dyn InForce {
        &self.agents
    }

    fn load(&mut self, node: &str, program: &ServiceProgram, site: ServiceSite<'_>) -> Result<(), Cause> {
        let rendered = render(program, site, &mut self.agents.numbers);
        self.agents.apply(node, site.generation, rendered.ruleset)?;
        self.endpoints.insert(node.to_owned(), rendered.endpoints);
        Ok(())
    }

    fn change(&mut self, node: &str, change: &ServiceChange, site: ServiceSite<'_>) -> Result<(), Cause> {
        let mut gone = render_ports(&change.before, site, &mut self.agents.numbers);
        let mut come = render_ports(&change.after, site, &mut self.agents.numbers);
        // Taken out: after an error it is not known what the node has, and all services are loaded anew.
        let held = self.endpoints.remove(node);
        let mut endpoints = held.ok_or("no services are in force on this node to be changed")?;
        recount(&mut endpoints, &mut gone, &mut come);
        self.agents.patch(node, site.generation, gone.ruleset, &come.ruleset)?;
        self.endpoints.insert(node.to_owned(), endpoints);
        Ok(())
    }
}

/// Counts the endpoints anew. The address of an endpoint that another service has too is no part of
/// what goes or comes.
fn recount(endpoints: &mut Endpoints, gone: &mut Rendered, come: &mut Rendered) {
    for (address, times) in &gone.endpoints {
        if let Some(count) = endpoints.get_mut(address) {
            *count = count.saturating_sub(*times);
            if *count == 0 {
                endpoints.remove(address);
            }
        }
    }
    for part in [&mut *gone, &mut *come] {
        let shared = part.endpoints.keys().filter(|address| endpoints.contains_key(address));
        for address in shared {
            let table = part.ruleset.tables.get_mut(&table(Family::of(*address)));
            if let Some(set) = table.and_then(|table| table.sets.get_mut(HAIRPINS)) {
                set.elements.remove(&hairpin(*address));
            }
        }
    }
    for (address, times) in &come.endpoints {
        *endpoints.entry(*address).or_default() += times;
    }
}
