//! Rows and columns that behave alike: one line for many pods of one kind.
//!
//! Two rows are alike if all their cells are, their cells with themselves left out: a pod always reaches
//! itself. So with columns. Groups are made of all tables of a family together, so that a name stands for
//! the same pods in each.

use super::{Sign, Table};
use std::collections::{BTreeSet, HashMap};

/// What a row or a column says at the others, by table and position; it has no cell with itself.
type Signature = HashMap<(usize, usize), (Sign, bool)>;

/// Names that behave alike, in their order; at least one.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) names: Vec<String>,
    tables: BTreeSet<usize>,
    signature: Signature,
}

/// The groups of the rows and of the columns of some tables.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pub(super) rows: Vec<Group>,
    pub(super) columns: Vec<Group>,
}

impl Groups {
    /// The groups of what behaves alike in all of the tables.
    pub(super) fn of(tables: &[&Table]) -> Groups {
        let Groups { rows, columns } = Groups::each(tables);
        Groups { rows: join(rows), columns: join(columns) }
    }

    /// Each row and each column by itself.
    pub(super) fn each(tables: &[&Table]) -> Groups {
        let (mut rows, mut columns) = (Lines::default(), Lines::default());
        for (index, table) in tables.iter().enumerate() {
            let sources: Vec<String> = table.sources.iter().map(ToString::to_string).collect();
            let destinations: Vec<String> = table.destinations.iter().map(ToString::to_string).collect();
            for (row, (source, cells)) in sources.iter().zip(&table.cells).enumerate() {
                for (column, (destination, cell)) in destinations.iter().zip(cells).enumerate() {
                    let said = (source != destination).then_some((cell.predicted, cell.differs()));
                    rows.add(source, (index, column), said);
                    columns.add(destination, (index, row), said);
                }
            }
        }
        Groups { rows: rows.lines, columns: columns.lines }
    }
}

/// Rows or columns, each a group of its own.
#[derive(Default)]
struct Lines {
    positions: HashMap<String, usize>,
    lines: Vec<Group>,
}

impl Lines {
    fn add(&mut self, name: &str, place: (usize, usize), said: Option<(Sign, bool)>) {
        let next = self.lines.len();
        let position = match self.positions.get(name) {
            Some(position) => *position,
            None => {
                self.positions.insert(name.to_owned(), next);
                let names = vec![name.to_owned()];
                self.lines.push(Group { names, tables: BTreeSet::new(), signature: Signature::new() });
                next
            }
        };
        if let Some(line) = self.lines.get_mut(position) {
            line.tables.insert(place.0);
            line.signature.extend(said.map(|said| (place, said)));
        }
    }
}

/// Puts each line to the first group that stands in the same tables and that it contradicts nowhere. Of two
/// that are alike each has the cell that the other lacks, so what a group says is what each of it does.
fn join(lines: Vec<Group>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in lines {
        let agrees = |group: &Group| {
            let mut cells = line.signature.iter();
            cells.all(|(place, said)| group.signature.get(place).is_none_or(|other| other == said))
        };
        match groups.iter_mut().find(|group| group.tables == line.tables && agrees(group)) {
            Some(group) => {
                group.names.extend(line.names);
                group.signature.extend(line.signature);
            }
            None => groups.push(line),
        }
    }
    groups
}

impl Group {
    /// A name for all: that of the first, and how many more there are.
    pub(super) fn label(&self) -> String {
        match self.names.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first, more @ ..] => format!("{first}+{}", more.len()),
        }
    }
}
