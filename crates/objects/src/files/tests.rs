use rustix::io::Errno;

use super::node::ROOT;
use super::{Entry, Files, Found, Opening, Place, Renaming, Staging};
use crate::bucket::Bucket;
use crate::key::KeyFolder;
use crate::served::{Mood, Storage};

const READING: Opening = Opening { truncate: false };

struct Mount {
    storage: Storage,
    files: Files,
    _folder: tempfile::TempDir,
}

async fn mount() -> Mount {
    let storage = Storage::start().await;
    let folder = tempfile::tempdir().unwrap();
    let files = files(&storage, &folder);
    Mount { storage, files, _folder: folder }
}

fn files(storage: &Storage, folder: &tempfile::TempDir) -> Files {
    let bucket = Bucket::open(storage.access("")).unwrap();
    let staging = Staging::new(std::fs::File::open(folder.path()).unwrap().into(), 64 << 20);
    Files::new(bucket, KeyFolder::new("", "v"), staging, |_line| {})
}

impl Mount {
    async fn write(&self, name: &str, data: &[u8]) -> Result<(), Errno> {
        let node = self.files.create(ROOT, name.as_bytes()).await?;
        self.files.write(node.id(), Place::At(0), data).await?;
        let synced = self.files.sync(node.id()).await;
        self.files.release(node.id()).await;
        synced
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let node = self.files.lookup(ROOT, name.as_bytes()).await?;
        self.files.open(node.id(), READING).await?;
        let read = self.files.read(node.id(), 0, 1 << 20).await;
        self.files.release(node.id()).await;
        read
    }

    async fn names(&self) -> Vec<String> {
        let entries = self.files.list(ROOT).await.unwrap();
        let name = |Entry { name, found }| match found {
            Found::Folder => format!("{name}/"),
            Found::File(object) => format!("{name} {}", object.size),
        };
        entries.into_iter().map(name).collect()
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        let (from, to) = ((ROOT, from.as_bytes()), (ROOT, to.as_bytes()));
        self.files.rename(Renaming { from, to, replace: true }).await
    }
}

#[tokio::test]
async fn a_file_is_an_object_when_it_is_closed_and_not_before() {
    let mount = mount().await;
    let node = mount.files.create(ROOT, b"a").await.unwrap();
    mount.files.write(node.id(), Place::At(2), b"cd").await.unwrap();
    assert_eq!(mount.storage.keys(), Vec::<String>::new());
    assert_eq!(mount.names().await, ["a 4"], "this sandbox sees it");
    assert_eq!(mount.files.read(node.id(), 1, 10).await.unwrap(), b"\0cd");
    mount.files.write(node.id(), Place::At(0), b"ab").await.unwrap();
    mount.files.sync(node.id()).await.unwrap();
    assert_eq!(mount.storage.get("v/a").unwrap(), b"abcd");
    mount.files.release(node.id()).await;
    assert_eq!(mount.read("a").await.unwrap(), b"abcd");
    assert_eq!(mount.files.create(ROOT, b"a").await.unwrap_err(), Errno::EXIST);
}

