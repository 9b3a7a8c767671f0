use pitlane_model::Permission;

use super::*;
use crate::{
    AuthenticateError, BootstrapError, CreateKey, CreateKeyError, NoBuilder, RevokeKeyError,
};

fn key(name: &str, permissions: &[Permission]) -> CreateKey {
    CreateKey { name: name.to_owned(), permissions: permissions.to_vec(), expires_at: None }
}

#[tokio::test]
async fn the_first_start_makes_one_administrator() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    assert_eq!(&*server.principal.permissions, &Permission::ALL);
    let listed = keys.list(&server.principal);
    assert_eq!(listed.len(), 1);
    assert_eq!(keys.current(&server.principal).as_ref(), listed.first());
    let again = keys.bootstrap(|_| panic!("handed over a second key")).await.unwrap();
    assert_eq!(again, None);
    server.shut_down().await;
    // A second start knows the key of the first.
    machine.start().await.shut_down().await;
}

#[tokio::test]
async fn a_first_key_that_could_not_be_handed_over_is_made_anew() {
    let machine = Machine::new();
    let server = machine.start().await;
    drop(server);
    let machine = Machine::new();
    let store = machine.open_store();
    let control = Control::start(Parts {
        store: store.clone(),
        driver: Arc::new(machine.driver.clone()),
        builder: Arc::new(NoBuilder),
        build_logs: machine.folder.path().join("build-logs"),
        clock: Clock::system(),
        random: Random::system(),
        secret: crate::ServerSecret::new([7; 32]),
        policy: Policy::standard(),
    })
    .await
    .unwrap();
    let refused = control.keys().bootstrap(|_| Err(std::io::Error::other("no room"))).await;
    assert!(matches!(refused, Err(BootstrapError::HandOver(_))), "{refused:?}");
    assert_eq!(store.keys().await.unwrap(), Vec::new());
    let text = control.keys().bootstrap(|_| Ok(())).await.unwrap().unwrap();
    control.keys().authenticate(text.expose()).unwrap();
    control.shut_down(DEADLINE).await;
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_also_after_a_restart() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let permissions = [Permission::WriteSandboxes];
    let (kept, kept_text) =
        keys.create(&server.principal, key("kept", &permissions)).await.unwrap();
    let (_, gone_text) = keys.create(&server.principal, key("gone", &permissions)).await.unwrap();
    let principal = keys.authenticate(kept_text.expose()).unwrap();
    assert_eq!(
        principal,
        Principal {
            organization: server.principal.organization,
            key: kept.id,
            permissions: permissions.into()
        }
    );
    assert_eq!(kept.hint.chars().count(), 9);
    assert!(!kept_text.expose().contains(&kept.hint));
    keys.authenticate(gone_text.expose()).unwrap();

    keys.revoke(&server.principal, "gone").await.unwrap();
    assert_eq!(keys.authenticate(gone_text.expose()), Err(AuthenticateError::Unknown));
    let again = keys.revoke(&server.principal, "gone").await;
    assert!(matches!(again, Err(RevokeKeyError::NotFound { .. })), "{again:?}");
    server.shut_down().await;

    let server = machine.start().await;
    let keys = server.control.keys();
    assert_eq!(keys.authenticate(gone_text.expose()), Err(AuthenticateError::Unknown));
    assert_eq!(keys.authenticate(kept_text.expose()), Ok(principal));
    server.shut_down().await;
}

#[tokio::test]
async fn a_revoked_key_stops_working_before_that_is_written() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let (_, text) = keys.create(&server.principal, key("gone", &[])).await.unwrap();
    server.store.clone().close().await;
    let revoked = keys.revoke(&server.principal, "gone").await;
    assert!(matches!(revoked, Err(RevokeKeyError::Store { .. })), "{revoked:?}");
    assert_eq!(keys.authenticate(text.expose()), Err(AuthenticateError::Unknown));
    // It is not taken for forgotten: revoking it once more tries again.
    let again = keys.revoke(&server.principal, "gone").await;
    assert!(matches!(again, Err(RevokeKeyError::Store { .. })), "{again:?}");
}

#[tokio::test]
async fn a_key_that_was_not_written_does_not_work() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.store.clone().close().await;
    let refused = server.control.keys().create(&server.principal, key("new", &[])).await;
    assert!(matches!(refused, Err(CreateKeyError::Store { .. })), "{refused:?}");
    assert_eq!(server.control.keys().list(&server.principal).len(), 1);
}

#[tokio::test]
async fn a_key_stops_working_when_its_time_is_over() {
    let machine = Machine::new();
    let server = machine.start().await;
    let now = machine.advance_clock(Duration::from_secs(1));
    let request =
        CreateKey { expires_at: Some(now.after(Duration::from_secs(10))), ..key("short", &[]) };
    let (_, text) = server.control.keys().create(&server.principal, request).await.unwrap();
    machine.advance_clock(Duration::from_secs(9));
    server.control.keys().authenticate(text.expose()).unwrap();
    let end: Timestamp = machine.advance_clock(Duration::from_secs(1));
    assert_eq!(end, now.after(Duration::from_secs(10)));
    let expired = server.control.keys().authenticate(text.expose());
    assert_eq!(expired, Err(AuthenticateError::Expired));
    server.shut_down().await;
}

