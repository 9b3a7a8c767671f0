//! What comes of registries that lie, hang, and lead elsewhere.

use std::time::Duration;

use http::StatusCode;
use pitlane_image::{RegistryRules, UnpackLimits};
use serde_json::json;
use tar::EntryType;

use crate::forge::{Image, Layer, digest, gzip};
use crate::server::{Answer, Cache, Registry};
use crate::trials;

trials![
    a_registry_at_an_address_of_the_operators_own_is_not_asked,
    no_redirect_leads_to_an_address_of_the_operators_own,
    no_realm_leads_to_an_address_of_the_operators_own,
    redirects_end_and_carry_no_secrets,
    a_manifest_that_is_another_one_is_refused,
    a_layer_that_is_another_one_is_refused,
    sizes_that_are_others_are_refused,
    a_layer_that_its_configuration_does_not_name_is_refused,
    a_registry_that_says_nothing_is_given_up,
    a_registry_that_fails_for_a_moment_is_asked_again,
    answers_without_end_are_refused,
    bombs_are_refused,
    malformed_layers_are_refused,
    what_is_for_another_machine_is_refused,
    what_breaks_off_is_refused,
    what_never_ends_is_refused,
    what_comes_byte_by_byte_is_given_up,
    a_registry_is_asked_again_when_it_wants_to_be,
    what_is_no_image_is_refused,
    bombs_of_every_kind_are_refused,
    absurd_images_are_refused,
    a_proxy_makes_ways_to_registries_that_are_not_the_operators_own,
];

fn layer() -> Vec<u8> {
    Layer::new().file("file", "content").archive()
}

async fn registry() -> (Registry, Cache, String) {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[layer()]));
    let cache = Cache::trusting(&[&registry]);
    let name = format!("{}/app:1", registry.name());
    (registry, cache, name)
}

/// An image that has this for its configuration.
fn described(config: String) -> Image {
    let mut image = Image::of(&[layer()]).saying(|manifest| {
        manifest["config"]["digest"] = json!(digest(config.as_bytes()));
        manifest["config"]["size"] = json!(config.len());
    });
    image.config = config.into_bytes();
    image
}

fn redirect(to: &str) -> Answer {
    Answer::Status(StatusCode::TEMPORARY_REDIRECT, "location", to.to_owned())
}

const NOT_PUBLIC: &str = "its address is not public, and the operator has not allowed it";

async fn a_registry_at_an_address_of_the_operators_own_is_not_asked() {
    let (registry, _, _) = registry().await;
    let port = registry.address.port();
    let cache = Cache::with(RegistryRules::default(), UnpackLimits::STANDARD);
    for host in ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254"] {
        let refused = cache.refusal(&format!("{host}:{port}/app:1")).await;
        assert_eq!(refused, format!("{host}:{port} may not be asked: {NOT_PUBLIC}"));
    }
    assert_eq!(registry.asked(), []);
    let mut rules = RegistryRules::default();
    rules.allow(&registry.name()).unwrap();
    let encrypted = Cache::with(rules, UnpackLimits::STANDARD);
    let refused = encrypted.refusal(&format!("{}/app:1", registry.name())).await;
    assert_eq!(refused, format!("cannot reach {}", registry.name()), "it does not speak TLS");
}

async fn no_redirect_leads_to_an_address_of_the_operators_own() {
    let inner = Registry::start().await;
    inner.set("/secret", Answer::Body(layer()));
    let (registry, cache, name) = registry().await;
    let blob = format!("/v2/app/blobs/{}", digest(&gzip(&layer())));
    for (target, authority, reason) in [
        (
            format!("http://{}/secret", inner.name()),
            inner.name(),
            "it would be asked without encryption",
        ),
        (format!("https://{}/secret", inner.name()), inner.name(), NOT_PUBLIC),
        ("https://169.254.169.254/latest/meta-data/".into(), "169.254.169.254".into(), NOT_PUBLIC),
        ("https://localhost/".into(), "localhost".into(), NOT_PUBLIC),
        ("https://[::1]/".into(), "[::1]".into(), NOT_PUBLIC),
        ("https://[::ffff:10.0.0.1]/".into(), "[::ffff:10.0.0.1]".into(), NOT_PUBLIC),
    ] {
        for path in ["/v2/app/manifests/1", &blob] {
            let (tag, honest) = ("/v2/app/manifests/1", Image::of(&[layer()]));
            registry.set(tag, Answer::Body(honest.manifest));
            registry.set(path, redirect(&target));
            let refused = cache.refusal(&name).await;
            assert_eq!(refused, format!("{authority} may not be asked: {reason}"), "{target}");
        }
    }
    assert_eq!(inner.asked(), []);
}

