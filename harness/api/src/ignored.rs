//! Objects that are read and not kept, and what leaving each out means for the answers.

use crate::meta::OwnerReference;
use crate::source::{Source, Span};
use std::sync::Arc;

/// What leaving an object out means for the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: it has no effect on the network.
    None,
    /// Nobody here knows the kind.
    Unknown,
    /// It routes traffic by a controller, mostly at layer 7: flows through it are missing.
    Routes,
    /// It makes pods only when it runs, as a CronJob does.
    PodsLater,
    /// It makes pods that cannot be read from it: they are missing.
    Pods,
    /// Nobody here knows the kind, and it has containers: if it makes pods, they are missing.
    PerhapsPods,
    /// It brings other objects, as a HelmRelease does: they are missing.
    Objects,
    /// It restricts traffic: the answers are those without it.
    Policy,
}

/// An object that is not kept. Of its metadata what is readable: nobody checks it.
#[derive(Clone, Debug)]
pub struct Ignored {
    /// Its API group; empty for the core group.
    pub group: String,
    /// Its kind, as written.
    pub kind: String,
    /// Its namespace, if it says one.
    pub namespace: Option<String>,
    /// Its name, or what the name starts with if it is generated; empty if there is none.
    pub name: String,
    /// What leaving it out means.
    pub effect: Effect,
    /// Whose it is, as `ownerReferences` say.
    pub owners: Vec<OwnerReference>,
    /// The workload whose template its pods are made from, and how many it makes of them.
    pub template_of: Option<(OwnerReference, u32)>,
    /// Whether a cluster wrote it: it has a `uid`, a `resourceVersion` or a status.
    pub exported: bool,
    /// The text that it stands in.
    pub source: Arc<Source>,
    /// Where its kind is written, or else the object.
    pub span: Span,
}
