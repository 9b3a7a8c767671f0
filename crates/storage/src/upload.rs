//! Contexts that come in parts.
//!
//! Parts come in any order and at the same time, each to a file of its own; the first one becomes the archive, and the
//! others are copied behind it. A server that starts knows no uploads: clients begin again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pitlane_model::Timestamp;

use crate::context::Context;
use crate::contexts::Contexts;
use crate::error::{CompleteError, ReceiveError, UploadError};
use crate::etag::Etag;
use crate::intake::{Intake, Received, blocking};
use crate::key::ContextKey;

/// The highest number of a part.
const MAX_PART_NUMBER: u32 = 10_000;

/// The least that a part has which is not the last, in bytes.
const MIN_PART_BYTES: u64 = 5 << 20;

/// What is said of a part beside its bytes, by the name of who says it.
type Sums = BTreeMap<&'static str, String>;

/// An upload that is not finished.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: ContextKey,
    parts: Mutex<BTreeMap<u32, Arc<Part>>>,
    touched: AtomicI64,
    /// Set once its parts go into an archive, or away.
    is_over: AtomicBool,
}

/// A part that is whole and on disk.
#[derive(Debug)]
pub struct Part {
    number: u32,
    bytes: u64,
    digest: [u8; 16],
    modified: Timestamp,
    sums: Sums,
    /// Taken when it becomes part of the archive.
    received: Mutex<Option<Received>>,
}

/// A part as a client names it when it completes an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    /// Its number.
    pub number: u32,
    /// The tag that it was given.
    pub etag: Etag,
}

/// Reads an archive that was put together and says whether it is what a client has.
pub trait Verification: Send {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// Whether they were the right ones.
    fn is_right(self: Box<Self>) -> bool;
}

/// A part as it comes. Dropping it removes what has come.
#[derive(Debug)]
pub struct PartDraft {
    upload: Arc<Upload>,
    number: u32,
    intake: Intake,
    contexts: Contexts,
}

impl Contexts {
    /// Begins an upload in parts, and says what it is called.
    ///
    /// # Errors
    ///
    /// [`UploadError::TooMany`]: complete or abort others first.
    pub fn begin_upload(&self, key: ContextKey) -> Result<String, UploadError> {
        let maximum = self.limits().organization_uploads;
        let id = format!("{:016x}", self.next_serial());
        let upload = Upload {
            touched: AtomicI64::new(self.now().as_micros()),
            parts: Mutex::default(),
            is_over: AtomicBool::new(false),
            key,
        };
        let mut shelf = self.shelf();
        let organization = upload.key.organization;
        let count = shelf.uploads.values().filter(|it| it.key.organization == organization).count();
        if count >= maximum {
            return Err(UploadError::TooMany { maximum });
        }
        shelf.uploads.insert(id.clone(), Arc::new(upload));
        Ok(id)
    }

    /// Begins to take a part, in place of an earlier one with its number.
    ///
    /// # Errors
    ///
    /// [`UploadError`]: nothing was begun.
    pub async fn receive_part(
        &self,
        (key, id): (&ContextKey, &str),
        number: u32,
        expected: Option<u64>,
    ) -> Result<PartDraft, UploadError> {
        let upload = self.upload(key, id).ok_or(UploadError::NotFound)?;
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            return Err(UploadError::Number);
        }
        let intake = self.intake(key.organization, expected).await?;
        Ok(PartDraft { upload, number, intake, contexts: self.clone() })
    }

    /// The parts of an upload that are there, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`].
    pub fn parts(&self, key: &ContextKey, id: &str) -> Result<Vec<Arc<Part>>, UploadError> {
        let upload = self.upload(key, id).ok_or(UploadError::NotFound)?;
        Ok(upload.parts().values().cloned().collect())
    }

    /// Ends an upload without a context.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`].
    pub fn abort_upload(&self, key: &ContextKey, id: &str) -> Result<(), UploadError> {
        let upload = self.upload(key, id).ok_or(UploadError::NotFound)?;
        self.end(id, &upload).ok_or(UploadError::NotFound)?;
        Ok(())
    }

    /// Makes parts the context of the upload's key. The bytes are read again if there is somebody to verify them.
    ///
    /// Completing again what was just completed succeeds, for a client that did not hear of it. Dropping the future does
    /// not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`CompleteError`] of a list that is wrong leaves the upload as it was; of anything else, ends it.
    pub async fn complete_upload(
        &self,
        (key, id): (&ContextKey, &str),
        list: &[NamedPart],
        verification: Option<Box<dyn Verification>>,
        only_if_absent: bool,
    ) -> Result<Context, CompleteError> {
        let digests: Vec<[u8; 16]> = list.iter().filter_map(|part| part.etag.as_digest()).collect();
        let etag = Etag::of_parts(&digests);
        let Some(upload) = self.upload(key, id) else {
            let done = self.find(key).filter(|done| done.etag() == etag && !list.is_empty());
            return done.ok_or(CompleteError::NotFound);
        };
        let parts = upload.choose(list)?;
        self.end(id, &upload).ok_or(CompleteError::NotFound)?;
        drop(upload);
        let (contexts, key) = (self.clone(), key.clone());
        let completed = blocking(move || {
            let assembled = assemble(&parts, verification);
            Ok(assembled.and_then(|received| {
                Ok(contexts.place_now(key, etag, received, only_if_absent)?)
            }))
        });
        completed.await?
    }

    fn upload(&self, key: &ContextKey, id: &str) -> Option<Arc<Upload>> {
        let shelf = self.shelf();
        let upload = shelf.uploads.get(id).filter(|upload| upload.key == *key)?;
        upload.touched.store(self.now().as_micros(), Ordering::Relaxed);
        Some(Arc::clone(upload))
    }

    /// Takes an upload out; of two who try, one does.
    fn end(&self, id: &str, upload: &Upload) -> Option<()> {
        self.shelf().uploads.remove(id)?;
        upload.is_over.store(true, Ordering::SeqCst);
        // Parts that are still coming find that it is over, and go.
        let parts = std::mem::take(&mut *upload.parts());
        drop(parts);
        Some(())
    }
}

