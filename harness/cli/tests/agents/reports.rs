//! What reports and diagnostics say of agents.

use crate::programs::output;
use crate::{EXAMPLE, PROXY, SCENARIO, programs, run, wrong};
use netproof_model::event::Event;
use std::fs;

/// As the options name them: whoever repeats the run can copy it.
pub fn reports_name_the_agent() {
    let programs = programs();
    let [json, junit] = ["events.jsonl", "junit.xml"].map(|name| programs.file(name));
    let reports = ["--proxy", PROXY, "--json", &json, "--junit", &junit];
    let (code, text) = output(run(&programs, EXAMPLE, &SCENARIO).args(reports));
    assert_eq!(code, Some(0), "{text}");
    let header = text.lines().next().unwrap_or_default();
    assert!(header.ends_with(&format!("enforcer {EXAMPLE}, proxy {PROXY}")), "{header}");
    let events = fs::read_to_string(&json).expect("the events");
    let first = events.lines().next().map(|line| serde_json::from_str(line).expect("an event"));
    let named = match first {
        Some(Event::RunStarted { enforcer, proxy, .. }) => Some((enforcer, proxy)),
        _ => None,
    };
    assert_eq!(named, Some((EXAMPLE.to_owned(), PROXY.to_owned())), "{events}");
    let junit = fs::read_to_string(&junit).expect("the report");
    for (name, value) in [("enforcer", EXAMPLE), ("proxy", PROXY)] {
        let property = format!("<property name=\"netproof.{name}\" value=\"{value}\"/>");
        assert!(junit.contains(&property), "no {property} in {junit}");
    }
}

/// With `-vv`; one that is content anyway is no business of a report.
pub fn what_the_api_lacks_is_told() {
    let programs = programs();
    let agent = wrong::agent(&programs, "asks-for-more");
    let told = format!(
        "{agent} asked for what the API does not have: GET {} (status 404, 2 times)",
        wrong::UNKNOWN_KIND
    );
    for (verbosity, times) in [("-v", 0), ("-vv", 1)] {
        let (code, text) = output(run(&programs, &agent, &SCENARIO).arg(verbosity));
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.matches(&told).count(), times, "{verbosity}: no {told:?} in {text}");
    }
}
