//! Registries, their passwords, and whose images are that come for them.

use pitlane_model::{ImageReference, RegistryLogin, SnapshotState, StoredRegistry};

use super::*;
use crate::{
    CreateRegistry, CreateSnapshot, FindRegistryError, RequestedLimits, SaveRegistryError,
    SnapshotSource, Source, UpdateRegistry,
};

const HOST: &str = "guarded.example";
const PASSWORD: &str = "a-password-like-no-other";

fn registry(name: &str) -> CreateRegistry {
    CreateRegistry {
        name: name.to_owned(),
        url: format!("https://{HOST}/"),
        user: "robot".to_owned(),
        password: PASSWORD.to_owned(),
        project: String::new(),
    }
}

fn image(text: &str) -> ImageReference {
    text.parse().unwrap()
}

impl Server {
    async fn add_registry(&self, request: CreateRegistry) -> StoredRegistry {
        self.control.registries().create(&self.principal, request).await.unwrap()
    }

    /// A snapshot of an image, when it is clear whether it comes.
    async fn snapshot_of(&self, caller: &Principal, name: &str, of: &str) -> Snapshot {
        let request = CreateSnapshot {
            name: name.to_owned(),
            source: SnapshotSource::Image(image(of)),
            entrypoint: None,
            limits: RequestedLimits::default(),
        };
        self.control.snapshots().create(caller, request).await.unwrap();
        let find = || self.control.snapshots().find(caller, name).unwrap();
        eventually("it came or did not", async || {
            matches!(find().state, SnapshotState::Active | SnapshotState::Error)
        })
        .await;
        find()
    }
}

fn guard(machine: &Machine) {
    machine.driver.guard_registry(RegistryLogin {
        registry: HOST.to_owned(),
        project: String::new(),
        user: "robot".to_owned(),
        password: PASSWORD.to_owned(),
    });
}

