//! Addresses of files, as clients and language servers write them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const SCHEME: &str = "file://";

/// What a path in an address keeps as it is.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The paths that a client may mean, the likeliest first; none if this is no file's address.
///
/// Clients put `file://` before a path as it is, with blanks and percent signs, and others encode it. What is relative
/// is in one of the folders.
#[must_use]
pub fn paths_of(uri: &str, folders: [&Path; 2]) -> Vec<PathBuf> {
    let Some(path) = uri.strip_prefix(SCHEME).filter(|path| !path.is_empty()) else {
        return Vec::new();
    };
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let spellings = [path.as_bytes().to_vec(), decoded];
    let mut found = Vec::new();
    for folder in folders {
        for spelling in &spellings {
            let path = normal(&folder.join(OsString::from_vec(spelling.clone())));
            if !found.contains(&path) && !path.as_os_str().as_bytes().contains(&0) {
                found.push(path);
            }
        }
    }
    found
}

/// The path without `.` and empty parts; `..` stays, since what is before it may be a symbolic link.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The address of a file.
#[must_use]
pub fn uri_of(path: &Path) -> String {
    format!("{SCHEME}{}", percent_encode(path.as_os_str().as_bytes(), ENCODED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(uri: &str) -> Vec<PathBuf> {
        paths_of(uri, [Path::new("/project"), Path::new("/folder")])
    }

    #[test]
    fn a_client_may_encode_or_not() {
        let wanted = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(paths("file:///a/b.py"), wanted(&["/a/b.py"]));
        assert_eq!(paths("file:///a%20b/./c//d"), wanted(&["/a%20b/c/d", "/a b/c/d"]));
        assert_eq!(paths("file:///a b"), wanted(&["/a b"]));
        assert_eq!(paths("file://a/../b"), wanted(&["/project/a/../b", "/folder/a/../b"]));
        assert_eq!(paths("file:///a%00b"), wanted(&["/a%00b"]));
        for nothing in ["", "/a", "file:", "file://", "http://a", "untitled:a", "file:///a\0"] {
            assert_eq!(paths(nothing), wanted(&[]), "{nothing:?}");
        }
    }

    #[test]
    fn an_address_is_plain_ascii() {
        assert_eq!(uri_of(Path::new("/a b/\u{fc}#?%.py")), "file:///a%20b/%C3%BC%23%3F%25.py");
    }

    proptest! {
        #[test]
        fn an_address_leads_back(path in "(/[^/\0]{1,8}){1,4}") {
            let path = normal(Path::new(&path));
            prop_assert!(paths(&uri_of(&path)).contains(&path));
        }
    }
}
