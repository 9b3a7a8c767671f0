//! Signing keys over the lives of sandboxes and servers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::*;
use crate::{FileAction, FileSignature, NoBuilder, ServerSecret};

/// As an SDK signs the download of `file`.
fn sign(key: &str, expires: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("v1:files:GET:file:{expires}").as_bytes());
    format!("v1_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

impl Server {
    fn signing_key(&self, name: &str) -> String {
        let key = self.control.signing_keys().key(&self.principal, name).unwrap();
        key.expose().to_owned()
    }

    async fn rotate(&self, name: &str) -> String {
        let key = self.control.signing_keys().rotate(&self.principal, name).await.unwrap();
        key.expose().to_owned()
    }

    fn lets_in(&self, id: SandboxId, key: &str, expires: &str) -> bool {
        let text = sign(key, expires);
        let action = FileAction::Download;
        let signature = FileSignature { action, path: "file", expires, text: &text };
        self.control.signing_keys().admit(id, &signature).is_some()
    }
}

#[tokio::test]
async fn a_signing_key_is_the_same_until_it_is_rotated_and_is_of_one_sandbox() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let other = server.create("second").await.spec.id;
    let key = server.signing_key("first");
    assert_eq!((server.signing_key("first"), key.len()), (key.clone(), 43));
    assert_ne!(server.signing_key("second"), key);
    assert!(server.lets_in(id, &key, "0"));
    assert!(!server.lets_in(other, &key, "0"));

    let rotated = server.rotate("first").await;
    assert_eq!(server.signing_key("first"), rotated);
    assert_eq!([&key, &rotated].map(|key| server.lets_in(id, key, "0")), [false, true]);
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    server.control.sandboxes().archive(&server.principal, "first").unwrap();
    server.until_state(id, SandboxState::Archived).await;
    server.shut_down().await;

    let server = machine.start().await;
    server.control.sandboxes().start(&server.principal, "first").await.unwrap();
    assert_eq!(server.signing_key("first"), rotated);
    assert_eq!([&key, &rotated].map(|key| server.lets_in(id, key, "0")), [false, true]);
    assert_ne!(server.rotate("first").await, rotated);
    server.shut_down().await;
}

#[tokio::test]
async fn a_signature_lets_in_until_its_second_and_never_into_what_is_gone() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let key = server.rotate("first").await;
    let second = machine.clock().now().as_micros() / 1_000_000;
    let expires = (second + 60).to_string();
    machine.advance_clock(Duration::from_secs(59));
    assert!(server.lets_in(id, &key, &expires));
    machine.advance_clock(Duration::from_secs(1));
    assert!(!server.lets_in(id, &key, &expires));
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    assert!(!server.lets_in(id, &key, "0"));
    server.until_gone(id).await;
    assert!(!server.lets_in(id, &key, "0"));
    assert_eq!(server.store.signing_salts().await.unwrap(), []);
    server.shut_down().await;
}

#[tokio::test]
async fn the_database_alone_makes_no_signing_key() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    let key = server.rotate("first").await;
    server.shut_down().await;
    let control = Control::start(Parts {
        store: machine.open_store(),
        driver: Arc::new(machine.driver.clone()),
        builder: Arc::new(NoBuilder),
        build_logs: machine.folder.path().join("build-logs"),
        clock: machine.clock(),
        random: Random::system(),
        secret: ServerSecret::new([8; 32]),
        policy: Policy::standard(),
    })
    .await
    .unwrap();
    let principal = control.keys().authenticate(machine.token.get().unwrap()).unwrap();
    assert_ne!(control.signing_keys().key(&principal, "first").unwrap().expose(), key);
    control.shut_down(DEADLINE).await;
}
