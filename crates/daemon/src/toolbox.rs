//! What all requests share.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pitlane_wire::toolbox::UpdateEnvironment;
use tokio_util::task::TaskTracker;

use crate::boot::{Parts, StartError};
use crate::environment::{Environment, VariableError};
use crate::files::Files;
use crate::interpreter::Contexts;
use crate::lsp::Servers;
use crate::metrics::Metrics;
use crate::occupation::Occupation;
use crate::process::{Cancellations, Processes, Recordings};
use crate::pty::Terminals;
use crate::session::Sessions;
use crate::user::User;
use crate::zygote::Zygotes;

/// The sandbox as its daemon knows it.
#[derive(Debug)]
pub(crate) struct Toolbox {
    user: User,
    work_dir: String,
    environment: Mutex<Environment>,
    files: Files,
    processes: Processes,
    cancellations: Cancellations,
    occupation: Occupation,
    recordings: Recordings,
    sessions: Sessions,
    language_servers: Servers,
    terminals: Terminals,
    metrics: Metrics,
    contexts: Contexts,
    zygotes: Zygotes,
    tasks: TaskTracker,
}

impl Toolbox {
    pub(crate) fn new(parts: Parts) -> Result<Self, StartError> {
        let Parts { boot, groups, usage_files } = parts;
        let user = User::find(&boot.user)
            .map_err(|cause| StartError::User { user: boot.user.clone(), cause })?;
        let files = Files::new(user.identity.clone());
        let occupation = Occupation::default();
        let work_dir = boot.work_dir.clone().filter(|folder| folder.starts_with('/'));
        Ok(Self {
            work_dir: work_dir.unwrap_or_else(|| user.home.clone()),
            environment: Mutex::new(Environment::of_sandbox(&boot, &user)),
            sessions: Sessions::new(files.clone(), boot.entrypoint),
            files,
            processes: Processes::new(user.identity.clone(), groups),
            cancellations: Cancellations::new(occupation.clone()),
            occupation,
            recordings: Recordings::default(),
            language_servers: Servers::default(),
            terminals: Terminals::default(),
            metrics: Metrics::new(usage_files),
            contexts: Contexts::default(),
            zygotes: Zygotes::default(),
            tasks: TaskTracker::new(),
            user,
        })
    }

    /// Whom everything belongs to.
    pub(crate) const fn user(&self) -> &User {
        &self.user
    }

    /// Where relative paths and commands start.
    pub(crate) fn work_dir(&self) -> &str {
        &self.work_dir
    }

    /// A path of a caller as an absolute one; symbolic links and `..` are the kernel's matter.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        Path::new(&self.work_dir).join(path)
    }

    /// The variables of a process that starts now.
    pub(crate) fn environment(&self) -> Environment {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the variables of processes that start from now on, and gives all of them.
    pub(crate) fn update_environment(
        &self,
        change: &UpdateEnvironment,
    ) -> Result<Environment, VariableError> {
        let mut environment = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        environment.update(change)?;
        Ok(environment.clone())
    }

    pub(crate) const fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) const fn processes(&self) -> &Processes {
        &self.processes
    }

    pub(crate) const fn cancellations(&self) -> &Cancellations {
        &self.cancellations
    }

    pub(crate) const fn occupation(&self) -> &Occupation {
        &self.occupation
    }

    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) const fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) const fn language_servers(&self) -> &Servers {
        &self.language_servers
    }

    pub(crate) const fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    pub(crate) const fn zygotes(&self) -> &Zygotes {
        &self.zygotes
    }

    pub(crate) const fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// The owner of every task that outlives the connection that began it.
    pub(crate) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}
