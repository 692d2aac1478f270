//! Probes in clusters that are built for real. Works as root and as an ordinary user. Tests that need
//! packet rules load them with the program `nft`, and are skipped visibly where there is none.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod evidence;
mod kept;
mod names;
mod outcomes;
mod queue;
mod slow;
mod stream;
mod stress;
mod sync;
mod world;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    if arguments.list {
        // Nothing is built for a list, so a machine that cannot build can still list.
    } else if let Err(error) = netproof_cluster::sandbox::enter() {
        eprintln!("error: {error}");
        std::process::exit(3);
    }
    let mut trials = Vec::new();
    trials.extend(outcomes::trials());
    trials.extend(names::trials());
    trials.extend(evidence::trials());
    trials.extend(kept::trials());
    trials.extend(sync::trials());
    trials.extend(stream::trials());
    trials.extend(stress::trials());
    trials.extend(slow::trials(arguments.list));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that fails by panicking.
fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// One that loads packet rules.
fn trial_with_rules(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    let missing = !world::has_nft();
    trial(name, test)
        .with_kind(if missing { "skipped: there is no nft program" } else { "" })
        .with_ignored_flag(missing)
}
