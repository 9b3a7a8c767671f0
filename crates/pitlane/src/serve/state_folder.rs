//! The folder of what survives a restart, which one server has at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::failure::{Doing as _, Failure};
use crate::settings::Settings;

/// Where the first key is kept, in the state folder.
pub(crate) const KEY_FILE: &str = "admin-key";

/// Where the server's address is kept, in the state folder.
pub(crate) const ADDRESS_FILE: &str = "api-url";

/// Where the server's own secret is kept, in the state folder: 64 digits from 0 to f.
const SECRET_FILE: &str = "server-secret";

/// The database, in the state folder.
pub(crate) const DATABASE_FILE: &str = "pitlane.db";

/// Where a server with these settings has its sockets.
pub(crate) fn run_folder(settings: &Settings) -> PathBuf {
    let derived = || {
        let state = settings.state.canonicalize().unwrap_or_else(|_absent| settings.state.clone());
        Path::new("/run/pitlane").join(id_of(&state))
    };
    settings.run.clone().unwrap_or_else(derived)
}

/// Twelve letters and digits that tell one folder's traces on the machine from another's; the same every time.
fn id_of(path: &Path) -> String {
    let id = Sha256::digest(path.as_os_str().as_bytes());
    id.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// How long a server that was killed may seem to hold its folder.
const LINGER: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Takes the lock of a folder. A process that a server was just starting when it was killed holds it for a moment.
fn take(lock: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < LINGER => {
                std::thread::park_timeout(PAUSE);
            }
            taken => return taken,
        }
    }
}

/// A state folder that belongs to this process until it ends.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    id: String,
    /// Held open: the kernel gives the lock up with it, however this process ends.
    _lock: File,
}

impl StateFolder {
    /// Makes the folder if there is none, and takes it.
    pub(crate) fn claim(path: &Path) -> Result<Self, Failure> {
        let at = |what: &str| format!("cannot {what} the state folder {}", path.display());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.doing(at("make"))
            .map_err(|failure| failure.hint("--state DIR takes another folder"))?;
        let path = path.canonicalize().doing(at("find"))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .doing(at("write to"))?;
        match take(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("another server uses the state folder {}", path.display());
                return Err(Failure::new(message)
                    .hint("stop that server, or give this one a folder of its own: --state DIR"));
            }
            Err(TryLockError::Error(cause)) => return Err(cause).doing(at("lock")),
        }
        let id = id_of(&path);
        Ok(Self { path, id, _lock: lock })
    }

    /// Its path, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells this folder's traces on the machine from another's.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Where the first key is kept.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join(KEY_FILE)
    }

    /// Keeps the first key, for its owner's eyes alone.
    pub(crate) fn keep_key(&self, key: &str) -> io::Result<()> {
        self.write(KEY_FILE, key, || pitlane_fault::point("state-file.key-drafted"))?;
        pitlane_fault::point("state-file.key-kept");
        Ok(())
    }

    /// Keeps the address that the server is reached under on this machine.
    pub(crate) fn keep_address(&self, url: &str) -> io::Result<()> {
        self.write(ADDRESS_FILE, url, || pitlane_fault::point("state-file.address-drafted"))?;
        pitlane_fault::point("state-file.address-kept");
        Ok(())
    }

    /// The server's own secret, which is made when there is none.
    pub(crate) fn secret(&self) -> Result<[u8; 32], Failure> {
        let path = self.path.join(SECRET_FILE);
        let at = |what: &str| format!("cannot {what} the server's secret in {}", path.display());
        match std::fs::read_to_string(&path) {
            Ok(text) => parse_secret(text.trim_end()).ok_or_else(|| {
                Failure::new(format!("{} is no secret of a server", path.display())).hint(
                    "bring it back from a backup, or remove it: signed addresses of files then end",
                )
            }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).doing(at("make"))?;
                let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
                let drafted = || pitlane_fault::point("state-file.secret-drafted");
                self.write(SECRET_FILE, &text, drafted).doing(at("keep"))?;
                pitlane_fault::point("state-file.secret-kept");
                Ok(secret)
            }
            Err(cause) => Err(cause).doing(at("read")),
        }
    }

    /// Writes a file so that whoever reads it sees the old text or the new one, whole.
    fn write(&self, name: &str, text: &str, drafted: impl FnOnce()) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        pitlane_fault::point("state-file.empty");
        writeln!(file, "{text}")?;
        file.sync_all()?;
        drafted();
        std::fs::rename(new, self.path.join(name))?;
        pitlane_fault::point("state-file.renamed");
        File::open(&self.path)?.sync_all()
    }
}

fn parse_secret(text: &str) -> Option<[u8; 32]> {
    let is_plain = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut secret = [0; 32];
    for (place, byte) in secret.iter_mut().enumerate().filter(|_| is_plain) {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    is_plain.then_some(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_server_on_one_folder_is_told_so() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let first = StateFolder::claim(&path).unwrap();
        let refused = StateFolder::claim(&path).unwrap_err().to_string();
        let wanted = format!(
            "error: another server uses the state folder {}\n\
             hint: stop that server, or give this one a folder of its own: --state DIR",
            first.path().display()
        );
        assert_eq!(refused, wanted);
        drop(first);
        StateFolder::claim(&path).unwrap();
    }

    #[test]
    fn the_key_is_for_its_owner_alone_and_so_is_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::claim(&parent.path().join("state")).unwrap();
        folder.keep_key("first").unwrap();
        folder.keep_key("second").unwrap();
        assert_eq!(std::fs::read_to_string(folder.key_file()).unwrap(), "second\n");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.key_file()), mode(folder.path())), (0o600, 0o700));
    }

    #[test]
    fn the_servers_secret_is_made_once_and_one_that_is_damaged_is_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let folder = StateFolder::claim(&path).unwrap();
        let secret = folder.secret().unwrap();
        assert_ne!(secret, [0; 32]);
        let file = path.join(SECRET_FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        drop(folder);
        let folder = StateFolder::claim(&path).unwrap();
        assert_eq!(folder.secret().unwrap(), secret);
        for damaged in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)]
        {
            std::fs::write(&file, damaged).unwrap();
            assert!(folder.secret().is_err(), "{damaged:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert_ne!(folder.secret().unwrap(), secret);
    }

    #[test]
    fn the_id_is_the_same_every_time_and_another_for_another_folder() {
        let parent = tempfile::tempdir().unwrap();
        let id =
            |name: &str| StateFolder::claim(&parent.path().join(name)).unwrap().id().to_owned();
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        assert!(id("a").len() == 12 && id("a").bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
