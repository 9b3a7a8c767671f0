//! Object storage, in which clients leave what builds need.

use std::time::Duration;

use pitlane_api::PublicUrl;

use super::values::{gib, parse, path, positive};
use crate::settings::Setting;

/// Where it is, and what may be left there.
pub(super) const SETTINGS: [Setting; 8] = [
    Setting {
        key: "object_storage.url",
        flag: "storage-url",
        variable: "PITLANE_STORAGE_URL",
        value: "URL",
        default: "",
        help: "Address under which clients upload build contexts, without a path [default: the root of the public URL's host]",
        apply: |settings, text| {
            let url = PublicUrl::new(text).map_err(|why| why.to_string())?;
            if url.as_str().matches('/').count() > 2 {
                return Err("it has a path, and clients sign the path that they send".to_owned());
            }
            settings.storage_url = Some(url);
            Ok(())
        },
    },
    Setting {
        key: "object_storage.listen",
        flag: "storage-listen",
        variable: "PITLANE_STORAGE_LISTEN",
        value: "ADDRESS",
        default: "",
        help: "Address and port of object storage over https, which the Python SDK needs; port 0 takes a free one [default: only beside the API]",
        apply: |settings, text| {
            settings.storage_listen = Some(parse(text)?);
            Ok(())
        },
    },
    Setting {
        key: "object_storage.certificate",
        flag: "storage-certificate",
        variable: "PITLANE_STORAGE_CERTIFICATE",
        value: "FILE",
        default: "",
        help: "Certificate for that, and those above it, as PEM [default: one that the server makes, in the state folder]",
        apply: |settings, text| path(text).map(|path| settings.storage_certificate = Some(path)),
    },
    Setting {
        key: "object_storage.private_key_file",
        flag: "storage-private-key",
        variable: "PITLANE_STORAGE_PRIVATE_KEY",
        value: "FILE",
        default: "",
        help: "The certificate's key, as PEM",
        apply: |settings, text| path(text).map(|path| settings.storage_private_key = Some(path)),
    },
    Setting {
        key: "object_storage.max_context",
        flag: "max-context",
        variable: "PITLANE_MAX_CONTEXT",
        value: "GIB",
        default: "8",
        help: "Size of one build context at most",
        apply: |settings, text| gib(&mut settings.contexts.context_bytes, text),
    },
    Setting {
        key: "object_storage.room_per_organization",
        flag: "context-room-per-organization",
        variable: "PITLANE_CONTEXT_ROOM_PER_ORGANIZATION",
        value: "GIB",
        default: "32",
        help: "What the build contexts of one organization may take together",
        apply: |settings, text| gib(&mut settings.contexts.organization_bytes, text),
    },
    Setting {
        key: "object_storage.room",
        flag: "context-room",
        variable: "PITLANE_CONTEXT_ROOM",
        value: "GIB",
        default: "64",
        help: "What all build contexts may take together",
        apply: |settings, text| gib(&mut settings.contexts.total_bytes, text),
    },
    Setting {
        key: "object_storage.keep",
        flag: "keep-contexts",
        variable: "PITLANE_KEEP_CONTEXTS",
        value: "DAYS",
        default: "7",
        help: "Days that a build context stays which nobody uses",
        apply: |settings, text| {
            let days: u32 = positive(text)?;
            settings.contexts.keep = Duration::from_secs(u64::from(days) * 24 * 3600);
            Ok(())
        },
    },
];
