//! What `cargo tree` does not see: how large each crate is, and whether the top modules of a crate use each other in
//! circles. Run by `ci/check-directions`, which compiles it with `rustc` alone.
//!
//! Lines are counted as they stand, comments included. Not counted: tests (`#[cfg(test)]` items, `tests.rs`,
//! `tests/`), benches, examples, and whatever is no Rust.
//!
//! Who uses whom is read from paths that begin with `crate::` or `super::`. A name that the crate's root re-exports
//! counts as its module's; an item of the root itself as the root's, which is a room like the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The most lines of a crate.
const MOST: usize = 8_000;

/// The room of what a crate's root defines itself.
const ROOT: &str = "(root)";

fn main() -> ExitCode {
    let manifest = fs::read_to_string("Cargo.toml").expect("run at the top of the work tree");
    let members = members(&manifest);
    assert!(members.len() > 10, "the workspace's members are not found: {members:?}");
    let mut wrong = false;
    for member in &members {
        let files = files(&Path::new(member).join("src"));
        let lines: usize = files.iter().map(|file| without_tests(&file.text).lines().count()).sum();
        if lines > MOST {
            eprintln!("{member} has {lines} lines that are neither tests nor data, more than {MOST}");
            wrong = true;
        }
        for circle in circles(&uses(&files)) {
            eprintln!("{member}: rooms that use each other in a circle: {circle}");
            wrong = true;
        }
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The folders of the workspace's members.
fn members(manifest: &str) -> Vec<String> {
    let list =
        manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// One file of a crate that is no test.
struct File {
    /// Its modules from the root, empty for the root's own file.
    module: Vec<String>,
    text: String,
}

/// The files below a crate's `src` that are no tests.
fn files(source: &Path) -> Vec<File> {
    let mut open: Vec<PathBuf> = vec![source.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
            .expect("a crate has a folder src")
            .map(|it| it.expect("readable").path())
            .collect();
        entries.sort();
        for path in entries {
            let stem = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && stem != "tests" {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && stem != "tests" {
                let below = path.strip_prefix(source).expect("it was found there").with_extension("");
                let mut module: Vec<String> =
                    below.components().map(|it| it.as_os_str().to_string_lossy().into_owned()).collect();
                if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                    module.pop();
                }
                files.push(File { module, text: fs::read_to_string(&path).expect("readable") });
            }
        }
    }
    files
}

/// A text without its items for tests: `#[cfg(test)]` and what follows it, to the line that closes it.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        for line in lines.by_ref() {
            let ends =
                line.len() - line.trim_start().len() == indent && line.trim_end().ends_with(['}', ';']);
            if ends {
                break;
            }
        }
    }
    kept
}

/// A text without comments, and with nothing in its strings.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if characters.peek() == Some(&'/') => while characters.next_if(|it| *it != '\n').is_some() {},
            '"' => {
                code.push_str("\"\"");
                while let Some(inside) = characters.next() {
                    match inside {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A character in quotes, where it is no lifetime.
            '\'' => {
                let mut ahead = characters.clone();
                let escaped = ahead.next() == Some('\\');
                if escaped {
                    ahead.next();
                }
                if ahead.next() == Some('\'') {
                    characters = ahead;
                }
            }
            other => code.push(other),
        }
    }
    code
}

/// Which rooms each room of a crate uses.
fn uses(files: &[File]) -> BTreeMap<String, BTreeSet<String>> {
    let rooms: BTreeSet<&str> =
        files.iter().filter_map(|file| file.module.first()).map(String::as_str).collect();
    let texts: Vec<(&[String], String)> =
        files.iter().map(|file| (file.module.as_slice(), code(&without_tests(&file.text)))).collect();
    // What the root passes on, by name.
    let mut passed_on: BTreeMap<String, &str> = BTreeMap::new();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, text) in texts.iter().filter(|(module, _)| module.is_empty()) {
        for (public, path) in imports(text) {
            let mut parts =
                path.iter().map(String::as_str).skip_while(|part| matches!(*part, "crate" | "self"));
            let Some(room) = parts.next().and_then(|first| rooms.get(first)) else { continue };
            if let Some(name) = path.last() {
                passed_on.insert(name.clone(), room);
            }
            if !public {
                uses.entry(ROOT.to_owned()).or_default().insert((*room).to_owned());
            }
        }
        for path in paths(&without_imports(text)) {
            let first = path.iter().map(String::as_str).find(|part| !matches!(*part, "crate" | "self"));
            if let Some(room) = first.and_then(|first| rooms.get(first)) {
                uses.entry(ROOT.to_owned()).or_default().insert((*room).to_owned());
            }
        }
    }
    for (module, text) in texts.iter().filter(|(module, _)| !module.is_empty()) {
        let imported = imports(text).into_iter().map(|(_, path)| path);
        for path in imported.chain(paths(&without_imports(text))) {
            let Some(path) = absolute(module, &path) else { continue };
            let Some(first) = path.first() else { continue };
            let room = match rooms.get(first.as_str()) {
                Some(room) => room,
                None => passed_on.get(first).copied().unwrap_or(ROOT),
            };
            if room != module[0] {
                uses.entry(module[0].clone()).or_default().insert(room.to_owned());
            }
        }
    }
    uses
}

