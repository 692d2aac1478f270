//! Who reaches whom in one step of a plan: every source to every destination, a table for each port.
//!
//! [`predict`] asks the oracle, and builds nothing. `probe` tries the same cells with packets.

mod asking;
mod choose;
mod groups;
mod left_out;
mod outside;
mod probe;
mod report;
mod selector;
mod text;

pub use left_out::{LeftOut, Why};
pub use outside::{StandIn, Unanswered};
pub use probe::{MOST_PROBES, Unprobed, probe};
pub use report::{FORMAT, Report};
pub use selector::{PortChoice, Selector};
pub use text::text;

use crate::asked::{Balancers, Outside};
use crate::explain::NoAnswer;
use crate::format::resolve;
use crate::plan::Plan;
use crate::prediction::{Answers, Word};
use choose::Chosen;
use netproof_controlplane::Snapshot;
use netproof_model::flow::{Destination, Flow, FlowPort, PortRef, Source};
use netproof_model::{Action, Family, Place};
use netproof_oracle::{Cell as OracleCell, Oracle, PortProtocol, Profile, Switches, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to ask of a plan.
#[derive(Clone, Debug)]
pub struct Question {
    /// The state after this step; after the last one if none is named.
    pub step: Option<String>,
    /// Only these sources; the cluster's own pods and the external hosts if none is named.
    pub from: Vec<Selector>,
    /// Only these destinations; likewise.
    pub to: Vec<Selector>,
    /// Only these ports; every port that a destination serves if none is named.
    pub ports: Vec<PortChoice>,
    /// Services as destinations, too.
    pub services: bool,
    /// How to read what the API leaves open; as the plan says, else as our own enforcer does, if absent.
    pub profile: Option<Profile>,
}

/// Who reaches whom.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The scenario run, or the paths of the manifests.
    pub scenario: String,
    /// The step after which.
    pub step: String,
    /// The profile's name.
    pub profile: &'static str,
    /// How many pods, external hosts, services and policies the cluster has, its DNS left out.
    pub objects: Objects,
    /// What stands in no table, and why.
    pub left_out: Vec<LeftOut>,
    /// Hosts outside that stand for more addresses than their own.
    pub stand_ins: Vec<StandIn>,
    /// Ranges outside that policies tell apart and no host stands for.
    pub unanswered: Vec<Unanswered>,
    /// One for each port and family.
    pub tables: Vec<Table>,
}

/// What a cluster has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Pods with a network of their own.
    pub pods: usize,
    /// Pods in the network of their node: they are no endpoints of policy, and stand in no table.
    pub host_network_pods: usize,
    /// Hosts outside the cluster.
    pub externals: usize,
    /// Services.
    pub services: usize,
    /// NetworkPolicies.
    pub policies: usize,
}

/// Every source to every destination that serves one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The family.
    pub family: Family,
    /// The port.
    pub port: FlowPort,
    /// The rows.
    pub sources: Vec<Source>,
    /// The columns.
    pub destinations: Vec<Destination>,
    /// The cells of each row. Those that say the same are one: of 5,000 pods there are 25 million.
    pub cells: Vec<Vec<Arc<Cell>>>,
}

/// One source to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What the API says.
    pub predicted: Sign,
    /// Where it leaves that open, the switches of the profile that would settle it.
    pub open: Switches,
    /// What the packets did, if they were asked.
    pub observed: Option<Observed>,
}

/// What the packets of a cell did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// In the words of expectations.
    pub word: String,
    /// What is not as predicted, one sentence each; empty where all is.
    pub differs: Vec<String>,
}

/// A cell, in the signs of the scenario format where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// It gets through.
    Allow,
    /// Policy denies it.
    Deny,
    /// A service proxy drops it.
    Drop,
    /// A service proxy rejects it.
    Reject,
    /// The API leaves it open.
    Open,
    /// It depends on the backend that is chosen.
    Varies,
    /// No route leads there.
    Unreachable,
    /// It gets through, and no answer comes back.
    NoAnswer,
    /// Not asked: nothing of the cluster is between the two.
    NotAsked,
}

impl Sign {
    /// The sign.
    pub fn sign(self) -> char {
        match self {
            Sign::Allow => '.',
            Sign::Deny => 'X',
            Sign::Drop => 'D',
            Sign::Reject => 'R',
            Sign::Open => '?',
            Sign::Varies => '~',
            Sign::Unreachable => 'U',
            Sign::NoAnswer => 'N',
            Sign::NotAsked => '-',
        }
    }

    /// What it means, for the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Sign::Allow => "allowed",
            Sign::Deny => "denied by policy",
            Sign::Drop => "dropped by the service proxy",
            Sign::Reject => "rejected by the service proxy",
            Sign::Open => "left open by the API",
            Sign::Varies => "depends on the backend",
            Sign::Unreachable => "no route",
            Sign::NoAnswer => "arrives, and no answer comes back",
            Sign::NotAsked => "outside the cluster",
        }
    }
}

