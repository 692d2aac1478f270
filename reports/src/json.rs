//! JSON: the stream of events itself, one event a line (JSON Lines). The first event names the format.
//!
//! Every other report can be made from it later. `schema/events.json` describes one line. A stream without
//! `runFinished` at its end was broken off.

use crate::{ReportFile, Reporter};
use netproof_model::event::{Event, FORMAT};
use std::io::{self, BufRead, BufWriter, Write};
use thiserror::Error;

/// Writes the events of a run to a file.
#[derive(Debug)]
pub struct Json {
    /// Absent once it is published.
    file: Option<BufWriter<ReportFile>>,
}

impl Json {
    /// Writes to `file`.
    pub fn new(file: ReportFile) -> Self {
        Json { file: Some(BufWriter::new(file)) }
    }
}

impl Reporter for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        serde_json::to_writer(&mut *file, event)?;
        file.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some(file) => file.into_inner().map_err(io::IntoInnerError::into_error)?.publish(),
            None => Ok(()),
        }
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        // Call `finish` to learn of an error; this is for a run that ends in a panic.
        let _ = self.finish();
    }
}

/// Why a stream of events could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader failed.
    #[error("cannot read the events: {0}")]
    Io(#[from] io::Error),
    /// A line is not an event.
    #[error("line {line} is not an event of {FORMAT}: {source}")]
    Malformed {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The first event names another format.
    #[error("the events are of format `{0}`, and this version of netproof reads {FORMAT}")]
    OtherFormat(String),
    /// The first event is not `runStarted`, so the format is unknown.
    #[error("the first line is not a runStarted event, which would name the format")]
    NoStart,
}

/// Reads a stream of events as [`Json`] wrote it.
pub fn read_events(reader: impl BufRead) -> Result<Vec<Event>, ReadError> {
    /// The part that every version of the format has.
    #[derive(serde::Deserialize)]
    struct Start {
        format: Option<String>,
    }
    let mut events = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let (line, number) = (line?, index + 1);
        let malformed = |source| ReadError::Malformed { line: number, source };
        if index == 0 {
            // Another version may have other events, so only the format is read from the first line.
            match serde_json::from_str::<Start>(&line).map_err(malformed)?.format {
                Some(format) if format == FORMAT => {}
                Some(format) => return Err(ReadError::OtherFormat(format)),
                None => return Err(ReadError::NoStart),
            }
        }
        events.push(serde_json::from_str(&line).map_err(malformed)?);
    }
    if events.is_empty() { Err(ReadError::NoStart) } else { Ok(events) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    fn written(events: &[Event]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.json");
        let mut json = Json::new(ReportFile::create(&path).unwrap());
        for event in events {
            json.event(event).unwrap();
        }
        json.finish().unwrap();
        json.finish().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn one_event_a_line() {
        insta::assert_snapshot!(written(&testing::mixed_run()));
    }

    #[test]
    fn events_read_back_the_same() {
        let events = testing::mixed_run();
        assert_eq!(read_events(written(&events).as_bytes()).unwrap(), events);
    }

    #[test]
    fn a_dropped_report_is_written_with_what_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.json");
        let mut json = Json::new(ReportFile::create(&path).unwrap());
        json.event(&testing::run_started(&[])).unwrap();
        drop(json);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
    }

    #[test]
    fn other_streams_are_refused_with_a_reason() {
        for (text, expected) in [
            ("", "first line"),
            ("{}", "first line"),
            ("nonsense", "line 1 is not"),
            (r#"{"event":"runStarted","format":"netproof.events/v9"}"#, "`netproof.events/v9`"),
            (r#"{"event":"runStarted","format":"netproof.events/v1beta1"}"#, "line 1 is not"),
        ] {
            let error = read_events(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_strings_and_durations_read_back_the_same(
            text in any::<String>(),
            nanos in 0u64..500_000_000_000_000,
        ) {
            let events = testing::run_of(&text, std::time::Duration::from_nanos(nanos));
            let written = written(&events);
            prop_assert_eq!(written.lines().count(), events.len());
            prop_assert_eq!(read_events(written.as_bytes()).unwrap(), events);
        }
    }
}