async fn no_realm_leads_to_an_address_of_the_operators_own() {
    let inner = Registry::start().await;
    let (registry, cache, name) = registry().await;
    for realm in [format!("https://{}/token", inner.name()), "https://169.254.169.254/".into()] {
        let header = format!("Bearer realm=\"{realm}\"");
        let challenge = Answer::Status(StatusCode::UNAUTHORIZED, "www-authenticate", header);
        registry.set("/v2/app/manifests/1", challenge);
        let refused = cache.refusal(&name).await;
        assert!(refused.ends_with(NOT_PUBLIC), "{refused}");
    }
    let nonsense = Answer::Status(StatusCode::UNAUTHORIZED, "www-authenticate", "Digest x".into());
    registry.set("/v2/app/manifests/1", nonsense);
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("lets nobody without other credentials"), "{refused}");
    assert_eq!(inner.asked(), []);
}

async fn redirects_end_and_carry_no_secrets() {
    let (registry, other) = (Registry::start().await, Registry::start().await);
    let image = Image::of(&[layer()]);
    registry.has("app", "1", &image);
    let cache = Cache::trusting(&[&registry, &other]);
    let name = format!("{}/app:1", registry.name());
    // A token for the registry, and layers that are somewhere else, as is usual.
    let realm = format!("Bearer realm=\"http://{}/token\"", registry.name());
    let manifest = "/v2/app/manifests/1";
    registry.set(manifest, Answer::Status(StatusCode::UNAUTHORIZED, "www-authenticate", realm));
    registry.set("/token", Answer::Body(br#"{"access_token": "leave"}"#.into()));
    cache.refusal(&name).await;
    registry.set(manifest, redirect(&format!("http://{}/moved", other.name())));
    other.set("/moved", Answer::Body(image.manifest));
    cache.pull(&name).await.unwrap();
    assert_eq!(other.asked(), [(String::from("/moved"), None)]);

    let cache = Cache::trusting(&[&registry]);
    registry.set(manifest, redirect(manifest));
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("one redirect after the other"), "{refused}");
    for nowhere in ["", "relative", "ftp://a.example/", "http://user:word@127.0.0.1/"] {
        registry.set(manifest, redirect(nowhere));
        let refused = cache.refusal(&name).await;
        let is_refused = refused.ends_with("a redirect to nowhere")
            || refused.ends_with("it is no address of the web");
        assert!(is_refused, "{nowhere}: {refused}");
    }
}

async fn a_manifest_that_is_another_one_is_refused() {
    let (registry, cache, _) = registry().await;
    let wanted = digest(b"what was asked for");
    let other = Image::of(&[layer()]).manifest;
    registry.set(&format!("/v2/app/manifests/{wanted}"), Answer::Body(other));
    let refused = cache.refusal(&format!("{}/app@{wanted}", registry.name())).await;
    assert_eq!(refused, format!("{} gives something else than {wanted}", registry.name()));
}

async fn a_layer_that_is_another_one_is_refused() {
    let (registry, cache, name) = registry().await;
    let image = Image::of(&[layer()]);
    let mut other = gzip(&layer());
    *other.last_mut().unwrap() ^= 1;
    let wanted = digest(&image.layers[0]);
    registry.set(&format!("/v2/app/blobs/{wanted}"), Answer::Body(other));
    let refused = cache.refusal(&name).await;
    // Whoever notices first: the unpacker its checksum, or the server the digest.
    let is_known = refused == format!("{} gives something else than {wanted}", registry.name())
        || refused.starts_with("a layer of the image is malformed");
    assert!(is_known, "{refused}");
    // One that unpacks well and is still another.
    let same_size = Layer::new().file("file", "CONTENT").archive();
    let mut plain = Image::new(&[layer()], vec![layer()], &json!({}));
    plain.layers = vec![same_size];
    registry.set("/v2/app/manifests/2", Answer::Body(plain.manifest.clone()));
    registry.set(&format!("/v2/app/blobs/{}", digest(&plain.config)), Answer::Body(plain.config));
    let wanted = digest(&layer());
    registry.set(&format!("/v2/app/blobs/{wanted}"), Answer::Body(plain.layers.remove(0)));
    let refused = cache.refusal(&format!("{}/app:2", registry.name())).await;
    assert_eq!(refused, format!("{} gives something else than {wanted}", registry.name()));
    // A configuration that is another one.
    let other = Image::new(&[layer()], vec![gzip(&layer())], &json!({"User": "x"}));
    registry.set("/v2/app/manifests/3", Answer::Body(other.manifest.clone()));
    let mut config = other.config.clone();
    let place = config.iter().position(|byte| *byte == b'x').unwrap();
    config[place] = b'y';
    registry.set(&format!("/v2/app/blobs/{}", digest(&other.config)), Answer::Body(config));
    let refused = cache.refusal(&format!("{}/app:3", registry.name())).await;
    assert!(refused.contains("gives something else than"), "{refused}");
}

async fn sizes_that_are_others_are_refused() {
    let (registry, cache, name) = registry().await;
    for (pointer, size) in [("/layers/0/size", 1), ("/layers/0/size", 1 << 20), ("/config/size", 1)]
    {
        let lying = Image::of(&[layer()])
            .saying(|manifest| *manifest.pointer_mut(pointer).unwrap() = json!(size));
        registry.set("/v2/app/manifests/1", Answer::Body(lying.manifest));
        let refused = cache.refusal(&name).await;
        assert!(refused.ends_with("in another size than it says"), "{pointer} {size}: {refused}");
    }
    let huge =
        Image::of(&[layer()]).saying(|manifest| manifest["layers"][0]["size"] = json!(u64::MAX));
    registry.set("/v2/app/manifests/1", Answer::Body(huge.manifest));
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("cannot be used here: a layer of"), "{refused}");
    assert!(registry.blobs_asked() > 0);
}

