//! What is too long of all logs for memory: one file without a name, on the sandbox's disk.
//!
//! It belongs to the sandbox's user and counts as the sandbox's use of its disk. It never takes the last of the disk:
//! what a command says must not keep it from writing its files. What nobody can ask for any more is given back.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatvfs, sendfile};
use rustix::io::{Errno, pread};

use tokio::net::unix::pipe::Receiver;

use crate::files::Files;

/// Blocks begin here, so that each can be given back on its own.
const ALIGNMENT: u64 = 4096;
/// What stays free of the disk: a sixteenth of it, within these.
const LEAST_FREE: u64 = 32 << 20;
const MOST_FREE: u64 = 1 << 30;
const FREE_SHARE: u64 = 16;
/// What is moved from a pipe before others have their turn, and each piece of it. The first one is not shorter: what is
/// known of blocks takes memory.
const MOST_POURED: u64 = 2 << 20;
const POURED_AT_ONCE: usize = 256 << 10;
const LEAST_POURED: usize = 16 << 10;
/// What readers of logs may have in their hands, all together and each.
const MOST_IN_HANDS: usize = 8 << 20;
const LEAST_IN_HAND: usize = 16 << 10;
pub(super) const MOST_IN_HAND: usize = 512 << 10;

/// The file, and how much of all logs is in memory.
#[derive(Debug, Clone)]
pub(super) struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    file: Mutex<Option<Arc<File>>>,
    end: Mutex<u64>,
    in_memory: AtomicUsize,
    readers: AtomicUsize,
    /// Why the disk took nothing when it was last asked.
    refusal: Mutex<Option<String>>,
}

/// Somebody who reads a log at a pace of its own, until this is dropped.
#[derive(Debug)]
pub(super) struct Reader(Spool);

/// A place in the file, until [`Spool::give_back`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    offset: u64,
    length: u64,
}

/// What came out of a pipe.
#[derive(Debug, Default)]
pub(super) struct Poured {
    /// How much of it was written.
    pub(super) count: u64,
    /// What came after that and was not.
    pub(super) rest: Bytes,
    /// Why the disk takes no more.
    pub(super) refusal: Option<String>,
}

impl Spool {
    pub(super) fn new(files: Files) -> Self {
        let shared = Shared {
            files,
            file: Mutex::default(),
            end: Mutex::default(),
            in_memory: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
            refusal: Mutex::default(),
        };
        Self(Arc::new(shared))
    }

    /// Writes pieces one after the other.
    pub(super) async fn write(&self, pieces: Vec<Bytes>) -> Result<Block, String> {
        let spool = self.clone();
        let written = self.0.files.run(move || spool.write_here(&pieces)).await;
        let written = written.map_err(|error| error.to_string());
        let written = written.and_then(|written| written.map_err(|error| error.to_string()));
        self.set_refusal(written.as_ref().err().cloned());
        written
    }

    pub(super) fn set_refusal(&self, reason: Option<String>) {
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why the disk took nothing when it was last asked, unless it has room again.
    pub(super) fn refusal(&self) -> Option<String> {
        let mut refusal = self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if refusal.is_some() && file.is_some_and(|file| has_room(&file, 0).unwrap_or(false)) {
            *refusal = None;
        }
        refusal.clone()
    }

    /// Says that somebody reads.
    pub(super) fn reader(&self) -> Reader {
        self.0.readers.fetch_add(1, Ordering::Relaxed);
        Reader(self.clone())
    }

    /// Bytes of logs that are in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.0.in_memory.load(Ordering::Relaxed)
    }

