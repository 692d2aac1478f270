//! Reads source texts safely, from files and from standard input.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{MAX_SOURCE_BYTES, Source, Span, too_large};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

impl Source {
    /// Reads a file. Refuses one that is not a regular file, is larger than [`MAX_SOURCE_BYTES`], or is not
    /// UTF-8; it never reads more than that many bytes.
    pub fn read(path: &Path) -> Result<Arc<Source>, Diagnostics> {
        let name = path.display().to_string();
        let refuse = |message: String, help: &str| {
            let source = Source::new(name.clone(), "");
            Diagnostics::from(Diagnostic::error(message).in_source(&source).help(help))
        };
        let cannot_read = |error: std::io::Error| {
            let help = match error.kind() {
                std::io::ErrorKind::NotFound => "check the spelling and the folder it is relative to",
                std::io::ErrorKind::PermissionDenied => "check who may read it",
                _ => "see that it can be read",
            };
            refuse(format!("cannot read the file: {error}"), help)
        };
        // Checked before opening: opening a named pipe would wait for its writer.
        let metadata = std::fs::metadata(path).map_err(cannot_read)?;
        if metadata.is_dir() {
            return Err(refuse("this is a folder, not a file".into(), "name a YAML file"));
        }
        if !metadata.is_file() {
            return Err(refuse("this is not an ordinary file".into(), "name a YAML file"));
        }
        let mut bytes = Vec::new();
        if metadata.len() <= MAX_SOURCE_BYTES as u64 {
            let file = File::open(path).map_err(cannot_read)?;
            file.take(MAX_SOURCE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
        }
        if metadata.len() > MAX_SOURCE_BYTES as u64 {
            return Err(refuse(too_large(), "split it into several files"));
        }
        Source::of_bytes(name, bytes)
    }

    /// Reads standard input to its end, by the rules for files.
    pub fn standard_input() -> Result<Arc<Source>, Diagnostics> {
        let name = "standard input";
        let mut bytes = Vec::new();
        let most = MAX_SOURCE_BYTES as u64 + 1;
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|error| {
            let source = Source::new(name, "");
            Diagnostic::error(format!("cannot read it: {error}"))
                .in_source(&source)
                .help("name a file instead")
        })?;
        Source::of_bytes(name.to_owned(), bytes)
    }

    fn of_bytes(name: String, bytes: Vec<u8>) -> Result<Arc<Source>, Diagnostics> {
        if bytes.len() > MAX_SOURCE_BYTES {
            let source = Source::new(name, "");
            let help = "split it into several files";
            return Err(Diagnostic::error(too_large()).in_source(&source).help(help).into());
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let source = Source::new(name, String::from_utf8_lossy(error.as_bytes()));
                // Nothing was replaced before `at`, so the offset is the same in the lossy text.
                let diagnostic = Diagnostic::error("the file is not UTF-8 text")
                    .at(&source, Span::new(at, at + 1))
                    .help("save it as UTF-8");
                Err(diagnostic.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        Source::read(path).map(|source| source.name.clone()).unwrap_err().to_string()
    }

    #[test]
    fn only_ordinary_files_of_utf8_are_read() {
        let folder = std::env::temp_dir().join(format!("netproof-api-source-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(refusal(&folder).contains("this is a folder"));
        assert!(refusal(Path::new("/dev/zero")).contains("not an ordinary file"));
        assert!(refusal(&folder.join("absent")).contains("check the spelling"));

        let file = folder.join("latin1.yaml");
        std::fs::write(&file, b"a: 1\nb: caf\xe9\n").unwrap();
        assert!(refusal(&file).contains("latin1.yaml:2:7: error: the file is not UTF-8 text"));

        // A sparse file: 100 MB cost nothing to make, and must cost nothing to refuse.
        let large = folder.join("large.yaml");
        File::create(&large).unwrap().set_len(100_000_000).unwrap();
        assert!(refusal(&large).contains("larger than 16 MiB"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
