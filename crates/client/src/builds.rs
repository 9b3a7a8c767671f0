//! Images that are built: the files they are built from, the snapshots they become, and what is written meanwhile.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use http::header::CONTENT_LENGTH;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use jiff::Timestamp;
use pitlane_signature::{Signable, Signer, digest_of, sign};
use pitlane_wire::control::{CreateSnapshot, Snapshot, StorageAccess};

use crate::connections::{Body, empty};
use crate::request::{Content, segment};
use crate::{Client, RequestError};

/// An archive of files for builds, named by the SHA-256 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextArchive {
    /// The digits of its hash.
    pub sha256: String,
    /// How long it is.
    pub bytes: u64,
}

/// What a build writes, as it comes. Dropping it ends the transfer.
#[derive(Debug)]
pub struct BuildLog {
    url: String,
    body: Incoming,
}

impl Client {
    /// Has a snapshot made. If its image has to come first, it is on its way in the answer.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the server does not make it. With 409: there is one of this name.
    pub async fn create_snapshot(&self, wish: &CreateSnapshot) -> Result<Snapshot, RequestError> {
        self.call(Method::POST, "/snapshots", Some(wish)).await
    }

    /// Reads a snapshot, by id or name.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn snapshot(&self, id_or_name: &str) -> Result<Snapshot, RequestError> {
        self.get(&format!("/snapshots/{}", segment(id_or_name))).await
    }

    /// Removes a snapshot; its sandboxes stay.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn delete_snapshot(&self, id_or_name: &str) -> Result<(), RequestError> {
        self.act(Method::DELETE, &format!("/snapshots/{}", segment(id_or_name))).await
    }

    /// Follows what is written while the image of a snapshot is built, from the beginning on.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such snapshot, or it was not built.
    pub async fn snapshot_build_log(&self, id: &str) -> Result<BuildLog, RequestError> {
        let url = format!("{}/snapshots/{}/build-logs?follow=true", self.url(), segment(id));
        let answer = self.send(Method::GET, &url, Content::Nothing).await?;
        Ok(BuildLog { url: self.url(), body: answer.into_body() })
    }

    /// Uploads an archive of files for builds, unless the server has it. Builds name it by its hash.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the server takes none, or not one so large.
    pub async fn upload_context<S>(
        &self,
        archive: &ContextArchive,
        contents: S,
    ) -> Result<(), RequestError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let access: StorageAccess = self.get("/object-storage/push-access").await?;
        let StorageAccess { organization_id, bucket, .. } = &access;
        let path = format!("/{bucket}/{organization_id}/{}/context.tar", archive.sha256);
        let base = self.storage_url(&access)?;
        let found = self.ask_storage(&access, (&base, &path), Method::HEAD, None).await?;
        if found.status().is_success() {
            return Ok(());
        }
        if found.status() != StatusCode::NOT_FOUND {
            return Err(self.refusal(found).await);
        }
        use futures_util::StreamExt as _;
        let frames = contents.map(|piece| piece.map(Frame::data).map_err(Into::into));
        let body = StreamBody::new(frames).boxed_unsync();
        let sent =
            self.ask_storage(&access, (&base, &path), Method::PUT, Some((archive, body))).await?;
        if sent.status().is_success() { Ok(()) } else { Err(self.refusal(sent).await) }
    }

    /// Where object storage is: where the server says, but on the API's own address if that is not encrypted either.
    /// There the server has it as well, and no certificate has to be believed.
    fn storage_url(&self, access: &StorageAccess) -> Result<Uri, RequestError> {
        let own: Uri =
            self.url().parse().map_err(|cause: http::uri::InvalidUri| self.unreadable(cause))?;
        if own.scheme_str() == Some("http") {
            return Ok(own);
        }
        access.storage_url.parse().map_err(|cause: http::uri::InvalidUri| self.unreadable(cause))
    }

    async fn ask_storage(
        &self,
        access: &StorageAccess,
        (base, path): (&Uri, &str),
        method: Method,
        contents: Option<(&ContextArchive, Body)>,
    ) -> Result<Response<Incoming>, RequestError> {
        let authority = base.authority().map_or("", Authority::as_str);
        let scheme = base.scheme_str().unwrap_or("https");
        let hash =
            contents.as_ref().map_or_else(|| digest_of(&[]), |(archive, _)| archive.sha256.clone());
        let token = access.session_token.parse::<HeaderValue>();
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-security-token", token.map_err(|cause| self.unreadable(cause))?);
        let signer = Signer {
            access_key_id: &access.access_key,
            secret_access_key: &access.secret,
            region: &access.region,
        };
        let signable = Signable {
            method: method.as_str(),
            host: authority,
            // Of characters that mean themselves.
            path,
            query: "",
            body_digest: &hash,
            time: Timestamp::now(),
        };
        sign(&mut headers, &signer, &signable).map_err(|cause| self.unreadable(cause))?;
        let body = match contents {
            Some((archive, body)) => {
                headers.insert(CONTENT_LENGTH, archive.bytes.into());
                body
            }
            None => empty(),
        };
        let uri = format!("{scheme}://{authority}{path}");
        let request = Request::builder().method(method).uri(uri).body(body);
        let mut request = request.map_err(|cause| self.unreadable(cause))?;
        *request.headers_mut() = headers;
        self.answer(request).await
    }
}

impl BuildLog {
    /// Waits for more of it; `None` when the build is over.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: what came is not all of it.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(cause)) => {
                    return Err(RequestError::Broken {
                        url: self.url.clone(),
                        cause: cause.into(),
                    });
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}
