//! The operations.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use pitlane_model::Timestamp;
use pitlane_storage::{Context, ContextKey, Contexts, NamedPart, Part, Verification};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::access::Caller;
use crate::admission::{Admission, Place};
use crate::listing;
use crate::reading::Reading;
use crate::receipt::{Announced, receive};
use crate::refusal::{
    of_completing, of_finishing, of_reading, of_receiving, of_removing, of_sums, of_upload, refusal,
};
use crate::sums::{ALGORITHMS, Sums, Whole, composite};
use crate::{BUCKET, REGION};

/// What every context is.
const CONTENT_TYPE: &str = "application/octet-stream";

/// The most parts that a page has.
const MAX_PARTS_PAGE: usize = 1000;

/// Contexts as S3 shows them.
#[derive(Debug)]
pub(crate) struct Objects {
    contexts: Contexts,
    admission: Admission,
}

impl Objects {
    pub(crate) fn new(contexts: Contexts) -> Self {
        Self { contexts, admission: Admission::default() }
    }

    fn found(&self, key: &str) -> S3Result<Context> {
        let found = key.parse().ok().and_then(|key: ContextKey| self.contexts.find(&key));
        found.ok_or_else(|| refusal(S3ErrorCode::NoSuchKey, "there is no such build context"))
    }

    fn place(&self, caller: &Caller) -> S3Result<Place> {
        self.admission.enter(caller.0.organization).ok_or_else(|| {
            refusal(S3ErrorCode::SlowDown, "too many uploads at the same time; try again")
        })
    }
}

/// The caller that the doorkeeper has let in.
fn caller<T>(request: &S3Request<T>) -> S3Result<Caller> {
    let caller = request.extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| refusal(S3ErrorCode::AccessDenied, "requests are signed"))
}

/// A key that can be written.
fn writable(key: &str) -> S3Result<ContextKey> {
    key.parse().map_err(|why: pitlane_storage::ParseContextKeyError| {
        refusal(S3ErrorCode::InvalidArgument, why.to_string())
    })
}

/// How much a request announces; without that, nothing is taken.
fn announced_length(length: Option<i64>) -> S3Result<u64> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| {
        refusal(S3ErrorCode::MissingContentLength, "the length of the body has to be announced")
    })
}

/// What would change what is kept, and is not there, is refused and not overlooked.
fn check_plain(headers: &HeaderMap) -> S3Result<()> {
    let is_special = |name: &str| {
        name.starts_with("x-amz-server-side-encryption-customer")
            || name.starts_with("x-amz-object-lock")
            || name.starts_with("x-amz-copy-source")
            || name == "x-amz-write-offset-bytes"
    };
    match headers.keys().find(|name| is_special(name.as_str())) {
        Some(name) => Err(refusal(
            S3ErrorCode::NotImplemented,
            format!("the header {name} is not implemented"),
        )),
        None => Ok(()),
    }
}

/// Whether a context may be put only where there is none. No other condition is known.
fn only_if_absent(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<bool> {
    match (if_match, if_none_match) {
        (None, None) => Ok(false),
        (None, Some(ETagCondition::Any)) => Ok(true),
        _ => {
            Err(refusal(S3ErrorCode::NotImplemented, "writes know one condition: If-None-Match: *"))
        }
    }
}

/// Whether a context is still, or again, what a client has heard of.
fn check_conditions(
    context: &Context,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let etag = context.etag().to_string();
    let is_this = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    };
    if if_match.is_some_and(|condition| !is_this(condition)) {
        return Err(refusal(S3ErrorCode::PreconditionFailed, "the build context is another one"));
    }
    if if_none_match.is_some_and(is_this) {
        return Err(S3ErrorCode::NotModified.into());
    }
    Ok(())
}

/// A time as S3 has it.
pub(crate) fn time(timestamp: Timestamp) -> s3s::dto::Timestamp {
    let since_epoch = timestamp.since(Timestamp::from_micros(0));
    // Whole seconds, as headers have them, so that a list says the same.
    let since_epoch = Duration::from_secs(since_epoch.as_secs());
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH).into()
}

/// A length as S3 has it.
pub(crate) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn etag(context: &Context) -> Option<ETag> {
    Some(ETag::Strong(context.etag().to_string()))
}

fn sum(sums: &Sums, algorithm: &str) -> Option<String> {
    sums.get(algorithm).cloned()
}

/// What a client says of a part when it completes an upload, by algorithm.
fn said_of_part(part: &CompletedPart) -> [Option<&String>; 5] {
    [
        part.checksum_crc32.as_ref(),
        part.checksum_crc32c.as_ref(),
        part.checksum_crc64nvme.as_ref(),
        part.checksum_sha1.as_ref(),
        part.checksum_sha256.as_ref(),
    ]
}

