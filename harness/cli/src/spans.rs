//! Traces a run on standard error, with the duration of each part: `-vv` the parts of a run, `-vvv` each
//! batch of probes and each load of rules.

use std::io::{self, IsTerminal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::time::uptime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Whether tracing is on.
pub fn is_on(verbosity: u8) -> bool {
    verbosity >= 2
}

/// Turns tracing on.
pub fn start(verbosity: u8) {
    if !is_on(verbosity) {
        return;
    }
    let level = if verbosity == 2 { LevelFilter::INFO } else { LevelFilter::DEBUG };
    let spans = if verbosity == 2 { FmtSpan::CLOSE } else { FmtSpan::NEW | FmtSpan::CLOSE };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_span_events(spans)
        .with_target(false)
        .with_timer(uptime())
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .finish()
        // Libraries emit spans, too.
        .with(Targets::new().with_target("netproof", level))
        .init();
}
