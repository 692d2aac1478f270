//! Clusters that are built for real, with packets through them. Works as root and as an ordinary user.

mod dns;
mod health;
mod talk;
mod wires;
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
    trials.extend(dns::trials());
    trials.extend(health::trials());
    trials.extend(wires::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that fails by panicking.
fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
