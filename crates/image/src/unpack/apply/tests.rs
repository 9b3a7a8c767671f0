use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use tar::{Builder, Header};

use super::*;

/// An archive that says whatever a test wants it to.
struct Forge(Builder<Vec<u8>>);

impl Forge {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o640);
        header.set_uid(u64::from(rustix::process::geteuid().as_raw()));
        header.set_gid(u64::from(rustix::process::getegid().as_raw()));
        header.set_mtime(1_000_000);
        header.set_size(content.len().try_into().unwrap());
        if kind == EntryType::Char || kind == EntryType::Block {
            header.set_device_major(8).unwrap();
            header.set_device_minor(0).unwrap();
        }
        // The builder's own way refuses the names that matter here.
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, b"")
    }

    fn attributes(mut self, pairs: &[(&str, &[u8])]) -> Self {
        let named: Vec<_> =
            pairs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), *value)).collect();
        self.0
            .append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))
            .unwrap();
        self
    }

    fn archive(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

struct Made {
    folder: tempfile::TempDir,
    result: Result<Applied, ApplyError>,
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("layer").join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

const LIMITS: UnpackLimits = UnpackLimits { bytes: 1 << 20, entries: 100 };

/// Applies an archive to a folder that lies beside something that must not change.
fn apply_to_a_layer(archive: &[u8]) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer");
    std::fs::create_dir(&layer).unwrap();
    std::fs::write(folder.path().join("outside"), "untouched").unwrap();
    let root = File::open(&layer).unwrap();
    let result = apply(archive, root.as_fd(), &LIMITS);
    assert_eq!(std::fs::read_to_string(folder.path().join("outside")).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    Made { folder, result }
}

fn refusal(forge: Forge) -> String {
    apply_to_a_layer(&forge.archive()).result.unwrap_err().to_string()
}

#[test]
fn files_folders_and_links_are_made_as_they_were() {
    let forge = Forge::new()
        .folder("./etc/")
        .file("etc/passwd", "root")
        .hard_link("etc/passwd-", "etc/passwd")
        .symlink("etc/link", "/etc/passwd")
        .file("not/named/before", "x")
        .entry(EntryType::Fifo, "pipe", "", b"");
    let archive = forge.archive();
    let made = apply_to_a_layer(&archive);
    let digest = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        &archive,
    ));
    let wanted = Applied {
        entries: 8,
        bytes: 5,
        dropped: 0,
        opaque: Vec::new(),
        digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    assert_eq!(made.result.as_ref().unwrap(), &wanted);
    assert_eq!(made.text("etc/passwd-"), "root");
    let file = made.path("etc/passwd").metadata().unwrap();
    assert_eq!((file.nlink(), file.mode() & 0o7777, file.mtime()), (2, 0o640, 1_000_000));
    let folder = made.path("etc").metadata().unwrap();
    assert_eq!((folder.permissions().mode() & 0o7777, folder.mtime()), (0o640, 1_000_000));
    assert_eq!(made.path("not/named").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read_link(made.path("etc/link")).unwrap(), Path::new("/etc/passwd"));
    assert!(made.path("pipe").symlink_metadata().unwrap().file_type().is_fifo());
}

#[test]
fn no_name_leads_out_of_the_layer() {
    for name in ["../outside", "a/../../outside", "/../outside"] {
        let refused = refusal(Forge::new().file(name, "mine"));
        assert!(refused.contains("leads out of its folder"), "{refused}");
    }
    let made = apply_to_a_layer(&Forge::new().file("/etc/shadow", "mine").archive());
    made.result.as_ref().unwrap();
    assert_eq!(made.text("etc/shadow"), "mine");
}

#[test]
fn no_link_leads_out_of_the_layer() {
    // Through a link to the parent, to the real root, and through two of them.
    for target in ["..", "../..", "/", "/.."] {
        let forge = Forge::new().symlink("up", target).file("up/outside", "mine");
        let made = apply_to_a_layer(&forge.archive());
        made.result.as_ref().unwrap();
        assert_eq!(made.text("outside"), "mine", "{target}");
    }
    let forge = Forge::new().symlink("a", "b").symlink("b", "a").file("a/x", "mine");
    let refused = refusal(forge);
    assert!(refused.contains("cannot find the folder of"), "{refused}");
}

#[test]
fn a_file_replaces_a_link_and_is_not_written_through_it() {
    let forge = Forge::new()
        .file("target", "kept")
        .symlink("name", "target")
        .file("name", "mine")
        .symlink("gone", "../outside")
        .file("gone", "mine");
    let made = apply_to_a_layer(&forge.archive());
    made.result.as_ref().unwrap();
    assert_eq!((made.text("target"), made.text("name")), ("kept".into(), "mine".into()));
    assert_eq!(made.text("gone"), "mine");
}

#[test]
fn hard_links_reach_nothing_outside() {
    for target in ["../outside", "/outside", "outside", "..", "", "/"] {
        let refused = refusal(Forge::new().hard_link("mine", target));
        assert!(
            refused.contains("links to nothing") || refused.contains("leads out"),
            "{target}: {refused}"
        );
    }
    // A link to a link is a link, not what that leads to.
    let forge = Forge::new().symlink("up", "../outside").hard_link("mine", "up");
    let made = apply_to_a_layer(&forge.archive());
    made.result.as_ref().unwrap();
    assert!(made.path("mine").symlink_metadata().unwrap().is_symlink());
    let forge = Forge::new().file("same", "kept").hard_link("same", "same");
    assert_eq!(apply_to_a_layer(&forge.archive()).text("same"), "kept");
}

#[test]
fn devices_are_left_out() {
    let forge = Forge::new().entry(EntryType::Block, "dev/sda", "", b"").entry(
        EntryType::Char,
        "dev/mem",
        "",
        b"",
    );
    let made = apply_to_a_layer(&forge.archive());
    assert_eq!(made.result.as_ref().unwrap().dropped, 2);
    assert_eq!(std::fs::read_dir(made.path("dev")).unwrap().count(), 0);
}

#[test]
fn later_entries_win() {
    let forge = Forge::new()
        .folder("a")
        .file("a/b/c/d", "deep")
        .file("a", "file now")
        .file("x", "file")
        .file("x/y", "folder now");
    let refused = apply_to_a_layer(&forge.archive()).result.unwrap_err().to_string();
    // What needs a folder does not make one of a file by itself.
    assert!(refused.contains("cannot find the folder of entry \"x\""), "{refused}");
    let forge =
        Forge::new().file("a/b/c/d", "deep").file("a", "file now").folder("a").file("a/e", "new");
    let made = apply_to_a_layer(&forge.archive());
    made.result.as_ref().unwrap();
    assert_eq!(made.text("a/e"), "new");
    assert!(!made.path("a/b").exists());
}

#[test]
fn what_is_too_much_is_refused() {
    let large = vec![b'x'; 2 << 20];
    let refused = refusal(Forge::new().entry(EntryType::Regular, "large", "", &large));
    assert_eq!(refused, "the layer holds more than 1 MiB");
    let many = (0..200).fold(Forge::new(), |forge, number| forge.file(&number.to_string(), ""));
    assert_eq!(refusal(many), "the layer holds more than 100 entries");
    let zeros = vec![0u8; 64 << 20];
    let bomb = zstd::encode_all(
        Forge::new().entry(EntryType::Regular, "bomb", "", &zeros).archive().as_slice(),
        19,
    )
    .unwrap();
    assert!(bomb.len() < 10_000);
    let refused = apply_to_a_layer(&bomb).result.unwrap_err().to_string();
    assert_eq!(refused, "the layer holds more than 1 MiB");
    // Zeros after the end are padding, but not any number of them.
    let padded = zstd::encode_all([Forge::new().archive(), zeros].concat().as_slice(), 1).unwrap();
    let refused = apply_to_a_layer(&padded).result.unwrap_err().to_string();
    assert!(refused.contains("does not end where it must"), "{refused}");
}

#[test]
fn only_attributes_for_the_inside_are_kept() {
    let forge = Forge::new()
        .attributes(&[
            ("user.note", b"kept"),
            ("user.overlay.opaque", b"y"),
            ("trusted.overlay.opaque", b"y"),
            ("security.selinux", b"x"),
        ])
        .file("marked", "x");
    let made = apply_to_a_layer(&forge.archive());
    made.result.as_ref().unwrap();
    let mut names = [0u8; 512];
    let length = rustix::fs::listxattr(made.path("marked"), &mut names).unwrap();
    assert_eq!(&names[..length], b"user.note\0");
    let huge = vec![b'v'; MAX_ATTRIBUTE_BYTES + 1];
    let refused = refusal(Forge::new().attributes(&[("user.note", &huge)]).file("marked", "x"));
    assert!(refused.contains("attributes"), "{refused}");
}

#[test]
fn opaque_folders_are_told_and_notes_are_not() {
    let forge = Forge::new()
        .file("etc/.wh..wh..opq", "")
        .file(".wh..wh..opq", "")
        .file(".wh..wh.plnk/1.2", "");
    let made = apply_to_a_layer(&forge.archive());
    let told = &made.result.as_ref().unwrap().opaque;
    assert_eq!(told, &[b"etc".to_vec(), Vec::new()]);
    assert!(made.path("etc").is_dir());
}

#[test]
fn what_is_said_of_an_entry_is_not_read_without_end() {
    let long = vec![b'x'; 2 << 20];
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let forge = Forge::new().file("a", "x").entry(kind, "long", "", &long).file("b", "");
        let refused = refusal(forge);
        let wanted = "the archive cannot be read: what it says of an entry is too long";
        assert_eq!(refused, wanted, "{kind:?}");
    }
    // What follows a folder or a note of the whole archive is no name.
    let forge = Forge::new()
        .entry(EntryType::Directory, "d", "", &long)
        .entry(EntryType::XGlobalHeader, "note", "", &long)
        .entry(EntryType::Regular, ".wh..wh.plnk/1.2", "", &long)
        .file("d/b", "x");
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let limits = UnpackLimits { bytes: 64 << 20, entries: 100 };
    apply(forge.archive().as_slice(), root.as_fd(), &limits).unwrap();
    assert!(folder.path().join("d/b").is_file());
}

