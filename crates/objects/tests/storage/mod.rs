//! An S3 server in memory, made of another library than the client: it checks signatures, and fails when it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use pitlane_objects::{Location, ObjectStorage, Secret};
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsV2Input, ListObjectsV2Output, MultipartUpload, Object, PutObjectInput,
    PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The id of the key to it.
pub(crate) const ID: &str = "an-id";
/// Its other half.
pub(crate) const SECRET: &str = "a/secret+word";
/// The one bucket.
pub(crate) const BUCKET: &str = "volumes";

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// As it should.
    Working = 0,
    /// It takes requests and never answers.
    Hanging = 1,
    /// It answers that it has failed.
    Failing = 2,
    /// It takes no writes.
    ReadOnly = 3,
    /// It answers other bytes than it was asked for.
    Lying = 4,
    /// It takes its time for writes.
    Slow = 5,
    /// Its lists go on without end, and there is nothing in them.
    Endless = 6,
    /// It takes writes and shows nothing.
    WriteOnly = 7,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Vec<u8>,
    etag: String,
    modified: SystemTime,
}

/// A key, and parts by number.
type Upload = (String, BTreeMap<i32, Vec<u8>>);

#[derive(Debug, Default)]
struct Inner {
    objects: Mutex<BTreeMap<String, Stored>>,
    uploads: Mutex<BTreeMap<String, Upload>>,
    count: AtomicU64,
    mood: AtomicU8,
    requests: AtomicU64,
}

/// A server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Storage {
    address: SocketAddr,
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

impl Storage {
    /// Starts one on a free port of the loopback.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner::default());
        let mut service = S3ServiceBuilder::new(Served(Arc::clone(&inner)));
        service.set_auth(SimpleAuth::from_single(ID, SECRET));
        let service = service.build();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    // A client that breaks off is its own trouble.
                    drop(
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
                    );
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, inner, _tasks: tasks }
    }

    /// How clients reach it.
    pub(crate) fn access(&self, prefix: &str) -> ObjectStorage {
        self.access_with(prefix, SECRET)
    }

    /// How clients with another secret reach it.
    pub(crate) fn access_with(&self, prefix: &str, secret: &str) -> ObjectStorage {
        let location = Location {
            endpoint: format!("http://{}", self.address),
            region: "us-east-1".to_owned(),
            bucket: BUCKET.to_owned(),
            prefix: prefix.to_owned(),
        };
        ObjectStorage::new(&location, ID.to_owned(), Secret::new(secret.to_owned())).expect("valid")
    }

    /// Has it behave in another way.
    pub(crate) fn be(&self, mood: Mood) {
        self.inner.mood.store(mood as u8, Ordering::Relaxed);
    }

    /// Puts an object there, as somebody else would.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        self.inner.store(key, bytes.to_vec());
    }

    /// What is in an object.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.inner.objects.lock().expect("a lock").get(key)?.bytes.clone())
    }

    /// All keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.inner.objects.lock().expect("a lock").keys().cloned().collect()
    }

    /// Uploads in parts that nobody has completed.
    pub(crate) fn uploads(&self) -> usize {
        self.inner.uploads.lock().expect("a lock").len()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }
}

struct Served(Arc<Inner>);

impl Inner {
    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    fn store(&self, key: &str, bytes: Vec<u8>) -> ETag {
        let etag = format!("tag-{}", self.next());
        let stored = Stored {
            bytes,
            etag: etag.clone(),
            modified: SystemTime::from(jiff::Timestamp::now()),
        };
        self.objects.lock().expect("a lock").insert(key.to_owned(), stored);
        ETag::Strong(etag)
    }

    fn find(&self, key: &str) -> S3Result<Stored> {
        let found = self.objects.lock().expect("a lock").get(key).cloned();
        found.ok_or_else(|| S3ErrorCode::NoSuchKey.into())
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::Relaxed) == mood as u8
    }

    async fn pass(&self, bucket: &str, is_write: bool) -> S3Result<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.is(Mood::Hanging) {
            std::future::pending::<()>().await;
        }
        if self.is(Mood::Failing) {
            return Err(S3ErrorCode::InternalError.into());
        }
        if is_write && self.is(Mood::Slow) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let refused = if is_write { Mood::ReadOnly } else { Mood::WriteOnly };
        if self.is(refused) {
            return Err(S3ErrorCode::AccessDenied.into());
        }
        if bucket == BUCKET { Ok(()) } else { Err(S3ErrorCode::NoSuchBucket.into()) }
    }
}

