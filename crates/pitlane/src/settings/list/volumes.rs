//! Volumes.

use super::values::{parse, path};
use crate::settings::Setting;

/// One file system is never larger than that with blocks of the usual size.
const VOLUME_SIZES: std::ops::RangeInclusive<u32> = 1..=16_384;

/// Their size, and where they are kept.
pub(super) const SETTINGS: [Setting; 6] = [
    Setting {
        key: "volumes.size_gib",
        flag: "volume-size",
        variable: "PITLANE_VOLUME_SIZE",
        value: "GIB",
        default: "10",
        help: "Size of a volume that is made; it takes the room of what is in it",
        apply: |settings, text| {
            let gib = parse(text)?;
            if !VOLUME_SIZES.contains(&gib) {
                return Err(format!(
                    "it is between {} and {}",
                    VOLUME_SIZES.start(),
                    VOLUME_SIZES.end()
                ));
            }
            settings.volume_gib = gib;
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.endpoint",
        flag: "volume-endpoint",
        variable: "PITLANE_VOLUME_ENDPOINT",
        value: "URL",
        default: "",
        help: "S3-compatible object storage in which volumes are made from now on, https://HOST[:PORT] [default: they are files on this machine]",
        apply: |settings, text| {
            settings.object_storage.endpoint = Some(text.trim().to_owned());
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.region",
        flag: "volume-region",
        variable: "PITLANE_VOLUME_REGION",
        value: "NAME",
        default: "us-east-1",
        help: "Region that requests to that storage are signed for",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.region);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.bucket",
        flag: "volume-bucket",
        variable: "PITLANE_VOLUME_BUCKET",
        value: "NAME",
        default: "",
        help: "Bucket there, which must exist [default: none]",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.bucket);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.prefix",
        flag: "volume-prefix",
        variable: "PITLANE_VOLUME_PREFIX",
        value: "PATH",
        default: "",
        help: "What the keys of all volumes there begin with; servers that share a bucket should not share it [default: nothing]",
        apply: |settings, text| {
            text.trim().clone_into(&mut settings.object_storage.prefix);
            Ok(())
        },
    },
    Setting {
        key: "volumes.object_storage.access_key_file",
        flag: "volume-access-key-file",
        variable: "PITLANE_VOLUME_ACCESS_KEY_FILE",
        value: "FILE",
        default: "",
        help: "File with the key to that storage: its id on the first line, its secret on the second [default: none]",
        apply: |settings, text| {
            settings.object_storage.access_key_file = Some(path(text)?);
            Ok(())
        },
    },
];
