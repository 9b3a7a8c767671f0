//! How a volume begins and ends in a bucket.

use bytes::Bytes;

use crate::bucket::{Bucket, BucketError};
use crate::key::KeyFolder;
use crate::listing::ListQuery;

/// Why a volume was not made or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// The storage did not do it.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The storage did not do it, and has perhaps kept what was begun: remove the volume.
    #[error(transparent)]
    Begun(BucketError),
    /// What was written was not there when it was looked for.
    #[error("object storage does not keep what it has acknowledged")]
    NotKept,
}

/// Makes a volume: an object that marks it, which shows as well that the bucket can be written to, read and listed.
/// Making one that is there succeeds.
///
/// # Errors
///
/// [`LifecycleError::Begun`]: a marker may be left. With the others, none is.
pub async fn create(bucket: &Bucket, volume: &KeyFolder) -> Result<(), LifecycleError> {
    let marker = volume.prefix();
    let put = bucket.put(marker, Bytes::new()).await;
    if let Err(refused @ BucketError::Refused { status: 400..500, .. }) = put {
        return Err(refused.into());
    }
    let made = match put {
        Ok(_tag) => check(bucket, marker).await,
        // It may have been written all the same.
        Err(failure) => Err(failure.into()),
    };
    if made.is_err() {
        bucket.delete(marker).await.map_err(LifecycleError::Begun)?;
    }
    made
}

async fn check(bucket: &Bucket, marker: &str) -> Result<(), LifecycleError> {
    if bucket.stat(marker).await?.is_none() {
        return Err(LifecycleError::NotKept);
    }
    let query = ListQuery { prefix: marker, by_folder: true, most: 1, after: None };
    bucket.list(&query).await?;
    Ok(())
}

/// Removes a volume with all that is in it. Removing one that is not there succeeds, and so does going on with a removal
/// that was cut off.
///
/// # Errors
///
/// [`LifecycleError`]: something may be left; call again.
pub async fn remove(bucket: &Bucket, volume: &KeyFolder) -> Result<(), LifecycleError> {
    abort_uploads(bucket, volume).await?;
    loop {
        // From the start each time: what was listed is gone.
        let query =
            ListQuery { prefix: volume.prefix(), by_folder: false, most: 1000, after: None };
        let page = bucket.list(&query).await?;
        if page.objects.is_empty() {
            // What is listed and cannot be named is there all the same.
            return if page.unreadable > 0 {
                Err(BucketError::Malformed { what: "objects without a key, a size or a time" }
                    .into())
            } else if page.next.is_some() {
                Err(LifecycleError::NotKept)
            } else {
                Ok(())
            };
        }
        let mut first = None;
        for object in &page.objects {
            // A storage that lists what is elsewhere is not believed.
            if !object.key.starts_with(volume.prefix()) {
                return Err(BucketError::Malformed { what: "keys of something else" }.into());
            }
            bucket.delete(&object.key).await?;
            pitlane_fault::point("objects.one-removed");
            first = first.or(Some(&object.key));
        }
        if let Some(first) = first
            && bucket.stat(first).await?.is_some()
        {
            // It would be listed for ever.
            return Err(LifecycleError::NotKept);
        }
    }
}

/// Gives up what was being uploaded in parts, which takes room and is in no list of objects.
async fn abort_uploads(bucket: &Bucket, volume: &KeyFolder) -> Result<(), BucketError> {
    let uploads = match bucket.uploads(volume.prefix()).await {
        // Not every storage tells.
        Err(BucketError::Refused { status: 400 | 403 | 405 | 501, .. }) => return Ok(()),
        uploads => uploads?,
    };
    for (key, upload) in uploads.iter().filter(|(key, _)| key.starts_with(volume.prefix())) {
        bucket.abort(key, upload).await?;
    }
    Ok(())
}
