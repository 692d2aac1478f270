//! Rows and columns that behave alike: one line for many pods of one kind.
//!
//! Two places of one kind and namespace are alike if they say the same as sources and as destinations,
//! their cells with themselves left out: a pod always reaches itself. Groups are made of all tables of a
//! family together, so that a name stands for the same pods everywhere.

use crate::table::Table;
use std::collections::{BTreeMap, HashMap};

/// Where a name stands: among the rows (`true`) or the columns, of which table.
type Role = (bool, usize);

/// The row or column that a name has in each of its roles.
type Places = BTreeMap<Role, usize>;

/// The numbers of the lines of a table's rows and columns: two of one number differ at most in what they say of
/// themselves.
struct Lines {
    rows: Vec<usize>,
    columns: Vec<usize>,
}

impl Lines {
    fn of(table: &Table) -> Lines {
        Lines { rows: table.cells.lines_of_rows(), columns: table.cells.lines_of_columns() }
    }

    /// That of a row or column.
    fn number(&self, (is_row, _): Role, place: usize) -> Option<usize> {
        let numbers = if is_row { &self.rows } else { &self.columns };
        numbers.get(place).copied()
    }
}

/// Names that behave alike, in their order; at least one.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) names: Vec<String>,
    /// The places of the first name, and of the second, which has the cell that the first one lacks: that with
    /// itself.
    places: Vec<Places>,
}

/// The groups of what behaves alike in all of the tables.
pub(super) fn alike(tables: &[&Table]) -> Vec<Group> {
    let lines: Vec<Lines> = tables.iter().map(|table| Lines::of(table)).collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut by_family: HashMap<String, Vec<usize>> = HashMap::new();
    for name in each(tables) {
        let family = by_family.entry(name.family().to_owned()).or_default();
        // Of two that are alike each has the cell that the other lacks, so what a group says is what each of
        // it does.
        let found = family
            .iter()
            .copied()
            .find(|index| groups.get(*index).is_some_and(|it| it.takes(&name, tables, &lines)));
        match found.and_then(|index| groups.get_mut(index)) {
            Some(group) => {
                group.names.extend(name.names);
                group.places.extend(name.places.into_iter().take(2usize.saturating_sub(group.places.len())));
            }
            None => {
                family.push(groups.len());
                groups.push(name);
            }
        }
    }
    groups
}

/// Each name by itself.
pub(super) fn each(tables: &[&Table]) -> Vec<Group> {
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |name: String, role: Role, place: usize| {
        let position = *positions.entry(name).or_insert_with_key(|name| {
            groups.push(Group { names: vec![name.clone()], places: vec![Places::new()] });
            groups.len() - 1
        });
        if let Some(places) = groups.get_mut(position).and_then(|group| group.places.first_mut()) {
            places.insert(role, place);
        }
    };
    // Rows first, in their order, then what is only a column.
    for (index, table) in tables.iter().enumerate() {
        let sources = table.sources.iter().enumerate();
        sources.for_each(|(row, name)| add(name.to_string(), (true, index), row));
    }
    for (index, table) in tables.iter().enumerate() {
        let destinations = table.destinations.iter().enumerate();
        destinations.for_each(|(column, name)| add(name.to_string(), (false, index), column));
    }
    groups
}

/// What the cells of a row or column show, in the order of the others.
fn line(
    table: &Table,
    (is_row, _): Role,
    place: usize,
) -> impl Iterator<Item = Option<(char, Option<char>)>> {
    let others = if is_row { table.destinations.len() } else { table.sources.len() };
    (0..others).map(move |other| {
        let (row, column) = if is_row { (place, other) } else { (other, place) };
        Some(table.cells.get(row, column)?.shown())
    })
}

/// The place of the cell that a name has with itself in the line of a role.
fn own(places: &Places, (is_row, table): Role) -> Option<usize> {
    places.get(&(!is_row, table)).copied()
}

impl Group {
    /// Whether it is a row of the tables.
    pub(super) fn is_row(&self) -> bool {
        self.places.iter().flat_map(BTreeMap::keys).any(|(is_row, _)| *is_row)
    }

    /// Whether a name by itself says in all of its roles what the group says.
    fn takes(&self, name: &Group, tables: &[&Table], lines: &[Lines]) -> bool {
        let ([first, more @ ..], [places]) = (&self.places[..], &name.places[..]) else { return false };
        first.keys().eq(places.keys())
            && places.iter().all(|(role, place)| {
                let (Some(table), Some(known)) = (tables.get(role.1), first.get(role)) else { return false };
                // Those of one line say the same of everybody but themselves, and the second of the first as well.
                let line_of = |place: &usize| lines.get(role.1)?.number(*role, *place);
                let second_line = more.first().map_or(line_of(known), |it| line_of(it.get(role)?));
                if line_of(place).is_some() && [line_of(known), second_line] == [line_of(place); 2] {
                    return true;
                }
                // What the first cannot say of itself the second says.
                let of_second =
                    more.first().and_then(|second| Some((own(first, *role)?, *second.get(role)?)));
                let said =
                    of_second.map(|(other, place)| (other, line(table, *role, place).nth(other).flatten()));
                let lines = line(table, *role, *known).zip(line(table, *role, *place)).enumerate();
                lines.filter(|(other, _)| own(places, *role) != Some(*other)).all(
                    |(other, (known, said_here))| match own(first, *role) == Some(other) {
                        true => said.is_none_or(|(_, said)| said == said_here),
                        false => known == said_here,
                    },
                )
            })
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