async fn a_layer_that_its_configuration_does_not_name_is_refused() {
    let (registry, cache, name) = registry().await;
    let other = Layer::new().file("other", "x").archive();
    let lying = Image::new(&[other], vec![gzip(&layer())], &json!({}));
    registry.has("app", "1", &lying);
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("is not the one that its configuration names"), "{refused}");
}

async fn a_registry_that_says_nothing_is_given_up() {
    let (registry, cache, name) = registry().await;
    let blob = format!("/v2/app/blobs/{}", digest(&gzip(&layer())));
    for path in [&*blob, "/v2/app/manifests/1"] {
        registry.set(path, Answer::Silence);
        let refused = cache.refusal(&name).await;
        assert_eq!(refused, format!("{} does not answer in time", registry.name()));
    }
}

async fn a_registry_that_fails_for_a_moment_is_asked_again() {
    let (registry, cache, name) = registry().await;
    let manifest = "/v2/app/manifests/1";
    let failing = |status| Answer::Status(status, "x", "y".into());
    registry.set(manifest, failing(StatusCode::SERVICE_UNAVAILABLE));
    let mending = async {
        while registry.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry.has("app", "1", &Image::of(&[layer()]));
    };
    let (pulled, ()) = tokio::join!(cache.pull(&name), mending);
    pulled.unwrap();
    let cache = Cache::trusting(&[&registry]);
    registry.asked();
    registry.set(manifest, failing(StatusCode::IM_A_TEAPOT));
    let refused = cache.refusal(&name).await;
    assert_eq!(refused, format!("{} answers with status 418", registry.name()));
    assert_eq!(registry.asked().len(), 1, "what does not pass is not tried again");
    let refused = cache.refusal(&format!("{}/nothing:1", registry.name())).await;
    assert_eq!(refused, format!("{0} has no image {0}/nothing", registry.name()));
}

