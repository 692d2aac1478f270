//! The service proxy with nftables: an agent for each node.

mod conntrack;
mod gathered;
mod health;
mod host_ports;
mod program;

pub use conntrack::ConntrackError;
pub use gathered::inputs;
pub use health::HealthCheck;
pub use program::{Endpoint, Inputs, NodeView, ServicePort, compile};

use crate::backend::nft::Agents;
use crate::backend::nft::services::{
    FIREWALL_IPS, HAIRPINS, NO_ENDPOINT_SERVICES, Rendered, SERVICE_IPS, Site, hairpin, render, render_part,
    table,
};
use crate::identities::Numbers;
use crate::{EnforcerError, NodeHandle, Options, Proxy, ProxyOptions};
use conntrack::{UdpServices, delete_stale};
use gathered::{Change, Gathered};
use health::{HealthServer, health_checks};
use host_ports::HostPort;
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Family, IdentityTable};
use netproof_netfilter::nft::{Element, Report, Ruleset};
use program::udp_services;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// How often each address is an endpoint's.
type Endpoints = BTreeMap<IpAddr, usize>;

/// Leads service addresses and node ports to endpoints, as kube-proxy does.
pub struct NftablesProxy {
    agents: Agents,
    options: ProxyOptions,
    nodes: BTreeMap<String, State>,
    /// What the nodes' rules were made of; `None` where nothing is programmed yet, or it is not known.
    gathered: Option<Gathered>,
    health: HealthServer,
}

/// What a node has.
struct State {
    /// For the sockets that are opened there later.
    netns: OwnedFd,
    in_force: Option<InForce>,
}

struct InForce {
    node: NodeView,
    host_ports: BTreeSet<HostPort>,
    contested: bool,
    endpoints: Endpoints,
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
        Ok(NftablesProxy { agents, options: proxy, nodes, gathered: None, health: HealthServer::new() })
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
        // Taken out, here and for each node, so that after an error everything is looked at anew.
        let (gathered, changes, same_topology) = match self.gathered.take() {
            Some(mut gathered) => {
                let same_topology = gathered.snapshot().topology == snapshot.topology;
                let changes = gathered.advance(snapshot);
                (gathered, changes, same_topology)
            }
            None => (Gathered::new(Arc::clone(snapshot)), Vec::new(), false),
        };
        let ipv6 = snapshot.topology.family.contains(Family::Ipv6);
        for (name, state) in &mut self.nodes {
            let node = NodeView::new(snapshot, name);
            let site = Site { topology: &snapshot.topology, node: &node, options: self.options };
            let host_ports = host_ports::host_ports(snapshot, &node);
            let (contested, endpoints) = match state.in_force.take() {
                Some(known)
                    if same_topology
                        && known.node == node
                        && known.host_ports == host_ports
                        && !known.contested =>
                {
                    change(&mut self.agents, name, &changes, known.endpoints, &gathered, (site, &host_ports))?
                }
                _ => load(&mut self.agents, name, &gathered, (site, &host_ports))?,
            };
            clean_conntrack(state, name, &changes, snapshot.topology.family)?;
            self.health.update(name, state.netns.as_fd(), ipv6, &health_checks(&gathered, name))?;
            state.in_force = Some(InForce { node, host_ports, contested, endpoints });
        }
        self.gathered = Some(gathered);
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.identities(node)
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.rules(node)
    }
}

/// Makes every service's rules anew. Says whether services claim the same, and counts the endpoints.
fn load(
    agents: &mut Agents,
    node: &str,
    gathered: &Gathered,
    (site, host_ports): (Site<'_>, &BTreeSet<HostPort>),
) -> Result<(bool, Endpoints), EnforcerError> {
    let mut rendered = render(&gathered.all(), site, &mut agents.numbers);
    host_ports::add(&mut rendered.ruleset, host_ports, site.topology.family);
    agents.apply(node, rendered.ruleset)?;
    Ok((rendered.contested, rendered.endpoints))
}

/// Makes the rules of those services anew that changed, without a look at the others.
fn change(
    agents: &mut Agents,
    node: &str,
    changes: &[Change],
    mut endpoints: Endpoints,
    gathered: &Gathered,
    (site, host_ports): (Site<'_>, &BTreeSet<HostPort>),
) -> Result<(bool, Endpoints), EnforcerError> {
    if changes.is_empty() {
        return Ok((false, endpoints));
    }
    let gone = changes.iter().filter_map(|change| Some((&change.name, change.before.as_ref()?)));
    let mut gone = render_part(gone, site, &mut agents.numbers);
    let come = changes.iter().filter_map(|change| Some((&change.name, change.after.as_ref()?)));
    let mut come = render_part(come, site, &mut agents.numbers);
    recount(&mut endpoints, &mut gone, &mut come);
    let collides = |held| collides(held, &gone.ruleset, &come.ruleset);
    if come.contested || agents.current(node).is_some_and(collides) {
        return load(agents, node, gathered, (site, host_ports));
    }
    agents.patch(node, gone.ruleset, &come.ruleset)?;
    Ok((false, endpoints))
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

/// Whether `come` claims what is in force for somebody else than `gone`. A port of a service stands in another
/// map while it has no endpoints.
fn collides(held: &Ruleset, gone: &Ruleset, come: &Ruleset) -> bool {
    come.tables.iter().any(|(id, table)| {
        table.sets.iter().any(|(name, set)| {
            let maps = match name.as_str() {
                SERVICE_IPS | NO_ENDPOINT_SERVICES | FIREWALL_IPS => &OF_SERVICE_PORTS[..],
                name => &[name],
            };
            let has = |ruleset: &Ruleset, key: &Element| {
                let sets = ruleset.tables.get(id).map(|table| &table.sets);
                sets.is_some_and(|sets| {
                    maps.iter().any(|map| sets.get(*map).is_some_and(|set| set.elements.contains_key(key)))
                })
            };
            set.elements.keys().any(|key| has(held, key) && !has(gone, key))
        })
    })
}

/// The maps of address, protocol and port.
const OF_SERVICE_PORTS: [&str; 3] = [SERVICE_IPS, NO_ENDPOINT_SERVICES, FIREWALL_IPS];

/// Deletes what conntrack remembers of UDP services' endpoints that are gone.
fn clean_conntrack(
    state: &State,
    node: &str,
    changes: &[Change],
    families: Families,
) -> Result<(), EnforcerError> {
    let mut stale = UdpServices::default();
    for change in changes {
        let Some(after) = &change.after else { continue };
        let now = udp_services(after, families);
        if change.before.as_ref().map(|before| udp_services(before, families)).as_ref() != Some(&now) {
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
