//! Doors for fuzz targets into what reads a storage's answers. Not part of any build that serves.

use crate::key::{self, VolumePath};
use crate::listing::Page;
use crate::xml;

/// Reads any bytes as a list of what is in a folder, and names as the file system shows them.
///
/// # Panics
///
/// Something is neither shown nor counted as left out, or has a name that leads elsewhere.
pub fn list(bytes: &[u8]) {
    let Some(document) = xml::parse(bytes) else { return };
    let Some(page) = Page::read(&document) else { return };
    let told =
        document.all("Contents").count().saturating_add(document.all("CommonPrefixes").count());
    let read = page.objects.len().saturating_add(page.folders.len());
    assert_eq!(read.saturating_add(page.unreadable), told);
    assert!(page.next.is_none_or(|next| !next.is_empty()));
    let files = page.objects.iter().filter_map(|object| key::file_in("v/f/", &object.key));
    let folders = page.folders.iter().filter_map(|prefix| key::folder_in("v/f/", prefix));
    for name in files.chain(folders) {
        assert!(!name.contains(['/', '\0']) && !matches!(name, "" | "." | ".."));
        let path = VolumePath::default().child(name.as_bytes());
        assert_eq!(path.map(|path| path.to_string()), Ok(name.to_owned()));
    }
}
