//! Connections to servers, kept between requests.

use std::error::Error as StdError;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A request's body: all at once or as it comes.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A machine that vanished says nothing: silent connections are asked after this time, and given up after some more.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 3;

/// How long an unused connection is kept; less than servers keep it.
const IDLE: Duration = Duration::from_secs(30);

/// The connections of one client.
#[derive(Debug)]
pub(crate) struct Connections {
    plain: Client<HttpConnector, Body>,
    /// Made when first needed: the machine's certificates take a while to read.
    encrypted: OnceLock<Client<HttpsConnector<HttpConnector>, Body>>,
}

/// Why a request was not answered.
pub(crate) struct SendError {
    /// Whether nothing was sent, for certain.
    pub(crate) is_unsent: bool,
    pub(crate) cause: Box<dyn StdError + Send + Sync>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self { plain: client(connector()), encrypted: OnceLock::new() }
    }

    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let answered = if request.uri().scheme_str() == Some("https") {
            self.encrypted()
                .map_err(|cause| SendError { is_unsent: true, cause: cause.into() })?
                .request(request)
                .await
        } else {
            self.plain.request(request).await
        };
        answered.map_err(|cause| SendError { is_unsent: cause.is_connect(), cause: cause.into() })
    }

    fn encrypted(&self) -> std::io::Result<&Client<HttpsConnector<HttpConnector>, Body>> {
        if let Some(made) = self.encrypted.get() {
            return Ok(made);
        }
        let mut connector = connector();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(self.encrypted.get_or_init(|| client(connector)))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector.set_keepalive(Some(KEEP_ALIVE));
    connector.set_keepalive_interval(Some(KEEP_ALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEP_ALIVE_PROBES));
    connector
}

fn client<C>(connector: C) -> Client<C, Body>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    // The first may have had its effect, so only a request of which no byte was written is sent again: its connection
    // had lain unused, and was found closed.
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(true)
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// A body without bytes.
pub(crate) fn empty() -> Body {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is all there.
pub(crate) fn full(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
