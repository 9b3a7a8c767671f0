//! WebSockets of browsers, which can set no header: a token in the address opens them.
//!
//! It is a token of the preview of one port, which nobody makes for an application; a token for another port opens
//! nothing here. Only what is a WebSocket can be asked for so, and the token stays outside. What is open is closed when
//! the token is revoked or over, or when the sandbox stops.

use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use pitlane_model::SandboxId;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::target::{KEY_PARAMETER, PREFIX};
use super::{Asker, forward, headers, operation};
use crate::authentication::Validity;
use crate::rate_limit;
use crate::refusal::Refusal;
use crate::request::Notes;
use crate::state::State;

/// What is a WebSocket.
const ROUTES: [&str; 5] = [
    "/process/interpreter/execute",
    "/process/pty/create-connect",
    "/process/pty/{sessionId}/connect",
    "/process/session/entrypoint/logs",
    "/process/session/{sessionId}/command/{commandId}/logs",
];

/// How many tokens of one request are looked at.
const MAX_TOKENS: usize = 4;

/// The tokens that were shown for a WebSocket.
#[derive(Debug)]
pub(super) struct Shown {
    sandbox: SandboxId,
    tokens: Vec<String>,
}

impl Shown {
    /// What a request shows, if it asks for a WebSocket and shows anything.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        if !headers::wants_websocket(&parts.headers) {
            return None;
        }
        let path = parts.uri.path();
        let (id, _) = path.strip_prefix(PREFIX)?.split_once('/')?;
        let asked = operation::template(&parts.method, path);
        let asked = asked.strip_prefix(PREFIX)?.strip_prefix("{id}")?;
        if !ROUTES.contains(&asked) {
            return None;
        }
        let tokens: Vec<String> = form_urlencoded::parse(parts.uri.query()?.as_bytes())
            .filter(|(name, _)| name == KEY_PARAMETER)
            .map(|(_, token)| token.into_owned())
            .take(MAX_TOKENS)
            .collect();
        let sandbox = id.parse().ok()?;
        (!tokens.is_empty()).then_some(Self { sandbox, tokens })
    }
}

/// Answers a request without a key, if a token opens the toolbox.
pub(super) async fn answer(
    state: &State,
    shown: &Shown,
    request: Request,
) -> Result<Response, Refusal> {
    let admitted = state.control().previews().admit_to_toolbox(shown.sandbox, &shown.tokens);
    let Some(admission) = admitted else {
        return Err(Refusal::unauthorized("the token is not valid, or not any more"));
    };
    let organization = admission.organization();
    let (parts, body) = request.into_parts();
    Notes::asked_by(&parts, organization);
    // No key is used, but the organization's sandbox is.
    if let Some(refused) = rate_limit::refuse_without_key(state, organization) {
        return Ok(refused);
    }
    let ended = CancellationToken::new();
    let (validity, unused) = Validity::until(ended.clone());
    let watching = {
        let state = state.clone();
        async move {
            tokio::select! {
                () = unused.cancelled() => {}
                () = state.ending().cancelled() => {}
                () = state.control().previews().ended(&admission) => ended.cancel(),
            }
        }
    };
    state.tasks().spawn(watching.in_current_span());
    let asker = Asker { organization, validity };
    forward(state, &asker, None, Request::from_parts(parts, body)).await
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::*;

    const ID: &str = "abababab-abab-4bab-abab-abababababab";

    fn shown(method: Method, rest: &str, upgrade: Option<&str>) -> Option<Vec<String>> {
        let mut request = Request::builder().method(method).uri(format!("/toolbox/{ID}{rest}"));
        if let Some(upgrade) = upgrade {
            request = request.header("connection", "Upgrade").header("upgrade", upgrade);
        }
        Shown::of(&request.body(()).unwrap().into_parts().0).map(|shown| shown.tokens)
    }

    #[test]
    fn only_websockets_can_be_asked_for_with_a_token() {
        for rest in [
            "/process/pty/create-connect?id=x&DAYTONA_SANDBOX_AUTH_KEY=t",
            "/process/pty/x/connect?%44AYTONA_SANDBOX_AUTH_KEY=t",
            "/process/interpreter/execute?DAYTONA_SANDBOX_AUTH_KEY=t",
            "/process/session/s/command/c/logs?follow=true&DAYTONA_SANDBOX_AUTH_KEY=t",
        ] {
            assert_eq!(
                shown(Method::GET, rest, Some("websocket")),
                Some(vec!["t".into()]),
                "{rest}"
            );
            assert_eq!(shown(Method::GET, rest, None), None, "{rest}");
            assert_eq!(shown(Method::POST, rest, Some("websocket")), None, "{rest}");
            assert_eq!(shown(Method::GET, rest, Some("h2c")), None, "{rest}");
        }
        for rest in [
            "/process/pty?DAYTONA_SANDBOX_AUTH_KEY=t",
            "/files/download?path=a&DAYTONA_SANDBOX_AUTH_KEY=t",
            "/process/pty/x/connect?token=t",
            "/process/pty/x/connect",
            "/process/session?DAYTONA_SANDBOX_AUTH_KEY=t",
        ] {
            assert_eq!(shown(Method::GET, rest, Some("websocket")), None, "{rest}");
        }
    }
}
