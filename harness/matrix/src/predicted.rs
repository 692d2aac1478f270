//! What the API says of every cell. Cells between places are asked of the oracle all at once, by classes of places
//! that policies do not tell apart; those of services and of nodes one by one.

use crate::cell::{Cell, Sign};
use crate::cells::{Cells, Kind};
use crate::choose::{self, Chosen};
use crate::table::Table;
use netproof_controlplane::Snapshot;
use netproof_model::flow::{Flow, FlowPort, PortRef, Source};
use netproof_model::{Action, Family, Place};
use netproof_oracle::{
    Cell as OracleCell, Grouped, Matrix as OracleMatrix, Oracle, PortProtocol, Switches, Verdict,
};
use netproof_plan::flows;
use netproof_verdict::prediction::{Answers, ApiVerdict};
use std::collections::{BTreeMap, HashMap};

/// The tables of one family: places without an address of it stand in none.
pub(super) fn tables(
    snapshot: &Snapshot,
    answers: &Answers<'_>,
    chosen: &Chosen,
    family: Family,
) -> Vec<Table> {
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
        let table = Table {
            family,
            port,
            sources: sources.iter().filter_map(|place| source(place)).collect(),
            destinations: columns,
            cells: Cells::default(),
        };
        tables.push((table, number));
    }
    let places_of =
        |table: &Table| -> Vec<Option<Place>> { table.destinations.iter().map(choose::place_of).collect() };
    let all: Vec<Vec<Option<Place>>> = tables.iter().map(|(table, _)| places_of(table)).collect();
    // What nodes do is more than policy, and asked of each table's own places alone.
    let is_node = |place: &Place| matches!(place, Place::Node(_));
    let by_table = sources.iter().any(|place| is_node(place)) || all.iter().flatten().flatten().any(is_node);
    let ports: Vec<PortProtocol> = tables.iter().map(|(_, port)| *port).collect();
    let grouped = match by_table {
        true => None,
        false => Some(Ends::new(answers.oracle(), &sources, all.iter().flatten(), family, &ports)),
    };
    for ((table, port), places) in tables.iter_mut().zip(&all) {
        let own;
        let ends = match &grouped {
            Some(grouped) => grouped,
            None => {
                own = Ends::new(answers.oracle(), &sources, places.iter(), family, &[*port]);
                &own
            }
        };
        table.cells =
            Asking { snapshot, answers, table, port: *port, sources: &sources, places, ends }.cells();
    }
    tables.into_iter().map(|(table, _)| table).collect()
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

/// Sources and the destinations that are places, in classes.
struct Ends<'o> {
    grouped: Option<Grouped<'o>>,
    /// Where each place stands: sources first, in their order.
    positions: HashMap<Place, usize>,
}

impl<'o> Ends<'o> {
    fn new<'p>(
        oracle: &'o Oracle<'o>,
        sources: &[&'p Place],
        destinations: impl Iterator<Item = &'p Option<Place>>,
        family: Family,
        ports: &[PortProtocol],
    ) -> Ends<'o> {
        let mut endpoints: Vec<Place> = Vec::new();
        let mut positions: HashMap<Place, usize> = HashMap::new();
        for place in sources.iter().copied().chain(destinations.flatten()) {
            if !positions.contains_key(place) {
                positions.insert(place.clone(), endpoints.len());
                endpoints.push(place.clone());
            }
        }
        Ends { grouped: oracle.grouped(&endpoints, family, ports).ok(), positions }
    }
}

/// One table, whose cells are asked.
struct Asking<'a> {
    snapshot: &'a Snapshot,
    answers: &'a Answers<'a>,
    table: &'a Table,
    port: PortProtocol,
    sources: &'a [&'a Place],
    /// The destinations that are places.
    places: &'a [Option<Place>],
    ends: &'a Ends<'a>,
}

