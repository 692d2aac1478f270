//! One file a command.

pub mod doctor;
pub mod explain;
pub mod list;
pub mod run;
pub mod validate;

use crate::args::Selection;
use crate::exit::Exit;
use crate::outputs;
use netproof_oracle::Profile;
use netproof_scenario::format::{self, Loaded, NotApplicable, Options};
use netproof_scenario::plan::MatrixDestination;

/// Reads what was chosen, and holds it against the API if a profile says how to read that; `destinations`, if
/// there are any, are those of every matrix. What is wrong with it has been said when this fails.
fn load(
    selection: &Selection,
    against: Option<Profile>,
    destinations: &[MatrixDestination],
) -> Result<Loaded, Exit> {
    let choice = &selection.choice;
    let options = Options {
        root: choice.root.clone(),
        filter: choice.filter.clone(),
        topology: choice.topology.clone(),
        wiring: choice.wiring.map(Into::into),
        family: choice.family.map(Into::into),
        against,
        destinations: destinations.iter().copied().collect(),
    };
    format::load(&selection.paths, &options).map_err(|diagnostics| {
        outputs::complain(diagnostics);
        Exit::BadInput
    })
}

/// Says that nothing is left to do, and why.
fn nothing_matched(loaded: &Loaded) -> Exit {
    let reason = match loaded.not_applicable.first() {
        _ if loaded.filtered_out > 0 => {
            format!("--filter leaves out every scenario run ({} of them)", loaded.filtered_out)
        }
        Some(NotApplicable { id, location, because }) => {
            format!("no variant that was asked for applies; {id}: {because} ({location})")
        }
        None => "there is no scenario run".to_owned(),
    };
    outputs::complain(format_args!("error: nothing to do: {reason}"));
    Exit::BadInput
}

/// What was in the files and has nothing to do with the network, so that nobody takes it for tried.
fn passed_over(loaded: &Loaded) -> Option<String> {
    if loaded.passed_over.is_empty() {
        return None;
    }
    let kinds: Vec<String> = loaded.passed_over.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    Some(format!("passed over, as nothing of the network: {}", kinds.join(", ")))
}
