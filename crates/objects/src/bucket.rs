//! The client of a bucket: path style, signed, with deadlines, and with answers that are never longer than asked for.

mod send;

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use pitlane_signature::encode_path;

use crate::listing::{ListQuery, Page};
use crate::storage::ObjectStorage;
use crate::xml::{self, Element};

use self::send::Transport;

/// Pages, and other answers without contents.
const LONGEST_ANSWER: u64 = 8 << 20;
/// How long one try may take that moves no contents.
const SHORT: Duration = Duration::from_secs(10);
/// How long one try may take that moves a piece of contents.
const LONG: Duration = Duration::from_secs(30);

/// A bucket and the key to it.
#[derive(Debug)]
pub struct Bucket {
    storage: ObjectStorage,
    transport: Transport,
    /// When it was last found silent, if it has said nothing since.
    silent: Mutex<Option<Instant>>,
}

/// What a storage says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// How many bytes it has.
    pub size: u64,
    /// What tells this content from others.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
}

/// Why a bucket cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenBucketError {
    /// This machine has no certificates to check the storage's with.
    #[error("cannot read this machine's certificates")]
    Certificates(#[source] std::io::Error),
}

/// Why a storage did not do what it was asked. It may have done it all the same, but for the first two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The object has changed since it was looked at.
    #[error("the object has changed meanwhile")]
    Changed,
    /// It refuses; asking again will not help.
    #[error("object storage refuses: {status} {code}")]
    Refused {
        /// The status.
        status: u16,
        /// Its word for why.
        code: String,
    },
    /// It cannot be reached.
    #[error("object storage cannot be reached: {why}")]
    Unreachable {
        /// What failed.
        why: String,
    },
    /// It did not answer in time.
    #[error("object storage does not answer in time")]
    Silent,
    /// It answers what makes no sense.
    #[error("object storage answers what makes no sense: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

impl BucketError {
    /// Whether there is no such object, upload or bucket.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Changed | Self::Malformed { .. } => false,
        }
    }
}

