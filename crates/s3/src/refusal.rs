//! What went wrong, as S3 says it. The one place that gives codes and statuses.
//!
//! What does not get better by trying again has a status below 500: clients repeat everything else for minutes before they
//! tell anybody.

use http::StatusCode;
use pitlane_storage::{CompleteError, FinishError, ReceiveError, RemoveContextError, UploadError};
use s3s::{S3Error, S3ErrorCode};

use crate::patience::BodyError;
use crate::sums::SumError;

/// An S3 error with a sentence.
pub(crate) fn refusal(code: S3ErrorCode, message: impl Into<String>) -> S3Error {
    S3Error::with_message(code, message.into())
}

/// A code of our own.
fn own(code: &'static str, status: StatusCode, message: String) -> S3Error {
    let mut error = refusal(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// What is the server's fault is told to the operator.
fn internal(cause: &(dyn std::error::Error + 'static)) -> S3Error {
    let mut chain = Vec::new();
    let mut next = Some(cause);
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    tracing::error!(error = chain.join(": "), "object storage failed");
    refusal(S3ErrorCode::InternalError, "the server failed; its log says why")
}

pub(crate) fn of_receiving(error: &ReceiveError) -> S3Error {
    let message = error.to_string();
    match error {
        ReceiveError::TooLarge { .. } => refusal(S3ErrorCode::EntityTooLarge, message),
        ReceiveError::Length { .. } => refusal(S3ErrorCode::IncompleteBody, message),
        ReceiveError::NoRoom => own("QuotaExceeded", StatusCode::FORBIDDEN, message),
        ReceiveError::DiskFull => {
            tracing::error!("no room on the disk for build contexts");
            own("InsufficientStorage", StatusCode::BAD_REQUEST, message)
        }
        ReceiveError::Disk(_) => internal(error),
    }
}

pub(crate) fn of_finishing(error: &FinishError) -> S3Error {
    match error {
        FinishError::Receive(error) => of_receiving(error),
        FinishError::TooMany { .. } => {
            own("QuotaExceeded", StatusCode::FORBIDDEN, error.to_string())
        }
        FinishError::Taken => refusal(S3ErrorCode::PreconditionFailed, error.to_string()),
    }
}

pub(crate) fn of_upload(error: &UploadError) -> S3Error {
    let message = error.to_string();
    match error {
        UploadError::NotFound => refusal(S3ErrorCode::NoSuchUpload, message),
        UploadError::TooMany { .. } => own("QuotaExceeded", StatusCode::FORBIDDEN, message),
        UploadError::Number => refusal(S3ErrorCode::InvalidArgument, message),
        UploadError::Receive(error) => of_receiving(error),
    }
}

pub(crate) fn of_completing(error: &CompleteError) -> S3Error {
    let message = error.to_string();
    match error {
        CompleteError::NotFound => refusal(S3ErrorCode::NoSuchUpload, message),
        CompleteError::Part { .. } => refusal(S3ErrorCode::InvalidPart, message),
        CompleteError::Order => refusal(S3ErrorCode::InvalidPartOrder, message),
        CompleteError::TooSmall { .. } => refusal(S3ErrorCode::EntityTooSmall, message),
        CompleteError::Checksum => refusal(S3ErrorCode::BadDigest, message),
        CompleteError::Finish(error) => of_finishing(error),
    }
}

pub(crate) fn of_removing(error: &RemoveContextError) -> S3Error {
    internal(error)
}

pub(crate) fn of_reading(error: &std::io::Error) -> S3Error {
    internal(error)
}

pub(crate) fn of_sums(error: &SumError) -> S3Error {
    let message = error.to_string();
    match error {
        SumError::Differs { .. } => refusal(S3ErrorCode::BadDigest, message),
        SumError::Unreadable { .. } | SumError::Composite => {
            refusal(S3ErrorCode::InvalidRequest, message)
        }
        SumError::Missing { .. } => refusal(S3ErrorCode::IncompleteBody, message),
    }
}

/// Of a body that ended with an error: the client's own, or the library's about signatures.
pub(crate) fn of_body(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<BodyError>() {
            Some(BodyError::Silence) => {
                return refusal(S3ErrorCode::RequestTimeout, error.to_string());
            }
            Some(BodyError::Broken(_)) => {
                return refusal(S3ErrorCode::IncompleteBody, error.to_string());
            }
            Some(BodyError::Chunks(_)) => {
                return refusal(S3ErrorCode::InvalidRequest, error.to_string());
            }
            None => next = error.source(),
        }
    }
    // The library's own errors have no public type; their words are stable enough to tell the common ones apart.
    let words = error.to_string();
    if words.contains("SignatureMismatch") {
        refusal(S3ErrorCode::SignatureDoesNotMatch, "the signature of a chunk does not match")
    } else if words.contains("Sha256Mismatch") {
        let message = "the body is not what x-amz-content-sha256 says";
        own("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, message.to_owned())
    } else {
        refusal(S3ErrorCode::IncompleteBody, "the body is not as it was announced")
    }
}
