//! Colour. It is never the only sign of anything.

use netproof_model::event::Status;
use std::fmt::Display;

/// The role of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Pass,
    Fail,
    Error,
    Skip,
    /// A name that stands out.
    Strong,
    /// Words of less importance.
    Faint,
}

impl Style {
    pub(super) fn of(status: Status) -> Style {
        match status {
            Status::Passed => Style::Pass,
            Status::Failed => Style::Fail,
            Status::Errored => Style::Error,
            Status::Skipped => Style::Skip,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Style::Pass => "1;32",
            Style::Fail => "1;31",
            Style::Error => "1;35",
            Style::Skip => "33",
            Style::Strong => "1",
            Style::Faint => "2",
        }
    }
}

/// Paints text, if colour is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) color: bool,
}

impl Palette {
    pub(super) fn paint(self, style: Style, text: impl Display) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_string() }
    }
}
