//! The command line of `netproof matrix`.

use super::Selection;
use super::values::{EnforcerName, ProxyName, duration, enforcer, namespace, profile, proxy};
use clap::{ArgAction, Args};
use netproof_matrix::{PortChoice, Selector};
use netproof_oracle::Profile;
use netproof_reports::{DEFAULT_ENFORCER, DEFAULT_PROXY};
use std::time::Duration;

/// `netproof matrix`.
#[derive(Debug, Args)]
pub struct MatrixArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Ask the API alone: build nothing, send nothing.
    #[arg(help_heading = "Asking", long)]
    pub predict: bool,
    /// The state after this step [default: the last].
    #[arg(help_heading = "Asking", long, value_name = "NAME")]
    pub step: Option<String>,
    /// Only these sources: a namespace, or NAME, KIND/NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME, where *
    /// stands for anything. KIND is pod, external, node or namespace; external/198.51.100.7 is any host outside.
    #[arg(help_heading = "Asking", long, value_name = "WHO", value_delimiter = ',')]
    pub from: Vec<Selector>,
    /// Only these destinations, likewise; KIND may be service, nodeport or loadbalancer, too.
    #[arg(help_heading = "Asking", long, value_name = "WHOM", value_delimiter = ',')]
    pub to: Vec<Selector>,
    /// Only these ports, asked of everybody: 80, 53/udp, metrics/tcp, icmp [default: all at which the destinations are
    /// asked].
    #[arg(help_heading = "Asking", long = "port", value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<PortChoice>,
    /// The namespace of manifests that name none.
    #[arg(help_heading = "Asking", long, short, value_name = "NAME", default_value = "default", value_parser = namespace)]
    pub namespace: String,
    /// Services as destinations as well: cluster IPs, node ports and load balancers.
    #[arg(help_heading = "Asking", long)]
    pub services: bool,
    /// What to read into the API where it leaves something open: netproof, strict, calico, cilium,
    /// kube-router, antrea or aws [default: what the scenario says, else netproof; of an agent what its profile says;
    /// strict for exec:COMMAND].
    #[arg(help_heading = "Asking", long, value_name = "PROFILE", value_parser = profile)]
    pub profile: Option<Profile>,
    /// Whose packets to ask: nftables, none (services run, and every policy is ignored), agent:NAME[=PATH] or
    /// exec:COMMAND, as for `run`.
    #[arg(help_heading = "Asking", long, value_name = "ENFORCER", default_value = DEFAULT_ENFORCER, value_parser = enforcer, conflicts_with = "predict")]
    pub enforcer: EnforcerName,
    /// How long an enforcer or a proxy that is not netproof's may take to program a change [default: 10s; 30s for
    /// agents].
    #[arg(help_heading = "Asking", long, value_name = "DURATION", value_parser = duration, conflicts_with = "predict")]
    pub enforcer_timeout: Option<Duration>,
    /// Who turns services into packet rules: nftables, none or agent:NAME[=PATH], as for `run`.
    #[arg(help_heading = "Asking", long, value_name = "PROXY", default_value = DEFAULT_PROXY, value_parser = proxy, conflicts_with = "predict")]
    pub proxy: ProxyName,
    /// Show each pod by itself, also where many behave alike.
    #[arg(help_heading = "Showing", long)]
    pub full: bool,
    /// Write JSON.
    #[arg(help_heading = "Showing", long)]
    pub json: bool,
    /// Show every warning about manifests, also where many are alike, and name all objects that are left out.
    /// -vv tells on standard error what is done and how long each part takes, -vvv more of it.
    #[arg(help_heading = "Showing", long, short, action = ArgAction::Count)]
    pub verbose: u8,
}
