//! The service proxy: follows the services, whose meaning on each node ([`services`](crate::services)) a backend makes
//! true at the cost of what changed; and beside the rules it does what kube-proxy does as well: stale conntrack entries
//! go, health checks are answered.

mod conntrack;
mod gathered;
mod health;

pub use gathered::inputs;
pub use health::HealthCheck;

use crate::backend::{Backend, Cost, ServiceBackend};
use crate::services::{
    HostPort, NodeView, ServiceChange, ServiceProgram, ServiceSite, UdpServices, host_ports, udp_services,
};
use crate::{EnforcerError, NodeHandle, Proxy, ProxyOptions};
use conntrack::delete_stale;
use gathered::{Change, Gathered};
use health::{HealthServer, health_checks};
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Family, IdentityTable};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Leads service addresses and node ports to endpoints, as kube-proxy does.
pub struct ServiceProxy {
    backend: Box<dyn ServiceBackend>,
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
    made_of: Option<MadeOf>,
}

/// What a node's rules were made of besides the services; where it differs, all of them are made anew.
#[derive(PartialEq, Eq)]
struct MadeOf {
    node: NodeView,
    host_ports: BTreeSet<HostPort>,
}

impl ServiceProxy {
    /// With a backend on these nodes. Nothing is programmed yet.
    ///
    /// # Errors
    /// Where the backend cannot reach a node, or a namespace cannot be kept open.
    pub fn open(
        backend: Backend,
        nodes: &[NodeHandle<'_>],
        options: ProxyOptions,
    ) -> Result<Self, EnforcerError> {
        ServiceProxy::new(backend.services(nodes)?, nodes, options)
    }

    /// With this backend, which has a hold on these nodes.
    ///
    /// # Errors
    /// Where a namespace cannot be kept open.
    pub fn new(
        backend: Box<dyn ServiceBackend>,
        nodes: &[NodeHandle<'_>],
        options: ProxyOptions,
    ) -> Result<Self, EnforcerError> {
        let state = |node: &NodeHandle<'_>| {
            let netns = node.netns.try_clone_to_owned().map_err(EnforcerError::HealthChecks)?;
            Ok((node.name.clone(), State { netns, made_of: None }))
        };
        let nodes = nodes.iter().map(state).collect::<Result<_, EnforcerError>>()?;
        Ok(ServiceProxy { backend, options, nodes, gathered: None, health: HealthServer::new() })
    }

    /// What the last change took on a node.
    pub fn cost(&self, node: &str) -> Option<Cost> {
        self.backend.in_force().cost(node)
    }
}

impl Proxy for ServiceProxy {
    fn name(&self) -> &str {
        self.backend.in_force().backend().name()
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
        let families = snapshot.topology.family;
        for (name, state) in &mut self.nodes {
            let node = NodeView::new(snapshot, name)
                .ok_or_else(|| EnforcerError::node(name, "the cluster has no such node any more"))?;
            let host_ports = host_ports(snapshot, &node);
            let now = MadeOf { node, host_ports };
            let site = ServiceSite {
                generation: snapshot.generation,
                topology: &snapshot.topology,
                node: &now.node,
                behaviour: self.options.mode.into(),
                masquerade_all: self.options.masquerade_all,
            };
            let done = match state.made_of.take() {
                Some(known) if same_topology && known == now => {
                    let before = changes.iter().filter_map(|it| Some((&it.name, it.before.as_ref()?)));
                    let after = changes.iter().filter_map(|it| Some((&it.name, it.after.as_ref()?)));
                    let change = ServiceChange::new(before, after, site);
                    self.backend.change(name, &change, site)
                }
                _ => {
                    let program = ServiceProgram::new(&gathered.all(), now.host_ports.clone(), site);
                    self.backend.load(name, &program, site)
                }
            };
            done.map_err(|cause| EnforcerError::node(name, cause))?;
            clean_conntrack(state, name, &changes, families)?;
            let checks = health_checks(&gathered, name);
            self.health.update(name, state.netns.as_fd(), families.contains(Family::Ipv6), &checks)?;
            state.made_of = Some(now);
        }
        self.gathered = Some(gathered);
        Ok(())
    }

    fn generation(&self, node: &str) -> Option<u64> {
        self.backend.in_force().generation(node)
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.backend.in_force().identities(node)
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.backend.in_force().rules(node)
    }
}

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
        .map_err(|error| EnforcerError::node(node, error))
}