    pub(super) fn add_memory(&self, bytes: usize) {
        self.0.in_memory.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn remove_memory(&self, bytes: usize) {
        self.0.in_memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn write_here(&self, pieces: &[Bytes]) -> io::Result<Block> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let file = self.file_with_room(length)?;
        let block = self.take_room(length, None);
        let offset = block.offset;
        let mut at = offset;
        for piece in pieces {
            if let Err(error) = file.write_all_at(piece, at) {
                block.punch(&file);
                return Err(error);
            }
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(block)
    }

    /// Room for so much at the end of the file: right behind `last` if that is there, otherwise where it can be given back
    /// on its own.
    fn take_room(&self, length: u64, last: Option<Block>) -> Block {
        let mut end = self.0.end.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = last.is_some_and(|last| last.end() == *end);
        let offset = if is_last { *end } else { end.next_multiple_of(ALIGNMENT) };
        *end = offset.saturating_add(length);
        Block { offset, length }
    }

    /// Writes what comes out of a pipe, until it is empty or has given [`MOST_POURED`]. After each piece `written` gets the
    /// place of it, which is right behind `last` where possible; it is dropped before the answer.
    ///
    /// Goes on when the future is dropped, and `written` hears of it all the same.
    pub(super) async fn pour(
        &self,
        pipe: Arc<Receiver>,
        last: Option<Block>,
        written: impl FnMut(Block) + Send + 'static,
    ) -> Poured {
        let spool = self.clone();
        let poured = self.0.files.run(move || spool.pour_here(&pipe, last, written)).await;
        let poured = poured.unwrap_or_else(|error| Poured {
            refusal: Some(error.to_string()),
            ..Poured::default()
        });
        self.set_refusal(poured.refusal.clone());
        poured
    }

    fn pour_here(
        &self,
        pipe: &Receiver,
        mut last: Option<Block>,
        mut written: impl FnMut(Block),
    ) -> Poured {
        let mut poured = Poured::default();
        let mut buffer = vec![0; POURED_AT_ONCE];
        while poured.count < MOST_POURED {
            let file = match self.file_with_room(count(buffer.len())) {
                Ok(file) => file,
                Err(error) => {
                    poured.refusal = Some(error.to_string());
                    break;
                }
            };
            let (piece, is_empty) = fill(pipe, &mut buffer);
            if piece.is_empty() {
                break;
            }
            if piece.len() < LEAST_POURED && poured.count == 0 {
                poured.rest = Bytes::copy_from_slice(piece);
                break;
            }
            let block = self.take_room(count(piece.len()), last);
            if let Err(error) = file.write_all_at(piece, block.offset) {
                block.punch(&file);
                poured.rest = Bytes::copy_from_slice(piece);
                poured.refusal = Some(error.to_string());
                break;
            }
            poured.count = poured.count.saturating_add(block.length);
            last = Some(block);
            written(block);
            if is_empty {
                break;
            }
        }
        poured
    }

    /// Puts a part of a block into a socket that does not block, from the kernel's cache where it is there: as much as it
    /// takes at this moment.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the other end of the socket has gone.
    pub(super) async fn send(
        &self,
        block: Block,
        from: u64,
        most: usize,
        socket: Arc<OwnedFd>,
    ) -> io::Result<usize> {
        let spool = self.clone();
        let sending = self.0.files.run(move || spool.send_here(block, from, most, &socket));
        sending.await.map_err(io::Error::other)?
    }

    /// The same without waiting for a thread, for what is in the kernel's cache: this thread waits for anything else.
    pub(super) fn send_here(
        &self,
        block: Block,
        from: u64,
        most: usize,
        socket: &OwnedFd,
    ) -> io::Result<usize> {
        let file = self.file()?;
        let mut offset = block.offset.saturating_add(from);
        let mut sent: usize = 0;
        while sent < most {
            match sendfile(socket, &file, Some(&mut offset), most.saturating_sub(sent)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => sent = sent.saturating_add(more),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(sent)
    }

    /// Reads a part of a block, or what there is of it.
    pub(super) async fn read(&self, block: Block, from: u64, most: usize) -> Result<Bytes, String> {
        let spool = self.clone();
        let read = self.0.files.run(move || spool.read_here(block, from, most)).await;
        read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn read_here(&self, block: Block, from: u64, most: usize) -> io::Result<Bytes> {
        let left = usize::try_from(block.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let wanted = most.min(left);
        let mut bytes = Vec::with_capacity(wanted);
        let file = self.file()?;
        while bytes.len() < wanted {
            let at = from.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let at = block.offset.saturating_add(at);
            // More than is wanted may be had: the room can be larger, and so can the file.
            match pread(&file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        bytes.truncate(wanted);
        Ok(bytes.into())
    }

    /// Frees the room of blocks that nobody reads any more.
    pub(super) fn give_back(&self, blocks: Vec<Block>) {
        if blocks.is_empty() {
            return;
        }
        let spool = self.clone();
        // All of a log at once: there is only so much room for what is to be done later.
        self.0.files.run_later(move || {
            if let Ok(file) = spool.file() {
                blocks.into_iter().for_each(|block| block.punch(&file));
            }
        });
    }

    fn file_with_room(&self, length: u64) -> io::Result<Arc<File>> {
        let file = self.file()?;
        if has_room(&file, length)? {
            Ok(file)
        } else {
            Err(io::Error::other("the sandbox's disk is almost full"))
        }
    }

    fn file(&self) -> io::Result<Arc<File>> {
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        match &*file {
            Some(file) => Ok(Arc::clone(file)),
            None => {
                let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
                let made = rustix::fs::open(c"/tmp", flags, Mode::from_raw_mode(0o600))
                    .map_err(|errno| io::Error::other(format!("cannot use /tmp: {errno}")))?;
                let made = Arc::new(File::from(made));
                *file = Some(Arc::clone(&made));
                Ok(made)
            }
        }
    }
}

/// Reads what there is; whether that was all.
fn fill<'a>(pipe: &Receiver, buffer: &'a mut [u8]) -> (&'a [u8], bool) {
    let (mut filled, mut is_empty) = (0_usize, false);
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match rustix::io::read(pipe, room) {
            Err(Errno::INTR) => {}
            Ok(count) if count > 0 => filled = filled.saturating_add(count),
            // Nothing is there, or the end: whoever waits for more finds the same.
            Ok(_) | Err(_) => {
                is_empty = true;
                break;
            }
        }
    }
    (buffer.get(..filled).unwrap_or_default(), is_empty)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whether there is room for so much beside what stays free.
fn has_room(file: &File, length: u64) -> io::Result<bool> {
    let disk = fstatvfs(file)?;
    let reserve = (disk.f_blocks / FREE_SHARE).saturating_mul(disk.f_frsize);
    let reserve = reserve.clamp(LEAST_FREE, MOST_FREE);
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(length) >= reserve)
}

impl Reader {
    /// How much to take into the hand at once. Slow ones hold it for long, and may be many.
    pub(super) fn share(&self) -> usize {
        let readers = self.0.0.readers.load(Ordering::Relaxed).max(1);
        MOST_IN_HANDS.checked_div(readers).unwrap_or_default().clamp(LEAST_IN_HAND, MOST_IN_HAND)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Block {
    const fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// Both as one, if `next` is right behind this one.
    pub(super) fn join(self, next: Self) -> Option<Self> {
        let length = self.length.saturating_add(next.length);
        (self.end() == next.offset).then_some(Self { offset: self.offset, length })
    }

    pub(super) const fn length(self) -> u64 {
        self.length
    }

    fn punch(self, file: &File) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A file system that cannot do it gives the room back with the daemon's end.
        let end = self.end().next_multiple_of(ALIGNMENT);
        fallocate(file, flags, self.offset, end.saturating_sub(self.offset)).ok();
    }
}

#[cfg(test)]
impl Spool {
    pub(super) fn set_file(&self, file: File) {
        *self.0.file.lock().unwrap() = Some(Arc::new(file));
    }

    /// How much of the disk it takes.
    pub(super) fn blocks(&self) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&self.file().unwrap().metadata().unwrap())
    }
}
