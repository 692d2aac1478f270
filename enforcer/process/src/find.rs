//! Where a program is, before anything is built.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are that an ordinary user's PATH may lack: those that change a network, above all.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// PATH, and the folders of system programs after it.
pub fn path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    // An empty name is the current folder, which is another one for the program.
    let folders: Vec<PathBuf> = env::split_paths(&path).filter(|it| !it.as_os_str().is_empty()).collect();
    let more = SYSTEM.map(PathBuf::from).into_iter().filter(|folder| !folders.contains(folder));
    let all = folders.iter().cloned().chain(more);
    // None has a colon in it: PATH was split there.
    env::join_paths(all).unwrap_or(path)
}

/// The file that a name stands for: a path if it has a slash, else a name that is looked for in the folders of PATH.
/// The error says what is wrong and what to do about it.
pub fn find(program: &str) -> Result<PathBuf, String> {
    find_in(program, &env::var_os("PATH").unwrap_or_default())
}

/// The same, with this in the place of PATH.
pub fn find_in(program: &str, path: &OsStr) -> Result<PathBuf, String> {
    let is_file = |path: &Path| path.is_file();
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = Path::new(program);
        return match (is_program(path), is_file(path)) {
            (true, _) => Ok(path.to_owned()),
            (false, true) => Err(format!("{program} is not executable; make it so with chmod +x")),
            (false, false) => Err(format!("there is no file {program}; a path starts at the current folder")),
        };
    }
    let mut files = env::split_paths(path).map(|folder| folder.join(program));
    if let Some(found) = files.find(|path| is_program(path)) {
        return Ok(found);
    }
    let remedy = match is_file(Path::new(program)) {
        true => format!("write ./{program} for the file in the current folder"),
        false => "write the path of the program".into(),
    };
    Err(format!("there is no program {program} in the folders of PATH; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_programs_are_found_whatever_path_has() {
        let path = path();
        let folders: Vec<PathBuf> = env::split_paths(&path).collect();
        assert!(SYSTEM.iter().all(|folder| folders.contains(&PathBuf::from(folder))), "{folders:?}");
        assert!(find_in("sh", &path).is_ok() && find_in("sh", OsStr::new("/etc:/dev")).is_err());
    }

    #[test]
    fn a_program_is_looked_for_where_the_system_would() {
        assert!(find("sh").is_ok_and(|path| path.is_absolute() && path.ends_with("sh")));
        assert_eq!(find("/bin/sh"), Ok("/bin/sh".into()));
        for (text, expected) in [
            ("no-such-program-anywhere", "no program no-such-program-anywhere"),
            ("./no-such-program", "no file ./no-such-program"),
            ("/etc/passwd", "chmod +x"),
            ("/etc", "no file /etc"),
            ("Cargo.toml", "write ./Cargo.toml"),
        ] {
            let said = find(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
