//! The matrix as a person reads it, and as scenarios write it: tables of signs, cut where the page ends, large
//! ones by groups of what behaves alike; then what the signs mean, and the sums.

use crate::cell::{Cell, Sign};
use crate::groups::{self, Group};
use crate::table::{Matrix, Table};
use crate::{left_out, outside};
use netproof_model::Family;
use netproof_oracle::Switches;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// With more rows or columns than this a table shows groups.
const MANY: usize = 16;

/// The most cells that are listed beneath, where they differ.
const MOST_LISTED: usize = 50;

/// The whole text. `width`: that of the page in columns, if it has one. `full`: each row and column by itself.
pub fn text(matrix: &Matrix, width: Option<usize>, full: bool) -> String {
    let mut text = format!("{}: {}\n", matrix.scenario, matrix.step);
    for (families, tables) in by_family(matrix) {
        let many = tables.iter().any(|table| table.sources.len().max(table.destinations.len()) > MANY);
        let groups = match many && !full {
            true => groups::alike(&tables),
            false => groups::each(&tables),
        };
        if let Some(families) = families {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(text, "\n{families}");
        }
        for table in &tables {
            self::table(&mut text, table, &groups, width);
        }
        alike(&mut text, &groups);
    }
    legend(&mut text, matrix);
    for line in outside::legend(&matrix.stand_ins) {
        let _ = writeln!(text, "{line}");
    }
    differences(&mut text, matrix);
    sums(&mut text, matrix);
    text
}

/// The tables of each family, with its name where there are two; two that say the same are said once.
fn by_family(matrix: &Matrix) -> Vec<(Option<String>, Vec<&Table>)> {
    let of = |family: Family| -> Vec<&Table> {
        matrix.tables.iter().filter(|table| table.family == family).collect()
    };
    let (ipv4, ipv6) = (of(Family::Ipv4), of(Family::Ipv6));
    let same = |(a, b): (&&Table, &&Table)| {
        (&a.port, &a.sources, &a.destinations, &a.cells) == (&b.port, &b.sources, &b.destinations, &b.cells)
    };
    match (ipv4.is_empty(), ipv6.is_empty()) {
        (_, true) => vec![(None, ipv4)],
        (true, _) => vec![(None, ipv6)],
        _ if ipv4.len() == ipv6.len() && ipv4.iter().zip(&ipv6).all(same) => {
            vec![(Some("ipv4 and ipv6".to_owned()), ipv4)]
        }
        _ => vec![(Some(Family::Ipv4.to_string()), ipv4), (Some(Family::Ipv6.to_string()), ipv6)],
    }
}

