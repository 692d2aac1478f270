//! A run that is not tried does not count as passed in `cargo test`.

use crate::completion;
use libtest_mimic::Completion;
use netproof_model::event::{
    Check, Event, Finding, FindingKind, Location, Phase, ScenarioId, ScenarioOutcome, Status,
};
use std::time::Duration;

/// `None` of a test that passed, else why it was ignored; what it says where it failed.
fn ended(status: Status, message: Option<&str>, checks: &[Status]) -> Result<Option<String>, String> {
    let location = Location { file: String::new(), line: 1, column: 1 };
    let id = ScenarioId { suite: String::new(), name: "a".to_owned(), variant: Vec::new() };
    let checks = checks.iter().map(|status| {
        let name = "one/flow".to_owned();
        let mut check = Check::new(name.clone(), location.clone(), Phase::Run, "one", name);
        check.status = *status;
        if *status == Status::Skipped {
            check.findings = vec![Finding::new(FindingKind::NotChecked, "nobody says who decided")];
        }
        Event::CheckFinished { id: id.clone(), check: Box::new(check) }
    });
    let (elapsed, waited) = (Duration::ZERO, Duration::ZERO);
    let result =
        ScenarioOutcome { status, message: message.map(str::to_owned), trouble: None, elapsed, waited };
    let events: Vec<Event> = checks.collect();
    let ended = completion::of(&events, &result, || "the report".to_owned());
    ended.map(why).map_err(|failed| failed.message().unwrap_or_default().to_owned())
}

fn why(completion: Completion) -> Option<String> {
    match completion {
        Completion::Completed => None,
        Completion::Ignored { reason } => Some(reason.unwrap_or_default()),
    }
}

#[test]
fn a_run_that_is_skipped_is_an_ignored_test_with_its_reason() {
    use Status::{Errored, Failed, Passed, Skipped};
    let ignored = |reason: &str| Ok(Some(reason.to_owned()));
    assert_eq!(ended(Passed, None, &[Passed, Passed]), Ok(None));
    assert_eq!(ended(Skipped, Some("this kernel has no SCTP"), &[]), ignored("this kernel has no SCTP"));
    assert_eq!(ended(Skipped, None, &[]), ignored("nothing was tried"));
    assert_eq!(
        ended(Passed, None, &[Passed, Skipped, Skipped]),
        ignored("all checks passed but 2 skipped: nobody says who decided")
    );
    for status in [Failed, Errored] {
        assert_eq!(ended(status, None, &[status, Skipped]), Err("the report".to_owned()));
    }
    let because = "the addresses of the policy are IPv4";
    assert_eq!(why(completion::not_applicable(because)), Some(format!("does not apply: {because}")));
}
