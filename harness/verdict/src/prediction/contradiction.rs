//! What an author expects, held against what the API says.

use crate::prediction::{Answer, ApiVerdict, Course, way};
use netproof_controlplane::Snapshot;
use netproof_model::{Place, Verdict};
use netproof_plan::{Expectation, Expected};
use std::collections::BTreeSet;

impl Answer {
    /// In what an expectation contradicts the API: `expected deny, the API says allow`. Who listens where is said by
    /// the objects, and counts with it.
    pub fn contradiction(&self, expectation: &Expectation) -> Option<String> {
        let Expectation { expected, .. } = expectation;
        let wanted = |course: &Course| match expected {
            Expected::PerBackend(verdicts) => {
                course.server.as_ref().and_then(|it| verdicts.get(it)).map(|verdict| Expected::from(*verdict))
            }
            expected => Some(expected.clone()),
        };
        let fits = |course: &Course| match wanted(course) {
            Some(wanted) => course.fits(&wanted),
            None => matches!(course.verdict, ApiVerdict::Open(_)),
        };
        let Some(wrong) = self.courses.iter().find(|course| !fits(course)) else {
            return self.unreached(expectation).or_else(|| self.other_servers(expectation));
        };
        if wanted(wrong).is_some_and(|wanted| wrong.verdict.fits(&wanted))
            && let Some(listener) = wrong.listener()
        {
            return Some(format!("expected {expected}, but {listener}"));
        }
        let same = self.courses.windows(2).all(|pair| matches!(pair, [a, b] if a.verdict == b.verdict));
        let says = match expected {
            Expected::All(Verdict::Drop | Verdict::Reject) => self.denial_in_full().to_string(),
            _ => self.to_string(),
        };
        if same || matches!(expected, Expected::PerBackend(_)) {
            return Some(format!("expected {expected}, the API says {says}"));
        }
        Some(format!("expected {expected}, but the backends differ in verdict, the API says {says}"))
    }

    /// In what an expectation asks more of its rehearsal than can be, where this is the answer of the same objects
    /// without those of policy: a denial counts only where the flow connects then, and a `baseline` must be true. Of
    /// a connection that is kept nothing is said: it may outlive what led to it.
    pub fn contradiction_without_policy(&self, expectation: &Expectation) -> Option<String> {
        let needed = expectation.expected_without_policy().filter(|_| !expectation.keep)?;
        let wrong = self.courses.iter().find(|course| !course.fits(&needed))?;
        let says = match wrong.listener().filter(|_| wrong.verdict.fits(&needed)) {
            Some(listener) => format!("but {listener}"),
            None => format!("the API says {}", wrong.verdict.word()),
        };
        Some(format!("without policy, expected {needed}, {says}"))
    }

    /// In what the parts of an expectation that are about the flow's way contradict the API: `expected the
    /// server to see pod/default/a, the API says node/node1 (172.18.0.2)`. Of a connection that exists
    /// already, nothing is said.
    pub fn other_way(&self, expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
        if self.exists { None } else { way::contradiction(&self.predictions, expectation, snapshot) }
    }

    /// That backends have a verdict to which no way leads.
    fn unreached(&self, expectation: &Expectation) -> Option<String> {
        let Expected::PerBackend(verdicts) = &expectation.expected else { return None };
        let reached: BTreeSet<&Place> = self.courses.iter().filter_map(|it| it.server.as_ref()).collect();
        let unreached = verdicts.keys().filter(|place| !reached.contains(place)).map(ToString::to_string);
        let unreached: Vec<String> = unreached.collect();
        let is_one = expectation.sticky || expectation.keep;
        (!unreached.is_empty() && !is_one)
            .then(|| format!("the API lets no way lead to {}", unreached.join(" or ")))
    }

    /// In what `servedBy` contradicts the API.
    fn other_servers(&self, expectation: &Expectation) -> Option<String> {
        let named: BTreeSet<&Place> = expectation.served_by.as_ref()?.iter().collect();
        let answers = |course: &&Course| matches!(course.verdict, ApiVerdict::Allow | ApiVerdict::Open(_));
        let certain = |course: &&Course| course.verdict == ApiVerdict::Allow;
        let servers = |courses: Vec<&'_ Course>| -> BTreeSet<Place> {
            courses.into_iter().filter_map(|course| course.server.clone()).collect()
        };
        let possible = servers(self.courses.iter().filter(answers).collect());
        let sure = servers(self.courses.iter().filter(certain).collect());
        let list = |places: Vec<&Place>| {
            let places: Vec<String> = places.into_iter().map(ToString::to_string).collect();
            places.join(", ")
        };
        let others: Vec<&Place> = sure.iter().filter(|place| !named.contains(place)).collect();
        let missing: Vec<&Place> = named.into_iter().filter(|place| !possible.contains(place)).collect();
        let one_backend = expectation.sticky || expectation.keep;
        if !others.is_empty() {
            return Some(format!("{} may answer as well, the API says", list(others)));
        }
        (!missing.is_empty() && !one_backend)
            .then(|| format!("{} never answers, the API says", list(missing)))
    }
}
