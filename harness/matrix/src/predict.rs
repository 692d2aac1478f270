//! What the API says of every cell.

use crate::asking::{Asked, asked};
use crate::choose::Chosen;
use crate::question::{NoAnswer, Question};
use crate::selector::Selector;
use crate::table::Matrix;
use crate::{outside, predicted};
use netproof_plan::Plan;
use netproof_plan::inferred::{Balancers, Outside};
use netproof_verdict::prediction::Answers;

/// What the API says of every cell.
///
/// # Errors
/// A step or a selector that names nothing, or no cell that is left.
pub fn predict(plan: &Plan, question: &Question) -> Result<Matrix, NoAnswer> {
    let Asked { step, snapshot, .. } = asked(plan, question)?;
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
