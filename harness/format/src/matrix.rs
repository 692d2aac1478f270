//! The text of a matrix: tables of flows as people draw them, and as `netproof matrix` prints them.
//!
//! Syntax only. Offsets are bytes into the text; names are resolved elsewhere. A line that begins with a port begins
//! a table; a line that names a family is the heading of those that follow.

use netproof_model::flow::{Destination, Flow, FlowError, FlowPort, Source, parse_destination, parse_port};
use netproof_model::{Family, Verdict};
use netproof_plan::Expected;
use netproof_plan::flows::{destination_in, source_in};
use std::collections::BTreeMap;
use std::ops::Range;

/// One cell that is to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Row and column, with the table's port.
    pub flow: Flow,
    /// What the sign says.
    pub expected: Expected,
    /// Where the sign stands.
    pub sign: Range<usize>,
    /// Where the row's source stands.
    pub source: Range<usize>,
    /// Where the column's destination stands.
    pub destination: Range<usize>,
}

/// What is wrong with a matrix, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixError {
    pub offset: usize,
    pub length: usize,
    pub message: String,
    pub help: String,
}

const SIGNS: &str = "the signs are `.` allow, `X` deny, `D` drop, `R` reject, `r` refused, `N` no answer, \
    `U` unreachable, \
    `-` not tried, `?` tried and not judged";

/// A word of a line and its offset in the whole text.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    offset: usize,
}

impl Word<'_> {
    fn range(self) -> Range<usize> {
        self.offset..self.offset + self.text.len()
    }

    fn error(self, message: impl Into<String>, help: impl Into<String>) -> MatrixError {
        MatrixError {
            offset: self.offset,
            length: self.text.len(),
            message: message.into(),
            help: help.into(),
        }
    }

    fn wrong(self, error: FlowError) -> MatrixError {
        MatrixError {
            offset: self.offset + error.offset,
            length: error.length,
            message: error.message,
            help: error.help,
        }
    }
}

/// Where a flow stands already: its table's family and port, its source and its destination.
type Known = BTreeMap<(Option<Family>, FlowPort), Vec<(Vec<Source>, Vec<Destination>)>>;

/// Reads tables, names without a namespace in `namespace`; `-` leaves no cell. A port may stand several times where
/// its tables have no cell in common, as those that were cut where the page ends. Every mistake is reported, not only
/// the first.
///
/// # Errors
/// At least one mistake.
#[cfg(test)]
pub fn parse(text: &str, namespace: &str) -> Result<Vec<Cell>, Vec<MatrixError>> {
    Tables::default().read(text, namespace)
}

/// The tables of one step, which several texts may hold.
#[derive(Default)]
pub struct Tables {
    known: Known,
}

