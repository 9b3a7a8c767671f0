//! A server without sandboxes, for tests of the command line and for measuring everything above the engine.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use pitlane_driver::Driver;
use pitlane_driver::fake::{FakeDriver, Inside};
use pitlane_wire::toolbox::frames::{Frame, MEDIA_TYPE};
use pitlane_wire::toolbox::{ExecuteResponse, StreamRequest};

/// A driver whose sandboxes run nothing: a command's output is the command, its code is what `exit N` says.
pub(super) fn driver() -> Arc<dyn Driver> {
    Arc::new(FakeDriver::answering(|_inside: &Inside, request| answer(&request)))
}

fn answer(request: &Request<Bytes>) -> Response<Bytes> {
    let Ok(asked) = serde_json::from_slice::<StreamRequest>(request.body()) else {
        return response(
            StatusCode::BAD_REQUEST,
            "text/plain",
            b"this sandbox is not real".to_vec(),
        );
    };
    let (text, code) = outcome(&asked);
    if request.uri().path().ends_with("/stream") {
        let mut frames = Vec::new();
        Frame::Stdout(text.into_bytes()).encode(&mut frames);
        Frame::Stderr(b"this sandbox is not real\n".to_vec()).encode(&mut frames);
        Frame::Exit(code).encode(&mut frames);
        return response(StatusCode::OK, MEDIA_TYPE, frames);
    }
    let body = serde_json::to_vec(&ExecuteResponse { exit_code: code, result: text });
    response(StatusCode::OK, "application/json", body.unwrap_or_default())
}

fn outcome(asked: &StreamRequest) -> (String, i32) {
    let text = match asked {
        StreamRequest::Code(run) => &run.code,
        StreamRequest::Command(run) => &run.command,
    };
    let code = text.trim().strip_prefix("exit ").and_then(|code| code.parse().ok());
    (format!("{text}\n"), code.unwrap_or(0))
}

fn response(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
