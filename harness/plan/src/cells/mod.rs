//! Which cells the matrix of a step has: sources, destinations with their ports, and the choice among too
//! many.

use crate::plan::{MatrixDestination, MatrixPlan};
use netproof_controlplane::{Snapshot, well_known};
use netproof_model::event::{NoCell, NotInCells, SampledCells};
use netproof_model::flow::{Destination, Flow, FlowPort, FlowProtocol, ObjectName, PortRef, Source};
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::{Family, NamespacedName, Place, Protocol};
use netproof_oracle::Oracle;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// Most cells probed in one step; larger matrices are sampled.
const MOST_CELLS: usize = 5_000;

/// Sources, and what is tried from each of them. The cell of source `s` and column `c` has the number
/// `s * columns + c`; some numbers have no cell.
#[derive(Clone, Debug, Default)]
pub struct Table {
    sources: Vec<Place>,
    columns: Vec<Column>,
    addresses: HashMap<Place, Vec<IpAddr>>,
    name_servers: BTreeMap<Family, IpAddr>,
    in_no_cell: Vec<NotInCells>,
}

/// A destination with a port, in one family.
#[derive(Clone, Debug)]
struct Column {
    addressee: Addressee,
    address: IpAddr,
    family: Family,
    port: u16,
    protocol: FlowProtocol,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Addressee {
    Place(Place),
    Service(NamespacedName),
    Name(NamespacedName),
}

/// One flow of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its number in the table.
    pub number: usize,
    /// As flows are written.
    pub flow: Flow,
    /// The family.
    pub family: Family,
    /// What to send.
    pub request: Request,
}

impl Table {
    /// The matrix of the scenario's own pods, external hosts and services, on every port that somebody
    /// listens on or a service has. Policies have no part in it. Flows from one host outside the cluster to
    /// another are none of its cells: nothing of the cluster is on their way.
    pub fn new(snapshot: &Snapshot, plan: &MatrixPlan) -> Table {
        let MatrixPlan::On { destinations } = plan else { return Table::default() };
        let pods = snapshot.pods.iter().filter(|(name, pod)| {
            own(name, well_known::DNS_POD) && !pod.host_network && !pod.phase.has_ended()
        });
        let pods = pods.map(|(name, pod)| (Place::Pod(name.clone()), pod.pod_ips.clone()));
        let hosts = snapshot.externals.iter();
        let hosts = hosts.map(|(name, host)| (Place::External(name.clone()), host.addresses.clone()));
        let places: Vec<(Place, Vec<IpAddr>)> =
            pods.chain(hosts).filter(|(_, addresses)| !addresses.is_empty()).collect();
        let mut table = Table {
            sources: places.iter().map(|(place, _)| place.clone()).collect(),
            columns: Vec::new(),
            addresses: places.iter().cloned().collect(),
            name_servers: BTreeMap::new(),
            in_no_cell: Vec::new(),
        };
        for family in snapshot.topology.family.list().iter().copied() {
            table.name_servers.extend(snapshot.cluster_dns(family).map(|server| (family, server)));
            if destinations.contains(&MatrixDestination::PodIp) {
                table.add_places(snapshot, &places, family);
            }
            for (name, service) in &snapshot.services {
                // A headless service and an alias have no address of their own.
                let address = service.cluster_ips.iter().find(|address| Family::of(**address) == family);
                let Some(address) = address.filter(|_| own(name, well_known::DNS_SERVICE)) else { continue };
                let mut kinds = Vec::new();
                if destinations.contains(&MatrixDestination::ServiceIp) {
                    kinds.push(Addressee::Service(name.clone()));
                }
                if destinations.contains(&MatrixDestination::ServiceName) {
                    kinds.push(Addressee::Name(name.clone()));
                }
                for addressee in kinds {
                    table.columns.extend(service.ports.iter().map(|port| Column {
                        addressee: addressee.clone(),
                        address: *address,
                        family,
                        port: port.port,
                        protocol: protocol_of(port.protocol),
                    }));
                }
            }
        }
        table.in_no_cell = table.left_out(snapshot, destinations);
        table
    }

    /// What no cell is addressed to, though the cluster has it.
    pub fn in_no_cell(&self) -> &[NotInCells] {
        &self.in_no_cell
    }

