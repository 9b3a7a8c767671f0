use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pitlane_model::{ApiKey, KeyHash, KeyId, Organization, OrganizationId, Permission, Timestamp};
use tempfile::TempDir;

use super::*;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("pitlane.db")
    }

    fn open(&self) -> Result<Store, OpenError> {
        Store::open(&self.path())
    }
}

fn organization() -> Organization {
    Organization {
        id: OrganizationId::from_random([1; 16]),
        name: "default".to_owned(),
        created_at: Timestamp::from_micros(1),
    }
}

fn key(number: u8) -> ApiKey {
    ApiKey {
        id: KeyId::from_random([number; 16]),
        organization: organization().id,
        name: format!("key {number}"),
        hash: KeyHash([number; 32]),
        hint: "dtn_ab…yz".to_owned(),
        permissions: vec![Permission::WriteSandboxes, Permission::ManageKeys],
        created_at: Timestamp::from_micros(number.into()),
        expires_at: (number > 1).then(|| Timestamp::from_micros(i64::MAX)),
        last_used_at: None,
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    store.insert_key(key(2)).await.unwrap();
    store.insert_key(key(3)).await.unwrap();
    store.delete_key(key(2).id).await.unwrap();
    store.delete_key(key(2).id).await.unwrap();
    store.close().await;

    let store = folder.open().unwrap();
    assert_eq!(store.organizations().await.unwrap(), vec![organization()]);
    assert_eq!(store.keys().await.unwrap(), vec![key(1), key(3)]);
}

#[tokio::test]
async fn a_second_key_of_one_name_is_refused() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    let other = ApiKey { name: key(1).name, ..key(2) };
    assert!(matches!(store.insert_key(other).await, Err(WriteError::Taken)));
    let other = ApiKey { hash: key(1).hash, ..key(2) };
    assert!(matches!(store.insert_key(other).await, Err(WriteError::Taken)));
    assert_eq!(store.keys().await.unwrap(), vec![key(1)]);
}

#[tokio::test]
async fn an_organization_without_its_first_key_is_not_kept() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    let second = Organization {
        id: OrganizationId::from_random([2; 16]),
        name: "second".to_owned(),
        ..organization()
    };
    assert!(matches!(store.insert_organization(second, key(1)).await, Err(WriteError::Taken)));
    assert_eq!(store.organizations().await.unwrap(), vec![organization()]);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_still_reads() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    store.fill_disk().await;
    let mut kept = vec![key(1)];
    let refused = loop {
        let next = key(u8::try_from(kept.len() + 1).unwrap());
        let large = ApiKey { name: "x".repeat(2000) + &next.name, ..next };
        match store.insert_key(large.clone()).await {
            Ok(()) => kept.push(large),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, WriteError::Full), "{refused:?}");
    assert_eq!(store.keys().await.unwrap(), kept);
}

#[tokio::test]
async fn a_damaged_file_is_named_so() {
    let folder = Folder::new();
    fs::write(folder.path(), "this is no database, whatever its name says. ".repeat(200)).unwrap();
    assert!(matches!(folder.open(), Err(OpenError::Corrupt { path, .. }) if path == folder.path()));
}

#[tokio::test]
async fn a_file_damaged_in_the_middle_is_named_so() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    store.close().await;
    let page = {
        let connection = Connection::open(folder.path()).unwrap();
        let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'api_keys'";
        let page: u32 = connection.query_row(select, [], |row| row.get(0)).unwrap();
        usize::try_from(page).unwrap()
    };
    let mut bytes = fs::read(folder.path()).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    fs::write(folder.path(), bytes).unwrap();

    let store = folder.open().unwrap();
    let read = store.keys().await;
    assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
    let written = store.insert_key(key(2)).await;
    assert!(matches!(written, Err(WriteError::Corrupt { .. })), "{written:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let folder = Folder::new();
    folder.open().unwrap().close().await;
    Connection::open(folder.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(folder.open(), Err(OpenError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_named_so() {
    let path = Folder::new().path();
    assert!(matches!(Store::open(&path), Err(OpenError::File { .. })));
}

#[tokio::test]
async fn only_its_owner_reads_the_database() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.clone().close().await;
    assert!(matches!(store.keys().await, Err(ReadError::Closed)));
    assert!(matches!(store.insert_key(key(1)).await, Err(WriteError::Closed)));
    store.close().await;
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_written() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    {
        let mut write = std::pin::pin!(store.insert_key(key(2)));
        // One look hands the write over; nobody waits for the answer.
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(write.as_mut().poll(context).is_pending())
        });
        assert!(once.await);
    }
    store.close().await;
    assert_eq!(folder.open().unwrap().keys().await.unwrap(), vec![key(1), key(2)]);
}

#[tokio::test]
async fn unceasing_writes_do_not_fill_the_disk_with_their_log() {
    const BYTES_PER_WRITE: u64 = 2 * 4096;
    let folder = Folder::new();
    let store = folder.open().unwrap();
    store.insert_organization(organization(), key(1)).await.unwrap();
    let log = folder.0.path().join("pitlane.db-wal");
    // A log that is written again from its beginning is shorter than all that was written to it.
    for round in 1..100_000 {
        let change = move |transaction: &Transaction<'_>| {
            transaction.execute("UPDATE organizations SET created_at = ?", [round])?;
            transaction.execute("UPDATE api_keys SET created_at = ?", [round])?;
            Ok(())
        };
        store.write(Survives::ProcessEnd, change).await.unwrap();
        let written = u64::try_from(round).unwrap() * BYTES_PER_WRITE;
        if round % 500 == 0 && fs::metadata(&log).unwrap().len() * 3 < written {
            return;
        }
    }
    panic!("the log has {} bytes", fs::metadata(&log).unwrap().len());
}

#[tokio::test]
async fn a_key_that_could_do_everything_still_can_after_an_upgrade() {
    let folder = Folder::new();
    let old = Connection::open(folder.path()).unwrap();
    old.execute_batch(include_str!("../migrations/0001.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute(
        "INSERT INTO organizations VALUES (?, 'default', 1)",
        [organization().id.to_bytes()],
    )
    .unwrap();
    let everything = "write:sandboxes delete:sandboxes write:snapshots delete:snapshots \
                      read:volumes write:volumes delete:volumes manage:keys";
    for (number, permissions) in [(1u8, everything), (2, "write:sandboxes manage:keys"), (3, "")] {
        let key = key(number);
        old.execute(
            "INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            rusqlite::params![
                key.id.to_bytes(),
                key.organization.to_bytes(),
                key.name,
                key.hash.0,
                key.hint,
                permissions,
                key.created_at.as_micros(),
            ],
        )
        .unwrap();
    }
    drop(old);

    let keys = folder.open().unwrap().keys().await.unwrap();
    let place = |one: &Permission| Permission::ALL.iter().position(|other| other == one);
    let in_order = |mut permissions: Vec<Permission>| {
        permissions.sort_by_key(place);
        permissions
    };
    let permissions: Vec<_> = keys.into_iter().map(|key| in_order(key.permissions)).collect();
    let some = vec![Permission::WriteSandboxes, Permission::ManageKeys];
    assert_eq!(permissions, [Permission::ALL.to_vec(), some, Vec::new()]);
}
