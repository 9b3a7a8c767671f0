//! Pitlane's own parts: the daemon and the image.

use pitlane_image::{Images, REQUIRED_PROGRAMS, is_installed};

use super::check::Check;
use crate::serve;
use crate::settings::Settings;

pub(super) fn daemon(settings: &Settings) -> Check {
    match serve::load_daemon(settings.daemon.as_deref()) {
        Ok(program) => {
            let place = settings
                .daemon
                .as_ref()
                .map_or_else(|| "in this binary".to_owned(), |path| path.display().to_string());
            Check::good("daemon", format!("{place}, {} KiB", program.len() >> 10))
        }
        Err(failure) => {
            let fix = "`cargo xtask dist` builds a binary with it, `cargo xtask daemon` builds it for --daemon";
            let failure = failure.to_string();
            let first = failure.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Check::bad("daemon", first, fix)
        }
    }
}

/// The image, or else what it takes to make it.
pub(super) fn image(settings: &Settings) -> Check {
    let image = &settings.image;
    let images = Images::new(settings.image_cache.clone());
    if let Some(rootfs) = images.find(image) {
        let mib = rootfs.size_bytes >> 20;
        return Check::good("image", format!("{image} is here, {mib} MiB"));
    }
    if !images.can_make(image) {
        return Check::bad(
            "image",
            format!("{image} is not here and there is no recipe for it"),
            "--image default",
        );
    }
    let missing: Vec<(&str, &str)> =
        REQUIRED_PROGRAMS.into_iter().filter(|(program, _)| !is_installed(program)).collect();
    if missing.is_empty() {
        return Check::limited(
            "image",
            format!("{image} is not here yet"),
            "the first `pitlane serve` makes it, which takes some minutes",
        );
    }
    let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    Check::bad(
        "image",
        format!("{image} is not here, and making it needs {}", programs.join(", ")),
        format!("apt-get install {}", packages.join(" ")),
    )
}
