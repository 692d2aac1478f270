//! All pairs of many endpoints at once, by classes of equal endpoints and sets of bits.
//!
//! The answers are those of [`Oracle::predict`] on every cell. Cells between pods and hosts outside the
//! cluster are policy alone, and computed here; cells of nodes, whose traffic has more to it, are asked of
//! it, one for each class.

#![expect(
    clippy::indexing_slicing,
    reason = "every row, class and plane is named by a number that the same matrix gave it"
)]

mod classes;
mod planes;

use crate::flow::{Flow, PortProtocol};
use crate::oracle::{Oracle, PredictError};
use crate::policy::many::{Many, Member};
use crate::prediction::{Prediction, Verdict};
use classes::Classes;
use netproof_model::{Family, Place};
use planes::Plane;
use std::collections::HashMap;
use std::sync::Arc;

/// What should become of a flow, without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// It gets through.
    Allow,
    /// It does not.
    Deny,
    /// The API leaves it open.
    Either,
    /// It depends on the endpoint that a service proxy chooses.
    Varies,
    /// It gets through, and no answer comes back.
    NoAnswer,
}

impl Cell {
    /// The cell of a prediction.
    pub fn of(prediction: &Prediction) -> Cell {
        match prediction.verdict() {
            None => Cell::Varies,
            Some(Verdict::Allow) => Cell::Allow,
            Some(Verdict::Either(_)) => Cell::Either,
            Some(Verdict::Deny(_) | Verdict::Unreachable) => Cell::Deny,
            Some(Verdict::NoAnswer { .. }) => Cell::NoAnswer,
        }
    }
}

/// Every source to every destination at every port.
#[derive(Clone, Debug)]
pub struct Matrix {
    ends: Arc<Ends>,
    planes: Vec<Plane>,
    /// The cells (source class, destination class, port) that planes have no room for.
    others: HashMap<(usize, usize, usize), Cell>,
}

/// Who stands in a matrix.
#[derive(Debug)]
struct Ends {
    endpoints: Vec<Place>,
    /// The position at which each endpoint stands first.
    first: Vec<usize>,
    class_of: Vec<usize>,
    /// Of each class, whether a member is alone in it and its cell with itself is in the planes.
    is_single: Vec<bool>,
}

/// Endpoints in classes of equal ones, which can be asked about one port after the other.
pub struct Grouped<'o> {
    oracle: &'o Oracle<'o>,
    apis: Vec<Box<dyn Many + 'o>>,
    classes: Classes<'o>,
    ends: Arc<Ends>,
}

impl Matrix {
    /// The endpoints, in the order in which they were given.
    pub fn endpoints(&self) -> &[Place] {
        &self.ends.endpoints
    }

    /// The number of classes of equal endpoints.
    pub fn classes(&self) -> usize {
        self.ends.is_single.len()
    }

    /// The class of an endpoint, by position; `None` if there is no such endpoint. Pairs of the same two
    /// classes have equal cells, except that an endpoint reaches itself.
    pub fn class_of(&self, endpoint: usize) -> Option<usize> {
        self.ends.class_of.get(endpoint).copied()
    }

    /// One cell, by positions among the endpoints and the ports; `None` if there is no such cell.
    pub fn cell(&self, source: usize, destination: usize, port: usize) -> Option<Cell> {
        let (from, to) = (self.class_of(source)?, self.class_of(destination)?);
        let Ends { first, is_single, .. } = &*self.ends;
        // No policy keeps a pod from itself, and nothing is between a host and itself.
        if first[source] == first[destination] && !is_single[from] && port < self.planes.len() {
            return Some(Cell::Allow);
        }
        self.of_classes(from, to, port)
    }

    /// What each endpoint of a class has with each other one of a class; `None` if there is no such class or port.
    pub fn of_classes(&self, from: usize, to: usize, port: usize) -> Option<Cell> {
        let plane = self.planes.get(port).filter(|_| from.max(to) < self.classes())?;
        if let Some(cell) = self.others.get(&(from, to, port)) {
            return Some(*cell);
        }
        Some(match (plane.certain[from].contains(to), plane.possible[from].contains(to)) {
            (true, _) => Cell::Allow,
            (false, true) => Cell::Either,
            (false, false) => Cell::Deny,
        })
    }
}

