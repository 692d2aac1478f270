//! Objects that are read and ignored, and what ignoring each means for the answers.

use crate::meta::OwnerReference;
use netproof_text::source::{Source, Span};
use std::sync::Arc;

/// What ignoring an object means for the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: it has no effect on the network.
    None,
    /// The kind is unknown.
    Unknown,
    /// It routes traffic by a controller, mostly at layer 7: flows through it are missing.
    Routes,
    /// It makes pods only when it runs, as a CronJob does.
    PodsLater,
    /// It makes pods that its manifest does not show: they are missing.
    Pods,
    /// The kind is unknown and has containers: if it makes pods, they are missing.
    PerhapsPods,
    /// It brings other objects, as a HelmRelease does: they are missing.
    Objects,
    /// It restricts traffic: the answers are those without it.
    Policy,
}

/// An ignored object, with the readable part of its metadata, which is not checked.
#[derive(Clone, Debug)]
pub struct Ignored {
    /// Its API group; empty for the core group.
    pub group: String,
    /// Its kind, as written.
    pub kind: String,
    /// Its namespace, if it says one.
    pub namespace: Option<String>,
    /// Its name, or the prefix of a generated name; empty if there is none.
    pub name: String,
    /// What ignoring it means.
    pub effect: Effect,
    /// Its controller, by `ownerReferences`.
    pub owners: Vec<OwnerReference>,
    /// The workload from whose template it makes pods, and how many.
    pub template_of: Option<(OwnerReference, u32)>,
    /// Whether a cluster wrote it: it has a `uid`, a `resourceVersion` or a status.
    pub exported: bool,
    /// The source text.
    pub source: Arc<Source>,
    /// The place of its kind, or else of the object.
    pub span: Span,
}
