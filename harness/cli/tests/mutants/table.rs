//! Which case catches which mutant: `caught-by.txt`, and the page that shows it.

use super::root;
use libtest_mimic::Failed;
use netproof_enforcer_mutants::{MUTANTS, MutantKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::{fs, io};

/// One line for each mutant: its name, and the stable name of the case.
fn file() -> PathBuf {
    root().join("harness/cli/tests/mutants/caught-by.txt")
}

fn page() -> PathBuf {
    root().join("docs/mutants.md")
}

/// What stands before the table on the page.
const BEGIN: &str = "<!-- table -->\n";

/// The table: from the name of a mutant to that of a case.
pub fn read() -> io::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(file())?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(mutant, case)| (mutant.to_owned(), case.trim().to_owned())).collect())
}

/// Every mutant has its line, every line its mutant, and the page shows what the table says.
pub fn check(table: &BTreeMap<String, String>) -> Result<(), Failed> {
    for mutant in MUTANTS {
        if !table.contains_key(mutant.name) {
            return Err(Failed::from(format!("the table lacks `{}`", mutant.name)));
        }
    }
    for name in table.keys() {
        if !MUTANTS.iter().any(|mutant| mutant.name == name) {
            return Err(Failed::from(format!("the table has `{name}`, and there is no such mutant")));
        }
    }
    let shown = fs::read_to_string(page())?;
    if shown != with_table(&shown, table) {
        let page = page().display().to_string();
        return Err(Failed::from(format!(
            "{page} shows another table; NETPROOF_MUTANTS=update writes it anew"
        )));
    }
    Ok(())
}

/// Writes the table and the page.
pub fn write(table: &BTreeMap<String, String>) -> io::Result<()> {
    let mut lines = String::new();
    for mutant in MUTANTS {
        if let Some(case) = table.get(mutant.name) {
            lines += &format!("{} {case}\n", mutant.name);
        }
    }
    fs::write(file(), lines)?;
    let shown = fs::read_to_string(page())?;
    fs::write(page(), with_table(&shown, table))
}

/// The page with this table at its end.
fn with_table(page: &str, table: &BTreeMap<String, String>) -> String {
    let above = page.split_once(BEGIN).map_or(page, |(above, _)| above);
    let mut page = format!("{above}{BEGIN}");
    for (kind, what) in [(MutantKind::Verdict, "of verdicts"), (MutantKind::Decider, "of deciders")] {
        let mutants: Vec<_> = MUTANTS.iter().filter(|mutant| mutant.kind() == kind).collect();
        // Writing into a string cannot fail.
        let _ = writeln!(page, "\n{} mutants {what}:\n", mutants.len());
        page += "| mutant | what is wrong | caught by |\n|---|---|---|\n";
        for mutant in mutants {
            let case = table.get(mutant.name).map_or("", String::as_str);
            let _ = writeln!(page, "| `{}` | {} | `{case}` |", mutant.name, mutant.wrong);
        }
    }
    page
}
