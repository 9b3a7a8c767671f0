//! Sessions of clients that speak a revision before 2026-07-28 over HTTP.
//!
//! A session belongs to the key that opened it: with another key there is no such session. Each caller has a number of
//! them, as have all together; whoever opens one more loses the one that was used longest ago. One that is not used ends by
//! itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};

use crate::caller::Caller;
use crate::metrics;

/// The most sessions of one caller.
const MAX_OF_ONE: usize = 64;
/// The most sessions of all callers.
const MAX_OF_ALL: usize = 1024;
/// How long a session lasts that is not used; a call that is under way may need as long.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// How long the end of a session is waited for.
const CLOSING: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// Who makes the request that this task serves.
    pub(crate) static CALLER: Caller;
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    local: LocalSessionManager,
    owners: Mutex<HashMap<SessionId, (Caller, Instant)>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self::ending_after(IDLE)
    }

    /// Sessions that end when they were not used for so long.
    pub(crate) fn ending_after(idle: Duration) -> Self {
        let mut config = SessionConfig::default();
        config.keep_alive = Some(idle);
        let mut local = LocalSessionManager::default();
        local.session_config = config;
        Self { local, owners: Mutex::default() }
    }

    /// Notes a new session, and says which one has to go for it.
    fn own(&self, id: SessionId, caller: Caller) -> Option<SessionId> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let of_caller = owners.values().filter(|(owner, _)| *owner == caller).count();
        let is_candidate = |owner: &Caller| {
            owners.len() >= MAX_OF_ALL || (of_caller >= MAX_OF_ONE && *owner == caller)
        };
        let candidates = owners.iter().filter(|(_, (owner, _))| is_candidate(owner));
        let oldest =
            candidates.min_by_key(|(_, (_, used))| *used).map(|(id, _)| SessionId::clone(id));
        if let Some(oldest) = &oldest {
            owners.remove(oldest);
        }
        owners.insert(id, (caller, Instant::now()));
        metrics::sessions(owners.len());
        oldest
    }

    /// Whether whoever makes this request may use the session; if so, it was used just now.
    fn is_own(&self, id: &SessionId) -> bool {
        let Ok(caller) = CALLER.try_with(|caller| *caller) else { return true };
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match owners.get_mut(id) {
            Some((owner, used)) if *owner == caller => {
                *used = Instant::now();
                true
            }
            Some(_) | None => false,
        }
    }

    fn forget(&self, id: &SessionId) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.remove(id);
        metrics::sessions(owners.len());
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        if let Ok(caller) = CALLER.try_with(|caller| *caller)
            && let Some(oldest) = self.own(SessionId::clone(&id), caller)
        {
            tracing::debug!("a session had to go for another one");
            let closing = self.local.close_session(&oldest);
            if tokio::time::timeout(CLOSING, closing).await.is_err() {
                tracing::debug!("a session did not end in time");
            }
        }
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.is_own(id) && self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        if !self.is_own(id) {
            return Ok(());
        }
        self.forget(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_is_its_openers_alone_and_the_one_used_longest_ago_goes_for_one_too_many() {
        let sessions = Sessions::new();
        let (one, other) = (Caller::with("one"), Caller::with("other"));
        let open = async || sessions.create_session().await.unwrap().0;
        let first = CALLER.scope(one, open()).await;
        assert!(CALLER.scope(one, sessions.has_session(&first)).await.unwrap());
        assert!(!CALLER.scope(other, sessions.has_session(&first)).await.unwrap());
        CALLER.scope(other, sessions.close_session(&first)).await.unwrap();
        assert!(CALLER.scope(one, sessions.has_session(&first)).await.unwrap());

        let second = CALLER.scope(one, open()).await;
        assert!(CALLER.scope(one, sessions.has_session(&first)).await.unwrap());
        for _ in 2..=MAX_OF_ONE {
            CALLER.scope(one, open()).await;
        }
        assert!(!CALLER.scope(one, sessions.has_session(&second)).await.unwrap());
        assert!(CALLER.scope(one, sessions.has_session(&first)).await.unwrap());
        assert!(!sessions.local.has_session(&second).await.unwrap());
    }
}
