//! Requests to a registry: where they may go, how long they may take, how much may come back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::address::{NotPublic, Resolver, is_public};
use super::error::RegistryError;
use super::manifest::{ACCEPTED, Descriptor, Layers, Manifest, configuration, manifest};
use super::proxy::Proxy;
use super::rules::{Endpoint, NOT_ENCRYPTED, NOT_PUBLIC, RegistryRules};
use super::token::{Challenge, challenge};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// For all of an answer that is read at once.
const SMALL_DEADLINE: Duration = Duration::from_secs(60);
/// What has to come in twice the time that may pass in silence.
const LEAST_BYTES: u64 = 64 * 1024;
const MAX_REDIRECTS: usize = 5;
/// The specification has registries take manifests of this size.
const MAX_MANIFEST: usize = 4 << 20;
const MAX_CONFIGURATION: usize = 1 << 20;
const MAX_TOKEN: usize = 64 * 1024;
/// The longest reason why an image cannot be used, in characters.
const MAX_REASON: usize = 300;

type Plain = Client<HttpConnector<Resolver>, Empty<Bytes>>;
type Encrypted = Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;
type Tunnelled = Client<HttpsConnector<Tunnel<HttpConnector<Resolver>>>, Empty<Bytes>>;

/// Name and password at a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    fn header(&self) -> Option<HeaderValue> {
        let encoded = STANDARD.encode(format!("{}:{}", self.user, self.password));
        secret(format!("Basic {encoded}"))
    }
}

fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The images of one name in one registry.
#[derive(Debug)]
pub(crate) struct Repository {
    rules: RegistryRules,
    authority: String,
    path: String,
    /// For messages.
    image: String,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
    has_shown_credentials: AtomicBool,
    clients: [Clients; 2],
    tunnelled: OnceLock<Tunnelled>,
}

/// Those that ask addresses of one kind.
#[derive(Debug)]
struct Clients {
    plain: Plain,
    encrypted: OnceLock<Encrypted>,
    is_trusting: bool,
}

/// What a registry has of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The digest of its manifest.
    pub(crate) digest: String,
    /// Its layers as they travel, the lowest first.
    pub(crate) blobs: Vec<Descriptor>,
    /// What they are, and what it says of itself.
    pub(crate) layers: Layers,
}

/// A layer on its way.
#[derive(Debug)]
pub(crate) struct Blob {
    authority: String,
    descriptor: Descriptor,
    body: Incoming,
    digest: Sha256,
    received: u64,
    silence: Duration,
    /// How much came since so long was waited for it: whoever sends a byte now and then says nothing.
    lately: (u64, Duration),
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

impl Repository {
    pub(crate) fn new(
        rules: RegistryRules,
        endpoint: Endpoint,
        path: &str,
        credentials: Option<Credentials>,
    ) -> Self {
        let image = format!("{}/{path}", endpoint.authority);
        let clients = [false, true].map(|is_trusting| Clients {
            plain: Client::builder(TokioExecutor::new()).build(connector(is_trusting)),
            encrypted: OnceLock::new(),
            is_trusting,
        });
        Self {
            rules,
            authority: endpoint.authority,
            path: path.to_owned(),
            image,
            credentials,
            authorization: Mutex::new(None),
            has_shown_credentials: AtomicBool::new(false),
            clients,
            tunnelled: OnceLock::new(),
        }
    }

    /// Whether anything came for a password.
    pub(crate) fn has_shown_credentials(&self) -> bool {
        self.has_shown_credentials.load(Ordering::SeqCst)
    }

    /// Finds the image that a tag or a digest means for this machine.
    pub(crate) async fn find(&self, tag_or_digest: &str) -> Result<Found, RegistryError> {
        let mut wanted = tag_or_digest.to_owned();
        let mut size = None;
        // A list, and the image in it; a list of lists is none.
        for _ in 0..2 {
            let text = self.manifest(&wanted, size).await?;
            let digest = digest_of(&text);
            match manifest(&text).map_err(|reason| self.unusable(&reason))? {
                Manifest::Index(found) => {
                    wanted = found.digest;
                    size = Some(found.size);
                }
                Manifest::Image { config, layers } => {
                    let text = self.configuration(&config).await?;
                    let described = configuration(&text, layers.len())
                        .map_err(|reason| self.unusable(&reason))?;
                    return Ok(Found { digest, blobs: layers, layers: described });
                }
            }
        }
        Err(self.unusable("a list of lists of images"))
    }

