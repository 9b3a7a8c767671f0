//! Why a request was not done, and how that travels.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use pitlane_wire::control::{ErrorBody, SOURCE_DAEMON};
use rustix::io::Errno;

use super::body::Body;
use crate::clock::Moment;

/// A refusal: a status, a word for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// The body is not what the route wants.
    pub(crate) fn bad_body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST_BODY", message)
    }

    /// A path that cannot be used like this.
    pub(crate) fn bad_path(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_FILE_PATH", message)
    }

    /// The daemon could not do it.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message)
    }

    /// The kernel's reason not to touch a file.
    pub(crate) fn of_file(path: &str, errno: Errno) -> Self {
        let (status, code, message) = match errno {
            Errno::NOENT => {
                (StatusCode::NOT_FOUND, "FILE_NOT_FOUND", format!("file not found: {path}"))
            }
            Errno::ACCESS | Errno::PERM | Errno::ROFS => {
                (StatusCode::FORBIDDEN, "FILE_ACCESS_DENIED", format!("access denied: {path}"))
            }
            Errno::EXIST => {
                (StatusCode::CONFLICT, "CONFLICT", format!("file already exists: {path}"))
            }
            Errno::BUSY | Errno::TXTBSY | Errno::STALE => {
                (StatusCode::CONFLICT, "CONFLICT", format!("file is in use: {path}: {errno}"))
            }
            Errno::ISDIR | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL => {
                return Self::bad_path(format!("invalid path: {path}: {errno}"));
            }
            Errno::NOTEMPTY => {
                return Self::bad_request(format!("directory is not empty: {path}"));
            }
            Errno::NOSPC => (
                StatusCode::INSUFFICIENT_STORAGE,
                "DISK_FULL",
                format!("no space left on the disk: {path}"),
            ),
            Errno::DQUOT => (
                StatusCode::INSUFFICIENT_STORAGE,
                "DISK_QUOTA_EXCEEDED",
                format!("disk quota exceeded: {path}"),
            ),
            errno => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "FILE_READ_FAILED",
                format!("cannot access file: {path}: {errno}"),
            ),
        };
        Self::new(status, code, message)
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The body, which names the path that was asked for.
    pub(crate) fn body(&self, path: &str, method: Option<&Method>) -> ErrorBody {
        ErrorBody {
            status_code: self.status.as_u16(),
            message: self.message.clone(),
            error: self.status.canonical_reason().map(str::to_owned),
            code: Some(self.code.to_owned()),
            source: Some(SOURCE_DAEMON.to_owned()),
            path: Some(path.to_owned()),
            method: method.map(ToString::to_string),
            timestamp: Some(Moment::now().rfc3339()),
        }
    }

    /// The whole answer.
    pub(crate) fn answer(&self, path: &str, method: &Method) -> Response<Body> {
        let body = serde_json::to_vec(&self.body(path, Some(method))).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
