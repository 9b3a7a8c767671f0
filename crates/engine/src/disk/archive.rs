//! A disk as one compressed file: what the sparse file holds, and where. The file system in it is not looked at.
//!
//! Inside the compression: [`MAGIC`], the size of the disk, then parts, each its offset, its length and its bytes, and
//! at the end a part without length. Numbers have eight bytes, the lowest first. The compression carries a checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::sparse;

const MAGIC: &[u8; 16] = b"pitlane disk 01\n";
/// What is compressed or written at once; nobody waits longer than for this after it was given up.
const PIECE_BYTES: usize = 1 << 20;
/// Fast, and half the size of what most disks hold.
const LEVEL: i32 = 3;

/// Writes the disk at `disk` to a new file at `archive`, synced; gives up when `is_given_up` says so.
pub(super) fn pack(disk: &Path, archive: &Path, is_given_up: &dyn Fn() -> bool) -> io::Result<()> {
    let disk = File::open(disk)?;
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(archive)?;
    let mut packed = zstd::Encoder::new(file, LEVEL)?;
    packed.include_checksum(true)?;
    packed.write_all(MAGIC)?;
    packed.write_all(&disk.metadata()?.len().to_le_bytes())?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut position = 0;
    while let Some(data) = sparse::next_data(&disk, position)? {
        position = data.start;
        while position < data.end {
            if is_given_up() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = usize::try_from(data.end - position).unwrap_or(PIECE_BYTES);
            let piece = piece.get_mut(..length.min(PIECE_BYTES)).unwrap_or_default();
            disk.read_exact_at(piece, position)?;
            let length = piece.len() as u64;
            packed.write_all(&position.to_le_bytes())?;
            packed.write_all(&length.to_le_bytes())?;
            packed.write_all(piece)?;
            position += length;
        }
    }
    packed.write_all(&[0; 16])?;
    packed.finish()?.sync_all()
}

/// Writes the disk in `archive` to a new file at `disk`, synced; gives up when `is_given_up` says so.
pub(super) fn unpack(
    archive: &Path,
    disk: &Path,
    is_given_up: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut packed = zstd::Decoder::new(BufReader::new(File::open(archive)?))?;
    let mut magic = [0; MAGIC.len()];
    packed.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(invalid("it does not begin like an archived disk"));
    }
    let size = number(&mut packed)?;
    let disk = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(disk)?;
    disk.set_len(size)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let (offset, length) = (number(&mut packed)?, number(&mut packed)?);
        if length == 0 {
            break;
        }
        if is_given_up() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let fits = offset.checked_add(length).is_some_and(|end| end <= size);
        let piece = usize::try_from(length).ok().and_then(|length| piece.get_mut(..length));
        let Some(piece) = piece.filter(|_| fits) else {
            return Err(invalid("a part lies outside of the disk"));
        };
        packed.read_exact(piece)?;
        disk.write_all_at(piece, offset)?;
    }
    // Reads on to the checksum.
    if packed.read(&mut [0])? > 0 {
        return Err(invalid("something follows the end"));
    }
    disk.sync_all()
}

fn number(packed: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    packed.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> bool {
        false
    }

    #[test]
    fn a_disk_comes_back_with_its_holes_and_takes_less_room_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let [disk, archive, again] =
            ["disk", "archive", "again"].map(|name| folder.path().join(name));
        let file = File::create(&disk).unwrap();
        file.set_len(3 << 30).unwrap();
        let long = vec![b'x'; 3 * PIECE_BYTES / 2];
        file.write_all_at(&long, 5 << 20).unwrap();
        file.write_all_at(b"the end", (3 << 30) - 7).unwrap();

        pack(&disk, &archive, &never).unwrap();
        assert!(std::fs::metadata(&archive).unwrap().len() < 10_000);
        unpack(&archive, &again, &never).unwrap();

        let again = File::open(again).unwrap();
        assert_eq!(again.metadata().unwrap().len(), 3 << 30);
        assert!(std::os::unix::fs::MetadataExt::blocks(&again.metadata().unwrap()) * 512 < 8 << 20);
        let mut found = vec![0; long.len() + 1];
        again.read_exact_at(&mut found, 5 << 20).unwrap();
        assert_eq!((&found[..long.len()], found[long.len()]), (&*long, 0));
        let mut found = [0; 7];
        again.read_exact_at(&mut found, (3 << 30) - 7).unwrap();
        assert_eq!(&found, b"the end");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [disk, archive, again] =
            ["disk", "archive", "again"].map(|name| folder.path().join(name));
        std::fs::write(&disk, vec![b'x'; 100_000]).unwrap();
        pack(&disk, &archive, &never).unwrap();
        let whole = std::fs::read(&archive).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            std::fs::write(&archive, damaged).unwrap();
            let is_same = unpack(&archive, &again, &never).is_ok()
                && std::fs::read(&again).unwrap() == vec![b'x'; 100_000];
            // One bit of the frame's header says nothing; whatever is taken is what it was.
            assert!(unpack(&archive, &again, &never).is_err() || is_same, "byte {place}");
            std::fs::write(&archive, &whole[..place]).unwrap();
            assert!(unpack(&archive, &again, &never).is_err(), "{place} bytes");
        }
    }

    #[test]
    fn what_is_given_up_ends() {
        let folder = tempfile::tempdir().unwrap();
        let [disk, archive] = ["disk", "archive"].map(|name| folder.path().join(name));
        std::fs::write(&disk, vec![b'x'; 100_000]).unwrap();
        let given_up = pack(&disk, &archive, &|| true).unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::Interrupted);
    }
}
