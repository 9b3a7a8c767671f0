//! A toolbox daemon that tells what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What daemons were asked, and which requests they were told to end.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    requests: Arc<Mutex<Vec<Heard>>>,
    changed: watch::Sender<u64>,
}

/// A request as a daemon got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) target: String,
    /// By name, sorted; the request id's value is left out.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) id: Option<String>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { requests: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Everything heard so far.
    pub(crate) fn all(&self) -> Vec<Heard> {
        self.requests.lock().unwrap().clone()
    }

    /// Forgets what was heard so far.
    pub(crate) fn forget(&self) {
        self.requests.lock().unwrap().clear();
    }

    /// Waits until a request was heard that `wanted` accepts.
    pub(crate) async fn heard(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(heard) = self.all().into_iter().find(|heard| wanted(heard)) {
                    return heard;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(crate::http::DEADLINE, waiting).await.expect("never heard")
    }

    fn note(&self, request: &Request<Incoming>) {
        let text = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
        let mut headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .filter(|(name, _)| *name != "x-pitlane-request")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        self.requests.lock().unwrap().push(Heard {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers,
            id: text("x-pitlane-request"),
        });
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(stream: DuplexStream, seen: Seen) {
    let service = hyper::service::service_fn(|request| answer(request, seen.clone()));
    // A connection that breaks is what some tests are about.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(request: Request<Incoming>, seen: Seen) -> Result<Response<Body>, Infallible> {
    seen.note(&request);
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        // Never answers.
        "/hang" => std::future::pending().await,
        // Begins an answer and never ends it.
        "/trickle" => {
            let first = futures_util::stream::iter([Ok::<_, Infallible>(Frame::data(
                Bytes::from_static(b"first"),
            ))]);
            let endless = futures_util::StreamExt::chain(first, futures_util::stream::pending());
            Response::new(Body::new(StreamBody::new(endless)))
        }
        // Gives back what it gets while it gets it.
        "/echo" => Response::new(Body::new(request.into_body())),
        "/count" => {
            let mut body = request.into_body();
            let mut count = 0;
            while let Some(frame) = body.frame().await {
                count += frame.unwrap().into_data().map_or(0, |data| data.len());
            }
            Response::new(Body::from(count.to_string()))
        }
        "/hostile" => Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .header("set-cookie", "a=b")
            .header("x-pitlane-request", "forged")
            .header("x-request-id", "forged")
            .header("content-type", "text/html")
            .body(Body::from("<script>"))
            .unwrap(),
        "/switch" => switched(request),
        _ => Response::new(Body::from("hello")),
    })
}

/// Switches protocols and gives back every byte.
fn switched(mut request: Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let body = Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => stream.write_all(&buffer[..count]).await.unwrap(),
            }
        }
    });
    tasks.detach_all();
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(body)
        .unwrap()
}
