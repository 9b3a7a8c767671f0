//! A registry that says what it was told to say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pitlane_image::{
    Images, PullAs, PullImageError, RegistryAccess, RegistryRules, Rootfs, UNPACK, UnpackCommand,
    UnpackLimits,
};
use pitlane_model::{ImageName, RegistryLogin};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::forge::{Image, digest};

/// What is answered to a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// These bytes.
    Body(Vec<u8>),
    /// Nothing but a status and a header.
    Status(StatusCode, &'static str, String),
    /// A body only for whoever shows this.
    For(String, Vec<u8>),
    /// A body for whoever shows this, and for others the wish to see it.
    Guarded(String, Vec<u8>),
    /// The beginning of a body, and then the end of the connection.
    Broken(Vec<u8>),
    /// A body one byte at a time.
    Trickle(Vec<u8>),
    /// The first MiB of a body; the rest when somebody says so.
    Held(Vec<u8>, Arc<Notify>),
    /// A body without end.
    Endless,
    /// Nothing, ever.
    Silence,
}

#[derive(Debug, Default)]
struct Told {
    answers: BTreeMap<String, Answer>,
    asked: Vec<(String, Option<String>)>,
}

/// A registry on a port of its own, and a cache that may ask it.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    told: Arc<Mutex<Told>>,
    _tasks: JoinSet<()>,
}

/// A cache of images.
pub(crate) struct Cache {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) images: Images,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let told = Arc::<Mutex<Told>>::default();
        let answering = Arc::clone(&told);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&answering);
                let service = service_fn(move |request| answer(Arc::clone(&told), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Self { address, told, _tasks: tasks }
    }

    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, path: &str, answer: Answer) {
        self.told.lock().expect("a lock").answers.insert(path.to_owned(), answer);
    }

    /// Has an image, honestly.
    pub(crate) fn has(&self, path: &str, tag: &str, image: &Image) {
        self.set(&format!("/v2/{path}/manifests/{tag}"), Answer::Body(image.manifest.clone()));
        let digest_of_it = digest(&image.manifest);
        self.set(
            &format!("/v2/{path}/manifests/{digest_of_it}"),
            Answer::Body(image.manifest.clone()),
        );
        for blob in image.layers.iter().chain([&image.config]) {
            self.set(&format!("/v2/{path}/blobs/{}", digest(blob)), Answer::Body(blob.clone()));
        }
    }

    /// Has an image for those who say `me` and `word`.
    pub(crate) fn guards(&self, path: &str, tag: &str, image: &Image) {
        let guarded = |bytes: &[u8]| Answer::Guarded("Basic bWU6d29yZA==".into(), bytes.to_vec());
        for name in [tag, &digest(&image.manifest)] {
            self.set(&format!("/v2/{path}/manifests/{name}"), guarded(&image.manifest));
        }
        for blob in image.layers.iter().chain([&image.config]) {
            self.set(&format!("/v2/{path}/blobs/{}", digest(blob)), guarded(blob));
        }
    }

    /// Who may have what it guards.
    pub(crate) fn login(&self) -> RegistryLogin {
        let [user, password] = ["me", "word"].map(String::from);
        RegistryLogin { registry: self.name(), project: String::new(), user, password }
    }

    /// Which paths were asked for since the last call, and with what authorization.
    pub(crate) fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.told.lock().expect("a lock").asked)
    }

    /// How many layers and configurations were asked for since the last call.
    pub(crate) fn blobs_asked(&self) -> usize {
        self.asked().iter().filter(|(path, _)| path.contains("/blobs/")).count()
    }
}

async fn answer(
    told: Arc<Mutex<Told>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let shown = request.headers().get("authorization");
    let shown = shown.map(|value| value.to_str().expect("text").to_owned());
    let found = {
        let mut told = told.lock().expect("a lock");
        told.asked.push((path.clone(), shown.clone()));
        told.answers.get(&path).cloned()
    };
    let plain = |status| Response::builder().status(status);
    let streamed = |answer| plain(StatusCode::OK).body(answer);
    if let Some(body) = found.as_ref().and_then(stream) {
        return Ok(streamed(body).expect("a response"));
    }
    let response = match found {
        None => plain(StatusCode::NOT_FOUND).body(Full::default()),
        Some(Answer::Body(bytes)) => plain(StatusCode::OK).body(Full::from(bytes)),
        Some(Answer::Status(status, header, value)) => {
            plain(status).header(header, value).body(Full::default())
        }
        Some(Answer::For(wanted, bytes)) if shown.as_ref() == Some(&wanted) => {
            plain(StatusCode::OK).body(Full::from(bytes))
        }
        Some(Answer::For(..)) => plain(StatusCode::FORBIDDEN).body(Full::default()),
        Some(Answer::Guarded(wanted, bytes)) if shown.as_ref() == Some(&wanted) => {
            plain(StatusCode::OK).body(Full::from(bytes))
        }
        Some(Answer::Guarded(..)) => plain(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Basic realm=\"x\"")
            .body(Full::default()),
        Some(_silence) => std::future::pending().await,
    };
    Ok(response
        .expect("a response")
        .map(|full: Full<Bytes>| full.map_err(|never| match never {}).boxed()))
}

