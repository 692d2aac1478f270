//! The command line of `netproof fuzz`.

use super::values::{EnforcerName, ProxyName, at_least_one, duration, enforcer, feature, profile, proxy};
use super::{FamilyName, WiringName};
use clap::{ArgAction, Args};
use netproof_fuzz::Feature;
use netproof_oracle::Profile;
use netproof_reports::{DEFAULT_ENFORCER, DEFAULT_PROXY, DEFAULT_SEED};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// `netproof fuzz`.
#[derive(Debug, Args)]
pub struct FuzzArguments {
    /// Begin no cluster after so many seconds [default: 60, unless --pairs is given].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seconds: Option<u64>,
    /// Try so many pairs of cluster and policies.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub pairs: Option<NonZeroUsize>,
    /// The seed of every random choice; the same seed makes the same clusters and policies.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// The folder where a scenario file is written for each failure.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Wire every cluster in this way [default: any].
    #[arg(long, value_name = "WIRING")]
    pub wiring: Option<WiringName>,
    /// Use these address families [default: any].
    #[arg(long, value_name = "FAMILY")]
    pub family: Option<FamilyName>,
    /// Leave these out of every policy, so that a known fault hides no other: except, several-blocks, named-ports,
    /// end-ports, both-directions, long-names.
    #[arg(long, value_name = "FEATURE,...", value_delimiter = ',', value_parser = feature)]
    pub without: Vec<Feature>,
    /// Who enforces policy, as for `run`.
    #[arg(long, value_name = "ENFORCER", default_value = DEFAULT_ENFORCER, value_parser = enforcer)]
    pub enforcer: EnforcerName,
    /// How long an enforcer or a proxy that is not netproof's may take to program a change [default: 10s; 30s for
    /// agents].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub enforcer_timeout: Option<Duration>,
    /// Who turns services into packet rules, as for `run`.
    #[arg(long, value_name = "PROXY", default_value = DEFAULT_PROXY, value_parser = proxy)]
    pub proxy: ProxyName,
    /// What to read into the API where it leaves something open: netproof, strict, calico, cilium,
    /// kube-router, antrea or aws [default: netproof; of an agent what its profile says; strict
    /// for exec:COMMAND].
    #[arg(long, value_name = "PROFILE", value_parser = profile)]
    pub profile: Option<Profile>,
    /// How many clusters at once [default: the number of processors].
    #[arg(long, short, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub jobs: Option<NonZeroUsize>,
    /// The longest that one cluster may take: 90s, 500ms, 2m [default: 60s, or 5m under agents].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print what was done as a JSON object.
    #[arg(long)]
    pub json: bool,
    /// -vv tells on standard error what is done and how long each part takes, -vvv more of it.
    #[arg(long, short, action = ArgAction::Count)]
    pub verbose: u8,
}
