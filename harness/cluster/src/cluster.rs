//! Builds a plan, and updates the cluster to later snapshots.
//!
//! Building is an update from nothing. An update removes what is gone, makes what is new, and changes the
//! tables of the nodes and the router from their present content to the planned one.

use crate::dns::Dns;
use crate::error::ClusterError;
use crate::health::Health;
use crate::namespace::Namespace;
use crate::netns::Netns;
use crate::plan::Plan;
use crate::sysctl::Sysctls;
use netproof_api::{EndpointSlice, Node, Pod, Service};
use netproof_controlplane::Snapshot;
use netproof_model::topology::ExternalHost;
use netproof_model::{Family, NamespacedName, Place, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The namespaces of a cluster and the links between them. Dropping it closes their descriptors; the kernel
/// then removes them.
#[derive(Debug)]
pub struct Cluster {
    topology: Arc<Topology>,
    /// The snapshot that was built; `None` if that failed or is not done yet.
    basis: Option<Basis>,
    /// The snapshot that it is prepared for.
    prepared: Option<Basis>,
    /// Places that have their namespace and no links yet.
    coming: BTreeSet<Place>,
    plan: Plan,
    namespaces: BTreeMap<Place, Namespace>,
    dns: Option<Dns>,
    health: Health,
    spoil: Option<fn()>,
}

/// The parts of a snapshot that a cluster depends on.
#[derive(Debug)]
struct Basis {
    nodes: BTreeMap<String, Arc<Node>>,
    pods: BTreeMap<NamespacedName, Arc<Pod>>,
    externals: BTreeMap<String, Arc<ExternalHost>>,
    services: BTreeMap<NamespacedName, Arc<Service>>,
    endpoint_slices: BTreeMap<NamespacedName, Arc<EndpointSlice>>,
}

impl Cluster {
    /// Builds the cluster of a snapshot. The process must be in a sandbox.
    pub fn build(snapshot: &Snapshot) -> Result<Cluster, ClusterError> {
        Cluster::build_after(snapshot, None)
    }

    /// Builds a cluster and runs `spoil` in each new namespace first. A test uses it to inherit bad settings
    /// without changing the host's.
    #[doc(hidden)]
    pub fn build_after(snapshot: &Snapshot, spoil: Option<fn()>) -> Result<Cluster, ClusterError> {
        let mut cluster = Cluster {
            topology: Arc::clone(&snapshot.topology),
            basis: None,
            prepared: None,
            coming: BTreeSet::new(),
            plan: Plan::default(),
            namespaces: BTreeMap::new(),
            dns: None,
            health: Health::default(),
            spoil,
        };
        cluster.follow(snapshot)?;
        Ok(cluster)
    }

    /// Updates the cluster to a later snapshot of the same topology: pods and external hosts that came, went
    /// or changed addresses, and the DNS records. A place that changed gets a new namespace.
    pub fn update(&mut self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        self.check_topology(snapshot)?;
        self.follow(snapshot)
    }

    /// The first half of [`Cluster::update`]: removes the places that the snapshot lacks, and makes the
    /// namespaces of new places without linking them. So listeners can be opened and policy programmed
    /// before the first packet arrives.
    pub fn prepare(&mut self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        self.check_topology(snapshot)?;
        if self.basis.as_ref().is_some_and(|basis| basis.same_network(snapshot)) {
            return Ok(());
        }
        self.basis = None;
        self.prepared = None;
        self.begin(Plan::new(snapshot))?;
        self.prepared = Some(Basis::of(snapshot));
        Ok(())
    }

    fn check_topology(&self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        if snapshot.topology == self.topology {
            return Ok(());
        }
        let (from, to) = (self.topology.name.clone(), snapshot.topology.name.clone());
        Err(ClusterError::TopologyChanged { from, to })
    }

    /// The namespace of a place; `None` for a place that the snapshot lacks. (A hostNetwork pod is at its
    /// node's place.)
    pub fn netns(&self, place: &Place) -> Option<&Arc<Netns>> {
        self.namespaces.get(place).map(Namespace::netns)
    }

    /// Every place with its namespace.
    pub fn places(&self) -> impl Iterator<Item = (&Place, &Arc<Netns>)> {
        self.namespaces.iter().map(|(place, namespace)| (place, namespace.netns()))
    }

    /// Checks that no packet was lost, except to policy, since the last call (or since the cluster was
    /// built). A counter that went up is an error that names it.
    ///
    /// Each call reads the counters of interfaces and connection tracking on nodes and the router, where
    /// every packet passes, and those of sockets, other interfaces and neighbour tables in one namespace, in
    /// turn. So a loss there may show some calls later: end a run with [`Cluster::full_health`].
    pub fn health(&mut self) -> Result<(), ClusterError> {
        self.check_health(false)
    }

    /// The same for everything at once; 0.1 ms a namespace.
    pub fn full_health(&mut self) -> Result<(), ClusterError> {
        self.check_health(true)
    }

    fn check_health(&mut self, all: bool) -> Result<(), ClusterError> {
        let losses = self.health.read(&mut self.namespaces, all)?;
        if losses.is_empty() { Ok(()) } else { Err(ClusterError::Unhealthy { losses }) }
    }

    /// Forgets every connection that the nodes and the router track, as if none had been made: what a new cluster of
    /// the same snapshot would know. Their sockets stay, so whoever sends on is tracked anew. Takes some 0.1 ms
    /// for each that tracks any.
    pub fn forget_connections(&self) -> Result<(), ClusterError> {
        let mut forwarding = self.namespaces.values().filter(|namespace| namespace.forwards());
        forwarding.try_for_each(Namespace::forget_connections)
    }

    fn follow(&mut self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        let same = |same: fn(&Basis, &Snapshot) -> bool| {
            self.basis.as_ref().is_some_and(|basis| same(basis, snapshot))
        };
        let (same_network, same_services) = (same(Basis::same_network), same(Basis::same_services));
        if same_network && same_services {
            return Ok(());
        }
        self.basis = None;
        let prepared = self.prepared.take().is_some_and(|basis| basis.same_network(snapshot));
        if same_network {
            self.route_services(snapshot)?;
        } else if prepared {
            self.plan.route_services(snapshot);
            self.wire()?;
        } else {
            self.begin(Plan::new(snapshot))?;
            self.wire()?;
        }
        let running = self.dns.take();
        self.dns = Dns::follow(running, snapshot, |place| self.netns(place))?;
        if !same_network {
            self.health.start(&mut self.namespaces)?;
        }
        self.basis = Some(Basis::of(snapshot));
        Ok(())
    }

    /// Updates the router's routes to services, for a snapshot that differs in nothing else.
    fn route_services(&mut self, snapshot: &Snapshot) -> Result<(), ClusterError> {
        self.plan.route_services(snapshot);
        let router = (self.namespaces.get_mut(&Place::Router), self.plan.stacks.get(&Place::Router));
        let (Some(namespace), Some(stack)) = router else { return Ok(()) };
        namespace.change(&stack.tables)
    }

    /// Removes the places that a plan lacks, and makes the namespaces of new places.
    fn begin(&mut self, plan: Plan) -> Result<(), ClusterError> {
        plan.check_names()?;
        let old = std::mem::replace(&mut self.plan, plan);
        for (place, stack) in &old.stacks {
            if self.plan.stacks.get(place).is_some_and(|new| stack.becomes(new)) {
                continue;
            }
            // While the namespace is held its links cannot vanish from the other end.
            let held = self.namespaces.remove(place);
            self.coming.remove(place);
            self.health.forget(place);
            if let Some(uplink) = &stack.uplink
                && let Some(above) = self.namespaces.get_mut(&uplink.above)
            {
                above.unplug(place)?;
                self.health.forget_link(&uplink.above, &uplink.port);
            }
            drop(held);
        }
        // Places sort with the lower ones first; in reverse, a place is made before those below it.
        let mut sysctls = Sysctls::new(self.plan.families.contains(Family::Ipv6), self.spoil);
        for (place, stack) in self.plan.stacks.iter().rev() {
            if !self.namespaces.contains_key(place) {
                self.namespaces.insert(place.clone(), Namespace::new(place, stack, &mut sysctls)?);
                self.coming.insert(place.clone());
            }
        }
        Ok(())
    }

    /// Links the new places, and fills every table.
    fn wire(&mut self) -> Result<(), ClusterError> {
        let came = std::mem::take(&mut self.coming);
        let mut grown = BTreeSet::new();
        for (place, stack) in self.plan.stacks.iter().rev().filter(|(place, _)| came.contains(place)) {
            let Some(uplink) = &stack.uplink else { continue };
            let Some(netns) = self.netns(place).map(Arc::clone) else { continue };
            if let Some(above) = self.namespaces.get_mut(&uplink.above) {
                above.plug(place, uplink, &netns);
                grown.insert(&uplink.above);
            }
        }
        for (place, stack) in self.plan.stacks.iter().rev() {
            let Some(namespace) = self.namespaces.get_mut(place) else { continue };
            if came.contains(place) {
                namespace.configure(stack)?;
            } else {
                namespace.change(&stack.tables)?;
            }
        }
        for place in grown {
            if let Some(namespace) = self.namespaces.get_mut(place) {
                namespace.settle()?;
            }
        }
        Ok(())
    }
}

// Unchanged objects are shared between snapshots, and comparing an Arc with itself is cheap.
impl Basis {
    fn of(snapshot: &Snapshot) -> Basis {
        Basis {
            nodes: snapshot.nodes.clone(),
            pods: snapshot.pods.clone(),
            externals: snapshot.externals.clone(),
            services: snapshot.services.clone(),
            endpoint_slices: snapshot.endpoint_slices.clone(),
        }
    }

    /// Whether both snapshots give the same namespaces, links and tables, except the router's routes to
    /// services.
    fn same_network(&self, snapshot: &Snapshot) -> bool {
        self.nodes == snapshot.nodes && self.pods == snapshot.pods && self.externals == snapshot.externals
    }

    /// Whether both give the router and DNS the same services.
    fn same_services(&self, snapshot: &Snapshot) -> bool {
        self.services == snapshot.services && self.endpoint_slices == snapshot.endpoint_slices
    }
}
