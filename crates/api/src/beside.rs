//! Routes of other rims on the same port, such as MCP's.

use axum::Router;
use axum::middleware::from_fn;

use crate::{request, unread};

/// The routes with what every request gets here: an id, a line in the log, its figures. Who may use them is theirs to see to.
pub(crate) fn of(routes: Router) -> Router {
    routes
        .layer(from_fn(request::note_route))
        .layer(from_fn(unread::read))
        .layer(from_fn(request::rim))
}
