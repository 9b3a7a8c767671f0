//! Whose images are that came with a password.

use pitlane_image::{PullAs, PullImageError, Rootfs};
use pitlane_model::{ImageName, ImageOwner};
use serde_json::json;

use crate::forge::{Image, Layer, gzip};
use crate::server::{Cache, Registry};
use crate::trials;

trials![
    what_came_with_a_password_is_its_owners_alone,
    what_came_without_is_everybodys,
    a_digest_alone_gives_nobody_a_layer,
    a_layer_is_not_given_away_by_being_named,
    whoever_shows_that_he_may_has_it_too,
    the_operators_pull_is_for_everybody,
    a_login_is_for_one_registry,
];

type Pulled = Result<(ImageName, Rootfs), PullImageError>;

fn owner(number: u8) -> ImageOwner {
    ImageOwner::from_random([number; 16])
}

fn secret() -> Vec<u8> {
    Layer::new().file("secret", "of one organization").archive()
}

fn base() -> Vec<u8> {
    Layer::new().file("base", "of everybody").archive()
}

async fn pull(cache: &Cache, registry: &Registry, name: &str, number: u8) -> Pulled {
    let who = PullAs { login: Some(registry.login()), owner: Some(owner(number)) };
    cache.pull_for(&format!("{}/{name}", registry.name()), who).await
}

/// A registry that guards an image of two layers, and a cache to which the first owner has pulled it.
async fn guarded() -> (Registry, Cache, Rootfs) {
    let registry = Registry::start().await;
    registry.guards("app", "1", &Image::of(&[base(), secret()]));
    let cache = Cache::trusting(&[&registry]);
    let (_, rootfs) = pull(&cache, &registry, "app:1", 1).await.unwrap();
    registry.asked();
    (registry, cache, rootfs)
}

async fn what_came_with_a_password_is_its_owners_alone() {
    let (registry, cache, rootfs) = guarded().await;
    let name = format!("{}/app:1", registry.name()).parse().unwrap();
    let found = |number| cache.images.find_owned(owner(number), &name).map(|(_, rootfs)| rootfs);
    assert_eq!([found(1), found(2)], [Some(rootfs), None]);
    assert_eq!(cache.images.find_reference(&name), None);
    // Nor by what it is called here.
    let [stocked] = &*cache.images.stock() else { panic!("one image") };
    assert_eq!((stocked.references.len(), stocked.owned.len()), (0, 1));
    assert_eq!(cache.images.find_reference(&stocked.image.parse().unwrap()), None);
    assert_eq!(cache.images.collect().unwrap().images, 0, "it has a name");
    // Who has another password, or none, is asked for one.
    let refused = cache.pull(&name.to_string()).await.unwrap_err().to_string();
    assert!(refused.contains("lets nobody without other credentials"), "{refused}");
    assert!(cache.images.forget(&name).unwrap());
    assert_eq!((found(1), cache.images.collect().unwrap().layers), (None, 2));
}

async fn what_came_without_is_everybodys() {
    let registry = Registry::start().await;
    registry.has("app", "1", &Image::of(&[base()]));
    let cache = Cache::trusting(&[&registry]);
    let pulled = pull(&cache, &registry, "app:1", 1).await.unwrap();
    let name = format!("{}/app:1", registry.name()).parse().unwrap();
    assert_eq!(cache.images.find_reference(&name), Some(pulled), "nobody asked for the password");
    assert_eq!(cache.images.find_owned(owner(1), &name), None);
}

async fn a_digest_alone_gives_nobody_a_layer() {
    let (_registry, cache, rootfs) = guarded().await;
    // A registry that names the layer, in an image that says the same and in one that does not, and has another archive
    // or none.
    let lying = Registry::start().await;
    let genuine = Image::of(&[base(), secret()]);
    lying.has("app", "1", &genuine);
    for blob in &genuine.layers {
        let path = format!("/v2/app/blobs/{}", crate::forge::digest(blob));
        lying.set(&path, crate::server::Answer::Body(gzip(b"nothing")));
    }
    let other = gzip(&base());
    lying.has("other", "1", &Image::new(&[secret()], vec![other], &json!({"User": "0"})));
    let cache_too = Cache::sharing(&cache, &lying);
    for (name, number) in [("app:1", 2), ("other:1", 2), ("other:1", 1)] {
        let name = format!("{}/{name}", lying.name());
        let who = PullAs { login: None, owner: Some(owner(number)) };
        let pulled = cache_too.pull_for(&name, who).await;
        let anonymous = cache_too.pull(&name).await;
        if number == 1 {
            // He has the layer already, and what he names is his.
            assert_eq!(pulled.unwrap().1.layers, rootfs.layers[1..]);
        } else {
            pulled.unwrap_err();
        }
        anonymous.unwrap_err();
        assert_eq!(cache_too.images.find_reference(&name.parse().unwrap()), None);
    }
    assert_eq!(cache.half_made(), Vec::<std::path::PathBuf>::new());
}

async fn a_layer_is_not_given_away_by_being_named() {
    let (_registry, cache, _) = guarded().await;
    let luring = Registry::start().await;
    luring.has("app", "1", &Image::new(&[secret()], vec![gzip(&base())], &json!({})));
    let cache = Cache::sharing(&cache, &luring);
    // The one whose layer it is pulls what somebody else has made up.
    pull(&cache, &luring, "app:1", 1).await.unwrap();
    let name = format!("{}/app:1", luring.name()).parse().unwrap();
    assert_eq!(cache.images.find_reference(&name), None);
    assert!(cache.images.find_owned(owner(1), &name).is_some());
}

async fn whoever_shows_that_he_may_has_it_too() {
    let (registry, cache, rootfs) = guarded().await;
    assert_eq!(pull(&cache, &registry, "app:1", 2).await.unwrap().1, rootfs);
    assert_eq!(registry.blobs_asked(), 3, "all of it came");
    assert_eq!(pull(&cache, &registry, "app:1", 2).await.unwrap().1, rootfs);
    assert_eq!(registry.blobs_asked(), 1, "the configuration");
    assert_eq!(cache.half_made(), Vec::<std::path::PathBuf>::new());
}

async fn the_operators_pull_is_for_everybody() {
    let (registry, cache, rootfs) = guarded().await;
    let name = format!("{}/app:1", registry.name());
    let pulled = cache.pull_as(&name, Some(registry.login())).await.unwrap();
    assert_eq!(pulled.1, rootfs);
    assert_eq!(cache.images.find_reference(&name.parse().unwrap()), Some(pulled));
}

async fn a_login_is_for_one_registry() {
    let (registry, cache, _) = guarded().await;
    let name = format!("{}/app:1", registry.name());
    let mut login = registry.login();
    login.registry = String::from("other.example");
    cache.pull_as(&name, Some(login)).await.unwrap_err();
    assert!(registry.asked().iter().all(|(_, shown)| shown.is_none()));
}
