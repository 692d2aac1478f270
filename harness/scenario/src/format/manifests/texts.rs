//! Where manifests come from: files, folders and standard input. What has to be rendered first is refused.

use crate::format::document::Problems;
use crate::format::files::{self, Found};
use netproof_api::{Diagnostic, Source};
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

/// Every text at or below the paths, with whether it was named itself.
pub(super) fn read(paths: &[PathBuf], problems: &mut Problems) -> Vec<(Arc<Source>, bool)> {
    let mut texts = Vec::new();
    let (input, paths): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.iter().cloned().partition(|path| is_standard_input(path));
    let found = files::Search::new(files::may_be_manifest).find(&paths, problems);
    let ingredients: Vec<&Path> = found
        .iter()
        .filter(|found| rendered_by(&found.path).is_some())
        .filter_map(|found| found.path.parent())
        .collect();
    let input = (!input.is_empty()).then(|| (Source::standard_input(), true));
    let files = found.iter().filter(|found| !ingredients.iter().any(|folder| found.path.starts_with(folder)));
    let files = files.map(|Found { path, named, .. }| (Source::read(path), *named));
    for (source, named) in input.into_iter().chain(files) {
        match source {
            Ok(source) => texts.push((source, named)),
            Err(errors) => problems.extend(errors),
        }
    }
    problems.extend(found.iter().filter_map(|found| unrendered(&found.path)));
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
