//! What fresh disks are copies of: formatted once per size and network, with the files that depend on that.

use std::fs::{File, Permissions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{DiskError, file_error, remove_draft};

/// What decides whether two fresh disks are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blank {
    /// Its size.
    pub(crate) gib: u32,
    /// Who answers names; `None` without a network.
    pub(crate) resolver: Option<Ipv4Addr>,
}

impl Blank {
    /// The template's name in its folder: `GIB.RESOLVER.blank`.
    fn name(self) -> String {
        let resolver = self.resolver.map_or_else(|| String::from("none"), |it| it.to_string());
        format!("{}.{resolver}.blank", self.gib)
    }

    /// The formatted file in `folder`, made when it is not there yet.
    pub(super) fn template(self, folder: &Path) -> Result<PathBuf, DiskError> {
        let name = self.name();
        let path = folder.join(&name);
        if path.exists() {
            return Ok(path);
        }
        let thread = std::thread::current().id();
        let draft = folder.join(format!("{name}.{thread:?}.draft"));
        let contents = folder.join(format!("{name}.{thread:?}.contents"));
        let made = self
            .write_contents(&contents)
            .map_err(file_error("make", &contents))
            .and_then(|()| format(&draft, self.gib, &contents));
        remove_draft(&contents);
        pitlane_fault::point("disk.template-drafted");
        let made = made
            .and_then(|()| std::fs::rename(&draft, &path).map_err(file_error("rename", &draft)));
        if made.is_err() {
            remove_draft(&draft);
        }
        made.map(|()| path)
    }

    /// The upper layer with what no image can know, and the folder that the overlay works in.
    fn write_contents(self, contents: &Path) -> io::Result<()> {
        let resolver = match self.resolver {
            Some(address) => format!("nameserver {address}\noptions timeout:3 attempts:2\n"),
            None => String::from("# This sandbox has no network.\n"),
        };
        let etc = contents.join("upper/etc");
        let work = contents.join("work");
        std::fs::create_dir_all(&etc)?;
        std::fs::create_dir_all(&work)?;
        // Whatever the server's umask is.
        for folder in [&contents.join("upper"), &etc, &work] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        }
        for (name, text) in [
            ("resolv.conf", resolver.as_str()),
            ("hostname", "sandbox\n"),
            ("hosts", "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost\n"),
        ] {
            let path = etc.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        }
        Ok(())
    }
}

/// Makes a file of `gib` GiB with a file system that holds copies of `contents`.
fn format(path: &Path, gib: u32, contents: &Path) -> Result<(), DiskError> {
    let file = File::create(path).map_err(file_error("make", path))?;
    file.set_len(u64::from(gib) << 30).map_err(file_error("make", path))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "formatting is done once per size, ahead of any sandbox"
    )]
    let output = std::process::Command::new("mkfs.ext4")
        // No journal: what a sandbox wrote does not survive a power cut half-way anyway, and a journal would cost
        // space, time and a kernel thread each. No reserved blocks: nothing in it belongs to the host's root.
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-i", "16384"])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-d"])
        .arg(contents)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(file_error("run mkfs.ext4 on", path))?;
    if !output.status.success() {
        return Err(DiskError::Format {
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    file.sync_all().map_err(file_error("sync", path))
}