impl Oracle<'_> {
    /// The matrix of these endpoints, at their addresses of one family.
    ///
    /// # Errors
    /// An endpoint that is not there, or has no address of the family.
    pub fn matrix(
        &self,
        endpoints: &[Place],
        family: Family,
        ports: &[PortProtocol],
    ) -> Result<Matrix, PredictError> {
        self.grouped(endpoints, family, ports)?.matrix(ports)
    }

    /// The classes of these endpoints, at their addresses of one family, to be asked about some of these ports.
    ///
    /// # Errors
    /// An endpoint that is not there, or has no address of the family.
    pub fn grouped(
        &self,
        endpoints: &[Place],
        family: Family,
        ports: &[PortProtocol],
    ) -> Result<Grouped<'_>, PredictError> {
        let mut members =
            endpoints.iter().map(|place| self.member(place, family)).collect::<Result<Vec<_>, _>>()?;
        // The policies of nodes' interfaces are on the way of everybody.
        if self.evaluators.iter().any(|it| it.is_about_nodes()) {
            members.iter_mut().for_each(|member| member.is_single = true);
        }
        let view = self.policies().view;
        let mut apis: Vec<_> = self.evaluators.iter().map(|it| it.for_many(view, &members)).collect();
        // The traffic of nodes depends on who is on which node; that of services on who is the endpoint.
        let by_node = members.iter().any(|member| member.is_single);
        let is_service = |member: &Member<'_>| !self.services.at(member.address).is_empty();
        let each_alone = by_node
            && (ports.iter().any(|port| self.services.node_port(family, *port).is_some())
                || members.iter().any(is_service));
        let classes = Classes::new(&mut apis, &members, (by_node, each_alone));
        let mut first = HashMap::new();
        let places = endpoints.iter().enumerate();
        let ends = Arc::new(Ends {
            endpoints: endpoints.to_vec(),
            first: places.map(|(index, place)| *first.entry(place).or_insert(index)).collect(),
            class_of: classes.of.clone(),
            is_single: classes.list.iter().map(|class| class.member.is_single).collect(),
        });
        Ok(Grouped { oracle: self, apis, classes, ends })
    }

    fn member(&self, place: &Place, family: Family) -> Result<Member<'_>, PredictError> {
        let snapshot = self.world.snapshot;
        let no_source = || PredictError::NoSource(place.clone());
        let (pod, is_node) = match place {
            Place::Pod(name) => (Some(snapshot.pods.get(name).ok_or_else(no_source)?), false),
            Place::Node(name) if snapshot.nodes.contains_key(name) => (None, true),
            Place::External(name) if snapshot.externals.contains_key(name) => (None, false),
            Place::Node(_) | Place::External(_) | Place::Router => return Err(no_source()),
        };
        if pod.is_some_and(|pod| pod.host_network || pod.phase.has_ended()) {
            return Err(no_source());
        }
        let address = snapshot
            .address_of(place, family)
            .ok_or_else(|| PredictError::NoAddress { place: place.clone(), family })?;
        let on_node = pod
            .is_none_or(|pod| pod.node_name.as_ref().is_some_and(|node| snapshot.nodes.contains_key(node)));
        // An address that is a service's, too, or a pod that is nowhere: policy is not all there is to it.
        let is_single = is_node || !on_node || !self.services.at(address).is_empty();
        Ok(Member { address, pod: pod.map(AsRef::as_ref), is_single })
    }
}

impl Grouped<'_> {
    /// The matrix at some of the ports.
    ///
    /// # Errors
    /// Those of [`Oracle::predict`].
    pub fn matrix(&self, ports: &[PortProtocol]) -> Result<Matrix, PredictError> {
        let planes = ports.iter().map(|port| Plane::at(*port, &self.apis, &self.classes)).collect();
        let mut matrix = Matrix { ends: self.ends.clone(), planes, others: HashMap::new() };
        for (from, source) in self.classes.list.iter().enumerate() {
            for (to, destination) in self.classes.list.iter().enumerate() {
                if !source.member.is_single && !destination.member.is_single {
                    continue;
                }
                for (index, port) in ports.iter().enumerate() {
                    let flow = Flow {
                        from: self.ends.endpoints[source.endpoint].clone(),
                        to: destination.member.address,
                        port: *port,
                    };
                    matrix.put((from, to, index), Cell::of(&self.oracle.predict(&flow)?));
                }
            }
        }
        Ok(matrix)
    }
}

impl Matrix {
    fn put(&mut self, (from, to, port): (usize, usize, usize), cell: Cell) {
        let plane = &mut self.planes[port];
        plane.certain[from].set(to, cell == Cell::Allow);
        plane.possible[from].set(to, cell != Cell::Deny);
        if matches!(cell, Cell::Varies | Cell::NoAnswer) {
            self.others.insert((from, to, port), cell);
        }
    }
}
