//! The command line.

mod fuzz;
mod matrix;
mod values;

pub use fuzz::FuzzArguments;
pub use matrix::MatrixArguments;
pub use values::{EnforcerName, ProxyName};

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use netproof_model::flow::Flow;
use netproof_model::{Families, ProxyMode, Wiring};
use netproof_oracle::Profile;
use netproof_plan::MatrixDestination;
use netproof_reports::{DEFAULT_ENFORCER, DEFAULT_PROXY, DEFAULT_SEED};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use values::{at_least_one, destination, duration, enforcer, flow, namespace, profile, proxy, proxy_mode};

const STYLES: Styles =
    Styles::styled().header(AnsiColor::Green.on_default().bold()).usage(AnsiColor::Green.on_default().bold());

const EXIT_CODES: &str = "\
Exit codes:
  0    all as expected, and at least one scenario ran
  1    a check failed (also when something else broke besides)
  2    bad usage or bad input: nothing matched, a file that is wrong
  3    the machine or the harness could not do it, and no check failed
  130  ended by Ctrl-C (128 and the signal's number), reports written";

/// Proves what a Kubernetes network policy does, with packets.
///
/// netproof builds a virtual cluster out of Linux network namespaces, lets an enforcer program the
/// policies of a scenario, tries every connection that the scenario names, and says for each what was
/// expected, what happened and who decided. It needs no Kubernetes and no root, and does not touch the
/// host's network.
#[derive(Debug, Parser)]
#[command(name = "netproof", version, after_help = EXIT_CODES, styles = STYLES, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to use colour; NO_COLOR in the environment switches `auto` off.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios.
    Run(RunArguments),
    /// List what would run, by the names that reports use.
    List(ListArguments),
    /// Check scenarios, or manifests, without building anything.
    Validate(ValidateArguments),
    /// Say why flows are allowed or denied, from what the API says, without building anything.
    Explain(ExplainArguments),
    /// Hold random clusters and policies against the API, with packets.
    Fuzz(FuzzArguments),
    /// Show who reaches whom, in a scenario or with manifests, by packets or as the API says.
    Matrix(MatrixArguments),
    /// Show what this machine can do.
    Doctor,
}

impl Command {
    /// How often `--verbose` stands.
    pub fn verbosity(&self) -> u8 {
        match self {
            Command::Run(arguments) => arguments.verbose,
            Command::Fuzz(arguments) => arguments.verbose,
            Command::Matrix(arguments) => arguments.verbose,
            Command::List(_) | Command::Validate(_) | Command::Explain(_) | Command::Doctor => 0,
        }
    }
}

/// Which scenarios, and in which variants.
#[derive(Debug, Args)]
pub struct Selection {
    /// Scenario files, or folders to search for them; `explain`, `matrix` and `validate` take manifests as well,
    /// and `-` for those on standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub choice: Choice,
}

