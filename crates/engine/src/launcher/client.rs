//! The server's side of the launcher: starts it, asks it, finds it again.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pitlane_sys::{Context as _, DetachedMount, MessageSocket, SyscallError, UserNamespace};
use rustix::io::Errno;

use super::process::FOLDER_IN_USE;
use super::protocol::{EndedAs, LaunchDescriptors, MAX_MESSAGE, Reply, Request, identity};
use crate::{LaunchCommand, log_path, socket_path};

/// The launcher. One that has died is replaced when it is next asked for something.
#[derive(Debug, Clone)]
pub(crate) struct Launcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: PathBuf,
    socket: PathBuf,
    command: LaunchCommand,
    /// Held by whoever starts one.
    started: Mutex<Started>,
}

/// What the next launcher needs that this one has.
#[derive(Debug, Default)]
struct Started {
    /// The one that this server started.
    process: Option<Child>,
    /// What it keeps, by name.
    kept: BTreeMap<String, OwnedFd>,
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
    /// It ended before it answered.
    #[error("the launcher died")]
    Died,
    /// It has no such sandbox any more.
    #[error("process 1 failed: it ended before it was told which sandbox it is")]
    Absent,
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

/// Under which name the launcher keeps the network that all sandboxes meet in.
pub(crate) const ROUTER: &str = "router";
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
        let launcher = Self(Arc::new(Inner {
            run: run.to_owned(),
            socket: socket_path(run),
            command: command.clone(),
            started: Mutex::default(),
        }));
        let mut started = launcher.started();
        if !launcher.answers() || launcher.make_way(&mut started)? {
            // Only the first one dies where this server was told to.
            launcher.start(&mut started, pitlane_fault::environment().as_ref())?;
        }
        drop(started);
        Ok(launcher)
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.0.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> bool {
        self.exchange(&Request::List { after: String::new() }, &[]).is_ok()
    }

    /// Starts another in the place of one that has died. What ran under it runs on; how that ends will be unknown.
    fn replace(&self) -> Result<(), LauncherError> {
        let mut started = self.started();
        // Somebody else may have been quicker.
        if self.answers() {
            return Ok(());
        }
        self.start(&mut started, None)?;
        tracing::warn!(
            "the launcher had died and was replaced; how the sandboxes end that ran under it will be unknown"
        );
        Ok(())
    }

    fn start(
        &self,
        started: &mut Started,
        variable: Option<&(&str, String)>,
    ) -> Result<(), LauncherError> {
        let Inner { run, command, .. } = &*self.0;
        if let Some(mut dead) = started.process.take() {
            // It does not answer: whether it has ended, or hangs and must not come back, it ends here.
            drop(dead.kill());
            drop(dead.wait());
        }
        let log = log_path(run);
        let failed =
            |cause| LauncherError::Start { program: command.program.display().to_string(), cause };
        let mut child = self.spawn(&log, variable).map_err(failed)?;
        let began = Instant::now();
        while !self.answers() {
            let ended = child.try_wait().map_err(failed)?;
            if began.elapsed() < DEADLINE
                && ended.is_some_and(|ended| ended.code() == Some(FOLDER_IN_USE.into()))
            {
                // One whose server died while it was started: it answers soon, or goes.
                child = self.spawn(&log, variable).map_err(failed)?;
            } else if began.elapsed() > DEADLINE || ended.is_some() {
                drop(child.kill());
                drop(child.wait());
                return Err(LauncherError::Silent { log: log.display().to_string() });
            }
            // There is no event for "a socket appeared at a path" that would be simpler than asking again.
            std::thread::park_timeout(Duration::from_millis(2));
        }
        started.process = Some(child);
        for (name, descriptor) in &started.kept {
            let request = Request::Keep { name: name.clone() };
            self.exchange(&request, &[descriptor.as_fd()])?;
        }
        Ok(())
    }

