//! Addresses of files that were signed: whoever has one needs no key.
//!
//! Only the download and the upload of one file can be asked for so, and of their parameters a daemon gets the path
//! alone, written anew: what was verified is what it reads. A signature that does not hold is answered alike whatever
//! the reason, and whether or not the sandbox exists.
//!
//! Pages of other origins may use them. Nothing that a browser sends by itself counts here, so there is nothing that
//! another page could use in its visitor's name.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, REFERER, REFERRER_POLICY, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use pitlane_control::{FileAction, FileAdmission, FileSignature};
use pitlane_model::SandboxId;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::target::{PREFIX, Target};
use super::{Asker, forward};
use crate::authentication::Validity;
use crate::rate_limit;
use crate::refusal::Refusal;
use crate::request::{AskedBy, Notes};
use crate::state::State;

/// The parameter with the signature.
pub(super) const SIGNATURE: &str = "signature";

/// What can be asked for with a signature.
pub(super) const ROUTES: [(Method, &str, FileAction); 2] = [
    (Method::GET, "/files/download", FileAction::Download),
    (Method::POST, "/files/upload-v2", FileAction::Upload),
];

/// What every answer says to browsers.
const TO_BROWSERS: [(HeaderName, &str); 4] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
    // The address would go with them.
    (REFERRER_POLICY, "no-referrer"),
    // It may be rotated or over a moment later.
    (CACHE_CONTROL, "no-store"),
];

/// What an answer to a browser that asks whether it may ask says besides.
const TO_PREFLIGHTS: [(HeaderName, &str); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, range"),
    (ACCESS_CONTROL_MAX_AGE, "600"),
];

/// A signature that was shown for a file.
#[derive(Debug)]
pub(super) struct Shown {
    sandbox: SandboxId,
    route: &'static str,
    action: FileAction,
    /// The parameters; `None` where one was missing or came twice.
    parameters: Option<Parameters>,
}

#[derive(Debug)]
struct Parameters {
    path: String,
    expires: String,
    signature: String,
}

impl Shown {
    /// What a request shows, if it asks for what a signature may open and shows one.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let (id, path) = parts.uri.path().strip_prefix(PREFIX)?.split_at_checked(36)?;
        let method = match &parts.method {
            &Method::OPTIONS => parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes(),
            method => method.as_str().as_bytes(),
        };
        let (_, route, action) = ROUTES
            .into_iter()
            .find(|(of, route, _)| of.as_str().as_bytes() == method && *route == path)?;
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            form_urlencoded::parse(parts.uri.query()?.as_bytes()).collect();
        pairs.iter().find(|(name, _)| name == SIGNATURE)?;
        let only = |wanted: &str| {
            let mut values = pairs.iter().filter(|(name, _)| name == wanted);
            let (first, None) = (values.next()?, values.next()) else { return None };
            Some(first.1.to_string())
        };
        let parameters = || {
            Some(Parameters {
                path: only("path")?,
                expires: only("expires")?,
                signature: only(SIGNATURE)?,
            })
        };
        Some(Self { sandbox: id.parse().ok()?, route, action, parameters: parameters() })
    }

    fn admission(&self, state: &State) -> Option<FileAdmission> {
        let Parameters { path, expires, signature } = self.parameters.as_ref()?;
        let signature = FileSignature { action: self.action, path, expires, text: signature };
        state.control().signing_keys().admit(self.sandbox, &signature)
    }

    /// Where the request goes: with the path that was signed, and nothing else.
    fn target(&self) -> Result<Target, Refusal> {
        let path = self.parameters.as_ref().map_or("", |parameters| &parameters.path);
        let query: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let path_and_query = format!("{}?path={query}", self.route)
            .parse()
            .map_err(|error| Refusal::bad_request(format!("the path is not valid: {error}")))?;
        Ok(Target { sandbox: self.sandbox, path_and_query })
    }
}

