//! Typical folders of manifests; everything that the answer lacks is named.

use super::inputs;
use crate::command::{netproof, shown};
use std::path::Path;

fn asked(arguments: &[&str], folder: &str) -> String {
    let inputs = inputs("");
    assert!(Path::new(&inputs).join(folder).is_dir(), "{folder}");
    shown(&netproof(&[arguments, &[folder]].concat()).current_dir(inputs).output().unwrap())
}

/// What the API says, and what the packets did: the same, or the command would end with 1.
#[test]
fn everything_that_is_missing_from_the_answer_is_named() {
    for folder in ["argo-like", "shop-like", "monitoring-like"] {
        insta::assert_snapshot!(
            format!("folder_{folder}_predicted"),
            asked(&["matrix", "--predict"], folder)
        );
        insta::assert_snapshot!(format!("folder_{folder}_probed"), asked(&["matrix", "--services"], folder));
    }
}
