//! Which files hold scenarios: the paths that were named, searched; the suite of each; and the root that
//! no scenario reads beyond.

use crate::document::{Problems, TextError};
use netproof_api::{Diagnostic, Source};
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// A file that may hold scenarios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Its suite.
    pub suite: String,
    /// Whether it was named itself, not only a folder above it.
    pub named: bool,
}

/// Finds every file once, however often and by whatever way it is named.
pub struct Search {
    wanted: fn(&Path) -> bool,
    /// Files and folders that were looked at, by their real paths: so links may lead in circles.
    seen: HashSet<PathBuf>,
    found: Vec<Found>,
}

/// Whether somebody means one end of a flow, `pod/web:80`, and no path.
fn is_an_end(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["pod/", "node/", "external/", "service/", "nodeport/", "dns/"].iter().any(|kind| text.starts_with(kind))
}

impl Search {
    /// In folders, for what `wanted` takes.
    pub fn new(wanted: fn(&Path) -> bool) -> Search {
        Search { wanted, seen: HashSet::new(), found: Vec::new() }
    }

    /// Every file below the paths that was not found before, folders in the order of their names.
    pub fn find(&mut self, paths: &[PathBuf], problems: &mut Problems) -> Vec<Found> {
        for path in paths {
            if let Err(error) = self.path(path) {
                let place = Source::new(path.display().to_string(), "");
                let help = match is_an_end(path) {
                    true => {
                        "what is named here is a file or a folder; flows and their ends have options (--help)"
                    }
                    false => "name a scenario file, or a folder with scenarios in it",
                };
                let error = Diagnostic::error(format!("cannot read it: {error}"));
                problems.push(error.in_source(&place).help(help));
            }
        }
        std::mem::take(&mut self.found)
    }

    fn path(&mut self, path: &Path) -> std::io::Result<()> {
        let real = path.canonicalize()?;
        if real.is_dir() {
            self.folder(path, path, &real)
        } else {
            if self.seen.insert(real) {
                let suite = suite(path, None);
                self.found.push(Found { path: path.to_owned(), suite, named: true });
            }
            Ok(())
        }
    }

    /// A folder, and `top`, the one that was named.
    fn folder(&mut self, top: &Path, folder: &Path, real: &Path) -> std::io::Result<()> {
        if !self.seen.insert(real.to_owned()) {
            return Ok(());
        }
        let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // A link that leads nowhere is nobody's scenario.
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            if real.is_dir() && !hidden {
                self.folder(top, &path, &real)?;
            } else if real.is_file() && !hidden && (self.wanted)(&path) && self.seen.insert(real) {
                let suite = suite(&path, Some(top));
                self.found.push(Found { path, suite, named: false });
            }
        }
        Ok(())
    }
}

/// A file of YAML, by its ending.
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// What `kubectl apply` reads of a folder.
pub fn may_be_manifest(path: &Path) -> bool {
    is_yaml(path) || path.extension().is_some_and(|ending| ending == "json")
}

/// The folders of a file below the nearest folder called `scenarios`, or else below the one that was
/// named, joined by `::`.
fn suite(file: &Path, top: Option<&Path>) -> String {
    let folders = |path: &Path| -> Vec<String> {
        let mut folders = Vec::new();
        for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
            match part {
                Component::Normal(name) => folders.push(name.to_string_lossy().into_owned()),
                Component::ParentDir => {
                    folders.pop();
                }
                Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
            }
        }
        folders
    };
    let mut above = folders(file);
    above.pop();
    let start = match (above.iter().rposition(|folder| folder == "scenarios"), top) {
        (Some(scenarios), _) => scenarios + 1,
        (None, Some(top)) => folders(top).len(),
        (None, None) => above.len(),
    };
    above.get(start..).unwrap_or_default().join("::")
}

/// A path that a file in `folder` names, below the root.
///
/// # Errors
/// It is absolute, does not exist, or is outside the root, symlinks followed.
pub fn inside(root: &Path, folder: &Path, path: &str) -> Result<PathBuf, TextError> {
    if Path::new(path).is_absolute() {
        let help = "write it relative to the file that it stands in".to_owned();
        return Err((format!("`{path}` is an absolute path"), help));
    }
    let named = tidy(&folder.join(path));
    let real = named.canonicalize().map_err(|error| {
        let help = "paths are relative to the file that they stand in".to_owned();
        (format!("cannot read {}: {error}", named.display()), help)
    })?;
    if !real.starts_with(root) {
        let message =
            format!("`{path}` leads to {}, which is outside the root {}", real.display(), root.display());
        let help = "keep the file below the root, or name another root with `--root`".to_owned();
        return Err((message, help));
    }
    Ok(named)
}

/// A path without `.` parts, and without `FOLDER/..` where it means the same: behind a symlink it does not.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        let up = part == Component::ParentDir
            && matches!(tidied.components().next_back(), Some(Component::Normal(_)));
        if up {
            tidied.pop();
        } else {
            tidied.push(part);
        }
    }
    let same = tidied.canonicalize().is_ok_and(|real| path.canonicalize().is_ok_and(|other| real == other));
    if same { tidied } else { path.components().collect() }
}

/// The root of a scenario in `folder`: as given, or the git work tree, or the current folder.
pub fn root(given: Option<&Path>, folder: &Path) -> std::io::Result<PathBuf> {
    if let Some(given) = given {
        return given.canonicalize();
    }
    let real = folder.canonicalize()?;
    match real.ancestors().find(|ancestor| ancestor.join(".git").exists()) {
        Some(work_tree) => Ok(work_tree.to_owned()),
        None => std::env::current_dir()?.canonicalize(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites() {
        for (file, top, expected) in [
            ("/repo/scenarios/recipes/x.yaml", Some("/repo/scenarios"), "recipes"),
            ("/repo/scenarios/recipes/x.yaml", Some("/repo/scenarios/recipes"), "recipes"),
            ("/repo/scenarios/recipes/x.yaml", None, "recipes"),
            ("/repo/scenarios/a/b/x.yaml", Some("/repo"), "a::b"),
            ("/repo/scenarios/x.yaml", Some("/repo"), ""),
            ("/repo/tests/net/x.yaml", Some("/repo/tests"), "net"),
            ("/repo/tests/net/x.yaml", Some("/repo/tests/net"), ""),
            ("/repo/tests/net/x.yaml", None, ""),
            ("/repo/tests/../scenarios/net/x.yaml", None, "net"),
        ] {
            assert_eq!(suite(Path::new(file), top.map(Path::new)), expected, "{file}");
        }
    }
}