    async fn manifest(&self, wanted: &str, size: Option<u64>) -> Result<Bytes, RegistryError> {
        let answer = self.ask(&format!("manifests/{wanted}"), Some(ACCEPTED)).await?;
        let text = self.read(answer, MAX_MANIFEST).await?;
        if wanted.starts_with("sha256:") && digest_of(&text) != wanted {
            return Err(self.other_digest(wanted));
        }
        if size.is_some_and(|size| u64::try_from(text.len()).ok() != Some(size)) {
            return Err(self.other_size(wanted));
        }
        Ok(text)
    }

    async fn configuration(&self, descriptor: &Descriptor) -> Result<Bytes, RegistryError> {
        let answer = self.ask(&format!("blobs/{}", descriptor.digest), None).await?;
        let text = self.read(answer, MAX_CONFIGURATION).await?;
        if u64::try_from(text.len()).ok() != Some(descriptor.size) {
            return Err(self.other_size(&descriptor.digest));
        }
        if digest_of(&text) != descriptor.digest {
            return Err(self.other_digest(&descriptor.digest));
        }
        Ok(text)
    }

    /// Begins to fetch a layer.
    pub(crate) async fn blob(&self, descriptor: &Descriptor) -> Result<Blob, RegistryError> {
        let answer = self.ask(&format!("blobs/{}", descriptor.digest), None).await?;
        Ok(Blob {
            authority: self.authority.clone(),
            descriptor: descriptor.clone(),
            body: answer.into_body(),
            digest: Sha256::new(),
            received: 0,
            silence: self.rules.silence,
            lately: (0, Duration::ZERO),
        })
    }

    /// Asks the registry, and whoever it says gives leave.
    async fn ask(
        &self,
        what: &str,
        accept: Option<&'static str>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let scheme = if self.rules.is_plain(&self.authority) { "http" } else { "https" };
        let address = format!("{scheme}://{}/v2/{}/{what}", self.authority, self.path);
        let address: Uri =
            address.parse().map_err(|_odd| self.nonsense("an address that is none"))?;
        let known = self.authorization.lock().await.clone();
        let answer = self.get(address.clone(), accept, known.as_ref()).await?;
        let answer = if answer.status() == StatusCode::UNAUTHORIZED {
            let asked = answer.headers().get(WWW_AUTHENTICATE).and_then(|it| it.to_str().ok());
            let asked = asked.and_then(challenge).ok_or_else(|| self.unauthorized())?;
            let given = self.leave(asked).await?;
            *self.authorization.lock().await = Some(given.clone());
            self.get(address, accept, Some(&given)).await?
        } else {
            answer
        };
        let authority = self.authority.clone();
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => {
                Err(RegistryError::NotFound { authority, image: self.image.clone() })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unauthorized()),
            status => {
                let after = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                let retry_after = after.and_then(|it| it.trim().parse().ok());
                let retry_after = retry_after.map(Duration::from_secs);
                Err(RegistryError::Status { authority, status: status.as_u16(), retry_after })
            }
        }
    }

    /// What to show the registry so that it answers.
    async fn leave(&self, asked: Challenge) -> Result<HeaderValue, RegistryError> {
        let own = self.credentials.as_ref().and_then(Credentials::header);
        // Before it is shown: what comes from now on may come because of it.
        self.has_shown_credentials.fetch_or(own.is_some(), Ordering::SeqCst);
        let (realm, service) = match asked {
            Challenge::Basic => return own.ok_or_else(|| self.unauthorized()),
            Challenge::Bearer { realm, service } => (realm, service),
        };
        let address = token_address(&realm, service.as_deref(), &self.path);
        let address: Uri =
            address.parse().map_err(|_odd| self.nonsense("a realm that is no address"))?;
        let answer = self.get(address, None, own.as_ref()).await?;
        if !answer.status().is_success() {
            return Err(self.unauthorized());
        }
        let text = self.read(answer, MAX_TOKEN).await?;
        let Ok(Token { token }) = serde_json::from_slice(&text) else {
            return Err(self.nonsense("a token that is none"));
        };
        secret(format!("Bearer {token}")).ok_or_else(|| self.nonsense("a token that is none"))
    }

