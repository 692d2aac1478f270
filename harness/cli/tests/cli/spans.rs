//! What `-vv` and `-vvv` tell.

use crate::GOOD;
use crate::command::Folder;

/// The parts of a run that are told on standard error, without times, each once.
fn told(verbosity: &[&str]) -> String {
    let folder = Folder::with(&[("deny-all.yaml", GOOD)]);
    let arguments = [&["run", "deny-all.yaml", "-j1", "--filter", "ipv4"][..], verbosity].concat();
    let output = folder.run(&arguments);
    assert!(output.starts_with("exit code 0\n"), "{output}");
    let stderr = output.split_once("--- stderr\n").map(|(_, text)| text).unwrap_or_default();
    stderr.to_owned()
}

#[test]
fn the_parts_of_a_run_are_told_with_their_times() {
    assert_eq!(told(&["-v"]), "");
    let parts = told(&["-vv"]);
    for part in ["build: close", "rehearsal: close", "change set{changes=1}: close", "probes{count=1}: close"]
    {
        assert!(parts.contains(part), "{part} is not in\n{parts}");
    }
    // Whose part it is stands before it; what libraries have to say is left out.
    let step = "scenario{id=deny-all::ipv4}:step{name=\"deny all\"}:";
    assert!(parts.contains(step), "{parts}");
    assert!(parts.lines().all(|line| line.contains(" INFO scenario{")), "{parts}");
}

#[test]
fn more_is_told_of_what_takes_long() {
    let parts = told(&["-vvv"]);
    for part in ["settle{undecided=", "part{name=\"program policies\"}: new"] {
        assert!(parts.contains(part), "{part} is not in\n{parts}");
    }
}