#[test]
fn no_folder_is_deeper_than_a_path_may_be() {
    let named = |forge: Forge, kind, name: &str| {
        forge.entry(EntryType::GNULongName, "name", "", name.as_bytes()).entry(kind, "x", "", b"")
    };
    let deep = "a/".repeat(200);
    let begun = || {
        named(Forge::new(), EntryType::Directory, &deep)
            .entry(EntryType::GNULongLink, "target", "", deep.as_bytes())
            .symlink("s", "x")
    };
    let limits = UnpackLimits { bytes: 64 << 20, entries: 10_000 };
    let applied = |forge: Forge| {
        let folder = tempfile::tempdir().unwrap();
        let root = File::open(folder.path()).unwrap();
        let result = apply(forge.archive().as_slice(), root.as_fd(), &limits);
        let is_there = folder.path().join(format!("{deep}{}", "b/".repeat(50))).is_dir();
        result.map(|_| is_there).map_err(|error| error.to_string())
    };
    let near = named(begun(), EntryType::Directory, &format!("s/{}", "b/".repeat(50)));
    assert_eq!(applied(near), Ok(true));
    for far in ["b/".repeat(100), format!("{}c", "b/".repeat(60))] {
        let far = named(begun(), EntryType::Regular, &format!("s/{far}"));
        let refused = applied(far).unwrap_err();
        assert!(refused.ends_with("File name too long (os error 36)"), "{refused}");
    }
}

