//! Manifests: from a YAML document to objects, defaulted and validated as the API server does it, with
//! every error of the document in one go.

mod cluster;
mod document;
mod endpoint_slice;
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

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::object::Object;
use crate::reader::{Field, Report};
use crate::source::{Source, Span};
use crate::yaml::{Node, parse};
use std::sync::Arc;

/// What a manifest does not say itself.
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

/// What a manifest holds.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The objects, in the order they are written.
    pub objects: Vec<Located>,
    /// The kinds of the objects that have nothing to do with the network, one for each object.
    pub passed_over: Vec<String>,
    /// What was accepted with a warning.
    pub warnings: Vec<Diagnostic>,
}

/// An object and where it is written.
#[derive(Clone, Debug)]
pub struct Located {
    /// The object, as stored.
    pub object: Object,
    /// The text that it stands in.
    pub source: Arc<Source>,
    /// The place of its document, or of its item in a list.
    pub span: Span,
}

/// Reads one document: an object or a list of objects.
pub fn read_manifest(node: &Node, source: &Arc<Source>, context: &Context) -> Result<Manifest, Diagnostics> {
    let report = Report::new(source);
    let mut manifest = Manifest::default();
    document::read(&Field::document(&report, node), context, &mut manifest);
    manifest.warnings = Diagnostics::check(report.into_diagnostics())?;
    Ok(manifest)
}

/// Reads all documents of a text, and reports the errors of all.
pub fn read_manifests(source: &Arc<Source>, context: &Context) -> Result<Manifest, Diagnostics> {
    let mut all = Manifest::default();
    let mut diagnostics = Vec::new();
    for node in parse(source)? {
        match read_manifest(&node, source, context) {
            Ok(manifest) => {
                all.objects.extend(manifest.objects);
                all.passed_over.extend(manifest.passed_over);
                diagnostics.extend(manifest.warnings);
            }
            Err(errors) => diagnostics.extend(errors),
        }
    }
    all.warnings = Diagnostics::check(diagnostics)?;
    Ok(all)
}
