//! What the daemon starts with, and its first words.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use pitlane_sys::{CommandGroups, SyscallError, claim_inherited};
use pitlane_wire::handshake::{Boot, CommandGroup, Hello, LISTENER_DESCRIPTOR, PROTOCOL};
use rustix::process::{DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior};

use crate::options::Ordinary;
use crate::toolbox::Toolbox;
use crate::user::UserError;

/// What this daemon can do, one word each, for servers that are newer or older.
const CAPABILITIES: [&str; 7] =
    ["execute", "execute-stream", "code-run", "cancel", "files", "environment", "connect"];

/// Longer than any boot configuration.
const MAX_BOOT: u64 = 4 << 20;
/// As long as most.
const USUAL_BOOT: usize = 4 << 10;

/// What most first commands need. A sandbox's file system is its own, and finding them for the first time takes longer
/// than finding them again.
const OF_EVERY_COMMAND: [&CStr; 8] = [
    c"/bin/sh",
    c"/usr/bin/bash",
    c"/etc/ld.so.cache",
    c"/lib64/ld-linux-x86-64.so.2",
    c"/lib/ld-linux-aarch64.so.1",
    c"/lib/x86_64-linux-gnu/libc.so.6",
    c"/lib/aarch64-linux-gnu/libc.so.6",
    c"/dev/null",
];

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "usage: pitlane-daemon --listen PATH|ADDRESS:PORT --boot FILE [--command-group FOLDER]"
    )]
    Usage,
    #[error("cannot protect this process")]
    Protect(#[source] rustix::io::Errno),
    #[error("cannot take requests to end")]
    Signals(#[source] SyscallError),
    #[error("cannot take the inherited descriptors")]
    Inherit(#[source] SyscallError),
    #[error("cannot open {name}")]
    Open {
        name: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("cannot read the boot configuration")]
    ReadBoot(#[source] std::io::Error),
    #[error("cannot understand the boot configuration")]
    Boot(#[source] serde_json::Error),
    #[error("cannot use the control groups for commands")]
    Groups(#[source] SyscallError),
    #[error("cannot find the user {user:?}")]
    User {
        user: String,
        #[source]
        cause: UserError,
    },
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the boot configuration was taken already")]
    Taken,
}

/// Keeps other processes of the sandbox, those of the same user included, out of this one's memory and descriptors.
pub(crate) fn protect() -> Result<(), StartError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(StartError::Protect)?;
    if !is_first_process() {
        // Process 1 adopts orphans anyway.
        set_child_subreaper(Some(getpid())).map_err(StartError::Protect)?;
    }
    Ok(())
}

/// Whether this is process 1 of its namespace.
pub(crate) fn is_first_process() -> bool {
    getpid().is_init()
}

/// Does once, for nobody, what is done when the boot configuration has come. Somebody waits for it then, and has the
/// kernel find neither this program's instructions nor the image's lists of users for the first time.
pub(crate) fn rehearse() {
    let nobody = Boot { env: [(String::new(), String::new())].into(), ..Boot::default() };
    let text = serde_json::to_vec(&nobody).unwrap_or_default();
    let boot = serde_json::from_slice(&text).unwrap_or(nobody);
    let parts = Parts { boot, groups: None, usage_files: Vec::new() };
    // Whoever comes is told what is wrong with the image.
    drop(Toolbox::new(parts));
    drop(hello_line());
    for path in OF_EVERY_COMMAND {
        // Looked at and not opened: it may be anything.
        rustix::fs::stat(path).ok();
    }
}

/// Everything that was handed to the daemon.
#[derive(Debug)]
pub(crate) struct Inheritance {
    parts: Option<PartsSource>,
    listen: Option<Listen>,
    hello: Option<File>,
    /// What names the folder of control groups. Closing it would detach a mount, for which the kernel waits until every
    /// processor has done something else.
    group_name: Option<OwnedFd>,
}

/// Where the parts of the toolbox come from.
#[derive(Debug)]
enum PartsSource {
    /// A pipe, in which they come when there is a sandbox to be.
    Awaited(File),
    /// They are here.
    Here(Box<Parts>),
}

/// What the toolbox is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) boot: Boot,
    pub(crate) groups: Option<CommandGroups>,
    /// Files of the kernel's in which it tells what may be used and is, by name.
    pub(crate) usage_files: Vec<(String, OwnedFd)>,
}

/// Where connections come from.
#[derive(Debug)]
pub(crate) enum Listen {
    /// A socket that listens already.
    Socket(UnixListener),
    /// An address or path to listen on.
    Address(String),
}

impl Inheritance {
    /// Takes what whoever made the sandbox left open.
    pub(crate) fn claim() -> Result<Self, StartError> {
        // How many there are is written in the third one.
        let mut first =
            claim_inherited(LISTENER_DESCRIPTOR, 3).map_err(StartError::Inherit)?.into_iter();
        let (Some(listener), Some(hello), Some(boot)) = (first.next(), first.next(), first.next())
        else {
            return Err(StartError::Taken);
        };
        Ok(Self {
            parts: Some(PartsSource::Awaited(boot.into())),
            listen: Some(Listen::Socket(listener.into())),
            hello: Some(hello.into()),
            group_name: None,
        })
    }

    /// Opens what an ordinary process was told.
    pub(crate) fn open(options: &Ordinary) -> Result<Self, StartError> {
        let open = |path: &std::path::Path| {
            let name = path.display().to_string();
            File::open(path).map_err(|cause| StartError::Open { name, cause })
        };
        let boot = read_boot(open(&options.boot)?)?;
        let groups = match &options.command_group {
            Some(path) => {
                let folder = open(path)?;
                let groups = CommandGroups::new(folder.as_fd(), Vec::new());
                Some(groups.map_err(StartError::Groups)?)
            }
            None => None,
        };
        let parts = Parts { boot, groups, usage_files: Vec::new() };
        let name = String::from("standard output");
        let hello = std::io::stdout().as_fd().try_clone_to_owned();
        let hello = hello.map_err(|cause| StartError::Open { name, cause })?;
        Ok(Self {
            parts: Some(PartsSource::Here(Box::new(parts))),
            listen: Some(Listen::Address(options.listen.clone())),
            hello: Some(hello.into()),
            group_name: None,
        })
    }

    /// What the toolbox is made of; once. Blocks until it has come.
    pub(crate) fn take_parts(&mut self) -> Result<Parts, StartError> {
        match self.parts.take().ok_or(StartError::Taken)? {
            PartsSource::Awaited(file) => self.await_parts(file),
            PartsSource::Here(parts) => Ok(*parts),
        }
    }

    fn await_parts(&mut self, file: File) -> Result<Parts, StartError> {
        let boot = read_boot(file)?;
        let (groups, usage_files) = match &boot.command_group {
            Some(group) => {
                let InheritedGroups { name, groups, usage_files } = inherited_groups(group)?;
                self.group_name = Some(name);
                (Some(groups), usage_files)
            }
            None => (None, Vec::new()),
        };
        Ok(Parts { boot, groups, usage_files })
    }

    /// Where connections come from; once.
    pub(crate) fn take_listen(&mut self) -> Result<Listen, StartError> {
        self.listen.take().ok_or(StartError::Taken)
    }

    /// Says that the daemon can be reached, and closes the pipe.
    pub(crate) fn say_hello(&mut self) {
        self.say(&hello_line());
    }

    /// Says why the daemon cannot be reached, if nothing was said yet.
    pub(crate) fn report_failure(&mut self, error: &StartError) {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            text.push_str(": ");
            text.push_str(&source.to_string());
            cause = source.source();
        }
        text.push('\n');
        self.say(text.as_bytes());
    }

    fn say(&mut self, line: &[u8]) {
        // Whoever waits for it notices when it does not come; there is nobody else to tell.
        if let Some(mut hello) = self.hello.take() {
            hello.write_all(line).ok();
        }
    }
}

fn hello_line() -> Vec<u8> {
    let hello = Hello {
        protocol: PROTOCOL,
        daemon_version: String::from(env!("CARGO_PKG_VERSION")),
        capabilities: CAPABILITIES.iter().map(|word| String::from(*word)).collect(),
    };
    let mut line = serde_json::to_vec(&hello).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The control groups for commands, as they were handed to the daemon.
struct InheritedGroups {
    /// Names the folder.
    name: OwnedFd,
    groups: CommandGroups,
    usage_files: Vec<(String, OwnedFd)>,
}

fn inherited_groups(group: &CommandGroup) -> Result<InheritedGroups, StartError> {
    let usage = u32::try_from(group.usage_files.len()).unwrap_or(u32::MAX);
    let count = group.other_tasks.saturating_add(1).saturating_add(group.memory_events.into());
    let count = count.saturating_add(usage);
    let mut descriptors = claim_inherited(pitlane_wire::handshake::COMMAND_GROUP_DESCRIPTOR, count)
        .map_err(StartError::Inherit)?
        .into_iter();
    let name = descriptors.next().ok_or(StartError::Taken)?;
    let others = usize::try_from(group.other_tasks).unwrap_or(usize::MAX);
    let other_tasks = descriptors.by_ref().take(others).collect();
    let memory_events = if group.memory_events { descriptors.next() } else { None };
    let groups = CommandGroups::new(name.as_fd(), other_tasks).map_err(StartError::Groups)?;
    let groups = match memory_events {
        Some(file) => groups.with_memory_events(file),
        None => groups,
    };
    let usage_files = group.usage_files.iter().cloned().zip(descriptors).collect();
    Ok(InheritedGroups { name, groups, usage_files })
}

fn read_boot(file: File) -> Result<Boot, StartError> {
    // Most are read at once.
    let mut text = Vec::with_capacity(USUAL_BOOT);
    file.take(MAX_BOOT).read_to_end(&mut text).map_err(StartError::ReadBoot)?;
    serde_json::from_slice(&text).map_err(StartError::Boot)
}