/// A request, as often as it is sent.
#[derive(Debug)]
struct Call<'a> {
    method: Method,
    key: &'a str,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
    deadline: Duration,
    longest: u64,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(method: Method, key: &'a str) -> Self {
        Self {
            method,
            key,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: SHORT,
            longest: LONGEST_ANSWER,
        }
    }

    fn asking(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Result<Self, BucketError> {
        let value = value
            .parse()
            .map_err(|_control| BucketError::Malformed { what: "a tag that is no text" })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    fn carrying(mut self, body: Bytes, deadline: Duration) -> Self {
        self.body = body;
        self.deadline = deadline;
        self
    }
}

impl Bucket {
    /// Prepares to speak to a storage; connects later. Reads this machine's certificates if they are needed.
    ///
    /// # Errors
    ///
    /// [`OpenBucketError::Certificates`].
    pub fn open(storage: ObjectStorage) -> Result<Self, OpenBucketError> {
        let is_encrypted = storage.location().endpoint.starts_with("https:");
        let transport = Transport::open(is_encrypted).map_err(OpenBucketError::Certificates)?;
        Ok(Self { storage, transport, silent: Mutex::default() })
    }

    /// Looks at an object.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn stat(&self, key: &str) -> Result<Option<Object>, BucketError> {
        match self.send(&Call::new(Method::HEAD, key)).await {
            Ok(answer) => object(&answer.headers).map(Some),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads a part of an object; exactly as many bytes as asked for.
    ///
    /// # Errors
    ///
    /// [`BucketError::Changed`]: it is not the one with this tag any more.
    pub async fn read(
        &self,
        key: &str,
        etag: &str,
        range: Range<u64>,
    ) -> Result<Bytes, BucketError> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let last = range.end.saturating_sub(1);
        let mut call = Call::new(Method::GET, key)
            .with("range", &format!("bytes={}-{last}", range.start))?
            .with("if-match", etag)?;
        call.deadline = LONG;
        call.longest = wanted;
        let answer = match self.send(&call).await {
            Err(failure) if failure.is_absence() => return Err(BucketError::Changed),
            answer => answer?,
        };
        let is_part = answer.status == StatusCode::PARTIAL_CONTENT
            || (answer.status == StatusCode::OK && range.start == 0);
        let length = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        if !is_part || length != wanted {
            return Err(BucketError::Malformed { what: "another part than was asked for" });
        }
        Ok(answer.body)
    }

    /// Writes an object at once. Answers its tag.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn put(&self, key: &str, body: Bytes) -> Result<String, BucketError> {
        let answer = self.send(&Call::new(Method::PUT, key).carrying(body, LONG)).await?;
        tag(&answer.headers)
    }

    /// Removes an object; one that is not there is removed.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self.send(&Call::new(Method::DELETE, key)).await {
            Err(failure) if !failure.is_absence() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Copies an object of at most 5 GiB, if it still has this tag.
    ///
    /// # Errors
    ///
    /// [`BucketError::Changed`]: it does not.
    pub async fn copy(&self, from: &str, etag: &str, to: &str) -> Result<(), BucketError> {
        let source = encode_path(&self.storage.location().bucket, from);
        let mut call = Call::new(Method::PUT, to)
            .with("x-amz-copy-source", &source)?
            .with("x-amz-copy-source-if-match", etag)?;
        call.deadline = LONG;
        let answer = self.send(&call).await?;
        // A copy that fails late has a status of success.
        document(&answer, "CopyObjectResult").map(|_| ())
    }

    /// A page of a list.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn list(&self, wanted: &ListQuery<'_>) -> Result<Page, BucketError> {
        let mut call = Call::new(Method::GET, "")
            .asking("list-type", "2")
            .asking("encoding-type", "url")
            .asking("prefix", wanted.prefix)
            .asking("max-keys", wanted.most.to_string());
        if wanted.by_folder {
            call = call.asking("delimiter", "/");
        }
        if let Some(after) = wanted.after {
            call = call.asking("continuation-token", after);
        }
        let answer = self.send(&call).await?;
        let page = xml::parse(&answer.body).as_ref().and_then(Page::read);
        page.ok_or(BucketError::Malformed { what: "a list that is none" })
    }

    /// Begins an upload in parts. Answers its name.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn begin(&self, key: &str) -> Result<String, BucketError> {
        let answer = self.send(&Call::new(Method::POST, key).asking("uploads", "")).await?;
        let document = document(&answer, "InitiateMultipartUploadResult")?;
        let id = document.text_of("UploadId").filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or(BucketError::Malformed { what: "an upload without a name" })
    }

    /// Uploads a part; numbers begin with 1. Answers its tag.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn part(
        &self,
        key: &str,
        upload: &str,
        number: usize,
        body: Bytes,
    ) -> Result<String, BucketError> {
        let call = Call::new(Method::PUT, key)
            .asking("partNumber", number.to_string())
            .asking("uploadId", upload)
            .carrying(body, LONG);
        tag(&self.send(&call).await?.headers)
    }

    /// Makes an object of the parts with these tags, in this order. Answers its tag.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn complete(
        &self,
        key: &str,
        upload: &str,
        tags: &[String],
    ) -> Result<String, BucketError> {
        let parts: String = (1usize..)
            .zip(tags)
            .map(|(number, tag)| {
                let tag = xml::escaped(tag);
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let call =
            Call::new(Method::POST, key).asking("uploadId", upload).carrying(body.into(), LONG);
        let answer = self.send(&call).await?;
        // Completing may fail when a status of success is on its way already.
        let document = document(&answer, "CompleteMultipartUploadResult")?;
        let tag = document.text_of("ETag").filter(|tag| !tag.is_empty());
        tag.map(str::to_owned).ok_or(BucketError::Malformed { what: "an object without a tag" })
    }

    /// Gives an upload up.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        match self.send(&Call::new(Method::DELETE, key).asking("uploadId", upload)).await {
            Err(failure) if !failure.is_absence() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Uploads in parts that are not completed, at most a thousand: keys and names.
    ///
    /// # Errors
    ///
    /// [`BucketError`].
    pub async fn uploads(&self, prefix: &str) -> Result<Vec<(String, String)>, BucketError> {
        let call = Call::new(Method::GET, "").asking("uploads", "").asking("prefix", prefix);
        let answer = self.send(&call).await?;
        let document = document(&answer, "ListMultipartUploadsResult")?;
        let uploads = document.all("Upload").filter_map(|upload| {
            Some((upload.text_of("Key")?.to_owned(), upload.text_of("UploadId")?.to_owned()))
        });
        Ok(uploads.collect())
    }
}

fn document(answer: &Answer, name: &str) -> Result<Element, BucketError> {
    match xml::parse(&answer.body) {
        Some(document) if document.name == name => Ok(document),
        Some(document) if document.name == "Error" => Err(BucketError::Refused {
            status: 500,
            code: code(document.text_of("Code").unwrap_or_default()),
        }),
        _ => Err(BucketError::Malformed { what: "another answer than to what was asked" }),
    }
}

fn tag(headers: &HeaderMap) -> Result<String, BucketError> {
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    tag.map(str::to_owned).ok_or(BucketError::Malformed { what: "an object without a tag" })
}

fn object(headers: &HeaderMap) -> Result<Object, BucketError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let size = text(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let modified = text(header::LAST_MODIFIED)
        .and_then(|time| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(time).ok());
    match (size, modified) {
        (Some(size), Some(modified)) => Ok(Object { size, etag: tag(headers)?, modified }),
        _ => Err(BucketError::Malformed { what: "an object without a size or a time" }),
    }
}

/// A word of the storage's, for people: not everything that it could say.
fn code(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}
