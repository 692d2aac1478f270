//! Where private folders and files go: what is mounted, made and written, in which order.

use super::mounts::failed;
use crate::error::StartError;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Folders of the kernel, which a seal treats in its own way.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// What becomes of folders, without a symbolic link in any path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Folders that exist, those above others first.
    pub(super) existing: BTreeMap<PathBuf, Place>,
    /// Private folders that do not: each in one that is rebuilt.
    pub(super) absent: BTreeSet<PathBuf>,
    /// Folders inside private ones.
    pub(super) inside: BTreeSet<PathBuf>,
    /// Where each file is written, in their order.
    pub(super) files: Vec<PathBuf>,
}

/// What becomes of a folder that exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is empty, and can be written to.
    Empty,
    /// It looks as it did, but for these entries, and can be changed until it is made read-only.
    Rebuilt(BTreeSet<OsString>),
}

/// Where a path leads: to a folder that exists, and on from there.
struct Way {
    folder: PathBuf,
    rest: PathBuf,
}

impl Plan {
    /// For private folders, and for files that may be anywhere.
    pub(super) fn new(private: &[PathBuf], files: &[PathBuf]) -> Result<Plan, StartError> {
        let mut plan = Plan::default();
        let private: Vec<Way> = private.iter().map(|path| way(path)).collect::<Result<_, _>>()?;
        let mut ways: Vec<(PathBuf, Way)> = private.into_iter().map(|way| (way.path(), way)).collect();
        // A folder comes before those in it.
        ways.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (path, way) in ways {
            if path == Path::new("/") {
                return Err(refused(&path, NO_PLACE));
            }
            plan.add_private(path, way);
        }
        for file in files {
            let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
                return Err(failed("write", file, io::ErrorKind::InvalidInput));
            };
            let way = way(folder)?;
            let folder = way.path();
            plan.files.push(folder.join(name));
            if way.rest.as_os_str().is_empty() && !plan.is_private(&folder) {
                plan.rebuild(folder, name.to_owned());
            } else {
                plan.add_private(folder, way);
            }
        }
        Ok(plan)
    }

    fn add_private(&mut self, path: PathBuf, way: Way) {
        if self.is_private(&path) {
            self.inside.insert(path);
        } else if let Some(first) = way.rest.components().next() {
            self.rebuild(way.folder, first.as_os_str().to_owned());
            self.absent.insert(path);
        } else {
            self.existing.insert(path, Place::Empty);
        }
    }

    fn rebuild(&mut self, folder: PathBuf, without: OsString) {
        let place = self.existing.entry(folder).or_insert_with(|| Place::Rebuilt(BTreeSet::new()));
        if let Place::Rebuilt(entries) = place {
            entries.insert(without);
        }
    }

    /// Whether a path is a private folder, or inside one.
    fn is_private(&self, path: &Path) -> bool {
        path.ancestors().any(|it| self.absent.contains(it) || self.existing.get(it) == Some(&Place::Empty))
    }
}

impl Way {
    fn path(&self) -> PathBuf {
        if self.rest.as_os_str().is_empty() { self.folder.clone() } else { self.folder.join(&self.rest) }
    }
}

const NO_PLACE: &str = "that is no place for a program's files";

fn refused(path: &Path, why: &'static str) -> StartError {
    failed("make private", path, io::Error::other(why))
}

/// Where a path leads on this machine.
fn way(path: &Path) -> Result<Way, StartError> {
    let folder = path.ancestors().find_map(|it| Some((it, it.canonicalize().ok()?)));
    let Some((ancestor, folder)) = folder.filter(|_| path.is_absolute()) else {
        return Err(refused(path, "the path must start with a slash"));
    };
    let rest = path.strip_prefix(ancestor).unwrap_or(Path::new("")).to_owned();
    let whole = folder.join(&rest);
    if KERNELS.iter().any(|it| whole.starts_with(it)) {
        return Err(refused(path, NO_PLACE));
    }
    if !folder.is_dir() {
        return Err(refused(path, "there is a file in the way"));
    }
    Ok(Way { folder, rest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A plan's lines, with the scratch folder's path left out.
    fn shown(scratch: &Path, plan: &Plan) -> Vec<String> {
        let short = |path: &Path| path.strip_prefix(scratch).unwrap().display().to_string();
        let mut lines: Vec<String> =
            plan.existing.iter().map(|(path, place)| format!("{}: {place:?}", short(path))).collect();
        lines.extend(plan.absent.iter().map(|path| format!("absent {}", short(path))));
        lines.extend(plan.inside.iter().map(|path| format!("inside {}", short(path))));
        lines.extend(plan.files.iter().map(|path| format!("file {}", short(path))));
        lines
    }

    #[test]
    fn what_is_mounted_made_and_written() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("run/lock")).unwrap();
        fs::create_dir_all(root.join("var/lib")).unwrap();
        fs::write(root.join("var/file"), "").unwrap();
        symlink("../run", root.join("var/run")).unwrap();
        symlink("nowhere", root.join("var/dangling")).unwrap();
        let cases: [(&[&str], &[&str], &[&str]); 9] = [
            (&["run"], &[], &["run: Empty"]),
            // The same folder by two names.
            (&["run", "var/run"], &[], &["run: Empty", "inside run"]),
            // Within another: a folder and no mount.
            (&["run/lock", "run"], &[], &["run: Empty", "inside run/lock"]),
            (&["run"], &["var/run/a/b/token"], &["run: Empty", "inside run/a/b", "file run/a/b/token"]),
            // Not on the host.
            (
                &["var/lib/a/b", "var/lib/c", "var/lib/a"],
                &[],
                &[
                    "var/lib: Rebuilt({\"a\", \"c\"})",
                    "absent var/lib/a",
                    "absent var/lib/c",
                    "inside var/lib/a/b",
                ],
            ),
            (&["var/dangling/x"], &[], &["var: Rebuilt({\"dangling\"})", "absent var/dangling/x"]),
            // Files outside every private folder.
            (&[], &["var/lib/conf"], &["var/lib: Rebuilt({\"conf\"})", "file var/lib/conf"]),
            (
                &[],
                &["etc/agent/conf", "etc/agent/more"],
                &[
                    ": Rebuilt({\"etc\"})",
                    "absent etc/agent",
                    "inside etc/agent",
                    "file etc/agent/conf",
                    "file etc/agent/more",
                ],
            ),
            (&["var/lib"], &["var/new"], &["var: Rebuilt({\"new\"})", "var/lib: Empty", "file var/new"]),
        ];
        for (private, files, expected) in cases {
            let at = |paths: &[&str]| paths.iter().map(|path| root.join(path)).collect::<Vec<_>>();
            let plan = Plan::new(&at(private), &at(files)).unwrap();
            assert_eq!(shown(&root, &plan), expected, "{private:?} {files:?}");
        }
        for (path, expected) in [
            (root.join("var/file/x"), "there is a file in the way"),
            ("/".into(), "no place for a program's files"),
            ("/proc/sys/net".into(), "no place for a program's files"),
            ("run".into(), "must start with a slash"),
        ] {
            let said = Plan::new(std::slice::from_ref(&path), &[]).unwrap_err().to_string();
            assert!(said.contains(expected), "{path:?}: {said}");
        }
    }
}
