//! All mistakes of an input at once, in the order of its text.

use super::inputs;
use crate::command::run;

/// What a command says of a file, its folder left out.
fn said(command: &[&str], file: &str) -> String {
    let path = inputs("mistakes").join(file).display().to_string();
    let arguments: Vec<&str> = command.iter().copied().chain([path.as_str()]).collect();
    run(&arguments).replace(&path, file).replace(&inputs("mistakes").display().to_string(), "FOLDER")
}

#[test]
fn a_scenario_is_read_on_after_each_mistake() {
    insta::assert_snapshot!(said(&["validate"], "scenario.yaml"));
}

#[test]
fn so_are_plain_manifests() {
    insta::assert_snapshot!(said(&["matrix", "--predict"], "objects.yaml"));
}

#[test]
fn an_unknown_field_keeps_no_verdict_from_being_judged() {
    let said = said(&["validate"], "judged.yaml");
    insta::assert_snapshot!(said);
    let run = self::said(&["run"], "judged.yaml");
    for place in ["judged.yaml:8:", "judged.yaml:9:", "judged.yaml:16:", "judged.yaml:18:"] {
        assert!(said.contains(place) && run.contains(place), "{place}: {run}");
    }
}

#[test]
fn what_cannot_be_read_is_missed_by_nobody() {
    insta::assert_snapshot!(said(&["validate"], "unread.yaml"));
}

#[test]
fn the_control_plane_refuses_all_in_one_go() {
    insta::assert_snapshot!(said(&["validate"], "refused.yaml"));
}

#[test]
fn and_so_with_plain_manifests() {
    insta::assert_snapshot!(said(&["matrix", "--predict"], "refused-objects.yaml"));
}

#[test]
fn tables_suites_and_topologies_are_read_on_too() {
    insta::assert_snapshot!(said(&["validate"], "others.yaml"));
    insta::assert_snapshot!(said(&["validate"], "topology/scenario.yaml"));
}

#[test]
fn a_wrong_word_hides_nothing_that_does_not_depend_on_it() {
    insta::assert_snapshot!(said(&["validate"], "words.yaml"));
}
