//! Files as people have them: one module for each kind of question that they raised. Inputs are in `inputs/`.

mod answers;
mod host_network;
mod profiles;
mod room;
mod shared_addresses;
mod written_twice;
