//! What opens the ports of each sandbox, and how many visitors it has.

use std::collections::HashMap;
use std::num::NonZeroU16;

use pitlane_model::{SandboxId, SandboxState, Timestamp};
use pitlane_store::{PreviewSecret, PreviewToken};

use super::error::PreviewError;
use super::token;
use crate::Event;

/// On what ground a visitor was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ground {
    /// The sandbox is public.
    Public,
    /// A key of its organization.
    Key,
    /// The token of this secret.
    Secret(PreviewSecret),
    /// A token for a while.
    Token {
        /// Its hash.
        hash: [u8; 32],
        /// Until when.
        expires_at: Timestamp,
    },
}

/// The doors of all sandboxes that have any.
#[derive(Debug, Default)]
pub(super) struct Doors(HashMap<SandboxId, Door>);

#[derive(Debug, Default)]
struct Door {
    secret: Option<Secret>,
    tokens: Vec<PreviewToken>,
    visits: usize,
}

#[derive(Debug)]
struct Secret {
    value: PreviewSecret,
    /// Whether it will be there after a restart of the server.
    is_saved: bool,
}

impl Doors {
    /// The sandboxes that have any.
    pub(super) fn known(&self) -> Vec<SandboxId> {
        self.0.keys().copied().collect()
    }

    /// Takes over a secret that was written down.
    pub(super) fn keep_secret(&mut self, of: SandboxId, value: PreviewSecret) {
        self.0.entry(of).or_default().secret = Some(Secret { value, is_saved: true });
    }

    /// Takes over a token that was written down.
    pub(super) fn keep_token(&mut self, token: PreviewToken) {
        self.0.entry(token.sandbox).or_default().tokens.push(token);
    }

    /// The secret of a sandbox, which is `fresh` if it had none, and whether it is written down.
    pub(super) fn secret_or(
        &mut self,
        of: SandboxId,
        fresh: PreviewSecret,
    ) -> (PreviewSecret, bool) {
        let door = self.0.entry(of).or_default();
        let secret = door.secret.get_or_insert(Secret { value: fresh, is_saved: false });
        (secret.value, secret.is_saved)
    }

    /// A secret was written down.
    pub(super) fn saved_secret(&mut self, of: SandboxId, value: PreviewSecret) {
        let secret = self.0.get_mut(&of).and_then(|door| door.secret.as_mut());
        if let Some(secret) = secret.filter(|secret| secret.value == value) {
            secret.is_saved = true;
        }
    }

    pub(super) fn has_secret(&self, id: SandboxId) -> bool {
        self.0.get(&id).is_some_and(|door| door.secret.is_some())
    }

    /// The tokens of this secret open nothing any more.
    pub(super) fn lose_secret(&mut self, of: SandboxId) {
        if let Some(door) = self.0.get_mut(&of) {
            door.secret = None;
        }
        self.tidy(of);
    }

    /// Adds a token in place of those whose time is over.
    pub(super) fn add_token(
        &mut self,
        token: PreviewToken,
        now: Timestamp,
        most: usize,
    ) -> Result<(), PreviewError> {
        let tokens = &mut self.0.entry(token.sandbox).or_default().tokens;
        tokens.retain(|token| token.expires_at > now);
        if tokens.len() >= most {
            return Err(PreviewError::TooMany { maximum: most });
        }
        tokens.push(token);
        Ok(())
    }

    /// Forgets a token; answers whether there was one.
    pub(super) fn remove_token(
        &mut self,
        of: SandboxId,
        port: NonZeroU16,
        hash: &[u8; 32],
    ) -> bool {
        let Some(door) = self.0.get_mut(&of) else { return false };
        let before = door.tokens.len();
        door.tokens.retain(|token| token.port != port || !token::is_same(&token.hash, hash));
        let is_removed = door.tokens.len() < before;
        self.tidy(of);
        is_removed
    }

    /// What a token opens this port by, if it does.
    pub(super) fn opened_by(
        &self,
        of: SandboxId,
        port: NonZeroU16,
        text: &str,
        now: Timestamp,
    ) -> Option<Ground> {
        let door = self.0.get(&of)?;
        let hash = token::hash_of(text);
        if let Some(secret) = &door.secret {
            let wanted = token::hash_of(&token::of(secret.value, of, port));
            if token::is_same(&wanted, &hash) {
                return Some(Ground::Secret(secret.value));
            }
        }
        let token = door.token(port, &hash, now)?;
        Some(Ground::Token { hash: token.hash, expires_at: token.expires_at })
    }

    /// Whether what a visitor was let in by still opens this port.
    pub(super) fn is_open(
        &self,
        of: SandboxId,
        port: NonZeroU16,
        ground: &Ground,
        now: Timestamp,
    ) -> bool {
        let Some(door) = self.0.get(&of) else { return false };
        match ground {
            Ground::Public | Ground::Key => true,
            Ground::Secret(value) => {
                door.secret.as_ref().is_some_and(|secret| secret.value == *value)
            }
            Ground::Token { hash, .. } => door.token(port, hash, now).is_some(),
        }
    }

    /// Counts a visitor, unless there are as many as there may be.
    pub(super) fn enter(&mut self, id: SandboxId, most: usize) -> bool {
        let door = self.0.entry(id).or_default();
        let has_room = door.visits < most;
        door.visits += usize::from(has_room);
        has_room
    }

    /// A visitor has gone.
    pub(super) fn leave(&mut self, id: SandboxId) {
        if let Some(door) = self.0.get_mut(&id) {
            door.visits = door.visits.saturating_sub(1);
        }
        self.tidy(id);
    }

    /// Takes note of an event; answers the sandbox whose tokens open nothing any more.
    pub(super) fn note(&mut self, event: &Event) -> Option<SandboxId> {
        let ended = ended_in(event)?;
        let Event::SandboxStateUpdated { new, .. } = event else { return None };
        if matches!(new, SandboxState::Destroying | SandboxState::Destroyed)
            && let Some(door) = self.0.get_mut(&ended)
        {
            door.tokens.clear();
        }
        self.lose_secret(ended);
        Some(ended)
    }

    fn tidy(&mut self, id: SandboxId) {
        let is_empty =
            |door: &Door| door.secret.is_none() && door.tokens.is_empty() && door.visits == 0;
        if self.0.get(&id).is_some_and(is_empty) {
            self.0.remove(&id);
        }
    }
}

impl Door {
    fn token(&self, port: NonZeroU16, hash: &[u8; 32], now: Timestamp) -> Option<&PreviewToken> {
        let mut fitting =
            self.tokens.iter().filter(|token| token.port == port && token.expires_at > now);
        fitting.find(|token| token::is_same(&token.hash, hash))
    }
}

/// The sandbox that runs no more, if that is what has happened.
pub(super) fn ended_in(event: &Event) -> Option<SandboxId> {
    let Event::SandboxStateUpdated { sandbox, new, .. } = event else { return None };
    is_end(*new).then_some(sandbox.spec.id)
}

/// Whether a sandbox of this state has to be started before anything can be reached in it.
pub(super) const fn is_end(state: SandboxState) -> bool {
    use SandboxState as S;
    matches!(
        state,
        S::Stopped | S::Archiving | S::Archived | S::Error | S::Destroying | S::Destroyed
    )
}
