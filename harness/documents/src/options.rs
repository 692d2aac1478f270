//! What the command line says about loading.

use netproof_model::{Families, InterfacePrefix, ProxyMode, Wiring};
use netproof_oracle::Profile;
use netproof_plan::MatrixDestination;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What the command line says about loading.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// No `file:` is read outside this folder; by default the git work tree of each scenario, or else
    /// the current folder.
    pub root: Option<PathBuf>,
    /// The topology of every scenario, instead of its own: a name.
    pub topology: Option<String>,
    /// The wiring of every run, instead of what a scenario or its topology says.
    pub wiring: Option<Wiring>,
    /// The address families of every run, instead of what a scenario or its topology says.
    pub family: Option<Families>,
    /// The mode of kube-proxy that every cluster's proxy follows, instead of the default.
    pub kube_proxy_mode: Option<ProxyMode>,
    /// How the names of pods' interfaces begin in every cluster, instead of the default: what an enforcer expects
    /// that knows them by their names.
    pub interface_prefix: Option<InterfacePrefix>,
    /// The namespace of manifests that name none; `default` if absent.
    pub namespace: Option<String>,
    /// Only scenario runs that this expression chooses.
    pub filter: Option<String>,
    /// Expectations that contradict the API are errors, at the points that it leaves open with this profile's
    /// choices, unless a scenario names its own.
    pub against: Option<Profile>,
    /// The destinations of every matrix, instead of what a scenario says, if there are any.
    pub destinations: BTreeSet<MatrixDestination>,
}
