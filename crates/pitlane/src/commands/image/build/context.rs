//! A folder as one archive, for a build.
//!
//! Equal folders are equal archives, whenever they were written and by whom: names in order, no times, no owners. So a
//! folder that has not changed is not uploaded again, and what was built from it is found.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Seek as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use indicatif::ProgressBar;
use pitlane_client::ContextArchive;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::failure::{Doing as _, Failure};

/// How much is sent at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// An archive in a file without a name.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) archive: ContextArchive,
    file: File,
}

/// Packs everything in a folder: files, folders and symbolic links as such. Whatever else there is is refused.
pub(super) fn pack(folder: &Path) -> Result<Packed, Failure> {
    let file = tempfile::tempfile().doing("cannot make a temporary file")?;
    let mut builder = Builder::new(BufWriter::new(Hashed { file, hash: Sha256::new(), bytes: 0 }));
    add_all(&mut builder, folder, Path::new(""))
        .doing(format!("cannot read {}", folder.display()))?;
    let finished = builder.into_inner().and_then(|buffer| {
        let mut hashed = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        hashed.file.rewind()?;
        Ok(hashed)
    });
    let Hashed { file, hash, bytes } = finished.doing("cannot write a temporary file")?;
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Packed { archive: ContextArchive { sha256, bytes }, file })
}

fn add_all<W: Write>(builder: &mut Builder<W>, folder: &Path, name: &Path) -> io::Result<()> {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder.join(name))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = name.join(entry.file_name());
        let metadata = entry.metadata()?;
        let path = entry.path();
        let named =
            |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
        add(builder, &path, &name, &metadata).map_err(named)?;
        if metadata.is_dir() {
            add_all(builder, folder, &name)?;
        }
    }
    Ok(())
}

fn add<W: Write>(
    builder: &mut Builder<W>,
    path: &Path,
    name: &Path,
    metadata: &Metadata,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o7777);
    header.set_size(0);
    let kind = metadata.file_type();
    if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        builder.append_data(&mut header, name, io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        builder.append_link(&mut header, name, std::fs::read_link(path)?)
    } else if kind.is_file() {
        let file = File::open(path)?;
        header.set_size(metadata.len());
        builder.append_data(&mut header, name, Exactly { file, left: metadata.len() })
    } else {
        Err(io::Error::other("it is neither a file nor a folder nor a symbolic link"))
    }
}

impl Packed {
    /// Its bytes; the bar shows how many have been taken.
    pub(super) fn stream(self, bar: ProgressBar) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let file = tokio::fs::File::from_std(self.file);
        stream::try_unfold(file, |mut file| async move {
            use tokio::io::AsyncReadExt as _;
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            let read = file.read_buf(&mut chunk).await?;
            Ok((read > 0).then(|| (chunk.freeze(), file)))
        })
        .inspect(move |piece| {
            if let Ok(piece) = piece {
                bar.inc(u64::try_from(piece.len()).unwrap_or(0));
            }
        })
    }
}

/// A file as long as it was. One that grows meanwhile is cut, one that shrinks is an error.
#[derive(Debug)]
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = match buffer.get_mut(..room) {
            Some(room) if !room.is_empty() => self.file.read(room)?,
            Some(_) | None => return Ok(0),
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter"));
        }
        self.left -= u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

/// A file whose bytes are counted and hashed as they are written.
#[derive(Debug)]
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if let Some(written) = bytes.get(..count) {
            self.hash.update(written);
        }
        self.bytes += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        for name in ["b", "a", "sub/c"] {
            std::fs::write(at(name), name).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o640)).unwrap();
        }
        symlink("../nowhere", at("link")).unwrap();
        folder
    }

    #[test]
    fn equal_folders_are_equal_archives() {
        let (first, second) = (tree(), tree());
        let packed = pack(first.path()).unwrap();
        assert_eq!(packed.archive, pack(second.path()).unwrap().archive);
        let mut archive = tar::Archive::new(packed.file);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a", "b", "link", "sub", "sub/c"]);
        std::fs::write(second.path().join("a"), "else").unwrap();
        assert_ne!(packed.archive, pack(second.path()).unwrap().archive);
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let folder = tree();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        let refused = pack(folder.path()).unwrap_err().reason();
        assert!(refused.contains("/s: it is neither"), "{refused}");
    }
}
