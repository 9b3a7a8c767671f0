//! What the server and the launcher say to each other.
//!
//! One connection of a message socket carries one request and its reply. Requests are JSON, since a launcher may be
//! older than the server that speaks to it; descriptors travel beside them in a fixed order.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use pitlane_sys::Entrance;
use serde::{Deserialize, Serialize};

/// The protocol's generation; part of the socket's name, so that two never meet.
pub(crate) const GENERATION: u32 = 1;
/// Tells a program's file from another under the same name, such as the one before an upgrade.
pub(super) fn identity(program: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(program)?;
    Ok(format!("{}:{}:{}.{:09}", file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
}

/// The longest message, in bytes.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "request")]
pub(crate) enum Request {
    /// Makes a user namespace; the reply carries it.
    UserNamespace {
        /// The host's id of its id 0.
        first: u32,
        /// How many ids it has.
        count: u32,
    },
    /// Makes a cgroup namespace whose root is the group that comes along (cgroup v2); the reply carries it.
    GroupView,
    /// Starts process 1 of a sandbox; carries [`LaunchDescriptors`], the reply carries a pidfd.
    Launch {
        /// The sandbox.
        id: String,
        /// Its host name.
        host_name: String,
        /// How many files for commands there are.
        command_files: usize,
        /// How many `tasks` files come last (cgroup v1); with none, a cgroup v2 folder and a
        /// cgroup namespace do.
        tasks: usize,
    },
    /// Starts a process that attaches volumes in a sandbox that has just been launched; carries a pipe on which it tells
    /// what failed and one mount for each path, the reply carries its pidfd. It is collected under `name`.
    Attach {
        /// The sandbox.
        id: String,
        /// What the process is called.
        name: String,
        /// The host's id of the sandbox's id 0.
        first_id: u32,
        /// Where the mounts are to be.
        paths: Vec<String>,
    },
    /// Asks for the pidfd of a running sandbox.
    Open {
        /// The sandbox.
        id: String,
    },
    /// Asks how a sandbox ended, and forgets it.
    Collect {
        /// The sandbox.
        id: String,
    },
    /// Lists the sandboxes that run or have not been collected.
    List {
        /// Those whose id is greater than this.
        after: String,
    },
    /// Keeps the descriptor that comes along under a name, replacing what was kept.
    Keep {
        /// The name.
        name: String,
    },
    /// Asks for a kept descriptor.
    Recall {
        /// The name.
        name: String,
    },
    /// Asks which program the launcher runs.
    Identify,
    /// Ends the launcher, if it has no sandboxes.
    Quit,
}

/// A reply.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "reply")]
pub(crate) enum Reply {
    /// Done; descriptors may come along.
    Done,
    /// Process 1 runs.
    Launched {
        /// Its process id, in the launcher's namespace.
        pid: i32,
    },
    /// How the sandbox ended.
    Ended {
        /// How.
        how: EndedAs,
    },
    /// Sandboxes that run or have not been collected, in order; more may follow the last.
    Listed {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The program, as [`identity`] tells it.
    Identified {
        /// Its identity.
        program: String,
    },
    /// There is no such sandbox or name.
    Unknown,
    /// It failed.
    Failed {
        /// The failed step, for the log.
        why: String,
    },
}

/// How process 1 of a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EndedAs {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Everything a sandbox is made of, prepared ahead; moves into its process 1.
#[derive(Debug)]
pub(crate) struct LaunchDescriptors {
    /// The root file system: a detached overlay.
    pub(crate) root: OwnedFd,
    /// `/dev`: a detached tmpfs with the usual nodes.
    pub(crate) devices: OwnedFd,
    /// `/dev/pts`.
    pub(crate) terminals: OwnedFd,
    /// `/dev/shm`.
    pub(crate) shared_memory: OwnedFd,
    /// The user namespace.
    pub(crate) users: OwnedFd,
    /// The network namespace.
    pub(crate) network: OwnedFd,
    /// The daemon's listening socket.
    pub(crate) listener: OwnedFd,
    /// The write end of the pipe on which the daemon, or what fails before it, reports.
    pub(crate) hello: OwnedFd,
    /// The daemon's boot configuration.
    pub(crate) boot: OwnedFd,
    /// The daemon's program.
    pub(crate) daemon: OwnedFd,
    /// The group of commands: a detached mount of a cgroup folder, in which the daemon makes one group per command.
    pub(crate) commands: OwnedFd,
    /// What the daemon needs beside it, in the order of the handshake: `tasks` files of the hierarchies that have no
    /// group per command (cgroup v1), then the file that counts what was killed for want of memory.
    pub(crate) command_files: Vec<OwnedFd>,
    /// How process 1 enters its group.
    pub(crate) entrance: Entrance,
    /// The cgroup namespace, where it is not rooted in process 1's own group (cgroup v2).
    pub(crate) group_view: Option<OwnedFd>,
}

impl LaunchDescriptors {
    /// The descriptors in the order in which they travel.
    pub(crate) fn borrow(&self) -> Vec<BorrowedFd<'_>> {
        let mut all = vec![
            self.root.as_fd(),
            self.devices.as_fd(),
            self.terminals.as_fd(),
            self.shared_memory.as_fd(),
            self.users.as_fd(),
            self.network.as_fd(),
            self.listener.as_fd(),
            self.hello.as_fd(),
            self.boot.as_fd(),
            self.daemon.as_fd(),
            self.commands.as_fd(),
        ];
        all.extend(self.command_files.iter().map(OwnedFd::as_fd));
        match &self.entrance {
            Entrance::Tasks(files) => all.extend(files.iter().map(OwnedFd::as_fd)),
            Entrance::Folder(folder) => all.push(folder.as_fd()),
        }
        all.extend(self.group_view.iter().map(OwnedFd::as_fd));
        all
    }

    /// How many `tasks` files process 1 enters.
    pub(crate) const fn tasks(&self) -> usize {
        match &self.entrance {
            Entrance::Tasks(files) => files.len(),
            Entrance::Folder(_) => 0,
        }
    }

    /// Takes back what [`Self::borrow`] sent; `None` when the number is wrong.
    pub(crate) fn from_received(
        command_files: usize,
        tasks: usize,
        received: Vec<OwnedFd>,
    ) -> Option<Self> {
        // Version 2 of control groups: a folder and a namespace.
        let groups = if tasks == 0 { 2 } else { tasks };
        let expected = 11usize.checked_add(command_files)?.checked_add(groups)?;
        if received.len() != expected {
            return None;
        }
        let mut all = received.into_iter();
        Some(Self {
            root: all.next()?,
            devices: all.next()?,
            terminals: all.next()?,
            shared_memory: all.next()?,
            users: all.next()?,
            network: all.next()?,
            listener: all.next()?,
            hello: all.next()?,
            boot: all.next()?,
            daemon: all.next()?,
            commands: all.next()?,
            command_files: all.by_ref().take(command_files).collect(),
            entrance: if tasks == 0 {
                Entrance::Folder(all.next()?)
            } else {
                Entrance::Tasks(all.by_ref().take(tasks).collect())
            },
            group_view: all.next(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::{EndedAs, GENERATION, Reply, Request};

    /// When this fails, a launcher and a server of different builds may misunderstand each other, as they meet in every
    /// upgrade: decide whether [`GENERATION`] must grow.
    #[test]
    fn generation_1_looks_like_this() {
        let text = String::from;
        let requests = [
            Request::UserNamespace { first: 65_536, count: 65_536 },
            Request::GroupView,
            Request::Launch {
                id: text("slot-3"),
                host_name: text("sandbox"),
                command_files: 3,
                tasks: 4,
            },
            Request::Attach {
                id: text("slot-3"),
                name: text("slot-3.volumes"),
                first_id: 65_536,
                paths: vec![text("/data")],
            },
            Request::Open { id: text("slot-3") },
            Request::Collect { id: text("slot-3") },
            Request::List { after: text("slot-3") },
            Request::Keep { name: text("router") },
            Request::Recall { name: text("router") },
            Request::Identify,
            Request::Quit,
        ];
        let replies = [
            Reply::Done,
            Reply::Launched { pid: 7 },
            Reply::Ended { how: EndedAs::Code(3) },
            Reply::Ended { how: EndedAs::Signal(9) },
            Reply::Listed { ids: vec![text("slot-3")] },
            Reply::Identified { program: text("1:2:3.000000004") },
            Reply::Unknown,
            Reply::Failed { why: text("clone3") },
        ];
        let wanted = json!([
            {"request": "userNamespace", "first": 65_536, "count": 65_536},
            {"request": "groupView"},
            {"request": "launch", "id": "slot-3", "host_name": "sandbox", "command_files": 3, "tasks": 4},
            {"request": "attach", "id": "slot-3", "name": "slot-3.volumes", "first_id": 65_536, "paths": ["/data"]},
            {"request": "open", "id": "slot-3"},
            {"request": "collect", "id": "slot-3"},
            {"request": "list", "after": "slot-3"},
            {"request": "keep", "name": "router"},
            {"request": "recall", "name": "router"},
            {"request": "identify"},
            {"request": "quit"},
            {"reply": "done"},
            {"reply": "launched", "pid": 7},
            {"reply": "ended", "how": {"code": 3}},
            {"reply": "ended", "how": {"signal": 9}},
            {"reply": "listed", "ids": ["slot-3"]},
            {"reply": "identified", "program": "1:2:3.000000004"},
            {"reply": "unknown"},
            {"reply": "failed", "why": "clone3"},
        ]);
        let requests = requests.iter().map(|request| to_value(request).unwrap());
        let replies = replies.iter().map(|reply| to_value(reply).unwrap());
        assert_eq!((GENERATION, Value::from_iter(requests.chain(replies))), (1, wanted));
    }

    #[test]
    fn a_launcher_understands_a_server_that_says_more() {
        let request = json!({"request": "open", "id": "slot-3", "mood": "good"});
        let request: Request = serde_json::from_value(request).unwrap();
        assert!(matches!(request, Request::Open { id } if id == "slot-3"));
    }
}