/// What all sources of a class say.
struct Line {
    /// By column; `None` where each source is asked for itself.
    kinds: Vec<Option<Kind>>,
    /// The line, if nobody has to be asked.
    whole: Option<usize>,
}

impl Asking<'_> {
    fn cells(&self) -> Cells {
        let matrix = self.ends.grouped.as_ref().and_then(|grouped| grouped.matrix(&[self.port]).ok());
        let class_of = |place: &Place| matrix.as_ref()?.class_of(*self.ends.positions.get(place)?);
        let columns: Vec<Option<usize>> =
            self.places.iter().map(|place| place.as_ref().and_then(class_of)).collect();
        let own_columns = self.places.iter().enumerate();
        let own_columns: HashMap<&Place, usize> =
            own_columns.filter_map(|(column, place)| Some((place.as_ref()?, column))).collect();
        let mut cells = Cells::default();
        let mut by_class: HashMap<(usize, bool), Line> = HashMap::new();
        let mut whole_lines: HashMap<Vec<Kind>, usize> = HashMap::new();
        for (row, source) in self.sources.iter().enumerate() {
            let own = own_columns.get(source).copied();
            // Without classes everybody is asked for itself.
            let class = class_of(source).unwrap_or(usize::MAX - row);
            let line = by_class.entry((class, is_outside(source))).or_insert_with(|| {
                let kinds = self.line(matrix.as_ref(), source, (class, own), &columns, &mut cells);
                let whole: Option<Vec<Kind>> = kinds.iter().copied().collect();
                let whole = whole.map(|line| line_of(line, &mut whole_lines, &mut cells));
                Line { kinds, whole }
            });
            let own = own.map(|column| (column, cells.kind(self.cell(matrix.as_ref(), row, column))));
            let index = match line.whole {
                Some(index) => index,
                None => {
                    let one = |(column, kind): (usize, &Option<Kind>)| match (kind, own) {
                        (Some(kind), _) => *kind,
                        (None, Some((own, kind))) if own == column => kind,
                        _ => cells.kind(self.cell(matrix.as_ref(), row, column)),
                    };
                    let line = line.kinds.iter().enumerate().map(one).collect();
                    line_of(line, &mut whole_lines, &mut cells)
                }
            };
            cells.add_row(index, own);
        }
        cells
    }

    /// What a source of a class says to each column but its own, as far as all of its class say that.
    fn line(
        &self,
        matrix: Option<&OracleMatrix>,
        source: &Place,
        (class, own): (usize, Option<usize>),
        columns: &[Option<usize>],
        cells: &mut Cells,
    ) -> Vec<Option<Kind>> {
        let mut by_destination: HashMap<(usize, bool), Option<Kind>> = HashMap::new();
        let mut line = vec![None; columns.len()];
        let ends = || self.places.iter().zip(columns).enumerate();
        for (column, (place, to)) in ends().filter(|(column, _)| own != Some(*column)) {
            let (Some(place), Some(to), Some(kind)) = (place, to, line.get_mut(column)) else { continue };
            *kind = *by_destination.entry((*to, is_outside(place))).or_insert_with(|| {
                let known = matrix.and_then(|matrix| matrix.of_classes(class, *to, 0));
                self.of_places(source, place, known).map(|cell| cells.kind(cell))
            });
        }
        // To others of its class it says what it says to another one of theirs.
        if let Some((column, (Some(place), Some(to)))) = ends().find(|(column, _)| own == Some(*column))
            && let Some(kind) = line.get_mut(column)
        {
            let others = by_destination.get(&(*to, is_outside(place))).copied().flatten();
            // Where nobody else of its class is asked for, others outside are still not asked about it.
            *kind = others.or_else(|| self.of_places(source, place, None).map(|cell| cells.kind(cell)));
        }
        line
    }

    /// One cell, whichever classes its ends are of.
    fn cell(&self, matrix: Option<&OracleMatrix>, row: usize, column: usize) -> Cell {
        let between = || {
            let (source, place) = (*self.sources.get(row)?, self.places.get(column)?.as_ref()?);
            let position = |place: &Place| self.ends.positions.get(place).copied();
            let known = matrix.and_then(|matrix| matrix.cell(position(source)?, position(place)?, 0));
            self.of_places(source, place, known)
        };
        between().unwrap_or_else(|| self.one(row, column))
    }

    /// The cell between two places; `None` where the oracle's is not all there is to say.
    fn of_places(&self, source: &Place, place: &Place, known: Option<OracleCell>) -> Option<Cell> {
        if is_outside(source) && is_outside(place) {
            return Some(Cell::of(Sign::NotAsked));
        }
        match (known?, place) {
            (OracleCell::Allow, _) => Some(Cell::of(Sign::Allow)),
            (OracleCell::Deny, Place::Pod(_) | Place::External(_)) if !matches!(source, Place::Node(_)) => {
                Some(Cell::of(Sign::Deny))
            }
            (OracleCell::Either, _) => {
                Some(Cell { open: self.open_switches(source, place), ..Cell::of(Sign::Open) })
            }
            _ => None,
        }
    }

    /// The switches that a cell between two places leaves open.
    fn open_switches(&self, from: &Place, to: &Place) -> Switches {
        let address = self.snapshot.address_of(to, self.table.family);
        let flow = address.map(|to| netproof_oracle::Flow { from: from.clone(), to, port: self.port });
        let prediction = flow.and_then(|flow| self.answers.oracle().predict(&flow).ok());
        let ways = prediction.iter().flat_map(|prediction| &prediction.alternatives);
        ways.fold(Switches::default(), |all, way| match way.verdict {
            Verdict::Either(switches) => all.union(switches),
            _ => all,
        })
    }

    /// One cell by itself.
    fn one(&self, row: usize, column: usize) -> Cell {
        match (self.table.sources.get(row), self.table.destinations.get(column)) {
            (Some(source), Some(destination)) => {
                asked(self.snapshot, self.answers, &self.table.flow(source, destination))
            }
            _ => Cell::of(Sign::NotAsked),
        }
    }
}

