//! The cells of a table. Most say the same: of 5,000 pods there are 25 million. So what says the same is kept once,
//! and a line of cells once for all sources that behave alike, but for the cell of each with itself.

use crate::cell::Cell;
use std::collections::{HashMap, HashSet};

/// The cells of a table, row by row.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// Each that says something else.
    kinds: Vec<Cell>,
    /// Each line that sources have, column by column.
    lines: Vec<Vec<Kind>>,
    rows: Vec<Row>,
}

/// A position among the kinds.
pub(super) type Kind = u32;

/// What one source has.
#[derive(Clone, Copy, Debug)]
struct Row {
    line: usize,
    /// The column of the source itself, and the cell there.
    own: Option<(usize, Kind)>,
}

impl Cells {
    /// One cell.
    pub fn get(&self, row: usize, column: usize) -> Option<&Cell> {
        self.kind_at(self.rows.get(row)?, column)
    }

    /// The cells of each row.
    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = &Cell>> {
        self.rows.iter().map(|row| {
            let columns = self.lines.get(row.line).map_or(0, Vec::len);
            (0..columns).filter_map(|column| self.kind_at(row, column))
        })
    }

    /// What the cells say, each once, and how many say so.
    pub fn counted(&self) -> impl Iterator<Item = (&Cell, usize)> {
        let mut sources = vec![0; self.lines.len()];
        let mut counts: HashMap<Kind, usize> = HashMap::new();
        for row in &self.rows {
            if let Some(sources) = sources.get_mut(row.line) {
                *sources += 1;
            }
            if let Some((_, kind)) = row.own {
                *counts.entry(kind).or_default() += 1;
            }
        }
        // A line's cell counts for all of its sources but the one that it is of itself.
        let mut without: HashMap<(usize, usize), usize> = HashMap::new();
        for row in &self.rows {
            if let Some((column, _)) = row.own {
                *without.entry((row.line, column)).or_default() += 1;
            }
        }
        for (index, (line, sources)) in self.lines.iter().zip(sources).enumerate() {
            let mut of_line = vec![0; self.kinds.len()];
            for (column, kind) in line.iter().enumerate() {
                let own = without.get(&(index, column)).copied().unwrap_or_default();
                if let Some(count) = of_line.get_mut(*kind as usize) {
                    *count += sources - own;
                }
            }
            for (kind, count) in (0..).zip(of_line).filter(|(_, count)| *count > 0) {
                *counts.entry(kind).or_default() += count;
            }
        }
        (0..).zip(&self.kinds).filter_map(move |(kind, cell)| Some((cell, *counts.get(&kind)?)))
    }

    /// Makes one cell another, and leaves those of all other sources as they are.
    pub(super) fn set(&mut self, row: usize, column: usize, cell: Cell) {
        let kind = self.kind(cell);
        let lines = self.lines.len();
        let Some(row) = self.rows.get_mut(row) else { return };
        let Some(mut line) = self.lines.get(row.line).cloned() else { return };
        match &mut row.own {
            Some((own, known)) if *own == column => *known = kind,
            _ => {
                if let Some(known) = line.get_mut(column) {
                    *known = kind;
                }
                row.line = lines;
                self.lines.push(line);
            }
        }
    }

    /// The number of what a cell says.
    pub(super) fn kind(&mut self, cell: Cell) -> Kind {
        let known = self.kinds.iter().position(|known| *known == cell);
        let position = known.unwrap_or_else(|| {
            self.kinds.push(cell);
            self.kinds.len() - 1
        });
        // There are no more kinds than cells of different words, far fewer than this.
        Kind::try_from(position).unwrap_or(Kind::MAX)
    }

    /// A line that sources may have.
    pub(super) fn add_line(&mut self, line: Vec<Kind>) -> usize {
        self.lines.push(line);
        self.lines.len() - 1
    }

    /// The next source: its line, and its cell with itself.
    pub(super) fn add_row(&mut self, line: usize, own: Option<(usize, Kind)>) {
        self.rows.push(Row { line, own });
    }

