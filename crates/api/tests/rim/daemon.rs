//! A toolbox daemon that tells what it was asked.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
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
        "/files/download" if request.uri().query() == Some("path=%2Fendless") => {
            std::future::pending().await
        }
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
            // A client may break off in the middle.
            while let Some(Ok(frame)) = body.frame().await {
                count += frame.into_data().map_or(0, |data| data.len());
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
        "/broken" => Response::builder().status(503).body(Body::from("broken")).unwrap(),
        "/switch"
        | "/process/pty/p/connect"
        | "/process/session/s/command/c/logs"
        | "/process/interpreter/execute" => switched(request),
        path if path.starts_with("/pitlane/connect/") => connected(request, seen),
        "/sent-on" => Response::builder()
            .status(StatusCode::FOUND)
            .header("location", "http://localhost:3000/login")
            .header("set-cookie", "session=1; Path=/; Domain=pit.test")
            .header("set-cookie", "daytona-sandbox-auth-x=forged; Path=/")
            .header("service-worker-allowed", "/")
            .body(Body::empty())
            .unwrap(),
        "/trailers" => {
            let trailers = HeaderMap::from_iter([
                (HeaderName::from_static("x-sum"), HeaderValue::from_static("5")),
                (HeaderName::from_static("set-cookie"), HeaderValue::from_static("a=b")),
            ]);
            let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
            let frames = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
            let mut response = Response::new(Body::new(StreamBody::new(frames)));
            let names = HeaderValue::from_static("x-sum, set-cookie");
            response.headers_mut().insert("trailer", names);
            response
        }
        _ => Response::new(Body::from("hello")),
    })
}

/// What the daemon makes of a wish for a port. On most of them an application listens that is this daemon again.
fn connected(mut request: Request<Incoming>, seen: Seen) -> Response<Body> {
    let status = match request.uri().path() {
        "/pitlane/connect/1" => StatusCode::BAD_GATEWAY,
        "/pitlane/connect/2" => StatusCode::GATEWAY_TIMEOUT,
        "/pitlane/connect/3" => StatusCode::NOT_FOUND,
        _ => StatusCode::SWITCHING_PROTOCOLS,
    };
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let hangs_up = request.uri().path() == "/pitlane/connect/4";
        let upgrade = hyper::upgrade::on(&mut request);
        let application: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let stream = upgrade.await.unwrap();
            if hangs_up {
                return;
            }
            let service = hyper::service::service_fn(|request| answer(request, seen.clone()));
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(stream, service)
                .with_upgrades()
                .await;
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(application);
        tasks.detach_all();
    }
    Response::builder()
        .status(status)
        .header("connection", "upgrade")
        .header("upgrade", "pitlane-tunnel")
        .body(Body::empty())
        .unwrap()
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
