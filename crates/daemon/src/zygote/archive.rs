//! The archive in which an interpreter finds what it imports at its start: `zip`, nothing compressed.

use std::os::fd::OwnedFd;

use pitlane_sys::{SyscallError, sealed_memory_file};

const START: &str = include_str!("start.py");
const FORK: &str = include_str!("fork.py");
const PLOT: &str = include_str!("plot.py");
const CHARTS: &str = include_str!("charts.py");

/// What an interpreter does before its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// It forks others, and has no program itself.
    Fork,
    /// It prepares to tell of figures.
    Plot,
}

/// Makes the archive, as a file in memory that nobody can change.
pub(super) fn archive(errand: Errand) -> Result<OwnedFd, SyscallError> {
    let own = match errand {
        Errand::Fork => FORK,
        Errand::Plot => PLOT,
    };
    let start = format!("{START}\n\n{own}");
    let files = [("sitecustomize.py", start.as_bytes()), ("charts.py", CHARTS.as_bytes())];
    sealed_memory_file("python", &zip(&files))
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, contents) in files {
        let at = length(&bytes);
        let entry = entry(name, contents);
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&entry);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(contents);
        // Made by the oldest version.
        directory.extend_from_slice(b"PK\x01\x02\x0a\0");
        directory.extend_from_slice(&entry);
        // No comment, the first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX).to_le_bytes();
    let (at, size) = (length(&bytes), length(&directory));
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&count);
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&at.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

/// What both headers of a file have in common: version, flags, no compression, the first day of time, sizes.
fn entry(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0a, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    bytes.extend_from_slice(&checksum(contents).to_le_bytes());
    bytes.extend_from_slice(&length(contents).to_le_bytes());
    bytes.extend_from_slice(&length(contents).to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

/// CRC-32.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = sum & 1 == 1;
            sum >>= 1;
            if is_odd {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_checksum_is_the_one_of_zip() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
