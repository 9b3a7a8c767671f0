//! Keys for uploading build contexts: for a while, and for nothing else.
//!
//! A client asks with its API key and gets three texts that S3 clients know what to do with. None of them is kept: the
//! first names the API key and the time of its end, and the others are made from it and the server's secret. So they
//! outlive a restart, and stop working with the API key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pitlane_model::{KeyId, OrganizationId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::keys::ring::Ring;
use crate::{Clock, Principal, ServerSecret};

/// How long they work.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What texts are made for, so that the server's secret makes nothing twice.
const SECRET: &[u8] = b"pitlane upload secret 1";
const TOKEN: &[u8] = b"pitlane upload session token 1";

/// What every access key begins with.
const PREFIX: &str = "PIT";

/// How long what comes behind it is, in bytes: the API key's id, and a time.
const ACCESS_BYTES: usize = 24;

/// Makes keys for uploads, and knows them again.
#[derive(Debug)]
pub struct UploadKeys {
    secret: ServerSecret,
    ring: Arc<Ring>,
    clock: Clock,
}

/// A key for uploads. Its secrets are never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadKey {
    /// What it is called; no secret.
    pub access_key: String,
    /// What requests are signed with.
    pub secret: String,
    /// What requests show.
    pub session_token: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for UploadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadKey").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What a request has to prove to have come from the holder of a key for uploads.
#[derive(Debug, Clone)]
pub struct Uploader {
    /// Whose contexts they are.
    pub organization: OrganizationId,
    /// The key.
    pub key: UploadKey,
    /// Cancelled when the API key behind it stops working.
    pub validity: CancellationToken,
}

/// Why a key for uploads does not work: get another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadKeyError {
    /// It is no key of this server's, or the API key behind it was revoked.
    #[error("the access key is not known")]
    Unknown,
    /// Its time is over.
    #[error("the access key has expired")]
    Expired,
}

impl UploadKeys {
    pub(crate) fn new(secret: ServerSecret, ring: Arc<Ring>, clock: Clock) -> Self {
        Self { secret, ring, clock }
    }

    /// Makes a key for the caller's organization.
    #[must_use]
    pub fn issue(&self, principal: &Principal) -> UploadKey {
        self.make(principal.key, self.clock.now().after(LIFETIME))
    }

    /// The key behind an access key that a client shows, which proves nothing yet.
    ///
    /// # Errors
    ///
    /// See [`UploadKeyError`].
    pub fn find(&self, access_key: &str) -> Result<Uploader, UploadKeyError> {
        let (id, expires_at) = parse(access_key).ok_or(UploadKeyError::Unknown)?;
        let now = self.clock.now();
        let held = self.ring.by_id(id).filter(|held| held.works_at(now));
        let held = held.ok_or(UploadKeyError::Unknown)?;
        if expires_at <= now {
            return Err(UploadKeyError::Expired);
        }
        let key = self.make(id, expires_at);
        Ok(Uploader { organization: held.organization(), key, validity: held.validity().clone() })
    }

    fn make(&self, id: KeyId, expires_at: Timestamp) -> UploadKey {
        let bytes = access_bytes(id, expires_at);
        let text = |purpose| hex(&self.secret.derive(purpose, &[&bytes]));
        UploadKey {
            access_key: format!("{PREFIX}{}", hex(&bytes).to_uppercase()),
            secret: text(SECRET),
            session_token: text(TOKEN),
            expires_at,
        }
    }
}

fn access_bytes(id: KeyId, expires_at: Timestamp) -> [u8; ACCESS_BYTES] {
    let mut bytes = [0; ACCESS_BYTES];
    let (first, last) = bytes.split_at_mut(16);
    first.copy_from_slice(&id.to_bytes());
    last.copy_from_slice(&expires_at.as_micros().to_be_bytes());
    bytes
}

fn parse(access_key: &str) -> Option<(KeyId, Timestamp)> {
    let digits = access_key.strip_prefix(PREFIX)?;
    let is_whole = digits.len() == 2 * ACCESS_BYTES
        && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let (id, time) = digits.split_at_checked(32).filter(|_| is_whole)?;
    let id = u128::from_str_radix(id, 16).ok()?;
    let time = u64::from_str_radix(time, 16).ok()?;
    let id = KeyId::from_bytes(id.to_be_bytes());
    Some((id, Timestamp::from_micros(i64::from_be_bytes(time.to_be_bytes()))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use pitlane_model::{ApiKey, KeyHash, Organization, Permission};

    use super::*;

    fn keys(now: Timestamp) -> (UploadKeys, Principal) {
        let organization = OrganizationId::from_random([7; 16]);
        let row = Organization { id: organization, name: "o".to_owned(), created_at: now };
        let key = ApiKey {
            id: KeyId::from_random([9; 16]),
            organization,
            name: "k".to_owned(),
            hash: KeyHash([0; 32]),
            hint: String::new(),
            permissions: vec![Permission::WriteSandboxes],
            created_at: now,
            expires_at: None,
            last_used_at: None,
        };
        let principal =
            Principal { organization, key: key.id, permissions: key.permissions.clone().into() };
        let ring = Arc::new(Ring::new(vec![row], vec![key]));
        let clock = Clock::new(move || now);
        (UploadKeys::new(ServerSecret::new([1; 32]), ring, clock), principal)
    }

    #[test]
    fn a_key_is_known_again_by_another_server_with_the_same_secret() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let (keys, principal) = keys(now);
        let issued = keys.issue(&principal);
        let (later, _) = self::keys(now.after(LIFETIME - Duration::from_secs(1)));
        let found = later.find(&issued.access_key).unwrap();
        assert_eq!((found.organization, &found.key), (principal.organization, &issued));
        assert!(!format!("{issued:?} {found:?}").contains(&issued.secret));
        assert!(!format!("{issued:?} {found:?}").contains(&issued.session_token));
        assert_ne!(issued.secret, issued.session_token);
    }

    #[test]
    fn what_is_over_revoked_or_made_up_is_no_key() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let (keys, principal) = keys(now);
        let issued = keys.issue(&principal).access_key;
        let (later, _) = self::keys(now.after(LIFETIME));
        assert_eq!(later.find(&issued).unwrap_err(), UploadKeyError::Expired);
        keys.ring.expel(principal.organization, "k").unwrap();
        for text in [&issued, "", "PIT", &issued.to_lowercase(), &issued[..50], "PIT+", "ключ"]
        {
            assert_eq!(keys.find(text).unwrap_err(), UploadKeyError::Unknown, "{text}");
        }
    }

    #[test]
    fn a_longer_life_is_another_key() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let (keys, principal) = keys(now);
        let issued = keys.issue(&principal);
        let longer = keys.make(principal.key, issued.expires_at.after(LIFETIME));
        assert_ne!(longer.access_key, issued.access_key);
        assert_ne!(longer.secret, issued.secret);
        assert_ne!(longer.session_token, issued.session_token);
    }
}
