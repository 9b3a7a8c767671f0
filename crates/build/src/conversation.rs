//! Asking the daemon of a build sandbox. Nothing that it answers is believed further than it says how it went.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame as BodyFrame;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pitlane_driver::{Cause, Driver};
use pitlane_model::SandboxId;
use pitlane_wire::build::{Clearing, NewFolder, Packed, Packing, Placement, RunStep, write_record};
use pitlane_wire::toolbox::frames::{Decoder, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::context::Selection;

/// Pieces of files that wait for the daemon.
const WAITING: usize = 4;
/// The longest answer that is a sentence.
const MAX_SENTENCE: usize = 64 << 10;
/// The most bytes of files that are held while the mounts of a command hide them.
pub(crate) const MAX_HIDDEN: usize = 64 << 20;

/// Why the daemon did not do it.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its own words, for whoever asked for the build.
    Said(String),
    /// It did not answer.
    Host(Cause),
}

impl Refused {
    fn host(cause: impl Into<Cause>) -> Self {
        Self::Host(cause.into())
    }
}

/// The body of a request.
enum Body {
    Whole(Option<Bytes>),
    Piped(mpsc::Receiver<io::Result<Bytes>>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(BodyFrame::data(bytes)))),
            Self::Piped(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(BodyFrame::data)))
            }
        }
    }
}

/// The daemon of one sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Daemon<'a> {
    pub(crate) driver: &'a dyn Driver,
    pub(crate) id: SandboxId,
}

/// An answer, and the task that moves its bytes.
struct Answer {
    response: Response<Incoming>,
    /// Ends with this.
    _moving: JoinSet<()>,
}

/// Files on their way from one daemon to another.
pub(crate) struct Parcel {
    pub(crate) packed: Packed,
    /// What came after that already.
    first: Bytes,
    rest: Answer,
}

/// Files that are held.
#[derive(Debug)]
pub(crate) struct Hidden {
    pub(crate) packed: Packed,
    files: Bytes,
}

impl Hidden {
    /// How many bytes are held.
    pub(crate) fn bytes(&self) -> usize {
        self.files.len()
    }
}