/// How many cells say what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allowed.
    pub allowed: usize,
    /// Denied, by policy or by a service proxy.
    pub denied: usize,
    /// To which no route leads.
    pub unreachable: usize,
    /// That get through, and no answer comes back.
    pub unanswered: usize,
    /// Left open by the API, or dependent on the backend.
    pub open: usize,
    /// Whose packets did otherwise.
    pub differ: usize,
}

impl Matrix {
    /// The sums over all cells that were asked.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for cell in self.tables.iter().flat_map(|table| &table.cells).flatten() {
            match cell.predicted {
                Sign::Allow => counts.allowed += 1,
                Sign::Deny | Sign::Drop | Sign::Reject => counts.denied += 1,
                Sign::Unreachable => counts.unreachable += 1,
                Sign::NoAnswer => counts.unanswered += 1,
                Sign::Open | Sign::Varies => counts.open += 1,
                Sign::NotAsked => {}
            }
            counts.differ += usize::from(cell.differs());
        }
        counts
    }
}

impl Table {
    /// The flow of a cell.
    pub(crate) fn flow(&self, source: &Source, destination: &Destination) -> Flow {
        Flow {
            from: source.clone(),
            to: destination.clone(),
            port: Some(self.port.clone()),
            family: Some(self.family),
        }
    }
}

impl Cell {
    fn of(predicted: Sign) -> Cell {
        Cell { predicted, open: Switches::default(), observed: None }
    }

    /// The sign; after it `!` where the packets did otherwise, and what they did where the API leaves it open.
    fn shown(&self) -> (char, Option<char>) {
        let observed = self.observed.as_ref().filter(|_| matches!(self.predicted, Sign::Open | Sign::Varies));
        let did = observed.map(|observed| match observed.word.as_str() {
            "allow" => '.',
            "drop" => 'D',
            "reject" => 'R',
            _ => 'r',
        });
        (self.predicted.sign(), if self.differs() { Some('!') } else { did })
    }

    /// Whether the packets did otherwise than the API says.
    pub fn differs(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| !observed.differs.is_empty())
    }
}

/// What the API says of every cell.
///
/// # Errors
/// A step or a selector that names nothing, or no cell that is left.
pub fn predict(plan: &Plan, question: &Question) -> Result<Matrix, NoAnswer> {
    let asking::Asked { step, snapshot, .. } = asking::asked(plan, question)?;
    let asks_balancers = question.services || question.to.iter().any(Selector::names_balancers);
    let outside = Outside::of(&snapshot, if asks_balancers { Balancers::Asked } else { Balancers::NotAsked });
    let chosen = Chosen::new(plan, &snapshot, question, &outside)?;
    let profile = plan.profile_or(question.profile);
    let answers = Answers::new(&snapshot, profile);
    let mut tables = Vec::new();
    for family in snapshot.topology.family.list() {
        tables.extend(family_tables(&snapshot, &answers, &chosen, *family));
    }
    let scenario = plan.id.to_string();
    if tables.is_empty() {
        return Err(NoAnswer::NothingLeft { scenario, help: chosen.hint(&snapshot) });
    }
    // A scenario says itself who is outside, and a host that was asked for by its address is meant itself.
    let mut stand_ins = match plan.stand_ins.is_some() {
        true => outside::stand_ins(&outside, &tables),
        false => Vec::new(),
    };
    stand_ins.retain(|it| plan.topology.externals.iter().any(|host| host.name == it.host));
    let unanswered = match plan.stand_ins.is_some() && question.from.is_empty() && question.to.is_empty() {
        true => outside::unanswered(&outside),
        false => Vec::new(),
    };
    Ok(Matrix {
        scenario,
        step: step.name.clone(),
        profile: profile.name,
        objects: chosen.objects(&snapshot),
        left_out: chosen.left_out(&snapshot, &tables),
        stand_ins,
        unanswered,
        tables,
    })
}

/// The tables of one family: places without an address of it stand in none.
fn family_tables(snapshot: &Snapshot, answers: &Answers<'_>, chosen: &Chosen, family: Family) -> Vec<Table> {
    let has_address = |place: &Place| snapshot.address_of(place, family).is_some();
    let sources: Vec<&Place> = chosen.sources.iter().filter(|place| has_address(place)).collect();
    if sources.is_empty() {
        return Vec::new();
    }
    let mut tables = Vec::new();
    for (port, columns) in chosen.columns(snapshot, family) {
        let number = match &port {
            FlowPort::Icmp => PortProtocol::Echo,
            FlowPort::Port { port: PortRef::Number(number), protocol } => {
                PortProtocol::new(*number, protocol.transport())
            }
            // Ports of columns are numbers.
            FlowPort::Port { port: PortRef::Name(_), .. } => continue,
        };
        let mut table = Table {
            family,
            port,
            sources: sources.iter().filter_map(|place| source(place)).collect(),
            destinations: columns,
            cells: Vec::new(),
        };
        table.cells = cells(snapshot, answers, &sources, &table, number);
        tables.push(table);
    }
    tables
}

/// The name of a place that opens flows.
fn source(place: &Place) -> Option<Source> {
    match place {
        Place::Pod(name) => Some(Source::Pod(choose::object_name(name))),
        Place::Node(name) => Some(Source::Node(name.clone())),
        Place::External(name) => Some(Source::External(name.clone())),
        Place::Router => None,
    }
}

