//! What comes from registries that keep their word.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::time::Duration;

use http::StatusCode;
use pitlane_image::{ImageConfig, RegistryRules, UnpackLimits};
use pitlane_model::RegistryLogin;
use serde_json::json;
use tar::EntryType;

use crate::forge::{Image, Layer, architecture, digest, gzip};
use crate::server::{Answer, Cache, Registry};
use crate::trials;

trials![
    an_image_comes_with_its_files_owners_and_words,
    layers_that_are_here_are_not_fetched_again,
    of_a_list_the_image_for_this_machine_comes,
    a_private_image_comes_for_whoever_may_have_it,
    a_mirror_is_asked_first_and_learns_no_password,
    a_name_goes_on_to_mean_what_was_pulled,
    two_who_pull_the_same_at_once_get_the_same,
    what_a_crash_left_is_removed,
];

const PLAIN: (u32, u64) = (0o644, 0);

fn base() -> Vec<u8> {
    Layer::new()
        .entry(EntryType::Directory, "etc/", "", (0o755, 0), b"")
        .file("etc/old", "old")
        .file("etc/gone", "gone")
        .entry(EntryType::Regular, "usr/bin/sudo", "", (0o4755, 0), b"program")
        .entry(EntryType::Regular, "home/me/file", "", (0o600, 1000), b"mine")
        .entry(EntryType::Symlink, "bin", "usr/bin", (0o777, 0), b"")
        .archive()
}

fn top() -> Vec<u8> {
    Layer::new()
        .file("etc/.wh.gone", "")
        .entry(EntryType::Regular, "home/.wh..wh..opq", "", PLAIN, b"")
        .file("etc/new", "new")
        .archive()
}

fn image() -> Image {
    let archives = [base(), top()];
    let layers = vec![gzip(&archives[0]), zstd::encode_all(archives[1].as_slice(), 1).unwrap()];
    let says = json!({
        "User": "1000:1000", "Env": ["PATH=/bin", "MODE=image"], "WorkingDir": "/home/me",
        "Entrypoint": ["/usr/bin/serve"], "Cmd": ["--now"], "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}},
    });
    Image::new(&archives, layers, &says)
}

async fn an_image_comes_with_its_files_owners_and_words() {
    let registry = Registry::start().await;
    registry.has("team/app", "1", &image());
    let cache = Cache::trusting(&[&registry]);
    let name = format!("{}/team/app:1", registry.name());
    let (found, rootfs) = cache.pull(&name).await.unwrap();
    assert_eq!(found.as_str(), digest(&image().manifest).replace("sha256:", "oci-"));
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
    };
    let says = ImageConfig {
        entrypoint: vec![String::from("/usr/bin/serve")],
        command: vec![String::from("--now")],
        environment: texts(&[("PATH", "/bin"), ("MODE", "image")]),
        work_dir: Some(String::from("/home/me")),
        user: Some(String::from("1000:1000")),
        labels: texts(&[("a", "b")]),
        ports: [String::from("80/tcp")].into(),
    };
    assert_eq!(rootfs.config, says);
    assert_eq!(rootfs.size_bytes, 3 + 4 + 7 + 4 + 3);
    let [base, top] = &*rootfs.layers else { panic!("two layers: {rootfs:?}") };
    let (base, top) = (base.path(), top.path());
    let file = base.join("home/me/file").metadata().unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (1000, 1000, 0o600));
    let program = base.join("usr/bin/sudo").metadata().unwrap();
    assert_eq!((program.uid(), program.mode() & 0o7777), (0, 0o4755));
    assert_eq!(base.metadata().unwrap().uid(), 0);
    let whiteout = top.join("etc/gone").symlink_metadata().unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    let mut mark = [0u8; 8];
    let length = rustix::fs::getxattr(top.join("home"), "trusted.overlay.opaque", &mut mark);
    assert_eq!(&mark[..length.unwrap()], b"y");
    let folder = cache.folder.path().join("layers").metadata().unwrap();
    assert_eq!(folder.mode() & 0o7777, 0o700, "nobody may run the programs in it");
    assert_eq!(cache.half_made(), [""; 0].map(std::path::PathBuf::from));
    let stock = cache.images.stock();
    assert_eq!((stock.len(), stock[0].references.clone(), stock[0].layers), (1, vec![name], 2));
}

