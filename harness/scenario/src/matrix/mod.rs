//! Who reaches whom in one step of a plan: every source to every destination, a table for each port.
//!
//! [`predict`] asks the oracle, and builds nothing. `probe` tries the same cells with packets.

mod asking;
mod cells;
mod choose;
mod groups;
mod left_out;
mod outside;
mod predicted;
mod probe;
mod report;
mod selector;
mod text;

pub use cells::Cells;
pub use left_out::{LeftOut, Why};
pub use outside::{StandIn, Unanswered};
pub use probe::{MOST_PROBES, Unprobed, probe};
pub use report::{FORMAT, Report};
pub use selector::{PortChoice, Selector};
pub use text::text;

use crate::asked::{Balancers, Outside};
use crate::explain::NoAnswer;
use crate::plan::Plan;
use crate::prediction::Answers;
use choose::Chosen;
use netproof_model::Family;
use netproof_model::flow::{Destination, Flow, FlowPort, Source};
use netproof_oracle::{Profile, Switches};

/// What to ask of a plan.
#[derive(Clone, Debug)]
pub struct Question {
    /// The state after this step; after the last one if none is named.
    pub step: Option<String>,
    /// Only these sources; the cluster's own pods and the external hosts if none is named.
    pub from: Vec<Selector>,
    /// Only these destinations; likewise.
    pub to: Vec<Selector>,
    /// Only these ports; every port that a destination serves if none is named.
    pub ports: Vec<PortChoice>,
    /// Services as destinations, too.
    pub services: bool,
    /// How to read what the API leaves open; as the plan says, else as our own enforcer does, if absent.
    pub profile: Option<Profile>,
}

/// Who reaches whom.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The scenario run, or the paths of the manifests.
    pub scenario: String,
    /// The step after which.
    pub step: String,
    /// The profile's name.
    pub profile: &'static str,
    /// How many pods, external hosts, services and policies the cluster has, its DNS left out.
    pub objects: Objects,
    /// What stands in no table, and why.
    pub left_out: Vec<LeftOut>,
    /// Hosts outside that stand for more addresses than their own.
    pub stand_ins: Vec<StandIn>,
    /// Ranges outside that policies tell apart and no host stands for.
    pub unanswered: Vec<Unanswered>,
    /// One for each port and family.
    pub tables: Vec<Table>,
}

/// What a cluster has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Pods with a network of their own.
    pub pods: usize,
    /// Pods in the network of their node: they are no endpoints of policy, and stand in no table.
    pub host_network_pods: usize,
    /// Hosts outside the cluster.
    pub externals: usize,
    /// Services.
    pub services: usize,
    /// NetworkPolicies.
    pub policies: usize,
}

/// Every source to every destination that serves one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The family.
    pub family: Family,
    /// The port.
    pub port: FlowPort,
    /// The rows.
    pub sources: Vec<Source>,
    /// The columns.
    pub destinations: Vec<Destination>,
    /// What each says to each.
    pub cells: Cells,
}

/// One source to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What the API says.
    pub predicted: Sign,
    /// Where it leaves that open, the switches of the profile that would settle it.
    pub open: Switches,
    /// What the packets did, if they were asked.
    pub observed: Option<Observed>,
}

/// What the packets of a cell did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// In the words of expectations.
    pub word: String,
    /// What is not as predicted, one sentence each; empty where all is.
    pub differs: Vec<String>,
}

/// A cell, in the signs of the scenario format where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// It gets through.
    Allow,
    /// Policy denies it.
    Deny,
    /// A service proxy drops it.
    Drop,
    /// A service proxy rejects it.
    Reject,
    /// The API leaves it open.
    Open,
    /// It depends on the backend that is chosen.
    Varies,
    /// No route leads there.
    Unreachable,
    /// It gets through, and no answer comes back.
    NoAnswer,
    /// Not asked: nothing of the cluster is between the two.
    NotAsked,
}

impl Sign {
    /// The sign.
    pub fn sign(self) -> char {
        match self {
            Sign::Allow => '.',
            Sign::Deny => 'X',
            Sign::Drop => 'D',
            Sign::Reject => 'R',
            Sign::Open => '?',
            Sign::Varies => '~',
            Sign::Unreachable => 'U',
            Sign::NoAnswer => 'N',
            Sign::NotAsked => '-',
        }
    }

