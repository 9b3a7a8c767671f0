//! From the body of `POST /sandbox` to what the platform is asked for.
//!
//! Everything a caller may put into the body is either understood, or known to change neither isolation nor contents,
//! or refused by name. Nothing that would make the sandbox another one is left out in silence.

use pitlane_control::{CreateSandbox, RequestedLimits, RequestedMount, Source};
use pitlane_model::{
    Environment, Labels, Lifecycle, Minutes, MountPath, NetworkPolicy, SandboxName, Subpath,
};
use pitlane_wire::control as wire;

use crate::build::{self, Wish};
use crate::refusal::Refusal;

/// The longest user name, snapshot name or region, in bytes.
const MAX_WORD_BYTES: usize = 255;

/// The most labels, and the most variables, of one sandbox.
const MAX_ENTRIES: usize = 1_000;

/// Reads a body.
///
/// # Errors
///
/// 400 names the field and what is wrong with it.
pub(super) fn of(body: wire::CreateSandbox) -> Result<CreateSandbox, Refusal> {
    refuse_unavailable(&body)?;
    let name = match body.name.filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => {
            Some(SandboxName::new(name).map_err(|e| Refusal::bad_request(e.to_string()))?)
        }
    };
    let is_blocked = body.network_block_all.unwrap_or(false);
    let source = match (body.build_info, word("snapshot", body.snapshot)?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request("a sandbox starts from a snapshot or from buildInfo"));
        }
        (Some(build), None) => match build::of(build)? {
            Wish::Image(image) => Source::Image(image),
            Wish::Build(build) => Source::Build(build),
        },
        (None, Some(snapshot)) => Source::Snapshot(snapshot),
        (None, None) => Source::DefaultSnapshot,
    };
    Ok(CreateSandbox {
        name,
        source,
        user: word("user", body.user)?,
        environment: Environment::new(entries("env", body.env)?)
            .map_err(|error| Refusal::bad_request(error.to_string()))?,
        labels: entries("labels", body.labels)?,
        limits: RequestedLimits {
            cpu_count: body.cpu,
            memory_gib: body.memory,
            disk_gib: body.disk,
        },
        lifecycle: Lifecycle {
            auto_stop: minutes("autoStopInterval", body.auto_stop_interval)?
                .unwrap_or(Lifecycle::DEFAULT.auto_stop),
            auto_archive: minutes("autoArchiveInterval", body.auto_archive_interval)?
                .unwrap_or(Lifecycle::DEFAULT.auto_archive),
            auto_delete: match body.auto_delete_interval {
                Some(interval) if interval < 0 => None,
                interval => minutes("autoDeleteInterval", interval)?,
            },
            ttl: minutes("ttlMinutes", body.ttl_minutes)?.unwrap_or(Lifecycle::DEFAULT.ttl),
        },
        network: if is_blocked { NetworkPolicy::Blocked } else { NetworkPolicy::Open },
        is_public: body.public.unwrap_or(false),
        volumes: body
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(mount)
            .collect::<Result<_, _>>()?,
        target: word("target", body.target)?,
    })
}

/// A volume, by id or name, and where it is to be.
fn mount(volume: wire::SandboxVolume) -> Result<RequestedMount, Refusal> {
    let refusal = |error: pitlane_model::MountError| Refusal::bad_request(error.to_string());
    let subpath = volume.subpath.filter(|path| !path.is_empty());
    Ok(RequestedMount {
        volume: volume.volume_id,
        path: MountPath::new(&volume.mount_path).map_err(refusal)?,
        subpath: subpath.map(|path| Subpath::new(&path)).transpose().map_err(refusal)?,
    })
}

/// Refuses what this server cannot do and what would matter. `kvm`, `spot`, `target` and `queueTimeout` ask for
/// nothing that a machine of one's own would give differently.
fn refuse_unavailable(body: &wire::CreateSandbox) -> Result<(), Refusal> {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let unavailable = [
        ("secrets", body.secrets.as_ref().is_some_and(|list| !list.is_empty())),
        ("gpu", body.gpu.is_some_and(|count| count > 0)),
        ("gpuType", body.gpu_type.as_ref().is_some_and(|list| !list.is_empty())),
        ("networkAllowList", is_given(&body.network_allow_list)),
        ("domainAllowList", is_given(&body.domain_allow_list)),
        ("outboundProxyUrl", is_given(&body.outbound_proxy_url)),
        ("otelEndpointOverride", is_given(&body.otel_endpoint_override)),
        ("linkedSandbox", is_given(&body.linked_sandbox)),
        ("autoPauseInterval", body.auto_pause_interval.is_some_and(|interval| interval > 0)),
    ];
    match unavailable.into_iter().find(|(_, is_asked_for)| *is_asked_for) {
        None => Ok(()),
        Some((field, _)) => Err(Refusal::bad_request(format!(
            "{field} is not available in this version of Pitlane: create the sandbox without it"
        ))),
    }
}

fn word(field: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) if text.len() > MAX_WORD_BYTES || text.chars().any(char::is_control) => {
            Err(Refusal::bad_request(format!(
                "{field} must be at most {MAX_WORD_BYTES} bytes long and without control characters"
            )))
        }
        text => Ok(text),
    }
}

/// Labels, as far as there may be that many and such.
///
/// # Errors
///
/// 400 says what is wrong with them.
pub(super) fn labels(labels: Labels) -> Result<Labels, Refusal> {
    entries("labels", Some(labels))
}

fn entries(field: &str, map: Option<Labels>) -> Result<Labels, Refusal> {
    let map = map.unwrap_or_default();
    if map.len() > MAX_ENTRIES {
        return Err(Refusal::bad_request(format!("{field} has more than {MAX_ENTRIES} entries")));
    }
    if map.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
        return Err(Refusal::bad_request(format!("{field} contains a NUL character")));
    }
    Ok(map)
}

fn minutes(field: &str, interval: Option<i64>) -> Result<Option<Minutes>, Refusal> {
    match interval.map(Minutes::try_from) {
        None => Ok(None),
        Some(Ok(minutes)) => Ok(Some(minutes)),
        Some(Err(_)) => Err(Refusal::bad_request(format!(
            "{field} must be a number of minutes from 0 to {}",
            Minutes::MAX
        ))),
    }
}

#[cfg(test)]
mod tests;
