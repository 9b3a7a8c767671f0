//! Every route, in one place.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, patch, post, put};

use socketioxide::layer::SocketIoLayer;

use crate::body::MAX_BODY_BYTES;
use crate::state::State;
use crate::{
    build, configuration, health, keys, organizations, preview, rate_limit, reference, registries,
    request, sandboxes, signing, snapshots, storage, toolbox, unread, volumes, warm_pools,
};

/// The rim as a service. Routes of the control plane are those that `openapi/compat.toml` calls implemented or partial.
pub(crate) fn of(state: State, events: SocketIoLayer) -> Router {
    Router::new()
        .route("/api/health", get(health::live))
        .route("/api/health/ready", get(health::ready))
        .route("/api/config", get(configuration::read))
        .route("/api/api-keys", get(keys::list).post(keys::create))
        .route("/api/api-keys/current", get(keys::current))
        .route("/api/api-keys/{name}", get(keys::read).delete(keys::delete))
        .route("/api/api-keys/{userId}/{name}", delete(keys::delete_of_user))
        .route("/api/object-storage/push-access", get(storage::push_access))
        .route("/api/organizations", get(organizations::list).post(organizations::create))
        // The reference has it, and no organization may be taken for it.
        .route("/api/organizations/invitations", get(reference::unrouted))
        .route(
            "/api/organizations/{organizationId}",
            get(organizations::read).delete(organizations::delete),
        )
        .route("/api/docker-registry", get(registries::list).post(registries::create))
        // The reference has it, and no registry may be taken for it.
        .route("/api/docker-registry/registry-push-access", get(reference::unrouted))
        .route(
            "/api/docker-registry/{id}",
            get(registries::read).patch(registries::update).delete(registries::delete),
        )
        .route("/api/sandbox", get(sandboxes::list).post(sandboxes::create))
        .route("/api/sandbox/paginated", get(sandboxes::list_by_page))
        // The reference has it, and no sandbox may be taken for it.
        .route("/api/sandbox/for-runner", get(reference::unrouted))
        .route("/api/sandbox/{idOrName}", get(sandboxes::read).delete(sandboxes::delete))
        .route("/api/sandbox/{idOrName}/start", post(sandboxes::start))
        .route("/api/sandbox/{idOrName}/stop", post(sandboxes::stop))
        .route("/api/sandbox/{idOrName}/archive", post(sandboxes::archive))
        .route("/api/sandbox/{idOrName}/recover", post(sandboxes::recover))
        .route("/api/sandbox/{idOrName}/resize", post(sandboxes::resize))
        .route("/api/sandbox/{idOrName}/snapshot", post(sandboxes::snapshot))
        .route("/api/sandbox/{idOrName}/labels", put(sandboxes::labels))
        .route("/api/sandbox/{idOrName}/public/{isPublic}", post(sandboxes::public))
        .route("/api/sandbox/{idOrName}/autostop/{interval}", post(sandboxes::auto_stop))
        .route("/api/sandbox/{idOrName}/autopause/{interval}", post(sandboxes::auto_pause))
        .route("/api/sandbox/{idOrName}/autoarchive/{interval}", post(sandboxes::auto_archive))
        .route("/api/sandbox/{idOrName}/autodelete/{interval}", post(sandboxes::auto_delete))
        .route("/api/sandbox/{idOrName}/ttl/{ttlMinutes}", post(sandboxes::ttl))
        .route("/api/sandbox/{idOrName}/last-activity", post(sandboxes::last_activity))
        .route("/api/sandbox/{idOrName}/log", get(sandboxes::story))
        .route("/api/sandbox/{idOrName}/build-logs", get(build::of_sandbox))
        .route("/api/sandbox/{idOrName}/build-logs-url", get(build::url_of_sandbox))
        .route("/api/sandbox/{idOrName}/toolbox-proxy-url", get(sandboxes::toolbox_proxy_url))
        .route("/api/sandbox/{idOrName}/signing-key", get(signing::read))
        .route("/api/sandbox/{idOrName}/signing-key/rotate", post(signing::rotate))
        .route("/api/sandbox/{idOrName}/ports/{port}/preview-url", get(preview::read))
        .route("/api/sandbox/{idOrName}/ports/{port}/signed-preview-url", get(preview::sign))
        .route(
            "/api/sandbox/{idOrName}/ports/{port}/signed-preview-url/{token}/expire",
            post(preview::expire),
        )
        .route("/api/snapshots", get(snapshots::list).post(snapshots::create))
        .route("/api/snapshots/{idOrName}", get(snapshots::read).delete(snapshots::delete))
        .route("/api/snapshots/{idOrName}/build-logs", get(build::of_snapshot))
        .route("/api/snapshots/{idOrName}/build-logs-url", get(build::url_of_snapshot))
        .route("/api/snapshots/{idOrName}/activate", post(snapshots::activate))
        .route("/api/snapshots/{idOrName}/deactivate", post(snapshots::deactivate))
        .route("/api/warm-pools", get(warm_pools::list).post(warm_pools::create))
        .route("/api/warm-pools/{id}", patch(warm_pools::update).delete(warm_pools::delete))
        .route("/api/volumes", get(volumes::list).post(volumes::create))
        .route("/api/volumes/{volumeId}", get(volumes::read).delete(volumes::delete))
        .route("/api/volumes/by-name/{name}", get(volumes::read_by_name))
        .route(toolbox::ROUTE, any(preview::or_toolbox))
        .fallback(reference::unrouted)
        .method_not_allowed_fallback(reference::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), rate_limit::limit))
        .layer(from_fn(request::note_route))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(events)
        .layer(from_fn(unread::read))
        .layer(from_fn(request::rim))
        .with_state(state)
}

/// The rim of a server that starts: how it is, and nothing else.
pub(crate) fn of_a_start() -> Router {
    Router::new()
        .route("/api/health", get(health::live))
        .route("/api/health/ready", get(health::starting))
        .fallback(health::not_started)
        .layer(from_fn(request::note_route))
        .layer(from_fn(request::rim))
}