/// Answers a request without a key, if its signature holds.
pub(super) async fn answer(
    state: &State,
    shown: Shown,
    request: Request,
) -> Result<Response, Refusal> {
    let Some(admission) = shown.admission(state) else {
        return Err(Refusal::unauthorized("the signature is not valid, or not any more"));
    };
    let (mut parts, body) = request.into_parts();
    Notes::asked_by(&parts, admission.organization());
    let answered = match parts.method {
        Method::OPTIONS => Ok(preflight(admission)),
        _ => {
            parts.headers.remove(REFERER);
            parts.headers.remove(UPGRADE);
            let request = Request::from_parts(parts, body);
            pass_on(state, admission, &shown, request).await
        }
    };
    let mut response = answered.unwrap_or_else(Refusal::into_response);
    tell(response.headers_mut(), &TO_BROWSERS);
    Ok(response)
}

async fn pass_on(
    state: &State,
    admission: FileAdmission,
    shown: &Shown,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let organization = admission.organization();
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
                () = state.control().signing_keys().ended(&admission) => ended.cancel(),
            }
        }
    };
    state.tasks().spawn(watching.in_current_span());
    let asker = Asker { organization, validity };
    forward(state, &asker, Some(shown.target()?), request).await
}

fn preflight(admission: FileAdmission) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    tell(response.headers_mut(), &TO_PREFLIGHTS);
    response.extensions_mut().insert(AskedBy(admission.organization()));
    response
}

fn tell(headers: &mut HeaderMap, said: &[(HeaderName, &'static str)]) {
    for (name, value) in said {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abababab-abab-4bab-abab-abababababab";

    fn shown(method: Method, rest: &str) -> Option<Shown> {
        let uri = format!("/toolbox/{ID}{rest}");
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        Shown::of(&request.into_parts().0)
    }

    #[test]
    fn only_two_operations_can_be_asked_for_with_a_signature() {
        for (method, path) in [(Method::GET, "/files/download"), (Method::POST, "/files/upload-v2")]
        {
            assert!(shown(method, &format!("{path}?signature=s")).is_some(), "{path}");
        }
        for (method, rest) in [
            (Method::POST, "/files/download?signature=s"),
            (Method::HEAD, "/files/download?signature=s"),
            (Method::GET, "/files/upload-v2?signature=s"),
            (Method::PUT, "/files/upload-v2?signature=s"),
            (Method::POST, "/files/upload?signature=s"),
            (Method::GET, "/files/download/?signature=s"),
            (Method::GET, "//files/download?signature=s"),
            (Method::GET, "/files/%64ownload?signature=s"),
            (Method::GET, "/x/../files/download?signature=s"),
            (Method::GET, "/files?signature=s"),
            (Method::GET, "/files/download?path=a"),
            (Method::GET, "/files/download"),
            (Method::GET, ""),
        ] {
            assert!(shown(method.clone(), rest).is_none(), "{method} {rest}");
        }
    }

    #[test]
    fn what_comes_twice_or_not_at_all_proves_nothing() {
        for (query, is_whole) in [
            ("path=a&expires=0&signature=s", true),
            ("signature=s&x=1&expires=0&path=a&DAYTONA_SANDBOX_AUTH_KEY=k", true),
            ("path=&expires=0&signature=s", true),
            ("path=a&path=a&expires=0&signature=s", false),
            ("path=a&p%61th=b&expires=0&signature=s", false),
            ("path=a&expires=0&expires=0&signature=s", false),
            ("path=a&expires=0&signature=s&signature=s", false),
            ("expires=0&signature=s", false),
            ("path=a&signature=s", false),
        ] {
            let shown = shown(Method::GET, &format!("/files/download?{query}")).unwrap();
            assert_eq!(shown.parameters.is_some(), is_whole, "{query}");
        }
    }

    #[test]
    fn a_daemon_gets_the_path_that_was_signed_and_nothing_else() {
        for (path, wanted) in [
            ("a", "a"),
            ("%2Fa+b%2Bc", "%2Fa+b%2Bc"),
            ("a%20b", "a+b"),
            ("%C3%BC%26path=c", "%C3%BC%26path%3Dc"),
            ("a%00b", "a%00b"),
        ] {
            let query = format!("x=1&path={path}&expires=0&signature=s");
            let shown = shown(Method::POST, &format!("/files/upload-v2?{query}")).unwrap();
            let wanted = format!("/files/upload-v2?path={wanted}");
            assert_eq!(shown.target().unwrap().path_and_query.as_str(), wanted);
        }
    }
}
