//! `netproof doctor`: tries what this machine can do.

use super::agents::shipped;
use super::print;
use crate::exit::Exit;
use netproof_cluster::doctor::{Capability, examine, lacks};
use netproof_cluster::sandbox;
use nix::unistd::geteuid;

pub fn doctor() -> Exit {
    let user = geteuid();
    let who = if user.is_root() { "root".to_owned() } else { format!("an ordinary user (uid {user})") };
    let mut text = format!("netproof {}, run by {who}\n\n", env!("CARGO_PKG_VERSION"));
    let examined = sandbox::enter().map_err(|error| error.to_string()).and_then(|sandbox| {
        examine(&sandbox).map_err(|error| format!("cannot examine the machine: {error}"))
    });
    let exit = match examined {
        Ok(capabilities) => {
            text.push_str(&table(&capabilities));
            text.push_str("\nAgents, as `--enforcer agent:NAME` and `--proxy agent:NAME` take them:\n\n");
            text.push_str(&agents());
            text.push_str("\n`netproof run` works here.\n");
            Exit::AsExpected
        }
        Err(error) => {
            text.push_str(&format!(
                "no sandbox: {error}\n\n`netproof run` cannot work here; `list` and `validate` can.\n"
            ));
            Exit::NotDone
        }
    };
    match print(&text) {
        Exit::AsExpected => exit,
        trouble => trouble,
    }
}

/// A line for each capability, and two more for a missing one: what does not work, and what to do.
fn table(capabilities: &[Capability]) -> String {
    let width = capabilities.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Capability { name, present, found, consequence, remedy } in capabilities {
        let sign = if *present { "yes" } else { "no " };
        text.push_str(format!("{sign}  {name:<width$}  {found}").trim_end());
        text.push('\n');
        if !present {
            text.push_str(&format!("     {:<width$}  without it, {consequence}\n", ""));
            text.push_str(&format!("     {:<width$}  remedy: {remedy}\n", ""));
        }
    }
    text
}

/// A line for each shipped profile: its program, or why it cannot be used here.
fn agents() -> String {
    let agents = shipped();
    let width = agents.iter().map(|agent| agent.profile.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for agent in agents {
        let profile = agent.profile.clone();
        let found = agent.find().map_err(|missing| missing.in_short()).and_then(|agent| {
            let mut lacking = profile.needs.kernel.iter().filter_map(|feature| match lacks(*feature) {
                Ok(lacking) => lacking,
                Err(error) => Some(format!("the machine cannot be examined: {error}")),
            });
            lacking.next().map_or_else(|| Ok(agent.program.display().to_string()), Err)
        });
        let sign = if found.is_ok() { "yes" } else { "no " };
        let (Ok(said) | Err(said)) = found;
        text.push_str(&format!("{sign}  {:<width$}  {said}\n", profile.name));
    }
    text
}
