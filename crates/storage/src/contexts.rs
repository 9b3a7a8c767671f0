//! All contexts.
//!
//! An index in memory knows every context; the name of its file is its only record, and its file's times say when it
//! came and when it was last used. What an index forgets is removed when nobody reads it any more.
//!
//!     contexts/drafts/…                              removed by every start
//!     contexts/ORGANIZATION/HASH.ETAG.SERIAL.tar     a context; of two with one hash, the later one

mod adoption;
mod shelf;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane_model::{OrganizationId, Timestamp};

use self::shelf::Shelf;
use crate::context::{Context, Stored};
use crate::draft::Draft;
use crate::error::{FinishError, OpenContextsError, ReceiveError, RemoveContextError};
use crate::etag::Etag;
use crate::intake::{Intake, Received, blocking};
use crate::key::{ContextHash, ContextKey};
use crate::limits::ContextLimits;
use crate::room::{Room, has_disk_for};
use crate::scratch::{Scratch, remove};

/// The build contexts of all organizations. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Contexts(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    limits: ContextLimits,
    room: Arc<Room>,
    shelf: Mutex<Shelf>,
    /// Tells files apart.
    serial: AtomicU64,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What was put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tidied {
    /// Contexts that nobody had used for long.
    pub contexts: usize,
    /// Uploads that were left alone.
    pub uploads: usize,
}

