//! Answers, as bytes for the kernel.

use jiff::Timestamp;
use rustix::io::Errno;

use crate::files::{Attributes, Kind};

/// How long the kernel may believe a name, in seconds. Attributes it asks for each time: their owner is whoever asks.
const NAME_SECONDS: u64 = 1;
const FOLDER_MODE: u32 = 0o040_777;
const FILE_MODE: u32 = 0o100_777;
/// What programs read and write at a time.
const BLOCK: u32 = 128 << 10;

/// Who asks: the owner of whatever it looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// An answer that is being written.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// The nodes that the kernel has looked up once more when it reads this.
    pub(super) looked_up: Vec<u64>,
    /// The file that is open when it does.
    pub(super) opened: Option<u64>,
}

impl Answer {
    pub(super) fn u16(mut self, value: u16) -> Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// What a file is like.
    pub(super) fn attributes(self, of: Attributes, asker: Asker) -> Self {
        let (seconds, nanoseconds) = time(of.modified);
        let (mode, links) = match of.kind {
            Kind::Folder => (FOLDER_MODE, 2),
            Kind::File => (FILE_MODE, 1),
        };
        // The number, the size, and how many blocks of 512 that is; when it was read, written and changed.
        let blocks = of.size.div_ceil(512);
        let numbers = self.u64(of.id).u64(of.size).u64(blocks);
        let times = numbers.u64(seconds).u64(seconds).u64(seconds);
        let times = times.u32(nanoseconds).u32(nanoseconds).u32(nanoseconds);
        times.u32(mode).u32(links).u32(asker.user).u32(asker.group).u32(0).u32(BLOCK).u32(0)
    }

    /// `fuse_attr_out`.
    pub(super) fn told(self, of: Attributes, asker: Asker) -> Self {
        self.u64(0).u32(0).u32(0).attributes(of, asker)
    }

    /// `fuse_entry_out`: a name, looked up.
    pub(super) fn entry(mut self, of: Attributes, asker: Asker) -> Self {
        self.looked_up.push(of.id);
        self.u64(of.id).u64(0).u64(NAME_SECONDS).u64(0).u32(0).u32(0).attributes(of, asker)
    }

    /// `fuse_open_out`: of a folder.
    pub(super) fn opened_folder(self, handle: u64) -> Self {
        self.u64(handle).u32(0).u32(0)
    }

    /// `fuse_open_out`: of a file, which is known by its node alone.
    pub(super) fn opened_file(mut self, id: u64) -> Self {
        self.opened = Some(id);
        self.u64(id).u32(0).u32(0)
    }

    /// `fuse_dirent`; what is in a folder beside what leads out of it.
    pub(super) fn listed(mut self, (id, kind): (u64, Kind), next: u64, name: &[u8]) -> Self {
        let kind = match kind {
            Kind::Folder => u32::from(libc::DT_DIR),
            Kind::File => u32::from(libc::DT_REG),
        };
        let length = u32::try_from(name.len()).unwrap_or(0);
        self = self.u64(id).u64(next).u32(length).u32(kind);
        self.bytes.extend_from_slice(name);
        let padded = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(padded, 0);
        self
    }

    /// How long `fuse_dirent` is.
    pub(super) const fn listed_length(name: &[u8]) -> usize {
        name.len().saturating_add(24).next_multiple_of(8)
    }

    /// How long `fuse_entry_out` is.
    pub(super) const ENTRY: usize = 128;

    /// With what comes first: its length, its failure, and which request it answers.
    pub(super) fn framed(unique: u64, answer: Result<&[u8], Errno>) -> Vec<u8> {
        let body = answer.unwrap_or_default();
        let length = u32::try_from(body.len().saturating_add(16)).unwrap_or(u32::MAX);
        let error = answer.err().map_or(0, |errno| errno.raw_os_error().saturating_neg());
        let mut framed = Self::default().u32(length).u32(error.cast_unsigned()).u64(unique).bytes;
        framed.extend_from_slice(body);
        framed
    }
}

fn time(of: Timestamp) -> (u64, u32) {
    let seconds = u64::try_from(of.as_second()).unwrap_or(0);
    (seconds, u32::try_from(of.subsec_nanosecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{Answer, Asker};
    use crate::files::{Attributes, Kind};

    #[test]
    fn answers_are_as_long_as_the_kernel_expects() {
        let asker = Asker { user: 1, group: 2 };
        let of = Attributes {
            id: 5,
            kind: Kind::File,
            size: 513,
            modified: "2024-01-02T03:04:05Z".parse().unwrap(),
        };
        assert_eq!(Answer::default().told(of, asker).bytes.len(), 104);
        let entry = Answer::default().entry(of, asker);
        assert_eq!((entry.bytes.len(), entry.looked_up), (Answer::ENTRY, vec![5]));
        for name in [b"a".as_slice(), b"12345678"] {
            let listed = Answer::default().listed((5, Kind::Folder), 1, name);
            assert_eq!(listed.bytes.len(), Answer::listed_length(name));
        }
        let failed = Answer::framed(7, Err(Errno::NOENT));
        assert_eq!(failed, [16, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Answer::framed(7, Ok(b"xy")).len(), 18);
    }
}
