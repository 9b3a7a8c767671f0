//! Reading an archive that a caller sent, header by header. Every number and name in it may be a lie.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use pitlane_wire::build::matches_path;
use tar::{EntryType, Header};

use super::patience::Patience;
use super::{Context, Node, NodeKind};

/// Headers and contents begin at multiples of this.
const BLOCK: u64 = 512;
/// The longest name that an extension may give.
const MAX_EXTENSION: u64 = 64 << 10;
/// The longest path, and the longest part of one.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;
/// How deep files may lie.
const MAX_DEPTH: usize = 256;

/// Why an archive is not read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The machine's.
    Read(io::Error),
    /// The archive's, in words.
    Refused(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// What extensions said about the next entry.
#[derive(Debug, Default)]
struct Said {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
}

/// Adds what an archive holds to a context.
pub(super) fn read(
    file: &File,
    number: usize,
    (above, patience): (&[String], Patience),
    context: &mut Context,
) -> Result<(), Fault> {
    let length = file.metadata().map_err(Fault::Read)?.len();
    let (mut at, mut said) = (0_u64, Said::default());
    loop {
        patience.check()?;
        let mut block = [0; 512];
        if at.saturating_add(BLOCK) > length {
            // Some writers leave the empty blocks at the end out.
            return Ok(());
        }
        file.read_exact_at(&mut block, at).map_err(Fault::Read)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block)?;
        let size = header.entry_size().map_err(|_strange| broken("a size that is no number"))?;
        let kind = header.entry_type();
        let is_extension = matches!(kind.as_byte(), b'x' | b'g' | b'L' | b'K');
        let size = if is_extension { size } else { said.size.unwrap_or(size) };
        let contents = at.saturating_add(BLOCK);
        let has_contents =
            is_extension || matches!(kind, EntryType::Regular | EntryType::Continuous);
        let occupied = if has_contents || said.size.is_some() {
            size
        } else {
            header.entry_size().unwrap_or(0)
        };
        let end = contents.checked_add(occupied).filter(|end| *end <= length);
        let end = end.ok_or_else(|| broken("it ends before a file in it does"))?;
        at = end.div_ceil(BLOCK).saturating_mul(BLOCK);
        if is_extension {
            if size > MAX_EXTENSION {
                return Err(broken(&format!("a name of more than {MAX_EXTENSION} bytes")));
            }
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            file.read_exact_at(&mut bytes, contents).map_err(Fault::Read)?;
            said.hear(kind.as_byte(), &bytes)?;
            continue;
        }
        let said = std::mem::take(&mut said);
        let path = said.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let Some(path) = cleaned(&path, above, patience)? else { continue };
        let target =
            said.target.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let node = Node {
            kind: node_kind(kind, &path, target, context, &Place { number, contents, size })?,
            mode: header.mode().unwrap_or(0o644) & 0o7777,
            modified: said.modified.unwrap_or_else(|| {
                header.mtime().ok().and_then(|time| i64::try_from(time).ok()).unwrap_or(0)
            }),
        };
        context.insert(path, node)?;
    }
}

struct Place {
    number: usize,
    contents: u64,
    size: u64,
}

fn node_kind(
    kind: EntryType,
    path: &str,
    target: Option<Vec<u8>>,
    context: &Context,
    place: &Place,
) -> Result<NodeKind, Fault> {
    let target = || {
        let target = target.unwrap_or_default();
        let text = String::from_utf8(target)
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= MAX_PATH);
        text.filter(|text| !text.contains('\0'))
            .ok_or_else(|| Fault::Refused(format!("the link {path:?} leads nowhere")))
    };
    match kind {
        EntryType::Regular | EntryType::Continuous => {
            let Place { number, contents, size } = *place;
            Ok(NodeKind::File { archive: number, offset: contents, size })
        }
        EntryType::Directory => Ok(NodeKind::Folder),
        EntryType::Symlink => target().map(NodeKind::Link),
        EntryType::Link => {
            // A second name of a file that came before is that file again; of anything else there is none.
            let target = target()?;
            let named = target.strip_prefix("./").unwrap_or(&target);
            match context.nodes.get(named).map(|node| &node.kind) {
                Some(file @ NodeKind::File { .. }) => Ok(file.clone()),
                _ => Err(Fault::Refused(format!(
                    "{path:?} is another name of {target:?}, which is no file of the context"
                ))),
            }
        }
        EntryType::Char | EntryType::Block => {
            Err(Fault::Refused(format!("{path:?} is a device, and a context has none")))
        }
        EntryType::Fifo => {
            Err(Fault::Refused(format!("{path:?} is a pipe, and a context has none")))
        }
        EntryType::GNUSparse => {
            Err(Fault::Refused(format!("{path:?} is a file with holes: write it without")))
        }
        other => Err(Fault::Refused(format!(
            "{path:?} is of the unknown kind {:?}",
            char::from(other.as_byte())
        ))),
    }
}

