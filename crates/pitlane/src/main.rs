//! The pitlane binary: server, command line and launcher.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod connection;
mod doctor;
mod environment;
mod exit;
mod failure;
mod output;
mod serve;
mod settings;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The launcher must have one thread: it is dispatched before anything could start another.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == serve::LAUNCH) {
        return serve::launch(arguments);
    }
    cli::main()
}