    /// What it means, for the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Sign::Allow => "allowed",
            Sign::Deny => "denied by policy",
            Sign::Drop => "dropped by the service proxy",
            Sign::Reject => "rejected by the service proxy",
            Sign::Open => "left open by the API",
            Sign::Varies => "depends on the backend",
            Sign::Unreachable => "no route",
            Sign::NoAnswer => "arrives, and no answer comes back",
            Sign::NotAsked => "outside the cluster",
        }
    }
}

/// How many cells say what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allowed.
    pub allowed: usize,
    /// Denied, by policy or by a service proxy.
    pub denied: usize,
    /// To which no route leads.
    pub unreachable: usize,
    /// That get through, and no answer comes back.
    pub unanswered: usize,
    /// Left open by the API, or dependent on the backend.
    pub open: usize,
    /// Whose packets did otherwise.
    pub differ: usize,
}

impl Matrix {
    /// What the cells of all tables say, each once in a table, and how many say so.
    fn counted(&self) -> impl Iterator<Item = (&Cell, usize)> {
        self.tables.iter().flat_map(|table| table.cells.counted())
    }

    /// The sums over all cells that were asked.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (cell, count) in self.counted() {
            match cell.predicted {
                Sign::Allow => counts.allowed += count,
                Sign::Deny | Sign::Drop | Sign::Reject => counts.denied += count,
                Sign::Unreachable => counts.unreachable += count,
                Sign::NoAnswer => counts.unanswered += count,
                Sign::Open | Sign::Varies => counts.open += count,
                Sign::NotAsked => {}
            }
            if cell.differs() {
                counts.differ += count;
            }
        }
        counts
    }
}

impl Table {
    /// The flow of a cell.
    pub(crate) fn flow(&self, source: &Source, destination: &Destination) -> Flow {
        Flow {
            from: source.clone(),
            to: destination.clone(),
            port: Some(self.port.clone()),
            family: Some(self.family),
        }
    }
}

impl Cell {
    fn of(predicted: Sign) -> Cell {
        Cell { predicted, open: Switches::default(), observed: None }
    }

    /// The sign; after it `!` where the packets did otherwise, and what they did where the API leaves it open.
    fn shown(&self) -> (char, Option<char>) {
        let observed = self.observed.as_ref().filter(|_| matches!(self.predicted, Sign::Open | Sign::Varies));
        let did = observed.map(|observed| match observed.word.as_str() {
            "allow" => '.',
            "drop" => 'D',
            "reject" => 'R',
            _ => 'r',
        });
        (self.predicted.sign(), if self.differs() { Some('!') } else { did })
    }

    /// Whether the packets did otherwise than the API says.
    pub fn differs(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| !observed.differs.is_empty())
    }
}

/// What the API says of every cell.
///
/// # Errors
/// A step or a selector that names nothing, or no cell that is left.
pub fn predict(plan: &Plan, question: &Question) -> Result<Matrix, NoAnswer> {
    let asking::Asked { step, snapshot, .. } = asking::asked(plan, question)?;
    let asks_balancers = question.services || question.to.iter().any(Selector::names_balancers);
    let outside = Outside::of(&snapshot, if asks_balancers { Balancers::Asked } else { Balancers::NotAsked });
    let chosen = Chosen::new(plan, &snapshot, question, &outside)?;
    let profile = plan.profile_or(question.profile);
    let answers = Answers::new(&snapshot, profile);
    let mut tables = Vec::new();
    for family in snapshot.topology.family.list() {
        tables.extend(predicted::tables(&snapshot, &answers, &chosen, *family));
    }
    let scenario = plan.id.to_string();
    if tables.is_empty() {
        return Err(NoAnswer::NothingLeft { scenario, help: chosen.hint(&snapshot) });
    }
    // A scenario says itself who is outside, and a host that was asked for by its address is meant itself.
    let mut stand_ins = match plan.stand_ins.is_some() {
        true => outside::stand_ins(&outside, &tables),
        false => Vec::new(),
    };
    stand_ins.retain(|it| plan.topology.externals.iter().any(|host| host.name == it.host));
    let unanswered = match plan.stand_ins.is_some() && question.from.is_empty() && question.to.is_empty() {
        true => outside::unanswered(&outside),
        false => Vec::new(),
    };
    Ok(Matrix {
        scenario,
        step: step.name.clone(),
        profile: profile.name,
        objects: chosen.objects(&snapshot),
        left_out: chosen.left_out(&snapshot, &tables),
        stand_ins,
        unanswered,
        tables,
    })
}

#[cfg(test)]
mod tests;