async fn layers_that_are_here_are_not_fetched_again() {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[base()]));
    registry.has("app", "2", &Image::of(&[base(), top()]));
    // The same archive, otherwise compressed, is the same layer.
    let other = zstd::encode_all(base().as_slice(), 3).unwrap();
    registry.has("other", "1", &Image::new(&[base()], vec![other], &json!({"User": "7"})));
    let cache = Cache::trusting(&[&registry]);
    let named = |name: &str| format!("{}/{name}", registry.name());
    let first = cache.pull(&named("app:1")).await.unwrap().1;
    assert_eq!(registry.blobs_asked(), 2, "configuration and layer");
    assert_eq!(cache.pull(&named("app:1")).await.unwrap().1, first);
    assert_eq!(registry.blobs_asked(), 1, "the configuration");
    let second = cache.pull(&named("app:2")).await.unwrap().1;
    assert_eq!(registry.blobs_asked(), 2);
    assert_eq!(second.layers[0], first.layers[0]);
    let other = cache.pull(&named("other:1")).await.unwrap().1;
    assert_eq!((registry.blobs_asked(), &other.layers), (1, &first.layers));

    for name in ["app:1", "app:2"] {
        assert!(cache.images.forget(&named(name).parse().unwrap()).unwrap());
    }
    let freed = cache.images.collect().unwrap();
    assert_eq!((freed.images, freed.layers), (2, 1), "the layer of the third stays");
    assert!(other.layers[0].path().join("etc/old").exists() && !second.layers[1].path().exists());
}

async fn of_a_list_the_image_for_this_machine_comes() {
    let registry = Registry::start().await;
    let image = Image::of(&[base()]);
    registry.has("app", "unused", &image);
    let list = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {"digest": digest(b"other"), "size": 5, "platform": {"architecture": "s390x", "os": "linux"}},
            {"digest": digest(&image.manifest), "size": image.manifest.len(),
             "platform": {"architecture": architecture(), "os": "linux"}},
        ],
    })
    .to_string()
    .into_bytes();
    registry.set("/v2/app/manifests/1", Answer::Body(list.clone()));
    let of_list = digest(&list);
    registry.set(&format!("/v2/app/manifests/{of_list}"), Answer::Body(list));
    let cache = Cache::trusting(&[&registry]);
    let by_tag = cache.pull(&format!("{}/app:1", registry.name())).await.unwrap();
    let by_digest = cache.pull(&format!("{}/app@{of_list}", registry.name())).await.unwrap();
    assert_eq!(by_tag, by_digest);
}

async fn a_private_image_comes_for_whoever_may_have_it() {
    let registry = Registry::start().await;
    let image = Image::of(&[base()]);
    registry.has("app", "1", &image);
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"reg\"", registry.name());
    let challenge = Answer::Status(StatusCode::UNAUTHORIZED, "www-authenticate", realm);
    registry.set("/v2/app/manifests/1", challenge);
    registry
        .set("/token", Answer::For("Basic bWU6d29yZA==".into(), br#"{"token": "leave"}"#.into()));
    let cache = Cache::trusting(&[&registry]);
    let name = format!("{}/app:1", registry.name());
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("lets nobody without other credentials"), "{refused}");
    registry.asked();
    let login = RegistryLogin {
        registry: registry.name(),
        project: String::new(),
        user: "me".into(),
        password: "word".into(),
    };
    // It still refuses, since the answer does not change with the token; what matters is who was shown what.
    cache.pull_as(&name, Some(login)).await.unwrap_err();
    let leave = Some(String::from("Bearer leave"));
    let shown: Vec<_> = registry.asked();
    assert_eq!(
        shown,
        [
            (String::from("/v2/app/manifests/1"), None),
            (String::from("/token"), Some(String::from("Basic bWU6d29yZA=="))),
            (String::from("/v2/app/manifests/1"), leave),
        ]
    );
}

