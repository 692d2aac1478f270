//! One test for each mutant: `cargo test mutants`.
//!
//! A mutant's test runs the case that [`table`] names for it. It passes if a check of that case fails for a
//! wrong verdict, or, for a mutant of deciders, for a wrong decider. If the case does not catch the mutant
//! (any more), the test tries every case of the conformance suite, and says which one does, or that the
//! mutant survived.
//!
//! `NETPROOF_MUTANTS=all` runs one variant of every case under each mutant and says which catch it (minutes
//! instead of seconds); `NETPROOF_MUTANTS=update` writes the table anew, and with it the page of the documentation.

mod catch;
mod fuzz;
mod table;

use catch::{Catch, catch};
use libtest_mimic::{Arguments, Failed, Trial};
use netproof_documents::Options;
use netproof_enforcer_mutants::{MUTANTS, Mutant};
use netproof_model::event::Status;
use netproof_plan::Loaded;
use netproof_plan::Plan;
use netproof_runner::{RunOptions, Worlds, run_plan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// The conformance suites, with what they include; mutants run against these.
const SUITES: [&str; 2] = ["scenarios/conformance", "scenarios/policy-api"];

/// Those of them that take longest, the longest last: they are tried last.
const LONG: [&str; 3] = ["conformance::kubernetes-e2e", "conformance::cyclonus", "conformance::no-window"];

/// The purpose of a run of the tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To check that each mutant is caught.
    Test,
    /// To list the cases that catch it, one variant of each scenario.
    Count,
    /// To write the table anew.
    Update,
}

/// State that all tests share.
struct Bench {
    purpose: Purpose,
    /// One variant of each scenario, then all others.
    plans: Vec<Plan>,
    /// How many scenarios there are.
    scenarios: usize,
    table: BTreeMap<String, String>,
    /// The table as it should be, as far as this run has found out.
    found: Mutex<BTreeMap<String, String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        // Before any thread exists: the bench and libtest-mimic start them below.
        if let Err(error) = netproof_cluster::sandbox::enter() {
            eprintln!("cannot run scenarios here: {error}");
            return ExitCode::from(3);
        }
    }
    let bench = match bench() {
        Ok(bench) => Arc::new(bench),
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut trials = vec![
        trial(&bench, "the-table-is-whole", |bench| table::check(&bench.table)),
        trial(&bench, "kinds-are-told-apart", |_| catch::kinds_are_told_apart()),
        trial(&bench, "none", |bench| bench.unmutated()),
    ];
    trials.extend(MUTANTS.iter().map(|mutant| trial(&bench, mutant.name, |bench| bench.mutated(mutant))));
    trials.extend(fuzz::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    let found = bench.found.lock().unwrap_or_else(PoisonError::into_inner);
    if bench.purpose == Purpose::Update
        && let Err(error) = table::write(&found)
    {
        eprintln!("cannot write the table: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn bench() -> Result<Bench, String> {
    let purpose = match std::env::var("NETPROOF_MUTANTS").as_deref() {
        Err(_) => Purpose::Test,
        Ok("all") => Purpose::Count,
        Ok("update") => Purpose::Update,
        Ok(other) => return Err(format!("NETPROOF_MUTANTS={other}: expected `all` or `update`")),
    };
    let options = Options { root: Some(root()), ..Options::default() };
    let Loaded { mut plans, .. } = netproof_format::load(&SUITES.map(|suite| root().join(suite)), &options)
        .map_err(|error| error.to_string())?;
    plans.sort_by_key(|plan| LONG.iter().position(|long| *long == plan.id.suite));
    let table = table::read().map_err(|error| format!("cannot read the table: {error}"))?;
    // A test of some mutants keeps the table's lines of the others.
    let found = Mutex::new(table.clone());
    // If one variant of a scenario catches nothing, another seldom does.
    let mut seen = BTreeSet::new();
    let is_first = |plan: &Plan| seen.insert((plan.id.suite.clone(), plan.id.name.clone()));
    let (mut plans, others): (Vec<Plan>, Vec<Plan>) = plans.into_iter().partition(is_first);
    let scenarios = plans.len();
    plans.extend(others);
    Ok(Bench { purpose, plans, scenarios, table, found })
}

fn trial(
    bench: &Arc<Bench>,
    name: &str,
    test: impl FnOnce(&Bench) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let bench = Arc::clone(bench);
    Trial::test(format!("mutants::{name}"), move || test(&bench))
}

impl Bench {
    /// The enforcer as it is passes every case of the table.
    fn unmutated(&self) -> Result<(), Failed> {
        let named: BTreeSet<&String> = self.table.values().collect();
        let worlds = Worlds::new(1);
        for plan in self.plans.iter().filter(|plan| named.contains(&plan.id.to_string())) {
            let (_, result) = run_plan(plan, &RunOptions::default(), &worlds);
            if result.status != Status::Passed {
                return Err(Failed::from(format!(
                    "{} does not pass without a fault; `cargo test {0}` says more",
                    plan.id
                )));
            }
        }
        Ok(())
    }

    fn mutated(&self, mutant: &'static Mutant) -> Result<(), Failed> {
        if self.purpose == Purpose::Count {
            return self.count(mutant);
        }
        // Runs that share a world share its enforcer.
        let worlds = Worlds::new(1);
        let named = self.table.get(mutant.name);
        let plan = named.and_then(|case| self.plans.iter().find(|plan| plan.id.to_string() == *case));
        if let Some(caught) = plan.and_then(|plan| catch(mutant, plan, &worlds)) {
            println!("{}: {caught}", mutant.name);
            return Ok(());
        }
        let others = self.plans.iter().filter(|plan| Some(plan.id.to_string()) != named.cloned());
        let caught = others.map(|plan| catch(mutant, plan, &worlds)).find_map(|caught| caught);
        let Some(caught) = caught else {
            return Err(Failed::from(format!(
                "survived: no case of {} runs fails under an enforcer of which this is wrong: {}",
                self.plans.len(),
                mutant.wrong
            )));
        };
        if self.purpose == Purpose::Update {
            println!("{}: {caught}", mutant.name);
            self.note(mutant, &caught);
            return Ok(());
        }
        let why = match (named, plan) {
            (None, _) => "the table names no case".to_owned(),
            (Some(case), None) => format!("the table names `{case}`, and there is no such case"),
            (Some(case), Some(_)) => format!("`{case}` does not catch it any more"),
        };
        Err(Failed::from(format!("{why}; it is {caught}; NETPROOF_MUTANTS=update writes the table anew")))
    }

    /// One line; it is no failure if none of so few cases catches the mutant.
    fn count(&self, mutant: &'static Mutant) -> Result<(), Failed> {
        let worlds = Worlds::new(1);
        let one_of_each = self.plans.iter().take(self.scenarios);
        let caught = one_of_each.filter_map(|plan| catch(mutant, plan, &worlds));
        let cases: Vec<String> = caught.map(|caught| caught.case).collect();
        let (name, count, of) = (mutant.name, cases.len(), self.scenarios);
        println!("{name}: caught by {count} of {of} scenarios: {}", cases.join(" "));
        Ok(())
    }

    fn note(&self, mutant: &Mutant, caught: &Catch) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(mutant.name.to_owned(), caught.case.clone());
    }
}