/// Which variants, and where files may be.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Choosing")]
pub struct Choice {
    /// Only runs that EXPR matches.
    ///
    /// A word matches every run whose name contains it; suite=, name=, variant= and id= compare the
    /// whole, tag= compares one of the tags, LABEL= compares a label of the scenario. Join them with `and`, `or`,
    /// `not` and parentheses.
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Build this topology, whatever the scenarios say: a name (`netproof list topologies`), or the path of a file,
    /// as in ./two-racks.yaml.
    #[arg(long, value_name = "NAME|FILE")]
    pub topology: Option<String>,
    /// Wire every cluster in this way only: a host route for each pod, a bridge on each node, or host routes
    /// and a VXLAN overlay between the nodes.
    #[arg(long, value_name = "WIRING")]
    pub wiring: Option<WiringName>,
    /// Use these address families only.
    #[arg(long, value_name = "FAMILY")]
    pub family: Option<FamilyName>,
    /// Which mode of kube-proxy the service proxy follows where they differ: nftables, or iptables [default:
    /// nftables].
    #[arg(long, alias = "proxy-mode", value_name = "MODE", value_parser = proxy_mode)]
    pub kube_proxy_mode: Option<ProxyMode>,
    /// The folder that files named in scenarios must be in [default: the git work tree, else the current
    /// folder].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// `netproof run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Who enforces policy: nftables, none (services run, and every policy is ignored), or a program that is started on
    /// every node: agent:NAME[=PATH] or exec:COMMAND (see docs/test-your-own-enforcer.md).
    ///
    /// An agent watches a Kubernetes API. NAME is calico-felix, kube-router, kube-network-policies, a variant of these
    /// (`netproof doctor` lists them), or the path of a profile of your own (see docs/agent-profiles.md); PATH is the
    /// program, which is looked for in PATH else. A command is told of each change on its standard input.
    #[arg(help_heading = "Running", long, value_name = "ENFORCER", default_value = DEFAULT_ENFORCER, value_parser = enforcer)]
    pub enforcer: EnforcerName,
    /// How long an enforcer or a proxy that is not netproof's may take to program a change [default: 10s; 30s for
    /// agents].
    #[arg(help_heading = "Running", long, value_name = "DURATION", value_parser = duration)]
    pub enforcer_timeout: Option<Duration>,
    /// Who turns services into packet rules: nftables, none, or agent:NAME[=PATH], where NAME is kube-proxy,
    /// kube-proxy-iptables, or the path of a profile of your own.
    #[arg(help_heading = "Running", long, value_name = "PROXY", default_value = DEFAULT_PROXY, value_parser = proxy)]
    pub proxy: ProxyName,
    /// What to read into the API where it leaves something open, for scenarios that do not say so themselves:
    /// netproof, strict, calico, cilium, kube-router, antrea or aws [default: netproof; of an agent what its profile
    /// says; strict for exec:COMMAND].
    #[arg(help_heading = "Running", long, value_name = "PROFILE", value_parser = profile)]
    pub profile: Option<Profile>,
    /// Address the matrix of every step to these, whatever the scenarios say: pod-ip, service-ip, service-name.
    #[arg(help_heading = "Running", long, value_name = "LIST", value_delimiter = ',', value_parser = destination)]
    pub destination: Vec<MatrixDestination>,
    /// How many scenario runs at once [default: the number of processors].
    #[arg(help_heading = "Running", long, short, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub jobs: Option<NonZeroUsize>,
    /// The seed of every random choice.
    #[arg(help_heading = "Running", long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// The longest that one scenario run may take: 90s, 500ms, 2m [default: 60s, or 5m under agents].
    #[arg(help_heading = "Running", long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Start no further scenario run after one that failed or broke.
    #[arg(help_heading = "Running", long)]
    pub fail_fast: bool,
    /// Fail if anything was skipped.
    #[arg(help_heading = "Running", long)]
    pub require_all: bool,
    /// Write the events of the run to FILE, as JSON Lines.
    #[arg(help_heading = "Reports", long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write JUnit XML to FILE.
    #[arg(help_heading = "Reports", long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// List every check; -vv tells on standard error what is done and how long each part takes, -vvv more of it.
    #[arg(help_heading = "Reports", long, short, action = ArgAction::Count)]
    pub verbose: u8,
}

/// `netproof list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// With the tags of each, and every tag with the number of its runs.
    #[arg(help_heading = "Listing", long)]
    pub tags: bool,
}

/// `netproof validate`.
#[derive(Debug, Args)]
pub struct ValidateArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Hold expectations against the API as this profile reads it where it leaves something open: netproof,
    /// strict, calico, cilium, kube-router, antrea or aws.
    #[arg(help_heading = "Checking", long, value_name = "PROFILE", default_value = Profile::NETPROOF.name, value_parser = profile)]
    pub profile: Profile,
    /// Treat warnings as errors.
    #[arg(help_heading = "Checking", long)]
    pub strict: bool,
    /// The namespace of manifests that name none.
    #[arg(help_heading = "Checking", long, short, value_name = "NAME", default_value = "default", value_parser = namespace)]
    pub namespace: String,
    /// Show every warning about manifests, also where many are alike, and name all objects that are left out.
    #[arg(help_heading = "Checking", long, short)]
    pub verbose: bool,
}

/// `netproof explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    pub selection: Selection,
    /// Only this step [default: every step].
    #[arg(help_heading = "Explaining", long, value_name = "NAME")]
    pub step: Option<String>,
    /// This flow, whatever the steps expect: pod/client -> service/web:80. Manifests need one.
    #[arg(help_heading = "Explaining", long, value_name = "FLOW", value_parser = flow)]
    pub flow: Option<Flow>,
    /// The namespace of names in --flow that have none, and of manifests that name none.
    #[arg(help_heading = "Explaining", long, short, value_name = "NAME", default_value = "default", value_parser = namespace)]
    pub namespace: String,
    /// Write JSON, with every decision as data.
    #[arg(help_heading = "Explaining", long)]
    pub json: bool,
    /// What to read into the API where it leaves something open: netproof, strict, calico, cilium,
    /// kube-router, antrea or aws [default: what the scenario says, else netproof].
    #[arg(help_heading = "Explaining", long, value_name = "PROFILE", value_parser = profile)]
    pub profile: Option<Profile>,
    /// Show every warning about manifests, also where many are alike, and name all objects that are left out.
    #[arg(help_heading = "Explaining", long, short)]
    pub verbose: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// A wiring by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WiringName {
    Routed,
    Bridge,
    Vxlan,
}

