//! The matrix that every step tries beside the flows that it names.

use std::collections::BTreeSet;
use std::fmt;

/// Which cells of the matrix a plan wants tried after every step, each held against what the API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatrixPlan {
    /// None: the scenario measures something else.
    Off,
    /// From every pod and external host of the scenario to these kinds of destinations, on every port that
    /// they serve.
    On {
        /// At least one.
        destinations: BTreeSet<MatrixDestination>,
    },
}

/// The default: by the addresses of pods and external hosts, and by cluster IPs.
impl Default for MatrixPlan {
    fn default() -> Self {
        let destinations = [MatrixDestination::PodIp, MatrixDestination::ServiceIp].into();
        MatrixPlan::On { destinations }
    }
}

impl MatrixPlan {
    /// Whether it may have any cell.
    pub fn has_destinations(&self) -> bool {
        matches!(self, MatrixPlan::On { destinations } if !destinations.is_empty())
    }

    /// The same with other destinations; what is off stays off.
    #[must_use]
    pub fn to(self, destinations: &BTreeSet<MatrixDestination>) -> MatrixPlan {
        match self {
            MatrixPlan::Off => MatrixPlan::Off,
            MatrixPlan::On { .. } => MatrixPlan::On { destinations: destinations.clone() },
        }
    }
}

/// What the cells of a matrix are addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatrixDestination {
    /// The addresses of the scenario's pods and external hosts.
    PodIp,
    /// The cluster IPs of its services.
    ServiceIp,
    /// The names of its services, which the source resolves.
    ServiceName,
}

impl MatrixDestination {
    /// All of them, as written.
    pub const WORDS: [(&'static str, MatrixDestination); 3] = [
        ("pod-ip", MatrixDestination::PodIp),
        ("service-ip", MatrixDestination::ServiceIp),
        ("service-name", MatrixDestination::ServiceName),
    ];
}

impl fmt::Display for MatrixDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MatrixDestination::PodIp => "pod-ip",
            MatrixDestination::ServiceIp => "service-ip",
            MatrixDestination::ServiceName => "service-name",
        })
    }
}
