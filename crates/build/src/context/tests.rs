use std::io::Write as _;

use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::*;

/// One entry of an archive, as wrong as a test wants it.
fn entry(kind: EntryType, name: &[u8], target: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(contents.len() as u64);
    let raw = header.as_old_mut();
    raw.name[..name.len()].copy_from_slice(name);
    raw.linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, contents: &str) -> Vec<u8> {
    entry(EntryType::Regular, name.as_bytes(), b"", contents.as_bytes())
}

fn link(name: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
}

fn read_above(bytes: &[u8], above: &[&str]) -> Result<Context, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("context.tar");
    File::create(&path).unwrap().write_all(bytes).unwrap();
    let above: Vec<String> = above.iter().map(ToString::to_string).collect();
    Context::read(&[path], &above).map_err(|error| error.to_string())
}

fn read(parts: &[Vec<u8>]) -> Result<Context, String> {
    read_above(&parts.concat(), &[])
}

/// What a source stands for: names, and the beginning of contents.
fn selected(context: &Context, source: &str) -> Result<Vec<String>, String> {
    let mut selection = Selection::default();
    context.select(source, &[], &mut selection)?;
    let shown = selection.pieces.iter().map(|piece| match piece.entry.target.as_str() {
        "" => format!("{:?} {}", piece.entry.kind, piece.entry.path),
        target => format!("{:?} {} -> {target}", piece.entry.kind, piece.entry.path),
    });
    Ok(shown.collect())
}