async fn answers_without_end_are_refused() {
    let (registry, cache, name) = registry().await;
    registry.set("/v2/app/manifests/1", Answer::Body(vec![b' '; 5 << 20]));
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("an answer of more than 4096 KiB"), "{refused}");
    let many = json!({"schemaVersion": 2, "manifests": []});
    registry.set("/v2/app/manifests/1", Answer::Body(many.to_string().into_bytes()));
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("no image for linux/"), "{refused}");
}

async fn bombs_are_refused() {
    let (registry, cache, name) = registry().await;
    let zeros = vec![0u8; 16 << 20];
    let bomb = Layer::new().entry(EntryType::Regular, "bomb", "", (0o644, 0), &zeros).archive();
    registry.has("app", "1", &Image::of(&[bomb]));
    let refused = cache.refusal(&name).await;
    assert_eq!(refused, "a layer of the image is too large: the layer holds more than 8 MiB");
    let mut many = Layer::new();
    for number in 0..2000 {
        many = many.file(&number.to_string(), "");
    }
    registry.has("app", "1", &Image::of(&[many.archive()]));
    let refused = cache.refusal(&name).await;
    assert_eq!(
        refused,
        "a layer of the image is too large: the layer holds more than 1000 entries"
    );
}

async fn malformed_layers_are_refused() {
    let (registry, cache, name) = registry().await;
    let entry = |kind, path: &str, link: &str| {
        Layer::new().entry(kind, path, link, (0o644, 0), b"").archive()
    };
    for (archive, reason) in [
        (b"no archive at all, and long enough to be one".repeat(40), "the archive cannot be read"),
        (entry(EntryType::Regular, "../escape", ""), "leads out of its folder"),
        (entry(EntryType::Link, "x", "../../etc/shadow"), "leads out of its folder"),
        (entry(EntryType::Link, "x", "/etc/shadow"), "links to nothing that is there"),
        (entry(EntryType::new(b'Z'), "x", ""), "of a kind that layers do not have"),
    ] {
        registry.has("app", "1", &Image::of(&[archive]));
        let refused = cache.refusal(&name).await;
        assert!(refused.starts_with("a layer of the image is malformed: "), "{refused}");
        assert!(refused.contains(reason), "{refused}");
    }
    // A device is left out, and the rest is as it should be.
    let archive = Layer::new()
        .entry(EntryType::Block, "dev/sda", "", (0o666, 0), b"")
        .entry(EntryType::Symlink, "up", "/..", (0o777, 0), b"")
        .file("up/inside", "x")
        .archive();
    registry.has("app", "1", &Image::of(&[archive]));
    let (_, rootfs) = cache.pull(&name).await.unwrap();
    assert!(!rootfs.layers[0].path().join("dev/sda").exists());
    assert!(rootfs.layers[0].path().join("inside").exists());
}

async fn what_is_for_another_machine_is_refused() {
    let (registry, cache, name) = registry().await;
    let honest = Image::of(&[layer()]);
    let config = String::from_utf8(honest.config).unwrap().replace("\"linux\"", "\"plan9\"");
    registry.has("app", "1", &described(config));
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("an image for plan9/"), "{refused}");
}

fn blob() -> String {
    format!("/v2/app/blobs/{}", digest(&gzip(&layer())))
}

async fn what_breaks_off_is_refused() {
    let (registry, cache, name) = registry().await;
    let half = |bytes: &[u8]| Answer::Broken(bytes[..bytes.len() / 2].to_vec());
    let manifest = Image::of(&[layer()]).manifest;
    for (path, answer) in
        [(blob(), half(&gzip(&layer()))), ("/v2/app/manifests/1".to_owned(), half(&manifest))]
    {
        registry.set(&path, answer);
        let refused = cache.refusal(&name).await;
        assert_eq!(refused, format!("cannot reach {}", registry.name()));
        let tries = registry.asked().iter().filter(|(asked, _)| *asked == path).count();
        assert_eq!(tries, 3, "{path}");
    }
}

