//! The requested reports of a run, and errors of writing them.

use crate::args::{Color, ReportFormat, RunArguments};
use crate::spans;
use netproof_model::event::Event;
use netproof_reports::{
    Json, Junit, ReportFile, ReportFileError, Reporter, Rerun, Terminal, TerminalOptions,
};
use std::io::{self, IsTerminal, Write};

/// The reporters of a run. One that cannot write is dropped, and the others continue.
pub struct Outputs {
    terminal: Option<Box<dyn Reporter>>,
    files: Vec<FileReport>,
    problems: Vec<String>,
}

struct FileReport {
    path: String,
    reporter: Box<dyn Reporter>,
}

impl Outputs {
    /// Prepares every report, so that a path that cannot be written is known before anything runs.
    pub fn open(arguments: &RunArguments, color: Color) -> Result<Outputs, ReportFileError> {
        let paths = arguments.selection.paths.iter().map(|path| path.display().to_string()).collect();
        let rerun = Rerun::new(paths, arguments.to_repeat());
        let mut files: Vec<FileReport> = Vec::new();
        for (format, path) in arguments.reports() {
            let file = ReportFile::create(path)?;
            let reporter: Box<dyn Reporter> = match format {
                ReportFormat::Json => Box::new(Json::new(file)),
                ReportFormat::Junit => Box::new(Junit::new(file, rerun.clone())),
            };
            files.push(FileReport { path: path.display().to_string(), reporter });
        }
        let terminal = Terminal::new(io::stdout(), terminal_options(arguments.verbose, color), rerun);
        Ok(Outputs { terminal: Some(Box::new(terminal)), files, problems: Vec::new() })
    }

    /// Silences the terminal report.
    pub fn silence_terminal(&mut self) {
        self.terminal = None;
    }

    /// Hands an event to every reporter.
    pub fn event(&mut self, event: &Event) {
        self.each(|reporter| reporter.event(event));
    }

    /// Ends every report. Prints write errors to standard error, and returns whether there was one.
    pub fn finish(mut self) -> Result<(), ()> {
        self.each(|reporter| reporter.finish());
        for problem in &self.problems {
            // Nothing is left to do about an error while reporting an error.
            let _ = writeln!(io::stderr(), "error: {problem}");
        }
        if self.problems.is_empty() { Ok(()) } else { Err(()) }
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Reporter) -> io::Result<()>) {
        let problems = &mut self.problems;
        if let Some(terminal) = &mut self.terminal
            && let Err(error) = act(terminal.as_mut())
        {
            self.terminal = None;
            // The reader of the output may close it (`| head`); the run and its files continue.
            if error.kind() != io::ErrorKind::BrokenPipe {
                problems.push(format!("cannot write to standard output: {error}"));
            }
        }
        self.files.retain_mut(|FileReport { path, reporter }| match act(reporter.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                problems.push(format!("cannot write the report {path}: {error}"));
                false
            }
        });
    }
}

fn terminal_options(verbosity: u8, color: Color) -> TerminalOptions {
    let stdout = io::stdout().is_terminal();
    TerminalOptions {
        color: use_color(color, stdout, std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())),
        width: width(),
        verbose: verbosity > 0,
        // Both write to standard error.
        progress: io::stderr().is_terminal() && !spans::is_on(verbosity),
    }
}

/// The width of the terminal in columns; `None` where standard output is no terminal.
pub fn width() -> Option<usize> {
    let stdout = io::stdout();
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    width.filter(|_| stdout.is_terminal())
}

fn use_color(color: Color, terminal: bool, no_color: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !no_color,
    }
}

/// Writes to standard output. A closed pipe is no error: nobody wants the rest.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a message to standard error.
pub fn complain(message: impl std::fmt::Display) {
    // Nothing is left to do about an error while reporting an error.
    let _ = writeln!(io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour() {
        for (color, terminal, no_color, expected) in [
            (Color::Auto, true, false, true),
            (Color::Auto, false, false, false),
            (Color::Auto, true, true, false),
            (Color::Always, false, true, true),
            (Color::Never, true, false, false),
        ] {
            assert_eq!(use_color(color, terminal, no_color), expected, "{color:?} {terminal} {no_color}");
        }
    }
}