/// What a client says of the whole when it completes an upload.
fn said_of_whole(input: &CompleteMultipartUploadInput) -> Option<(&'static str, String)> {
    let all = [
        input.checksum_crc32.as_ref(),
        input.checksum_crc32c.as_ref(),
        input.checksum_crc64nvme.as_ref(),
        input.checksum_sha1.as_ref(),
        input.checksum_sha256.as_ref(),
    ];
    let said = ALGORITHMS.into_iter().zip(all);
    said.filter_map(|(name, value)| Some((name, value?.clone()))).next()
}

/// The parts that a client names, if what it says of them is so.
fn named(
    input: &CompleteMultipartUploadInput,
    parts: &[std::sync::Arc<Part>],
) -> S3Result<Vec<NamedPart>> {
    let list = input.multipart_upload.as_ref().and_then(|list| list.parts.as_deref());
    let mut named = Vec::new();
    for part in list.unwrap_or_default() {
        let number = part.part_number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let etag = part.e_tag.as_ref().and_then(|etag| etag.value().parse().ok());
        let etag = etag.ok_or_else(|| {
            refusal(S3ErrorCode::InvalidPart, format!("part {number} has no tag of this server's"))
        })?;
        if let Some(there) = parts.iter().find(|there| there.number() == number) {
            for (algorithm, said) in ALGORITHMS.into_iter().zip(said_of_part(part)) {
                let known = there.sums().get(algorithm);
                if said.is_some() && known.is_some() && said != known {
                    let message = format!("part {number} is not what its {algorithm} says");
                    return Err(refusal(S3ErrorCode::InvalidPart, message));
                }
            }
        }
        named.push(NamedPart { number, etag });
    }
    Ok(named)
}

/// Who verifies the whole: nobody, if what was said is of the parts' checksums, and so.
fn verification(
    input: &CompleteMultipartUploadInput,
    named: &[NamedPart],
    parts: &[std::sync::Arc<Part>],
) -> S3Result<Option<Box<dyn Verification>>> {
    let Some((algorithm, said)) = said_of_whole(input) else { return Ok(None) };
    if !said.contains('-') {
        return Ok(Some(Box::new(Whole::new(algorithm, said))));
    }
    let sums = named.iter().map(|named| {
        let part = parts.iter().find(|part| part.number() == named.number)?;
        part.sums().get(algorithm)
    });
    let made = composite(algorithm, sums).map_err(|error| of_sums(&error))?;
    if made == said {
        Ok(None)
    } else {
        Err(refusal(
            S3ErrorCode::BadDigest,
            format!("the parts are not what their {algorithm} says"),
        ))
    }
}

fn check_length(
    input: &CompleteMultipartUploadInput,
    named: &[NamedPart],
    parts: &[std::sync::Arc<Part>],
) -> S3Result<()> {
    let Some(said) = input.mpu_object_size else { return Ok(()) };
    let whole: u64 = parts
        .iter()
        .filter(|part| named.iter().any(|named| named.number == part.number()))
        .map(|part| part.bytes())
        .sum();
    if length(whole) == said {
        Ok(())
    } else {
        Err(refusal(
            S3ErrorCode::InvalidRequest,
            format!("the parts have {whole} bytes and not {said}"),
        ))
    }
}

