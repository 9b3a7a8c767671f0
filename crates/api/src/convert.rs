//! From the model to what travels. Dull on purpose: every field, in one place.

use std::collections::BTreeMap;

use pitlane_control::Policy;
use pitlane_model::{
    ApiKey, Build, NetworkPolicy, Organization, Permission, Sandbox, SandboxState, Snapshot,
    StoredRegistry, Timestamp, Volume, VolumeMount,
};
use pitlane_wire::control as wire;

use crate::address::Origin;
use crate::date;

/// The kind of sandbox that this server makes.
pub(crate) const SANDBOX_CLASS: &str = "container";

const GIB: u64 = 1 << 30;

/// A sandbox as `GET /sandbox/{id}` tells it to a client that reaches the server at `origin`.
pub(crate) fn sandbox(sandbox: &Sandbox, origin: &Origin) -> wire::Sandbox {
    wire::Sandbox {
        core: sandbox_core(sandbox, origin),
        env: sandbox.spec.environment.variables().clone(),
        kvm: false,
        volumes: Some(sandbox.spec.volumes.iter().map(mount).collect()),
        build_info: sandbox.spec.build.as_ref().map(|build| {
            build_info(build, &sandbox.spec.snapshot, sandbox.created_at, sandbox.updated_at)
        }),
    }
}

/// A sandbox as lists tell it.
pub(crate) fn sandbox_core(sandbox: &Sandbox, origin: &Origin) -> wire::SandboxCore {
    let spec = &sandbox.spec;
    let lifecycle = spec.lifecycle;
    let deadlines = sandbox.deadlines();
    wire::SandboxCore {
        id: spec.id.to_string(),
        organization_id: spec.organization.to_string(),
        name: spec.name.to_string(),
        snapshot: Some(spec.snapshot.clone()),
        user: spec.user.clone(),
        labels: spec.labels.clone(),
        public: spec.is_public,
        network_block_all: match spec.network {
            NetworkPolicy::Open => false,
            NetworkPolicy::Blocked => true,
        },
        network_allow_list: None,
        domain_allow_list: None,
        target: spec.target.clone(),
        cpu: spec.limits.cpu_count().into(),
        gpu: 0,
        memory: spec.limits.memory_gib().into(),
        disk: spec.limits.disk_gib().into(),
        state: Some(sandbox.state.as_str().to_owned()),
        desired_state: Some(sandbox.desired.as_str().to_owned()),
        error_reason: sandbox.error_reason.clone(),
        recoverable: (sandbox.state == SandboxState::Error).then(|| sandbox.is_recoverable()),
        auto_stop_interval: Some(lifecycle.auto_stop.into()),
        auto_archive_interval: Some(lifecycle.auto_archive.into()),
        auto_delete_interval: Some(lifecycle.auto_delete.map_or(-1, i64::from)),
        auto_stop_at: deadlines.stop.map(date::text),
        auto_archive_at: deadlines.archive.map(date::text),
        auto_delete_at: deadlines.delete.map(date::text),
        auto_destroy_at: deadlines.destroy.map(date::text),
        created_at: Some(date::text(sandbox.created_at)),
        updated_at: Some(date::text(sandbox.updated_at)),
        last_activity_at: Some(date::text(sandbox.last_activity_at)),
        sandbox_class: Some(SANDBOX_CLASS.to_owned()),
        daemon_version: sandbox.daemon_version.clone(),
        toolbox_proxy_url: origin.toolbox(),
    }
}

/// A registry, without its password.
pub(crate) fn registry(registry: &StoredRegistry) -> wire::DockerRegistry {
    wire::DockerRegistry {
        id: registry.id.to_string(),
        name: registry.name.clone(),
        url: registry.url.clone(),
        username: registry.user.clone(),
        project: registry.project.clone(),
        registry_type: "organization".to_owned(),
        created_at: date::text(registry.created_at),
        updated_at: date::text(registry.updated_at),
    }
}

