//! One file into a sandbox, as it is read here.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::Method;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::{Files, SILENCE};
use crate::RequestError;
use crate::request::Content;

/// Why a file was not written. The file has its old contents, or is not there.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The contents could not be read to their end.
    #[error("cannot read what to write")]
    Content(#[source] io::Error),
    /// The server or the sandbox did not take it.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// How far the contents are, told by the body to whoever waits for the answer.
#[derive(Debug, Default)]
struct Progress {
    /// Grows with every piece that is asked for and every piece that is given: odd while the contents are waited for.
    steps: AtomicU64,
    failure: Mutex<Option<io::Error>>,
}

impl Files<'_> {
    /// Writes a file as its contents come, which may take as long as they like; folders that are missing are made. The
    /// file has its old contents until all of the new ones are there.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: see its variants.
    pub async fn write<S>(&self, path: &str, contents: S) -> Result<(), WriteError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let url = self.url("/files/upload", &[("path", &path)]);
        self.send_form(&url, None, contents).await
    }

    /// The same with the operation that every server of the Daytona API has: the path is in the form.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: see its variants.
    pub async fn upload<S>(&self, path: &str, contents: S) -> Result<(), WriteError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let url = self.url("/files/bulk-upload", &[]);
        self.send_form(&url, Some(path), contents).await
    }

    async fn send_form<S>(
        &self,
        url: &str,
        path: Option<&str>,
        contents: S,
    ) -> Result<(), WriteError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        // Unlike any other, or contents that have the boundary in them would end there.
        let mut unique = [0; 16];
        getrandom::fill(&mut unique).map_err(|cause| WriteError::Content(cause.into()))?;
        let boundary = format!("pitlane-{:032x}", u128::from_ne_bytes(unique));
        let progress = Arc::new(Progress::default());
        let body = StreamBody::new(form(&boundary, path, contents, &progress));
        let body = body.map_err(Into::into).boxed_unsync();
        let media_type = format!("multipart/form-data; boundary={boundary}");
        let content = Content::Form { media_type, body };
        let sent = self.client.send(Method::POST, url, content);
        tokio::select! {
            answer = sent => match (answer, progress.failure()) {
                (Ok(_), _) => Ok(()),
                (Err(_), Some(failure)) => Err(WriteError::Content(failure)),
                (Err(refused), None) => Err(refused.into()),
            },
            () = progress.stall() => Err(self.client.late(SILENCE).into()),
        }
    }
}

impl Progress {
    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when nothing moved for too long, other than because the contents do not come.
    async fn stall(&self) {
        let mut before = self.steps.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(SILENCE).await;
            let now = self.steps.load(Ordering::Relaxed);
            let waits_for_contents = now % 2 == 1;
            if now == before && !waits_for_contents {
                return;
            }
            before = now;
        }
    }
}

/// The form around the contents.
fn form<S>(
    boundary: &str,
    path: Option<&str>,
    contents: S,
    progress: &Arc<Progress>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send + use<S>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let (before, name) = match path {
        None => (String::new(), "file"),
        Some(path) => {
            let field = "content-disposition: form-data; name=\"files[0].path\"";
            (format!("--{boundary}\r\n{field}\r\n\r\n{path}\r\n"), "files[0].file")
        }
    };
    let head = format!(
        "{before}--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"file\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let progress = Arc::clone(progress);
    let contents =
        stream::unfold((Box::pin(contents), progress), |(mut contents, progress)| async move {
            progress.step();
            let piece = contents.next().await;
            progress.step();
            let piece = match piece? {
                Ok(piece) => Ok(piece),
                Err(failure) => {
                    // What the request fails with says less.
                    let kind = failure.kind();
                    *progress.failure.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(failure);
                    Err(kind.into())
                }
            };
            Some((piece, (contents, progress)))
        });
    let once = |text: String| stream::once(async move { Ok(Bytes::from(text)) });
    once(head).chain(contents).chain(once(tail)).map(|piece| piece.map(Frame::data))
}
