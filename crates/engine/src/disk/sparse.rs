//! Sparse files: where they hold something, and copies that keep their holes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, seek};
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
    let source = File::open(from)?;
    let target = File::create_new(to)?;
    ftruncate(&target, source.metadata()?.len())?;
    let mut position = 0;
    while let Some(data) = next_data(&source, position)? {
        let (mut read_at, mut write_at) = (data.start, data.start);
        while read_at < data.end {
            let length = usize::try_from(data.end - read_at).unwrap_or(usize::MAX);
            if copy_file_range(&source, Some(&mut read_at), &target, Some(&mut write_at), length)?
                == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        position = data.end;
    }
    Ok(())
}
