//! The routes, and what is turned away before the library sees it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, StatusCode};
use pitlane_control::Control;
use pitlane_storage::Contexts;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode};

use crate::BUCKET;
use crate::access::{Doorkeeper, Secrets};
use crate::objects::Objects;
use crate::patience::Watched;

/// The one way of signing that is taken.
const ALGORITHM: &str = "AWS4-HMAC-SHA256 ";

/// What a body that comes in signed chunks, or with trailers, is announced by.
const STREAMING: &str = "STREAMING-";

/// The largest document that a client may send, in bytes: a list of ten thousand parts.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// The routes of object storage: one bucket, at the root of the server's address, since a client signs the path that it
/// sends and no proxy may change it.
pub fn router(control: &Control, contexts: Contexts) -> Router {
    let mut builder = S3ServiceBuilder::new(Objects::new(contexts));
    builder.set_auth(Secrets::new(control.clone()));
    builder.set_access(Doorkeeper::new(control.clone()));
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_DOCUMENT_BYTES;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let service = builder.build();
    Router::new()
        .route(&format!("/{BUCKET}"), any(serve))
        .route(&format!("/{BUCKET}/"), any(serve))
        .route(&format!("/{BUCKET}/{{*key}}"), any(serve))
        .with_state(service)
}

async fn serve(State(service): State<S3Service>, request: Request) -> Response {
    if let Err(refused) = check(&request) {
        return answer(refused);
    }
    let is_chunked = content_sha256(request.headers()).is_some_and(|it| it.starts_with(STREAMING));
    let request = request.map(|body| s3s::Body::http_body(Watched::new(body, is_chunked)));
    match service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let cause: s3s::StdError = error.into();
            tracing::error!(%cause, "a request for object storage could not be answered");
            answer(S3Error::new(S3ErrorCode::InternalError))
        }
    }
}

/// What a request must be like, whatever it asks for.
fn check(request: &Request) -> Result<(), S3Error> {
    let headers = request.headers();
    let authorization = only(headers, AUTHORIZATION.as_str())?;
    let is_signed = authorization.is_some_and(|value| value.starts_with(ALGORITHM));
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // Any of these would have the library look for the signature in the address.
        name.contains('%') || matches!(name.as_str(), "x-amz-signature" | "signature")
    }) {
        return Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "requests are signed in their headers here",
        ));
    }
    if !is_signed {
        return Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "requests are signed with AWS Signature Version 4",
        ));
    }
    if !signs(authorization.unwrap_or_default(), HOST.as_str()) {
        return Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "the signature has to cover the host",
        ));
    }
    for name in ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        only(headers, name)?;
    }
    let is_form = only(headers, CONTENT_TYPE.as_str())?
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"));
    if is_form {
        return Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            "uploads by forms are not taken",
        ));
    }
    let is_streamed = content_sha256(headers).is_some_and(|it| it.starts_with(STREAMING));
    let says_chunked = headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        value.to_str().is_ok_and(|it| it.to_ascii_lowercase().contains("aws-chunked"))
    });
    if says_chunked && !is_streamed {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "a body in chunks needs the x-amz-content-sha256 that says so",
        ));
    }
    Ok(())
}

/// Whether a signature covers a header.
fn signs(authorization: &str, header: &str) -> bool {
    let signed = authorization.split([',', ' ']).find_map(|it| it.strip_prefix("SignedHeaders="));
    signed.is_some_and(|names| names.split(';').any(|name| name == header))
}

fn content_sha256(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok())
}

/// The one value of a header. Of two, one program would believe the first and the next program the second.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(|value| value.to_str()), second) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!("the header {name} is given twice or is no text"),
        )),
    }
}

fn answer(error: S3Error) -> Response {
    match error.to_http_response() {
        Ok(response) => response.map(Body::new),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}
