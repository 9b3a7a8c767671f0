use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use pitlane_model::{
    Actor, ApiKey, Build, KeyHash, KeyId, Labels, Limits, MountPath, NetworkPolicy, Organization,
    Permission, SnapshotId, SnapshotState, StoryLine, Subpath, VolumeId, VolumeMount,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    Bounds, ListedSandbox, SandboxFilter, SandboxOrder, SnapshotFilter, SnapshotSort,
    SnapshotSortField, SortDirection, SortField,
};

struct Fixture {
    _folder: TempDir,
    store: Store,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("pitlane.db")).unwrap();
        for number in [1, 2] {
            let organization = Organization {
                id: organization(number),
                name: format!("organization {number}"),
                created_at: at(0),
            };
            let key = ApiKey {
                id: KeyId::from_random([number; 16]),
                organization: organization.id,
                name: "key".to_owned(),
                hash: KeyHash([number; 32]),
                hint: String::new(),
                permissions: vec![Permission::WriteSandboxes],
                created_at: at(0),
                expires_at: None,
                last_used_at: None,
            };
            store.insert_organization(organization, key).await.unwrap();
        }
        Self { _folder: folder, store }
    }

    async fn only_row(&self) -> StoredSandbox {
        let mut rows = self.store.all_sandboxes().await.unwrap();
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }
}

