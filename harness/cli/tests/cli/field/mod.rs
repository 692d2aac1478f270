//! Files as people have them: one module for each kind of question that they raised. Inputs are in `inputs/`.

mod answers;
mod families;
mod folders;
mod host_network;
mod host_ports;
mod kinds;
mod mistakes;
mod names_of_pods;
mod outside;
mod pasted;
mod ports;
mod profiles;
mod proxy_modes;
mod room;
mod shared_addresses;
mod taints;
mod written_twice;
mod yaml;

use std::path::PathBuf;

/// The folder of some inputs.
fn inputs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/field/inputs").join(name)
}
