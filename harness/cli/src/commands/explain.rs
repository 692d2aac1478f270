//! `netproof explain`: why the flows of scenarios, or of manifests, are allowed or denied, in full sentences.

use super::agents::Chosen;
use super::{Subject, bad_input, print, print_json};
use crate::args::ExplainArguments;
use crate::exit::Exit;
use netproof_explain::{Explanation, FORMAT, Question, Report, explain as explain_plan};
use std::fmt::Write as _;

pub fn explain(arguments: &ExplainArguments) -> Exit {
    match Subject::load(&arguments.selection, &Chosen::default(), &arguments.namespace, arguments.verbose) {
        Ok(subject) => subject.end(of(&subject, arguments)),
        Err(exit) => exit,
    }
}

fn of(subject: &Subject, arguments: &ExplainArguments) -> Exit {
    let flow = arguments.flow.as_ref();
    if subject.manifests && flow.is_none() {
        return bad_input(
            "error: manifests say nothing of flows\nhelp: name one: --flow \"pod/client -> service/web:80\"",
        );
    }
    let question = Question {
        step: arguments.step.as_deref(),
        flow,
        namespace: &arguments.namespace,
        profile: arguments.profile,
    };
    let (mut text, mut explanations) = (String::new(), Vec::new());
    for plan in subject.plans() {
        match explain_plan(plan, &question) {
            Ok(of_plan) => {
                write(&mut text, &plan.id.to_string(), &of_plan);
                explanations.extend(of_plan);
            }
            Err(error) => return bad_input(format_args!("error: {error}")),
        }
    }
    if arguments.json {
        return print_json(&Report {
            format: FORMAT,
            ignored: subject.loaded.ignored.report(),
            explanations,
        });
    }
    print(&text)
}

/// The scenario run, its steps, their flows, and the derivation of each.
fn write(text: &mut String, id: &str, explanations: &[Explanation]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{id}");
    let mut step = None;
    for explanation in explanations {
        if step != Some(&explanation.step) {
            let _ = writeln!(text, "\n  {}", explanation.step);
            step = Some(&explanation.step);
        }
        text.push('\n');
        for line in explanation.to_string().lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push('\n');
}
