//! The built command, started from outside, and what it printed as one text.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The built command with these arguments and nothing on standard input.
pub fn netproof(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netproof"));
    command.args(arguments).stdin(Stdio::null()).env_remove("COLUMNS").env_remove("NO_COLOR");
    command
}

/// Exit code, standard output and standard error, in one text.
pub fn shown(output: &Output) -> String {
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
    let mut text = format!("exit code {code}\n");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            text.push_str(&format!("--- {name}\n{}", String::from_utf8_lossy(bytes)));
        }
    }
    text
}

/// What a run of the command prints and how it ends.
pub fn run(arguments: &[&str]) -> String {
    shown(&netproof(arguments).output().unwrap())
}

/// A folder with these files, to start the command in.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        shown(&netproof(arguments).current_dir(self.path()).output().unwrap())
    }
}
