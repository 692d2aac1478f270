//! What the documentation shows is what happens: its scenarios run, and the output it prints is that of
//! the command above it. `UPDATE_DOCS=1` writes the output anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

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

/// Durations differ from run to run, and nothing else may.
fn without_times(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for line in text.trim().lines() {
        let mut parts: Vec<&str> = line.split_whitespace().collect();
        for i in 1..parts.len() {
            let unit = parts[i].trim_end_matches([',', ')', ';']);
            let number = parts[i - 1].trim_start_matches('(');
            if ["µs", "ms", "s", "min", "%"].contains(&unit) && number.parse::<f64>().is_ok() {
                parts[i - 1] = "N";
                parts[i] = "unit";
            }
        }
        words.push(parts.join(" "));
    }
    words.join("\n")
}

/// The page with the output below each `<!-- run: COMMAND -->` replaced by `output(COMMAND)`.
fn with_outputs(page: &str, mut output: impl FnMut(&str) -> String) -> String {
    let mut lines = page.lines().peekable();
    let mut result = String::new();
    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let command = line.strip_prefix("<!-- run: netproof ").and_then(|it| it.strip_suffix(" -->"));
        if let Some(command) = command {
            while lines.peek().is_some_and(|next| next.is_empty() || next.starts_with("    ")) {
                lines.next();
            }
            result.push('\n');
            for line in output(command).trim_end().lines() {
                result.push_str(if line.is_empty() { "" } else { "    " });
                result.push_str(line);
                result.push('\n');
            }
            result.push('\n');
        }
    }
    result
}

#[test]
fn the_output_that_the_documentation_shows_is_real() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("the page");
        let real = with_outputs(&text, |command| {
            let arguments: Vec<&str> = command.split(' ').collect();
            format!("$ netproof {command}\n{}", netproof(&root(), &arguments).1)
        });
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, &real).expect("the page is written");
        } else if without_times(&text) != without_times(&real) {
            let shown = without_times(&text);
            let differs = without_times(&real);
            let at = shown.lines().zip(differs.lines()).find(|(a, b)| a != b);
            panic!("{}: the output differs (UPDATE_DOCS=1 rewrites it): {at:#?}", page.display());
        }
    }
}
