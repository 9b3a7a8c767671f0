//! Language servers of another user, in control groups. Needs root.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use http::StatusCode;
use serde_json::json;

use super::{Sandbox, completion, document, server, start, with_servers_and};
use crate::daemon::{is_running, until};

/// Servers of nobody's, who may write into the project.
fn of_nobody(misdeed: &str, flags: &[&str]) -> Sandbox {
    let sandbox = with_servers_and(misdeed, &json!({"user": "nobody"}), flags);
    let folders =
        [sandbox.folder().to_owned(), sandbox.path("project"), sandbox.programs.path().to_owned()];
    for folder in folders {
        std::fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("a mode");
    }
    sandbox
}

#[tokio::test]
async fn servers_and_documents_have_the_users_rights() {
    let daemon = of_nobody("", &[]);
    std::fs::write(daemon.path("project/secret.py"), "root's own").expect("a file");
    let mode = Permissions::from_mode(0o600);
    std::fs::set_permissions(daemon.path("project/secret.py"), mode).expect("a mode");
    std::os::unix::fs::symlink("/etc/shadow", daemon.path("project/link.py")).expect("a link");
    start(&daemon).await;
    for name in ["secret.py", "link.py", "../../../etc/shadow"] {
        let uri = format!("file://{name}");
        let refused = [
            daemon.post("/lsp/did-open", &document(&uri)).await,
            daemon.post("/lsp/completions", &completion(&uri, 0, 0)).await,
        ];
        for (status, answer) in refused {
            assert_ne!(status, StatusCode::OK, "{name}: {answer}");
            assert!(!answer.to_string().contains("root's own"), "{name}: {answer}");
        }
    }
    let found = "/lsp/workspacesymbols?languageId=python&pathToProject=project&query=own";
    let (status, answer) = daemon.call("GET", found).await;
    assert!(status == StatusCode::OK && !answer.to_string().contains("root's"), "{answer}");
    // What the server itself has written.
    let owner = std::fs::metadata(daemon.path("project/told")).expect("a file").uid();
    assert_ne!(owner, 0);
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
async fn what_a_server_started_cannot_hide_from_its_stop() {
    let group = Group::make();
    let daemon = of_nobody("daemon", &["--command-group", group.0.to_str().expect("a path")]);
    start(&daemon).await;
    until("its child has left it", || daemon.path("project/child").exists()).await;
    let child = daemon.text("project/child");
    assert!(is_running(&child));
    let (status, _) = daemon.post("/lsp/stop", &server("python")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!is_running(&child));
    assert_eq!(daemon.running(), 0);
}
