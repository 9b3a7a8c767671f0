//! What server and daemon say to each other while a sandbox starts.
//!
//! The daemon inherits a file or pipe, reads its boot configuration ([`Boot`]) from it up to the end, however long that
//! takes, and answers with one line of JSON ([`Hello`]) on another inherited pipe once it can be reached. Either side may be older than the other: unknown fields are ignored, absent
//! ones have their defaults, and what a daemon can do is a list of words, not a version to be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The generation of this protocol and of the toolbox behind it. It grows when an older side would misunderstand.
pub const PROTOCOL: u32 = 1;

/// The number of the inherited descriptor on which the daemon accepts connections: a listening Unix stream socket.
pub const LISTENER_DESCRIPTOR: i32 = 3;
/// The number of the inherited pipe on which the daemon says [`Hello`]; it is closed after that.
pub const HELLO_DESCRIPTOR: i32 = 4;
/// The number of the inherited file from which the daemon reads [`Boot`].
pub const BOOT_DESCRIPTOR: i32 = 5;
/// The number of the inherited folder of a control group in which the daemon makes one group for each command; only
/// with [`Boot::command_group`]. The files of [`CommandGroup::other_tasks`] have the numbers that follow.
pub const COMMAND_GROUP_DESCRIPTOR: i32 = 6;

/// What a daemon is told before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Boot {
    /// The sandbox's id: `DAYTONA_SANDBOX_ID` of every process.
    pub sandbox_id: String,
    /// The snapshot it was made from: `DAYTONA_SANDBOX_SNAPSHOT` of every process.
    pub snapshot: String,
    /// Whom commands and file operations belong to: a name of the image's `/etc/passwd` or a user id, and after a colon
    /// the group's name or id when it is not the user's own. Empty means the user that the daemon itself runs as.
    pub user: String,
    /// Where relative paths and commands start; the user's home folder without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<String>,
    /// Variables of every process.
    pub env: BTreeMap<String, String>,
    /// The image's own program and its arguments, which runs beside everything else; none when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The control groups for commands, when descriptors for them come along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_group: Option<CommandGroup>,
}

/// Which descriptors of control groups a daemon has inherited, from [`COMMAND_GROUP_DESCRIPTOR`] on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandGroup {
    /// How many `tasks` files of other hierarchies follow the folder: every command enters all of them.
    pub other_tasks: u32,
    /// Whether one more file follows them: the one in which the kernel counts what it killed for want of memory.
    pub memory_events: bool,
    /// The names of files that follow those: what the workload may use, and uses, as the kernel says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage_files: Vec<String>,
}

/// What a daemon says when it accepts requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The generation it speaks: [`PROTOCOL`] as it was when it was built.
    pub protocol: u32,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub daemon_version: String,
    /// What it can do, one word each.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Boot, CommandGroup, Hello, PROTOCOL};

    /// When this fails, an older daemon or server may misunderstand: decide whether [`PROTOCOL`] must grow.
    #[test]
    fn generation_1_looks_like_this() {
        let boot = Boot {
            sandbox_id: String::from("0b6ecb4e-0000-4000-8000-000000000000"),
            snapshot: String::from("debian"),
            user: String::from("daytona"),
            work_dir: Some(String::from("/srv")),
            env: [(String::from("A"), String::from("b"))].into(),
            entrypoint: vec![String::from("/serve"), String::from("-v")],
            command_group: Some(CommandGroup {
                other_tasks: 2,
                memory_events: true,
                usage_files: vec![String::from("memory.stat")],
            }),
        };
        let hello = Hello {
            protocol: PROTOCOL,
            daemon_version: String::from("0.1.0"),
            capabilities: vec![String::from("execute")],
        };
        assert_eq!(
            json!({"boot": boot, "hello": hello}),
            json!({
                "boot": {
                    "sandboxId": "0b6ecb4e-0000-4000-8000-000000000000",
                    "snapshot": "debian",
                    "user": "daytona",
                    "workDir": "/srv",
                    "env": {"A": "b"},
                    "entrypoint": ["/serve", "-v"],
                    "commandGroup": {
                        "otherTasks": 2, "memoryEvents": true, "usageFiles": ["memory.stat"],
                    },
                },
                "hello": {"protocol": 1, "daemonVersion": "0.1.0", "capabilities": ["execute"]},
            })
        );
    }

    #[test]
    fn a_daemon_understands_a_server_that_says_less_or_more() {
        let boot: Boot = serde_json::from_value(json!({"user": "u", "mood": 1})).unwrap();
        assert_eq!(boot, Boot { user: String::from("u"), ..Boot::default() });
    }

    #[test]
    fn a_server_understands_a_daemon_that_says_less_or_more() {
        let hello: Hello =
            serde_json::from_value(json!({"protocol": 9, "daemonVersion": "9.0.0", "x": {}}))
                .unwrap();
        let wanted =
            Hello { protocol: 9, daemon_version: String::from("9.0.0"), capabilities: Vec::new() };
        assert_eq!(hello, wanted);
    }
}
