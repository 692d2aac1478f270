//! One cell: what the API says of it, and what the packets did.

use netproof_model::{Verdict, Verdicts};
use netproof_oracle::Switches;

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
    /// What that was; `None` where no probe of the run itself was made.
    pub verdicts: Option<Verdicts>,
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

impl Cell {
    pub(crate) fn of(predicted: Sign) -> Cell {
        Cell { predicted, open: Switches::default(), observed: None }
    }

    /// The sign; after it `!` where the packets did otherwise, and what they did where the API leaves it open.
    pub(crate) fn shown(&self) -> (char, Option<char>) {
        let observed = self.observed.as_ref().filter(|_| matches!(self.predicted, Sign::Open | Sign::Varies));
        let did = observed.map(|observed| match observed.verdicts {
            Some(Verdicts::All(Verdict::Allow)) => '.',
            Some(Verdicts::All(Verdict::Drop)) => 'D',
            Some(Verdicts::All(Verdict::Reject)) => 'R',
            _ => 'r',
        });
        (self.predicted.sign(), if self.differs() { Some('!') } else { did })
    }

    /// Whether the packets did otherwise than the API says.
    pub fn differs(&self) -> bool {
        self.observed.as_ref().is_some_and(|observed| !observed.differs.is_empty())
    }
}
