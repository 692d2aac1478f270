//! A report's file: checked before the run begins, published in one piece at the end.
//!
//! Until then the report is written to a file without a name in the same folder. So a killed run leaves
//! nothing behind, and an older report stays whole until the new one replaces it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a report cannot be written to its path.
#[derive(Debug, Error)]
#[error("cannot write a report to {}: {problem}", .path.display())]
pub struct ReportFileError {
    path: PathBuf,
    problem: String,
}

/// An output file that appears when it is [published](ReportFile::publish).
#[derive(Debug)]
pub struct ReportFile {
    file: File,
    /// The path at which it will appear; absent for a device or a pipe, which is written directly.
    destination: Option<Destination>,
}

#[derive(Debug)]
struct Destination {
    folder: PathBuf,
    path: PathBuf,
}

impl ReportFile {
    /// Prepares a report at `path`. An error says what is wrong with the path, before anything runs.
    pub fn create(path: &Path) -> Result<Self, ReportFileError> {
        let error = |problem: String| ReportFileError { path: path.to_owned(), problem };
        // Follow a link now: the report replaces its target and not the link.
        let target = path.canonicalize().or_else(|_| std::path::absolute(path));
        let target = target.map_err(|source| error(source.to_string()))?;
        match std::fs::metadata(&target) {
            Ok(found) if found.is_dir() => return Err(error("it is a folder; name a file in it".into())),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&target);
                return match file {
                    Ok(file) => Ok(ReportFile { file, destination: None }),
                    Err(source) => Err(error(source.to_string())),
                };
            }
            _ => {}
        }
        let Some(folder) = target.parent().filter(|_| target.file_name().is_some()) else {
            return Err(error("it names no file".into()));
        };
        let file = tempfile::tempfile_in(folder).map_err(|source| {
            error(match source.kind() {
                // Some folders of the kernel return this for every new file.
                io::ErrorKind::NotFound if !folder.exists() => {
                    format!("there is no folder {}; create it first", folder.display())
                }
                io::ErrorKind::NotADirectory => format!("{} is not a folder", folder.display()),
                _ => format!("no file can be created in {}: {source}", folder.display()),
            })
        })?;
        let folder = folder.to_owned();
        Ok(ReportFile { file, destination: Some(Destination { folder, path: target }) })
    }

    /// Publishes the report, and replaces an older file in one step.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some(Destination { folder, path }) = &self.destination else { return Ok(()) };
        let mut named = tempfile::Builder::new()
            .prefix(".netproof-")
            // The umask removes permissions that the user does not want.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut named)?;
        named.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Write for ReportFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_in_one_piece_when_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let mut file = ReportFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(names(folder.path()), ["report.json"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["report.json"]);
    }

    #[test]
    fn nothing_is_left_of_one_that_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = ReportFile::create(&folder.path().join("report.json")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = ReportFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn devices_are_written_at_once() {
        let mut file = ReportFile::create(Path::new("/dev/null")).unwrap();
        file.write_all(b"gone").unwrap();
        file.publish().unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_written_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for (path, expected) in
            [("", "folder"), ("missing/report.json", "create it first"), ("file/report.json", "not a folder")]
        {
            let error = ReportFile::create(&folder.path().join(path)).unwrap_err().to_string();
            assert!(error.contains(expected), "{path}: {error}");
        }
        let error = ReportFile::create(Path::new("/proc/report.json")).unwrap_err().to_string();
        assert!(error.contains("no file can be created in /proc"), "{error}");
        assert!(ReportFile::create(Path::new("/")).is_err());
        assert!(ReportFile::create(Path::new("")).is_err());
    }
}