async fn what_never_ends_is_refused() {
    let (registry, cache, name) = registry().await;
    let realm = format!("Bearer realm=\"http://{}/token\"", registry.name());
    let challenge = Answer::Status(StatusCode::UNAUTHORIZED, "www-authenticate", realm);
    registry.set(&blob(), Answer::Endless);
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("in another size than it says"), "{refused}");
    registry.set("/v2/app/manifests/1", Answer::Endless);
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("an answer of more than 4096 KiB"), "{refused}");
    registry.set("/v2/app/manifests/1", challenge);
    registry.set("/token", Answer::Endless);
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("an answer of more than 64 KiB"), "{refused}");
}

async fn what_comes_byte_by_byte_is_given_up() {
    let (registry, cache, name) = registry().await;
    registry.set(&blob(), Answer::Trickle(gzip(&layer())));
    let refused = cache.refusal(&name).await;
    assert_eq!(refused, format!("{} does not answer in time", registry.name()));
}

async fn a_registry_is_asked_again_when_it_wants_to_be() {
    let (registry, cache, name) = registry().await;
    let manifest = "/v2/app/manifests/1";
    let busy = |after: &str| {
        Answer::Status(StatusCode::TOO_MANY_REQUESTS, "retry-after", after.to_owned())
    };
    registry.set(manifest, busy("1"));
    let began = std::time::Instant::now();
    let mending = async {
        while registry.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        registry.has("app", "1", &Image::of(&[layer()]));
    };
    let (pulled, ()) = tokio::join!(cache.pull(&name), mending);
    pulled.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let cache = Cache::trusting(&[&registry]);
    registry.asked();
    registry.set(manifest, busy("3600"));
    let refused = cache.refusal(&name).await;
    let told = "answers with status 429; it may be asked again in 3600 s";
    assert_eq!(refused, format!("{} {told}", registry.name()));
    assert_eq!(registry.asked().len(), 1, "nobody waits for so long");
}

