//! The client of a bucket, and volumes' beginning and end, against a server of another make.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod storage;

use bytes::Bytes;
use pitlane_objects::{Bucket, BucketError, KeyFolder, LifecycleError, ListQuery, create, remove};
use storage::{Mood, Storage};

const AWKWARD: &str = "all/one/a b+c&d=é~%2F?#/(x)*'!";

async fn bucket() -> (Storage, Bucket) {
    let storage = Storage::start().await;
    let bucket = Bucket::open(storage.access("all")).unwrap();
    (storage, bucket)
}

#[tokio::test]
async fn objects_are_written_looked_at_read_copied_and_removed() {
    let (storage, bucket) = bucket().await;
    assert_eq!(bucket.stat(AWKWARD).await, Ok(None));
    let tag = bucket.put(AWKWARD, Bytes::from_static(b"0123456789")).await.unwrap();
    let object = bucket.stat(AWKWARD).await.unwrap().unwrap();
    assert_eq!((object.size, &object.etag), (10, &tag));
    assert_eq!(bucket.read(AWKWARD, &tag, 2..5).await.unwrap(), "234");
    assert_eq!(bucket.read(AWKWARD, &tag, 0..10).await.unwrap(), "0123456789");
    assert_eq!(bucket.read(AWKWARD, &tag, 3..3).await.unwrap(), "");
    let copy = format!("{AWKWARD}2");
    bucket.copy(AWKWARD, &tag, &copy).await.unwrap();
    assert_eq!(storage.get(&copy).unwrap(), b"0123456789");
    storage.put(AWKWARD, b"another");
    assert_eq!(bucket.read(AWKWARD, &tag, 2..5).await, Err(BucketError::Changed));
    assert_eq!(bucket.copy(AWKWARD, &tag, &copy).await, Err(BucketError::Changed));
    bucket.delete(AWKWARD).await.unwrap();
    bucket.delete(AWKWARD).await.unwrap();
    assert_eq!(bucket.read(AWKWARD, &tag, 2..5).await, Err(BucketError::Changed));
    assert_eq!(storage.keys(), [copy]);
}

#[tokio::test]
async fn lists_have_pages_and_folders() {
    let (storage, bucket) = bucket().await;
    for number in 0..1005 {
        storage.put(&format!("f/{number:04}"), b"x");
    }
    storage.put("f/a b/c", b"x");
    storage.put("g/other", b"x");
    let (mut keys, mut folders, mut next) = (Vec::new(), Vec::new(), None);
    loop {
        let after = next.as_deref();
        let query = ListQuery { prefix: "f/", by_folder: true, most: 1000, after };
        let page = bucket.list(&query).await.unwrap();
        keys.extend(page.objects.into_iter().map(|object| object.key));
        folders.extend(page.folders);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((keys.len(), folders), (1005, vec!["f/a b/".to_owned()]));
    assert_eq!((keys[0].as_str(), keys[1004].as_str()), ("f/0000", "f/1004"));
}

#[tokio::test]
async fn parts_become_one_object_or_none() {
    let (storage, bucket) = bucket().await;
    let upload = bucket.begin("v/big").await.unwrap();
    let mut tags = Vec::new();
    for (number, part) in ["one", "two"].into_iter().enumerate() {
        let part = Bytes::from_static(part.as_bytes());
        tags.push(bucket.part("v/big", &upload, number + 1, part).await.unwrap());
    }
    assert_eq!(storage.get("v/big"), None);
    let tag = bucket.complete("v/big", &upload, &tags).await.unwrap();
    assert_eq!(bucket.read("v/big", &tag, 0..6).await.unwrap(), "onetwo");
    let upload = bucket.begin("v/other").await.unwrap();
    assert_eq!(bucket.uploads("v/").await.unwrap(), [("v/other".to_owned(), upload.clone())]);
    bucket.abort("v/other", &upload).await.unwrap();
    assert_eq!(storage.uploads(), 0);
}

#[tokio::test]
async fn a_storage_that_fails_refuses_or_lies_is_told_apart() {
    let (storage, bucket) = bucket().await;
    let tag = bucket.put("v/a", Bytes::from_static(b"abc")).await.unwrap();
    storage.be(Mood::Lying);
    assert!(matches!(
        bucket.read("v/a", &tag, 0..3).await,
        Err(BucketError::Malformed { .. } | BucketError::Unreachable { .. })
    ));
    storage.be(Mood::ReadOnly);
    let refused = bucket.put("v/a", Bytes::new()).await.unwrap_err();
    let denied = BucketError::Refused { status: 403, code: "AccessDenied".to_owned() };
    assert_eq!(refused, denied);
    storage.be(Mood::Failing);
    let before = storage.requests();
    assert!(matches!(bucket.stat("v/a").await, Err(BucketError::Refused { status: 500, .. })));
    assert_eq!(storage.requests() - before, 3, "it may have been a moment's failure");
    let stranger = Bucket::open(storage.access_with("all", "wrong")).unwrap();
    storage.be(Mood::Working);
    let refused = stranger.put("v/a", Bytes::new()).await.unwrap_err();
    assert_eq!(
        refused,
        BucketError::Refused { status: 403, code: "SignatureDoesNotMatch".to_owned() }
    );
    drop(storage);
    assert!(matches!(bucket.stat("v/a").await, Err(BucketError::Unreachable { .. })));
}

/// An answer without a body has no code.
fn denied_unsaid() -> BucketError {
    BucketError::Refused { status: 403, code: String::new() }
}

#[tokio::test]
async fn a_volume_is_made_where_it_can_be_written_and_removed_with_everything() {
    let (storage, bucket) = bucket().await;
    let volume = KeyFolder::new("all/", "one");
    storage.be(Mood::ReadOnly);
    let denied = BucketError::Refused { status: 403, code: "AccessDenied".to_owned() };
    assert_eq!(create(&bucket, &volume).await, Err(LifecycleError::Bucket(denied)));
    storage.be(Mood::WriteOnly);
    assert_eq!(create(&bucket, &volume).await, Err(LifecycleError::Bucket(denied_unsaid())));
    assert_eq!(storage.keys(), Vec::<String>::new(), "what was begun is undone");
    storage.be(Mood::Failing);
    assert!(matches!(create(&bucket, &volume).await, Err(LifecycleError::Begun(_))));
    storage.be(Mood::Working);
    create(&bucket, &volume).await.unwrap();
    create(&bucket, &volume).await.unwrap();
    assert_eq!(storage.keys(), ["all/one/"]);
    for number in 0..1001 {
        storage.put(&format!("all/one/folder/{number}"), b"x");
    }
    // What no path leads to goes as well.
    storage.put("all/one//../x", b"x");
    storage.put("all/one2/kept", b"x");
    bucket.begin("all/one/half").await.unwrap();
    remove(&bucket, &volume).await.unwrap();
    assert_eq!((storage.keys(), storage.uploads()), (vec!["all/one2/kept".to_owned()], 0));
    remove(&bucket, &volume).await.unwrap();
}

#[tokio::test]
async fn a_volume_is_not_removed_while_a_list_of_it_goes_on() {
    let (storage, bucket) = bucket().await;
    let volume = KeyFolder::new("all/", "one");
    create(&bucket, &volume).await.unwrap();
    storage.be(Mood::Endless);
    assert_eq!(remove(&bucket, &volume).await, Err(LifecycleError::NotKept));
    storage.be(Mood::Slow);
    remove(&bucket, &volume).await.unwrap();
    assert_eq!(storage.keys(), Vec::<String>::new());
}
