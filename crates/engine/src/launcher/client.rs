//! The server's side of the launcher: starts it, asks it, finds it again.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pitlane_sys::{MessageSocket, SyscallError, UserNamespace};
use rustix::io::Errno;

use super::protocol::{EndedAs, LaunchDescriptors, MAX_MESSAGE, Reply, Request, identity};
use crate::{LaunchCommand, log_path, socket_path};

/// A launcher that answers.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    socket: PathBuf,
}

/// Why the launcher did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LauncherError {
    /// The program could not be started.
    #[error("cannot start the launcher {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It started and does not answer; its log says why.
    #[error("the launcher does not answer; see {log}")]
    Silent {
        /// Where it writes.
        log: String,
    },
    /// It cannot be reached.
    #[error("cannot reach the launcher")]
    Socket(#[from] SyscallError),
    /// It answered something else.
    #[error("the launcher answered out of turn")]
    Reply,
    /// It tried and failed.
    #[error("the launcher failed: {why}")]
    Failed {
        /// The failed step.
        why: String,
    },
}

/// A sandbox's process 1, as seen from here.
#[derive(Debug)]
pub(crate) struct FirstProcess {
    pub(crate) descriptor: OwnedFd,
}

/// Requests are answered from memory or after one `clone3`, but one after the other: a crowd waits in line.
const DEADLINE: Duration = Duration::from_secs(30);