fn broken(what: &str) -> Fault {
    Fault::Refused(format!("the archive is broken: {what}"))
}

fn check_sum(header: &Header, block: &[u8; 512]) -> Result<(), Fault> {
    let said = header.cksum().map_err(|_strange| broken("no checksum"))?;
    let mut sum = 0_u32;
    for (index, byte) in block.iter().enumerate() {
        // The checksum itself counts as spaces.
        let counted = if (148..156).contains(&index) { b' ' } else { *byte };
        sum = sum.saturating_add(u32::from(counted));
    }
    if sum == said { Ok(()) } else { Err(broken("a header with a wrong checksum")) }
}

impl Said {
    fn hear(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Fault> {
        let text = || bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            b'L' => self.path = Some(text()),
            b'K' => self.target = Some(text()),
            b'x' => self.hear_pax(bytes)?,
            // What is said about all entries is nothing that matters here.
            _ => {}
        }
        Ok(())
    }

    /// Lines of `LENGTH NAME=VALUE`, where the length counts all of it.
    fn hear_pax(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        let strange = || broken("an extension that makes no sense");
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(strange)?;
            let length = bytes.get(..space).and_then(|text| std::str::from_utf8(text).ok());
            let length: usize = length.and_then(|text| text.parse().ok()).ok_or_else(strange)?;
            let line = bytes.get(space.saturating_add(1)..length).ok_or_else(strange)?;
            let line = line.strip_suffix(b"\n").ok_or_else(strange)?;
            let equals = line.iter().position(|byte| *byte == b'=').ok_or_else(strange)?;
            let (name, value) = line.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            let number = || std::str::from_utf8(value).ok();
            match name {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => {
                    self.size =
                        Some(number().and_then(|text| text.parse().ok()).ok_or_else(strange)?);
                }
                b"mtime" => {
                    let whole = number().and_then(|text| text.split('.').next()?.parse().ok());
                    self.modified = Some(whole.ok_or_else(strange)?);
                }
                name if name.starts_with(b"GNU.sparse.") => {
                    return Err(Fault::Refused(String::from(
                        "a file with holes is in it: write it without",
                    )));
                }
                _ => {}
            }
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A name as a path of the context; `None` for the context itself.
fn cleaned(name: &[u8], above: &[String], patience: Patience) -> Result<Option<String>, Fault> {
    let shown = || -> String { String::from_utf8_lossy(name).chars().take(200).collect() };
    let refused = |why: &str| Fault::Refused(format!("{:?} {why}", shown()));
    let text = std::str::from_utf8(name).map_err(|_bytes| refused("is no text"))?;
    if text.len() > MAX_PATH {
        return Err(refused("is longer than a path may be"));
    }
    if text.starts_with('/') {
        return Err(refused("begins at the root: names in a context begin in it"));
    }
    if text.contains('\0') {
        return Err(refused("has a NUL"));
    }
    let parts: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.len() > MAX_DEPTH {
        return Err(refused("lies deeper than a context's files may"));
    }
    if parts.iter().any(|part| part.len() > MAX_NAME) {
        return Err(refused("has a part that is longer than a name may be"));
    }
    let climbs = parts.iter().take_while(|part| **part == "..").count();
    if parts.iter().skip(climbs).any(|part| *part == "..") {
        return Err(refused("has .. in it"));
    }
    let path = parts.join("/");
    // What lies above the folder in which a caller works keeps that name, if the Dockerfile copies just that.
    let is_named = || {
        for wanted in above {
            patience.check()?;
            let depth = wanted.split('/').count();
            let beginning: Vec<&str> = parts.iter().take(depth).copied().collect();
            if matches_path(wanted, &beginning.join("/")) {
                return Ok(true);
            }
        }
        Ok::<_, Fault>(false)
    };
    if climbs > 0 && !is_named()? {
        return Err(refused("leads out of the context"));
    }
    Ok(Some(path).filter(|path| !path.is_empty()))
}