    /// The line of each source: those with the same one say the same of everybody but themselves.
    pub(super) fn lines_of_rows(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.line).collect()
    }

    /// A number for each column: those with the same one are said the same of by everybody but themselves.
    pub(super) fn lines_of_columns(&self) -> Vec<usize> {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or_default();
        let mut known: HashMap<Vec<Option<Kind>>, usize> = HashMap::new();
        (0..columns)
            .map(|column| {
                let kinds = self.lines.iter().map(|line| line.get(column).copied()).collect();
                let next = known.len();
                *known.entry(kinds).or_insert(next)
            })
            .collect()
    }

    fn kind_at(&self, row: &Row, column: usize) -> Option<&Cell> {
        let kind = match row.own {
            Some((own, kind)) if own == column => kind,
            _ => *self.lines.get(row.line)?.get(column)?,
        };
        self.kinds.get(kind as usize)
    }
}

impl PartialEq for Cells {
    fn eq(&self, other: &Cells) -> bool {
        let own = |cells: &Cells, row: &Row| {
            row.own.and_then(|(column, _)| Some((column, cells.kind_at(row, column)?.clone())))
        };
        // Lines that are the same are compared once.
        let mut same: HashSet<(usize, usize)> = HashSet::new();
        self.rows.len() == other.rows.len()
            && self.rows.iter().zip(&other.rows).all(|(row, others)| {
                let pair = (row.line, others.line);
                let is_known = same.contains(&pair) && own(self, row) == own(other, others);
                is_known || {
                    let columns = |cells: &Cells, row: &Row| cells.lines.get(row.line).map_or(0, Vec::len);
                    let count = columns(self, row);
                    let without = |row: &Row| Row { own: None, ..*row };
                    let line = |cells: &Cells, row: &Row| -> Vec<Cell> {
                        (0..count).filter_map(|column| cells.kind_at(row, column).cloned()).collect()
                    };
                    if count == columns(other, others)
                        && line(self, &without(row)) == line(other, &without(others))
                    {
                        same.insert(pair);
                    }
                    count == columns(other, others) && line(self, row) == line(other, others)
                }
            })
    }
}

impl Eq for Cells {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sign;

    fn cells() -> Cells {
        let mut cells = Cells::default();
        let [allow, deny] = [Sign::Allow, Sign::Deny].map(|sign| cells.kind(Cell::of(sign)));
        let line = cells.add_line(vec![deny, deny, allow]);
        cells.add_row(line, Some((0, allow)));
        cells.add_row(line, Some((1, allow)));
        cells.add_row(line, None);
        cells
    }

    fn drawn(cells: &Cells) -> Vec<String> {
        cells.rows().map(|row| row.map(|cell| cell.predicted.sign()).collect()).collect()
    }

    fn counts(cells: &Cells) -> Vec<(char, usize)> {
        cells.counted().map(|(cell, count)| (cell.predicted.sign(), count)).collect()
    }

    #[test]
    fn a_source_has_the_line_of_others_but_for_itself() {
        let mut cells = cells();
        assert_eq!(drawn(&cells), [".X.", "X..", "XX."]);
        assert_eq!(counts(&cells), [('.', 5), ('X', 4)]);
        assert_eq!(cells.get(1, 1).map(|cell| cell.predicted), Some(Sign::Allow));
        assert_eq!((cells.get(1, 3), cells.get(3, 0)), (None, None));
        assert_eq!(cells.lines_of_columns(), [0, 0, 1]);
        // One cell changes, and no other.
        cells.set(0, 2, Cell::of(Sign::Reject));
        cells.set(1, 1, Cell::of(Sign::Deny));
        assert_eq!(drawn(&cells), [".XR", "XX.", "XX."]);
        assert_eq!(counts(&cells), [('.', 3), ('X', 5), ('R', 1)]);
    }

    #[test]
    fn cells_are_equal_that_say_the_same_however_they_are_kept() {
        let mut other = Cells::default();
        let [deny, allow] = [Sign::Deny, Sign::Allow].map(|sign| other.kind(Cell::of(sign)));
        for line in [[allow, deny, allow], [deny, allow, allow], [deny, deny, allow]] {
            let line = other.add_line(line.to_vec());
            other.add_row(line, None);
        }
        assert_eq!(cells(), other);
        other.set(2, 0, Cell::of(Sign::Allow));
        assert_ne!(cells(), other);
        let mut own = cells();
        own.set(1, 1, Cell::of(Sign::Deny));
        assert_ne!(cells(), own);
    }
}