impl Tables {
    /// Reads the tables of one text.
    ///
    /// # Errors
    /// At least one mistake.
    pub fn read(&mut self, text: &str, namespace: &str) -> Result<Vec<Cell>, Vec<MatrixError>> {
        let lines: Vec<Vec<Word<'_>>> = lines(text).collect();
        let is_head = |line: &Vec<Word<'_>>| {
            line.first().is_some_and(|word| word.text.starts_with(':')) || heading(line).is_some()
        };
        let (mut cells, mut errors) = (Vec::new(), Vec::new());
        let mut family = None;
        let mut rest = lines.as_slice();
        if rest.is_empty() {
            let help = "the first line is the port and the destinations, as in `:80 pod/web service/web`";
            let message = "the matrix is empty".to_owned();
            return Err(vec![MatrixError { offset: 0, length: 0, message, help: help.into() }]);
        }
        while let Some((first, more)) = rest.split_first() {
            if let Some(families) = heading(first) {
                (family, rest) = (families, more);
                if let Some(last) = first.last().filter(|_| more.is_empty()) {
                    errors.push(
                        last.error("no table follows", "a heading stands above the tables of a family"),
                    );
                }
                continue;
            }
            let rows = more.iter().position(is_head).unwrap_or(more.len());
            let (rows, others) = more.split_at(rows);
            rest = others;
            self.table(first, rows, family, namespace, &mut cells, &mut errors);
        }
        errors.sort_by_key(|error| error.offset);
        if errors.is_empty() { Ok(cells) } else { Err(errors) }
    }

    /// One table: its first line and its rows.
    fn table(
        &mut self,
        header: &[Word<'_>],
        lines: &[Vec<Word<'_>>],
        family: Option<Family>,
        namespace: &str,
        cells: &mut Vec<Cell>,
        errors: &mut Vec<MatrixError>,
    ) {
        let before = errors.len();
        let (port, columns) = read_header(header, namespace, errors);
        let mut rows: Vec<Source> = Vec::new();
        for line in lines {
            let [first, signs @ ..] = line.as_slice() else {
                continue;
            };
            let from = match first.text.parse::<Source>() {
                Ok(from) => source_in(from, namespace),
                Err(error) => {
                    errors.push(not_pasted(*first).unwrap_or_else(|| first.wrong(error)));
                    continue;
                }
            };
            if rows.contains(&from) {
                errors
                    .push(first.error(format!("`{}` has a row already", first.text), "keep one of the two"));
            }
            rows.push(from.clone());
            for (i, sign) in signs.iter().enumerate() {
                let Some(column) = columns.get(i) else {
                    let s = if columns.len() == 1 { "" } else { "s" };
                    let help = format!("the first line names {} destination{s}", columns.len());
                    errors.push(sign.error("this cell has no column", help));
                    break;
                };
                let expected = match read_sign(*sign) {
                    Ok(Some(expected)) => expected,
                    Ok(None) => continue,
                    Err(error) => {
                        errors.push(error);
                        continue;
                    }
                };
                if let (Some((to, destination)), Some(port)) = (column, &port) {
                    let flow = Flow { from: from.clone(), to: to.clone(), port: Some(port.clone()), family };
                    cells.push(Cell {
                        flow,
                        expected,
                        sign: sign.range(),
                        source: first.range(),
                        destination: destination.clone(),
                    });
                }
            }
            if signs.len() < columns.len() {
                let last = line.last().unwrap_or(first);
                let message = format!(
                    "the row of `{}` has {} of {} cells",
                    first.text,
                    count(signs.len()),
                    columns.len()
                );
                let offset = last.offset + last.text.len();
                let help = "every column needs a sign: `-` is a cell that is not tried".to_owned();
                errors.push(MatrixError { offset, length: 0, message, help });
            }
        }
        if rows.is_empty() && errors.len() == before {
            let last = header.last().copied().unwrap_or(Word { text: "", offset: 0 });
            errors.push(last.error(
                "the matrix has no row",
                "each line after the first is a source and its cells, as in `pod/client . X`",
            ));
        }
        if let (Some(port), Some(corner)) = (port, header.first()) {
            let columns = columns.into_iter().flatten().map(|(to, _)| to).collect();
            self.check_port(*corner, family, port, rows, columns, errors);
        }
    }

    /// Reports a port whose cells stand in an earlier table.
    fn check_port(
        &mut self,
        corner: Word<'_>,
        family: Option<Family>,
        port: FlowPort,
        rows: Vec<Source>,
        columns: Vec<Destination>,
        errors: &mut Vec<MatrixError>,
    ) {
        let overlaps = |of: Option<Family>| {
            let tables = self.known.get(&(of, port.clone())).into_iter().flatten();
            tables
                .filter_map(|(sources, destinations)| {
                    let row = rows.iter().find(|row| sources.contains(row))?;
                    let column = columns.iter().find(|column| destinations.contains(column))?;
                    Some(format!("{row} -> {column}"))
                })
                .next()
        };
        // A table without a heading is of every family.
        let families = match family {
            None => vec![None, Some(Family::Ipv4), Some(Family::Ipv6)],
            Some(_) => vec![family, None],
        };
        if let Some(cell) = families.into_iter().find_map(overlaps) {
            let message =
                format!("`{}` stands here twice: an earlier table has the cell {cell}", corner.text);
            errors.push(corner.error(message, "keep one of the two tables, or one of the two cells"));
        }
        self.known.entry((family, port)).or_default().push((rows, columns));
    }
}

/// The heading of the tables of a family: `ipv4`, `ipv6`, or `ipv4 and ipv6`, which is as good as none.
fn heading(line: &[Word<'_>]) -> Option<Option<Family>> {
    let words: Vec<&str> = line.iter().map(|word| word.text).collect();
    match words.as_slice() {
        ["ipv4"] => Some(Some(Family::Ipv4)),
        ["ipv6"] => Some(Some(Family::Ipv6)),
        ["ipv4", "and", "ipv6"] => Some(None),
        _ => None,
    }
}

/// What to say of what `netproof matrix` prints and a scenario cannot take; `None` for other words.
fn not_pasted(word: Word<'_>) -> Option<MatrixError> {
    if let Some((first, more)) = word.text.rsplit_once('+')
        && let Ok(more) = more.parse::<usize>()
    {
        let message =
            format!("`{}` stands for {} names that behave alike", word.text, more.saturating_add(1));
        let help = format!("`netproof matrix --full` prints each by itself; or keep `{first}` alone");
        return Some(word.error(message, help));
    }
    let is_beneath = word.text.starts_with('`') || word.text == "Alike" || word.text == "in";
    is_beneath.then(|| {
        let help =
            "of what `netproof matrix` prints, a scenario takes the tables and their headings (ipv4, ipv6)";
        word.error("this is no row of a table", help)
    })
}

fn count(n: usize) -> String {
    if n == 0 { "none".to_owned() } else { n.to_string() }
}

/// The words of each line that has any.
fn lines(text: &str) -> impl Iterator<Item = Vec<Word<'_>>> {
    let mut offset = 0;
    text.split('\n').filter_map(move |line| {
        let start = offset;
        offset += line.len() + 1;
        let words: Vec<Word<'_>> = line
            .split_whitespace()
            .map(|word| Word {
                text: word,
                offset: start + (word.as_ptr() as usize - line.as_ptr() as usize),
            })
            .collect();
        (!words.is_empty()).then_some(words)
    })
}

/// A destination and where it stands.
type Column = (Destination, Range<usize>);

/// The port and the columns; what cannot be read is `None` and reported.
fn read_header(
    words: &[Word<'_>],
    namespace: &str,
    errors: &mut Vec<MatrixError>,
) -> (Option<FlowPort>, Vec<Option<Column>>) {
    let [corner, columns @ ..] = words else {
        return (None, Vec::new());
    };
    let port = match corner.text.strip_prefix(':') {
        None => {
            errors.push(corner.error(
                format!("`{}` is not the table's port", corner.text),
                "the first word of a matrix is a port, as in `:80`, `:53/udp` or `:icmp`",
            ));
            None
        }
        Some(text) => {
            let word = Word { text, offset: corner.offset + 1 };
            parse_port(text).map_err(|error| errors.push(word.wrong(error))).ok()
        }
    };
    if columns.is_empty() {
        errors.push(corner.error(
            "the matrix has no column",
            "the destinations follow the port, as in `:80 pod/web service/web`",
        ));
    }
    let mut seen = BTreeMap::new();
    let columns = columns
        .iter()
        .map(|word| match parse_destination(word.text) {
            Ok((_, Some(_))) => {
                errors.push(word.error(
                    format!("`{}` has a port of its own", word.text),
                    "a table has one port, its first word; each further port has a table of its own",
                ));
                None
            }
            Ok((to, None)) => {
                let to = destination_in(to, namespace);
                if seen.insert(to.clone(), ()).is_some() {
                    let message = format!("`{}` has a column already", word.text);
                    errors.push(word.error(message, "keep one of the two"));
                }
                Some((to, word.range()))
            }
            Err(error) => {
                errors.push(not_pasted(*word).unwrap_or_else(|| word.wrong(error)));
                None
            }
        })
        .collect();
    (port, columns)
}

fn read_sign(word: Word<'_>) -> Result<Option<Expected>, MatrixError> {
    Ok(Some(match word.text {
        "." => Expected::All(Verdict::Allow),
        "X" => Expected::All(Verdict::Deny),
        "D" => Expected::All(Verdict::Drop),
        "R" => Expected::All(Verdict::Reject),
        "r" => Expected::All(Verdict::Refused),
        "N" => Expected::All(Verdict::NoAnswer),
        "U" => Expected::All(Verdict::Unreachable),
        // After the sign stands what the packets did.
        "?" | "?." | "?D" | "?R" | "?r" => Expected::Observe,
        "-" => return Ok(None),
        "~" | "~." | "~D" | "~R" | "~r" => {
            return Err(word.error(
                format!("`{}` depends on the backend, and one sign has one verdict", word.text),
                "write `?` here (tried, not judged), and an expectation with a verdict for each backend, as in \
                 `verdict: {pod/a: allow, pod/b: deny}`",
            ));
        }
        marked if marked.len() > 1 && marked.ends_with('!') => {
            return Err(word.error(
                format!("`{marked}` is a cell whose packets did otherwise than the API says"),
                "write what you expect, without the `!`",
            ));
        }
        other => return Err(word.error(format!("`{other}` is not a sign"), SIGNS)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_its_cells_row_by_row() {
        let text = ":53/udp   pod/web  service/b/dns ip/fd00::1\n\
                    pod/a     .        X             -\n\n\
                    node/n1   D        R             r\n\
                    external/x  ?      -             .\n";
        let cells: Vec<String> = parse(text, "default")
            .expect("a proper table")
            .iter()
            .map(|cell| format!("{} {} {}", cell.flow, cell.expected, &text[cell.sign.clone()]))
            .collect();
        assert_eq!(
            cells,
            [
                "pod/default/a -> pod/default/web:53/udp allow .",
                "pod/default/a -> service/b/dns:53/udp deny X",
                "node/n1 -> pod/default/web:53/udp drop D",
                "node/n1 -> service/b/dns:53/udp reject R",
                "node/n1 -> ip/[fd00::1]:53/udp refused r",
                "external/x -> pod/default/web:53/udp anything ?",
                "external/x -> ip/[fd00::1]:53/udp allow .",
            ]
        );
    }

    #[test]
    fn several_tables_are_one_matrix() {
        let text = "ipv4 and ipv6\n\n:80    pod/s  pod/t\npod/c  X      U\n\n:80    pod/u\npod/c  ?.\n\n\
                    ipv6\n:443   pod/s\npod/c  .\n\nipv4\n:443   pod/s\npod/c  X\n";
        let cells: Vec<String> = parse(text, "default")
            .expect("proper tables")
            .iter()
            .map(|cell| {
                let family = cell.flow.family.map(|family| family.to_string()).unwrap_or_default();
                format!("{} {} {family}", cell.flow, cell.expected)
            })
            .collect();
        assert_eq!(
            cells,
            [
                "pod/default/c -> pod/default/s:80 deny ",
                "pod/default/c -> pod/default/t:80 unreachable ",
                "pod/default/c -> pod/default/u:80 anything ",
                "pod/default/c -> pod/default/s:443 allow ipv6",
                "pod/default/c -> pod/default/s:443 deny ipv4",
            ]
        );
    }

    #[test]
    fn mistakes_stand_at_their_column() {
        for (text, offending, message) in [
            ("", "", "the matrix is empty"),
            ("\n \n", "", "the matrix is empty"),
            ("80 pod/a\npod/b .", "80", "`80` is not the table's port"),
            (":0 pod/a\npod/b .", "0", "`0` is not a port number"),
            (":80\npod/b", ":80", "the matrix has no column"),
            (":80 pod/a", "pod/a", "the matrix has no row"),
            (":80 pod/a pod/a\npod/b . .", "pod/a", "`pod/a` has a column already"),
            (":80 pod/a pod/default/a\npod/b . .", "pod/default/a", "`pod/default/a` has a column already"),
            (":80 pod/a:80\npod/b .", "pod/a:80", "`pod/a:80` has a port of its own"),
            (":80 pod/a svc/b\npod/b . .", "svc", "`svc` is not a kind of destination"),
            (":80 pod/a\npod/b .\npod/b X", "pod/b", "`pod/b` has a row already"),
            (
                ":80 pod/a\npod/b .\n\n:80 pod/a\npod/b .",
                ":80",
                "`:80` stands here twice: an earlier table has the cell pod/default/b -> pod/default/a",
            ),
            (
                "ipv4\n:80 pod/a\npod/b .\n\nipv4 and ipv6\n:80 pod/a\npod/b .",
                ":80",
                "`:80` stands here twice: an earlier table has the cell pod/default/b -> pod/default/a",
            ),
            (":80 pod/a\npod/b .\n\nipv6\n", "ipv6", "no table follows"),
            (":80 pod/a\npod/b+2 .", "pod/b+2", "`pod/b+2` stands for 3 names that behave alike"),
            (":80 pod/a+4\npod/b .", "pod/a+4", "`pod/a+4` stands for 5 names that behave alike"),
            (":80 pod/a\npod/b ~.", "~.", "`~.` depends on the backend, and one sign has one verdict"),
            (":80 pod/a\npod/b X!", "X!", "`X!` is a cell whose packets did otherwise than the API says"),
            (":80 pod/a\npod/b X\n\n`.` allowed", "`.`", "this is no row of a table"),
            (":80 pod/a\nservice/b .", "service", "`service` is not a kind of source"),
            (":80 pod/a\npod/b x", "x", "`x` is not a sign"),
            (":80 pod/a\npod/b ..", "..", "`..` is not a sign"),
            (":80 pod/a\npod/b . .", ".", "this cell has no column"),
            (":80 pod/a pod/b\npod/b .", "", "the row of `pod/b` has 1 of 2 cells"),
            (":80 pod/a pod/b\npod/b", "", "the row of `pod/b` has none of 2 cells"),
        ] {
            let errors = parse(text, "default").expect_err(text);
            let error = &errors[0];
            assert_eq!((error.message.as_str(), errors.len()), (message, 1), "{text}");
            assert_eq!(&text[error.offset..error.offset + error.length], offending, "{text}");
        }
    }
}