fn organization(number: u8) -> OrganizationId {
    OrganizationId::from_random([number; 16])
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn build() -> Build {
    Build {
        dockerfile: "FROM a\nRUN \"b\" \u{1f980}\n".to_owned(),
        contexts: vec!["0c".to_owned(), "1d".to_owned()],
        arguments: texts(&[("A", "1\n")]),
        target: Some("last".to_owned()),
        no_cache: true,
    }
}

fn row(number: u8) -> StoredSandbox {
    let spec = SandboxSpec {
        id: SandboxId::from_random([number; 16]),
        organization: organization(1),
        name: SandboxName::new(format!("ünusual \"name\" {number}")).unwrap(),
        snapshot: "default".to_owned(),
        build: Some(Arc::new(build())),
        user: "daytona".to_owned(),
        environment: Environment::new(texts(&[("A", "1\n"), ("_b", "\u{1f980} \"'")])).unwrap(),
        labels: texts(&[("", ""), ("a b", "{\"c\": [1]}")]),
        limits: Limits::new(2, 3, 4, 5).unwrap(),
        lifecycle: Lifecycle { auto_stop: 0, auto_archive: 1, auto_delete: Some(0), ttl: u32::MAX },
        network: NetworkPolicy::Blocked,
        is_public: true,
        volumes: vec![
            VolumeMount {
                volume: VolumeId::from_random([9; 16]),
                path: MountPath::new("/a \"b\"").unwrap(),
                subpath: Some(Subpath::new("c/d").unwrap()),
            },
            VolumeMount {
                volume: VolumeId::from_random([8; 16]),
                path: MountPath::new("/e").unwrap(),
                subpath: None,
            },
        ],
        target: "local".to_owned(),
    };
    let sandbox = Sandbox {
        spec,
        state: SandboxState::Creating,
        desired: DesiredState::Started,
        error_reason: None,
        daemon_version: None,
        created_at: at(i64::from(number)),
        updated_at: at(-1),
        last_activity_at: at(i64::from(number)),
    };
    StoredSandbox {
        sandbox,
        image: ImageName::new("image-1").ok(),
        entrypoint: vec!["serve".to_owned(), "a \"b\"".to_owned()],
        is_told: true,
        revision: 0,
    }
}

#[tokio::test]
async fn a_row_reads_back_whole() {
    let fixture = Fixture::new().await;
    let mut expected = StoredSandbox { image: None, entrypoint: Vec::new(), ..row(1) };
    expected.sandbox.spec.user = String::new();
    fixture.store.insert_sandbox(expected.clone()).await.unwrap();
    assert_eq!(fixture.only_row().await, expected);

    // Its image has come.
    let StoredSandbox { image, entrypoint, .. } = row(1);
    (expected.image, expected.entrypoint) = (image, entrypoint);
    expected.sandbox.spec.user = "somebody".to_owned();
    expected.sandbox.state = SandboxState::Error;
    expected.sandbox.desired = DesiredState::Stopped;
    expected.sandbox.error_reason = Some("its disk is gone".to_owned());
    expected.sandbox.daemon_version = Some("1.2.3".to_owned());
    expected.sandbox.spec.labels = Labels::new();
    expected.sandbox.spec.lifecycle.auto_delete = None;
    expected.sandbox.updated_at = at(7);
    expected.sandbox.last_activity_at = at(8);
    expected.revision = 1;
    fixture.store.update_sandbox(expected.clone()).await.unwrap();
    assert_eq!(fixture.only_row().await, expected);
}

#[tokio::test]
async fn every_state_reads_back() {
    let fixture = Fixture::new().await;
    let mut expected = row(1);
    fixture.store.insert_sandbox(expected.clone()).await.unwrap();
    for state in SandboxState::ALL {
        expected.sandbox.state = state;
        expected.revision += 1;
        fixture.store.update_sandbox(expected.clone()).await.unwrap();
        assert_eq!(fixture.only_row().await, expected);
    }
}

#[tokio::test]
async fn the_last_lines_of_a_sandboxs_story_are_kept_as_long_as_its_row() {
    let fixture = Fixture::new().await;
    fixture.store.insert_sandbox(row(1)).await.unwrap();
    let sandbox = row(1).sandbox.spec.id;
    let line = |sandbox, micros, reason: Option<&str>| StoryLine {
        sandbox,
        at: at(micros),
        state: SandboxState::Stopped,
        actor: Actor::Sandbox,
        reason: reason.map(str::to_owned),
    };
    // Somebody's who is not there.
    let nobodys = line(row(2).sandbox.spec.id, 0, None);
    let many = i64::from(Store::STORY_LINES) + 10;
    let lines = (0..many).map(|micros| line(sandbox, micros, Some("its end")));
    fixture.store.append_story(lines.chain([nobodys]).collect()).await.unwrap();
    let told = fixture.store.story(sandbox, 0).await.unwrap();
    let kept: Vec<_> = told.iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(
        kept,
        (10..many).map(|micros| line(sandbox, micros, Some("its end"))).collect::<Vec<_>>()
    );
    let (number, _) = told[told.len() - 3];
    assert_eq!(fixture.store.story(sandbox, number).await.unwrap(), told[told.len() - 2..]);
    assert_eq!(fixture.store.story(row(2).sandbox.spec.id, 0).await.unwrap(), []);

    fixture.store.delete_sandbox(sandbox).await.unwrap();
    assert_eq!(fixture.store.story(sandbox, 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_write_that_comes_too_late_changes_nothing() {
    let fixture = Fixture::new().await;
    let mut newer = row(1);
    fixture.store.insert_sandbox(row(1)).await.unwrap();
    newer.sandbox.state = SandboxState::Destroying;
    newer.revision = 2;
    fixture.store.update_sandbox(newer.clone()).await.unwrap();
    let mut late = row(1);
    late.sandbox.state = SandboxState::Started;
    late.revision = 1;
    fixture.store.update_sandbox(late.clone()).await.unwrap();
    assert_eq!(fixture.only_row().await, newer);

    fixture.store.delete_sandbox(newer.sandbox.spec.id).await.unwrap();
    late.revision = 9;
    fixture.store.update_sandbox(late).await.unwrap();
    assert_eq!(fixture.store.all_sandboxes().await.unwrap(), Vec::new());
}

#[tokio::test]
async fn a_name_is_taken_until_its_sandbox_is_on_its_way_out() {
    let fixture = Fixture::new().await;
    let mut first = row(1);
    let mut second = row(2);
    second.sandbox.spec.name = first.sandbox.spec.name.clone();
    fixture.store.insert_sandbox(first.clone()).await.unwrap();
    let refused = fixture.store.insert_sandbox(second.clone()).await;
    assert!(matches!(refused, Err(WriteError::Taken)), "{refused:?}");

    let mut elsewhere = second.clone();
    elsewhere.sandbox.spec.id = SandboxId::from_random([3; 16]);
    elsewhere.sandbox.spec.organization = organization(2);
    fixture.store.insert_sandbox(elsewhere).await.unwrap();

    first.sandbox.state = SandboxState::Destroying;
    first.revision = 1;
    fixture.store.update_sandbox(first).await.unwrap();
    fixture.store.insert_sandbox(second).await.unwrap();
}

#[tokio::test]
async fn activity_only_moves_forward() {
    let fixture = Fixture::new().await;
    let expected = row(5);
    let id = expected.sandbox.spec.id;
    fixture.store.insert_sandbox(expected).await.unwrap();
    for (noted, kept) in [(9, 9), (7, 9), (10, 10)] {
        fixture.store.save_activity(vec![(id, at(noted))]).await.unwrap();
        assert_eq!(fixture.only_row().await.sandbox.last_activity_at, at(kept));
    }
}

#[tokio::test]
async fn snapshots_are_listed_page_by_page_without_those_of_others() {
    let fixture = Fixture::new().await;
    let snapshot = |number: u8, owner: Option<u8>, name: &str| pitlane_model::Snapshot {
        id: SnapshotId::from_random([number; 16]),
        organization: owner.map(organization),
        name: name.to_owned(),
        reference: "registry.example/app:1".parse().unwrap(),
        build: owner.map(|_| Arc::new(build())),
        source_sandbox: owner.map(|number| SandboxId::from_random([number; 16])),
        image: owner.map(|_| ImageName::new("image").unwrap()),
        entrypoint: vec![name.to_owned(), "--now".to_owned()],
        user: owner.map(|number| number.to_string()),
        state: SnapshotState::Active,
        limits: Limits::DEFAULT,
        size_bytes: Some(u64::MAX / 2),
        error_reason: None,
        created_at: at(number.into()),
        updated_at: at(0),
        last_used_at: None,
    };
    let general = snapshot(1, None, "Default");
    let own = snapshot(2, Some(1), "mine_50%");
    let foreign = snapshot(3, Some(2), "theirs");
    for row in [&general, &own, &foreign] {
        fixture.store.save_snapshot(row.clone()).await.unwrap();
    }
    let again = snapshot(4, None, "Default");
    let refused = fixture.store.save_snapshot(again).await;
    assert!(matches!(refused, Err(WriteError::Taken)), "{refused:?}");
    fixture.store.save_snapshot_uses(vec![(general.id, at(5))]).await.unwrap();
    let general = pitlane_model::Snapshot { last_used_at: Some(at(5)), ..general };

    let by = |field, direction| SnapshotSort { field, direction };
    let list = async |part: Option<&str>, order, skip, limit| {
        let filter = SnapshotFilter { name_part: part.map(str::to_owned), source_sandbox: None };
        let slice = fixture.store.snapshots(organization(1), filter, order, skip, limit);
        let slice = slice.await.unwrap();
        (slice.items, slice.total)
    };
    let newest = by(SnapshotSortField::CreatedAt, SortDirection::Descending);
    assert_eq!(list(None, newest, 0, 9).await, (vec![own.clone(), general.clone()], 2));
    assert_eq!(list(None, newest, 1, 1).await, (vec![general.clone()], 2));
    assert_eq!(list(None, SnapshotSort::DEFAULT, 0, 1).await, (vec![general.clone()], 2));
    assert_eq!(list(Some("DEF"), newest, 0, 9).await, (vec![general], 1));
    assert_eq!(list(Some("50%"), newest, 0, 9).await, (vec![own], 1));
    assert_eq!(list(Some("%"), newest, 5, 9).await, (vec![], 1));
    assert_eq!(fixture.store.all_snapshots().await.unwrap().len(), 3);
}

// Lists, compared with the same filter and order written in Rust.

fn small_row() -> impl Strategy<Value = StoredSandbox> {
    let name = prop::sample::select(vec!["a", "A", "ab", "b_%", "é", "b"]);
    let labels = prop::collection::btree_map("[xy]", "[01]", 0..3);
    let state = prop::sample::select(SandboxState::ALL.to_vec());
    let snapshot = prop::sample::select(vec!["default", "large"]);
    (
        any::<[u8; 16]>(),
        1..3u8,
        name,
        labels,
        state,
        snapshot,
        (1..4u32, 1..4u32, 1..4u32),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        (0..4i64, 0..8u32),
        0..4i64,
    )
        .prop_map(
            |(id, owner, name, labels, state, snapshot, limits, flags, (created, ttl), used)| {
                let mut row = row(0);
                let spec = &mut row.sandbox.spec;
                spec.id = SandboxId::from_random(id);
                spec.organization = organization(owner);
                // Unique, as names are, and alike at the beginning.
                spec.name = SandboxName::new(format!("{name}-{}", spec.id)).unwrap();
                spec.labels = labels;
                spec.snapshot = snapshot.to_owned();
                spec.limits = Limits::new(limits.0, limits.1, limits.2, 9).unwrap();
                spec.is_public = flags.0;
                spec.lifecycle.ttl = ttl;
                if flags.1 {
                    row.sandbox.desired = DesiredState::Destroyed;
                }
                if flags.2 {
                    row.sandbox.error_reason = Some(Sandbox::DISK_IS_GONE.to_owned());
                }
                row.sandbox.state = state;
                row.sandbox.created_at = at(created);
                row.sandbox.last_activity_at = at(used);
                row
            },
        )
}

fn bounds<T: std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Bounds<T>> {
    (prop::option::weighted(0.2, value.clone()), prop::option::weighted(0.2, value))
        .prop_map(|(at_least, at_most)| Bounds { at_least, at_most })
}

fn filter() -> impl Strategy<Value = SandboxFilter> {
    let some = |text: &'static str| prop::option::weighted(0.3, text);
    let states = prop::collection::vec(prop::sample::select(SandboxState::ALL.to_vec()), 0..4);
    let snapshots = prop::collection::vec("default|large|none", 0..2);
    let labels = prop::collection::btree_map("[xy]", "[01]", 0..2);
    let time = || bounds((0..4i64).prop_map(at));
    (
        some("[0-9a-fA-F]{1,2}"),
        some("[aAbBé_%]{1,2}"),
        (labels, states, snapshots, any::<bool>()),
        (bounds(1..4u32), bounds(1..4u32), bounds(1..4u32)),
        (prop::option::weighted(0.3, any::<bool>()), prop::option::weighted(0.3, any::<bool>())),
        (time(), time(), bounds((0..9i64).prop_map(|minutes| at(minutes * 60_000_000)))),
    )
        .prop_map(
            |(id_prefix, name_prefix, lists, limits, (is_public, is_recoverable), times)| {
                let (labels, states, snapshots, shows_failed_deletions) = lists;
                let (created_at, last_activity_at, auto_destroy_at) = times;
                let (cpu_count, memory_gib, disk_gib) = limits;
                SandboxFilter {
                    id_prefix,
                    name_prefix,
                    labels,
                    states,
                    snapshots,
                    targets: Vec::new(),
                    cpu_count,
                    memory_gib,
                    disk_gib,
                    is_public,
                    created_at,
                    last_activity_at,
                    auto_destroy_at,
                    is_recoverable,
                    shows_failed_deletions,
                }
            },
        )
}

fn order() -> impl Strategy<Value = SandboxOrder> {
    let field = prop::sample::select(vec![
        SortField::Name,
        SortField::CpuCount,
        SortField::MemoryGib,
        SortField::DiskGib,
        SortField::LastActivityAt,
        SortField::CreatedAt,
    ]);
    let direction = prop::sample::select(vec![SortDirection::Ascending, SortDirection::Descending]);
    (field, direction).prop_map(|(field, direction)| SandboxOrder { field, direction })
}

fn within<T: PartialOrd + Copy>(bounds: &Bounds<T>, value: T) -> bool {
    bounds.at_least.as_ref().is_none_or(|least| value >= *least)
        && bounds.at_most.as_ref().is_none_or(|most| value <= *most)
}

fn passes(filter: &SandboxFilter, sandbox: &Sandbox) -> bool {
    let spec = &sandbox.spec;
    let id = spec.id.to_string();
    let starts = |prefix: &Option<String>, text: &str| {
        prefix.as_ref().is_none_or(|prefix| {
            text.to_ascii_lowercase().starts_with(&prefix.to_ascii_lowercase())
        })
    };
    starts(&filter.id_prefix, &id)
        && starts(&filter.name_prefix, spec.name.as_str())
        && filter.labels.iter().all(|(name, value)| spec.labels.get(name) == Some(value))
        && (filter.states.is_empty() || filter.states.contains(&sandbox.state))
        && (filter.snapshots.is_empty() || filter.snapshots.contains(&spec.snapshot))
        && within(&filter.cpu_count, spec.limits.cpu_count())
        && within(&filter.memory_gib, spec.limits.memory_gib())
        && within(&filter.disk_gib, spec.limits.disk_gib())
        && filter.is_public.is_none_or(|wanted| wanted == spec.is_public)
        && within(&filter.created_at, sandbox.created_at)
        && within(&filter.last_activity_at, sandbox.last_activity_at)
        && (filter.auto_destroy_at == Bounds::default()
            || spec.lifecycle.ttl > 0
                && within(&filter.auto_destroy_at, after(sandbox.created_at, spec.lifecycle.ttl)))
        && filter.is_recoverable.is_none_or(|wanted| wanted == sandbox.is_recoverable())
        && (filter.shows_failed_deletions
            || sandbox.state != SandboxState::Error
            || sandbox.desired != DesiredState::Destroyed)
}

fn after(begin: Timestamp, minutes: u32) -> Timestamp {
    begin.after(std::time::Duration::from_secs(u64::from(minutes) * 60))
}

fn compare(order: SandboxOrder, a: &Sandbox, b: &Sandbox) -> Ordering {
    let by_field = match order.field {
        SortField::Name => a.spec.name.cmp(&b.spec.name),
        SortField::CpuCount => a.spec.limits.cpu_count().cmp(&b.spec.limits.cpu_count()),
        SortField::MemoryGib => a.spec.limits.memory_gib().cmp(&b.spec.limits.memory_gib()),
        SortField::DiskGib => a.spec.limits.disk_gib().cmp(&b.spec.limits.disk_gib()),
        SortField::LastActivityAt => a.last_activity_at.cmp(&b.last_activity_at),
        SortField::CreatedAt => a.created_at.cmp(&b.created_at),
    };
    let ascending = by_field.then(a.spec.id.cmp(&b.spec.id));
    match order.direction {
        SortDirection::Ascending => ascending,
        SortDirection::Descending => ascending.reverse(),
    }
}

/// Sandboxes as a list has them.
fn listed<'a>(sandboxes: impl IntoIterator<Item = &'a Sandbox>) -> Vec<ListedSandbox> {
    let listed = |sandbox: &Sandbox| ListedSandbox {
        id: sandbox.spec.id,
        last_activity_at: sandbox.last_activity_at,
    };
    sandboxes.into_iter().map(listed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_list_read_through_cursors_shows_what_passes_in_order_once(
        rows in prop::collection::vec(small_row(), 0..20),
        filters in prop::collection::vec((filter(), order(), 1..4u32), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            for row in &rows {
                fixture.store.insert_sandbox(row.clone()).await.unwrap();
            }
            for (filter, order, limit) in filters {
                let mut expected: Vec<Sandbox> = rows
                    .iter()
                    .map(|row| row.sandbox.clone())
                    .filter(|sandbox| sandbox.spec.organization == organization(1))
                    .filter(|sandbox| passes(&filter, sandbox))
                    .collect();
                expected.sort_by(|a, b| compare(order, a, b));

                let mut found = Vec::new();
                let mut cursor = None;
                loop {
                    let page = fixture
                        .store
                        .sandboxes(organization(1), filter.clone(), order, cursor, limit)
                        .await
                        .unwrap();
                    found.extend(page.items);
                    // As it travels: through its text.
                    let Some(next) = page.next else { break };
                    cursor = Some(next.to_string().parse().unwrap());
                }
                prop_assert_eq!(&found, &listed(&expected), "{:?} {:?}", filter, order);

                let slice = fixture
                    .store
                    .sandbox_slice(organization(1), filter, order, 1, limit)
                    .await
                    .unwrap();
                prop_assert_eq!(slice.total, u64::try_from(expected.len()).unwrap());
                let limit = usize::try_from(limit).unwrap();
                prop_assert_eq!(slice.items, listed(expected.iter().skip(1).take(limit)));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_although_rows_come_and_go() {
    let fixture = Fixture::new().await;
    for number in [10, 20, 30, 40] {
        fixture.store.insert_sandbox(row(number)).await.unwrap();
    }
    let order = SandboxOrder { field: SortField::CreatedAt, direction: SortDirection::Ascending };
    let read = async |cursor| {
        let filter = SandboxFilter::default();
        fixture.store.sandboxes(organization(1), filter, order, cursor, 2).await.unwrap()
    };
    let page = read(None).await;
    assert_eq!(page.items, listed([&row(10).sandbox, &row(20).sandbox]));
    fixture.store.insert_sandbox(row(15)).await.unwrap();
    fixture.store.delete_sandbox(row(20).sandbox.spec.id).await.unwrap();
    fixture.store.insert_sandbox(row(25)).await.unwrap();
    let page = read(page.next).await;
    assert_eq!(page.items, listed([&row(25).sandbox, &row(30).sandbox]));
    let page = read(page.next).await;
    assert_eq!((page.items, page.next), (listed([&row(40).sandbox]), None));
}
