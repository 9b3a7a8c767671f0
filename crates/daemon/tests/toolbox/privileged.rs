//! What needs root: another user's rights, and control groups.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use http::StatusCode;
use serde_json::json;

use crate::daemon::{Daemon, is_running, until};

/// A daemon of root's whose sandbox belongs to nobody, with a work folder for that user.
fn of_nobody(flags: &[&str]) -> Daemon {
    let daemon = Daemon::start_with(&json!({"user": "nobody"}), flags);
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(daemon.folder(), everybody).expect("a mode");
    daemon
}

#[tokio::test]
async fn commands_have_the_users_ids_and_no_capabilities() {
    let daemon = of_nobody(&[]);
    let command = "id -un; id -G | cut -d' ' -f1; grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status; echo $HOME $USER";
    let answer = daemon.execute(command).await;
    let group = daemon.execute("id -g").await;
    let none = "0000000000000000";
    let wanted = format!(
        "nobody\n{}CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}\n/nonexistent nobody\n",
        group["result"].as_str().expect("a group")
    );
    assert_eq!(answer, json!({"exitCode": 0, "result": wanted}));
}

#[tokio::test]
async fn a_folder_that_the_user_may_not_enter_is_none_to_start_in() {
    let daemon = of_nobody(&[]);
    std::fs::create_dir(daemon.path("closed")).expect("a folder");
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(daemon.path("closed"), closed).expect("a mode");
    let body = json!({"command": "pwd", "cwd": "closed"});
    let (_, answer) = daemon.post("/process/execute", &body).await;
    assert_eq!(answer["exitCode"], -1, "{answer}");
}

#[tokio::test]
async fn files_are_touched_with_the_users_rights_even_through_links() {
    let daemon = of_nobody(&[]);
    std::fs::write(daemon.path("secret"), "root's own").expect("a file");
    std::fs::set_permissions(daemon.path("secret"), std::fs::Permissions::from_mode(0o600))
        .expect("a mode");
    symlink("secret", daemon.path("link")).expect("a link");
    for target in ["/files/download?path=secret", "/files/download?path=link"] {
        let (status, answer) = daemon.call("GET", target).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::FORBIDDEN, &json!("FILE_ACCESS_DENIED")),
            "{target}"
        );
    }
    for (method, target) in [
        ("POST", "/files/folder?path=/etc/pitlane-test&mode=755"),
        ("DELETE", "/files?path=/etc/hostname"),
        ("POST", "/files/permissions?path=secret&mode=666"),
        ("POST", "/files/permissions?path=/etc/hostname&owner=nobody"),
        ("POST", "/files/move?source=/etc/hostname&destination=/tmp/pitlane-test"),
        ("GET", "/files?path=/root"),
        ("GET", "/files/download?path=/proc/self/environ"),
        ("GET", "/files/download?path=/proc/self/mem"),
    ] {
        let (status, answer) = daemon.call(method, target).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{target}: {answer}");
    }
    let (status, _) = daemon.call("POST", "/files/folder?path=mine&mode=755").await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, info) = daemon.call("GET", "/files/info?path=mine").await;
    let id = daemon.execute("id -u").await["result"].as_str().expect("an id").trim().to_owned();
    assert_eq!(info["owner"], id);
}

#[tokio::test]
async fn the_users_processes_cannot_look_into_the_daemon() {
    let daemon = of_nobody(&[]);
    let id = daemon.id();
    let command = format!(
        "cat /proc/{id}/environ; ls /proc/{id}/fd; cat /proc/{id}/mem; readlink /proc/{id}/exe; kill -STOP {id}"
    );
    let answer = daemon.execute(&format!("({command}) 2>/dev/null")).await;
    assert_eq!(answer["result"], "");
}

/// A control group that is removed with its value.
struct Group(PathBuf);

impl Group {
    fn make() -> Self {
        let mounts = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists());
        let mount = mount.expect("a hierarchy of control groups");
        let folder = tempfile::Builder::new().prefix("pitlane-daemon-test-").tempdir_in(mount);
        Self(folder.expect("a group").keep())
    }

    /// How many groups of commands there are. One more than commands is made ahead.
    fn commands(&self) -> usize {
        let entries = std::fs::read_dir(&self.0).expect("a group").flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.count().saturating_sub(1)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            std::fs::remove_dir(entry.path()).ok();
        }
        std::fs::remove_dir(&self.0).ok();
    }
}

#[tokio::test]
async fn nothing_that_a_command_started_escapes_its_group() {
    let group = Group::make();
    let daemon = of_nobody(&["--command-group", group.0.to_str().expect("a path")]);
    // Twice away from its parent, in a session of its own, and for ever forking.
    let orphan =
        "setsid sh -c '(setsid sh -c \"echo \\$\\$ > orphan; while :; do sleep 0.01; done\" &)' &";
    let command = format!("{orphan} while [ ! -s orphan ]; do :; done; sleep 1000");
    let body = json!({"command": command, "timeout": 2});
    let (status, answer) = daemon.post("/process/execute", &body).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT, "{answer}");
    assert!(!is_running(&daemon.text("orphan")));
    until("its group is gone", || group.commands() == 0).await;
}

#[tokio::test]
async fn a_commands_group_goes_when_the_last_of_its_processes_has() {
    let group = Group::make();
    let daemon = of_nobody(&["--command-group", group.0.to_str().expect("a path")]);
    let answer = daemon.execute("(while [ ! -e go ]; do sleep 0.01; done; echo > gone) & cat /proc/self/cgroup | grep -c command-").await;
    assert_eq!(answer["exitCode"], 0, "{answer}");
    until("the next group is there", || group.commands() == 1).await;
    std::fs::write(daemon.path("go"), "").expect("a file");
    until("the background process has ended", || daemon.path("gone").exists()).await;
    // Looked at again after each command.
    let mut left = 1;
    while left > 0 {
        daemon.execute("true").await;
        left = group.commands();
    }
}