type Body = BoxBody<Bytes, std::io::Error>;

/// A body that comes bit by bit, if the answer is one.
fn stream(answer: &Answer) -> Option<Body> {
    let data = |bytes: &[u8]| Ok(Frame::data(Bytes::copy_from_slice(bytes)));
    Some(match answer {
        Answer::Broken(bytes) => {
            let end = Err(std::io::Error::other("it breaks off"));
            BoxBody::new(StreamBody::new(futures_util::stream::iter([data(bytes), end])))
        }
        Answer::Trickle(bytes) => {
            let bytes = bytes.clone();
            let slowly = futures_util::stream::unfold(0, move |place| {
                let byte = bytes.get(place).copied();
                async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    byte.map(|byte| (Ok(Frame::data(Bytes::copy_from_slice(&[byte]))), place + 1))
                }
            });
            BoxBody::new(StreamBody::new(slowly))
        }
        Answer::Held(bytes, go_on) => {
            let (first, rest) = bytes.split_at(bytes.len().min(1 << 20));
            let (rest, go_on) = (Bytes::copy_from_slice(rest), Arc::clone(go_on));
            let later = futures_util::stream::once(async move {
                go_on.notified().await;
                Ok(Frame::data(rest))
            });
            let body = futures_util::stream::iter([data(first)]).chain(later);
            BoxBody::new(StreamBody::new(body))
        }
        Answer::Endless => {
            let spaces = Bytes::from(vec![b' '; 64 * 1024]);
            let endless =
                futures_util::stream::repeat_with(move || Ok(Frame::data(spaces.clone())));
            BoxBody::new(StreamBody::new(endless))
        }
        _ => return None,
    })
}

impl Cache {
    /// A cache that may ask these registries without encryption.
    pub(crate) fn trusting(registries: &[&Registry]) -> Self {
        let mut rules = RegistryRules::default().with_patience(Duration::from_millis(500));
        for registry in registries {
            rules.allow_plain(&registry.name()).expect("a registry");
        }
        Self::with(rules, UnpackLimits { bytes: 8 << 20, entries: 1000 })
    }

    pub(crate) fn with(rules: RegistryRules, limits: UnpackLimits) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "pulling images needs root\nhint: run the tests as root"
        );
        Self::at(Arc::new(tempfile::tempdir().expect("a folder")), rules, limits)
    }

    /// The same folder, used by somebody who may ask another registry.
    pub(crate) fn sharing(other: &Self, registry: &Registry) -> Self {
        let mut rules = RegistryRules::default().with_patience(Duration::from_millis(500));
        rules.allow_plain(&registry.name()).expect("a registry");
        Self::at(Arc::clone(&other.folder), rules, UnpackLimits { bytes: 8 << 20, entries: 1000 })
    }

    /// A cache below a folder, for a registry that may take its time.
    pub(crate) fn below(folder: &std::path::Path, registry: &Registry) -> Self {
        let mut rules = RegistryRules::default();
        rules.allow_plain(&registry.name()).expect("a registry");
        let folder = Arc::new(tempfile::tempdir_in(folder).expect("a folder"));
        Self::at(folder, rules, UnpackLimits::STANDARD)
    }

    fn at(folder: Arc<TempDir>, rules: RegistryRules, limits: UnpackLimits) -> Self {
        let unpacker = UnpackCommand {
            program: std::env::current_exe().expect("a path"),
            arguments: vec![UNPACK.into()],
            first_id: FIRST_ID,
        };
        let access = RegistryAccess { rules, unpacker, limits };
        let images = Images::new(folder.path()).with_registries(access);
        Self { folder, images }
    }

    pub(crate) async fn pull(
        &self,
        reference: &str,
    ) -> Result<(ImageName, Rootfs), PullImageError> {
        self.pull_as(reference, None).await
    }

    pub(crate) async fn pull_as(
        &self,
        reference: &str,
        login: Option<RegistryLogin>,
    ) -> Result<(ImageName, Rootfs), PullImageError> {
        self.pull_for(reference, PullAs { login, owner: None }).await
    }

    pub(crate) async fn pull_for(
        &self,
        reference: &str,
        who: PullAs,
    ) -> Result<(ImageName, Rootfs), PullImageError> {
        let (progress, _steps) = mpsc::channel(1);
        self.images.pull(&reference.parse().expect("a reference"), who, progress).await
    }

    /// Pulls what cannot be pulled, and checks that nothing of it is left.
    pub(crate) async fn refusal(&self, reference: &str) -> String {
        let refused = self.pull(reference).await.expect_err("it was pulled");
        assert_eq!(self.half_made(), Vec::<PathBuf>::new(), "after {refused}");
        assert_eq!(self.images.stock(), []);
        refused.to_string()
    }

    /// What counts as no layer and no image, but is there.
    pub(crate) fn half_made(&self) -> Vec<PathBuf> {
        let folders = [self.folder.path().to_owned(), self.folder.path().join("layers")];
        let entries =
            folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
            })
            .collect()
    }
}

/// Ids that no sandbox of a default server has.
pub(crate) const FIRST_ID: u32 = 1_900_000_000;
