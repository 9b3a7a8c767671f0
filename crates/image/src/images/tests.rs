use super::*;

fn image(name: &str) -> ImageName {
    ImageName::new(name).expect("a legal name")
}

fn listening() -> (mpsc::Sender<Progress>, mpsc::Receiver<Progress>) {
    mpsc::channel(1)
}

/// A folder with an image as a maker leaves it.
fn made(folder: &Path, name: &str) -> Rootfs {
    let image = image(name);
    let fingerprint = Recipe::find(&image).expect("a recipe").fingerprint();
    let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(folder).expect("a folder");
    std::fs::create_dir(making.path().join("rootfs")).expect("a folder");
    std::fs::write(making.path().join("rootfs/file"), [1u8; 4096]).expect("a file");
    let target = folder.join(format!("{name}-{fingerprint}"));
    finish(making, &target).expect("an image");
    Rootfs {
        layers: vec![Layer::Folder(target.join("rootfs"))],
        size_bytes: 4096,
        fingerprint,
        config: config::of_recipes(),
    }
}

#[test]
fn a_finished_image_is_found_and_closed_to_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let images = Images::new(folder.path());
    assert_eq!(images.find(&image("minimal")), None);
    let expected = made(folder.path(), "minimal");
    assert_eq!(images.find(&image("minimal")), Some(expected.clone()));
    assert_eq!(images.find(&image("default")), None);
    let mode = expected.layers[0]
        .path()
        .parent()
        .expect("a parent")
        .metadata()
        .expect("metadata")
        .permissions();
    assert_eq!(mode.mode() & 0o7777, 0o700);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_half_made_image_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let rootfs = made(folder.path(), "minimal");
    std::fs::remove_file(rootfs.layers[0].path().with_file_name("image.json")).expect("a manifest");
    assert_eq!(Images::new(folder.path()).find(&image("minimal")), None);
}

#[tokio::test]
async fn an_image_that_is_here_is_answered_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = made(folder.path(), "default");
    let (progress, mut steps) = listening();
    let answered = Images::new(folder.path()).prepare(&image("default"), progress).await;
    assert_eq!(answered.expect("an image"), expected);
    assert_eq!(steps.recv().await, None);
}

#[tokio::test]
async fn an_image_without_a_recipe_is_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (progress, _steps) = listening();
    let refused = Images::new(folder.path()).prepare(&image("windows"), progress).await;
    assert_eq!(
        refused.expect_err("no such image").to_string(),
        "there is no recipe for image windows"
    );
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_other_images_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = made(folder.path(), "minimal");
    std::fs::create_dir_all(folder.path().join(".making-minimal-abc/rootfs/etc"))
        .expect("a folder");
    std::fs::create_dir(folder.path().join(".making-default-abc")).expect("a folder");
    remove_left_over(folder.path().to_owned(), ".making-minimal-".to_owned()).await;
    assert!(!folder.path().join(".making-minimal-abc").exists());
    assert!(folder.path().join(".making-default-abc").exists());
    assert!(whole.layers[0].path().exists());
}

#[tokio::test]
async fn a_second_maker_waits_for_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("default.lock");
    let (progress, mut steps) = listening();
    let first = lock_file(&path, &progress).await.expect("a lock");
    let second = lock_file(&path, &progress);
    let release = async {
        let waiting = steps.recv().await.expect("a step");
        drop(first);
        waiting.step
    };
    let (second, waiting) = tokio::join!(second, release);
    second.expect("a lock");
    assert_eq!(waiting, "waiting for another server that makes it");
}

#[test]
fn an_image_made_before_images_said_anything_is_one_that_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let rootfs = made(folder.path(), "minimal");
    std::fs::write(rootfs.layers[0].path().with_file_name("image.json"), r#"{"size_bytes":4096}"#)
        .expect("a manifest");
    let found = Images::new(folder.path()).find(&image("minimal"));
    assert_eq!(found, Some(Rootfs { config: ImageConfig::default(), ..rootfs }));
}

#[test]
fn of_a_layer_that_an_image_has_again_and_again_the_highest_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let images = Images::new(folder.path());
    let digits = |digit: &str| digit.repeat(64);
    let layers = ["a", "b", "a", "c", "b", "b"].map(digits).to_vec();
    let name = image(&format!("oci-{}", digits("0")));
    let manifest = Manifest { size_bytes: 1, config: ImageConfig::default(), layers };
    images.keep(&name, &"0".repeat(16), &manifest).expect("an image");
    let found = images.find(&name).expect("the image");
    let layer = |digit| Layer::Folder(folder.path().join("layers").join(digits(digit)));
    assert_eq!(found.layers, ["a", "c", "b"].map(layer));
}