/// The number of a line, a new one if there is none like it.
fn line_of(line: Vec<Kind>, lines: &mut HashMap<Vec<Kind>, usize>, cells: &mut Cells) -> usize {
    match lines.get(&line) {
        Some(known) => *known,
        None => {
            let index = cells.add_line(line.clone());
            lines.insert(line, index);
            index
        }
    }
}

fn is_outside(place: &Place) -> bool {
    matches!(place, Place::External(_))
}

/// One cell by itself.
fn asked(snapshot: &Snapshot, answers: &Answers<'_>, flow: &Flow) -> Cell {
    let resolved = flows::resolve(snapshot, flow, true).ok();
    let request = resolved.as_ref().and_then(|resolved| resolved.requests.first());
    let Some(answer) = request.and_then(|(_, request)| answers.fresh(request)) else {
        return Cell::of(Sign::NotAsked);
    };
    let mut signs: BTreeMap<Sign, Switches> = BTreeMap::new();
    for course in &answer.courses {
        let (sign, switches) = match &course.verdict {
            ApiVerdict::Allow => (Sign::Allow, Switches::default()),
            ApiVerdict::Deny(netproof_oracle::PredictedDenial::Policy { .. }) => {
                (Sign::Deny, Switches::default())
            }
            ApiVerdict::Deny(denial) if denial.action() == Some(Action::Reject) => {
                (Sign::Reject, Switches::default())
            }
            ApiVerdict::Deny(_) => (Sign::Drop, Switches::default()),
            ApiVerdict::Open(switches) => (Sign::Open, *switches),
            ApiVerdict::NoAnswer => (Sign::NoAnswer, Switches::default()),
            ApiVerdict::Unreachable | ApiVerdict::NameNotFound | ApiVerdict::NameServerUnreachable => {
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
