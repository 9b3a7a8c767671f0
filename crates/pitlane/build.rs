//! Puts the daemon into the binary: the file that PITLANE_EMBEDDED_DAEMON names, or nothing.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "this is how a build script is told things")]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=PITLANE_EMBEDDED_DAEMON");
    println!("cargo::rerun-if-changed=build.rs");
    let place = Path::new(&std::env::var("OUT_DIR")?).join("daemon");
    match std::env::var("PITLANE_EMBEDDED_DAEMON") {
        Ok(daemon) => {
            println!("cargo::rerun-if-changed={daemon}");
            std::fs::copy(daemon, place)?;
        }
        Err(_) => std::fs::write(place, [])?,
    }
    Ok(())
}
