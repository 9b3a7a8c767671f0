//! Volumes: folders that outlive sandboxes and that several of them share.

use std::fmt;

use crate::{OrganizationId, Timestamp, VolumeId};

/// Where a volume stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeState {
    /// It is accepted and not there yet.
    PendingCreate,
    /// It is being made.
    Creating,
    /// Sandboxes can mount it.
    Ready,
    /// It is to go.
    PendingDelete,
    /// It is being removed.
    Deleting,
    /// It is gone.
    Deleted,
    /// It could not be made or removed.
    Error,
}

impl VolumeState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::PendingCreate,
        Self::Creating,
        Self::Ready,
        Self::PendingDelete,
        Self::Deleting,
        Self::Deleted,
        Self::Error,
    ];

    /// The word of the Daytona API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingCreate => "pending_create",
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::PendingDelete => "pending_delete",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Error => "error",
        }
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id, never reused.
    pub id: VolumeId,
    /// Its owner.
    pub organization: OrganizationId,
    /// Its name, unique among those of its organization that are not deleted.
    pub name: VolumeName,
    /// Where it stands.
    pub state: VolumeState,
    /// Why it is in [`VolumeState::Error`], for its owner.
    pub error_reason: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When a sandbox was last made with it.
    pub last_used_at: Option<Timestamp>,
}

/// What a volume is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

/// A text that cannot name a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a volume's name has 1 to {} bytes, no control characters, and is not the text of an id",
    VolumeName::MAX_BYTES
)]
pub struct VolumeNameError;

