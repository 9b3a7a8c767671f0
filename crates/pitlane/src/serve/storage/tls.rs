//! Object storage over https, for clients that take nothing else.
//!
//! A second door, on a port of its own, with nothing behind it but object storage. What comes in is deciphered and passed
//! on to that door as bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pitlane_api::Door;
use pitlane_s3::Router;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::certificate::{self, Files};
use crate::failure::Failure;
use crate::serve::{StateFolder, listen};
use crate::settings::Settings;

/// How long a client may take to agree about the cipher.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait when connections cannot be accepted, for lack of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What serves object storage over https.
pub(super) struct HttpsDoor {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    door: Door,
    behind: SocketAddr,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl HttpsDoor {
    /// Opens the door, if the operator wants one.
    pub(super) async fn open(
        settings: &Settings,
        folder: &StateFolder,
        routes: Router,
        stop: CancellationToken,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = settings.storage_listen else { return Ok(None) };
        let listener = listen(address, "--storage-listen").await?;
        let files = match (&settings.storage_certificate, &settings.storage_private_key) {
            (Some(certificate), Some(key)) => {
                Files { certificate: certificate.clone(), key: key.clone(), authority: None }
            }
            (None, None) => certificate::own(folder.path(), &names(settings, address.ip()))?,
            _ => {
                return Err(Failure::new("a certificate needs its key, and a key its certificate")
                    .hint(
                        "--storage-certificate FILE and --storage-private-key FILE go together",
                    ));
            }
        };
        let acceptor = TlsAcceptor::from(certificate::read(&files)?);
        let inner = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let behind = inner.local_addr()?;
        let door = Door::open(inner, "storage", settings.max_connections, stop.clone());
        door.admit_to(routes);
        if let Some(authority) = &files.authority {
            tracing::info!(
                address = %listener.local_addr()?,
                authority = %authority.display(),
                "object storage over https; clients have to trust this authority"
            );
        }
        let places = Arc::new(Semaphore::new(settings.max_connections));
        Ok(Some(Self { listener, acceptor, door, behind, places, stop }))
    }

    /// On which port it is.
    pub(super) fn port(&self) -> Option<u16> {
        self.listener.local_addr().ok().map(|address| address.port())
    }

    /// Serves until told to stop; what is under way then ends with the door behind.
    pub(super) async fn serve(self) {
        let Self { listener, acceptor, door, behind, places, stop } = self;
        let accepting = async {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
                let accepted = tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(pass(stream, acceptor.clone(), behind, place));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            while connections.join_next().await.is_some() {}
        };
        let serving = async {
            door.serve().await;
            // Clients have got what they get; whoever does not hang up is hung up on.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            () = accepting => {}
            () = serving => {}
        }
    }
}

/// The names under which clients reach this machine.
fn names(settings: &Settings, ip: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !ip.is_unspecified() {
        names.push(ip.to_string());
    }
    if let Ok(name) = rustix::system::uname().nodename().to_str() {
        names.push(name.to_owned());
    }
    for url in [&settings.storage_url, &settings.public_url].into_iter().flatten() {
        let uri: Option<http::Uri> = url.as_str().parse().ok();
        let host = uri.as_ref().and_then(http::Uri::host);
        names.extend(host.map(|host| host.trim_matches(['[', ']']).to_owned()));
    }
    let is_name = |name: &String| {
        name.parse::<IpAddr>().is_ok()
            || name.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
    };
    names.retain(is_name);
    names.sort();
    names.dedup();
    names
}

/// Passes one connection's bytes on, until the door behind closes its own.
async fn pass(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    behind: SocketAddr,
    _place: OwnedSemaphorePermit,
) {
    let passed = async {
        stream.set_nodelay(true)?;
        let outer = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
        let inner = TcpStream::connect(behind).await?;
        inner.set_nodelay(true)?;
        let (outer, inner) = (split(outer), split(inner));
        tokio::select! {
            biased;
            () = end_after(inner.0, outer.1) => {}
            // The client has said all that it is going to say, and still listens.
            () = async { end_after(outer.0, inner.1).await; std::future::pending().await } => {}
        }
        std::io::Result::Ok(())
    };
    if let Err(error) = passed.await {
        tracing::debug!(%error, "a connection over https broke");
    }
}

/// Copies until the end, and tells it.
async fn end_after<R: AsyncRead, W: AsyncWrite>(mut from: ReadHalf<R>, mut to: WriteHalf<W>) {
    if let Err(error) = copy(&mut from, &mut to).await {
        tracing::debug!(%error, "a connection over https broke");
    }
    if let Err(error) = to.shutdown().await {
        tracing::debug!(%error, "a connection over https was not closed");
    }
}
