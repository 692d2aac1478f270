//! The text of a matrix: a table of flows as people draw it.
//!
//! Syntax only. Offsets are bytes into the text; names are resolved elsewhere.

use super::refs;
use crate::plan::{Expected, OutcomeWord};
use netproof_model::flow::{Destination, Flow, FlowError, FlowPort, Source, parse_destination, parse_port};
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

/// Reads a table, names without a namespace in `namespace`; `-` leaves no cell. Every mistake is
/// reported, not only the first.
///
/// # Errors
/// At least one mistake.
pub fn parse(text: &str, namespace: &str) -> Result<Vec<Cell>, Vec<MatrixError>> {
    let mut lines = lines(text);
    let Some(header) = lines.next() else {
        let help = "the first line is the port and the destinations, as in `:80 pod/web service/web`";
        let message = "the matrix is empty".to_owned();
        return Err(vec![MatrixError { offset: 0, length: 0, message, help: help.into() }]);
    };
    let mut errors = Vec::new();
    let (port, columns) = read_header(&header, namespace, &mut errors);
    let mut rows = BTreeMap::new();
    let mut cells = Vec::new();
    for line in lines {
        let [first, signs @ ..] = line.as_slice() else {
            continue;
        };
        let from = match first.text.parse::<Source>() {
            Ok(from) => refs::source_in(from, namespace),
            Err(error) => {
                errors.push(first.wrong(error));
                continue;
            }
        };
        if rows.insert(from.clone(), ()).is_some() {
            errors.push(first.error(format!("`{}` has a row already", first.text), "keep one of the two"));
        }
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
                let flow =
                    Flow { from: from.clone(), to: to.clone(), port: Some(port.clone()), family: None };
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
            let message =
                format!("the row of `{}` has {} of {} cells", first.text, count(signs.len()), columns.len());
            let offset = last.offset + last.text.len();
            let help = "every column needs a sign: `-` is a cell that is not tried".to_owned();
            errors.push(MatrixError { offset, length: 0, message, help });
        }
    }
    if rows.is_empty() && errors.is_empty() {
        let last = header.last().copied().unwrap_or(Word { text: "", offset: 0 });
        errors.push(last.error(
            "the matrix has no row",
            "each line after the first is a source and its cells, as in `pod/client . X`",
        ));
    }
    if errors.is_empty() { Ok(cells) } else { Err(errors) }
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
                    "a matrix has one port, its first word; several ports are a list of matrices",
                ));
                None
            }
            Ok((to, None)) => {
                let to = refs::destination_in(to, namespace);
                if seen.insert(to.clone(), ()).is_some() {
                    let message = format!("`{}` has a column already", word.text);
                    errors.push(word.error(message, "keep one of the two"));
                }
                Some((to, word.range()))
            }
            Err(error) => {
                errors.push(word.wrong(error));
                None
            }
        })
        .collect();
    (port, columns)
}

fn read_sign(word: Word<'_>) -> Result<Option<Expected>, MatrixError> {
    Ok(Some(match word.text {
        "." => Expected::Allow,
        "X" => Expected::Deny,
        "D" => Expected::Drop,
        "R" => Expected::Reject,
        "r" => Expected::Outcome(OutcomeWord::Refused),
        "N" => Expected::Outcome(OutcomeWord::NoAnswer),
        "?" => Expected::Observe,
        "-" => return Ok(None),
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