impl VolumeName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`VolumeNameError`] says what is allowed.
    pub fn new(name: impl Into<String>) -> Result<Self, VolumeNameError> {
        let name = name.into();
        let is_valid = (1..=Self::MAX_BYTES).contains(&name.len())
            && !name.chars().any(char::is_control)
            // Whoever asks for it by a name that looks like an id would get another one.
            && name.parse::<VolumeId>().is_err();
        if is_valid { Ok(Self(name)) } else { Err(VolumeNameError) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<VolumeId> for VolumeName {
    /// The name of a volume that was given none.
    fn from(id: VolumeId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A volume, or a folder of it, at a place in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// Which one.
    pub volume: VolumeId,
    /// Where.
    pub path: MountPath,
    /// The folder of the volume that is seen there; all of it without one.
    pub subpath: Option<Subpath>,
}

/// A place in a sandbox at which a volume may be mounted: absolute, without `.`, `..` and empty parts, and outside of the
/// folders that a system is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountPath(String);

/// A folder of a volume: relative, without `.`, `..` and empty parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subpath(String);

/// Why volumes cannot be mounted as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// It begins somewhere else than at the root.
    #[error("mount path {path:?} is not absolute")]
    Relative {
        /// The path as given.
        path: String,
    },
    /// It has parts that are empty, `.` or `..`, or characters that no path may have.
    #[error("path {path:?} has an empty part, a part . or .., or a control character")]
    Unclean {
        /// The path as given.
        path: String,
    },
    /// It is longer than paths may be.
    #[error("a mount path or subpath has at most {} bytes", MountPath::MAX_BYTES)]
    Long,
    /// A system needs what is there.
    #[error("nothing can be mounted at {path}: it is, or is in, a folder of the system")]
    System {
        /// The path.
        path: String,
    },
    /// Two volumes are in each other's way.
    #[error("mount paths {first} and {second} are the same or one is inside the other")]
    Overlap {
        /// One of them.
        first: MountPath,
        /// The other.
        second: MountPath,
    },
    /// There are too many.
    #[error("a sandbox has at most {} volumes", VolumeMount::MAX_COUNT)]
    TooMany,
}

/// Where sandboxes have something that a volume must not hide.
const SYSTEM: [&str; 11] =
    ["proc", "sys", "dev", "boot", "etc", "bin", "sbin", "lib", "lib32", "lib64", "run"];

impl MountPath {
    /// The longest path, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Takes a path; a slash at its end is left out.
    ///
    /// # Errors
    ///
    /// [`MountError`] says what is wrong with it.
    pub fn new(path: &str) -> Result<Self, MountError> {
        let Some(parts) = path.strip_prefix('/') else {
            return Err(MountError::Relative { path: path.to_owned() });
        };
        let parts = clean(path, parts.strip_suffix('/').unwrap_or(parts))?;
        let first = parts.split('/').next().unwrap_or_default();
        if SYSTEM.contains(&first) {
            return Err(MountError::System { path: path.to_owned() });
        }
        Ok(Self(format!("/{parts}")))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the other's place or one inside it.
    fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Subpath {
    /// Takes a path; a slash at its end is left out.
    ///
    /// # Errors
    ///
    /// [`MountError`] says what is wrong with it.
    pub fn new(path: &str) -> Result<Self, MountError> {
        clean(path, path.strip_suffix('/').unwrap_or(path)).map(|parts| Self(parts.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subpath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the parts of a path.
fn clean<'a>(path: &str, parts: &'a str) -> Result<&'a str, MountError> {
    if path.len() > MountPath::MAX_BYTES {
        return Err(MountError::Long);
    }
    // No file system takes a longer name.
    let is_clean = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    if parts.split('/').all(is_clean) && !parts.chars().any(char::is_control) {
        Ok(parts)
    } else {
        Err(MountError::Unclean { path: path.to_owned() })
    }
}

impl VolumeMount {
    /// How many volumes one sandbox may have.
    pub const MAX_COUNT: usize = 10;

    /// Checks that the volumes of one sandbox are in nobody's way.
    ///
    /// # Errors
    ///
    /// [`MountError::TooMany`] or [`MountError::Overlap`].
    pub fn check_all(mounts: &[Self]) -> Result<(), MountError> {
        if mounts.len() > Self::MAX_COUNT {
            return Err(MountError::TooMany);
        }
        for (place, first) in mounts.iter().enumerate() {
            for second in mounts.iter().skip(place + 1) {
                if first.path.is_within(&second.path) || second.path.is_within(&first.path) {
                    return Err(MountError::Overlap {
                        first: first.path.clone(),
                        second: second.path.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_is_absolute_clean_and_outside_of_the_system() {
        for path in ["/data", "/home/daytona/data", "/mnt/a b", "/process", "/usr/local/x", "/ü"] {
            assert_eq!(MountPath::new(path).map(|path| path.0).as_deref(), Ok(path));
        }
        assert_eq!(MountPath::new("/data/").map(|path| path.0).as_deref(), Ok("/data"));
        let unclean = |path: &str| Err(MountError::Unclean { path: path.to_owned() });
        for path in ["/", "//", "/a//b", "/a/../b", "/a/.", "/..", "/a\0b", "/a\nb", "/a//"] {
            assert_eq!(MountPath::new(path), unclean(path), "{path:?}");
        }
        for path in ["", "data", "./data", "~/data"] {
            let wanted = MountError::Relative { path: path.to_owned() };
            assert_eq!(MountPath::new(path), Err(wanted), "{path:?}");
        }
        for path in ["/proc", "/proc/1", "/sys/x", "/dev", "/dev/shm/x", "/etc", "/bin", "/run/x"] {
            let wanted = MountError::System { path: path.to_owned() };
            assert_eq!(MountPath::new(path), Err(wanted), "{path:?}");
        }
        let long = format!("/{}", "a/".repeat(300));
        assert_eq!(MountPath::new(&long), Err(MountError::Long));
    }

    #[test]
    fn a_subpath_leads_nowhere_but_into_the_volume() {
        for path in ["a", "users/alice", "a.b", "..."] {
            assert_eq!(Subpath::new(path).map(|path| path.0).as_deref(), Ok(path));
        }
        for path in ["", "/", "/a", "..", "a/..", "a/../b", "a//b", ".", "a\0"] {
            assert!(Subpath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn volumes_are_not_mounted_over_each_other() {
        let mounts = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| VolumeMount {
                    volume: VolumeId::from_random([1; 16]),
                    path: MountPath::new(path).unwrap(),
                    subpath: None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(VolumeMount::check_all(&mounts(&["/a", "/b", "/ab", "/c/a"])), Ok(()));
        for pair in [["/a", "/a"], ["/a", "/a/b"], ["/a/b/c", "/a"]] {
            let refused = VolumeMount::check_all(&mounts(&pair));
            assert!(matches!(refused, Err(MountError::Overlap { .. })), "{pair:?}");
        }
        let many: Vec<String> = (0..=VolumeMount::MAX_COUNT).map(|n| format!("/v/{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(VolumeMount::check_all(&mounts(&many)), Err(MountError::TooMany));
    }

    #[test]
    fn a_name_is_no_id() {
        assert!(VolumeName::new("my volume").is_ok());
        let id = VolumeId::from_random([7; 16]);
        for name in [String::new(), "a\nb".to_owned(), "x".repeat(256), id.to_string()] {
            assert_eq!(VolumeName::new(name), Err(VolumeNameError));
        }
    }
}