impl Contexts {
    /// Takes over a folder, which is made if it is not there, and removes what is not whole. Blocks.
    ///
    /// # Errors
    ///
    /// [`OpenContextsError`]: the folder cannot be used.
    pub fn open(
        folder: PathBuf,
        limits: ContextLimits,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, OpenContextsError> {
        let room = Arc::new(Room::new(&limits));
        let shelf = Mutex::new(adoption::adopt(&folder, &room)?);
        let serial = AtomicU64::new(u64::try_from(now().as_micros()).unwrap_or(0));
        Ok(Self(Arc::new(Inner { folder, limits, room, shelf, serial, now: Box::new(now) })))
    }

    /// How much there may be.
    #[must_use]
    pub fn limits(&self) -> &ContextLimits {
        &self.0.limits
    }

    /// The context that an organization has under a hash, for somebody who is going to read it: its file stays for as
    /// long as the answer does. A text that is no hash finds nothing.
    #[must_use]
    pub fn context(&self, organization: OrganizationId, hash: &str) -> Option<Context> {
        let key = ContextKey { organization, hash: hash.parse().ok()? };
        self.find(&key)
    }

    /// The context of a key. Finding it is a use.
    #[must_use]
    pub fn find(&self, key: &ContextKey) -> Option<Context> {
        let found = self.shelf().find(key)?;
        found.0.used.store(self.now().as_micros(), Ordering::Relaxed);
        Some(found)
    }

    /// The contexts of an organization behind `after`, in the order of their hashes, at most `limit`. This uses all of
    /// them.
    #[must_use]
    pub fn list(
        &self,
        organization: OrganizationId,
        after: Option<&ContextHash>,
        limit: usize,
    ) -> Vec<Context> {
        let found = self.shelf().list(organization, after, limit);
        let now = self.now().as_micros();
        found.iter().for_each(|each| each.0.used.store(now, Ordering::Relaxed));
        found
    }

    /// Begins to take a context, of which so many bytes are expected.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: nothing was begun.
    pub async fn receive(
        &self,
        key: ContextKey,
        expected: Option<u64>,
    ) -> Result<Draft, ReceiveError> {
        let intake = self.intake(key.organization, expected).await?;
        Ok(Draft { contexts: self.clone(), key, intake })
    }

    /// Removes a context. One that there is not is removed.
    ///
    /// # Errors
    ///
    /// [`RemoveContextError`]: a restart may bring it back.
    pub async fn remove(&self, key: &ContextKey) -> Result<(), RemoveContextError> {
        let Some(organization) = self.shelf().condemn(key) else { return Ok(()) };
        let this = self.clone();
        let removed = blocking(move || {
            this.bury();
            sync_folder(&this.folder_of(organization))
        });
        removed.await.map_err(RemoveContextError)
    }

    /// Removes what nobody used for long, what belongs to organizations that are gone, and uploads that were left alone;
    /// writes down what was used when. Blocks.
    #[must_use]
    pub fn tidy(&self, is_there: impl Fn(OrganizationId) -> bool) -> Tidied {
        let now = self.now();
        let (tidied, forgotten, used) = self.shelf().tidy(now, &self.0.limits, is_there);
        drop(forgotten);
        used.iter().for_each(|each| each.note_use());
        drop(used);
        self.bury();
        tidied
    }

    /// Begins to take bytes, with room for what is expected.
    pub(crate) async fn intake(
        &self,
        organization: OrganizationId,
        expected: Option<u64>,
    ) -> Result<Intake, ReceiveError> {
        let maximum = self.0.limits.context_bytes;
        if expected.is_some_and(|expected| expected > maximum) {
            return Err(ReceiveError::TooLarge { maximum });
        }
        let this = self.clone();
        let bytes = expected.unwrap_or(0);
        let begun = blocking(move || {
            let lacking = this.0.room.lacks(organization, bytes);
            if lacking > 0 {
                this.make_room(organization, lacking);
            }
            let mut room = this.0.room.reserve(organization);
            if let Err(refused) = room.grow(bytes) {
                return Ok(Err(refused));
            }
            if !has_disk_for(&this.0.folder, bytes)? {
                return Ok(Err(ReceiveError::DiskFull));
            }
            let name = format!("{:016x}", this.next_serial());
            let scratch = Scratch::create(this.0.folder.join(adoption::DRAFTS).join(name))?;
            Ok(Ok(Intake::new(scratch, expected, maximum, room)))
        });
        begun.await?
    }

    /// Gives what was received its name, and its key to it.
    pub(crate) async fn place(
        &self,
        key: ContextKey,
        etag: Etag,
        received: Received,
        only_if_absent: bool,
    ) -> Result<Context, FinishError> {
        let this = self.clone();
        blocking(move || Ok(this.place_now(key, etag, received, only_if_absent))).await?
    }

    /// Like [`Self::place`], on a thread that may wait.
    pub(crate) fn place_now(
        &self,
        key: ContextKey,
        etag: Etag,
        received: Received,
        only_if_absent: bool,
    ) -> Result<Context, FinishError> {
        pitlane_fault::point("context.received");
        if only_if_absent && self.shelf().find(&key).is_some() {
            return Err(FinishError::Taken);
        }
        let folder = self.folder_of(key.organization);
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder)?;
            sync_folder(&self.0.folder)?;
        }
        let serial = self.next_serial();
        let path = folder.join(format!("{}.{etag}.{serial:016x}.tar", key.hash));
        received.scratch.name(&path)?;
        sync_folder(&folder)?;
        pitlane_fault::point("context.named");
        let now = self.now();
        let used = AtomicI64::new(now.as_micros());
        let stored = Stored {
            key,
            path,
            bytes: received.bytes,
            etag,
            modified: now,
            noted: AtomicI64::new(now.as_micros()),
            used,
            _room: received.room,
        };
        let placed = self.shelf().put(stored, &self.0.limits, now, only_if_absent);
        self.bury();
        placed
    }

    /// Removes the files that no key has and nobody reads.
    fn bury(&self) {
        let dead = self.shelf().dead();
        for stored in dead {
            remove(&stored.path);
        }
    }

    /// Gives up what an organization has not used for the longest time, except what it has just used.
    fn make_room(&self, organization: OrganizationId, lacking: u64) {
        let now = self.now();
        self.shelf().make_room(organization, lacking, now);
        self.bury();
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0.now)()
    }

    pub(crate) fn next_serial(&self) -> u64 {
        self.0.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn folder_of(&self, organization: OrganizationId) -> PathBuf {
        self.0.folder.join(organization.to_string())
    }
}

/// Makes the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
