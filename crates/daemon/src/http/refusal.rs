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
            Errno::BUSY | Errno::TXTBSY | Errno::STALE | Errno::AGAIN => {
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

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::Refusal;

    #[test]
    fn what_the_kernel_says_of_a_file_has_a_status_and_a_word() {
        for (errno, status, code, message) in [
            (Errno::NOENT, 404, "FILE_NOT_FOUND", "file not found: a"),
            (Errno::ACCESS, 403, "FILE_ACCESS_DENIED", "access denied: a"),
            (Errno::PERM, 403, "FILE_ACCESS_DENIED", "access denied: a"),
            (Errno::ROFS, 403, "FILE_ACCESS_DENIED", "access denied: a"),
            (Errno::EXIST, 409, "CONFLICT", "file already exists: a"),
            (Errno::TXTBSY, 409, "CONFLICT", "file is in use: a: Text file busy (os error 26)"),
            (
                Errno::LOOP,
                400,
                "INVALID_FILE_PATH",
                "invalid path: a: Too many levels of symbolic links (os error 40)",
            ),
            (Errno::NOTEMPTY, 400, "BAD_REQUEST", "directory is not empty: a"),
            (Errno::NOSPC, 507, "DISK_FULL", "no space left on the disk: a"),
            (Errno::DQUOT, 507, "DISK_QUOTA_EXCEEDED", "disk quota exceeded: a"),
            (
                Errno::IO,
                500,
                "FILE_READ_FAILED",
                "cannot access file: a: Input/output error (os error 5)",
            ),
        ] {
            let Refusal { status: got, code: word, message: sentence } =
                Refusal::of_file("a", errno);
            assert_eq!((got.as_u16(), word, sentence.as_str()), (status, code, message));
        }
    }
}
