//! Changes that the control plane refuses: all of a set in one go. What is refused is left out, and the rest is made.

use crate::lost::Lost;
use crate::placed::Placed;
use netproof_api::{Diagnostic, Source};
use netproof_controlplane::{Change, ChangeError, ControlPlane};
use std::sync::Arc;

/// After so many refusals of a set the rest is not looked at. Each costs a try of all that is left.
const MOST_REFUSALS: usize = 50;

/// Makes changes. `None` if something is wrong with all of them. A refusal that would not be without what is lost
/// already is not reported.
pub fn apply(
    control_plane: &mut ControlPlane,
    (changes, placed): (&[Change], &[Placed]),
    lost: &mut Lost,
    source: &Arc<Source>,
    mut report: impl FnMut(Diagnostic),
) -> Option<()> {
    let Err(mut error) = control_plane.apply(changes) else { return Some(()) };
    let mut left: Vec<usize> = (0..changes.len()).collect();
    for _ in 0..MOST_REFUSALS {
        let at = error.index.filter(|at| *at < left.len());
        let place = at.map(|at| left.remove(at)).and_then(|at| placed.get(at));
        let is_lost = error.missing.as_ref().is_some_and(|it| lost.may_be(&it.kind, &it.name));
        // Where others are there that should have gone, they may be in the way.
        if !is_lost && (error.missing.is_some() || !lost.has_deletions()) {
            report(refused(source, place, &error));
        }
        let place = place?;
        // Of what is lost nothing more is to be said; what is in it is lost with it.
        if !is_lost || matches!(place.change, Change::Apply(_)) {
            let mut more = Lost::default();
            more.add_refused(place);
            lost.extend(&more, &control_plane.snapshot());
        }
        let rest: Vec<Change> = left.iter().filter_map(|at| changes.get(*at)).cloned().collect();
        match control_plane.apply(&rest) {
            Ok(_) => return Some(()),
            Err(next) => error = next,
        }
    }
    None
}

/// The control plane refused a change: the error stands where the change is written.
fn refused(source: &Arc<Source>, placed: Option<&Placed>, error: &ChangeError) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.message.clone()).help(error.help.clone());
    match placed {
        Some(placed) => diagnostic.at(&placed.source, placed.span),
        None => diagnostic.in_source(source),
    }
}
