//! `netproof explain`: why the flows of scenarios are allowed or denied, in full sentences.

use super::load;
use crate::args::ExplainArguments;
use crate::exit::Exit;
use crate::outputs;
use netproof_model::event::ScenarioId;
use netproof_scenario::explain::{Explanation, Question, explain as explain_plan};
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub fn explain(arguments: &ExplainArguments) -> Exit {
    let loaded = match load(&arguments.selection, None, &[]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if loaded.plans.is_empty() {
        return super::nothing_matched(&loaded);
    }
    let flow = arguments.flow.as_ref();
    let question = Question { step: arguments.step.as_deref(), flow, profile: arguments.profile };
    let mut text = String::new();
    // The variants of a scenario differ in where pods are and how they are wired: the first stands for all.
    let mut seen = BTreeSet::new();
    for plan in &loaded.plans {
        if !seen.insert((&plan.id.suite, &plan.id.name)) {
            continue;
        }
        match explain_plan(plan, &question) {
            Ok(explanations) => write(&mut text, &plan.id, &explanations),
            Err(error) => {
                outputs::complain(format_args!("error: {error}"));
                return Exit::BadInput;
            }
        }
    }
    match outputs::print(&text) {
        Ok(()) => Exit::AsExpected,
        Err(error) => {
            outputs::complain(format_args!("error: cannot write to standard output: {error}"));
            Exit::NotDone
        }
    }
}

/// The scenario run, its steps, their flows, and the derivation of each.
fn write(text: &mut String, id: &ScenarioId, explanations: &[Explanation]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{id}");
    let mut step = None;
    for explanation in explanations {
        if step != Some(&explanation.step) {
            let _ = writeln!(text, "\n  {}", explanation.step);
            step = Some(&explanation.step);
        }
        let family = explanation.family.map(|family| format!(" {family}")).unwrap_or_default();
        let answer = explanation.answer.as_deref().unwrap_or("the API does not speak about it");
        let _ = writeln!(text, "\n    {}{family}: {answer}", explanation.flow);
        for line in explanation.derivation.lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
    text.push('\n');
}
