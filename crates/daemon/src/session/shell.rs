//! The shell of a session.
//!
//! It is told of each command over a socket, by two lines: where its input is and where its outputs go. It opens them,
//! says `b`, sources the command's text from a file in memory, and says `e` with the exit code. A text is sourced whole,
//! so that one that is not finished (a quote, a here-document) is an error of that command and swallows nothing. While a
//! command runs, the socket is not among its descriptors where the shell can hide it.
//!
//! The loop survives what commands may do to it: `break` and `continue` outside a loop, functions called `read`, any
//! `IFS`, options like `-u` and `-x`. Only what ends a shell ends it: `exit`, `exec`, a failure under `set -e`, a signal.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use pitlane_sys::SpawnError;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};
use rustix::io::Errno;
use tokio::net::UnixStream;

use crate::http::Refusal;
use crate::process::{SHELLS, StartError, Started, Surroundings};
use crate::toolbox::Toolbox;

const BASH: &str = r#"exec 199<&3 198<&4 3<&- 4<&-
shopt -s expand_aliases
__pitlane_loop='while
{ [ -z "$__pitlane_status" ] || builtin printf "e%s\n" "$__pitlane_status" >&199 || builtin exit "$__pitlane_status"; } 2>/dev/null
IFS= builtin read -r __pitlane_in <&199 && IFS= builtin read -r __pitlane_out <&199
do
__pitlane_status=0
{
builtin printf "b\n" >&199
. /proc/self/fd/198 199<&-
} <"$__pitlane_in" >"$__pitlane_out.o" 2>"$__pitlane_out.e"
__pitlane_status=$?
done
[ -z "$__pitlane_in" ] || eval "$__pitlane_loop"'
__pitlane_status=
eval "$__pitlane_loop"
"#;

const ZSH: &str = r#"exec {__pitlane_control}<&3 {__pitlane_text}<&4 3<&- 4<&-
__pitlane_loop='while
{ [[ -z "$__pitlane_status" ]] || builtin print -u $__pitlane_control "e$__pitlane_status" || builtin exit "$__pitlane_status" } 2>/dev/null
IFS= builtin read -r __pitlane_in <&$__pitlane_control && IFS= builtin read -r __pitlane_out <&$__pitlane_control
do
__pitlane_status=0
{
builtin print -u $__pitlane_control b
{ . /proc/self/fd/$__pitlane_text } always { TRY_BLOCK_ERROR=0 }
} <"$__pitlane_in" >"$__pitlane_out.o" 2>"$__pitlane_out.e"
__pitlane_status=$?
done
[[ -z "$__pitlane_in" ]] || eval "$__pitlane_loop"'
__pitlane_status=
eval "$__pitlane_loop"
"#;

/// Descriptors of two digits are not known everywhere.
const PLAIN: &str = r#"exec 9<&3 8<&4 3<&- 4<&-
__pitlane_loop='while
{ [ -z "$__pitlane_status" ] || command printf "e%s\n" "$__pitlane_status" >&9 || exit "$__pitlane_status"; } 2>/dev/null
IFS= command read -r __pitlane_in <&9 && IFS= command read -r __pitlane_out <&9
do
__pitlane_status=0
{
command printf "b\n" >&9
command . /proc/self/fd/8 9<&-
} <"$__pitlane_in" >"$__pitlane_out.o" 2>"$__pitlane_out.e"
__pitlane_status=$?
done
[ -z "$__pitlane_in" ] || eval "$__pitlane_loop"'
__pitlane_status=
eval "$__pitlane_loop"
"#;

/// A shell that waits for commands.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) started: Started,
    pub(super) control: UnixStream,
    text: OwnedFd,
}

impl Shell {
    /// Starts the best shell that there is.
    pub(super) fn start(toolbox: &Toolbox) -> Result<Self, Refusal> {
        let failed = |errno: Errno| Refusal::internal(format!("cannot make a session: {errno}"));
        let surroundings = Surroundings::new(toolbox, None, None)?;
        let (control, remote) = StdUnixStream::pair()
            .and_then(|(own, remote)| own.set_nonblocking(true).map(|()| (own, remote)))
            .and_then(|(own, remote)| Ok((UnixStream::from_std(own)?, OwnedFd::from(remote))))
            .map_err(|error| Refusal::internal(format!("cannot make a session: {error}")))?;
        let text = memfd_create("command", MemfdFlags::CLOEXEC).map_err(failed)?;
        let nothing = nothing().map_err(failed)?;
        let text_copy = text.try_clone().map_err(|error| Refusal::internal(error.to_string()))?;
        let mut launch = surroundings.launch(Vec::new(), Vec::new(), b"")?;
        launch.spare = vec![remote, text_copy];
        let mut reason = None;
        for shell in SHELLS {
            launch.candidates = vec![shell.to_owned()];
            launch.arguments = vec![c"-c".to_owned(), script_for(shell)];
            match toolbox.processes().start(&launch, &nothing, &nothing) {
                Ok(started) => return Ok(Self { started, control, text }),
                Err(error @ StartError::Spawn(SpawnError::Execute(_))) => reason = Some(error),
                Err(error) => return Err(refused(&launch.folder, &error)),
            }
        }
        let reason =
            reason.map_or_else(|| String::from("there is none"), |error| error.to_string());
        Err(Refusal::bad_request(format!("this sandbox has no shell: {reason}")))
    }

    /// Lays out the text that is sourced next.
    pub(super) fn set_text(&self, text: &str) -> Result<(), Errno> {
        rustix::fs::ftruncate(&self.text, 0)?;
        let mut left = text.as_bytes();
        let mut offset = 0u64;
        while !left.is_empty() {
            let count = rustix::io::pwrite(&self.text, left, offset)?;
            left = left.get(count..).unwrap_or_default();
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

fn refused(folder: &CString, error: &StartError) -> Refusal {
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => {
            Refusal::bad_request(format!("cannot start in {}: {errno}", folder.to_string_lossy()))
        }
        StartError::Spawn(error) => Refusal::internal(format!("{error}: {}", error.errno())),
        StartError::Group(error) => Refusal::internal(format!("{error}: {}", error.errno)),
    }
}

fn script_for(shell: &std::ffi::CStr) -> CString {
    let shell = shell.to_bytes();
    let script = if shell.ends_with(b"/zsh") {
        ZSH
    } else if shell.ends_with(b"/bash") {
        BASH
    } else {
        PLAIN
    };
    // None of them has a NUL.
    CString::new(script).unwrap_or_default()
}

/// What the shell itself says between commands goes nowhere.
fn nothing() -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(c"/dev/null", flags, Mode::empty())
}