    fn left_out(&self, snapshot: &Snapshot, destinations: &BTreeSet<MatrixDestination>) -> Vec<NotInCells> {
        let there: HashSet<&Addressee> = self.columns.iter().map(|column| &column.addressee).collect();
        let pods = snapshot.pods.iter().filter(|(name, _)| own(name, well_known::DNS_POD));
        let pods = pods.filter_map(|(name, pod)| {
            let asked = destinations.contains(&MatrixDestination::PodIp);
            let why = match pod.host_network {
                _ if pod.phase.has_ended() || pod.pod_ips.is_empty() => NoCell::NoNetwork,
                true => NoCell::HostNetwork,
                false if asked && !there.contains(&Addressee::Place(Place::Pod(name.clone()))) => {
                    NoCell::ListensNowhere
                }
                false => return None,
            };
            Some(NotInCells { name: format!("pod/{name}"), why })
        });
        let asked = [MatrixDestination::ServiceIp, MatrixDestination::ServiceName]
            .iter()
            .any(|it| destinations.contains(it));
        let services = snapshot.services.keys().filter(|name| asked && own(name, well_known::DNS_SERVICE));
        let services = services.filter(|name| {
            !there.contains(&Addressee::Service((*name).clone()))
                && !there.contains(&Addressee::Name((*name).clone()))
        });
        let services =
            services.map(|name| NotInCells { name: format!("service/{name}"), why: NoCell::NoAddress });
        let mut all: Vec<NotInCells> = pods.chain(services).collect();
        all.sort_by(|a, b| (a.why, &a.name).cmp(&(b.why, &b.name)));
        all
    }

    fn add_places(&mut self, snapshot: &Snapshot, places: &[(Place, Vec<IpAddr>)], family: Family) {
        let listens = snapshot.listeners();
        for (place, addresses) in places {
            let address = addresses.iter().find(|address| Family::of(**address) == family);
            let (Some(address), Some(ports)) = (address, listens.get(place)) else { continue };
            self.columns.extend(ports.iter().filter_map(|listen| {
                let protocol = match listen.protocol {
                    Protocol::Tcp => FlowProtocol::Tcp,
                    Protocol::Udp => FlowProtocol::Udp,
                    Protocol::Sctp => FlowProtocol::Sctp,
                    Protocol::Icmp => return None,
                };
                let addressee = Addressee::Place(place.clone());
                Some(Column { addressee, address: *address, family, port: listen.port, protocol })
            }));
        }
    }

    /// Whether it has no cell.
    pub fn is_empty(&self) -> bool {
        self.numbers().next().is_none()
    }

