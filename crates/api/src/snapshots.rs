//! `/snapshots`: what sandboxes start from.

mod wish;

use axum::extract::State as FromState;
use http::StatusCode;
use pitlane_control::{
    PageSnapshots, SnapshotFilter, SnapshotSort, SnapshotSortField, SortDirection,
};
use pitlane_wire::control as wire;

use crate::authentication::Caller;
use crate::body::{Json, Named};
use crate::convert;
use crate::query::{self, Query};
use crate::refusal::Refusal;
use crate::state::State;

/// Items of a page for which the caller names no number.
const DEFAULT_LIMIT: u32 = 100;

const FIELDS: [(&str, SnapshotSortField); 4] = [
    ("name", SnapshotSortField::Name),
    ("state", SnapshotSortField::State),
    ("lastUsedAt", SnapshotSortField::LastUsedAt),
    ("createdAt", SnapshotSortField::CreatedAt),
];

const DIRECTIONS: [(&str, SortDirection); 2] =
    [("asc", SortDirection::Ascending), ("desc", SortDirection::Descending)];

/// `GET /snapshots`: a numbered page.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    query: Query,
) -> Result<Json<wire::PaginatedSnapshots>, Refusal> {
    let (limit, page) =
        (query::limit(&query, DEFAULT_LIMIT, PageSnapshots::MAX_LIMIT)?, query::page(&query)?);
    let order = SnapshotSort {
        field: query.word("sort", &FIELDS)?.unwrap_or(SnapshotSort::DEFAULT.field),
        direction: query.word("order", &DIRECTIONS)?.unwrap_or(SnapshotSort::DEFAULT.direction),
    };
    let source_sandbox = match query.text("sourceSandboxId").map(str::parse) {
        None => None,
        Some(Ok(id)) => Some(id),
        // What is no id is nobody's.
        Some(Err(_)) => {
            let items = Vec::new();
            return Ok(Json(wire::PaginatedSnapshots {
                items,
                total: 0,
                page: page.into(),
                total_pages: 0,
            }));
        }
    };
    let name_part = query.text("name").map(str::to_owned);
    let filter = SnapshotFilter { name_part, source_sandbox };
    let request = PageSnapshots { filter, order, limit, page };
    let slice = state.control().snapshots().list(caller.principal(), request).await?;
    Ok(Json(wire::PaginatedSnapshots {
        items: slice.items.iter().map(convert::snapshot).collect(),
        total: slice.total,
        page: page.into(),
        total_pages: slice.total.div_ceil(limit.into()),
    }))
}

/// `GET /snapshots/{idOrName}`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<Json<wire::Snapshot>, Refusal> {
    let snapshot = state.control().snapshots().find(caller.principal(), &id_or_name)?;
    Ok(Json(convert::snapshot(&snapshot)))
}

/// `POST /snapshots`.
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Json(body): Json<wire::CreateSnapshot>,
) -> Result<Json<wire::Snapshot>, Refusal> {
    let request = wish::of(body)?;
    let snapshot = state.control().snapshots().create(caller.principal(), request).await?;
    Ok(Json(convert::snapshot(&snapshot)))
}

/// `DELETE /snapshots/{idOrName}`.
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<(), Refusal> {
    Ok(state.control().snapshots().delete(caller.principal(), &id_or_name).await?)
}

/// `POST /snapshots/{idOrName}/activate`.
pub(crate) async fn activate(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<Json<wire::Snapshot>, Refusal> {
    let snapshot = state.control().snapshots().activate(caller.principal(), &id_or_name).await?;
    Ok(Json(convert::snapshot(&snapshot)))
}

/// `POST /snapshots/{idOrName}/deactivate`.
pub(crate) async fn deactivate(
    FromState(state): FromState<State>,
    caller: Caller,
    Named(id_or_name): Named<String>,
) -> Result<StatusCode, Refusal> {
    state.control().snapshots().deactivate(caller.principal(), &id_or_name).await?;
    Ok(StatusCode::NO_CONTENT)
}
