use std::io::Write as _;

use super::*;

fn cache() -> (tempfile::TempDir, Images) {
    let folder = tempfile::tempdir().unwrap();
    let images = Images::new(folder.path());
    images.prepare_to_make().unwrap();
    (folder, images)
}

fn name(text: &str) -> ImageReference {
    ImageReference::own("tests", text).unwrap()
}

fn scratch(images: &Images) -> Rootfs {
    images.find(&ImageName::scratch()).unwrap()
}

fn add(images: &Images, below: &Rootfs, reference: &ImageReference) -> (ImageName, Rootfs) {
    let disk = images.draft_disk().unwrap();
    disk.file().write_all(&[7; 10_000]).unwrap();
    images.add_disk(below, disk, reference).unwrap()
}

fn files(images: &Images) -> usize {
    fs::read_dir(images.layers_folder()).unwrap().count()
}

#[test]
fn a_disk_becomes_the_highest_layer_of_an_image_with_a_name() {
    let (_folder, images) = cache();
    let below = scratch(&images);
    let (image, rootfs) = add(&images, &below, &name("a"));
    assert_eq!(rootfs.layers.len(), 2);
    assert_eq!(rootfs.layers[0], below.layers[0]);
    assert_eq!(fs::read(rootfs.layers[1].path()).unwrap(), [7; 10_000]);
    assert!(rootfs.size_bytes >= 10_000, "{}", rootfs.size_bytes);
    assert_eq!(images.find_reference(&name("a")), Some((image.clone(), rootfs.clone())));
    assert_eq!(images.of_build(&rootfs.fingerprint), Some((image, rootfs)));
    assert_eq!(images.find_reference(&name("b")), None);
}

#[test]
fn what_a_crash_left_of_an_image_goes_with_the_next_that_is_removed() {
    let (folder, images) = cache();
    let (kept, _) = add(&images, &scratch(&images), &name("kept"));
    for half in [".removing-made-1-1", ".making-made-1-x"] {
        fs::create_dir(folder.path().join(half)).unwrap();
        fs::write(folder.path().join(half).join("image.json"), "{").unwrap();
    }
    images.collect_made().unwrap();
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.starts_with(".")), "{names:?}");
    assert!(images.find(&kept).is_some());
}

#[test]
fn what_was_made_goes_with_its_last_name_and_sandbox() {
    let (folder, images) = cache();
    let state = folder.path().join("state");
    fs::create_dir_all(state.join("disks/owned")).unwrap();
    images.note_user(&state).unwrap();
    let (_, below) = add(&images, &scratch(&images), &name("below"));
    let (_, above) = add(&images, &below, &name("above"));
    let released = images.release(&name("below")).unwrap();
    assert_eq!((released.freed.images, released.freed.layers), (1, 0), "a layer is shared");
    let disk = state.join(format!("disks/owned/id.7.{}.ext4", above.fingerprint));
    fs::write(&disk, "").unwrap();
    let released = images.release(&name("above")).unwrap();
    assert_eq!(released.waiting, BTreeSet::from([above.fingerprint.clone()]));
    assert!(images.of_build(&above.fingerprint).is_some(), "a sandbox lies on it");
    assert_eq!(files(&images), 2);
    fs::remove_file(disk).unwrap();
    let released = images.collect_made().unwrap();
    assert_eq!((released.freed.images, released.freed.layers), (1, 2));
    assert!(released.freed.bytes >= 20_000);
    assert_eq!(files(&images), 0);
    assert_eq!(images.release(&name("above")).unwrap(), Released::default());
    assert!(images.find(&ImageName::scratch()).is_some());
}

#[test]
fn the_same_layers_and_words_are_the_same_image() {
    let (_folder, images) = cache();
    let config = ImageConfig { user: Some(String::from("7")), ..ImageConfig::default() };
    let of = scratch(&images);
    let one = images.derive(&of, config.clone(), &name("one")).unwrap();
    let same = images.derive(&of, config.clone(), &name("same")).unwrap();
    let other = images.derive(&of, ImageConfig::default(), &name("other")).unwrap();
    assert_eq!(one, same);
    assert_ne!(one.0, other.0);
    assert_eq!((one.1.config, one.1.layers), (config, of.layers));
    images.release(&name("one")).unwrap();
    assert!(images.find(&one.0).is_some(), "it has another name");
    images.release(&name("same")).unwrap();
    assert_eq!(images.find(&one.0), None);
}

#[test]
fn a_name_means_the_last_image_that_got_it() {
    let (_folder, images) = cache();
    let (first, _) = add(&images, &scratch(&images), &name("a"));
    let (second, _) = add(&images, &scratch(&images), &name("a"));
    assert_ne!(first, second);
    assert_eq!(images.find_reference(&name("a")).unwrap().0, second);
    assert_eq!(images.collect_made().unwrap().freed.images, 1);
    assert_eq!(images.find(&first), None);
}

#[test]
fn what_a_crash_left_goes_and_what_is_being_made_stays() {
    let (_folder, images) = cache();
    let layers = images.layers_folder();
    for left in [".copying-0.disk", ".doomed-1.disk"] {
        fs::write(layers.join(left), "left").unwrap();
    }
    let draft = images.draft_disk().unwrap();
    images.prepare_to_make().unwrap();
    assert!(draft.path.exists());
    assert_eq!(files(&images), 1);
    drop(draft);
    assert_eq!(files(&images), 0);
}
