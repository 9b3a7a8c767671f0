//! From the body of `POST /snapshots` to what the platform is asked for.

use pitlane_control::{CreateSnapshot, RequestedLimits, SnapshotSource};
use pitlane_model::ImageReferenceError;
use pitlane_wire::control as wire;

use crate::build::{self, Wish};
use crate::refusal::Refusal;

/// The most words, and the most bytes, of an entrypoint.
const MAX_ENTRYPOINT_WORDS: usize = 256;
const MAX_ENTRYPOINT_BYTES: usize = 32 * 1024;

/// Reads a body.
///
/// # Errors
///
/// 400 names the field and what is wrong with it.
pub(super) fn of(body: wire::CreateSnapshot) -> Result<CreateSnapshot, Refusal> {
    let unavailable = [
        ("gpu", body.gpu.is_some_and(|count| count > 0)),
        ("gpuType", body.gpu_type.as_ref().is_some_and(|list| !list.is_empty())),
    ];
    if let Some((field, _)) = unavailable.into_iter().find(|(_, is_asked_for)| *is_asked_for) {
        return Err(Refusal::bad_request(format!(
            "{field} is not available in this version of Pitlane: create the snapshot without it"
        )));
    }
    let source = match (body.build_info, body.image_name.filter(|name| !name.is_empty())) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request(
                "a snapshot is made of imageName or of buildInfo, not of both",
            ));
        }
        (None, None) => return Err(Refusal::bad_request("imageName or buildInfo is missing")),
        (Some(build), None) => match build::of(build)? {
            Wish::Image(image) => SnapshotSource::Image(image),
            Wish::Build(build) => SnapshotSource::Build(build),
        },
        (None, Some(name)) => {
            SnapshotSource::Image(name.parse().map_err(|error: ImageReferenceError| {
                Refusal::bad_request(format!("imageName: {error}"))
            })?)
        }
    };
    Ok(CreateSnapshot {
        name: body.name,
        source,
        entrypoint: entrypoint(body.entrypoint)?,
        limits: RequestedLimits {
            cpu_count: body.cpu,
            memory_gib: body.memory,
            disk_gib: body.disk,
        },
    })
}

fn entrypoint(words: Option<Vec<String>>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(words) = words.filter(|words| !words.is_empty()) else { return Ok(None) };
    let is_too_long = words.len() > MAX_ENTRYPOINT_WORDS
        || words.iter().map(String::len).sum::<usize>() > MAX_ENTRYPOINT_BYTES;
    if is_too_long {
        return Err(Refusal::bad_request(format!(
            "entrypoint has more than {MAX_ENTRYPOINT_WORDS} words or {MAX_ENTRYPOINT_BYTES} bytes"
        )));
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Refusal::bad_request("entrypoint contains a NUL character"));
    }
    if words.first().is_some_and(String::is_empty) {
        return Err(Refusal::bad_request("entrypoint begins with an empty word"));
    }
    Ok(Some(words))
}
