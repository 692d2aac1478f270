//! Manifests: from a YAML document to objects, defaulted and validated as the API server does it, with
//! every error of the document in one go.

#[cfg(test)]
mod as_kubectl;
mod broken;
mod calico;
mod cluster;
mod cluster_network_policy;
mod document;
mod endpoint_slice;
mod foreign;
mod kinds;
mod metadata;
mod network_policy;
mod pod;
mod scalars;
mod scheduling;
mod selector;
mod service;
mod service_addresses;
mod service_traffic;
mod tables;
#[cfg(test)]
mod tests;
mod workload;

pub use cluster::NAMESPACE_NAME_LABEL;
pub use scheduling::UNSCHEDULABLE;

use crate::ignored::Ignored;
use crate::object::Object;
use crate::reader::{Field, Report};
use netproof_text::diagnostic::{Diagnostic, Diagnostics, Severity};
use netproof_text::source::{Source, Span};
use netproof_text::yaml::{Document, Node, Reading, documents};
use std::sync::Arc;

/// Defaults for what a manifest does not say.
#[derive(Clone, Debug)]
pub struct Context {
    /// The namespace of objects that name none.
    pub namespace: String,
}

/// The namespace `default`.
impl Default for Context {
    fn default() -> Self {
        Context { namespace: "default".to_owned() }
    }
}

/// The content of a manifest.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The objects, in the order in which they are written. An object with an unknown field is read without
    /// the field; one with any other error is left out.
    pub objects: Vec<Located>,
    /// Objects that are left out because of an error.
    pub unreadable: Vec<Unreadable>,
    /// The objects that are not kept.
    pub ignored: Vec<Ignored>,
    /// Errors and warnings, in the order of their places.
    pub problems: Vec<Diagnostic>,
}

impl Manifest {
    /// The manifest with nothing but warnings.
    ///
    /// # Errors
    /// Its problems, if one of them is an error.
    pub fn checked(mut self) -> Result<Manifest, Diagnostics> {
        self.problems = Diagnostics::check(self.problems)?;
        Ok(self)
    }

    /// Adds the content of another document.
    pub fn extend(&mut self, other: Manifest) {
        self.objects.extend(other.objects);
        self.unreadable.extend(other.unreadable);
        self.ignored.extend(other.ignored);
        self.problems.extend(other.problems);
    }
}

/// The readable part of an object that has an error; the rest is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// The kind in lower case.
    pub kind: Option<String>,
    /// The name.
    pub name: Option<String>,
}

impl Unreadable {
    /// Whether it may be the object of a reference.
    pub fn may_be(&self, kind: &str, name: &str) -> bool {
        self.kind.as_ref().is_none_or(|it| it == kind) && self.name.as_ref().is_none_or(|it| it == name)
    }
}

/// An object and where it is written.
#[derive(Clone, Debug)]
pub struct Located {
    /// The object, as stored.
    pub object: Object,
    /// The source text.
    pub source: Arc<Source>,
    /// The place of its document, or of its item in a list.
    pub span: Span,
}

/// Reads an object or a list of objects that is part of a scenario.
pub fn read_manifest(node: &Node, source: &Arc<Source>, context: &Context) -> Manifest {
    read(node, source, Reading::Strict, context)
}

fn read(node: &Node, source: &Arc<Source>, reading: Reading, context: &Context) -> Manifest {
    let report = Report::new(source, reading);
    let mut manifest = Manifest::default();
    document::read(&Field::document(&report, node), context, &mut manifest);
    manifest.problems = report.into_diagnostics();
    manifest
}

/// Reads one document of a file of manifests, as kubectl does. If its kind is ignored anyway, errors in its
/// YAML are warnings.
pub fn read_document(document: &Document, source: &Arc<Source>, context: &Context) -> Manifest {
    let is_error = |problem: &&Diagnostic| problem.severity == Severity::Error;
    let first = document.problems.iter().find(is_error);
    if let Some(error) = first
        && let Some(ignored) = broken::ignored(document, source, error, context)
    {
        return ignored;
    }
    let mut manifest = match &document.root {
        Some(root) => read(root, source, Reading::Kubectl, context),
        None => Manifest { unreadable: vec![broken::unreadable(document, source)], ..Manifest::default() },
    };
    if first.is_some() {
        // For example, nobody knows which of two values was meant.
        let wrong = std::mem::take(&mut manifest.objects);
        manifest.unreadable.extend(wrong.iter().map(|located| Unreadable {
            kind: Some(located.object.kind().to_owned()),
            name: Some(located.object.metadata().name.clone()),
        }));
    }
    if first.is_some() || manifest.ignored.is_empty() || !manifest.objects.is_empty() {
        manifest.problems.extend(document.problems.iter().cloned());
        manifest.problems.sort_by_key(|problem| problem.span.map(|span| span.start));
    }
    manifest
}

/// Reads all documents of a file of manifests.
///
/// # Errors
/// What is wrong with any of them.
pub fn read_manifests(source: &Arc<Source>, context: &Context) -> Result<Manifest, Diagnostics> {
    let mut all = Manifest::default();
    for document in documents(source, Reading::Kubectl)? {
        all.extend(read_document(&document, source, context));
    }
    all.checked()
}
