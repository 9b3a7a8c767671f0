//! Layers from archives, unpacked by a process that can do nothing else.
//!
//! What is in an archive was decided by whoever made the image. So a process of its own reads it: it begins as root,
//! shuts itself in ([`child`]) before the first byte of the archive arrives, and then has one folder for its whole file
//! system, no network, ids that nothing else on the machine has, and a bounded share of memory. The server feeds it and
//! believes of what it says only what can be checked.

mod apply;
mod child;
mod decompress;
mod feeder;
mod paths;
mod report;

pub use child::{UNPACK, run_unpacker};
pub use feeder::UnpackError;
pub(crate) use feeder::Unpacking;
pub(crate) use report::Applied;

use std::ffi::OsString;
use std::path::PathBuf;

/// What one layer may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of its files, with a little for every entry.
    pub bytes: u64,
    /// Files, folders, links.
    pub entries: u64,
}

impl UnpackLimits {
    /// 32 GiB and two million entries.
    pub const STANDARD: Self = Self { bytes: 32 << 30, entries: 2_000_000 };
}

/// How this program is started to be an unpacker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackCommand {
    /// The program.
    pub program: PathBuf,
    /// What makes it an unpacker: it goes on to [`run_unpacker`] with whatever follows.
    pub arguments: Vec<OsString>,
    /// The first of the ids that unpackers have; each of them takes [`IDS`] of those that follow.
    pub first_id: u32,
}

/// How many ids an unpacker has, as many as a sandbox: files keep their owners.
const IDS: u32 = 65_536;
