//! `GET /sandbox` and `GET /sandbox/paginated`.

use axum::extract::State as FromState;
use pitlane_control::{
    Bounds, Cursor, ListSandboxes, PageSandboxes, SandboxFilter, SandboxOrder, SortDirection,
    SortField,
};
use pitlane_model::{Labels, SandboxState};
use pitlane_wire::control as wire;

use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::Json;
use crate::convert;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

/// Items of a page for which the caller names no number.
const DEFAULT_LIMIT: u32 = 100;

const FIELDS: [(&str, SortField); 6] = [
    ("name", SortField::Name),
    ("cpu", SortField::CpuCount),
    ("memoryGib", SortField::MemoryGib),
    ("diskGib", SortField::DiskGib),
    ("lastActivityAt", SortField::LastActivityAt),
    ("createdAt", SortField::CreatedAt),
];

const DIRECTIONS: [(&str, SortDirection); 2] =
    [("asc", SortDirection::Ascending), ("desc", SortDirection::Descending)];

/// `GET /sandbox`: a page, and where the next one begins.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    query: Query,
) -> Result<Json<wire::SandboxPage>, Refusal> {
    let cursor: Option<Cursor> = query.parsed("cursor")?;
    let (order, limit) = (order(&query)?, limit(&query)?);
    let Some(filter) = filter(&query)? else {
        return Ok(Json(wire::SandboxPage { items: Vec::new(), next_cursor: None }));
    };
    let request = ListSandboxes { filter, order, limit, cursor };
    let page = state.control().sandboxes().list(caller.principal(), request).await?;
    let items = page.items.iter().map(|item| convert::sandbox_core(item, &origin)).collect();
    Ok(Json(wire::SandboxPage { items, next_cursor: page.next.map(|next| next.to_string()) }))
}

/// `GET /sandbox/paginated`: numbered pages, for clients before 0.180.
pub(crate) async fn list_by_page(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    query: Query,
) -> Result<Json<wire::PaginatedSandboxes>, Refusal> {
    let (limit, page) = (limit(&query)?, crate::query::page(&query)?);
    let order = order(&query)?;
    let Some(filter) = filter(&query)? else {
        let empty = wire::PaginatedSandboxes {
            items: Vec::new(),
            total: 0,
            page: page.into(),
            total_pages: 0,
        };
        return Ok(Json(empty));
    };
    let request = PageSandboxes { filter, order, limit, page };
    let slice = state.control().sandboxes().list_page(caller.principal(), request).await?;
    Ok(Json(wire::PaginatedSandboxes {
        items: slice.items.iter().map(|item| convert::sandbox(item, &origin)).collect(),
        total: slice.total,
        page: page.into(),
        total_pages: slice.total.div_ceil(limit.into()),
    }))
}

/// Which sandboxes are asked for; `None` when it is certain that there are none.
fn filter(query: &Query) -> Result<Option<SandboxFilter>, Refusal> {
    let asked: Vec<&str> = query.texts("states").collect();
    let states: Vec<SandboxState> = asked
        .iter()
        .filter_map(|word| SandboxState::ALL.into_iter().find(|state| state.as_str() == *word))
        .collect();
    // Words such as `archived` are states of the reference that no sandbox is ever in here.
    let no_such_state = !asked.is_empty() && states.is_empty();
    // No sandbox here can be mended, is of another kind than a container, or has a graphics card.
    let is_recoverable = query.parsed::<bool>("isRecoverable")? == Some(true);
    let with_gpu = query.parsed::<u32>("minGpu")?.is_some_and(|count| count > 0);
    let other_kind = is_recoverable
        || with_gpu
        || query.texts("sandboxClasses").next().is_some()
            && !query.texts("sandboxClasses").any(|class| class == convert::SANDBOX_CLASS);
    let texts = |name| query.texts(name).map(str::to_owned).collect();
    // What is wrong is refused, also where the answer is certain.
    let filter = SandboxFilter {
        id_prefix: query.text("id").map(str::to_owned),
        name_prefix: query.text("name").map(str::to_owned),
        labels: query.map("labels")?.unwrap_or_else(Labels::new),
        states,
        snapshots: texts("snapshots"),
        targets: texts("regionIds"),
        cpu_count: bounds(query, "minCpu", "maxCpu")?,
        memory_gib: bounds(query, "minMemoryGiB", "maxMemoryGiB")?,
        disk_gib: bounds(query, "minDiskGiB", "maxDiskGiB")?,
        is_public: query.parsed("isPublic")?,
        created_at: Bounds {
            at_least: query.date("createdAtAfter")?,
            at_most: query.date("createdAtBefore")?,
        },
        last_activity_at: Bounds {
            at_least: query.date("lastEventAfter")?,
            at_most: query.date("lastEventBefore")?,
        },
    };
    Ok((!no_such_state && !other_kind).then_some(filter))
}

fn bounds(query: &Query, least: &str, most: &str) -> Result<Bounds<u32>, Refusal> {
    Ok(Bounds { at_least: query.parsed(least)?, at_most: query.parsed(most)? })
}

fn order(query: &Query) -> Result<SandboxOrder, Refusal> {
    let default = SandboxOrder::DEFAULT;
    Ok(SandboxOrder {
        field: query.word("sort", &FIELDS)?.unwrap_or(default.field),
        direction: query.word("order", &DIRECTIONS)?.unwrap_or(default.direction),
    })
}

fn limit(query: &Query) -> Result<u32, Refusal> {
    crate::query::limit(query, DEFAULT_LIMIT, ListSandboxes::MAX_LIMIT)
}
