//! All mistakes of an input in one go, in the order of its text.

use super::inputs;
use crate::command::run;

/// What a command says of a file, its folder left out.
fn said(command: &[&str], file: &str) -> String {
    let path = inputs("mistakes").join(file).display().to_string();
    let arguments: Vec<&str> = command.iter().copied().chain([path.as_str()]).collect();
    run(&arguments).replace(&path, file)
}

#[test]
fn a_scenario_is_read_on_after_each_mistake() {
    insta::assert_snapshot!(said(&["validate"], "scenario.yaml"));
}

#[test]
fn so_are_plain_manifests() {
    insta::assert_snapshot!(said(&["matrix", "--predict"], "objects.yaml"));
}
