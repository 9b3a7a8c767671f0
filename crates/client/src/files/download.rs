//! One file as it comes.

use bytes::Bytes;
use http::Response;
use http::header::TRANSFER_ENCODING;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::SILENCE;
use crate::{Client, RequestError};

/// A file that is being read. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    url: String,
    body: Incoming,
    length: Option<u64>,
}

impl Download {
    pub(super) fn new(client: &Client, answer: Response<Incoming>) -> Result<Self, RequestError> {
        let length = answer.body().size_hint().exact();
        if length.is_none() && !answer.headers().contains_key(TRANSFER_ENCODING) {
            return Err(client.unreadable("the file would end where the connection does"));
        }
        Ok(Self { url: client.url(), body: answer.into_body(), length })
    }

    /// How many bytes there will be, if the server says so.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Waits for more of it; `None` is its end, and that it is all there.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`], [`RequestError::Late`]: what came is not all of it.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        let url = || self.url.clone();
        loop {
            let frame = tokio::time::timeout(SILENCE, self.body.frame());
            match frame.await.map_err(|_elapsed| late(url()))? {
                None => return Ok(None),
                Some(Err(cause)) => {
                    return Err(RequestError::Broken { url: url(), cause: cause.into() });
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    // Trailers say nothing here.
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }
}

const fn late(url: String) -> RequestError {
    RequestError::Late { url, seconds: SILENCE.as_secs() }
}