/// Cells between places are asked of the oracle all at once; those of services one by one.
fn cells(
    snapshot: &Snapshot,
    answers: &Answers<'_>,
    sources: &[&Place],
    table: &Table,
    port: PortProtocol,
) -> Vec<Vec<Arc<Cell>>> {
    let mut known_cells: Vec<Arc<Cell>> = Vec::new();
    let places: Vec<Option<Place>> = table.destinations.iter().map(choose::place_of).collect();
    let mut endpoints: Vec<Place> = sources.iter().map(|place| (*place).clone()).collect();
    let first_destination = endpoints.len();
    endpoints.extend(places.iter().flatten().cloned());
    let matrix = answers.oracle().matrix(&endpoints, table.family, &[port]).ok();
    let mut position = first_destination;
    let positions: Vec<Option<usize>> = places
        .iter()
        .map(|place| {
            place.as_ref().map(|_| {
                position += 1;
                position - 1
            })
        })
        .collect();
    let row = |(row, source): (usize, &&Place)| {
        let columns = table.destinations.iter().zip(places.iter().zip(&positions));
        columns
            .map(|(destination, (place, position))| {
                let outside = |place: &Place| matches!(place, Place::External(_));
                if outside(source) && place.as_ref().is_some_and(outside) {
                    return Cell::of(Sign::NotAsked);
                }
                let known = position.and_then(|column| matrix.as_ref()?.cell(row, column, 0));
                match (known, place) {
                    (Some(OracleCell::Allow), _) => Cell::of(Sign::Allow),
                    (Some(OracleCell::Deny), Some(Place::Pod(_) | Place::External(_)))
                        if !matches!(source, Place::Node(_)) =>
                    {
                        Cell::of(Sign::Deny)
                    }
                    (Some(OracleCell::Either), Some(place)) => {
                        let open =
                            open_switches(answers.oracle(), source, place, snapshot, table.family, port);
                        Cell { open, ..Cell::of(Sign::Open) }
                    }
                    _ => asked(snapshot, answers, &table.flow(&table.sources[row], destination)),
                }
            })
            .map(|cell| shared(&mut known_cells, cell))
            .collect()
    };
    sources.iter().enumerate().map(row).collect()
}

/// The one cell that says the same.
fn shared(known: &mut Vec<Arc<Cell>>, cell: Cell) -> Arc<Cell> {
    match known.iter().find(|it| ***it == cell) {
        Some(same) => Arc::clone(same),
        None => {
            let cell = Arc::new(cell);
            known.push(Arc::clone(&cell));
            cell
        }
    }
}

/// The switches that a cell between two places leaves open.
fn open_switches(
    oracle: &Oracle<'_>,
    from: &Place,
    to: &Place,
    snapshot: &Snapshot,
    family: Family,
    port: PortProtocol,
) -> Switches {
    let address = snapshot.address_of(to, family);
    let flow = address.map(|to| netproof_oracle::Flow { from: from.clone(), to, port });
    let prediction = flow.and_then(|flow| oracle.predict(&flow).ok());
    let ways = prediction.iter().flat_map(|prediction| &prediction.alternatives);
    ways.fold(Switches::default(), |all, way| match way.verdict {
        Verdict::Either(switches) => all.union(switches),
        _ => all,
    })
}

/// One cell by itself.
fn asked(snapshot: &Snapshot, answers: &Answers<'_>, flow: &Flow) -> Cell {
    let resolved = resolve::resolve(snapshot, flow, true).ok();
    let request = resolved.as_ref().and_then(|resolved| resolved.requests.first());
    let Some(answer) = request.and_then(|(_, request)| answers.fresh(request)) else {
        return Cell::of(Sign::NotAsked);
    };
    let mut signs: BTreeMap<Sign, Switches> = BTreeMap::new();
    for course in &answer.courses {
        let (sign, switches) = match &course.word {
            Word::Allow => (Sign::Allow, Switches::default()),
            Word::Deny(netproof_oracle::Denial::Policy { .. }) => (Sign::Deny, Switches::default()),
            Word::Deny(denial) if denial.action() == Some(Action::Reject) => {
                (Sign::Reject, Switches::default())
            }
            Word::Deny(_) => (Sign::Drop, Switches::default()),
            Word::Open(switches) => (Sign::Open, *switches),
            Word::NoAnswer => (Sign::NoAnswer, Switches::default()),
            Word::Unreachable | Word::NameNotFound | Word::NameServerUnreachable => {
                (Sign::Unreachable, Switches::default())
            }
        };
        let all = signs.entry(sign).or_default();
        *all = all.union(switches);
    }
    let open = signs.values().fold(Switches::default(), |all, switches| all.union(*switches));
    match signs.len() {
        1 => Cell { open, ..Cell::of(signs.into_keys().next().unwrap_or(Sign::NotAsked)) },
        _ => Cell { open, ..Cell::of(Sign::Varies) },
    }
}

#[cfg(test)]
mod tests;
