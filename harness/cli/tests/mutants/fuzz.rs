//! The differential run finds nothing in the real enforcer, finds mutants, and reduces their failures to
//! small scenarios.
//!
//! `NETPROOF_FUZZ=all` looks for every mutant, and prints the reduced scenario of each (minutes).

use crate::catch::catch;
use libtest_mimic::{Failed, Trial};
use netproof_api::Source;
use netproof_documents::Options;
use netproof_enforcer_mutants::{MUTANTS, Mutant};
use netproof_format::load_text;
use netproof_fuzz::{Failure, Fixed, FuzzOptions, Progress, Totals, fuzz};
use netproof_model::event::Status;
use netproof_runner::{EnforcerChoice, RunOptions, Worlds, run_plan};

/// The mutants that every run of the tests looks for.
const SOME: [&str; 2] = ["not-in-needs-the-key", "excepts-shared-in-a-rule"];

pub fn trials() -> Vec<Trial> {
    let all = std::env::var("NETPROOF_FUZZ").is_ok_and(|value| value == "all");
    let mut trials = vec![Trial::test("fuzz::none", nothing_is_found)];
    let mutants = MUTANTS.iter().filter(|mutant| all || SOME.contains(&mutant.name));
    trials.extend(mutants.map(|mutant| Trial::test(format!("fuzz::{}", mutant.name), || is_found(mutant))));
    trials
}

fn run(enforcer: EnforcerChoice, pairs: usize) -> (Totals, Vec<Failure>) {
    let run = RunOptions { enforcer, ..RunOptions::default() };
    let options = FuzzOptions {
        seed: 1,
        pairs: Some(pairs),
        time: None,
        failures: 1,
        without: Vec::new(),
        fixed: Fixed::default(),
        loading: Options::default(),
        run,
    };
    let mut failures = Vec::new();
    let totals = fuzz(&options, &mut |progress| {
        if let Progress::Failure(failure) = progress {
            failures.push(*failure);
        }
    });
    (totals, failures)
}

fn nothing_is_found() -> Result<(), Failed> {
    let (totals, failures) = run(EnforcerChoice::default(), 200);
    if let Some(Failure { what, text, .. }) = failures.first() {
        return Err(Failed::from(format!("{what}\n{text}")));
    }
    // Enough of each to mean something.
    if (totals.pairs, totals.allowed > 1000, totals.denied > 500) != (200, true, true) {
        return Err(Failed::from(format!("{totals:?}")));
    }
    Ok(())
}

/// The mutant is found, and the written scenario is small and fails with this mutant only.
fn is_found(mutant: &'static Mutant) -> Result<(), Failed> {
    let (totals, failures) = run(EnforcerChoice::Mutant(mutant), 500);
    let Some(failure) = failures.first() else {
        return Err(Failed::from(format!("not found in {} pairs", totals.pairs)));
    };
    let [pods, policies, steps] = failure.size;
    println!("{}: {pods} pods, {policies} policies, {steps} steps: {}", mutant.name, failure.what);
    let loaded = load_text(&Source::new("fuzz.yaml", failure.text.as_str()), &Options::default());
    let loaded = loaded.map_err(|errors| Failed::from(format!("{errors}\n{}", failure.text)))?;
    let worlds = Worlds::new(1);
    let caught = loaded.plans.iter().any(|plan| catch(mutant, plan, &worlds).is_some());
    let passes = |plan| run_plan(plan, &RunOptions::default(), &worlds).1.status == Status::Passed;
    let wrong = match failure {
        Failure { is_disagreement: false, .. } => "it is no disagreement",
        Failure { is_repeatable: false, .. } => "it did not fail again",
        _ if pods > 3 || policies > 2 => "it is too large",
        _ if !caught => "it does not fail with the fault",
        _ if !loaded.plans.iter().all(passes) => "it does not pass without the fault",
        _ => return Ok(()),
    };
    Err(Failed::from(format!("{wrong}\n{}\n{}", failure.what, failure.text)))
}
