//! The command `netproof`.

mod args;
mod commands;
mod exit;
mod outputs;
mod signals;
mod spans;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Arguments { command, color } = Arguments::parse();
    spans::start(command.verbosity());
    let exit = match command {
        Command::Run(arguments) => commands::run::run(&arguments, color),
        Command::List(arguments) => commands::list::list(&arguments),
        Command::Validate(arguments) => commands::validate::validate(&arguments),
        Command::Explain(arguments) => commands::explain::explain(&arguments),
        Command::Fuzz(arguments) => commands::fuzz::fuzz(&arguments),
        Command::Matrix(arguments) => commands::matrix::matrix(&arguments),
        Command::Doctor => commands::doctor::doctor(),
    };
    exit.into()
}