impl Upload {
    pub(crate) fn touched(&self) -> Timestamp {
        Timestamp::from_micros(self.touched.load(Ordering::Relaxed))
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The parts that a client names.
    fn choose(&self, list: &[NamedPart]) -> Result<Vec<Arc<Part>>, CompleteError> {
        let parts = self.parts();
        let mut chosen: Vec<Arc<Part>> = Vec::with_capacity(list.len().min(parts.len()));
        for named in list {
            let number = named.number;
            if chosen.last().is_some_and(|last| last.number >= number) {
                return Err(CompleteError::Order);
            }
            let part = parts.get(&number).filter(|part| part.etag() == named.etag);
            chosen.push(Arc::clone(part.ok_or(CompleteError::Part { number })?));
        }
        let Some((_, others)) = chosen.split_last() else {
            return Err(CompleteError::Part { number: 1 });
        };
        match others.iter().find(|part| part.bytes < MIN_PART_BYTES) {
            Some(part) => {
                Err(CompleteError::TooSmall { number: part.number, minimum: MIN_PART_BYTES })
            }
            None => Ok(chosen),
        }
    }
}

/// Puts parts behind each other, into the first one's file.
fn assemble(
    parts: &[Arc<Part>],
    verification: Option<Box<dyn Verification>>,
) -> Result<Received, CompleteError> {
    let mut taken = parts.iter().filter_map(|part| part.take());
    let gone = || io::Error::other("a part is gone");
    let mut whole = taken.next().ok_or_else(gone)?;
    let mut archive = OpenOptions::new().append(true).open(whole.scratch.path())?;
    let mut count = 1_usize;
    for part in taken {
        let mut source = File::open(part.scratch.path())?;
        let copied = io::copy(&mut source, &mut archive)?;
        if copied != part.bytes {
            return Err(io::Error::other("a part is not as long as it was").into());
        }
        whole.bytes = whole.bytes.saturating_add(part.bytes);
        whole.room.absorb(part.room);
        count = count.saturating_add(1);
        pitlane_fault::point("context.part-copied");
    }
    if count != parts.len() {
        return Err(gone().into());
    }
    archive.sync_all()?;
    if let Some(mut verification) = verification {
        let mut source = File::open(whole.scratch.path())?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = source.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            verification.update(buffer.get(..read).unwrap_or_default());
        }
        if !verification.is_right() {
            return Err(CompleteError::Checksum);
        }
    }
    Ok(whole)
}

impl Part {
    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What tells it from others with its number.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag::of_digest(self.digest)
    }

    /// When it came.
    #[must_use]
    pub fn modified(&self) -> Timestamp {
        self.modified
    }

    /// What was said of it beside its bytes.
    #[must_use]
    pub fn sums(&self) -> &BTreeMap<&'static str, String> {
        &self.sums
    }

    fn take(&self) -> Option<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PartDraft {
    /// Takes the next bytes. Dropping the future loses the draft: drop that as well.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]: nothing more comes of this draft.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ReceiveError> {
        self.intake.write(bytes).await
    }

    /// Makes it the part of its number, with what is to be said of it.
    ///
    /// # Errors
    ///
    /// [`UploadError`]: the number has what it had before.
    pub async fn finish(
        self,
        sums: BTreeMap<&'static str, String>,
    ) -> Result<Arc<Part>, UploadError> {
        let Self { upload, number, intake, contexts } = self;
        let received = intake.receive().await?;
        let now = contexts.now();
        let part = Arc::new(Part {
            number,
            bytes: received.bytes,
            digest: received.digest,
            modified: now,
            sums,
            received: Mutex::new(Some(received)),
        });
        let mut parts = upload.parts();
        if upload.is_over.load(Ordering::SeqCst) {
            return Err(UploadError::NotFound);
        }
        let total: u64 = parts.values().filter(|it| it.number != number).map(|it| it.bytes).sum();
        let maximum = contexts.limits().context_bytes;
        if total.saturating_add(part.bytes) > maximum {
            return Err(ReceiveError::TooLarge { maximum }.into());
        }
        upload.touched.store(now.as_micros(), Ordering::Relaxed);
        let replaced = parts.insert(number, Arc::clone(&part));
        drop(parts);
        drop(replaced);
        Ok(part)
    }
}

impl fmt::Display for NamedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.etag)
    }
}
