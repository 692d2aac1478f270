//! `netproof doctor`: what this machine can do, found out by doing it.

use crate::exit::Exit;
use crate::outputs;
use netproof_cluster::sandbox;
use nix::unistd::geteuid;
use std::fs;

pub fn doctor() -> Exit {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    let user = geteuid();
    let who = if user.is_root() { "root".to_owned() } else { format!("an ordinary user (uid {user})") };
    let mut rows = vec![
        ("netproof", env!("CARGO_PKG_VERSION").to_owned()),
        ("kernel", kernel.map_or_else(|_| "unknown".into(), |release| format!("Linux {}", release.trim()))),
        ("user", who),
    ];
    let exit = match sandbox::enter() {
        Ok(sandbox) => {
            let how = if sandbox.user_namespace {
                "in a user namespace of its own"
            } else {
                "as root, without a user namespace: they are switched off here"
            };
            rows.push(("sandbox", format!("works, {how}")));
            rows.push(("links", "veth and bridge work".to_owned()));
            rows.push(("sysctls", "can be set".to_owned()));
            rows.push(("nf_tables", "works".to_owned()));
            rows.push(("files", format!("{} may be open at once", sandbox.open_files)));
            rows.push(("verdict", "`netproof run` works here".to_owned()));
            Exit::AsExpected
        }
        Err(error) => {
            rows.push(("sandbox", error.to_string()));
            rows.push(("verdict", "`netproof run` cannot work here; `list` and `validate` can".to_owned()));
            Exit::NotDone
        }
    };
    let text: String = rows.iter().map(|(label, fact)| format!("{label:<9}  {fact}\n")).collect();
    match outputs::print(&text) {
        Ok(()) => exit,
        Err(_) => Exit::NotDone,
    }
}