async fn a_mirror_is_asked_first_and_learns_no_password() {
    let (origin, mirror) = (Registry::start().await, Registry::start().await);
    let image = Image::of(&[base()]);
    mirror.has("app", "1", &image);
    origin.has("app", "2", &image);
    let mut rules = RegistryRules::default().with_patience(Duration::from_millis(500));
    for registry in [&origin, &mirror] {
        rules.allow_plain(&registry.name()).unwrap();
    }
    rules.mirror(&format!("{}={}", origin.name(), mirror.name())).unwrap();
    let cache = Cache::with(rules, UnpackLimits::STANDARD);
    let login = RegistryLogin {
        registry: origin.name(),
        project: String::new(),
        user: "me".into(),
        password: "word".into(),
    };
    cache.pull_as(&format!("{}/app:1", origin.name()), Some(login.clone())).await.unwrap();
    assert_eq!(origin.asked(), []);
    // What the mirror lacks, the registry itself has.
    cache.pull_as(&format!("{}/app:2", origin.name()), Some(login)).await.unwrap();
    assert!(mirror.asked().iter().all(|(_, shown)| shown.is_none()));
}

async fn a_name_goes_on_to_mean_what_was_pulled() {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[base()]));
    let cache = Cache::trusting(&[&registry]);
    let name = format!("{}/app:1", registry.name());
    let alias = "python:3.12-slim".parse().unwrap();
    cache.images.set_alias(&alias, &name.parse().unwrap()).unwrap();
    assert_eq!(cache.images.find_reference(&alias), None);
    let pulled = cache.pull(&name).await.unwrap();
    assert_eq!(cache.images.find_reference(&alias), Some(pulled.clone()));
    registry.has("app", "1", &Image::of(&[top()]));
    assert_eq!(cache.images.find_reference(&name.parse().unwrap()), Some(pulled.clone()));
    let again = cache.pull(&name).await.unwrap();
    assert_ne!(again, pulled);
    assert_eq!(cache.images.find_reference(&alias), Some(again));
}

async fn two_who_pull_the_same_at_once_get_the_same() {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[base(), top(), base()]));
    let cache = Cache::trusting(&[&registry]);
    let name = format!("{}/app:1", registry.name());
    let (one, other) = tokio::join!(cache.pull(&name), cache.pull(&name));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(registry.blobs_asked(), 4, "two configurations, and each layer once");
    assert_eq!(cache.half_made(), [""; 0].map(std::path::PathBuf::from));
}

async fn what_a_crash_left_is_removed() {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[base()]));
    let cache = Cache::trusting(&[&registry]);
    let digits = digest(&base()).replace("sha256:", "");
    let left = cache.folder.path().join(format!("layers/.unpacking-{digits}-abc/etc"));
    std::fs::create_dir_all(&left).unwrap();
    cache.pull(&format!("{}/app:1", registry.name())).await.unwrap();
    assert!(!left.exists(), "whoever makes the layer removes it");
    std::fs::create_dir_all(&left).unwrap();
    cache.images.remove_half_made_layers();
    assert_eq!(cache.half_made(), [""; 0].map(std::path::PathBuf::from));
    // A pull that is given up leaves nothing that counts, and the next one succeeds.
    registry.has("app", "2", &Image::of(&[top()]));
    let blob = format!("/v2/app/blobs/{}", digest(&gzip(&top())));
    registry.set(&blob, Answer::Silence);
    let name = format!("{}/app:2", registry.name());
    let given_up = tokio::time::timeout(Duration::from_millis(200), cache.pull(&name)).await;
    assert!(given_up.is_err());
    registry.set(&blob, Answer::Body(gzip(&top())));
    cache.pull(&name).await.unwrap();
    assert_eq!(cache.half_made(), [""; 0].map(std::path::PathBuf::from));
}
