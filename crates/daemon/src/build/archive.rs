//! `ADD` of an archive: what is in it is written instead.

use std::io::{self, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pitlane_wire::build::{Entry, EntryKind};
use tar::{Archive, EntryType, Header};

use super::tree::Tree;
use crate::http::Refusal;

/// The length of a header, which is where an archive can be told from other files.
const HEADER: usize = 512;
/// The most entries of an archive.
const MAX_ENTRIES: usize = 500_000;
/// How much of a compressed file is looked at for the first header: what is compressed may begin with nothing, without end.
const MAX_PROBE: u64 = 256 << 10;

/// Unpacks an archive, and writes any other file as it is.
pub(super) fn unpack_or_write(
    tree: &mut Tree,
    entry: &Entry,
    name: &Path,
    contents: &mut impl Read,
) -> Result<(), Refusal> {
    let cut = |error: io::Error| Refusal::bad_request(format!("the files were cut off: {error}"));
    let head = read_some(contents, HEADER).map_err(cut)?;
    if is_header(&head) {
        return unpack(tree, Cursor::new(head).chain(contents));
    }
    match head.as_slice() {
        [0x1f, 0x8b, ..] => {
            let mut probed = head;
            contents.by_ref().take(MAX_PROBE).read_to_end(&mut probed).map_err(cut)?;
            // What only looks compressed is a file like any other.
            let first = read_some(&mut MultiGzDecoder::new(probed.as_slice()), HEADER);
            let first = first.unwrap_or_default();
            let mut whole = Cursor::new(probed).chain(contents);
            match is_header(&first) {
                true => unpack(tree, MultiGzDecoder::new(whole)),
                false => tree.write(entry, name, &mut whole),
            }
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(refused(&entry.path, "xz")),
        [b'B', b'Z', b'h', ..] => Err(refused(&entry.path, "bzip2")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(refused(&entry.path, "zstd")),
        _ => tree.write(entry, name, &mut Cursor::new(head).chain(contents)),
    }
}

fn refused(name: &str, format: &str) -> Refusal {
    Refusal::bad_request(format!(
        "ADD unpacks archives of tar and tar.gz, and {name} is of {format}: use COPY, and RUN tar"
    ))
}

/// Up to so many bytes.
fn read_some(input: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(most);
    input.by_ref().take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether bytes are the beginning of an archive: the sum in a header is right.
fn is_header(bytes: &[u8]) -> bool {
    let Ok(block) = <&[u8; HEADER]>::try_from(bytes) else { return false };
    let header = Header::from_byte_slice(block);
    let count = |(index, byte): (usize, &u8)| match (148..156).contains(&index) {
        true => u32::from(b' '),
        false => u32::from(*byte),
    };
    let sum = block.iter().enumerate().map(count).fold(0_u32, u32::saturating_add);
    block.iter().any(|byte| *byte != 0) && header.cksum().is_ok_and(|said| said == sum)
}

fn unpack(tree: &mut Tree, input: impl Read) -> Result<(), Refusal> {
    let broken = |error: io::Error| Refusal::bad_request(format!("the archive is broken: {error}"));
    tree.make_base()?;
    let mut archive = Archive::new(input);
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        if number >= MAX_ENTRIES {
            let message = format!("the archive has more than {MAX_ENTRIES} entries");
            return Err(Refusal::bad_request(message));
        }
        let mut entry = entry.map_err(broken)?;
        let path = below(&entry.path().map_err(broken)?)?;
        if path.as_os_str().is_empty() {
            continue;
        }
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Directory => EntryKind::Folder,
            EntryType::Symlink => EntryKind::Link,
            EntryType::Link => {
                let first = entry.link_name().map_err(broken)?.unwrap_or_default();
                tree.link(&below(&first)?, &path)?;
                continue;
            }
            // Devices and pipes are nothing that an image could keep here.
            _ => continue,
        };
        let target = match kind {
            EntryKind::Link => {
                let target = entry.link_name().map_err(broken)?.unwrap_or_default();
                target.to_string_lossy().into_owned()
            }
            EntryKind::File | EntryKind::Folder => String::new(),
        };
        let id = |id: io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
        let unpacked = Entry {
            path: path.to_string_lossy().into_owned(),
            kind,
            mode: header.mode().unwrap_or(0o644) & 0o7777,
            uid: id(header.uid()),
            gid: id(header.gid()),
            modified: header.mtime().ok().and_then(|time| i64::try_from(time).ok()).unwrap_or(0),
            size: if kind == EntryKind::File { entry.size() } else { 0 },
            target,
        };
        tree.write(&unpacked, &path, &mut entry)?;
    }
    Ok(())
}

/// A name in an archive as a path below the destination.
fn below(name: &Path) -> Result<PathBuf, Refusal> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                let shown: String = name.to_string_lossy().chars().take(200).collect();
                let message = format!("{shown:?} in the archive has .. in it");
                return Err(Refusal::bad_path(message));
            }
        }
    }
    Ok(path)
}
