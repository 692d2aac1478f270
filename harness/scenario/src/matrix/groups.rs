//! Rows and columns that behave alike: one line for many pods of one kind.
//!
//! Two places of one kind and namespace are alike if they say the same as sources and as destinations,
//! their cells with themselves left out: a pod always reaches itself. Groups are made of all tables of a
//! family together, so that a name stands for the same pods everywhere.

use super::Table;
use std::collections::{BTreeSet, HashMap};

/// Where a name stands: among the rows (`true`) or the columns, of which table.
type Role = (bool, usize);

/// What a name says, by role and position of the other; it has no cell with itself.
type Signature = HashMap<(Role, usize), (char, Option<char>)>;

/// Names that behave alike, in their order; at least one.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) names: Vec<String>,
    roles: BTreeSet<Role>,
    signature: Signature,
}

/// The groups of what behaves alike in all of the tables.
pub(super) fn alike(tables: &[&Table]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for name in each(tables) {
        let agrees = |group: &Group| {
            let mut cells = name.signature.iter();
            cells.all(|(place, said)| group.signature.get(place).is_none_or(|other| other == said))
        };
        // Of two that are alike each has the cell that the other lacks, so what a group says is what each of
        // it does.
        let joins = |group: &&mut Group| {
            group.family() == name.family() && group.roles == name.roles && agrees(group)
        };
        match groups.iter_mut().find(joins) {
            Some(group) => {
                group.names.extend(name.names);
                group.signature.extend(name.signature);
            }
            None => groups.push(name),
        }
    }
    groups
}

/// Each name by itself.
pub(super) fn each(tables: &[&Table]) -> Vec<Group> {
    // Rows first, in their order, then what is only a column.
    let sources = tables.iter().flat_map(|table| table.sources.iter().map(ToString::to_string));
    let destinations = tables.iter().flat_map(|table| table.destinations.iter().map(ToString::to_string));
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for name in sources.chain(destinations) {
        positions.entry(name).or_insert_with_key(|name| {
            let (roles, signature) = (BTreeSet::new(), Signature::new());
            groups.push(Group { names: vec![name.clone()], roles, signature });
            groups.len() - 1
        });
    }
    let mut add = |name: &str, role: Role, other: usize, said: Option<(char, Option<char>)>| {
        if let Some(group) = positions.get(name).and_then(|position| groups.get_mut(*position)) {
            group.roles.insert(role);
            group.signature.extend(said.map(|said| ((role, other), said)));
        }
    };
    for (index, table) in tables.iter().enumerate() {
        let sources: Vec<String> = table.sources.iter().map(ToString::to_string).collect();
        let destinations: Vec<String> = table.destinations.iter().map(ToString::to_string).collect();
        for (row, (source, cells)) in sources.iter().zip(&table.cells).enumerate() {
            for (column, (destination, cell)) in destinations.iter().zip(cells).enumerate() {
                let said = (source != destination).then(|| cell.shown());
                add(source, (true, index), column, said);
                add(destination, (false, index), row, said);
            }
        }
    }
    groups
}

impl Group {
    /// Whether it is a row of the tables.
    pub(super) fn is_row(&self) -> bool {
        self.roles.iter().any(|(is_row, _)| *is_row)
    }

    /// The kind and the namespace that its names have in common.
    fn family(&self) -> &str {
        self.names.first().and_then(|name| name.rsplit_once('/')).map_or("", |(family, _)| family)
    }

    /// The names without what they have in common.
    pub(super) fn short_names(&self) -> Vec<&str> {
        self.names
            .iter()
            .map(|name| name.rsplit_once('/').map_or(name.as_str(), |(_, short)| short))
            .collect()
    }

    /// A name for all: that of the first, and how many more there are.
    pub(super) fn label(&self) -> String {
        match self.names.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first, more @ ..] => format!("{first}+{}", more.len()),
        }
    }
}
