//! Contexts, from outside: what comes in, what stays, what goes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pitlane_model::{OrganizationId, Timestamp};
use pitlane_storage::{
    CompleteError, Context, ContextKey, ContextLimits, Contexts, FinishError, NamedPart,
    ReceiveError, Tidied, UploadError, Verification,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const HOUR: Duration = Duration::from_secs(3600);

/// A store whose time the test sets.
struct Place {
    folder: TempDir,
    limits: ContextLimits,
    now: Arc<AtomicI64>,
}

impl Place {
    fn new(limits: ContextLimits) -> Self {
        let folder = TempDir::new().unwrap();
        // Files have the machine's time, so the test's begins there.
        let made = folder.path().metadata().unwrap().modified().unwrap();
        let now = made.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_micros();
        Self { folder, limits, now: Arc::new(AtomicI64::new(i64::try_from(now).unwrap())) }
    }

    fn standard() -> Self {
        Self::new(ContextLimits::STANDARD)
    }

    fn open(&self) -> Contexts {
        let now = Arc::clone(&self.now);
        let now = move || Timestamp::from_micros(now.load(Ordering::Relaxed));
        Contexts::open(self.folder.path().join("contexts"), self.limits.clone(), now).unwrap()
    }

    fn wait(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    /// Every file there is.
    fn files(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { below(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        below(self.folder.path(), &mut found);
        found
    }
}

fn key(organization: u8, hash: &str) -> ContextKey {
    let organization = OrganizationId::from_random([organization; 16]);
    ContextKey { organization, hash: hash.parse().unwrap() }
}

async fn put(contexts: &Contexts, key: &ContextKey, bytes: &[u8]) -> Result<Context, FinishError> {
    let expected = u64::try_from(bytes.len()).unwrap();
    let mut draft = contexts.receive(key.clone(), Some(expected)).await?;
    draft.write(Bytes::copy_from_slice(bytes)).await?;
    draft.finish(false).await
}

async fn part(
    contexts: &Contexts,
    upload: (&ContextKey, &str),
    number: u32,
    bytes: &[u8],
) -> NamedPart {
    let mut draft = contexts.receive_part(upload, number, None).await.unwrap();
    draft.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    let part = draft.finish(BTreeMap::new()).await.unwrap();
    NamedPart { number, etag: part.etag() }
}

fn contents(context: &Context) -> Vec<u8> {
    std::fs::read(context.path()).unwrap()
}

/// Waits until files that nobody has any more are removed, which threads do that may wait.
async fn settles(place: &Place, wanted: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while place.files().len() != wanted {
        assert!(tokio::time::Instant::now() < deadline, "{:?} are not {wanted}", place.files());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_nothing_else() {
    let place = Place::standard();
    let contexts = place.open();
    put(&contexts, &key(1, "a"), b"first").await.unwrap();
    place.wait(HOUR);
    let second = put(&contexts, &key(1, "a"), b"second").await.unwrap();
    put(&contexts, &key(2, "a"), b"another's").await.unwrap();
    let mut draft = contexts.receive(key(1, "draft"), Some(9)).await.unwrap();
    draft.write(Bytes::from_static(b"half")).await.unwrap();
    let upload = contexts.begin_upload(key(1, "parts")).unwrap();
    part(&contexts, (&key(1, "parts"), &upload), 1, b"part").await;
    // A process that is killed drops nothing.
    std::mem::forget((draft, contexts));

    let contexts = place.open();
    let found = contexts.context(key(1, "a").organization, "a").unwrap();
    assert_eq!(
        (contents(&found), found.etag(), found.bytes()),
        (b"second".to_vec(), second.etag(), 6)
    );
    assert_eq!(contents(&contexts.find(&key(2, "a")).unwrap()), b"another's");
    assert!(contexts.find(&key(1, "draft")).is_none());
    let gone = contexts.parts(&key(1, "parts"), &upload).map(drop);
    assert!(matches!(gone, Err(UploadError::NotFound)), "{gone:?}");
    assert_eq!(place.files().len(), 2);
}

#[tokio::test]
async fn a_text_that_is_no_hash_finds_nothing() {
    let place = Place::standard();
    let contexts = place.open();
    put(&contexts, &key(1, "a"), b"x").await.unwrap();
    for hash in ["", "..", "a/../a", "a.tar", "a\0", "A", "*"] {
        assert!(contexts.context(key(1, "a").organization, hash).is_none(), "{hash:?}");
    }
}

#[tokio::test]
async fn what_is_shorter_or_longer_than_announced_becomes_nothing() {
    let place = Place::standard();
    let contexts = place.open();
    let mut short = contexts.receive(key(1, "a"), Some(5)).await.unwrap();
    short.write(Bytes::from_static(b"four")).await.unwrap();
    let refused = short.finish(false).await.map(drop);
    assert!(
        matches!(
            refused,
            Err(FinishError::Receive(ReceiveError::Length { expected: 5, received: 4 }))
        ),
        "{refused:?}"
    );
    let mut long = contexts.receive(key(1, "a"), Some(5)).await.unwrap();
    let refused = long.write(Bytes::from_static(b"longer")).await;
    assert!(matches!(refused, Err(ReceiveError::Length { .. })), "{refused:?}");
    drop(long);
    assert!(contexts.find(&key(1, "a")).is_none());
    settles(&place, 0).await;
}

#[tokio::test]
async fn a_context_that_is_read_stays_whatever_becomes_of_its_key() {
    let place = Place::standard();
    let contexts = place.open();
    let replaced = put(&contexts, &key(1, "a"), b"replaced").await.unwrap();
    let removed = put(&contexts, &key(1, "a"), b"removed").await.unwrap();
    contexts.remove(&key(1, "a")).await.unwrap();
    contexts.remove(&key(1, "a")).await.unwrap();
    assert!(contexts.find(&key(1, "a")).is_none());
    place.wait(30 * 24 * HOUR);
    assert_eq!(contexts.tidy(|_| false), Tidied::default());
    assert_eq!(
        (contents(&replaced), contents(&removed)),
        (b"replaced".to_vec(), b"removed".to_vec())
    );
    drop((replaced, removed));
    assert_eq!(contexts.tidy(|_| true), Tidied::default());
    assert_eq!(place.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn the_same_bytes_twice_are_one_context_that_stays() {
    let place = Place::standard();
    let contexts = place.open();
    let first = put(&contexts, &key(1, "a"), b"same").await.unwrap();
    let second = put(&contexts, &key(1, "a"), b"same").await.unwrap();
    drop(first);
    assert_eq!(contexts.tidy(|_| true), Tidied::default());
    assert_eq!((contents(&second), place.files().len()), (b"same".to_vec(), 1));
    let mut draft = contexts.receive(key(1, "a"), Some(1)).await.unwrap();
    draft.write(Bytes::from_static(b"x")).await.unwrap();
    let refused = draft.finish(true).await.map(drop);
    assert!(matches!(refused, Err(FinishError::Taken)), "{refused:?}");
    assert_eq!(contents(&contexts.find(&key(1, "a")).unwrap()), b"same");
}

#[tokio::test]
async fn parts_come_in_any_order_and_make_one_archive() {
    let place = Place::standard();
    let contexts = place.open();
    let key = key(1, "a");
    let id = contexts.begin_upload(key.clone()).unwrap();
    let upload = (&key, id.as_str());
    let (first, second) = (vec![1; 5 << 20], vec![2; 6 << 20]);
    let last = part(&contexts, upload, 9, b"end").await;
    let two = part(&contexts, upload, 2, &second).await;
    part(&contexts, upload, 1, b"replaced").await;
    let one = part(&contexts, upload, 1, &first).await;
    part(&contexts, upload, 5, b"left out").await;
    let complete =
        async |list: &[NamedPart]| contexts.complete_upload(upload, list, None, false).await;
    let [one, two, last] = [&one, &two, &last].map(Clone::clone);
    assert!(matches!(complete(&[]).await, Err(CompleteError::Part { number: 1 })));
    let list = [two.clone(), one.clone()];
    assert!(matches!(complete(&list).await, Err(CompleteError::Order)));
    let list = [last.clone(), last.clone()];
    assert!(matches!(complete(&list).await, Err(CompleteError::Order)));
    let list = [NamedPart { number: 1, etag: two.etag }];
    assert!(matches!(complete(&list).await, Err(CompleteError::Part { number: 1 })));
    let list = [NamedPart { number: 3, etag: two.etag }];
    assert!(matches!(complete(&list).await, Err(CompleteError::Part { number: 3 })));
    let list = [one, two, last];
    let whole = complete(&list).await.unwrap();
    assert_eq!(contents(&whole), [&first[..], &second, b"end"].concat());
    assert_eq!(whole.bytes(), 11 * MIB + 3);
    // A client that did not hear of it asks again.
    assert_eq!(complete(&list).await.unwrap().etag(), whole.etag());
    assert!(matches!(complete(&list[..1]).await, Err(CompleteError::NotFound)));
    settles(&place, 1).await;
}

#[tokio::test]
async fn a_small_part_in_the_middle_leaves_the_upload_as_it_was() {
    let place = Place::standard();
    let contexts = place.open();
    let key = key(1, "a");
    let id = contexts.begin_upload(key.clone()).unwrap();
    let upload = (&key, id.as_str());
    let list = [part(&contexts, upload, 1, b"small").await, part(&contexts, upload, 2, b"x").await];
    let refused = contexts.complete_upload(upload, &list, None, false).await.map(drop);
    assert!(matches!(refused, Err(CompleteError::TooSmall { number: 1, .. })), "{refused:?}");
    assert_eq!(contexts.parts(&key, &id).unwrap().len(), 2);
    contexts.complete_upload(upload, &list[1..], None, false).await.unwrap();
}

#[tokio::test]
async fn an_upload_is_its_keys_alone_and_over_when_it_is_aborted() {
    let place = Place::standard();
    let contexts = place.open();
    let (own, other) = (key(1, "a"), key(2, "a"));
    let id = contexts.begin_upload(own.clone()).unwrap();
    assert!(contexts.receive_part((&other, &id), 1, None).await.is_err());
    assert!(contexts.abort_upload(&other, &id).is_err());
    for number in [0, 10_001, u32::MAX] {
        let refused = contexts.receive_part((&own, &id), number, None).await.map(drop);
        assert!(matches!(refused, Err(UploadError::Number)), "{refused:?}");
    }
    let named = part(&contexts, (&own, &id), 1, b"x").await;
    let coming = contexts.receive_part((&own, &id), 2, None).await.unwrap();
    contexts.abort_upload(&own, &id).unwrap();
    let refused = coming.finish(BTreeMap::new()).await.map(drop);
    assert!(matches!(refused, Err(UploadError::NotFound)), "{refused:?}");
    let refused = contexts.complete_upload((&own, &id), &[named], None, false).await.map(drop);
    assert!(matches!(refused, Err(CompleteError::NotFound)), "{refused:?}");
    settles(&place, 0).await;
}

/// Says no to everything.
struct No;

impl Verification for No {
    fn update(&mut self, _bytes: &[u8]) {}
    fn is_right(self: Box<Self>) -> bool {
        false
    }
}

#[tokio::test]
async fn an_archive_that_is_not_what_its_checksum_says_becomes_nothing() {
    let place = Place::standard();
    let contexts = place.open();
    let key = key(1, "a");
    let id = contexts.begin_upload(key.clone()).unwrap();
    let list = [part(&contexts, (&key, &id), 1, b"x").await];
    let refused =
        contexts.complete_upload((&key, &id), &list, Some(Box::new(No)), false).await.map(drop);
    assert!(matches!(refused, Err(CompleteError::Checksum)), "{refused:?}");
    assert!(contexts.find(&key).is_none());
    settles(&place, 0).await;
}

#[tokio::test]
async fn room_is_counted_before_it_is_used_and_given_back() {
    let limits = ContextLimits {
        context_bytes: 4 * MIB,
        organization_bytes: 6 * MIB,
        total_bytes: 10 * MIB,
        ..ContextLimits::STANDARD
    };
    let place = Place::new(limits);
    let contexts = place.open();
    let refused = contexts.receive(key(1, "a"), Some(4 * MIB + 1)).await.map(drop);
    assert!(matches!(refused, Err(ReceiveError::TooLarge { .. })), "{refused:?}");
    let first = contexts.receive(key(1, "a"), Some(4 * MIB)).await.unwrap();
    let refused = contexts.receive(key(1, "b"), Some(3 * MIB)).await.map(drop);
    assert!(matches!(refused, Err(ReceiveError::NoRoom)), "{refused:?}");
    let second = contexts.receive(key(2, "a"), Some(4 * MIB)).await.unwrap();
    let refused = contexts.receive(key(3, "a"), Some(3 * MIB)).await.map(drop);
    assert!(matches!(refused, Err(ReceiveError::NoRoom)), "{refused:?}");
    drop((first, second));
    put(&contexts, &key(3, "a"), &vec![0; 3 << 20]).await.unwrap();
    drop(contexts);
    // What is there counts for the next server as well.
    let contexts = place.open();
    let refused = contexts.receive(key(3, "b"), Some(4 * MIB)).await.map(drop);
    assert!(matches!(refused, Err(ReceiveError::NoRoom)), "{refused:?}");
    let mut parts = contexts.receive_part((&key(3, "c"), ""), 1, None).await.map(drop);
    assert!(matches!(parts, Err(UploadError::NotFound)));
    let id = contexts.begin_upload(key(3, "c")).unwrap();
    let mut draft = contexts.receive_part((&key(3, "c"), &id), 1, None).await.unwrap();
    let piece = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..3 {
        draft.write(piece.clone()).await.unwrap();
    }
    parts = draft.write(piece).await.map_err(UploadError::from);
    assert!(matches!(parts, Err(UploadError::Receive(ReceiveError::NoRoom))), "{parts:?}");
}

#[tokio::test]
async fn an_organization_makes_room_from_what_it_has_not_used_for_an_hour() {
    let limits = ContextLimits {
        organization_bytes: 30,
        organization_contexts: 3,
        ..ContextLimits::STANDARD
    };
    let place = Place::new(limits);
    let contexts = place.open();
    put(&contexts, &key(2, "a"), &[0; 10]).await.unwrap();
    for hash in ["a", "b", "c"] {
        put(&contexts, &key(1, hash), &[0; 10]).await.unwrap();
    }
    let refused = put(&contexts, &key(1, "d"), &[0; 10]).await.map(drop);
    assert!(matches!(refused, Err(FinishError::Receive(ReceiveError::NoRoom))), "{refused:?}");
    let refused = put(&contexts, &key(1, "d"), b"").await.map(drop);
    assert!(matches!(refused, Err(FinishError::TooMany { maximum: 3 })), "{refused:?}");
    place.wait(HOUR);
    let held = contexts.find(&key(1, "a")).unwrap();
    place.wait(HOUR);
    contexts.find(&key(1, "b")).unwrap();
    put(&contexts, &key(1, "d"), &[0; 10]).await.unwrap();
    let left: Vec<String> = contexts
        .list(key(1, "a").organization, None, 10)
        .iter()
        .map(|it| it.key().hash.to_string())
        .collect();
    // The oldest was being read, the next had just been used.
    assert_eq!(left, ["a", "b", "d"]);
    assert_eq!(contents(&held).len(), 10);
    assert!(contexts.find(&key(2, "a")).is_some());
}

#[tokio::test]
async fn what_nobody_uses_goes_after_a_while_which_a_restart_does_not_lengthen() {
    let place = Place::standard();
    let contexts = place.open();
    put(&contexts, &key(1, "used"), b"x").await.unwrap();
    put(&contexts, &key(1, "unused"), b"x").await.unwrap();
    let id = contexts.begin_upload(key(1, "parts")).unwrap();
    part(&contexts, (&key(1, "parts"), &id), 1, b"x").await;
    place.wait(2 * HOUR);
    assert_eq!(contexts.tidy(|_| true), Tidied { contexts: 0, uploads: 1 });
    place.wait(4 * 24 * HOUR);
    drop(contexts.find(&key(1, "used")));
    assert_eq!(contexts.tidy(|_| true), Tidied::default());
    drop(contexts);
    place.wait(4 * 24 * HOUR);
    let contexts = place.open();
    assert_eq!(contexts.tidy(|_| true), Tidied { contexts: 1, uploads: 0 });
    assert!(contexts.find(&key(1, "used")).is_some());
    assert_eq!(contexts.tidy(|_| false), Tidied { contexts: 1, uploads: 0 });
    settles(&place, 0).await;
}

#[tokio::test]
async fn what_does_not_belong_there_is_left_alone() {
    let place = Place::standard();
    let folder = place.folder.path().join("contexts");
    let own = folder.join(key(1, "a").organization.to_string());
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(folder.join("notes"), "x").unwrap();
    std::fs::write(own.join("a.tar"), "x").unwrap();
    std::fs::write(own.join("a.b.c.tar"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", own.join(format!("b.{}.1.tar", "0".repeat(32))))
        .unwrap();
    let contexts = place.open();
    assert_eq!(contexts.list(key(1, "a").organization, None, 10).len(), 0);
    assert_eq!(place.files().len(), 4);
}
