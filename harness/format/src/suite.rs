//! Suites of scenarios that stand elsewhere: a file that names files and folders.
//!
//! What a suite includes is found as if it had been named on the command line after everything else: each
//! scenario once, under its own name.

use crate::words::SuiteKind;
use netproof_api::names;
use netproof_api::yaml::{Spanned, recover};
use netproof_documents::document::{Document, Problems};
use netproof_documents::files;
use netproof_documents::words::ApiVersion;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A suite of scenarios that stand elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "netproof suite", rename = "Suite")]
pub struct SuiteFile {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// `Suite`.
    pub kind: SuiteKind,
    /// The name.
    pub metadata: SuiteMetadata,
    /// The suite.
    pub spec: SuiteSpec,
}

/// The name of a suite.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteMetadata {
    /// The name: lower-case letters, digits, `-` and `.`.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
}

/// What a suite says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuiteSpec {
    /// What the suite shows, in a sentence or two.
    #[expect(dead_code, reason = "for readers of the file")]
    pub description: String,
    /// Files of scenarios, and folders of such files, relative to this file and inside the root.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub include: Spanned<Vec<Spanned<String>>>,
}

/// The files and folders that a suite includes; none if something is wrong with it.
pub fn included(document: &Document, folder: &Path, root: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let read = recover::<SuiteFile>(&document.root, &document.source);
    let Some(file) = problems.recovered(&document.source, read) else { return Vec::new() };
    let SuiteFile { api_version: ApiVersion::V1Alpha1, kind: SuiteKind::Suite, metadata, spec } = file;
    problems.check_name(document, &metadata.name, names::check_dns_subdomain);
    if spec.include.is_empty() {
        let error = document.error(spec.include.span, "the suite includes nothing");
        problems.push(error.help("name files or folders with scenarios, as in `include: [../recipes]`"));
    }
    let mut included = Vec::new();
    for path in &spec.include.value {
        match files::inside(root, folder, &path.value) {
            Ok(named)
                if files::Search::new(files::is_yaml)
                    .find(std::slice::from_ref(&named), problems)
                    .is_empty() =>
            {
                let message = format!("there is no YAML file in {}", named.display());
                let help = "name a scenario file, or a folder with scenarios in it";
                problems.push(document.error(path.span, message).help(help));
            }
            Ok(named) => included.push(named),
            Err((message, help)) => problems.push(document.error(path.span, message).help(help)),
        }
    }
    included
}