#[tokio::test]
async fn text_that_is_no_key_proves_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    let token = machine.token.get().unwrap();
    for text in ["", "dtn_", &token[..token.len() - 1], &format!("{token} "), &"x".repeat(100_000)]
    {
        let refused = server.control.keys().authenticate(text);
        assert_eq!(refused, Err(AuthenticateError::Unknown), "{} bytes", text.len());
    }
    server.shut_down().await;
}

#[tokio::test]
async fn nobody_gives_away_more_than_they_have() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let request = key("limited", &[Permission::ManageKeys, Permission::WriteSandboxes]);
    let (_, text) = keys.create(&server.principal, request).await.unwrap();
    let limited = keys.authenticate(text.expose()).unwrap();
    let refused = keys.create(&limited, key("more", &[Permission::DeleteSandboxes])).await;
    assert!(matches!(refused, Err(CreateKeyError::Forbidden(_))), "{refused:?}");
    keys.create(&limited, key("less", &[Permission::WriteSandboxes])).await.unwrap();

    let (_, text) = keys.create(&server.principal, key("plain", &[])).await.unwrap();
    let plain = keys.authenticate(text.expose()).unwrap();
    let refused = keys.create(&plain, key("none", &[])).await;
    assert!(matches!(refused, Err(CreateKeyError::Forbidden(_))), "{refused:?}");
    let refused = keys.revoke(&plain, "limited").await;
    assert!(matches!(refused, Err(RevokeKeyError::Forbidden(_))), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_key_has_a_name_of_its_own() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    keys.create(&server.principal, key("twice", &[])).await.unwrap();
    let refused = keys.create(&server.principal, key("twice", &[])).await;
    assert!(matches!(refused, Err(CreateKeyError::NameTaken { .. })), "{refused:?}");
    for name in ["", "a\nb", &"x".repeat(256)] {
        let refused = keys.create(&server.principal, key(name, &[])).await;
        assert!(matches!(refused, Err(CreateKeyError::Name)), "{refused:?}");
    }
    assert_eq!(keys.list(&server.principal).len(), 2);
    server.shut_down().await;
}

#[tokio::test]
async fn when_a_key_was_used_is_kept_without_a_write_per_request() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let (made, text) = keys.create(&server.principal, key("used", &[])).await.unwrap();
    assert_eq!(made.last_used_at, None);
    machine.advance_clock(Duration::from_secs(3));
    let principal = keys.authenticate(text.expose()).unwrap();
    let now = machine.advance_clock(Duration::from_secs(4));
    keys.authenticate(text.expose()).unwrap();
    assert_eq!(keys.current(&principal).unwrap().last_used_at, Some(now));
    // Nobody shows it again: what is written at the end is what a later server knows.
    server.shut_down().await;

    machine.advance_clock(Duration::from_secs(5));
    let server = machine.start().await;
    let listed = server.control.keys().list(&server.principal);
    let used = listed.iter().find(|key| key.name == "used").unwrap();
    assert_eq!(used.last_used_at, Some(now));
    server.shut_down().await;
}

#[tokio::test]
async fn what_was_opened_with_a_key_ends_with_it() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let end = machine.advance_clock(Duration::from_secs(1)).after(Duration::from_millis(50));
    let short = CreateKey { expires_at: Some(end), ..key("short", &[]) };
    let (_, short) = keys.create(&server.principal, short).await.unwrap();
    let (_, other) = keys.create(&server.principal, key("other", &[])).await.unwrap();
    let short = keys.authenticate(short.expose()).unwrap();
    let other = keys.authenticate(other.expose()).unwrap();
    let (short_lives, other_lives) = (keys.validity(&short), keys.validity(&other));
    let mut endings = keys.endings();
    endings.mark_unchanged();

    keys.revoke(&server.principal, "other").await.unwrap();
    assert!(other_lives.is_cancelled() && !short_lives.is_cancelled());
    assert!(endings.has_changed().unwrap());
    assert!(keys.validity(&other).is_cancelled(), "one that is gone has ended");

    machine.advance_clock(Duration::from_millis(50));
    tokio::time::timeout(DEADLINE, short_lives.cancelled()).await.unwrap();
    assert!(!keys.validity(&server.principal).is_cancelled());
    server.shut_down().await;
}

#[tokio::test]
async fn a_key_that_could_never_work_is_not_made() {
    let machine = Machine::new();
    let server = machine.start().await;
    let keys = server.control.keys();
    let now = machine.advance_clock(Duration::from_secs(1));
    let past = CreateKey { expires_at: Some(now), ..key("past", &[]) };
    let refused = keys.create(&server.principal, past).await;
    assert!(matches!(refused, Err(CreateKeyError::Past)), "{refused:?}");
    let refused = keys.create(&server.principal, key("current", &[])).await;
    assert!(matches!(refused, Err(CreateKeyError::Name)), "{refused:?}");
    server.shut_down().await;
}