#[tokio::test]
async fn a_file_that_is_there_is_changed_in_the_middle_cut_and_grown() {
    let mount = mount().await;
    mount.storage.put("v/a", b"0123456789");
    let node = mount.files.lookup(ROOT, b"a").await.unwrap();
    mount.files.open(node.id(), READING).await.unwrap();
    mount.files.write(node.id(), Place::At(3), b"xy").await.unwrap();
    mount.files.truncate(&node, 8).await.unwrap();
    mount.files.release(node.id()).await;
    assert_eq!(mount.storage.get("v/a").unwrap(), b"012xy567");
    // Cut by its name, without being open.
    mount.files.truncate(&node, 2).await.unwrap();
    assert_eq!(mount.storage.get("v/a").unwrap(), b"01");
    mount.files.open(node.id(), Opening { truncate: true }).await.unwrap();
    mount.files.release(node.id()).await;
    assert_eq!(mount.storage.get("v/a").unwrap(), b"");
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_comes_in_pieces() {
    let mount = mount().await;
    let data: Vec<u8> = (0u32..5_000_000).flat_map(u32::to_le_bytes).collect();
    mount.write("big", &data).await.unwrap();
    assert_eq!((mount.storage.get("v/big").unwrap() == data, mount.storage.uploads()), (true, 0));
    let node = mount.files.lookup(ROOT, b"big").await.unwrap();
    mount.files.open(node.id(), READING).await.unwrap();
    let before = mount.storage.requests();
    let mut read = Vec::new();
    loop {
        let at = u64::try_from(read.len()).unwrap();
        let piece = mount.files.read(node.id(), at, 128 << 10).await.unwrap();
        if piece.is_empty() {
            break;
        }
        read.extend(piece);
    }
    assert!(read == data);
    let requests = mount.storage.requests() - before;
    assert!(requests < 15, "whoever reads on is read ahead for: {requests} requests");
    // In between, and around the end.
    assert_eq!(mount.files.read(node.id(), 4004, 4).await.unwrap(), 1001u32.to_le_bytes());
    assert_eq!(mount.files.read(node.id(), 19_999_998, 100).await.unwrap(), data[19_999_998..]);
    assert_eq!(mount.files.read(node.id(), u64::MAX, 100).await.unwrap(), b"");
}

#[tokio::test]
async fn sandboxes_see_what_others_have_closed_and_mix_nothing() {
    let mount = mount().await;
    let folder = tempfile::tempdir().unwrap();
    let other = files(&mount.storage, &folder);
    mount.write("a", b"first").await.unwrap();
    let node = other.lookup(ROOT, b"a").await.unwrap();
    other.open(node.id(), READING).await.unwrap();
    assert_eq!(other.read(node.id(), 0, 2).await.unwrap(), b"fi");
    mount.files.unlink(ROOT, b"a").await.unwrap();
    mount.write("a", b"second").await.unwrap();
    // The piece that it has is of the first; the rest is not made of the second.
    assert_eq!(other.read(node.id(), 0, 5).await.unwrap(), b"first");
    other.release(node.id()).await;
    other.open(node.id(), READING).await.unwrap();
    assert_eq!(other.read(node.id(), 0, 10).await.unwrap(), b"second");
    other.release(node.id()).await;
}

#[tokio::test]
async fn folders_are_made_listed_and_removed_and_keys_without_a_path_are_hidden() {
    let mount = mount().await;
    for key in ["v/", "v//x", "v/../x", "v/./x", "v/a\nb", "v/..", "v/f/one", "v/both", "v/both/x"]
    {
        mount.storage.put(key, b"x");
    }
    mount.storage.put("w/other", b"x");
    assert_eq!(mount.names().await, ["both/", "f/"]);
    for name in [b"..".as_slice(), b".", b"", b"a/b", b"a\nb", b"\xff"] {
        assert_eq!(mount.files.lookup(ROOT, name).await.unwrap_err(), Errno::INVAL);
    }
    let long = [b'x'; 256];
    assert_eq!(mount.files.lookup(ROOT, &long).await.unwrap_err(), Errno::NAMETOOLONG);
    let made = mount.files.make_folder(ROOT, b"g").await.unwrap();
    assert_eq!(mount.storage.get("v/g/").unwrap(), b"");
    assert_eq!(mount.files.make_folder(ROOT, b"g").await.unwrap_err(), Errno::EXIST);
    let inside = mount.files.create(made.id(), b"new").await.unwrap();
    assert_eq!(mount.files.remove_folder(ROOT, b"g").await, Err(Errno::NOTEMPTY));
    mount.files.release(inside.id()).await;
    assert_eq!(mount.files.remove_folder(ROOT, b"g").await, Err(Errno::NOTEMPTY));
    mount.files.unlink(made.id(), b"new").await.unwrap();
    mount.files.remove_folder(ROOT, b"g").await.unwrap();
    assert_eq!(mount.files.unlink(ROOT, b"f").await, Err(Errno::ISDIR));
    assert_eq!(mount.names().await, ["both/", "f/"]);
}

#[tokio::test]
async fn files_and_empty_folders_are_renamed_and_full_ones_are_copied_by_programs() {
    let mount = mount().await;
    mount.write("a", b"of a").await.unwrap();
    mount.write("b", b"of b").await.unwrap();
    mount.rename("a", "b").await.unwrap();
    assert_eq!(
        (mount.names().await, mount.storage.get("v/b").unwrap()),
        (vec!["b 4".to_owned()], b"of a".to_vec())
    );
    // While it is written to.
    let node = mount.files.create(ROOT, b"new").await.unwrap();
    mount.files.write(node.id(), Place::At(0), b"one").await.unwrap();
    mount.rename("new", "b").await.unwrap();
    mount.files.write(node.id(), Place::At(3), b"two").await.unwrap();
    mount.files.release(node.id()).await;
    assert_eq!(
        (mount.storage.keys(), mount.storage.get("v/b").unwrap()),
        (vec!["v/b".to_owned()], b"onetwo".to_vec())
    );
    mount.files.make_folder(ROOT, b"f").await.unwrap();
    mount.rename("f", "g").await.unwrap();
    assert_eq!(mount.rename("b", "g").await, Err(Errno::ISDIR));
    assert_eq!(mount.rename("g", "b").await, Err(Errno::NOTDIR));
    mount.storage.put("v/g/x", b"x");
    assert_eq!(mount.rename("g", "h").await, Err(Errno::XDEV));
    assert_eq!(mount.rename("none", "h").await, Err(Errno::NOENT));
    assert_eq!(mount.storage.keys(), ["v/b", "v/g/", "v/g/x"]);
}

#[tokio::test]
async fn what_was_removed_is_not_uploaded_again() {
    let mount = mount().await;
    let node = mount.files.create(ROOT, b"a").await.unwrap();
    mount.files.write(node.id(), Place::At(0), b"x").await.unwrap();
    mount.files.unlink(ROOT, b"a").await.unwrap();
    assert_eq!(mount.files.read(node.id(), 0, 10).await.unwrap(), b"x", "its program has it still");
    mount.files.sync(node.id()).await.unwrap();
    mount.files.release(node.id()).await;
    mount.files.sync_all().await;
    assert_eq!((mount.storage.keys(), mount.names().await), (vec![], vec![]));
}

#[tokio::test]
async fn a_failed_upload_is_told_and_repeated_while_the_file_is_open() {
    let mount = mount().await;
    mount.storage.put("v/a", b"old");
    let node = mount.files.lookup(ROOT, b"a").await.unwrap();
    mount.files.open(node.id(), Opening { truncate: true }).await.unwrap();
    mount.files.write(node.id(), Place::At(0), b"new").await.unwrap();
    mount.storage.be(Mood::Failing);
    assert_eq!(mount.files.sync(node.id()).await, Err(Errno::IO));
    mount.storage.be(Mood::ReadOnly);
    assert_eq!(mount.files.sync(node.id()).await, Err(Errno::ACCESS));
    assert_eq!(mount.files.read(node.id(), 0, 10).await.unwrap(), b"new");
    mount.storage.be(Mood::Working);
    mount.files.sync(node.id()).await.unwrap();
    assert_eq!(mount.storage.get("v/a").unwrap(), b"new");
    mount.storage.be(Mood::ReadOnly);
    mount.files.write(node.id(), Place::At(0), b"lost").await.unwrap();
    mount.files.release(node.id()).await;
    mount.storage.be(Mood::Working);
    assert_eq!(mount.read("a").await.unwrap(), b"new", "what was not acknowledged is gone");
}

#[tokio::test]
async fn there_is_an_end_to_what_is_kept_here() {
    let mount = mount().await;
    let node = mount.files.create(ROOT, b"a").await.unwrap();
    assert_eq!(mount.files.write(node.id(), Place::At(64 << 20), b"x").await, Err(Errno::NOSPC));
    assert_eq!(mount.files.write(node.id(), Place::At(1 << 50), b"x").await, Err(Errno::FBIG));
    mount.files.write(node.id(), Place::At((64 << 20) - 1), b"x").await.unwrap();
    let other = mount.files.create(ROOT, b"b").await.unwrap();
    assert_eq!(mount.files.write(other.id(), Place::At(0), b"x").await, Err(Errno::NOSPC));
    mount.files.truncate(&node, 0).await.unwrap();
    mount.files.write(other.id(), Place::At(0), b"x").await.unwrap();
}

#[tokio::test]
async fn nodes_go_when_nobody_knows_them() {
    let mount = mount().await;
    mount.write("a", b"x").await.unwrap();
    let node = mount.files.lookup(ROOT, b"a").await.unwrap();
    let id = node.id();
    drop(node);
    mount.files.forget(id, 1);
    assert!(mount.files.node(id).is_ok(), "it was looked up when it was made, too");
    mount.files.forget(id, 1);
    assert_eq!(mount.files.node(id).unwrap_err(), Errno::STALE);
    mount.files.forget(id, 1);
    mount.files.forget(ROOT, u64::MAX);
    assert!(mount.files.node(ROOT).is_ok());
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let mount = mount().await;
    mount.storage.be(Mood::Endless);
    assert_eq!(mount.files.list(ROOT).await.unwrap_err(), Errno::IO);
}
