//! Files as people have them: one module for each kind of question that they raised. Inputs are in `inputs/`.

mod answers;
mod profiles;
mod room;
mod written_twice;
