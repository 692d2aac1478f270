//! What a person reads, for streams made by hand.

use super::*;
use crate::testing;
use netproof_model::event::{Finding, FindingKind, Phase};
use proptest::prelude::*;

fn shown(events: &[Event], options: TerminalOptions) -> String {
    let mut out = Vec::new();
    let mut terminal = Terminal::new(&mut out, options, Rerun::default());
    for event in events {
        terminal.event(event).unwrap();
    }
    terminal.finish().unwrap();
    terminal.finish().unwrap();
    drop(terminal);
    String::from_utf8(out).unwrap()
}

fn plain() -> TerminalOptions {
    TerminalOptions::default()
}

#[test]
fn all_passed() {
    insta::assert_snapshot!(shown(&testing::all_passed(), plain()));
}

#[test]
fn all_passed_verbose() {
    insta::assert_snapshot!(shown(&testing::all_passed(), TerminalOptions { verbose: true, ..plain() }));
}

#[test]
fn one_of_everything() {
    insta::assert_snapshot!(shown(&testing::mixed_run(), plain()));
}

#[test]
fn one_of_everything_verbose() {
    insta::assert_snapshot!(shown(&testing::mixed_run(), TerminalOptions { verbose: true, ..plain() }));
}

#[test]
fn one_of_everything_in_colour() {
    let shown = shown(&testing::mixed_run(), TerminalOptions { color: true, ..plain() });
    insta::assert_snapshot!(shown.replace('\u{1b}', "␛"));
}

#[test]
fn one_of_everything_narrow() {
    insta::assert_snapshot!(shown(&testing::mixed_run(), TerminalOptions { width: Some(60), ..plain() }));
}

#[test]
fn broken_off_in_the_middle() {
    let events = testing::mixed_run();
    let middle = events.iter().rposition(|event| matches!(event, Event::CheckFinished { .. })).unwrap();
    insta::assert_snapshot!(shown(&events[..=middle], plain()));
}

#[test]
fn stopped_at_the_first_failure() {
    let id = testing::id("deny-all", &[]);
    let run = testing::scenario(&id, vec![testing::failing_deny()], Status::Failed, None, 7);
    let mut events = testing::run(Vec::new(), vec![run]);
    events[0] = testing::run_started(&[id, testing::id("limit-traffic", &[])]);
    let shown = shown(&events, plain());
    assert!(shown.ends_with("1 scenario run not started after the first that went wrong\n"), "{shown}");
}

#[test]
fn nothing_ran() {
    insta::assert_snapshot!(shown(&testing::run(Vec::new(), Vec::new()), plain()));
}

#[test]
fn many_failures_are_shown_in_part_and_listed_in_whole() {
    let mut check = testing::failing_deny();
    let checks = (1..=9).map(|n| {
        check.name = format!("deny all/pod/client{n} -> service/web:80");
        check.clone()
    });
    let id = testing::id("deny-all", &[]);
    let run = testing::scenario(&id, checks.collect(), Status::Failed, None, 7);
    let shown = shown(&testing::run(Vec::new(), vec![run]), plain());
    assert!(shown.contains("and 4 more, listed in the summary"), "{shown}");
    for n in 1..=9 {
        assert!(
            shown.contains(&format!("client{n} -> service/web:80: expected deny, observed allow")),
            "{shown}"
        );
    }
}

/// A cell between these, of a scenario run's matrix.
fn cell(from: &str, to: &str, port: &str) -> Check {
    let flow = format!("{from} -> {to}:{port}");
    Check { name: format!("deny all/matrix/{flow}"), flow, ..testing::failing_cell() }
}

/// Five checks' worth of cells that failed, some without a verdict, and one check that is not a cell.
fn run_with_cells(name: &str) -> (ScenarioId, Vec<Event>) {
    let id = testing::id(name, &[]);
    let lost = |port| Check {
        status: Status::Errored,
        findings: vec![Finding::new(FindingKind::NoEvidence, "nothing says who lost the packet")],
        ..cell("pod/client", "pod/db", port)
    };
    let checks = vec![
        testing::failing_deny(),
        cell("pod/client", "pod/web", "80"),
        cell("pod/client", "pod/web", "53/udp"),
        cell("pod/other", "pod/web", "80"),
        Check { cells: 30, flow: "30 more cells".into(), ..cell("", "", "") },
        lost("80"),
        lost("53/udp"),
        Check { phase: Phase::Rehearsal, ..cell("pod/client", "pod/alone", "80") },
    ];
    let run = testing::scenario(&id, checks, Status::Failed, None, 7);
    (id, run)
}

#[test]
fn cells_that_fail_together_are_told_together() {
    let (_, run) = run_with_cells("deny-all");
    insta::assert_snapshot!(shown(&testing::run(Vec::new(), vec![run]), plain()));
}

/// Cells of which only who decided is wrong say so; one whose verdict is wrong among them is a verdict's matter.
#[test]
fn wrong_deciders_are_no_wrong_verdicts() {
    let by_another = |port| {
        let message = "right verdict, wrong decider: decided by a, the API says by b";
        let findings = vec![Finding::new(FindingKind::WrongDecider, message)];
        Check { findings, ..cell("pod/client", "pod/web", port) }
    };
    for (others, title) in [
        (vec![], "2 cells have the right verdict and a wrong decider"),
        (vec![cell("pod/other", "pod/web", "80")], "3 cells contradict the API"),
    ] {
        let checks = [by_another("80"), by_another("81")].into_iter().chain(others).collect();
        let run = testing::scenario(&testing::id("deny-all", &[]), checks, Status::Failed, None, 7);
        let shown = shown(&testing::run(Vec::new(), vec![run]), plain());
        assert!(shown.contains(title), "{shown}");
    }
}

#[test]
fn only_the_first_runs_are_told_in_full() {
    let runs = (1..=12).map(|n| run_with_cells(&format!("deny-all-{n}")).1);
    let shown = shown(&testing::run(Vec::new(), runs.collect()), plain());
    assert_eq!(shown.matches("written at").count(), 10 * 4, "{shown}");
    assert_eq!(shown.matches("in the summary; -v").count(), 1, "{shown}");
    for n in 1..=12 {
        let name = format!("deny-all-{n}");
        // Its line, and in the summary its name and how to run it.
        assert!(shown.lines().filter(|line| line.contains(&name)).count() >= 3, "{shown}");
    }
}

proptest! {
    #[test]
    fn no_string_reaches_the_terminal_as_a_control(text in any::<String>(), width in proptest::option::of(0usize..120), verbose: bool) {
        let events = testing::run_of(&text, std::time::Duration::from_millis(3));
        let shown = shown(&events, TerminalOptions { width, verbose, ..plain() });
        prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
    }
}
