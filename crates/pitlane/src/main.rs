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
mod tool_server;

use std::process::ExitCode;

use commands::daytona;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    // These must have one thread: they are dispatched before anything could start another.
    match arguments.next() {
        Some(first) if first == serve::LAUNCH => return serve::launch(arguments),
        Some(first) if first == pitlane_image::UNPACK => {
            return pitlane_image::run_unpacker(arguments);
        }
        Some(first) if first == pitlane_objects::VOLUME_FILES => {
            return pitlane_objects::run_volume_files();
        }
        _ => {}
    }
    if name.is_some_and(|name| daytona::is_meant_by(&name)) { daytona::main() } else { cli::main() }
}
