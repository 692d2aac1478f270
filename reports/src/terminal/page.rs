//! Lines for a person: a status word in its column, text broken to the width, labelled rows.

use super::style::{Palette, Style};
use crate::describe::{LABEL_WIDTH, Row};
use crate::text;

/// The width of the column of status words, the space after it included.
pub(super) const STATUS_WIDTH: usize = "ERROR".len() + 2;

/// Text that grows line by line and is then written at once.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) palette: Palette,
    /// Columns of the terminal; absent if lines are not broken.
    pub(super) width: Option<usize>,
    text: String,
    /// Whether the line before is blank; two never follow each other.
    blank: bool,
}

impl Page {
    pub(super) fn new(palette: Palette, width: Option<usize>) -> Self {
        Page { palette, width, text: String::new(), blank: true }
    }

    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// A blank line, unless there is one already.
    pub(super) fn blank(&mut self) {
        if !std::mem::replace(&mut self.blank, true) {
            self.text.push('\n');
        }
    }

    /// `PASS   what (details)`.
    pub(super) fn status(&mut self, style: Style, word: &str, text: &str) {
        let head = self.palette.paint(style, format_args!("{word:<STATUS_WIDTH$}"));
        self.hanging(&head, STATUS_WIDTH, text);
    }

    /// A line indented by some columns.
    pub(super) fn indented(&mut self, indent: usize, text: &str) {
        self.hanging(&" ".repeat(indent), indent, text);
    }

    /// A word, padded to `columns`, and a text next to it.
    pub(super) fn listed(&mut self, indent: usize, word: &str, columns: usize, text: &str) {
        let gap = columns.saturating_sub(5);
        self.hanging(&format!("{:indent$}{word}{:gap$}", "", ""), indent + columns, text);
    }

    /// A line indented by some columns, painted, never broken.
    pub(super) fn painted(&mut self, indent: usize, style: Style, text: &str) {
        let painted = self.palette.paint(style, text::one_line(text));
        self.line(&format!("{:indent$}{painted}", ""));
    }

    /// Labelled rows, indented by some columns.
    pub(super) fn rows(&mut self, indent: usize, rows: &[Row]) {
        for row in rows {
            let label = self.palette.paint(Style::Faint, format_args!("{:<LABEL_WIDTH$}", row.label));
            let head = format!("{:indent$}{label}", "");
            if row.whole {
                self.line(&format!("{head}{}", row.text));
            } else {
                self.hanging(&head, indent + LABEL_WIDTH, &row.text);
            }
        }
    }

    /// `head`, `columns` wide, and a text next to it.
    fn hanging(&mut self, head: &str, columns: usize, text: &str) {
        let room = self.width.map(|width| width.saturating_sub(columns).max(20));
        for (index, line) in text::wrap(&text::lines(text), room).iter().enumerate() {
            let line = if index == 0 { format!("{head}{line}") } else { format!("{:columns$}{line}", "") };
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        self.blank = false;
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}