/// A path from the crate's root, if it is one of the crate's own.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        // Above a module inside the file there may be one more `super` than the file has parents.
        "super" => {
            let kept = module.len().saturating_sub(ups);
            Some(module[..kept].iter().chain(&path[ups..]).cloned().collect())
        }
        _ => None,
    }
}

/// The paths that a text imports, each whole, with whether it is passed on.
fn imports(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut all = Vec::new();
    for statement in statements(text) {
        let (public, tree) = match statement.split_once("use ") {
            Some((before, tree)) => (before.trim_start().starts_with("pub"), tree),
            None => continue,
        };
        let mut found = Vec::new();
        expand(&[], tree.trim_end_matches(';'), &mut found);
        all.extend(found.into_iter().map(|path| (public, path)));
    }
    all
}

/// The `use` statements of a text.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (line, after) = rest.split_once('\n')?;
            let word = line.trim_start();
            let word = match word.strip_prefix("pub") {
                Some(public) if public.starts_with('(') => {
                    public.split_once(')').map_or(public, |(_, it)| it)
                }
                Some(public) => public,
                None => word,
            };
            if word.trim_start().starts_with("use ") {
                let end = rest.find(';').map_or(rest.len(), |end| end + 1);
                let (statement, after) = rest.split_at(end);
                rest = after;
                return Some(statement);
            }
            rest = after;
        }
    })
}

/// A text without its `use` statements.
fn without_imports(text: &str) -> String {
    let mut left = text.to_owned();
    for statement in statements(text) {
        left = left.replacen(statement, "", 1);
    }
    left
}

/// The paths of a tree of imports.
fn expand(above: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, inner) = match tree.split_once('{') {
        Some((head, inner)) => (head, Some(inner.strip_suffix('}').unwrap_or(inner))),
        None => (tree.split(" as ").next().unwrap_or(tree), None),
    };
    let parts = head.split("::").map(str::trim).filter(|part| !part.is_empty());
    let path: Vec<String> = above.iter().cloned().chain(parts.map(str::to_owned)).collect();
    let Some(inner) = inner else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (index, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&path, &inner[start..index], found);
                start = index + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&path, &inner[start..], found);
    }
}

/// The paths of at least two parts that a text has outside of imports.
fn paths(text: &str) -> Vec<Vec<String>> {
    let is_path = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':');
    let words = text.split(|character: char| !is_path(character)).filter(|word| word.contains("::"));
    words.map(|word| word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}

/// The rooms that a room reaches.
fn reached<'a>(uses: &'a BTreeMap<String, BTreeSet<String>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut open = vec![from];
    while let Some(room) = open.pop() {
        let next = uses.get(room).into_iter().flatten().map(String::as_str);
        open.extend(next.filter(|next| reached.insert(next)));
    }
    reached
}

/// The circles among rooms: each with the rooms that reach one another.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let all: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|room| (room.as_str(), reached(uses, room))).collect();
    let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (room, reached) in all.iter().filter(|(room, reached)| reached.contains(*room)) {
        let back = |other: &&&str| all.get(**other).is_some_and(|reached| reached.contains(room));
        told.insert(reached.iter().filter(back).copied().collect());
    }
    let line = |circle: Vec<&str>| {
        let inside = |room: &&str| {
            let next = uses.get(*room).into_iter().flatten().map(String::as_str);
            let next: Vec<&str> = next.filter(|next| circle.contains(next)).collect();
            format!("{room} uses {}", next.join(" and "))
        };
        circle.iter().map(inside).collect::<Vec<_>>().join("; ")
    };
    told.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(module: &[&str], text: &str) -> File {
        File { module: module.iter().map(|part| (*part).to_owned()).collect(), text: text.to_owned() }
    }

    #[test]
    fn tests_are_not_counted() {
        let text = "mod a;\n\n#[cfg(test)]\nmod tests;\nfn b() {}\n\n#[cfg(test)]\nmod tests {\n    fn c() {\n    }\n}\n";
        assert_eq!(without_tests(text), "mod a;\n\nfn b() {}\n\n");
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for (a, b, is_circle) in [
            ("use crate::b::B;\n", "use crate::a::A;\n", true),
            ("use crate::B;\n", "fn f() { crate::a::f() }\n", true),
            ("use crate::{\n    B,\n    c::{C, D},\n};\n", "use super::super::a::{self, A};\n", true),
            ("use crate::b::B;\n", "// use crate::a::A;\nconst A: &str = \"crate::a\";\n", false),
            ("use crate::b::B;\n", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n", false),
            ("use crate::b::B;\n", "use crate::R;\n", false),
        ] {
            let root = file(&[], "mod a;\nmod b;\nmod c;\npub use b::B;\npub struct R;\n");
            let files = [root, file(&["a"], a), file(&["b", "inner"], b), file(&["c"], "")];
            assert_eq!(!circles(&uses(&files)).is_empty(), is_circle, "{a} {b}");
        }
        // The root uses what uses the root.
        let root = file(&[], "mod a;\nuse a::A;\npub struct R(A);\n");
        assert_eq!(circles(&uses(&[root, file(&["a"], "use crate::R;\n")])).len(), 1);
    }
}
