use std::path::Path;

use super::source::{Tree, check_length};
use super::{Finding, dependencies, naming, sql, unsafety, words};

fn check(
    check: fn(&Tree) -> anyhow::Result<Vec<Finding>>,
    files: &[(&str, &str)],
    findings: &[&str],
) {
    assert_eq!(check(&Tree::of(files)).unwrap(), findings);
}

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    super::check(root).unwrap();
}

#[test]
fn every_crate_is_seen() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let tree = Tree::read(root).unwrap();
    assert!(tree.crates().contains(&"control") && tree.rust("crates/control/").count() > 3);
}

#[test]
fn an_arrow_that_is_not_in_the_table_is_found_wherever_it_is_declared() {
    let manifest = "[dependencies]\npitlane-engine.workspace = true\nstore = { package = \"pitlane-store\" }\n\
                    [target.'cfg(unix)'.dependencies]\npitlane-sys = \"1\"\n[dev-dependencies]\npitlane-image = \"1\"\n";
    check(
        dependencies::check,
        &[("crates/control/Cargo.toml", manifest)],
        &[
            "crates/control/Cargo.toml: control may not depend on engine",
            "crates/control/Cargo.toml: control may not depend on sys",
        ],
    );
}

#[test]
fn a_crate_that_the_table_does_not_know_is_found() {
    check(
        dependencies::check,
        &[("crates/extra/Cargo.toml", "[package]\nname = \"x\"\n")],
        &["crates/extra/Cargo.toml: a crate without a row in the table of dependencies"],
    );
}

#[test]
fn a_package_in_the_wrong_crate_is_found() {
    check(
        dependencies::check,
        &[
            ("crates/control/Cargo.toml", "[dependencies]\nrusqlite = \"1\"\n"),
            ("crates/model/Cargo.toml", "[dependencies]\nserde = \"1\"\nthiserror = \"2\"\n"),
        ],
        &[
            "crates/control/Cargo.toml: only store may depend on rusqlite",
            "crates/model/Cargo.toml: model depends on thiserror alone, not on serde",
        ],
    );
}

#[test]
fn unsafe_code_outside_sys_is_found_and_talk_of_it_is_not() {
    check(
        unsafety::check,
        &[
            (
                "crates/api/src/lib.rs",
                "#![forbid(unsafe_code)]\n// unsafe\nconst X: &str = \"unsafe\";\n",
            ),
            ("crates/image/src/lib.rs", "mod x;\n"),
            ("crates/store/src/x.rs", "fn f() { unsafe { g() } }\n"),
            ("crates/sys/src/lib.rs", "unsafe fn f() {}\n"),
        ],
        &[
            "crates/image/src/lib.rs: a crate's root without #![forbid(unsafe_code)]",
            "crates/store/src/x.rs:1: unsafe outside sys: fn f() { unsafe { g() } }",
        ],
    );
}

#[test]
fn sql_outside_store_is_found() {
    let text = "const Q: &str = \"SELECT id FROM sandboxes\";\n";
    check(
        sql::check,
        &[("crates/control/src/x.rs", text), ("crates/store/src/x.rs", text)],
        &["crates/control/src/x.rs:1: SQL outside store: \"SELECT id FROM sandboxes\""],
    );
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = "x\n".repeat(1001);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{long}}}\n", "x\n".repeat(1000));
    check(
        check_length,
        &[
            ("crates/api/src/long.rs", &long),
            ("crates/api/src/tested.rs", &tested),
            ("crates/api/src/x/tests.rs", &long),
        ],
        &["crates/api/src/long.rs: 1001 lines without its tests, 1000 at most"],
    );
}

#[test]
fn empty_names_allowances_and_control_that_names_the_engine_are_found() {
    check(
        naming::check,
        &[
            ("crates/api/src/path_util.rs", "mod x;\n"),
            ("crates/api/src/x.rs", "\n#[allow(dead_code)]\nfn f() {}\n"),
            ("crates/control/src/x.rs", "// the engine\nuse pitlane_engine::Engine;\n"),
        ],
        &[
            "crates/api/src/path_util.rs: \"util\" does not say what is in it",
            "crates/api/src/x.rs:2: allow; use #[expect(lint, reason = \"…\")]",
            "crates/control/src/x.rs:2: control names the engine: use pitlane_engine::Engine;",
        ],
    );
}

#[test]
fn words_of_one_machine_are_found_in_any_file() {
    let path = concat!("see /work", "/main\n");
    let finding = format!("docs/x.md:1: {:?} is a path of one machine", concat!("/work", "/"));
    check(words::check, &[("docs/x.md", path)], &[&finding]);
}
