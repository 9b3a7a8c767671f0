//! `pitlane sandbox cp` against a sandbox that lies: nothing but the folder that was named is ever touched.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;
mod scripted;

use std::os::unix::fs::symlink;
use std::path::Path;

use program::{Outcome, outcome, pitlane};
use scripted::server;

/// An entry of a list, as a sandbox may write it.
fn entry(name: &str, mode: &str) -> serde_json::Value {
    serde_json::json!({
        "name": name, "path": "/etc/passwd", "size": 3, "mode": mode, "modTime": "", "isDir": mode.starts_with('d'),
        "modifiedAt": "2001-09-09T01:46:40Z", "owner": "0", "group": "0", "permissions": "7777"
    })
}

fn entries(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = entries.iter().map(|(name, mode)| entry(name, mode)).collect();
    serde_json::to_vec(&entries).unwrap()
}

/// Copies a folder of the sandbox to `folder` under `root`.
fn copy(url: &str, root: &Path, more: &[&str]) -> Outcome {
    let target = root.join("target").to_str().unwrap().to_owned();
    let arguments = [&["--api-url", url, "sandbox", "cp", "box:/src", &target], more].concat();
    pitlane(&[("PITLANE_API_KEY", "k")], &arguments, "")
}

/// Every path under a folder with what is in it.
fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_symlink() {
                found.push((shown, "a link".to_owned()));
            } else if path.is_dir() {
                found.push((shown, "a folder".to_owned()));
                folders.push(path);
            } else {
                found.push((shown, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[test]
fn names_that_lead_elsewhere_are_refused_and_the_rest_is_copied() {
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "drwx")).unwrap()),
        "GET /files?path=%2Fsrc" => Ok(entries(&[
            ("../evil", "-rw-"),
            ("/tmp/evil", "-rw-"),
            ("..", "drwx"),
            (".", "drwx"),
            ("", "-rw-"),
            ("a/b", "-rw-"),
            ("nul\0", "-rw-"),
            ("\u{1b}[2J\u{202e}ok", "-rw-"),
            ("good", "-rw-"),
        ])),
        line if line.starts_with("GET /files/download?") => Ok(b"abc".to_vec()),
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    let copied = copy(&url, root.path(), &[]);
    assert_eq!(copied.0, 1, "{copied:?}");
    assert!(
        copied.2.contains("something called \"../evil\", which is no file's name"),
        "{copied:?}"
    );
    assert!(copied.2.ends_with("error: 7 could not be copied\n"), "{copied:?}");
    assert!(!copied.2.contains('\u{1b}') && !copied.2.contains('\u{202e}'), "{copied:?}");
    let wanted = pairs(&[
        ("target", "a folder"),
        ("target/\u{1b}[2J\u{202e}ok", "abc"),
        ("target/good", "abc"),
    ]);
    assert_eq!(tree(root.path()), wanted);
}

#[test]
fn no_privilege_of_a_file_is_kept_and_its_time_is() {
    use std::os::unix::fs::MetadataExt as _;
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "urwx")).unwrap()),
        line if line.starts_with("GET /files/download?") => Ok(b"abc".to_vec()),
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    assert_eq!(copy(&url, root.path(), &[]), outcome(0, "", ""));
    let metadata = std::fs::metadata(root.path().join("target")).unwrap();
    assert_eq!((metadata.mode() & 0o7000, metadata.mtime()), (0, 1_000_000_000));
}

#[test]
fn links_here_and_there_are_not_followed() {
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "drwx")).unwrap()),
        "GET /files?path=%2Fsrc" => {
            Ok(entries(&[("folder", "drwx"), ("file", "-rw-"), ("link", "Lrwx"), ("pipe", "prw-")]))
        }
        "GET /files?path=%2Fsrc%2Ffolder" => Ok(entries(&[("inner", "-rw-")])),
        line if line.starts_with("GET /files/download?") => Ok(b"abc".to_vec()),
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "mine").unwrap();
    let target = root.path().join("target/src");
    std::fs::create_dir_all(&target).unwrap();
    symlink(outside.path(), target.join("folder")).unwrap();
    symlink(outside.path().join("file"), target.join("file")).unwrap();

    let copied = copy(&url, root.path(), &[]);
    assert_eq!(copied.0, 1, "{copied:?}");
    assert!(copied.2.contains("left out box:/src/link: a symbolic link"), "{copied:?}");
    assert!(copied.2.contains("left out box:/src/pipe: neither a file nor a folder"), "{copied:?}");
    assert_eq!(tree(outside.path()), pairs(&[("file", "mine")]));
    assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "abc");
}

#[test]
fn folders_in_folders_without_end_end() {
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "drwx")).unwrap()),
        line if line.starts_with("GET /files?") => Ok(entries(&[("x", "drwx")])),
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    let copied = copy(&url, root.path(), &["--json"]);
    assert_eq!(copied.0, 1, "{copied:?}");
    let report: serde_json::Value = serde_json::from_str(&copied.1).unwrap();
    assert_eq!((&report["folders"], &report["failedCount"]), (&129.into(), &1.into()));
}

#[test]
fn a_list_of_names_that_are_none_ends() {
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "drwx")).unwrap()),
        "GET /files?path=%2Fsrc" => {
            let one = serde_json::to_string(&entry("..", "-rw-")).unwrap();
            Ok(format!("[{}]", vec![one; 5000].join(",")).into_bytes())
        }
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    let copied = copy(&url, root.path(), &["--json"]);
    let said = "error: box:/src has something called \"..\", which is no file's name\n";
    assert_eq!(copied, outcome(1, "", said));
}

#[test]
fn a_file_that_breaks_off_is_not_there() {
    let url = server(|line| match line {
        "GET /files/info?path=%2Fsrc" => Ok(serde_json::to_vec(&entry("src", "-rw-")).unwrap()),
        _ => Err(404),
    });
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("target"), "old").unwrap();
    let copied = copy(&url, root.path(), &[]);
    assert_eq!(copied.0, 1, "{copied:?}");
    assert_eq!(tree(root.path()), pairs(&[("target", "old")]));
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_done() {
    let url = server(|_| Err(404));
    for (arguments, said) in [
        (&["a", "b"][..], "neither the source nor the destination is in a sandbox"),
        (&["-", "x", "box:/tmp"], "only one file goes through standard input or output"),
        (&["box:a", "box:b", "-"], "only one file goes through standard input or output"),
        (&["box:a", "/dev/null"], "/dev/null is neither a file nor a folder"),
    ] {
        let arguments = [&["--api-url", &url, "sandbox", "cp"], arguments].concat();
        let refused = pitlane(&[("PITLANE_API_KEY", "k")], &arguments, "");
        assert!(refused.0 == 2 && refused.2.contains(said), "{refused:?}");
    }
}
