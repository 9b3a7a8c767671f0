//! Sparse files: where they hold something, and copies that keep their holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

/// The first part at or after `position` that holds something; `None` when nothing but a hole is left.
pub(super) fn next_data(file: &File, position: u64) -> io::Result<Option<Range<u64>>> {
    match seek(file, SeekFrom::Data(position)) {
        Ok(start) => Ok(Some(start..seek(file, SeekFrom::Hole(start))?)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies what a sparse file holds, and leaves the holes holes.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_data(&File::open(from)?, &File::create_new(to)?, &|| false)
}

/// Lets an empty file share what another one holds, whatever its size; false where the file systems cannot.
pub(super) fn share(source: &File, target: &File) -> io::Result<bool> {
    match ioctl_ficlone(target, source) {
        Ok(()) => Ok(true),
        // Another file system, one that cannot, or a file that cannot.
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
            Ok(false)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// How much is copied before it is asked again whether to give up.
const PIECE_BYTES: u64 = 16 << 20;

/// Copies what a sparse file holds into an empty one. Ends with [`io::ErrorKind::Interrupted`] when `is_given_up` says so.
pub(super) fn copy_data(
    source: &File,
    target: &File,
    is_given_up: &dyn Fn() -> bool,
) -> io::Result<()> {
    ftruncate(target, source.metadata()?.len())?;
    let mut position = 0;
    while let Some(data) = next_data(source, position)? {
        let mut at = data.start;
        while at < data.end {
            if is_given_up() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            at = copy_piece(source, target, at, PIECE_BYTES.min(data.end - at))?;
        }
        position = data.end;
    }
    Ok(())
}

/// Copies at most `length` bytes, at least one, and answers where the next piece begins.
fn copy_piece(source: &File, target: &File, at: u64, length: u64) -> io::Result<u64> {
    let (mut read_at, mut write_at) = (at, at);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    match copy_file_range(source, Some(&mut read_at), target, Some(&mut write_at), wanted) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(read_at),
        // The two are on file systems of different kinds.
        Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
            let mut piece = vec![0; wanted.min(1 << 20)];
            let read = source.read_at(&mut piece, at)?;
            let read_piece = piece.get(..read).filter(|piece| !piece.is_empty());
            target.write_all_at(read_piece.ok_or(io::ErrorKind::UnexpectedEof)?, at)?;
            Ok(at.saturating_add(u64::try_from(read).unwrap_or(0)))
        }
        Err(errno) => Err(errno.into()),
    }
}
