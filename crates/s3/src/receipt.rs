//! A body on its way to disk.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use pitlane_storage::{Draft, PartDraft, ReceiveError};
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, S3Result, TrailingHeaders};
use tokio_util::sync::CancellationToken;

use crate::refusal::{of_body, of_receiving, of_sums, refusal};
use crate::sums::{Reader, Sums};

/// How long one body may take, however steadily it comes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What takes the bytes of a body.
pub(crate) trait Sink {
    /// Takes the next ones.
    async fn take(&mut self, bytes: Bytes) -> Result<(), ReceiveError>;
}

impl Sink for Draft {
    async fn take(&mut self, bytes: Bytes) -> Result<(), ReceiveError> {
        self.write(bytes).await
    }
}

impl Sink for PartDraft {
    async fn take(&mut self, bytes: Bytes) -> Result<(), ReceiveError> {
        self.write(bytes).await
    }
}

/// What a request says of its body.
pub(crate) struct Announced<'r> {
    pub(crate) headers: &'r HeaderMap,
    /// A checksum that is wanted and not said.
    pub(crate) algorithm: Option<&'r str>,
    pub(crate) trailers: Option<&'r TrailingHeaders>,
}

/// Reads a body into a sink, and answers its checksums when all of it is what was announced.
pub(crate) async fn receive(
    body: Option<StreamingBlob>,
    announced: Announced<'_>,
    sink: &mut impl Sink,
    validity: &CancellationToken,
) -> S3Result<Sums> {
    let mut reader = Reader::new(announced.headers, announced.algorithm);
    let reading = async {
        let Some(mut body) = body else { return Ok(()) };
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| of_body(&*error))?;
            reader.update(&bytes);
            sink.take(bytes).await.map_err(|error| of_receiving(&error))?;
        }
        Ok(())
    };
    tokio::select! {
        read = tokio::time::timeout(PATIENCE, reading) => read.unwrap_or_else(|_| {
            Err(refusal(S3ErrorCode::RequestTimeout, "the body took too long"))
        })?,
        () = validity.cancelled() => {
            return Err(refusal(S3ErrorCode::InvalidAccessKeyId, "the access key stopped working"));
        }
    }
    let trailers = announced.trailers.and_then(TrailingHeaders::take);
    reader.finish(trailers.as_ref()).map_err(|error| of_sums(&error))
}
