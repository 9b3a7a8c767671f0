//! Why an image is not on this machine.

use std::path::PathBuf;
use std::process::ExitStatus;

use pitlane_model::ImageName;

/// Why an image could not be made. Nothing that counts as an image was left behind: the call can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareImageError {
    /// There is no recipe of this name.
    #[error("there is no recipe for image {0}")]
    Unknown(ImageName),
    /// The caller is not root, and a file system of several users needs one who may give files away.
    #[error("image {0} can only be made by root")]
    NotRoot(ImageName),
    /// A program that makes images is not installed.
    #[error("program {program} is missing; it is in Debian's package {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// Where it comes from: `apt-get install` this.
        package: &'static str,
    },
    /// The file system of the cache is too full.
    #[error(
        "{} has {free_mib} MiB left and image {image} needs {needed_mib} MiB while it is made",
        folder.display()
    )]
    NoRoom {
        /// The image asked for.
        image: ImageName,
        /// The cache.
        folder: PathBuf,
        /// What is free.
        free_mib: u64,
        /// What the making needs.
        needed_mib: u64,
    },
    /// The cache cannot be used.
    #[error("cannot {action} {}", path.display())]
    Cache {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What failed.
        #[source]
        cause: std::io::Error,
    },
    /// A program could not be started, or not be listened to.
    #[error("cannot run {program}")]
    Program {
        /// The program.
        program: &'static str,
        /// What failed.
        #[source]
        cause: std::io::Error,
    },
    /// The bootstrap ended without an image.
    #[error("the bootstrap of image {image} failed ({status}); its last words:\n{output}")]
    Bootstrap {
        /// The image asked for.
        image: ImageName,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// The caller's runtime shut down.
    #[error("the making of image {0} was interrupted")]
    Interrupted(ImageName),
}
