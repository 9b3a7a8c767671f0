//! What opens previews, over the end of a server.

use std::num::NonZeroU16;

use crate::{Admission, AdmitError, ExpirePreviewError, PreviewError, Visit};

use super::*;

const PORT: NonZeroU16 = NonZeroU16::new(3000).unwrap();

impl Server {
    /// Tries a token, without a key.
    fn admit(&self, sandbox: SandboxId, token: &str) -> Result<Admission, AdmitError> {
        let tokens = [token.to_owned()];
        let visit = Visit { sandbox, port: PORT, principal: None, tokens: &tokens };
        self.control.previews().admit(visit)
    }

    fn opens(&self, sandbox: SandboxId, token: &str) -> bool {
        self.admit(sandbox, token).is_ok()
    }

    async fn token(&self, name: &str) -> String {
        self.control.previews().token(&self.principal, name, PORT).await.unwrap().1
    }

    async fn sign(&self, name: &str, seconds: u32) -> String {
        let signed = self.control.previews().sign(&self.principal, name, PORT, seconds).await;
        signed.unwrap().token
    }
}

#[tokio::test]
async fn what_opens_a_preview_survives_the_server_and_what_was_revoked_does_not_come_back() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let of_run = server.token("first").await;
    let (kept, revoked) = (server.sign("first", 600).await, server.sign("first", 600).await);
    let brief = server.sign("first", 60).await;
    server.control.previews().expire(&server.principal, "first", PORT, &revoked).await.unwrap();
    server.shut_down().await;
    machine.advance_clock(Duration::from_secs(60));

    let server = machine.start().await;
    let opens = [&of_run, &kept, &revoked, &brief].map(|token| server.opens(id, token));
    assert_eq!(opens, [true, true, false, false]);
    assert_eq!(server.token("first").await, of_run);
    let left = server.control.previews().time_left(&server.admit(id, &kept).unwrap());
    assert_eq!(left, Some(Duration::from_secs(540)));
    server.shut_down().await;
}

#[tokio::test]
async fn a_token_of_a_run_ends_with_it_also_when_nobody_was_there_to_see() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let first = server.token("first").await;
    let admission = server.admit(id, &first).unwrap();
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    assert!(!server.control.previews().is_open(&admission));
    server.control.sandboxes().start(&server.principal, "first").await.unwrap();
    assert!(!server.opens(id, &first));
    let second = server.token("first").await;
    server.shut_down().await;
    machine.driver.exit(id, pitlane_driver::Exit::Unknown);

    let server = machine.start().await;
    server.until_state(id, SandboxState::Stopped).await;
    server.control.sandboxes().start(&server.principal, "first").await.unwrap();
    assert!(!server.opens(id, &second));
    server.shut_down().await;
}

#[tokio::test]
async fn nothing_opens_a_sandbox_that_is_gone_and_nothing_of_it_is_kept() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let tokens = [server.token("first").await, server.sign("first", 600).await];
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    for token in &tokens {
        assert!(matches!(server.admit(id, token), Err(AdmitError::Refused)));
    }
    server.until_gone(id).await;
    assert_eq!(server.store.preview_tokens().await.unwrap(), []);
    assert_eq!(server.store.preview_secrets().await.unwrap(), []);
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_has_only_so_many_tokens_and_expired_ones_do_not_count() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    let mut last = String::new();
    for _ in 0..256 {
        last = server.sign("first", 60).await;
    }
    let previews = server.control.previews();
    let refused = previews.sign(&server.principal, "first", PORT, 60).await;
    assert!(matches!(refused, Err(PreviewError::TooMany { maximum: 256 })));
    previews.expire(&server.principal, "first", PORT, &last).await.unwrap();
    let again = previews.expire(&server.principal, "first", PORT, &last).await;
    assert!(matches!(again, Err(ExpirePreviewError::NotFound)));
    server.sign("first", 60).await;
    machine.advance_clock(Duration::from_secs(60));
    server.sign("first", 60).await;
    assert_eq!(server.store.preview_tokens().await.unwrap().len(), 1);
    server.shut_down().await;
}
