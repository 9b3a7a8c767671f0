//! The server itself: where it listens, what it keeps and where, and how it is watched.

use pitlane_api::PublicUrl;
use pitlane_model::ImageName;

use super::values::{parse, path, positive, set};
use crate::settings::{DEFAULT_STATE, Setting};

/// Addresses, folders and what sandboxes start with.
pub(super) const SETTINGS: [Setting; 7] = [
    Setting {
        key: "listen",
        flag: "listen",
        variable: "PITLANE_LISTEN",
        value: "ADDRESS",
        default: "127.0.0.1:3986",
        help: "Address and port of the API; port 0 takes a free one. Anyone who reaches it and has a key can run code",
        apply: |settings, text| set(&mut settings.listen, text),
    },
    Setting {
        key: "state",
        flag: "state",
        variable: "PITLANE_STATE",
        value: "DIR",
        default: DEFAULT_STATE,
        help: "Folder of what survives a restart: the database, the sandboxes' disks, the first key. One server per folder",
        apply: |settings, text| path(text).map(|path| settings.state = path),
    },
    Setting {
        key: "run",
        flag: "run-dir",
        variable: "PITLANE_RUN_DIR",
        value: "DIR",
        default: "",
        help: "Folder of run-time files, such as sockets [default: derived from the state folder, in /run/pitlane]",
        apply: |settings, text| path(text).map(|path| settings.run = Some(path)),
    },
    Setting {
        key: "image_cache",
        flag: "image-cache",
        variable: "PITLANE_IMAGE_CACHE",
        value: "DIR",
        default: "/var/cache/pitlane/images",
        help: "Folder of root filesystems, which servers may share",
        apply: |settings, text| path(text).map(|path| settings.image_cache = path),
    },
    Setting {
        key: "image",
        flag: "image",
        variable: "PITLANE_IMAGE",
        value: "NAME",
        default: "default",
        help: "Image behind the snapshot that sandboxes start from; the first start prepares it",
        apply: |settings, text| {
            let image = ImageName::new(text).map_err(|why| why.to_string())?;
            settings.image = image;
            Ok(())
        },
    },
    Setting {
        key: "daemon",
        flag: "daemon",
        variable: "PITLANE_DAEMON",
        value: "FILE",
        default: "",
        help: "Program that serves inside sandboxes [default: the one in this binary, if it was built with one]",
        apply: |settings, text| path(text).map(|path| settings.daemon = Some(path)),
    },
    Setting {
        key: "public_url",
        flag: "public-url",
        variable: "PITLANE_PUBLIC_URL",
        value: "URL",
        default: "",
        help: "Address under which clients reach this server, if a proxy stands before it [default: as each client says]",
        apply: |settings, text| {
            settings.public_url = Some(PublicUrl::new(text).map_err(|why| why.to_string())?);
            Ok(())
        },
    },
];

/// Connections and metrics.
pub(super) const WATCHING: [Setting; 2] = [
    Setting {
        key: "max_connections",
        flag: "max-connections",
        variable: "PITLANE_MAX_CONNECTIONS",
        value: "NUMBER",
        default: "10000",
        help: "Connections served at the same time; more wait",
        apply: |settings, text| positive(text).map(|number| settings.max_connections = number),
    },
    Setting {
        key: "metrics",
        flag: "metrics",
        variable: "PITLANE_METRICS",
        value: "ADDRESS",
        default: "",
        help: "Address and port of GET /metrics, which needs no key; port 0 takes a free one [default: no metrics]",
        apply: |settings, text| {
            settings.metrics = Some(parse(text)?);
            Ok(())
        },
    },
];
