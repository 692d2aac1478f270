//! `netproof matrix`: who reaches whom, from what the API says (`--predict`) or from packets.

use super::agents::Chosen;
use super::{Subject, bad_input, print, print_json};
use crate::args::MatrixArguments;
use crate::exit::Exit;
use crate::outputs;
use netproof_cluster::sandbox;
use netproof_matrix::{Matrix, Question, Report, Unprobed};
use netproof_plan::Plan;
use netproof_runner::RunOptions;

pub fn matrix(arguments: &MatrixArguments) -> Exit {
    let chosen = match Chosen::read(&arguments.enforcer, &arguments.proxy) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    match Subject::load(&arguments.selection, &chosen, &arguments.namespace, arguments.verbose > 0) {
        Ok(subject) => subject.end(of(&subject, chosen, arguments)),
        Err(exit) => exit,
    }
}

fn of(subject: &Subject, chosen: Chosen, arguments: &MatrixArguments) -> Exit {
    let [plan] = subject.plans().collect::<Vec<_>>()[..] else {
        let count = subject.plans().count();
        return bad_input(format_args!(
            "error: {count} scenarios are here, and a matrix is of one\nhelp: name its file, or choose it with --filter"
        ));
    };
    // As in a run: a scenario's own profile, else the enforcer's.
    let by_enforcer = || plan.profile.is_none().then(|| chosen.profile());
    let question = Question {
        step: arguments.step.clone(),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        ports: arguments.ports.clone(),
        services: arguments.services,
        profile: arguments.profile.or_else(by_enforcer),
    };
    let matrix = if arguments.predict {
        netproof_matrix::predict(plan, &question).map_err(Unprobed::from)
    } else {
        let enforcer_timeout = arguments.enforcer_timeout.unwrap_or_else(|| chosen.patience());
        let (enforcer, proxy) = match chosen.find() {
            Ok(found) => found,
            Err(exit) => return exit,
        };
        probe(plan, &question, RunOptions { enforcer, enforcer_timeout, proxy, ..RunOptions::default() })
    };
    let matrix = match matrix {
        Ok(matrix) => matrix,
        Err(error @ Unprobed::NotDone { .. }) => {
            outputs::complain(format_args!(
                "error: {error}\nhelp: --predict asks the API alone, and needs no cluster"
            ));
            return Exit::NotDone;
        }
        Err(error) => return bad_input(format_args!("error: {error}")),
    };
    let written = if arguments.json {
        let report = Report {
            ignored: subject.loaded.ignored.report(),
            implied_namespaces: subject.loaded.implied_namespaces.clone(),
            notes: subject.loaded.notes.clone(),
            ..Report::of(&matrix)
        };
        print_json(&report)
    } else {
        print(&netproof_matrix::text(&matrix, outputs::width(), arguments.full))
    };
    match written {
        Exit::AsExpected if matrix.counts().differ > 0 => Exit::CheckFailed,
        other => other,
    }
}

/// Runs in a sandbox: the caller must not have started a thread.
fn probe(plan: &Plan, question: &Question, options: RunOptions) -> Result<Matrix, Unprobed> {
    // Errors of the arguments come first, so that they are the same on every machine.
    netproof_matrix::predict(plan, question)?;
    if let Some(because) = netproof_runner::not_applicable(plan, &options) {
        return Err(Unprobed::NotApplicable { because });
    }
    sandbox::enter()
        .map_err(|error| Unprobed::NotDone { message: format!("cannot build clusters here: {error}") })?;
    netproof_matrix::probe(plan, question, &options)
}