#[tokio::test]
async fn an_image_comes_for_the_organization_that_has_its_password_and_for_no_other() {
    let machine = Machine::new();
    guard(&machine);
    let server = machine.start().await;
    let (_, stranger) = server.organization("second").await;
    let of = format!("{HOST}/app:1");
    let without = server.snapshot_of(&server.principal, "without", &of).await;
    assert_eq!(without.state, SnapshotState::Error);

    server.add_registry(registry("ours")).await;
    let mine = server.snapshot_of(&server.principal, "mine", &of).await;
    assert_eq!((mine.state, mine.error_reason.as_deref()), (SnapshotState::Active, None));
    // It is here, and the other organization is asked for a password as if it were not.
    let theirs = server.snapshot_of(&stranger, "theirs", &of).await;
    assert_eq!((theirs.state, theirs.image), (SnapshotState::Error, None));
    let told = theirs.error_reason.unwrap();
    assert!(told.contains("lets nobody without other credentials"), "{told}");
    // Nor does it help to have a password of one's own that is wrong.
    let wrong = CreateRegistry { password: "wrong".to_owned(), ..registry("theirs") };
    server.control.registries().create(&stranger, wrong).await.unwrap();
    let again = server.snapshot_of(&stranger, "again", &of).await;
    assert_eq!(again.state, SnapshotState::Error);
    // What nobody guards is everybody's.
    let open = server.snapshot_of(&stranger, "open", "open.example/app:1").await;
    assert_eq!(open.state, SnapshotState::Active);

    let wish = CreateSandbox { source: Source::Image(image(&of)), ..named("by-image") };
    let made = server.control.sandboxes().create(&server.principal, wish.clone()).await.unwrap();
    server.until_state(made.spec.id, SandboxState::Started).await;
    let refused = server.control.sandboxes().create(&stranger, wish).await;
    match refused {
        Err(_) => {}
        Ok(accepted) => {
            eventually("it failed", async || {
                let found = server.control.sandboxes().find(&stranger, "by-image").unwrap();
                assert_ne!(found.state, SandboxState::Started);
                found.spec.id == accepted.spec.id && found.state == SandboxState::Error
            })
            .await;
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_password_is_kept_encrypted_and_is_there_after_a_restart() {
    let machine = Machine::new();
    guard(&machine);
    let server = machine.start().await;
    let made = server.add_registry(registry("ours")).await;
    assert!(!format!("{made:?} {:?}", server.control.registries()).contains(PASSWORD));
    server.shut_down().await;
    for entry in std::fs::read_dir(machine.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
            assert!(!holds, "{}", path.display());
        }
    }

    let server = machine.start().await;
    assert_eq!(server.control.registries().list(&server.principal).unwrap(), vec![made.clone()]);
    let snapshot = server.snapshot_of(&server.principal, "s", &format!("{HOST}/app:1")).await;
    assert_eq!(snapshot.state, SnapshotState::Active);
    server.control.registries().delete(&server.principal, &made.id.to_string()).await.unwrap();
    // What came for it stays; nothing else comes.
    let again = server.snapshot_of(&server.principal, "again", &format!("{HOST}/app:1")).await;
    assert_eq!(again.state, SnapshotState::Active);
    let other = server.snapshot_of(&server.principal, "other", &format!("{HOST}/other:1")).await;
    assert_eq!(other.state, SnapshotState::Error);
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_registry_is_told() {
    let machine = Machine::new();
    let server = machine.start().await;
    let registries = server.control.registries();
    let refusal = async |change: &dyn Fn(&mut CreateRegistry)| {
        let mut request = registry("new");
        change(&mut request);
        registries.create(&server.principal, request).await.unwrap_err().to_string()
    };
    for (told, wanted) in [
        (refusal(&|it| it.name.clear()).await, "a registry's name has"),
        (refusal(&|it| it.url = "https://a.example/team".into()).await, "a registry's url is"),
        (refusal(&|it| it.url = "https://me:word@a.example".into()).await, "a registry's url is"),
        (refusal(&|it| it.url = "https://10.0.0.1".into()).await, "its address is not public"),
        (refusal(&|it| it.url = "localhost:5000".into()).await, "its address is not public"),
        (refusal(&|it| it.url = "http://a.example".into()).await, "without encryption"),
        (refusal(&|it| it.project = "../x".into()).await, "a registry's project is"),
        (refusal(&|it| it.user = "a:b".into()).await, "a registry's username has"),
        (refusal(&|it| it.password.clear()).await, "a registry's password has"),
        (refusal(&|it| it.password = "a\nb".into()).await, "a registry's password has"),
        (refusal(&|it| it.password = "x".repeat(70_000)).await, "a registry's password has"),
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
        assert!(!told.contains("word@"), "{told}");
    }
    assert_eq!(registries.list(&server.principal).unwrap(), []);

    let made = server.add_registry(registry("ours")).await;
    assert_eq!(
        refusal(&|it| it.name = "ours".into()).await,
        "a registry named \"ours\" exists already"
    );
    let id = made.id.to_string();
    let update = |url: &str, user: &str, password: Option<&str>| UpdateRegistry {
        name: "renamed".to_owned(),
        url: url.to_owned(),
        user: user.to_owned(),
        password: password.map(str::to_owned),
        project: Some("team/".to_owned()),
    };
    for (url, user) in [("other.example", "robot"), (HOST, "somebody")] {
        let refused = registries.update(&server.principal, &id, update(url, user, None)).await;
        assert!(matches!(refused, Err(SaveRegistryError::PasswordAgain)), "{refused:?}");
    }
    let changed = registries.update(&server.principal, &id, update(HOST, "robot", None)).await;
    let changed = changed.unwrap();
    assert_eq!((changed.name.as_str(), changed.project.as_str()), ("renamed", "team"));
    let access = registries.access(server.principal.organization);
    let logins: Vec<_> = access.logins.iter().map(|login| login.password.as_str()).collect();
    assert_eq!(logins, [PASSWORD]);
    let moved = update("other.example", "robot", Some("new"));
    let moved = registries.update(&server.principal, &id, moved).await.unwrap();
    assert_eq!(moved.host, "other.example");
    server.shut_down().await;
}

#[tokio::test]
async fn registries_are_one_organizations_alone_and_not_without_number() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (_, stranger) = server.organization("second").await;
    let registries = server.control.registries();
    let made = server.add_registry(registry("ours")).await;
    let id = made.id.to_string();
    let not_found = FindRegistryError::NotFound { id: id.clone() };
    assert_eq!(registries.find(&stranger, &id), Err(not_found));
    assert_eq!(registries.list(&stranger), Ok(Vec::new()));
    registries.delete(&stranger, &id).await.unwrap_err();
    assert_eq!(registries.find(&server.principal, &id), Ok(made));
    let powerless = Principal { permissions: Vec::new().into(), ..server.principal.clone() };
    assert!(matches!(registries.list(&powerless), Err(FindRegistryError::Forbidden(_))));
    let refused = registries.create(&powerless, registry("x")).await;
    assert!(matches!(refused, Err(SaveRegistryError::Forbidden(_))));
    for number in 1..100 {
        server.add_registry(registry(&number.to_string())).await;
    }
    let refused = registries.create(&server.principal, registry("one more")).await;
    assert!(matches!(refused, Err(SaveRegistryError::TooMany { maximum: 100 })), "{refused:?}");
    // An organization that goes takes its passwords along.
    registries.create(&stranger, registry("theirs")).await.unwrap();
    let organizations = server.control.organizations();
    organizations.delete(&server.principal, &stranger.organization.to_string()).await.unwrap();
    assert_eq!(server.store.registries().await.unwrap().len(), 100);
    server.shut_down().await;
}

#[tokio::test]
async fn whoever_removes_images_is_told_which_snapshots_need_them() {
    let machine = Machine::new();
    let server = machine.start().await;
    let told = || -> Vec<(String, Vec<String>)> {
        let needed = machine.driver.needed_images().into_iter();
        needed.map(|(image, by)| (image.to_string(), by)).collect()
    };
    let general = told();
    let made = server.snapshot_of(&server.principal, "web:1", "open.example/app:1").await;
    let image = made.image.unwrap().to_string();
    let now = || told().into_iter().find(|(name, _)| *name == image).map(|(_, by)| by);
    assert_eq!(now(), Some(vec!["snapshot web:1".to_owned()]));
    let snapshots = server.control.snapshots();
    snapshots.deactivate(&server.principal, "web:1").await.unwrap();
    assert_eq!(now(), None);
    snapshots.activate(&server.principal, "web:1").await.unwrap();
    server.shut_down().await;
    let server = machine.start().await;
    assert!(now().is_some());
    server.control.snapshots().delete(&server.principal, "web:1").await.unwrap();
    assert_eq!(told(), general);
    server.shut_down().await;
}
