//! Signals that end a run in an orderly way: it writes its reports first.

use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::process;
use std::thread;

/// The signals that ask the run to end.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Passes the first such signal to `first`; a second one ends the process at once. Call it before other
/// threads exist, because they must inherit the blocked signals.
pub fn watch(first: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
    let signals: SigSet = ENDING.into_iter().collect();
    signals.thread_block()?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if let Ok(signal) = signals.wait() {
            first(signal);
        }
        if let Ok(signal) = signals.wait() {
            process::exit(crate::exit::Exit::Interrupted(signal).code().into());
        }
    })?;
    Ok(())
}