async fn what_is_no_image_is_refused() {
    let (registry, cache, name) = registry().await;
    let manifest = "/v2/app/manifests/1";
    let page = b"<!DOCTYPE html><title>Sign in</title>".to_vec();
    let chart = json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json",
            "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": digest(&gzip(&layer())), "size": gzip(&layer()).len()}],
    });
    registry.set(&format!("/v2/app/blobs/{}", digest(b"{}")), Answer::Body(b"{}".to_vec()));
    let foreign = json!({"schemaVersion": 2, "manifests": [
        {"digest": digest(b"x"), "size": 1, "platform": {"os": "windows", "architecture": "amd64"}}]});
    let endless = json!({"schemaVersion": 2, "manifests": [{"digest": digest(b"x"), "size": 1,
        "platform": {"os": "linux", "architecture": crate::forge::architecture()}}]});
    registry.set(&format!("/v2/app/manifests/{}", digest(b"x")), Answer::Body(b"y".to_vec()));
    for (answer, reason) in [
        (page, "a manifest that is none"),
        (chart.to_string().into_bytes(), "a configuration that is none"),
        (foreign.to_string().into_bytes(), "no image for linux/"),
        (endless.to_string().into_bytes(), "gives something else than sha256:"),
        (b"[".repeat(100_000), "a manifest that is none"),
        (br#"{"schemaVersion": 1, "fsLayers": []}"#.to_vec(), "a manifest of schema 1"),
    ] {
        registry.set(manifest, Answer::Body(answer));
        let refused = cache.refusal(&name).await;
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    // What a registry writes into the place of a number or of a machine's kind is told, but not all of it.
    let words = format!("\u{1b}[2J\u{7}{}", "x".repeat(100_000));
    let odd = json!({"schemaVersion": words}).to_string();
    registry.set(manifest, Answer::Body(odd.into_bytes()));
    let refused = cache.refusal(&name).await;
    let is_harmless = |text: &str| text.len() < 1_000 && !text.chars().any(char::is_control);
    assert!(refused.contains("a manifest that is none") && is_harmless(&refused), "{refused:?}");
    let config = json!({"os": words, "architecture": "x", "rootfs": {"diff_ids": []}}).to_string();
    registry.has("app", "1", &described(config));
    let refused = cache.refusal(&name).await;
    assert!(refused.contains("an image for ") && is_harmless(&refused), "{refused:?}");
}

async fn bombs_of_every_kind_are_refused() {
    let (registry, cache, name) = registry().await;
    let zeros = vec![0u8; 14 << 20];
    let entry = Layer::new().entry(EntryType::Regular, "bomb", "", (0o644, 0), &zeros).archive();
    // An archive that ends, and goes on for ever in what is compressed.
    let behind = [layer(), zeros].concat();
    for (archive, layer) in [
        (entry.clone(), zstd::encode_all(entry.as_slice(), 3).unwrap()),
        (behind.clone(), zstd::encode_all(behind.as_slice(), 3).unwrap()),
        (behind.clone(), gzip(&behind)),
    ] {
        registry.has("app", "1", &Image::new(&[archive], vec![layer], &json!({})));
        let refused = cache.refusal(&name).await;
        let is_told = refused.contains("holds more than 8 MiB")
            || refused.contains("it does not end where it must");
        assert!(is_told, "{refused}");
    }
}

async fn absurd_images_are_refused() {
    let (registry, cache, name) = registry().await;
    let many = vec![layer(); 101];
    registry.has("app", "1", &Image::of(&many));
    let refused = cache.refusal(&name).await;
    assert!(refused.ends_with("101 layers; there may be 1 to 100"), "{refused}");
    let entry = |path: &str| Layer::new().entry(EntryType::Regular, path, "", (0o644, 0), b"");
    for (path, reason) in [
        ("../.wh.passwd", "leads out of its folder"),
        ("etc/.wh...", "removes nothing"),
        ("etc/.wh.", "removes nothing"),
    ] {
        registry.has("app", "1", &Image::of(&[entry(path).archive()]));
        let refused = cache.refusal(&name).await;
        assert!(refused.contains(reason), "{path}: {refused}");
    }
    // The same layer as often as there may be layers is one, which comes once and is mounted once.
    registry.has("app", "1", &Image::of(&vec![layer(); 100]));
    registry.asked();
    let (_, rootfs) = cache.pull(&name).await.unwrap();
    assert_eq!((rootfs.layers.len(), registry.blobs_asked()), (1, 2));
}

async fn a_proxy_makes_ways_to_registries_that_are_not_the_operators_own() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let (heard, mut asked) = tokio::sync::mpsc::channel(16);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0u8; 4096];
            let length = stream.read(&mut request).await.unwrap();
            heard.send(String::from_utf8_lossy(&request[..length]).into_owned()).await.unwrap();
            stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap();
        }
    });
    let (registry, _, name) = registry().await;
    let mut rules = RegistryRules::default();
    rules.allow_plain(&registry.name()).unwrap();
    rules.through(&format!("http://me:word@{proxy}")).unwrap();
    rules.except("direct.invalid");
    let cache = Cache::with(rules, UnpackLimits { bytes: 8 << 20, entries: 1000 });
    let refused = cache.pull("public.invalid/app:1").await.unwrap_err();
    assert_eq!(refused.to_string(), "cannot reach public.invalid");
    let request = asked.try_recv().unwrap();
    assert!(request.starts_with("CONNECT public.invalid:443 HTTP/1.1\r\n"), "{request}");
    let authorization = "proxy-authorization: Basic bWU6d29yZA==";
    assert!(
        request.to_ascii_lowercase().contains(&authorization.to_ascii_lowercase()),
        "{request}"
    );
    while asked.try_recv().is_ok() {}
    // Neither the operator's own network, nor what he excepted, nor what he named.
    for inner in ["127.0.0.1:5000", "localhost", "10.0.0.1"] {
        let refused = cache.pull(&format!("{inner}/app:1")).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("{inner} may not be asked: {NOT_PUBLIC}"));
    }
    cache.pull("direct.invalid/app:1").await.unwrap_err();
    cache.pull(&name).await.unwrap();
    asked.try_recv().unwrap_err();
}