fn table(text: &mut String, table: &Table, groups: &[Group], width: Option<usize>) {
    let positions = |names: Vec<String>| -> HashMap<String, usize> {
        names.into_iter().enumerate().map(|(index, name)| (name, index)).collect()
    };
    let rows = positions(table.sources.iter().map(ToString::to_string).collect());
    let columns = positions(table.destinations.iter().map(ToString::to_string).collect());
    let sources: Vec<&Group> = groups.iter().filter(|group| group.is_row()).collect();
    let here: Vec<&Group> = groups
        .iter()
        .filter(|group| group.names.first().is_some_and(|name| columns.contains_key(name)))
        .collect();
    let corner = format!(":{}", table.port);
    let first = sources.iter().map(|group| group.label().len()).chain([corner.len()]).max().unwrap_or(0);
    let mut rest = here.as_slice();
    while !rest.is_empty() {
        let mut used = first;
        let fitting = rest.iter().take_while(|group| {
            used += 2 + group.label().len();
            width.is_none_or(|width| used <= width)
        });
        let (block, others) = rest.split_at(fitting.count().max(1));
        rest = others;
        let _ = write!(text, "\n{corner:first$}");
        let labels: Vec<String> = block.iter().map(|group| group.label()).collect();
        labels.iter().for_each(|label| {
            let _ = write!(text, "  {label}");
        });
        text.push('\n');
        for row in &sources {
            let mut line = format!("{:first$}", row.label());
            for (column, label) in block.iter().zip(&labels) {
                let cell = cell(table, row, column, &rows, &columns);
                let sign = cell.map_or_else(String::new, sign);
                let _ = write!(line, "  {sign:width$}", width = label.len());
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
}

/// The cell of two groups: that of two of their names which are not the same, if there are any.
fn cell<'t>(
    table: &'t Table,
    row: &Group,
    column: &Group,
    rows: &HashMap<String, usize>,
    columns: &HashMap<String, usize>,
) -> Option<&'t Cell> {
    // Two names of each are enough to find two that differ.
    let pairs =
        || row.names.iter().take(2).flat_map(|from| column.names.iter().take(2).map(move |to| (from, to)));
    let (from, to) = pairs().find(|(from, to)| from != to).or_else(|| pairs().next())?;
    table.cells.get(*rows.get(from)?, *columns.get(to)?)
}

fn sign(cell: &Cell) -> String {
    let (sign, mark) = cell.shown();
    std::iter::once(sign).chain(mark).collect()
}

/// Whom the names of groups stand for.
fn alike(text: &mut String, groups: &[Group]) {
    let several: Vec<&Group> = groups.iter().filter(|group| group.names.len() > 1).collect();
    if several.is_empty() {
        return;
    }
    text.push_str("\nAlike (--full shows each):\n");
    for group in several {
        let _ = writeln!(text, "  {}: {}", group.label(), group.short_names().join(", "));
    }
}

fn legend(text: &mut String, matrix: &Matrix) {
    let cells = || matrix.counted().map(|(cell, _)| cell);
    let used: BTreeSet<Sign> = cells().map(|cell| cell.predicted).collect();
    let mut meanings: Vec<String> =
        used.iter().map(|sign| format!("`{}` {}", sign.sign(), sign.meaning())).collect();
    if cells().any(|cell| cell.differs()) {
        meanings.push("`!` the packets did otherwise".into());
    }
    if cells().any(|cell| cell.shown().1.is_some_and(|mark| mark != '!')) {
        meanings.push(
            "after `?` or `~` what the packets did: `.` got through, `D` dropped, `R` rejected, `r` else"
                .into(),
        );
    }
    let _ = writeln!(text, "\n{}", meanings.join(", "));
    let open = cells().fold(Switches::default(), |all, cell| all.union(cell.open));
    for switch in open.iter() {
        let _ = writeln!(text, "The API does not say whether {} ({switch}).", switch.about());
    }
}

/// The cells whose packets did otherwise.
fn differences(text: &mut String, matrix: &Matrix) {
    let mut listed = 0;
    for table in &matrix.tables {
        if !table.cells.counted().any(|(cell, _)| cell.differs()) {
            continue;
        }
        for (source, cells) in table.sources.iter().zip(table.cells.rows()) {
            for (destination, cell) in table.destinations.iter().zip(cells) {
                let messages = cell.observed.as_ref().map_or(&[][..], |observed| &observed.differs);
                for message in messages {
                    listed += 1;
                    if listed <= MOST_LISTED {
                        let _ = writeln!(text, "{source} -> {destination}:{}: {message}", table.port);
                    }
                }
            }
        }
    }
    if listed > MOST_LISTED {
        let _ = writeln!(text, "... and {} more (--json lists all)", listed - MOST_LISTED);
    }
}

fn sums(text: &mut String, matrix: &Matrix) {
    let (objects, counts) = (matrix.objects, matrix.counts());
    let mut list = vec![plural(objects.pods, "pod", "pods")];
    if objects.externals > 0 {
        list.push(plural(objects.externals, "external host", "external hosts"));
    }
    if objects.services > 0 {
        list.push(plural(objects.services, "service", "services"));
    }
    list.push(plural(objects.policies, "policy", "policies"));
    let mut cells = vec![format!("{} allowed", counts.allowed), format!("{} denied", counts.denied)];
    if counts.unreachable > 0 {
        cells.push(format!("{} without a route", counts.unreachable));
    }
    if counts.unanswered > 0 {
        cells.push(format!("{} without an answer", counts.unanswered));
    }
    if counts.open > 0 {
        cells.push(format!("{} open", counts.open));
    }
    let asked = || matrix.counted().filter(|(cell, _)| cell.predicted != Sign::NotAsked);
    if asked().any(|(cell, _)| cell.observed.is_some()) {
        cells.push(match counts.differ {
            0 => "the packets did the same".to_owned(),
            differ => format!("{differ} otherwise by packets"),
        });
    }
    let _ = writeln!(
        text,
        "{}; {}: {}",
        list.join(", "),
        plural(asked().map(|(_, count)| count).sum(), "cell", "cells"),
        cells.join(", ")
    );
    for line in left_out::lines(&matrix.left_out).into_iter().chain(outside::lines(&matrix.unanswered)) {
        let _ = writeln!(text, "{line}");
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