impl Launcher {
    /// Finds the launcher of a run-time folder, or starts one.
    ///
    /// # Errors
    ///
    /// [`LauncherError::Start`] and [`LauncherError::Silent`]: nothing runs that could make sandboxes.
    pub(crate) fn find_or_start(
        run: &Path,
        command: &LaunchCommand,
    ) -> Result<Self, LauncherError> {
        let launcher = Self { socket: socket_path(run) };
        if launcher.list().is_ok() && !launcher.make_way(command)? {
            return Ok(launcher);
        }
        let log = log_path(run);
        let started =
            |cause| LauncherError::Start { program: command.program.display().to_string(), cause };
        let output = std::fs::File::create(&log).map_err(started)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the launcher is the process that makes all others"
        )]
        let mut process = Command::new(&command.program);
        process
            .args(&command.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(output));
        let mut child = process.spawn().map_err(started)?;
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if launcher.list().is_ok() {
                return Ok(launcher);
            }
            if child.try_wait().map_err(started)?.is_some() {
                break;
            }
            // There is no event for "a socket appeared at a path" that would be simpler than asking again.
            std::thread::park_timeout(Duration::from_millis(2));
        }
        Err(LauncherError::Silent { log: log.display().to_string() })
    }

    /// Ends a launcher of another build, since it would isolate new sandboxes as that build did; false when it stays.
    fn make_way(&self, command: &LaunchCommand) -> Result<bool, LauncherError> {
        let program = match self.ask(&Request::Identify, &[]) {
            Ok((Reply::Identified { program }, None)) => program,
            // A launcher that does not know the question is older than it.
            Ok(_) | Err(LauncherError::Failed { .. }) => String::new(),
            Err(other) => return Err(other),
        };
        if identity(&command.program).is_ok_and(|current| current == program) {
            return Ok(false);
        }
        let has_ended = self.quit()?;
        if !has_ended {
            tracing::warn!(
                "sandboxes run under the launcher of another build; new ones are isolated as it does until all of them \
                 were stopped at the same time and the server is started again"
            );
        }
        Ok(has_ended)
    }

    /// Finds out whether the launcher answers.
    pub(crate) fn check(&self) -> Result<(), LauncherError> {
        match self.ask(&Request::Identify, &[]) {
            // One that does not know the question is older than it, and there.
            Ok(_) | Err(LauncherError::Failed { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    fn ask(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Option<OwnedFd>), LauncherError> {
        let socket = MessageSocket::connect(&self.socket)?;
        socket.set_deadline(DEADLINE)?;
        let bytes = serde_json::to_vec(request).map_err(|_unserializable| LauncherError::Reply)?;
        socket.send(&bytes, descriptors)?;
        let mut buffer = [0u8; MAX_MESSAGE];
        let Some((length, received)) = socket.receive(&mut buffer)? else {
            return Err(LauncherError::Reply);
        };
        let reply = buffer.get(..length).and_then(|bytes| serde_json::from_slice(bytes).ok());
        match reply.ok_or(LauncherError::Reply)? {
            Reply::Failed { why } => Err(LauncherError::Failed { why }),
            reply => Ok((reply, received.into_iter().next())),
        }
    }

    /// Makes a user namespace of 65,536 ids.
    pub(crate) fn user_namespace(&self, first: u32) -> Result<UserNamespace, LauncherError> {
        match self.ask(&Request::UserNamespace { first, count: 65_536 }, &[])? {
            (Reply::Done, Some(namespace)) => Ok(UserNamespace::from(namespace)),
            _ => Err(LauncherError::Reply),
        }
    }

    /// Makes a cgroup namespace whose root is `group`, a folder of a cgroup v2 hierarchy.
    pub(crate) fn group_view(&self, group: BorrowedFd<'_>) -> Result<OwnedFd, LauncherError> {
        match self.ask(&Request::GroupView, &[group])? {
            (Reply::Done, Some(namespace)) => Ok(namespace),
            _ => Err(LauncherError::Reply),
        }
    }

    /// Starts process 1 of a sandbox.
    pub(crate) fn launch(
        &self,
        id: &str,
        parts: &LaunchDescriptors,
    ) -> Result<FirstProcess, LauncherError> {
        let request = Request::Launch {
            id: id.to_owned(),
            host_name: String::from("sandbox"),
            command_files: parts.command_files.len(),
            tasks: parts.tasks(),
        };
        match self.ask(&request, &parts.borrow())? {
            (Reply::Launched { .. }, Some(descriptor)) => Ok(FirstProcess { descriptor }),
            _ => Err(LauncherError::Reply),
        }
    }

    /// Process 1 of a sandbox that runs; `None` when it does not.
    pub(crate) fn open(&self, id: &str) -> Result<Option<FirstProcess>, LauncherError> {
        match self.ask(&Request::Open { id: id.to_owned() }, &[])? {
            (Reply::Launched { .. }, Some(descriptor)) => Ok(Some(FirstProcess { descriptor })),
            (Reply::Unknown | Reply::Ended { .. }, None) => Ok(None),
            _ => Err(LauncherError::Reply),
        }
    }

    /// How a sandbox ended, once; `None` when it runs or nobody knows.
    pub(crate) fn collect(&self, id: &str) -> Result<Option<EndedAs>, LauncherError> {
        match self.ask(&Request::Collect { id: id.to_owned() }, &[])? {
            (Reply::Ended { how }, None) => Ok(Some(how)),
            (Reply::Unknown, None) | (Reply::Launched { .. }, Some(_)) => Ok(None),
            _ => Err(LauncherError::Reply),
        }
    }

    /// The ids of all sandboxes that run or have not been collected.
    pub(crate) fn list(&self) -> Result<Vec<String>, LauncherError> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().cloned().unwrap_or_default();
            match self.ask(&Request::List { after }, &[])? {
                (Reply::Listed { ids }, None) if ids.is_empty() => return Ok(all),
                (Reply::Listed { ids }, None) => all.extend(ids),
                _ => return Err(LauncherError::Reply),
            }
        }
    }

    /// Lets the launcher hold a descriptor for the next server.
    pub(crate) fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> Result<(), LauncherError> {
        match self.ask(&Request::Keep { name: name.to_owned() }, &[descriptor])? {
            (Reply::Done, None) => Ok(()),
            _ => Err(LauncherError::Reply),
        }
    }

    /// What an earlier server let the launcher hold.
    pub(crate) fn recall(&self, name: &str) -> Result<Option<OwnedFd>, LauncherError> {
        match self.ask(&Request::Recall { name: name.to_owned() }, &[])? {
            (Reply::Done, Some(descriptor)) => Ok(Some(descriptor)),
            (Reply::Unknown, None) => Ok(None),
            _ => Err(LauncherError::Reply),
        }
    }

    /// Ends the launcher; false when sandboxes still run.
    pub(crate) fn quit(&self) -> Result<bool, LauncherError> {
        match self.ask(&Request::Quit, &[]) {
            Ok((Reply::Done, None)) => Ok(true),
            Err(LauncherError::Failed { .. }) => Ok(false),
            Err(LauncherError::Socket(failure))
                if failure.is(Errno::CONNREFUSED) || failure.is(Errno::NOENT) =>
            {
                Ok(true)
            }
            Ok(_) => Err(LauncherError::Reply),
            Err(other) => Err(other),
        }
    }
}

impl FirstProcess {
    /// Sends SIGKILL: the kernel ends every process of the sandbox with its first.
    pub(crate) fn kill(&self) -> Result<(), SyscallError> {
        use pitlane_sys::Context as _;
        match rustix::process::pidfd_send_signal(
            self.descriptor.as_fd(),
            rustix::process::Signal::KILL,
        ) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).context("pidfd_send_signal"),
        }
    }
}