    /// One question, followed to where it leads. Secrets are shown to nobody but the first who is asked.
    async fn get(
        &self,
        address: Uri,
        accept: Option<&'static str>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let first = authority_of(&address);
        let mut address = address;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::get(address.clone())
                .header(USER_AGENT, concat!("pitlane/", env!("CARGO_PKG_VERSION")));
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(value) = authorization.filter(|_| authority_of(&address) == first) {
                request = request.header(AUTHORIZATION, value);
            }
            let request = request
                .body(Empty::new())
                .map_err(|_odd| self.nonsense("an address that is none"))?;
            let answer = self.send(request).await?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let next = location.and_then(|location| follow(&address, location));
            let next = next.ok_or_else(|| self.nonsense("a redirect to nowhere"))?;
            if address.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(forbidden(&next, "a redirect leads there without encryption"));
            }
            address = next;
        }
        Err(self.nonsense("one redirect after the other"))
    }

    async fn send(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, RegistryError> {
        let address = request.uri().clone();
        let authority = authority_of(&address);
        let is_encrypted = match address.scheme_str() {
            Some("https") => true,
            Some("http") if self.rules.is_plain(&authority) => false,
            Some("http") => {
                return Err(forbidden(&address, NOT_ENCRYPTED));
            }
            _ => return Err(forbidden(&address, "it is no address of the web")),
        };
        let is_trusting = self.rules.is_allowed(&authority);
        let host = address.host().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        if !is_trusting && literal.is_ok_and(|literal| !is_public(literal)) {
            return Err(forbidden(&address, NOT_PUBLIC));
        }
        let [guarded, trusting] = &self.clients;
        let clients = if is_trusting { trusting } else { guarded };
        let proxy = self.rules.proxy_for(&authority).filter(|_| is_encrypted);
        if proxy.is_some() && leads_inside(host).await {
            return Err(forbidden(&address, NOT_PUBLIC));
        }
        let answering = async {
            if let Some(proxy) = proxy {
                Ok(self.tunnelled(proxy)?.request(request).await)
            } else if is_encrypted {
                Ok(clients.encrypted()?.request(request).await)
            } else {
                Ok(clients.plain.request(request).await)
            }
        };
        match timeout(self.rules.silence, answering).await {
            Err(_elapsed) => Err(RegistryError::Silent { authority }),
            Ok(Err(cause)) => Err(RegistryError::Certificates(cause)),
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(cause))) if is_about_address(&cause) => Err(forbidden(&address, NOT_PUBLIC)),
            Ok(Ok(Err(cause))) => {
                Err(RegistryError::Unreachable { authority, cause: Box::new(cause) })
            }
        }
    }

    /// Asks through a proxy, which is the operator's own and may be anywhere.
    fn tunnelled(&self, proxy: &Proxy) -> std::io::Result<&Tunnelled> {
        if let Some(made) = self.tunnelled.get() {
            return Ok(made);
        }
        let mut tunnel = Tunnel::new(proxy.address.clone(), connector(true));
        if let Some(authorization) = &proxy.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(tunnel);
        let made = Client::builder(TokioExecutor::new()).build(connector);
        Ok(self.tunnelled.get_or_init(|| made))
    }

    /// Reads an answer that has to be short.
    async fn read(&self, answer: Response<Incoming>, most: usize) -> Result<Bytes, RegistryError> {
        let body = http_body_util::Limited::new(answer.into_body(), most);
        match timeout(SMALL_DEADLINE, body.collect()).await {
            Ok(Ok(read)) => Ok(read.to_bytes()),
            Ok(Err(cause)) if cause.is::<http_body_util::LengthLimitError>() => {
                Err(self.nonsense(&format!("an answer of more than {} KiB", most >> 10)))
            }
            Ok(Err(cause)) => {
                Err(RegistryError::Unreachable { authority: self.authority.clone(), cause })
            }
            Err(_elapsed) => Err(RegistryError::Silent { authority: self.authority.clone() }),
        }
    }

    fn nonsense(&self, reason: &str) -> RegistryError {
        RegistryError::Nonsense { authority: self.authority.clone(), reason: reason.to_owned() }
    }

    /// Some of the words are the registry's own: none of them steers a terminal, and there are few.
    fn unusable(&self, reason: &str) -> RegistryError {
        let plain = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON);
        RegistryError::Unusable { image: self.image.clone(), reason: plain.collect() }
    }

    fn unauthorized(&self) -> RegistryError {
        RegistryError::Unauthorized { authority: self.authority.clone(), image: self.image.clone() }
    }

    fn other_digest(&self, digest: &str) -> RegistryError {
        RegistryError::Digest { authority: self.authority.clone(), digest: digest.to_owned() }
    }

    fn other_size(&self, digest: &str) -> RegistryError {
        RegistryError::Size { authority: self.authority.clone(), digest: digest.to_owned() }
    }
}

