//! Where manifests come from: files, folders and standard input. What has to be rendered first is refused.

use netproof_api::{Diagnostic, Source};
use netproof_documents::document::Problems;
use netproof_documents::files::{self, Found};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The paths in one line, for a person.
pub(super) fn name(paths: &[PathBuf]) -> String {
    let names = paths.iter().map(|path| match is_standard_input(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Every text at or below the paths, in the order of the paths, with whether it was named itself.
pub(super) fn read(paths: &[PathBuf], problems: &mut Problems) -> Vec<(Arc<Source>, bool)> {
    let mut search = files::Search::new(files::may_be_manifest);
    let mut found: Vec<Option<Found>> = Vec::new();
    for path in paths {
        match is_standard_input(path) {
            true if found.contains(&None) => {}
            true => found.push(None),
            false => found.extend(search.find(std::slice::from_ref(path), problems).into_iter().map(Some)),
        }
    }
    let files = || found.iter().flatten().map(|file| file.path.as_path());
    let ingredients: Vec<&Path> =
        files().filter(|path| rendered_by(path).is_some()).filter_map(Path::parent).collect();
    let mut texts = Vec::new();
    for file in &found {
        let (source, named) = match file {
            None => (Source::standard_input(), true),
            Some(Found { path, .. }) if ingredients.iter().any(|folder| path.starts_with(folder)) => continue,
            Some(Found { path, named, .. }) => (Source::read(path), *named),
        };
        match source {
            Ok(source) => texts.push((source, named)),
            Err(errors) => problems.extend(errors),
        }
    }
    problems.extend(files().filter_map(unrendered));
    texts
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// What a file says that its folder is, and the command that renders it.
fn rendered_by(file: &Path) -> Option<(&'static str, &'static str)> {
    match file.file_name()?.to_str()? {
        "kustomization.yaml" | "kustomization.yml" => Some(("a kustomization", "kubectl kustomize")),
        "Chart.yaml" => Some(("a Helm chart", "helm template")),
        _ => None,
    }
}

/// The error about such a file.
fn unrendered(file: &Path) -> Option<Diagnostic> {
    let (what, command) = rendered_by(file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let message =
        format!("this folder is {what}: what is applied is made of its files, and is not what they say");
    let help = format!("render it, and read the result: {command} {} | netproof matrix -", folder.display());
    let source = Source::new(file.display().to_string(), "");
    Some(Diagnostic::error(message).in_source(&source).help(help))
}
