//! `GET /sandbox` and `GET /sandbox/paginated`.

mod cursor;
mod wish;

use std::sync::Arc;

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use pitlane_control::{ListSandboxes, PageSandboxes};
use pitlane_model::Sandbox;
use pitlane_wire::control as wire;
use serde::{Serialize, Serializer};

use crate::address::Origin;
use crate::authentication::Caller;
use crate::body::Json;
use crate::convert;
use crate::query::Query;
use crate::refusal::Refusal;
use crate::state::State;

use self::wish::Wish;

/// The version from which on clients know cursors. Those before it read a bare list.
const CURSORS_SINCE: (u32, u32) = (0, 180);

/// `GET /sandbox`: a page, and where the next one begins. Clients before 0.180 get a list of all.
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let Wish { filter, order, limit } = Wish::of(&query)?;
    let cursor = match query.text("cursor") {
        Some(text) => Some(cursor::open(caller.organization(), &query, text)?),
        None => None,
    };
    if is_before_cursors(&headers) {
        return Ok(Json(all(&state, &caller, &origin, &query).await?).into_response());
    }
    let Some(filter) = filter else {
        let items = Items { sandboxes: &[], origin: &origin };
        return Ok(Json(wire::SandboxPage { items, next_cursor: None }).into_response());
    };
    let request = ListSandboxes { filter, order, limit, cursor };
    let page = state.control().sandboxes().list(caller.principal(), request).await?;
    let items = Items { sandboxes: &page.items, origin: &origin };
    let next = page.next.map(|next| cursor::seal(caller.organization(), &query, &next));
    Ok(Json(wire::SandboxPage { items, next_cursor: next }).into_response())
}

/// Sandboxes that are converted one by one while they are written: in a list of two hundred, what takes the time is
/// memory, and so each has the memory of the one before.
struct Items<'a> {
    sandboxes: &'a [Arc<Sandbox>],
    origin: &'a Origin,
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.sandboxes.iter();
        serializer.collect_seq(items.map(|item| convert::sandbox_core(item, self.origin)))
    }
}

/// Every sandbox that is asked for, page by page.
async fn all(
    state: &State,
    caller: &Caller,
    origin: &Origin,
    query: &Query,
) -> Result<Vec<wire::Sandbox>, Refusal> {
    let Wish { filter, order, limit: _ } = Wish::of(query)?;
    let Some(filter) = filter else { return Ok(Vec::new()) };
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let limit = ListSandboxes::MAX_LIMIT;
        let request = ListSandboxes { filter: filter.clone(), order, limit, cursor };
        let page = state.control().sandboxes().list(caller.principal(), request).await?;
        listed.extend(page.items.iter().map(|item| convert::sandbox(item, origin)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(listed);
        }
    }
}

/// Whether a client says that it is one of before cursors.
fn is_before_cursors(headers: &HeaderMap) -> bool {
    let version = headers.get("x-daytona-sdk-version").and_then(|value| value.to_str().ok());
    let mut numbers = version.unwrap_or_default().split('.').map_while(|part| part.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < CURSORS_SINCE,
        _ => false,
    }
}

/// `GET /sandbox/paginated`: numbered pages, for clients before 0.180.
pub(crate) async fn list_by_page(
    FromState(state): FromState<State>,
    caller: Caller,
    origin: Origin,
    query: Query,
) -> Result<Json<wire::PaginatedSandboxes>, Refusal> {
    let Wish { filter, order, limit } = Wish::of(&query)?;
    let page = crate::query::page(&query)?;
    let Some(filter) = filter else {
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

/// Reads a query as both lists do, and a cursor of its list through its text.
#[cfg(fuzzing)]
pub(crate) fn read_any(organization: pitlane_model::OrganizationId, text: &str) {
    let query = Query::parse(text);
    drop(Wish::of(&query));
    drop(crate::query::page(&query));
    let Some(text) = query.text("cursor") else { return };
    drop(cursor::open(organization, &query, text));
    // Any place is one that a list could have come to.
    if let Ok(place) = text.parse::<pitlane_control::Cursor>() {
        let sealed = cursor::seal(organization, &query, &place);
        assert_eq!(cursor::open(organization, &query, &sealed).ok(), Some(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_before_cursors_are_known_by_their_version() {
        for (version, wanted) in [
            ("0.179.3", true),
            ("0.20.0-alpha.1", true),
            ("0.180.0", false),
            ("0.226.1", false),
            ("1.0", false),
            ("", false),
            ("x.1", false),
            ("0", false),
        ] {
            let headers = HeaderMap::from_iter([(
                "x-daytona-sdk-version".parse().unwrap(),
                version.parse().unwrap(),
            )]);
            assert_eq!(is_before_cursors(&headers), wanted, "{version}");
        }
        assert!(!is_before_cursors(&HeaderMap::new()));
    }
}
