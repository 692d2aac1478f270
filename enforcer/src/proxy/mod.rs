//! The service proxy with nftables: an agent for each node.

mod base;
mod health;
mod program;
mod render;

pub use health::{HealthCheck, health_checks};
pub use program::{Endpoint, Inputs, NodeView, ServicePort, compile, inputs};
pub use render::{Rendered, Site, render, render_part, table};

pub(crate) use base::table_family;
pub(crate) use health::local_endpoints;
pub(crate) use render::{disjoint, part_of};

use crate::agents::Agents;
use crate::conntrack::{UdpServices, delete_stale};
use crate::identities::Numbers;
use crate::nft::{Report, Ruleset};
use crate::{EnforcerError, NodeHandle, Options, Proxy, ProxyOptions};
use health::HealthServer;
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Family, IdentityTable, NamespacedName, Topology};
use program::udp_services;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

type Services = BTreeMap<NamespacedName, Inputs>;

/// Leads service addresses and node ports to endpoints, as kube-proxy does.
pub struct NftablesProxy {
    agents: Agents,
    options: ProxyOptions,
    nodes: BTreeMap<String, State>,
    health: HealthServer,
}

/// What a node has.
struct State {
    /// For the sockets that are opened there later.
    netns: OwnedFd,
    /// What its rules were made of; `None` where nothing is programmed yet, or it is not known.
    in_force: Option<InForce>,
}

struct InForce {
    topology: Arc<Topology>,
    node: NodeView,
    services: Arc<Services>,
    contested: bool,
}

impl NftablesProxy {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(
        nodes: &[NodeHandle<'_>],
        options: &Options,
        proxy: ProxyOptions,
    ) -> Result<Self, EnforcerError> {
        let agents = Agents::open(nodes, options, Numbers::even())?;
        let state = |node: &NodeHandle<'_>| {
            let netns = node.netns.try_clone_to_owned().map_err(EnforcerError::HealthChecks)?;
            Ok((node.name.clone(), State { netns, in_force: None }))
        };
        let nodes = nodes.iter().map(state).collect::<Result<_, EnforcerError>>()?;
        Ok(NftablesProxy { agents, options: proxy, nodes, health: HealthServer::new() })
    }

    /// What the last change took, by node.
    pub fn reports(&self) -> &BTreeMap<String, Report> {
        self.agents.reports()
    }
}

impl Proxy for NftablesProxy {
    fn name(&self) -> &str {
        "nftables"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let services = Arc::new(inputs(snapshot));
        for (name, state) in &mut self.nodes {
            let node = NodeView::new(snapshot, name);
            let site = Site { topology: &snapshot.topology, node: &node, options: self.options };
            // Taken out, so that after an error everything is looked at anew.
            let before = state.in_force.take();
            let changes = before.as_ref().map(|before| changed(&before.services, &services));
            let changes = changes.unwrap_or_default();
            let contested = match &before {
                Some(before) if before.is_at(&snapshot.topology, &node) && !before.contested => {
                    change(&mut self.agents, name, &changes, &services, site)?
                }
                _ => load(&mut self.agents, name, &services, site)?,
            };
            clean_conntrack(state, name, &changes, snapshot.topology.family)?;
            let ipv6 = snapshot.topology.family.contains(Family::Ipv6);
            let checks = health_checks(&services, name);
            self.health.update(name, state.netns.as_fd(), ipv6, &checks)?;
            let topology = Arc::clone(&snapshot.topology);
            state.in_force = Some(InForce { topology, node, services: Arc::clone(&services), contested });
        }
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.identities(node)
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.rules(node)
    }
}

impl InForce {
    fn is_at(&self, topology: &Arc<Topology>, node: &NodeView) -> bool {
        (Arc::ptr_eq(&self.topology, topology) || self.topology == *topology) && self.node == *node
    }
}

/// Makes every service's rules anew. Says whether services claim the same.
fn load(agents: &mut Agents, node: &str, services: &Services, site: Site<'_>) -> Result<bool, EnforcerError> {
    let rendered = render(services, site, &mut agents.numbers);
    agents.apply(node, rendered.ruleset)?;
    Ok(rendered.contested)
}

/// Makes the rules of those services anew that changed, without a look at the others.
fn change(
    agents: &mut Agents,
    node: &str,
    changed: &[Change<'_>],
    services: &Services,
    site: Site<'_>,
) -> Result<bool, EnforcerError> {
    if changed.is_empty() {
        return Ok(false);
    }
    let gone = changed.iter().filter_map(|change| Some((change.name, change.before?)));
    let gone = render_part(gone, site, &mut agents.numbers).ruleset;
    let come = changed.iter().filter_map(|change| Some((change.name, change.after?)));
    let come = render_part(come, site, &mut agents.numbers);
    if come.contested || agents.current(node).is_some_and(|held| collides(held, &gone, &come.ruleset)) {
        return load(agents, node, services, site);
    }
    agents.patch(node, gone, &come.ruleset)?;
    Ok(false)
}

/// A service that came, went or changed.
struct Change<'a> {
    name: &'a NamespacedName,
    before: Option<&'a Inputs>,
    after: Option<&'a Inputs>,
}

fn changed<'a>(before: &'a Services, after: &'a Services) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (name, inputs) in after {
        let old = before.get(name);
        if !old.is_some_and(|old| old.same(inputs)) {
            changes.push(Change { name, before: old, after: Some(inputs) });
        }
    }
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changes.extend(gone.map(|(name, inputs)| Change { name, before: Some(inputs), after: None }));
    changes
}

/// Whether `come` claims what is in force for somebody else than `gone`.
fn collides(held: &Ruleset, gone: &Ruleset, come: &Ruleset) -> bool {
    come.tables.iter().any(|(id, table)| {
        table.sets.iter().any(|(name, set)| {
            let held = held.tables.get(id).and_then(|table| table.sets.get(name));
            let own = gone.tables.get(id).and_then(|table| table.sets.get(name));
            set.elements.keys().any(|key| {
                held.is_some_and(|held| held.elements.contains_key(key))
                    && !own.is_some_and(|own| own.elements.contains_key(key))
            })
        })
    })
}

/// Deletes what conntrack remembers of UDP services' endpoints that are gone.
fn clean_conntrack(
    state: &State,
    node: &str,
    changes: &[Change<'_>],
    families: Families,
) -> Result<(), EnforcerError> {
    let mut stale = UdpServices::default();
    for change in changes {
        let Some(after) = change.after else { continue };
        let now = udp_services(after, families);
        if change.before.map(|before| udp_services(before, families)).as_ref() != Some(&now) {
            stale.addresses.extend(now.addresses);
            stale.node_ports.extend(now.node_ports);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    delete_stale(state.netns.as_fd(), families.list(), &stale)
        .map(drop)
        .map_err(|source| EnforcerError::Conntrack { node: node.to_owned(), source })
}
