//! The documentation is true: its scenarios pass, and each shown output is that of the command above it.
//! `UPDATE_DOCS=1` writes the output anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod pages;

use pages::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The README and every page for users.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/").flatten().map(|entry| entry.path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

fn netproof(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netproof"));
    command.current_dir(folder).args(arguments).env("COLUMNS", "100").env_remove("NO_COLOR");
    let output = command.output().expect("the binary starts");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn every_scenario_of_the_documentation_passes() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut found = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("the page");
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            if !block.contains("kind: Scenario") && !block.contains("kind: CaseTable") {
                continue;
            }
            found += 1;
            let file = format!("example-{found}.yaml");
            std::fs::write(folder.path().join(&file), block).expect("the example is written");
            let (code, output) = netproof(folder.path(), &["run", "--root", ".", &file]);
            assert_eq!(code, Some(0), "{}: {output}", page.display());
        }
    }
    assert!(found >= 3, "only {found} examples found: is the documentation read at all?");
}

#[test]
fn the_output_that_the_documentation_shows_is_real() {
    for page in pages() {
        pages::check(&page, "<!-- run: netproof ", |command| {
            let arguments: Vec<&str> = command.split(' ').collect();
            netproof(&root(), &arguments).1
        });
    }
}