#[test]
fn what_means_harm_is_refused_in_words() {
    let long = "x".repeat(300);
    let pax = |text: &str| entry(EntryType::XHeader, b"pax", b"", text.as_bytes());
    let mut endless = Header::new_gnu();
    endless.set_entry_type(EntryType::GNULongName);
    endless.set_size(1 << 40);
    endless.set_cksum();
    let mut large_name = Header::new_gnu();
    large_name.set_entry_type(EntryType::GNULongName);
    large_name.set_size(100_000);
    large_name.set_cksum();
    let mut large_name = large_name.as_bytes().to_vec();
    large_name.resize(512 + 100_352, b'x');
    let mut wrong_sum = file("a", "");
    wrong_sum[0] = b'b';
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an absolute path", file("/etc/passwd", "x")),
        ("dots", file("a/../../b", "x")),
        ("dots at the beginning", file("../b", "x")),
        ("dots in an extension", [pax("16 path=../../b\n"), file("a", "x")].concat()),
        ("a lie about lengths", [pax("99 path=b\n"), file("a", "x")].concat()),
        ("a lie about a size", [pax("22 size=9999999999999\n"), file("a", "x")].concat()),
        ("no number", [pax("10 size=x\n"), file("a", "x")].concat()),
        ("behind a link", [link("a", "/etc"), file("a/passwd", "x")].concat()),
        ("below a file", [file("a", "x"), file("a/b", "x")].concat()),
        ("a file over a folder", [file("a/b", "x"), file("a", "x")].concat()),
        ("a name of something else", entry(EntryType::Link, b"a", b"/etc/passwd", b"")),
        ("a name of what comes later", entry(EntryType::Link, b"a", b"b", b"")),
        ("a character device", entry(EntryType::Char, b"a", b"", b"")),
        ("a block device", entry(EntryType::Block, b"a", b"", b"")),
        ("a pipe", entry(EntryType::Fifo, b"a", b"", b"")),
        ("holes", entry(EntryType::GNUSparse, b"a", b"", b"")),
        ("holes by another name", [pax("22 GNU.sparse.major=1\n"), file("a", "x")].concat()),
        ("a long part", [pax(&format!("310 path={long}\n")), file("a", "x")].concat()),
        ("an endless name", endless.as_bytes().to_vec()),
        ("a large name", large_name),
        ("no text", entry(EntryType::Regular, b"\xff", b"", b"")),
        ("a wrong sum", wrong_sum),
        ("no archive", vec![b'x'; 1024]),
        ("an unknown kind", entry(EntryType::new(b'?'), b"a", b"", b"")),
        ("a link to nowhere", link("a", "")),
    ];
    let mut told = String::new();
    for (what, bytes) in cases {
        let reason = read_above(&bytes, &[]).expect_err(what);
        let reason = reason.replace(&long[..200], "x…");
        told.push_str(&format!("{what}\n    {reason}\n"));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn more_files_than_a_context_may_have_are_refused() {
    let mut all = Vec::new();
    let empty = file("", "");
    for number in 0..=size::MAX_FILES {
        let mut header = Header::new_gnu();
        header.set_size(0);
        let name = number.to_string();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        all.extend_from_slice(header.as_bytes());
    }
    all.extend_from_slice(&empty);
    let reason = read_above(&all, &[]).unwrap_err();
    assert_eq!(reason, "a build context was refused: it has more than 200000 files");
}

#[test]
fn names_that_would_take_the_servers_memory_are_refused() {
    let folders = format!("{}/", "x".repeat(250)).repeat(15);
    let all: Vec<u8> = (0..9_000)
        .flat_map(|number| {
            let record = format!(" path={folders}{number:05}\n");
            let record = format!("{}{record}", record.len() + 4);
            let extension = entry(EntryType::XHeader, b"pax", b"", record.as_bytes());
            [extension, file("short", "")].concat()
        })
        .collect();
    let reason = read_above(&all, &[]).unwrap_err();
    let wanted = "a build context was refused: the names of its files have more than 33554432 bytes together";
    assert_eq!(reason, wanted);
    let deep = format!("{}x", "d/".repeat(300));
    let record = format!("611 path={deep}\n");
    let extension = entry(EntryType::XHeader, b"pax", b"", record.as_bytes());
    let reason = read(&[extension, file("short", "")]).unwrap_err();
    assert!(reason.ends_with("lies deeper than a context's files may"), "{reason}");
}

#[test]
fn what_is_named_again_and_again_counts_each_time() {
    let files: Vec<Vec<u8>> = (0..100).map(|number| file(&format!("a/{number}"), "")).collect();
    let context = read(&files).unwrap();
    let mut selection = Selection::default();
    let refused =
        (0..2_000).map(|_| context.select("a", &[], &mut selection)).find(Result::is_err).unwrap();
    assert_eq!(refused, Err("it has more than 200000 files".to_owned()));

    let mut header = Header::new_gnu();
    header.set_size(5 << 30);
    header.as_old_mut().name[..1].copy_from_slice(b"a");
    header.set_cksum();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("context.tar");
    let mut archive = File::create(&path).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    archive.set_len(6 << 30).unwrap();
    let context = Context::read(&[path], &[]).unwrap();
    let mut selection = Selection::default();
    assert_eq!(context.select("a", &[], &mut selection), Ok(()));
    let refused = context.select("a", &[], &mut selection);
    assert_eq!(refused, Err("its files are larger than 8589934592 bytes together".to_owned()));
}

#[test]
fn files_are_not_looked_for_without_end() {
    let context =
        read(&[file("a", ""), file("b/c", ""), file(".dockerignore", "*.x\n**/y\n")]).unwrap();
    for source in [".", "*", "a", "b"] {
        let patience = Patience::of(std::time::Duration::ZERO);
        let mut selection = Selection { patience, ..Selection::default() };
        let refused = context.select(source, &[], &mut selection).unwrap_err();
        assert!(refused.starts_with("it takes longer than 120 s"), "{source}: {refused}");
    }
    let refused = context.select(&"../".repeat(80_000), &[], &mut Selection::default());
    let wanted = "a source is longer than the 4095 bytes that a path may have";
    assert_eq!(refused, Err(wanted.to_owned()));
}

#[test]
fn names_above_the_context_are_names_if_the_dockerfile_has_them() {
    let archive = [file("../shared/a", "x"), file("b", "y")].concat();
    let context = read_above(&archive, &["../shared"]).unwrap();
    assert_eq!(selected(&context, "../shared/a"), Ok(vec!["File a".to_owned()]));
    assert_eq!(selected(&context, "."), Ok(vec!["Folder ".to_owned(), "File b".to_owned()]));
    // As everywhere, what leads above begins in the context if nothing was uploaded from there.
    assert_eq!(selected(&context, "../b"), Ok(vec!["File b".to_owned()]));
}

#[test]
fn sources_stand_for_what_they_stand_for_in_docker() {
    let context = read(&[
        file("./a.txt", "a"),
        file("b.txt", "b"),
        file("src/x.py", "x"),
        file("src/sub/y.py", "y"),
        link("linked", "src/sub"),
        link("src/inner", "../a.txt"),
        link("out", "/etc/passwd"),
        link("up", "../../x"),
        link("circle", "circle"),
        entry(EntryType::Link, b"second", b"./a.txt", b""),
    ])
    .unwrap();
    let names = |names: &[&str]| Ok(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(selected(&context, "a.txt"), names(&["File a.txt"]));
    assert_eq!(selected(&context, "/a.txt"), names(&["File a.txt"]));
    assert_eq!(selected(&context, "second"), names(&["File second"]));
    assert_eq!(selected(&context, "*.txt"), names(&["File a.txt", "File b.txt"]));
    assert_eq!(selected(&context, "s?c/*.py"), names(&["File x.py"]));
    assert_eq!(
        selected(&context, "src"),
        names(&["Folder ", "Link inner -> ../a.txt", "File sub/y.py", "File x.py"])
    );
    assert_eq!(selected(&context, "linked"), names(&["Folder ", "File y.py"]));
    assert_eq!(selected(&context, "linked/y.py"), names(&["File y.py"]));
    assert_eq!(selected(&context, "src/inner"), names(&["File inner"]));
    for (source, reason) in [
        ("missing", "\"missing\" is not in the build context"),
        ("*.rs", "\"*.rs\" is not in the build context"),
        ("out", "the link \"out\" leads out of the build context"),
        ("up", "the link \"up\" leads out of the build context"),
        ("circle", "the link \"circle\" leads in circles"),
    ] {
        assert_eq!(selected(&context, source), Err(reason.to_owned()), "{source}");
    }
}

#[test]
fn a_digest_is_of_all_that_counts_and_of_nothing_else() {
    let digest = |parts: &[Vec<u8>]| {
        let context = read(parts).unwrap();
        let mut selection = Selection::default();
        context.select(".", &[], &mut selection).unwrap();
        selection.digest().unwrap()
    };
    let changed = |change: fn(&mut Header)| {
        let mut bytes = file("a", "x");
        let mut header = Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        change(&mut header);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        bytes
    };
    let one = digest(&[file("a", "x")]);
    assert_eq!(one, digest(&[changed(|header| header.set_mtime(7))]));
    assert_eq!(one, digest(&[changed(|header| header.set_uid(7))]));
    assert_ne!(one, digest(&[changed(|header| header.set_mode(0o755))]));
    assert_ne!(one, digest(&[file("a", "y")]));
    assert_ne!(one, digest(&[file("b", "x")]));
    assert_ne!(digest(&[link("a", "b")]), digest(&[link("a", "c")]));
}

proptest! {
    #[test]
    fn no_bytes_end_the_reader(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        kind in any::<u8>(),
        size in any::<u64>(),
    ) {
        let _refused = read_above(&bytes, &[]);
        // With a right sum, so that more of it is believed.
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        header.set_size(size >> 20);
        header.set_cksum();
        let mut whole = header.as_bytes().to_vec();
        whole.extend_from_slice(&bytes);
        let _either = read_above(&whole, &[]);
    }
}
