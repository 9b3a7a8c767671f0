//! How much room a folder takes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The bytes of the blocks that a folder and everything in it hold; files with several names count once.
pub(crate) fn of_folder(folder: &Path) -> std::io::Result<u64> {
    let mut total = 0u64;
    let mut seen = HashSet::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert(metadata.ino()) {
                continue;
            }
            total = total.saturating_add(metadata.blocks().saturating_mul(512));
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(total)
}

/// The bytes of the blocks that a file holds.
pub(crate) fn of_file(file: &Path) -> std::io::Result<u64> {
    Ok(fs::metadata(file)?.blocks().saturating_mul(512))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_name_takes_no_room() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("one"), vec![1u8; 100_000]).expect("a file");
        let alone = of_folder(folder.path()).expect("a size");
        fs::hard_link(folder.path().join("one"), folder.path().join("two")).expect("a link");
        assert_eq!(of_folder(folder.path()).expect("a size"), alone);
        assert!(alone >= 100_000, "{alone}");
    }
}