#[async_trait]
impl S3 for Objects {
    async fn head_bucket(
        &self,
        _request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(REGION.to_owned()),
            ..HeadBucketOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let found = self.found(&input.key)?;
        check_conditions(&found, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(found.bytes())),
            content_type: Some(CONTENT_TYPE.to_owned()),
            e_tag: etag(&found),
            last_modified: Some(time(found.modified())),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let found = self.found(&input.key)?;
        check_conditions(&found, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let whole = found.bytes();
        let range: Range<u64> = match &input.range {
            Some(range) => range.check(whole)?,
            None => 0..whole,
        };
        let content_range = input
            .range
            .is_some()
            .then(|| format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1)));
        let status =
            if content_range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(range.end.saturating_sub(range.start))),
            content_range,
            content_type: Some(CONTENT_TYPE.to_owned()),
            e_tag: etag(&found),
            last_modified: Some(time(found.modified())),
            ..GetObjectOutput::default()
        };
        let reading = Reading::open(found, &range).await.map_err(|error| of_reading(&error))?;
        let output = GetObjectOutput { body: Some(StreamingBlob::wrap(reading)), ..output };
        Ok(S3Response::with_status(output, status))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let own = caller(&request)?.0.organization;
        let contexts = self.contexts.list(own, None, usize::MAX);
        Ok(S3Response::new(listing::page(&contexts, request.input)))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let caller = caller(&request)?;
        let S3Request { input, headers, trailing_headers, .. } = request;
        check_plain(&headers)?;
        let absent = only_if_absent(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let key = writable(&input.key)?;
        let length = announced_length(input.content_length)?;
        let _place = self.place(&caller)?;
        let draft = self.contexts.receive(key, Some(length)).await;
        let mut draft = draft.map_err(|error| of_receiving(&error))?;
        let announced = Announced {
            headers: &headers,
            algorithm: input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str),
            trailers: trailing_headers.as_ref(),
        };
        let sums = receive(input.body, announced, &mut draft, &caller.0.validity).await?;
        let context = draft.finish(absent).await.map_err(|error| of_finishing(&error))?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: etag(&context),
            checksum_crc32: sum(&sums, "crc32"),
            checksum_crc32c: sum(&sums, "crc32c"),
            checksum_crc64nvme: sum(&sums, "crc64nvme"),
            checksum_sha1: sum(&sums, "sha1"),
            checksum_sha256: sum(&sums, "sha256"),
            ..PutObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        if request.input.if_match.is_some() {
            return Err(refusal(S3ErrorCode::NotImplemented, "deletions know no conditions"));
        }
        if let Ok(key) = request.input.key.parse() {
            self.contexts.remove(&key).await.map_err(|error| of_removing(&error))?;
        }
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        check_plain(&request.headers)?;
        let input = request.input;
        let key = writable(&input.key)?;
        let id = self.contexts.begin_upload(key).map_err(|error| of_upload(&error))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(BUCKET.to_owned()),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let caller = caller(&request)?;
        let S3Request { input, headers, trailing_headers, .. } = request;
        check_plain(&headers)?;
        let key = writable(&input.key)?;
        let length = announced_length(input.content_length)?;
        let number = u32::try_from(input.part_number).unwrap_or(0);
        let _place = self.place(&caller)?;
        let upload = (&key, input.upload_id.as_str());
        let draft = self.contexts.receive_part(upload, number, Some(length)).await;
        let mut draft = draft.map_err(|error| of_upload(&error))?;
        let announced = Announced {
            headers: &headers,
            algorithm: input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str),
            trailers: trailing_headers.as_ref(),
        };
        let sums = receive(input.body, announced, &mut draft, &caller.0.validity).await?;
        let part = draft.finish(sums).await.map_err(|error| of_upload(&error))?;
        let sums = part.sums();
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag().to_string())),
            checksum_crc32: sum(sums, "crc32"),
            checksum_crc32c: sum(sums, "crc32c"),
            checksum_crc64nvme: sum(sums, "crc64nvme"),
            checksum_sha1: sum(sums, "sha1"),
            checksum_sha256: sum(sums, "sha256"),
            ..UploadPartOutput::default()
        }))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let key = writable(&input.key)?;
        let parts =
            self.contexts.parts(&key, &input.upload_id).map_err(|error| of_upload(&error))?;
        let after = input.part_number_marker.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
        let maximum = input
            .max_parts
            .map_or(MAX_PARTS_PAGE, |it| usize::try_from(it).unwrap_or(0).min(MAX_PARTS_PAGE));
        let behind: Vec<_> = parts.iter().filter(|part| part.number() > after).collect();
        let shown = behind.iter().take(maximum);
        let number = |part: &Part| i32::try_from(part.number()).ok();
        let listed: Vec<s3s::dto::Part> = shown
            .map(|part| s3s::dto::Part {
                part_number: number(part),
                e_tag: Some(ETag::Strong(part.etag().to_string())),
                size: Some(length(part.bytes())),
                last_modified: Some(time(part.modified())),
                checksum_crc32: sum(part.sums(), "crc32"),
                checksum_crc32c: sum(part.sums(), "crc32c"),
                checksum_crc64nvme: sum(part.sums(), "crc64nvme"),
                checksum_sha1: sum(part.sums(), "sha1"),
                checksum_sha256: sum(part.sums(), "sha256"),
            })
            .collect();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(BUCKET.to_owned()),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: i32::try_from(maximum).ok(),
            part_number_marker: input.part_number_marker,
            is_truncated: Some(behind.len() > listed.len()),
            next_part_number_marker: listed.last().and_then(|part| part.part_number),
            parts: Some(listed),
            ..ListPartsOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let absent = only_if_absent(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let key = writable(&input.key)?;
        // One that is gone may have been completed already, which the store can tell.
        let parts = self.contexts.parts(&key, &input.upload_id);
        let is_there = parts.is_ok();
        let parts = parts.unwrap_or_default();
        let list = named(&input, &parts)?;
        let verification = if is_there {
            check_length(&input, &list, &parts)?;
            verification(&input, &list, &parts)?
        } else {
            None
        };
        drop(parts);
        let upload = (&key, input.upload_id.as_str());
        let completed = self.contexts.complete_upload(upload, &list, verification, absent).await;
        let context = completed.map_err(|error| of_completing(&error))?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(BUCKET.to_owned()),
            location: Some(format!("/{BUCKET}/{}", input.key)),
            key: Some(input.key),
            e_tag: etag(&context),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let key = writable(&request.input.key)?;
        let aborted = self.contexts.abort_upload(&key, &request.input.upload_id);
        aborted.map_err(|error| of_upload(&error))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
