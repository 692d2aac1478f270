//! YAML as kubectl reads it, and unreadable documents next to readable ones.

use super::inputs;
use crate::command::run;

/// What `matrix --predict` says of a file, its folder left out.
fn predicted(file: &str) -> String {
    let path = inputs("yaml").join(file).display().to_string();
    run(&["matrix", "--predict", &path]).replace(&path, file)
}

#[test]
fn quoted_text_at_the_margin_and_merge_keys() {
    insta::assert_snapshot!(predicted("anchored.yaml"));
}

#[test]
fn a_document_that_cannot_be_read_hides_no_other() {
    insta::assert_snapshot!(predicted("one-broken-each.yaml"));
}

#[test]
fn a_document_that_is_ignored_anyway_stops_nothing() {
    insta::assert_snapshot!(predicted("only-ignored-is-broken.yaml"));
}

#[test]
fn places_are_right_after_a_byte_order_mark_and_carriage_returns() {
    insta::assert_snapshot!(predicted("other-system.yaml"));
}
