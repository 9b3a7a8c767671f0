use std::collections::BTreeMap;

use pitlane_model::{
    Environment, ImageName, Lifecycle, Limits, NetworkPolicy, Organization, SandboxName,
    SandboxSpec,
};
use tempfile::TempDir;

use super::*;
use crate::StoredSandbox;

const OWNER: OrganizationId = OrganizationId::from_random([1; 16]);

async fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("pitlane.db")).unwrap();
    let created_at = Timestamp::from_micros(0);
    let organization = Organization { id: OWNER, name: "default".to_owned(), created_at };
    store.insert_organization(organization, None).await.unwrap();
    (folder, store)
}

fn row(number: u16) -> StoredSandbox {
    let mut id = [0; 16];
    // Neither in the order of creation nor in that of names.
    id[..2].copy_from_slice(&number.wrapping_mul(40_503).to_be_bytes());
    let time = Timestamp::from_micros(i64::from(number));
    let spec = SandboxSpec {
        id: SandboxId::from_random(id),
        organization: OWNER,
        name: SandboxName::new(format!("sandbox {number:05}")).unwrap(),
        snapshot: "default".to_owned(),
        build: None,
        user: "daytona".to_owned(),
        environment: Environment::default(),
        labels: BTreeMap::from([("code-toolbox-language".to_owned(), "python".to_owned())]),
        limits: Limits::DEFAULT,
        lifecycle: Lifecycle::DEFAULT,
        network: NetworkPolicy::Open,
        is_public: false,
        volumes: Vec::new(),
        target: "local".to_owned(),
    };
    let sandbox = Sandbox {
        spec,
        state: SandboxState::Started,
        desired: DesiredState::Started,
        error_reason: None,
        daemon_version: None,
        created_at: time,
        updated_at: time,
        last_activity_at: time,
    };
    StoredSandbox {
        sandbox,
        image: ImageName::new("image").ok(),
        entrypoint: Vec::new(),
        is_told: false,
        revision: 0,
    }
}

fn orders() -> impl Iterator<Item = SandboxOrder> {
    let fields = [
        SortField::Name,
        SortField::CpuCount,
        SortField::MemoryGib,
        SortField::DiskGib,
        SortField::LastActivityAt,
        SortField::CreatedAt,
    ];
    fields.into_iter().flat_map(|field| {
        [SortDirection::Ascending, SortDirection::Descending]
            .map(|direction| SandboxOrder { field, direction })
    })
}

/// How SQLite goes about a page of a list.
async fn plan(store: &Store, filter: SandboxFilter, order: SandboxOrder, goes_on: bool) -> String {
    let plan = store.read(move |transaction| {
        let mut query = Query::of(OWNER, &filter);
        if goes_on {
            let value = match order.field {
                SortField::Name => CursorValue::Text(String::from("a")),
                _ => CursorValue::Number(1),
            };
            query.go_on(order, Cursor { order, value, id: row(1).sandbox.spec.id });
        }
        let mut explain =
            transaction.prepare(&format!("EXPLAIN QUERY PLAN {}", query.text(order)))?;
        let values = query.values.into_iter().chain([Value::Integer(9), Value::Integer(0)]);
        let steps = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3))?;
        Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
    });
    plan.await.unwrap()
}

#[tokio::test]
async fn every_order_is_read_from_its_index_from_the_place_of_its_cursor_on() {
    let (_folder, store) = store().await;
    for order in orders() {
        for goes_on in [false, true] {
            let plan = plan(&store, SandboxFilter::default(), order, goes_on).await;
            assert!(plan.starts_with("SEARCH sandboxes USING INDEX sandboxes_by_"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{order:?}: {plan}");
            assert_eq!(plan.contains(",id)"), goes_on, "{order:?}: {plan}");
        }
    }
}

#[tokio::test]
async fn no_filter_makes_a_list_read_other_organizations_rows() {
    let (_folder, store) = store().await;
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let filters = [
        SandboxFilter { labels, ..SandboxFilter::default() },
        SandboxFilter { states: SandboxState::ALL.to_vec(), ..SandboxFilter::default() },
        SandboxFilter { name_prefix: Some("a".to_owned()), ..SandboxFilter::default() },
        SandboxFilter { id_prefix: Some("a".to_owned()), ..SandboxFilter::default() },
    ];
    for filter in filters {
        for order in orders() {
            let plan = plan(&store, filter.clone(), order, false).await;
            assert!(!plan.contains("SCAN sandboxes"), "{filter:?} {order:?}: {plan}");
        }
    }
}

#[test]
fn ids_are_found_by_the_beginning_of_their_text() {
    let all = |byte: u8| [byte; 16];
    let padded = |first: [u8; 2], rest: u8| {
        let mut id = all(rest);
        id[..2].copy_from_slice(&first);
        id
    };
    assert_eq!(ids_from(""), Some((all(0), all(0xff))));
    assert_eq!(ids_from("aBc"), Some((padded([0xab, 0xc0], 0), padded([0xab, 0xcf], 0xff))));
    let id = SandboxId::from_random([0xab; 16]);
    for length in 0..=36 {
        let text = id.to_string();
        let (first, last) = ids_from(&text[..length]).unwrap();
        assert!(first <= id.to_bytes() && id.to_bytes() <= last, "{length}");
        assert_eq!(first == last, length == 36, "{length}");
    }
    for none in
        ["g", "-", "abababa-", "ababababa", "abababab-abab-4bab-abab-ababababababa", "é", "%"]
    {
        assert_eq!(ids_from(none), None, "{none}");
    }
}

/// Rows come and go between pages: those that stay are shown once, in order, whatever the order is.
#[tokio::test]
async fn who_stays_is_shown_once_while_others_come_and_go() {
    for order in orders() {
        let (_folder, store) = store().await;
        let stays = |number: u16| number.is_multiple_of(3);
        for number in (0..90).filter(|number| number % 3 != 1) {
            store.insert_sandbox(row(number)).await.unwrap();
        }
        let (mut shown, mut cursor, mut round) = (Vec::new(), None, 0);
        loop {
            let filter = SandboxFilter::default();
            let page = store.sandboxes(OWNER, filter, order, cursor, 7).await.unwrap();
            shown.extend(page.items.into_iter().map(|item| item.id));
            for number in [89 - 3 * round, 3 * round + 2] {
                store.delete_sandbox(row(number).sandbox.spec.id).await.unwrap();
            }
            store.insert_sandbox(row(3 * round + 1)).await.unwrap();
            round += 1;
            match page.next {
                Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        let mut stayed: Vec<SandboxId> =
            (0..90).filter(|n| stays(*n)).map(|n| row(n).sandbox.spec.id).collect();
        stayed.sort();
        let mut found: Vec<_> = shown.iter().filter(|id| stayed.contains(id)).collect();
        found.sort();
        assert_eq!(found, stayed.iter().collect::<Vec<_>>(), "{order:?}");
        let mut once = shown.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), shown.len(), "{order:?}");
    }
}