#[test]
fn folders_that_hide_others_are_told_up_to_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let limits = UnpackLimits { bytes: 1 << 30, entries: 1_000_000 };
    let many = (0..=MAX_OPAQUE).fold(Forge::new(), |forge, _| forge.file(".wh..wh..opq", ""));
    let long = format!("{}/.wh..wh..opq", "x".repeat(80));
    let times = MAX_OPAQUE_BYTES / 80 + 1;
    let large = (0..times).fold(Forge::new(), |forge, _| forge.file(&long, ""));
    for forge in [many, large] {
        let refused = apply(forge.archive().as_slice(), root.as_fd(), &limits).unwrap_err();
        let wanted = "the layer holds more than 65536 folders that hide others";
        assert_eq!(refused.to_string(), wanted);
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    for garbage in [&[7u8; 2048][..], b"\x1f\x8bgarbage", b"\x28\xb5\x2f\xfdgarbage"] {
        let refused = apply_to_a_layer(garbage).result.unwrap_err().to_string();
        assert!(refused.contains("the archive cannot be read"), "{refused}");
    }
    let cut = Forge::new().file("whole", &"x".repeat(5000)).archive();
    let refused = apply_to_a_layer(&cut[..2000]).result.unwrap_err().to_string();
    assert!(refused.contains("the archive cannot be read"), "{refused}");
    let unknown = Forge::new().entry(EntryType::new(b'Z'), "what", "", b"");
    assert_eq!(refusal(unknown), "entry \"what\" is of a kind that layers do not have");
}

/// Only root makes what hides a file of a lower layer.
mod privileged {
    use super::*;

    #[test]
    fn a_whiteout_is_a_device_that_overlays_know() {
        let forge = Forge::new().file("etc/.wh.passwd", "").file("a", "x").file(".wh.a", "");
        let made = apply_to_a_layer(&forge.archive());
        made.result.as_ref().unwrap();
        for name in ["etc/passwd", "a"] {
            let whiteout = made.path(name).symlink_metadata().unwrap();
            assert!(whiteout.file_type().is_char_device(), "{name}");
            assert_eq!(whiteout.rdev(), 0, "{name}");
        }
    }
}
