//! The binary as it is shipped: optimized, with the daemon inside.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// What the daemon is built for: without a C library, a program starts half a millisecond sooner.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// Where musl's target cannot be had: the same program with the C library inside.
const GNU: &str = "x86_64-unknown-linux-gnu";

/// Builds the daemon and then the binary around it; prints the binary's path.
///
/// # Errors
///
/// What failed; the compiler has said why by then.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let daemon = daemon(root, true)?;
    let size = std::fs::metadata(&daemon).context("cannot see the daemon that was built")?.len();
    ensure!(size > 0, "the daemon that was built is empty");
    let mut cargo = cargo(root, ["build", "--release", "--package", "pitlane"]);
    run(cargo.env("PITLANE_EMBEDDED_DAEMON", &daemon))?;
    print(&root.join("target/release/pitlane"))
}

/// Builds the daemon and prints its path.
///
/// # Errors
///
/// What failed; the compiler has said why by then.
pub(crate) fn build_daemon(root: &Path, release: bool) -> anyhow::Result<()> {
    print(&daemon(root, release)?)
}

fn daemon(root: &Path, release: bool) -> anyhow::Result<PathBuf> {
    let root = root.canonicalize().context("cannot find the repository")?;
    let target = if has_musl()? { MUSL } else { GNU };
    let mut cargo = cargo(&root, ["build", "--package", "pitlane-daemon", "--target", target]);
    if release {
        cargo.arg("--release");
    }
    if target == GNU {
        // For this target alone: build scripts and the other programs stay as they are.
        cargo
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    }
    run(&mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    let built = root.join("target").join(target).join(profile).join("pitlane-daemon");
    ensure!(built.is_file(), "cargo built no {}", built.display());
    Ok(built)
}

/// Whether programs can be built for musl, after trying to make it so.
fn has_musl() -> anyhow::Result<bool> {
    let listed = command("rustup", ["target", "list", "--installed"]).output();
    let Ok(listed) = listed else { return Ok(false) };
    if String::from_utf8_lossy(&listed.stdout).lines().any(|target| target == MUSL) {
        return Ok(true);
    }
    let added = command("rustup", ["target", "add", MUSL])
        .stdin(Stdio::null())
        .status()
        .context("cannot start rustup")?;
    if !added.success() {
        writeln!(
            std::io::stderr(),
            "xtask: the target {MUSL} cannot be had here; the daemon will hold the GNU C library instead"
        )?;
    }
    Ok(added.success())
}

fn cargo<const N: usize>(root: &Path, arguments: [&str; N]) -> Command {
    let mut cargo = command("cargo", arguments);
    cargo.current_dir(root);
    cargo
}

#[expect(clippy::disallowed_methods, reason = "automation starts the tools a person would start")]
fn command<const N: usize>(program: impl AsRef<OsStr>, arguments: [&str; N]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // Standard output is for the path alone.
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} failed: {status}", command.get_program().display());
    }
    Ok(())
}

fn print(path: &Path) -> anyhow::Result<()> {
    let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    writeln!(std::io::stdout(), "{}", path.display()).context("cannot write to standard output")
}
