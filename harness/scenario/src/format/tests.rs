//! The format from the outside: good files become plans, bad ones diagnostics.

use super::*;
use std::path::Path;

/// The top of the work tree.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_scenario_of_the_repository_loads() {
    let loaded = load(&[repository().join("scenarios")], &Options::default());
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(!loaded.plans.is_empty());
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.join("\n\n"), "");
}
