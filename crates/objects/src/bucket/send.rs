//! One request: signed, sent, heard, and sent again if that may help.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use pitlane_signature::{Signable, Signer, digest_of, encode_path, encode_query, sign};

use super::{Answer, Bucket, BucketError, Call, code};
use crate::xml;

/// How often a request is sent before its failure is told.
const TRIES: u32 = 3;
/// How often, if nothing is answered at all.
const SILENT_TRIES: u32 = 2;
/// A storage that has just been silent is asked once, for so long: a program that ends with many open files would wait
/// for each of them otherwise.
const SHORTEST: Duration = Duration::from_secs(3);
/// How long a silence is remembered.
const SILENCE: Duration = Duration::from_secs(30);
/// How long after a failure the next try begins; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an unused connection is kept; less than servers keep it.
const IDLE: Duration = Duration::from_secs(15);

/// The connections to a storage.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Encrypted(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Transport {
    pub(super) fn open(is_encrypted: bool) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_DEADLINE));
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        if !is_encrypted {
            return Ok(Self::Plain(client.build(connector)));
        }
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self::Encrypted(client.build(connector)))
    }

    async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, hyper_util::client::legacy::Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Encrypted(client) => client.request(request).await,
        }
    }
}

impl Bucket {
    /// Sends a request until it is answered, refused for good, or was sent often enough. What is asked for here may
    /// be done twice.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, BucketError> {
        // A body is digested once, not once a try.
        let digest = digest_of(&call.body);
        let is_silent = self.silence().is_some_and(|since| since.elapsed() < SILENCE);
        let deadline = if is_silent { call.deadline.min(SHORTEST) } else { call.deadline };
        let mut pause = FIRST_PAUSE;
        let mut tries = 1u32;
        loop {
            let tried = tokio::time::timeout(deadline, self.attempt(call, &digest)).await;
            let answered = tried.unwrap_or(Err(BucketError::Silent));
            let most = match &answered {
                Err(failure) if !failure.is_passing() => 1,
                Err(BucketError::Silent) if is_silent => 1,
                Err(BucketError::Silent) => SILENT_TRIES,
                _ => TRIES,
            };
            if answered.is_ok() || tries >= most {
                let is_silent = matches!(answered, Err(BucketError::Silent));
                *self.silence() = is_silent.then(Instant::now);
                return answered;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            tries = tries.saturating_add(1);
        }
    }

    fn silence(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, call: &Call<'_>, digest: &str) -> Result<Answer, BucketError> {
        let request = self.signed(call, digest)?;
        let response = self.transport.request(request).await.map_err(|cause| {
            // What failed is behind what was being done.
            let mut why = &cause as &dyn std::error::Error;
            while let Some(deeper) = why.source() {
                why = deeper;
            }
            BucketError::Unreachable { why: why.to_string() }
        })?;
        let (parts, body) = response.into_parts();
        // The length that a HEAD tells is not that of its answer.
        let longest = if parts.status.is_success() { call.longest } else { super::LONGEST_ANSWER };
        let body =
            if call.method == Method::HEAD { Bytes::new() } else { collect(body, longest).await? };
        if parts.status.is_success() {
            return Ok(Answer { status: parts.status, headers: parts.headers, body });
        }
        if matches!(parts.status, StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT) {
            return Err(BucketError::Changed);
        }
        let why = xml::parse(&body);
        let why = why.as_ref().and_then(|why| why.text_of("Code")).unwrap_or_default();
        Err(BucketError::Refused { status: parts.status.as_u16(), code: code(why) })
    }

    fn signed(&self, call: &Call<'_>, digest: &str) -> Result<Request<Full<Bytes>>, BucketError> {
        let unsent = |what| BucketError::Malformed { what };
        let location = self.storage.location();
        let host = location.endpoint.split_once("://").map_or("", |(_, host)| host);
        let path = encode_path(&location.bucket, call.key);
        let query = encode_query(&call.query);
        let mut headers: HeaderMap = call.headers.clone();
        let signer = Signer {
            access_key_id: self.storage.access_key_id(),
            secret_access_key: self.storage.secret_access_key().expose(),
            region: &location.region,
        };
        let signable = Signable {
            method: call.method.as_str(),
            host,
            path: &path,
            query: &query,
            body_digest: digest,
            time: Timestamp::now(),
        };
        sign(&mut headers, &signer, &signable)
            .map_err(|_control| unsent("a header that is none"))?;
        let separator = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{path}{separator}{query}", location.endpoint))
            .body(Full::new(call.body.clone()))
            .map_err(|_malformed| unsent("a key that is no address"))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

async fn collect(mut body: Incoming, longest: u64) -> Result<Bytes, BucketError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| BucketError::Unreachable { why: cause.to_string() })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len().saturating_add(data.len());
        if u64::try_from(length).unwrap_or(u64::MAX) > longest {
            return Err(BucketError::Malformed { what: "more than was asked for" });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