    /// The numbers that have a cell.
    fn numbers(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.sources.len() * self.columns.len()).filter(|number| self.is_cell(*number))
    }

    fn ends(&self, number: usize) -> (&Place, &Column) {
        (&self.sources[number / self.columns.len()], &self.columns[number % self.columns.len()])
    }

    fn is_cell(&self, number: usize) -> bool {
        let (source, column) = self.ends(number);
        let has_family = || {
            let own = self.addresses.get(source);
            own.is_some_and(|own| own.iter().any(|address| Family::of(*address) == column.family))
        };
        let outside = matches!(source, Place::External(_));
        let leads_in = match &column.addressee {
            Addressee::Place(Place::External(_)) => !outside,
            // The cluster's DNS serves the cluster.
            Addressee::Name(_) => !outside && self.name_servers.contains_key(&column.family),
            Addressee::Place(_) | Addressee::Service(_) => true,
        };
        leads_in && has_family()
    }

    /// The cells to try: all, or of too many one of each kind that policy can tell apart and a choice among
    /// the others, which the seed makes.
    pub fn choose(&self, oracle: &Oracle<'_>, seed: u64) -> (Vec<Cell>, Option<SampledCells>) {
        let of = self.numbers().count();
        if of <= MOST_CELLS {
            return (self.numbers().map(|number| self.cell(number)).collect(), None);
        }
        let (numbers, kinds) = self.sample(oracle, seed, MOST_CELLS);
        (numbers.into_iter().map(|number| self.cell(number)).collect(), Some(SampledCells { of, kinds }))
    }

    /// At most so many numbers, in their order, and how many kinds of cells there are.
    fn sample(&self, oracle: &Oracle<'_>, seed: u64, most: usize) -> (Vec<usize>, usize) {
        let classes = self.classes(oracle);
        let class = |place: &Place, family| classes.get(&(place.clone(), family)).copied();
        let mut kinds = HashSet::new();
        let mut ranked: Vec<(bool, u64, usize)> = Vec::new();
        for number in self.numbers() {
            let (source, column) = self.ends(number);
            let addressee = match &column.addressee {
                Addressee::Place(place) => class(place, column.family).ok_or(&column.addressee),
                addressee => Err(addressee),
            };
            let to_itself = column.addressee == Addressee::Place(source.clone());
            let source = class(source, column.family).ok_or(source);
            let kind = (source, addressee, to_itself, column.family, column.port, column.protocol);
            let mut hasher = DefaultHasher::new();
            (seed, number).hash(&mut hasher);
            ranked.push((!kinds.insert(kind), hasher.finish(), number));
        }
        // The first of each kind first, then by lot.
        let most = most.min(ranked.len());
        if most < ranked.len() {
            ranked.select_nth_unstable(most);
        }
        let chosen: BTreeSet<usize> = ranked[..most].iter().map(|(_, _, number)| *number).collect();
        (chosen.into_iter().collect(), kinds.len())
    }

    /// The class of each place in each family: members of one class are equal for every policy.
    fn classes(&self, oracle: &Oracle<'_>) -> HashMap<(Place, Family), usize> {
        let mut classes = HashMap::new();
        for family in Family::ALL {
            let has_family = |place: &&Place| {
                let own = self.addresses.get(*place);
                own.is_some_and(|own| own.iter().any(|address| Family::of(*address) == family))
            };
            let places: Vec<Place> = self.sources.iter().filter(has_family).cloned().collect();
            // Without classes every place is one of its own.
            let Ok(matrix) = oracle.matrix(&places, family, &[]) else { continue };
            for (index, place) in places.into_iter().enumerate() {
                classes.extend(matrix.class_of(index).map(|class| ((place, family), class)));
            }
        }
        classes
    }

    /// The cell of a number that has one.
    fn cell(&self, number: usize) -> Cell {
        let (source, column) = self.ends(number);
        let named = |name: &NamespacedName| ObjectName {
            namespace: Some(name.namespace.clone()),
            name: name.name.clone(),
        };
        let from = match source {
            Place::Pod(name) => Source::Pod(named(name)),
            Place::Node(name) => Source::Node(name.clone()),
            Place::External(name) => Source::External(name.clone()),
            // No source of a table; who it is, is said all the same.
            Place::Router => Source::External(Place::Router.to_string()),
        };
        let to = match &column.addressee {
            Addressee::Place(Place::Pod(name)) => Destination::Pod(named(name)),
            Addressee::Place(Place::External(name)) => Destination::External(name.clone()),
            Addressee::Place(_) => Destination::Ip(column.address),
            Addressee::Service(name) => Destination::Service(named(name)),
            Addressee::Name(name) => Destination::Dns(format!("{}.{}", name.name, name.namespace)),
        };
        let port = FlowPort::Port { port: PortRef::Number(column.port), protocol: column.protocol };
        let address = RequestTarget::Address(column.address);
        let request_target = match (&to, self.name_servers.get(&column.family)) {
            (Destination::Dns(name), Some(server)) => RequestTarget::Name {
                name: name.clone(),
                search: crate::flows::search(source),
                server: *server,
                addresses: vec![column.address],
            },
            _ => address,
        };
        Cell {
            number,
            flow: Flow { from, to, port: Some(port), family: None },
            family: column.family,
            request: Request {
                source: source.clone(),
                target: request_target,
                port: RequestPort::Port { port: column.port, protocol: column.protocol },
            },
        }
    }
}

/// Whether it is the cluster's own, and not what every cluster has.
fn own(name: &NamespacedName, theirs: &str) -> bool {
    name.namespace != well_known::DNS_NAMESPACE || name.name != theirs
}

fn protocol_of(protocol: netproof_api::core::TransportProtocol) -> FlowProtocol {
    use netproof_api::core::TransportProtocol;
    match protocol {
        TransportProtocol::Tcp => FlowProtocol::Tcp,
        TransportProtocol::Udp => FlowProtocol::Udp,
        TransportProtocol::Sctp => FlowProtocol::Sctp,
    }
}

#[cfg(test)]
mod tests;
