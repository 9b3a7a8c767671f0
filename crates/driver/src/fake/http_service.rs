//! HTTP/1.1 on a fake sandbox's connections.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use super::{Inside, Service};

/// Answers every request with what `handler` makes of it, once its body is complete.
pub(super) fn service<H>(handler: H) -> Service
where
    H: Fn(&Inside, Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |inside, stream| Box::pin(serve(Arc::clone(&handler), inside, stream)))
}

async fn serve<H>(handler: Arc<H>, inside: Inside, stream: DuplexStream)
where
    H: Fn(&Inside, Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
{
    let answer = service_fn(|request: Request<Incoming>| {
        let (handler, inside) = (Arc::clone(&handler), inside.clone());
        async move {
            let (head, body) = request.into_parts();
            let response = match body.collect().await {
                Ok(body) => handler(&inside, Request::from_parts(head, body.to_bytes())),
                Err(_incomplete) => status(StatusCode::BAD_REQUEST),
            };
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    // A connection that breaks concerns whoever held its other end.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