fn check(stored: &Stored, condition: Option<&ETagCondition>) -> S3Result<()> {
    match condition {
        Some(ETagCondition::ETag(wanted)) if wanted.value() != stored.etag => {
            Err(S3ErrorCode::PreconditionFailed.into())
        }
        _ => Ok(()),
    }
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut body) = body else { return Ok(bytes) };
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_cause| S3Error::new(S3ErrorCode::IncompleteBody))?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn length(bytes: usize) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[async_trait]
impl S3 for Served {
    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, false).await?;
        let stored = self.0.find(&input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: length(stored.bytes.len()),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(stored.modified.into()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, false).await?;
        let stored = self.0.find(&input.key)?;
        check(&stored, input.if_match.as_ref())?;
        let whole = u64::try_from(stored.bytes.len()).expect("short");
        let mut range = match &input.range {
            Some(range) => range.check(whole)?,
            None => 0..whole,
        };
        let content_range = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
        if self.0.is(Mood::Lying) {
            range.end -= 1;
        }
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        let bytes = stored.bytes[start.expect("short")..end.expect("short")].to_vec();
        let output = GetObjectOutput {
            content_length: length(bytes.len()),
            content_range: Some(content_range),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(stored.modified.into()),
            body: Some(StreamingBlob::wrap(futures_util::stream::iter([Ok::<_, std::io::Error>(
                bytes.into(),
            )]))),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::with_status(output, http::StatusCode::PARTIAL_CONTENT))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        let bytes = collect(input.body).await?;
        let e_tag = Some(self.0.store(&input.key, bytes));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        self.0.objects.lock().expect("a lock").remove(&input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(S3ErrorCode::NotImplemented.into());
        };
        assert_eq!(&**bucket, BUCKET);
        let stored = self.0.find(key)?;
        check(&stored, input.copy_source_if_match.as_ref())?;
        let e_tag = Some(self.0.store(&input.key, stored.bytes));
        let result = CopyObjectResult { e_tag, ..CopyObjectResult::default() };
        let copy_object_result = Some(result);
        Ok(S3Response::new(CopyObjectOutput { copy_object_result, ..CopyObjectOutput::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.0.pass(&input.bucket, false).await?;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        if self.0.is(Mood::Endless) {
            return Ok(S3Response::new(ListObjectsV2Output {
                encoding_type: input.encoding_type,
                is_truncated: Some(true),
                next_continuation_token: Some(self.0.next().to_string()),
                ..ListObjectsV2Output::default()
            }));
        }
        let most = usize::try_from(input.max_keys.unwrap_or(1000)).expect("positive").min(1000);
        let (mut contents, mut folders) = (Vec::new(), Vec::new());
        let mut last = String::new();
        let mut is_truncated = false;
        for (key, stored) in self.0.objects.lock().expect("a lock").iter() {
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            let folder = input.delimiter.as_ref().and_then(|_| rest.find('/'));
            let line =
                folder.map_or_else(|| key.clone(), |end| format!("{prefix}{}", &rest[..=end]));
            if line <= after || line == last {
                continue;
            }
            if contents.len() + folders.len() == most {
                is_truncated = true;
                break;
            }
            last.clone_from(&line);
            if folder.is_some() {
                folders.push(CommonPrefix { prefix: Some(encoded(&line)) });
            } else {
                contents.push(Object {
                    key: Some(encoded(&line)),
                    size: length(stored.bytes.len()),
                    e_tag: Some(ETag::Strong(stored.etag.clone())),
                    last_modified: Some(stored.modified.into()),
                    ..Object::default()
                });
            }
        }
        Ok(S3Response::new(ListObjectsV2Output {
            encoding_type: input.encoding_type,
            is_truncated: Some(is_truncated),
            next_continuation_token: is_truncated.then_some(last),
            contents: Some(contents),
            common_prefixes: Some(folders),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        let id = format!("upload-{}", self.0.next());
        let upload = (input.key, BTreeMap::new());
        self.0.uploads.lock().expect("a lock").insert(id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        let bytes = collect(input.body).await?;
        let mut uploads = self.0.uploads.lock().expect("a lock");
        let upload = uploads.get_mut(&input.upload_id);
        let (key, parts) = upload.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchUpload))?;
        assert_eq!(*key, input.key);
        parts.insert(input.part_number, bytes);
        let e_tag = Some(ETag::Strong(format!("part-{}", input.part_number)));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        let upload = self.0.uploads.lock().expect("a lock").remove(&input.upload_id);
        let (key, parts) = upload.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchUpload))?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut whole = Vec::new();
        for part in named {
            let number = part.part_number.expect("a number");
            let tag = part.e_tag.expect("a tag");
            assert_eq!(tag.value(), format!("part-{number}"));
            whole.extend_from_slice(&parts[&number]);
        }
        let e_tag = Some(self.0.store(&key, whole));
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            e_tag,
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, true).await?;
        self.0.uploads.lock().expect("a lock").remove(&input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        self.0.pass(&input.bucket, false).await?;
        let prefix = input.prefix.unwrap_or_default();
        let uploads = self.0.uploads.lock().expect("a lock");
        let uploads = uploads.iter().filter(|(_, (key, _))| key.starts_with(&prefix));
        let uploads = uploads.map(|(id, (key, _))| MultipartUpload {
            key: Some(key.clone()),
            upload_id: Some(id.clone()),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
