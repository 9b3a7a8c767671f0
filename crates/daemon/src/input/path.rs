//! A caller's path as an absolute one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The kernel takes no longer path, its end included.
const MAX_PATH: usize = 4095;

/// Why a path cannot name anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is nothing in it.
    #[error("the path is empty")]
    Empty,
    /// No file's name can have a zero byte.
    #[error("the path has a zero byte")]
    ZeroByte,
    /// The kernel takes no path as long as this.
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
}

/// Makes a path absolute: what does not begin with `/` begins in `work_dir`, and `~` or `~/…` in `home`. Symbolic
/// links and `..` stay as they are; they are the kernel's matter.
///
/// # Errors
///
/// [`PathError`]: no file can have this path.
pub fn resolve(asked: &[u8], work_dir: &Path, home: &Path) -> Result<PathBuf, PathError> {
    if asked.is_empty() {
        return Err(PathError::Empty);
    }
    if asked.contains(&0) {
        return Err(PathError::ZeroByte);
    }
    let below_home = match asked {
        b"~" => Some(&b""[..]),
        [b'~', b'/', rest @ ..] => Some(rest.trim_ascii_start_of(b'/')),
        _ => None,
    };
    let path = match below_home {
        Some([]) => home.to_owned(),
        Some(rest) => home.join(OsStr::from_bytes(rest)),
        None => work_dir.join(OsStr::from_bytes(asked)),
    };
    if path.as_os_str().len() > MAX_PATH { Err(PathError::TooLong) } else { Ok(path) }
}

/// Whether a path can only be that of a folder: it ends with `/`, `.` or `..`.
#[must_use]
pub fn names_a_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let last = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    matches!(last, b"" | b"." | b"..")
}

/// Leaving out leading bytes.
trait TrimStart {
    fn trim_ascii_start_of(&self, byte: u8) -> &Self;
}

impl TrimStart for [u8] {
    fn trim_ascii_start_of(&self, byte: u8) -> &Self {
        let mut rest = self;
        while let [first, after @ ..] = rest
            && *first == byte
        {
            rest = after;
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolved(asked: &[u8]) -> Result<PathBuf, PathError> {
        resolve(asked, Path::new("/srv"), Path::new("/home/user"))
    }

    #[test]
    fn paths_begin_where_callers_expect_it() {
        for (asked, wanted) in [
            ("a/b", "/srv/a/b"),
            ("/a//b/", "/a//b/"),
            (".", "/srv/."),
            ("../x", "/srv/../x"),
            ("~", "/home/user"),
            ("~/", "/home/user"),
            ("~/a", "/home/user/a"),
            ("~//etc", "/home/user/etc"),
            ("~other/a", "/srv/~other/a"),
            ("./~", "/srv/./~"),
        ] {
            let path = resolved(asked.as_bytes()).unwrap();
            assert_eq!(path.as_os_str(), wanted, "{asked}");
        }
        assert_eq!(resolved(b""), Err(PathError::Empty));
        assert_eq!(resolved(b"a\0b"), Err(PathError::ZeroByte));
        assert_eq!(resolved(&[b'a'; 4096]), Err(PathError::TooLong));
    }

    #[test]
    fn a_folder_is_told_by_the_end_of_its_path() {
        for (path, wanted) in [("/", true), ("/a/", true), ("/a/.", true), ("/a/..", true)] {
            assert_eq!(names_a_folder(Path::new(path)), wanted, "{path}");
        }
        for (path, wanted) in [("/a", false), ("/a/.b", false), ("/a/..b", false), ("/...", false)]
        {
            assert_eq!(names_a_folder(Path::new(path)), wanted, "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_path_becomes_absolute_and_keeps_its_bytes(asked in any::<Vec<u8>>()) {
            if let Ok(path) = resolved(&asked) {
                prop_assert!(path.is_absolute());
                prop_assert!(!path.as_os_str().as_bytes().contains(&0));
                if asked.first() != Some(&b'~') {
                    prop_assert!(path.as_os_str().as_bytes().ends_with(&asked));
                }
            }
        }
    }
}
