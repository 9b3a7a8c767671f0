//! The toolbox daemon: process 1 of a sandbox, and the only thing in it that the server speaks to.
//!
//! It runs commands and touches files for callers, always with the rights of the sandbox's user and never with its own,
//! and it reaps every orphan. It trusts nobody: not its callers, and not what runs beside it in the sandbox. It holds
//! no credential, since whoever is root inside can read it.
//!
//! It is started with its listening socket, boot configuration and control groups as inherited descriptors. Without
//! being process 1 it works as well: `pitlane-daemon --listen PATH|ADDRESS:PORT --boot FILE`.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod boot;
mod build;
mod charts;
mod clock;
mod environment;
mod files;
mod git;
mod http;
mod interpreter;
mod lsp;
mod metrics;
mod occupation;
mod options;
mod ports;
mod process;
mod pty;
mod server;
mod session;
mod toolbox;
mod tunnel;
mod user;
mod zygote;

use std::io::Write as _;
use std::process::ExitCode;

use pitlane_sys::TerminationRequests;

use self::boot::{Inheritance, StartError};
use self::options::Options;
use self::server::Server;
use self::toolbox::Toolbox;

/// musl's own gives every piece of a file back to the kernel and takes the next one from it, page by page: moving a file
/// then takes three times as long.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), StartError> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    // First of all: what this process has in memory and open is nobody's to read, not even its own user's.
    boot::protect()?;
    // While there is one thread.
    let requests = TerminationRequests::take().map_err(StartError::Signals)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let mut inheritance = match &options {
        Options::Inherited => Inheritance::claim()?,
        Options::Ordinary(ordinary) => Inheritance::open(ordinary)?,
    };
    let served = runtime.block_on(serve(&mut inheritance, requests));
    if let Err(error) = &served {
        inheritance.report_failure(error);
    }
    served
}

async fn serve(
    inheritance: &mut Inheritance,
    requests: TerminationRequests,
) -> Result<(), StartError> {
    let server = Server::open(inheritance.take_listen()?, requests)?;
    boot::rehearse();
    // Waits for the boot configuration, so whatever does not need it comes before.
    let toolbox = Toolbox::new(inheritance.take_parts()?)?;
    server.serve(toolbox, inheritance).await
}

/// In a sandbox nobody reads this: there the hello pipe told it already.
fn report(error: &StartError) {
    let mut text = format!("pitlane-daemon: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text.push('\n');
    std::io::stderr().write_all(text.as_bytes()).ok();
}