impl Daemon<'_> {
    async fn send(&self, path: &str, body: Body) -> Result<Answer, Refused> {
        let connection = self.driver.connect(self.id).await.map_err(Refused::host)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(connection)).await.map_err(Refused::host)?;
        let mut moving = JoinSet::new();
        moving.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a daemon's connection broke");
            }
        });
        let request = Request::builder().method(Method::POST).uri(path).body(body);
        let response = sender.send_request(request.map_err(Refused::host)?).await;
        let response = response.map_err(Refused::host)?;
        if response.status().is_success() {
            return Ok(Answer { response, _moving: moving });
        }
        Err(explain(response).await)
    }

    async fn tell(&self, path: &str, what: &impl Serialize) -> Result<Answer, Refused> {
        let text = serde_json::to_vec(what).map_err(Refused::host)?;
        self.send(path, Body::Whole(Some(text.into()))).await
    }

    /// Runs a command; its output goes to `take`. Answers with its exit code.
    pub(crate) async fn run(
        &self,
        step: &RunStep,
        mut take: impl FnMut(Bytes),
    ) -> Result<i32, Refused> {
        let mut answer = self.tell("/pitlane/build/run", step).await?;
        let mut decoder = Decoder::default();
        while let Some(frame) = answer.response.body_mut().frame().await {
            let Ok(piece) = frame.map_err(Refused::host)?.into_data() else { continue };
            decoder.push(&piece);
            while let Some(frame) = decoder.next_frame().map_err(Refused::host)? {
                match frame {
                    Frame::Stdout(bytes) | Frame::Stderr(bytes) => take(bytes.into()),
                    Frame::Exit(code) => return Ok(code),
                    Frame::Failure(reason) => return Err(Refused::Said(reason)),
                }
            }
        }
        Err(Refused::host("the command's output broke off"))
    }

    /// Makes a folder.
    pub(crate) async fn make_folder(&self, folder: &NewFolder) -> Result<(), Refused> {
        self.tell("/pitlane/build/folder", folder).await.map(drop)
    }

    /// Empties or removes a folder.
    pub(crate) async fn clear(&self, folder: &str, removes: bool) -> Result<(), Refused> {
        let clearing = Clearing { folder: folder.to_owned(), removes };
        self.tell("/pitlane/build/clear", &clearing).await.map(drop)
    }

    /// Writes files of the context.
    pub(crate) async fn place(
        &self,
        placement: &Placement,
        selection: Selection,
    ) -> Result<(), Refused> {
        let (pieces, body) = mpsc::channel(WAITING);
        let head = head(placement)?;
        let mut reading = JoinSet::new();
        reading.spawn_blocking(move || {
            let gone = |_closed| io::Error::from(io::ErrorKind::BrokenPipe);
            let mut send = |bytes: Bytes| pieces.blocking_send(Ok(bytes)).map_err(gone);
            let sent = send(head).and_then(|()| selection.send(&mut send));
            if let Err(error) = sent {
                // Cut off, so that it cannot be taken for complete; nobody may be there to hear it.
                pieces.blocking_send(Err(error)).ok();
            }
        });
        self.send("/pitlane/build/place", Body::Piped(body)).await.map(drop)
    }

    /// Asks for files.
    pub(crate) async fn pack(&self, packing: &Packing) -> Result<Parcel, Refused> {
        let mut answer = self.tell("/pitlane/build/pack", packing).await?;
        let mut seen = Vec::new();
        loop {
            if let Some((length, rest)) = seen.split_first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if length > pitlane_wire::build::MAX_TEXT {
                    return Err(Refused::host("files that are none"));
                }
                if let Some(text) = rest.get(..length) {
                    let packed = serde_json::from_slice(text).map_err(Refused::host)?;
                    let first = rest.get(length..).unwrap_or_default().to_vec().into();
                    return Ok(Parcel { packed, first, rest: answer });
                }
            }
            let frame = answer.response.body_mut().frame().await;
            let frame = frame.ok_or_else(|| Refused::host("files broke off"))?;
            if let Ok(piece) = frame.map_err(Refused::host)?.into_data() {
                seen.extend_from_slice(&piece);
            }
        }
    }

    /// Writes files that another daemon sends.
    pub(crate) async fn place_parcel(
        &self,
        placement: &Placement,
        parcel: Parcel,
    ) -> Result<(), Refused> {
        let (pieces, body) = mpsc::channel(WAITING);
        let head = head(placement)?;
        let Parcel { first, rest: mut answer, .. } = parcel;
        let passing = async move {
            if pieces.send(Ok(head)).await.is_err() || pieces.send(Ok(first)).await.is_err() {
                return;
            }
            while let Some(frame) = answer.response.body_mut().frame().await {
                let piece = match frame.map(BodyFrame::into_data) {
                    Ok(Ok(piece)) => Ok(piece),
                    Ok(Err(_trailers)) => continue,
                    Err(error) => Err(io::Error::other(error)),
                };
                let is_last = piece.is_err();
                if pieces.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        };
        let sending = self.send("/pitlane/build/place", Body::Piped(body));
        let ((), sent) = tokio::join!(passing, sending);
        sent.map(drop)
    }

    /// Takes files to hold, of which there is room for so many bytes.
    pub(crate) async fn hide(&self, path: &str, room: usize) -> Result<Hidden, Refused> {
        let sources = vec![path.to_owned()];
        let packing = Packing { sources, exclude: Vec::new(), may_be_missing: true };
        let Parcel { packed, first, rest } = self.pack(&packing).await?;
        let rest = Limited::new(rest.response.into_body(), room).collect().await;
        let rest = rest.map_err(|cause| match cause.is::<LengthLimitError>() {
            true => Refused::Said(format!(
                "with {path}, the mounts hide more than {} MiB, which they cannot",
                MAX_HIDDEN >> 20
            )),
            false => Refused::Host(cause),
        })?;
        let mut files = first.to_vec();
        files.extend_from_slice(&rest.to_bytes());
        Ok(Hidden { packed, files: files.into() })
    }

    /// Puts them back.
    pub(crate) async fn reveal(&self, path: &str, hidden: Hidden) -> Result<(), Refused> {
        if !hidden.packed.exists {
            return Ok(());
        }
        let placement = Placement {
            destination: path.to_owned(),
            is_folder: hidden.packed.is_folder,
            owner: None,
            mode: None,
            unpacks: false,
        };
        let mut body = head(&placement)?.to_vec();
        body.extend_from_slice(&hidden.files);
        self.send("/pitlane/build/place", Body::Whole(Some(body.into()))).await.map(drop)
    }
}

fn head(placement: &Placement) -> Result<Bytes, Refused> {
    let mut text = Vec::new();
    write_record(placement, &mut text).map_err(|error| Refused::Said(error.to_string()))?;
    Ok(text.into())
}

/// The daemon's words for why not.
async fn explain(response: Response<Incoming>) -> Refused {
    #[derive(Deserialize)]
    struct Sentence {
        message: String,
    }
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_SENTENCE).collect().await;
    let sentence = body.ok().and_then(|body| {
        serde_json::from_slice::<Sentence>(&body.to_bytes()).ok().map(|said| said.message)
    });
    match sentence {
        Some(message) if status != StatusCode::INTERNAL_SERVER_ERROR => Refused::Said(message),
        Some(message) => Refused::host(message),
        None => Refused::host(format!("a daemon answered {status}")),
    }
}
