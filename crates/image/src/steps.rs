//! Names of finished steps of builds: they go when no build has asked for them for a while.
//!
//! When a name was last asked for is when its file was last written, so there is nothing that could disagree.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use pitlane_model::ImageReference;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use rustix::time::{ClockId, clock_gettime};

use crate::images::Images;

/// What the paths of their names begin with.
const STEPS: &str = "steps/";
/// How long a step stays that no build asks for, in seconds: a week.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// Whether a name is of a finished step.
pub(crate) fn is_step(reference: &ImageReference) -> bool {
    reference.is_own() && reference.path().starts_with(STEPS)
}

/// Notes that a step was asked for.
pub(crate) fn note_use(file: &std::path::Path) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    if let Err(error) = File::open(file).and_then(|file| Ok(futimens(&file, &times)?)) {
        tracing::debug!(%error, "cannot note the use of a step");
    }
}

impl Images {
    /// Forgets the steps that nobody has asked for in a week. Their images go with what else nobody needs.
    ///
    /// # Errors
    ///
    /// A name could not be forgotten; the call can be repeated.
    pub(crate) fn forget_old_steps(&self) -> io::Result<()> {
        let oldest = clock_gettime(ClockId::Realtime).tv_sec.saturating_sub(KEPT_SECONDS);
        for pulled in self.catalog().pulled() {
            let Ok(reference) = pulled.reference.parse::<ImageReference>() else { continue };
            if !is_step(&reference) {
                continue;
            }
            let written =
                std::fs::metadata(self.catalog().file(&reference)).map(|file| file.mtime());
            if written.is_ok_and(|written| written < oldest) {
                self.catalog().forget(&reference)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pitlane_model::ImageName;

    use super::*;

    #[test]
    fn a_step_goes_a_week_after_its_last_use_and_no_other_name_does() {
        let folder = tempfile::TempDir::new().unwrap();
        let images = Images::new(folder.path().to_owned());
        let image = ImageName::new("made-1").unwrap();
        let names = [
            ImageReference::own("steps", "old").unwrap(),
            ImageReference::own("steps", "used").unwrap(),
            ImageReference::own("snapshots", "kept").unwrap(),
        ];
        for name in &names {
            images.catalog().remember(None, name, &image).unwrap();
            let long_ago = Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
            let times = Timestamps { last_access: long_ago, last_modification: long_ago };
            futimens(File::open(images.catalog().file(name)).unwrap(), &times).unwrap();
        }
        // Being looked for is being used.
        assert_eq!(images.find_reference(&names[1]), None);
        images.forget_old_steps().unwrap();
        let left: Vec<_> =
            names.iter().map(|name| images.catalog().image(None, name).is_some()).collect();
        assert_eq!(left, [false, true, true]);
    }
}