impl From<WiringName> for Wiring {
    fn from(name: WiringName) -> Wiring {
        match name {
            WiringName::Routed => Wiring::Routed,
            WiringName::Bridge => Wiring::Bridge,
            WiringName::Vxlan => Wiring::Vxlan,
        }
    }
}

/// Address families by their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FamilyName {
    Ipv4,
    Ipv6,
    Dual,
}

impl From<FamilyName> for Families {
    fn from(name: FamilyName) -> Families {
        match name {
            FamilyName::Ipv4 => Families::Ipv4,
            FamilyName::Ipv6 => Families::Ipv6,
            FamilyName::Dual => Families::Dual,
        }
    }
}

/// A report that `netproof run` writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    Json,
    Junit,
}

impl ReportFormat {
    /// The option that asks for it.
    pub fn option(self) -> &'static str {
        match self {
            ReportFormat::Json => "--json",
            ReportFormat::Junit => "--junit",
        }
    }
}

impl RunArguments {
    /// The reports that are asked for, with their files.
    pub fn reports(&self) -> impl Iterator<Item = (ReportFormat, &Path)> {
        let reports = [(ReportFormat::Json, &self.json), (ReportFormat::Junit, &self.junit)];
        reports.into_iter().filter_map(|(format, path)| Some((format, path.as_deref()?)))
    }

    /// The arguments that a repetition of one scenario run needs as well, and that no event tells.
    pub fn to_repeat(&self) -> Vec<String> {
        let mut arguments = self.selection.choice.to_repeat();
        let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
        if let Some(timeout) = self.enforcer_timeout {
            arguments.extend(["--enforcer-timeout".to_owned(), seconds(timeout)]);
        }
        // With another timeout the repetition could end differently.
        if let Some(timeout) = self.timeout {
            arguments.extend(["--timeout".to_owned(), seconds(timeout)]);
        }
        if let Some(profile) = self.profile {
            arguments.extend(["--profile".to_owned(), profile.name.to_owned()]);
        }
        if !self.destination.is_empty() {
            let destinations: Vec<String> = self.destination.iter().map(ToString::to_string).collect();
            arguments.extend(["--destination".to_owned(), destinations.join(",")]);
        }
        arguments
    }
}

impl Choice {
    /// The arguments that a repetition of one scenario run needs as well.
    pub fn to_repeat(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value]);
            }
        };
        option("--topology", self.topology.clone());
        option("--wiring", self.wiring.map(|name| Wiring::from(name).to_string()));
        option("--family", self.family.map(|name| Families::from(name).to_string()));
        let mode = self.kube_proxy_mode.filter(|mode| *mode != ProxyMode::default());
        option("--kube-proxy-mode", mode.map(|mode| mode.name().to_owned()));
        option("--root", self.root.as_ref().map(|root| root.display().to_string()));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_default_seed_and_choices_are_not_repeated() {
        let parse = |line: &str| match Arguments::try_parse_from(line.split(' ')).unwrap().command {
            Command::Run(run) => run.to_repeat().join(" "),
            _ => unreachable!(),
        };
        assert_eq!(parse("netproof run a --filter x"), "");
        assert_eq!(
            parse("netproof run a --family dual --wiring bridge --topology two-nodes --root b"),
            "--topology two-nodes --wiring bridge --family dual --root b"
        );
        assert_eq!(parse("netproof run a --kube-proxy-mode nftables"), "");
        for name in ["--kube-proxy-mode", "--proxy-mode"] {
            assert_eq!(parse(&format!("netproof run a {name} iptables")), "--kube-proxy-mode iptables");
        }
        // The default hangs on the enforcer.
        assert_eq!(parse("netproof run a --timeout 1m"), "--timeout 60s");
        assert_eq!(parse("netproof run a --timeout 1.5m"), "--timeout 90s");
    }
}
