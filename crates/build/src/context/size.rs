//! How much files are, all together: as they are in the archives, and as an instruction copies them.

/// The most files, folders and links.
pub(super) const MAX_FILES: usize = 200_000;
/// The most bytes of files.
const MAX_BYTES: u64 = 8 << 30;
/// The most bytes of their names, all of which are in memory.
const MAX_NAMES: usize = 32 << 20;

/// How much files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    files: usize,
    bytes: u64,
    names: usize,
}

impl Size {
    /// One more; the error says what is too much.
    pub(super) fn add(&mut self, path: &str, target: &str, bytes: u64) -> Result<(), String> {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.names = self.names.saturating_add(path.len()).saturating_add(target.len());
        if self.files > MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
        if self.bytes > MAX_BYTES {
            return Err(format!("its files are larger than {MAX_BYTES} bytes together"));
        }
        if self.names > MAX_NAMES {
            return Err(format!(
                "the names of its files have more than {MAX_NAMES} bytes together"
            ));
        }
        Ok(())
    }
}