    fn spawn(&self, log: &Path, variable: Option<&(&str, String)>) -> std::io::Result<Child> {
        let LaunchCommand { program, arguments } = &self.0.command;
        let output = std::fs::File::create(log)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the launcher is the process that makes all others"
        )]
        let mut process = Command::new(program);
        process
            .args(arguments)
            .env_clear()
            .envs(variable.map(|(name, value)| (*name, value)))
            .current_dir("/")
            // Closed with this process: a launcher that nobody has asked for anything then ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(output));
        process.spawn()
    }

    /// Ends a launcher of another build, since it would isolate new sandboxes as that build did; false when it stays.
    fn make_way(&self, started: &mut Started) -> Result<bool, LauncherError> {
        let program = match self.exchange(&Request::Identify, &[]) {
            Ok((Reply::Identified { program }, None)) => program,
            // A launcher that does not know the question is older than it.
            Ok(_) | Err(LauncherError::Failed { .. }) => String::new(),
            Err(other) => return Err(other),
        };
        if identity(&self.0.command.program).is_ok_and(|current| current == program) {
            return Ok(false);
        }
        // Sandboxes whose launcher has died run on without this one knowing them: their router must outlive it.
        let router = self.exchange(&Request::Recall { name: ROUTER.to_owned() }, &[])?;
        if let (Reply::Done, Some(descriptor)) = router {
            started.kept.insert(ROUTER.to_owned(), descriptor);
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

    /// Asks the launcher, or the one after it if it has died.
    fn ask(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Option<OwnedFd>), LauncherError> {
        let answer = self.exchange(request, descriptors);
        let is_gone = match &answer {
            // Nobody listens: nothing was asked yet.
            Err(LauncherError::Socket(failure)) if failure.call == "connect" => {
                failure.is(Errno::CONNREFUSED) || failure.is(Errno::NOENT)
            }
            // It died with the question, which does no harm twice.
            Err(LauncherError::Died) => {
                !matches!(request, Request::Launch { .. } | Request::Attach { .. })
            }
            _ => false,
        };
        if !is_gone {
            return answer;
        }
        self.replace()?;
        self.exchange(request, descriptors)
    }

    fn exchange(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Option<OwnedFd>), LauncherError> {
        let socket = MessageSocket::connect(&self.0.socket)?;
        socket.set_deadline(DEADLINE)?;
        let bytes = serde_json::to_vec(request).map_err(|_unserializable| LauncherError::Reply)?;
        let has_died =
            |failure: &SyscallError| failure.is(Errno::PIPE) || failure.is(Errno::CONNRESET);
        let died = |failure: SyscallError| {
            if has_died(&failure) { LauncherError::Died } else { LauncherError::Socket(failure) }
        };
        socket.send(&bytes, descriptors).map_err(died)?;
        let mut buffer = [0u8; MAX_MESSAGE];
        let Some((length, received)) = socket.receive(&mut buffer).map_err(died)? else {
            return Err(LauncherError::Died);
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

    /// Starts a process called `name` that puts mounts into the sandbox `id`, each at its path, and tells on `report`
    /// what failed. It has done its work when it has ended.
    pub(crate) fn attach(
        &self,
        (id, name): (&str, &str),
        first_id: u32,
        report: BorrowedFd<'_>,
        mounts: &[(String, DetachedMount)],
    ) -> Result<FirstProcess, LauncherError> {
        let request = Request::Attach {
            id: id.to_owned(),
            name: name.to_owned(),
            first_id,
            paths: mounts.iter().map(|(path, _)| path.clone()).collect(),
        };
        let mut descriptors = vec![report];
        descriptors.extend(mounts.iter().map(|(_, mount)| mount.as_fd()));
        match self.ask(&request, &descriptors)? {
            (Reply::Launched { .. }, Some(descriptor)) => Ok(FirstProcess { descriptor }),
            (Reply::Unknown, None) => Err(LauncherError::Absent),
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
        let copy = descriptor.try_clone_to_owned();
        let copy = copy.context("dup").map_err(LauncherError::Socket)?;
        self.started().kept.insert(name.to_owned(), copy);
        match self.ask(&Request::Keep { name: name.to_owned() }, &[descriptor])? {
            (Reply::Done, None) => Ok(()),
            _ => Err(LauncherError::Reply),
        }
    }

    /// What an earlier server let the launcher hold.
    pub(crate) fn recall(&self, name: &str) -> Result<Option<OwnedFd>, LauncherError> {
        match self.ask(&Request::Recall { name: name.to_owned() }, &[])? {
            (Reply::Done, Some(descriptor)) => {
                let copy = descriptor.try_clone().context("dup").map_err(LauncherError::Socket)?;
                self.started().kept.insert(name.to_owned(), copy);
                Ok(Some(descriptor))
            }
            (Reply::Unknown, None) => Ok(None),
            _ => Err(LauncherError::Reply),
        }
    }

    /// Ends the launcher; false when sandboxes still run.
    pub(crate) fn quit(&self) -> Result<bool, LauncherError> {
        match self.exchange(&Request::Quit, &[]) {
            Ok((Reply::Done, None)) | Err(LauncherError::Died) => Ok(true),
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
        match rustix::process::pidfd_send_signal(
            self.descriptor.as_fd(),
            rustix::process::Signal::KILL,
        ) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).context("pidfd_send_signal"),
        }
    }
}
