//! What is left of the points in each kind of build.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "a test starts a compiler and what it made")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program with a point in it, compiled with or without debug assertions.
fn program(folder: &Path, has_assertions: bool) -> PathBuf {
    // Stands for the only dependency: what it does is the kernel's business.
    let rustix = "pub mod process { pub struct Signal; impl Signal { pub const KILL: Signal = Signal; } \
                  pub fn getpid() -> u32 { std::process::id() } \
                  pub fn kill_process(_: u32, _: Signal) -> Result<(), ()> { std::process::exit(137) } }";
    std::fs::write(folder.join("rustix.rs"), rustix).unwrap();
    let main = "fn main() { pitlane_fault::point(\"here-it-dies\"); println!(\"{:?}\", pitlane_fault::environment()); }";
    std::fs::write(folder.join("main.rs"), main).unwrap();
    let assertions = format!("debug-assertions={}", if has_assertions { "on" } else { "off" });
    let compile = |arguments: &[&str]| {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| String::from("rustc"));
        let made = Command::new(rustc)
            .args(["--edition=2024", "-Copt-level=2", "-C", &assertions, "-L", "."])
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    compile(&["--crate-type=rlib", "--crate-name=rustix", "rustix.rs"]);
    compile(&["--crate-type=rlib", "--crate-name=pitlane_fault", "--extern=rustix", source]);
    compile(&["--extern=pitlane_fault", "main.rs"]);
    folder.join("main")
}

fn contains(program: &Path, text: &str) -> bool {
    std::fs::read(program).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
}

/// Whether the program has the point, and whether it gets past it when told to die there.
fn look(has_assertions: bool) -> (bool, bool, bool) {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), has_assertions);
    let ran = Command::new(&program).env("PITLANE_DIE_AT", "here-it-dies").status().unwrap();
    (contains(&program, "PITLANE_DIE_AT"), contains(&program, "here-it-dies"), ran.success())
}

#[test]
fn a_build_without_debug_assertions_has_no_points() {
    assert_eq!(look(false), (false, false, true));
}

#[test]
fn a_build_with_debug_assertions_dies_where_it_is_told_to() {
    assert_eq!(look(true), (true, true, false));
}
