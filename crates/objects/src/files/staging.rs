//! Files without names, in which what is written waits to be uploaded.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, fstatvfs, openat};
use rustix::io::Errno;

/// The longest file that can be written.
pub(crate) const LONGEST_FILE: u64 = 16 << 30;
/// How much of the disk is looked after at a time.
const STEP: u64 = 8 << 20;
/// What is left of the disk in any case.
const RESERVE: u64 = 1 << 30;

/// The folder that they are in, and how much all of them take.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: OwnedFd,
    taken: Rc<Cell<u64>>,
    most: u64,
}

/// A file without a name; it goes with this value.
#[derive(Debug)]
pub(super) struct StagedFile {
    file: File,
    size: u64,
    taken: Rc<Cell<u64>>,
    /// The tag of the object that it is a copy of, as long as nothing else was written to it.
    pub(super) copy_of: Option<String>,
}

impl Staging {
    /// Takes a folder, for at most so many bytes.
    pub(crate) fn new(folder: OwnedFd, most: u64) -> Self {
        Self { folder, taken: Rc::default(), most }
    }

    /// An empty file.
    pub(super) fn file(&self) -> Result<StagedFile, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(&self.folder, ".", flags, Mode::RUSR | Mode::WUSR)?;
        let taken = Rc::clone(&self.taken);
        Ok(StagedFile { file: file.into(), size: 0, taken, copy_of: None })
    }

    /// Gives a file another size.
    pub(super) fn resize(&self, staged: &mut StagedFile, size: u64) -> Result<(), Errno> {
        if size > LONGEST_FILE {
            return Err(Errno::FBIG);
        }
        self.make_room(staged, size)?;
        staged.file.set_len(size).map_err(|cause| errno(&cause))?;
        staged.count(size);
        Ok(())
    }

    /// Writes to a file, behind its end as well.
    pub(super) fn write(
        &self,
        staged: &mut StagedFile,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let length = u64::try_from(data.len()).map_err(|_large| Errno::FBIG)?;
        let end = offset.checked_add(length).filter(|end| *end <= LONGEST_FILE);
        let end = end.ok_or(Errno::FBIG)?.max(staged.size);
        self.make_room(staged, end)?;
        staged.file.write_all_at(data, offset).map_err(|cause| errno(&cause))?;
        staged.count(end);
        Ok(())
    }

    fn make_room(&self, staged: &StagedFile, size: u64) -> Result<(), Errno> {
        let more = size.saturating_sub(staged.size);
        if more > self.most.saturating_sub(self.taken.get()) {
            return Err(Errno::NOSPC);
        }
        if size.checked_div(STEP) == staged.size.checked_div(STEP) {
            return Ok(());
        }
        let disk = fstatvfs(self.folder.as_fd())?;
        let available = disk.f_bavail.saturating_mul(disk.f_frsize);
        let twentieth = disk.f_blocks.saturating_mul(disk.f_frsize).checked_div(20).unwrap_or(0);
        if available < RESERVE.min(twentieth).saturating_add(more.min(STEP)) {
            return Err(Errno::NOSPC);
        }
        Ok(())
    }
}

impl StagedFile {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Reads up to so many bytes; fewer at the end.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut data = vec![0; rest.min(length)];
        self.file.read_exact_at(&mut data, offset).map_err(|cause| errno(&cause))?;
        Ok(data)
    }

    fn count(&mut self, size: u64) {
        let others = self.taken.get().saturating_sub(self.size);
        self.taken.set(others.saturating_add(size));
        self.size = size;
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        self.taken.set(self.taken.get().saturating_sub(self.size));
    }
}

fn errno(cause: &std::io::Error) -> Errno {
    Errno::from_io_error(cause).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{LONGEST_FILE, Staging};

    #[test]
    fn files_take_what_they_may_and_give_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::new(std::fs::File::open(folder.path()).unwrap().into(), 1000);
        let mut one = staging.file().unwrap();
        staging.write(&mut one, 10, b"abc").unwrap();
        assert_eq!(one.read(8, 100).unwrap(), b"\0\0abc");
        assert_eq!(one.read(13, 100).unwrap(), b"");
        assert_eq!(one.read(u64::MAX, 100).unwrap(), b"");
        let mut two = staging.file().unwrap();
        assert_eq!(staging.resize(&mut two, 988), Err(Errno::NOSPC));
        staging.resize(&mut two, 987).unwrap();
        assert_eq!(staging.write(&mut one, 13, b"d"), Err(Errno::NOSPC));
        drop(two);
        staging.write(&mut one, 13, b"d").unwrap();
        assert_eq!(staging.resize(&mut one, LONGEST_FILE + 1), Err(Errno::FBIG));
        assert_eq!(staging.write(&mut one, u64::MAX, b"d"), Err(Errno::FBIG));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
