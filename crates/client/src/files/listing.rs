//! What is in a folder, as it comes.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pitlane_wire::toolbox::FileInfo;

use super::SILENCE;
use super::elements::Elements;
use crate::{Client, RequestError};

/// A folder that is being listed. Dropping it ends the transfer.
///
/// A list has no end that could be relied on: whoever keeps what it gives counts.
#[derive(Debug)]
pub struct Listing<'a> {
    client: &'a Client,
    body: Incoming,
    elements: Elements,
}

impl<'a> Listing<'a> {
    pub(super) fn new(client: &'a Client, body: Incoming) -> Self {
        Self { client, body, elements: Elements::default() }
    }

    /// Waits for the next entry; `None` is the end, and that all were given.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`], [`RequestError::Late`], [`RequestError::Unreadable`]: there may be more.
    pub async fn next(&mut self) -> Result<Option<FileInfo>, RequestError> {
        loop {
            let element = self.elements.next().map_err(|cause| self.client.unreadable(cause))?;
            if let Some(element) = element {
                let info = serde_json::from_slice(element);
                return info.map(Some).map_err(|cause| self.client.unreadable(cause));
            }
            let frame = tokio::time::timeout(SILENCE, self.body.frame());
            match frame.await.map_err(|_elapsed| self.client.late(SILENCE))? {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.elements.push(bytes);
                    }
                }
                Some(Err(cause)) => return Err(self.client.broken(cause)),
                None => {
                    let end = self.elements.finish();
                    return end.map(|()| None).map_err(|cause| self.client.unreadable(cause));
                }
            }
        }
    }
}
