//! A root file system from packages of Debian, by mmdebstrap.
//!
//! The scripts of packages run as root in a chroot, so the whole bootstrap runs in mount, process, IPC and host name
//! namespaces of its own: it sees no process of the host, its mounts vanish with it, and it ends as a whole when the
//! future is dropped or this process dies, even by SIGKILL.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use pitlane_model::ImageName;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::error::PrepareImageError;
use crate::images::{Progress, cache, step};
use crate::recipe::{RELEASE, Recipe};
use crate::sources::Sources;
use crate::transcript::Transcript;

/// Services are often started without the folders of the administrator's programs.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// Process 1 of the bootstrap's namespace. Standard input is a pipe that nobody writes to: it ends with the process
/// that holds the other end, and then everything in the namespace ends.
const PROCESS_1: &str = r#"
exec 3<&0 </dev/null 2>&1
mmdebstrap "$@" &
bootstrap=$!
{ cat >/dev/null; kill -KILL "$bootstrap"; } <&3 &
wait "$bootstrap"
"#;

/// Whether a program is where an administrator's programs are.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    PATH.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// Makes `rootfs` in `folder`.
pub(crate) async fn run(
    image: &ImageName,
    recipe: &Recipe,
    folder: &Path,
    progress: &mpsc::Sender<Progress>,
) -> Result<(), PrepareImageError> {
    step(progress, "asking apt for its sources");
    let sources = Sources::of_host().await?;
    let hooks = folder.join("recipe");
    write_files(recipe, &hooks)?;
    let arguments = arguments(recipe, &sources, &hooks, &folder.join("rootfs"));

    let program = "unshare";
    let mut command = Command::new(program);
    command
        .args(["--mount", "--propagation", "private", "--mount-proc", "--pid", "--fork"])
        .args(["--kill-child", "--ipc", "--uts", "--", "sh", "-c", PROCESS_1, "sh"])
        .args(arguments)
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("TMPDIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let failed = |cause| PrepareImageError::Program { program, cause };
    let mut child = command.spawn().map_err(failed)?;
    // Held open until the end: see PROCESS_1. Waiting for a child would close it.
    let held = child.stdin.take();
    let mut transcript = Transcript::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).await.map_err(failed)? > 0 {
            let text = String::from_utf8_lossy(&line);
            if let Some(told) = transcript.read(text.trim_end()) {
                // A full channel drops steps: the work does not wait for whoever watches it.
                drop(progress.try_send(told));
            }
            line.clear();
        }
    }
    let status = child.wait().await.map_err(failed)?;
    drop(held);
    if !status.success() {
        let output = transcript.last_words();
        return Err(PrepareImageError::Bootstrap { image: image.clone(), status, output });
    }
    std::fs::remove_dir_all(&hooks).map_err(cache("remove", &hooks))
}

fn write_files(recipe: &Recipe, hooks: &Path) -> Result<(), PrepareImageError> {
    std::fs::create_dir(hooks).map_err(cache("make the folder", hooks))?;
    for file in recipe.files {
        let path = hooks.join(file.name);
        std::fs::write(&path, file.text).map_err(cache("write", &path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .map_err(cache("write", &path))?;
    }
    Ok(())
}

fn arguments(recipe: &Recipe, sources: &Sources, hooks: &Path, rootfs: &Path) -> Vec<OsString> {
    let text = |option: &str, value: &str| OsString::from(format!("{option}={value}"));
    let mut arguments = vec![
        OsString::from("--verbose"),
        OsString::from("--mode=root"),
        OsString::from("--format=directory"),
        text("--variant", recipe.variant),
        text("--include", &recipe.packages().collect::<Vec<_>>().join(",")),
        // Everything is synced at the end, at once.
        text("--dpkgopt", "force-unsafe-io"),
    ];
    arguments.extend(recipe.exclusions().map(|exclusion| text("--dpkgopt", &exclusion)));
    arguments.extend(sources.options.iter().map(|option| text("--aptopt", option)));
    arguments.extend(recipe.hooks.iter().map(|(when, file)| {
        let mut hook = OsString::from(format!("{when}="));
        hook.push(hooks.join(file));
        hook
    }));
    arguments.push(OsString::from(RELEASE));
    arguments.push(OsStr::new(rootfs).to_owned());
    arguments.extend(sources.lines.iter().map(OsString::from));
    arguments
}
