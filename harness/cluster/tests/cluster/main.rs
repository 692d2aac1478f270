//! Clusters that are built for real, with packets through them. Works as root and as an ordinary user.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod connections;
mod dns;
mod health;
mod neighbours;
mod overlay;
mod services;
mod talk;
mod wires;
mod world;

use libtest_mimic::{Arguments, Trial};
use netproof_cluster::doctor::Capability;
use netproof_model::{Families, Wiring};

fn main() {
    let arguments = Arguments::from_args();
    let mut sandbox = None;
    // Nothing is built for a list, so a machine that cannot build can still list.
    if !arguments.list {
        match netproof_cluster::sandbox::enter() {
            Ok(entered) => sandbox = Some(entered),
            Err(error) => {
                eprintln!("error: {error}");
                std::process::exit(3);
            }
        }
    }
    let mut trials = Vec::new();
    trials.push(trial("doctor::this_machine_can_run_these_tests", move || doctor(sandbox)));
    trials.extend(connections::trials());
    trials.extend(dns::trials());
    trials.extend(health::trials());
    trials.extend(neighbours::trials());
    trials.extend(overlay::trials());
    trials.extend(services::trials());
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

fn doctor(sandbox: Option<netproof_cluster::Sandbox>) {
    let capabilities = netproof_cluster::doctor::examine(&sandbox.unwrap()).unwrap();
    for name in ["kernel", "nf_tables", "connection tracking", "NFLOG", "IPv6"] {
        let capability = capabilities.iter().find(|capability| capability.name == name).unwrap();
        assert!(capability.present, "{capability:?}");
    }
    capabilities.iter().for_each(names_what_exists);
}

/// A consequence names existing wirings, families and enforcers: the words in backticks are values of
/// `--wiring`, `--family` or `--enforcer`, and name what is skipped.
fn names_what_exists(capability: &Capability) {
    let wirings = Wiring::ALL.iter().map(Wiring::to_string);
    let families = Families::ALL.iter().map(Families::to_string);
    let known: Vec<String> =
        wirings.chain(families).chain(["exec:COMMAND", "agent:NAME"].map(str::to_owned)).collect();
    let named: Vec<&str> = capability.consequence.split('`').skip(1).step_by(2).collect();
    for name in &named {
        assert!(known.iter().any(|it| it == name), "{name} does not exist: {capability:?}");
    }
    let says_what = |word| !capability.consequence.contains(word) || !named.is_empty();
    assert!(["skipped", "backend"].iter().all(says_what), "{capability:?}");
}