impl Blob {
    /// The next piece; `None` when all of it has come and is what was asked for.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let authority = || self.authority.clone();
            let asked = tokio::time::Instant::now();
            let coming = timeout(self.silence, self.body.frame()).await;
            self.lately.1 = self.lately.1.saturating_add(asked.elapsed());
            let frame = match coming {
                Err(_elapsed) => return Err(RegistryError::Silent { authority: authority() }),
                Ok(Some(Err(cause))) => {
                    let cause = Box::new(cause);
                    return Err(RegistryError::Unreachable { authority: authority(), cause });
                }
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return self.check().map(|()| None),
            };
            let Ok(piece) = frame.into_data() else { continue };
            self.received =
                self.received.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if self.received > self.descriptor.size {
                return Err(self.other_size());
            }
            self.lately.0 =
                self.lately.0.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if self.lately.0 >= LEAST_BYTES {
                self.lately = (0, Duration::ZERO);
            } else if self.lately.1 > self.silence.saturating_mul(2) {
                return Err(RegistryError::Silent { authority: authority() });
            }
            self.digest.update(&piece);
            return Ok(Some(piece));
        }
    }

    fn check(&self) -> Result<(), RegistryError> {
        if self.received != self.descriptor.size {
            return Err(self.other_size());
        }
        if format!("sha256:{}", hex(&self.digest.clone().finalize())) != self.descriptor.digest {
            let (authority, digest) = (self.authority.clone(), self.descriptor.digest.clone());
            return Err(RegistryError::Digest { authority, digest });
        }
        Ok(())
    }

    fn other_size(&self) -> RegistryError {
        let (authority, digest) = (self.authority.clone(), self.descriptor.digest.clone());
        RegistryError::Size { authority, digest }
    }
}

impl Clients {
    fn encrypted(&self) -> std::io::Result<&Encrypted> {
        if let Some(made) = self.encrypted.get() {
            return Ok(made);
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(connector(self.is_trusting));
        let made = Client::builder(TokioExecutor::new()).build(connector);
        Ok(self.encrypted.get_or_init(|| made))
    }
}

/// Whether a name is known here, and leads nowhere but to addresses that are not public. The proxy may know others.
async fn leads_inside(host: &str) -> bool {
    let found = timeout(CONNECT_DEADLINE, tokio::net::lookup_host((host, 0))).await;
    let Ok(Ok(addresses)) = found else { return false };
    let mut addresses = addresses.peekable();
    addresses.peek().is_some() && addresses.all(|address| !is_public(address.ip()))
}

fn connector(is_trusting: bool) -> HttpConnector<Resolver> {
    let mut connector = HttpConnector::new_with_resolver(Resolver { is_trusting });
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector
}

fn forbidden(address: &Uri, reason: &'static str) -> RegistryError {
    RegistryError::Forbidden { authority: authority_of(address), reason }
}

/// Host and port, the port where it is not the usual one.
fn authority_of(address: &Uri) -> String {
    let host = address.host().unwrap_or_default().to_ascii_lowercase();
    let usual = if address.scheme_str() == Some("https") { 443 } else { 80 };
    match address.port_u16() {
        Some(port) if port != usual => format!("{host}:{port}"),
        _ => host,
    }
}

/// Where a redirect from `base` leads.
fn follow(base: &Uri, location: &str) -> Option<Uri> {
    let next: Uri = if location.starts_with("//") {
        format!("{}:{location}", base.scheme_str()?).parse().ok()?
    } else if location.starts_with('/') {
        format!("{}://{}{location}", base.scheme_str()?, base.authority()?).parse().ok()?
    } else {
        location.parse().ok()?
    };
    let has_password = next.authority()?.as_str().contains('@');
    let is_whole = next.scheme().is_some() && next.host().is_some_and(|host| !host.is_empty());
    (is_whole && !has_password).then_some(next)
}

fn is_about_address(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(present) = cause {
        let inner = present.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotPublic>) {
            return true;
        }
        cause = present.source();
    }
    false
}

/// Where a token for reading a repository is asked for.
fn token_address(realm: &str, service: Option<&str>, path: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", &format!("repository:{path}:pull"));
    let mark = if realm.contains('?') { '&' } else { '?' };
    format!("{realm}{mark}{}", query.finish())
}

fn digest_of(text: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let base: Uri = "https://a.example:5000/v2/x".parse().unwrap();
        let led = |location: &str| follow(&base, location).map(|uri| uri.to_string());
        assert_eq!(led("/blob?x=1").as_deref(), Some("https://a.example:5000/blob?x=1"));
        assert_eq!(led("//b.example/y").as_deref(), Some("https://b.example/y"));
        assert_eq!(led("http://10.0.0.1/").as_deref(), Some("http://10.0.0.1/"));
        for location in ["", "relative", "https://user:word@b.example/", "file:///etc/passwd"] {
            assert_eq!(led(location), None, "{location}");
        }
    }

    #[test]
    fn a_usual_port_is_not_told() {
        let authority = |text: &str| authority_of(&text.parse().unwrap());
        assert_eq!(authority("https://A.example:443/"), "a.example");
        assert_eq!(authority("http://a.example:443/"), "a.example:443");
        assert_eq!(authority("http://a.example/"), "a.example");
    }
}