/// A snapshot.
pub(crate) fn snapshot(snapshot: &Snapshot) -> wire::Snapshot {
    wire::Snapshot {
        id: snapshot.id.to_string(),
        organization_id: snapshot.organization.map(|id| id.to_string()),
        general: snapshot.organization.is_none(),
        name: snapshot.name.clone(),
        image_name: Some(snapshot.reference.to_string()),
        state: snapshot.state.as_str().to_owned(),
        size: snapshot.size_bytes.map(|bytes| bytes.div_ceil(GIB)),
        entrypoint: (!snapshot.entrypoint.is_empty()).then(|| snapshot.entrypoint.clone()),
        cpu: snapshot.limits.cpu_count().into(),
        gpu: 0,
        mem: snapshot.limits.memory_gib().into(),
        disk: snapshot.limits.disk_gib().into(),
        error_reason: snapshot.error_reason.clone(),
        created_at: date::text(snapshot.created_at),
        updated_at: date::text(snapshot.updated_at),
        last_used_at: snapshot.last_used_at.map(date::text),
        source_sandbox_id: snapshot.source_sandbox.map(|id| id.to_string()),
        build_info: snapshot.build.as_ref().map(|build| {
            let reference = snapshot.reference.to_string();
            build_info(build, &reference, snapshot.created_at, snapshot.updated_at)
        }),
        sandbox_class: Some(SANDBOX_CLASS.to_owned()),
    }
}

/// What an image was built from, and what it is called.
fn build_info(
    build: &Build,
    reference: &str,
    created_at: Timestamp,
    updated_at: Timestamp,
) -> wire::BuildInfo {
    wire::BuildInfo {
        dockerfile_content: Some(build.dockerfile.clone()),
        context_hashes: Some(build.contexts.clone()),
        created_at: date::text(created_at),
        updated_at: date::text(updated_at),
        snapshot_ref: reference.to_owned(),
    }
}

fn mount(mount: &VolumeMount) -> wire::SandboxVolume {
    wire::SandboxVolume {
        volume_id: mount.volume.to_string(),
        mount_path: mount.path.to_string(),
        subpath: mount.subpath.as_ref().map(ToString::to_string),
    }
}

/// A volume.
pub(crate) fn volume(volume: &Volume) -> wire::VolumeDto {
    wire::VolumeDto {
        id: volume.id.to_string(),
        name: volume.name.to_string(),
        organization_id: volume.organization.to_string(),
        state: volume.state.as_str().to_owned(),
        created_at: date::text(volume.created_at),
        updated_at: date::text(volume.updated_at),
        last_used_at: volume.last_used_at.map(date::text),
        error_reason: volume.error_reason.clone(),
    }
}

/// A key in lists. Keys have no people yet: whose key it is stands for who made it.
pub(crate) fn api_key(key: &ApiKey) -> wire::ApiKeyItem {
    wire::ApiKeyItem {
        name: key.name.clone(),
        value: key.hint.clone(),
        created_at: date::text(key.created_at),
        permissions: permissions(&key.permissions),
        last_used_at: key.last_used_at.map(date::text),
        expires_at: key.expires_at.map(date::text),
        user_id: key.organization.to_string(),
        organization_id: Some(key.organization.to_string()),
    }
}

/// An organization, with what this server allows each.
pub(crate) fn organization(organization: &Organization, policy: &Policy) -> wire::Organization {
    let made = date::text(organization.created_at);
    wire::Organization {
        id: organization.id.to_string(),
        name: organization.name.clone(),
        created_by: organization.id.to_string(),
        personal: false,
        created_at: made.clone(),
        updated_at: made.clone(),
        suspended: false,
        suspended_at: made.clone(),
        suspension_reason: String::new(),
        suspended_until: made,
        suspension_cleanup_grace_period_hours: 0,
        max_cpu_per_sandbox: policy.maximum.cpu_count().into(),
        max_memory_per_sandbox: policy.maximum.memory_gib().into(),
        max_disk_per_sandbox: policy.maximum.disk_gib().into(),
        secret_quota: 0,
        max_secrets_per_sandbox: 0,
        snapshot_deactivation_timeout_minutes: 0,
        default_queue_timeout: None,
        sandbox_limited_network_egress: false,
        preview_warning_enabled: false,
        sso_enabled: false,
        scim_enabled: false,
        default_region_id: Some(policy.target.clone()),
        authenticated_rate_limit: None,
        sandbox_create_rate_limit: None,
        sandbox_lifecycle_rate_limit: None,
        experimental_config: BTreeMap::new(),
        otel_config: None,
        authenticated_rate_limit_ttl_seconds: None,
        sandbox_create_rate_limit_ttl_seconds: None,
        sandbox_lifecycle_rate_limit_ttl_seconds: None,
    }
}

/// Permissions in the API's words.
pub(crate) fn permissions(permissions: &[Permission]) -> Vec<String> {
    permissions.iter().map(|permission| permission.as_str().to_owned()).collect()
}
