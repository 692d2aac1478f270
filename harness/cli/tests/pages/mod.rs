//! Pages of the documentation, and whether the output that they show is real.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares the text below each line `MARKER COMMAND -->` of a page with `output(COMMAND)`, or writes the
/// output there if `UPDATE_DOCS` is set. The marker ends with `netproof `, followed by the command.
pub fn check(page: &Path, marker: &str, mut output: impl FnMut(&str) -> String) {
    let text = std::fs::read_to_string(page).expect("the page");
    let real = with_outputs(&text, marker, |command| format!("$ netproof {command}\n{}", output(command)));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page, &real).expect("the page is written");
        return;
    }
    let (shown, real) = (without_times(&text), without_times(&real));
    let differs = shown.lines().zip(real.lines()).find(|(a, b)| a != b);
    assert!(
        shown == real,
        "{}: the output differs (UPDATE_DOCS=1 rewrites it): {differs:#?}",
        page.display()
    );
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

/// The page with the output below each marker and command replaced by `output(COMMAND)`.
fn with_outputs(page: &str, marker: &str, mut output: impl FnMut(&str) -> String) -> String {
    let mut lines = page.lines().peekable();
    let mut result = String::new();
    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        let command = line.strip_prefix(marker).and_then(|it| it.strip_suffix(" -->"));
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
