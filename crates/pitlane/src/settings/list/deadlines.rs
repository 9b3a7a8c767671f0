//! How long things may take.

use super::values::seconds;
use crate::settings::Setting;

/// For each thing that happens to a sandbox.
pub(super) const SETTINGS: [Setting; 5] = [
    Setting {
        key: "deadlines.start",
        flag: "start-deadline",
        variable: "PITLANE_START_DEADLINE",
        value: "SECONDS",
        default: "120",
        help: "Seconds until a sandbox that starts must be usable",
        apply: |settings, text| seconds(&mut settings.patience.start, text),
    },
    Setting {
        key: "deadlines.stop",
        flag: "stop-deadline",
        variable: "PITLANE_STOP_DEADLINE",
        value: "SECONDS",
        default: "60",
        help: "Seconds until a sandbox that stops must have no processes; then it gets as long again, by force",
        apply: |settings, text| seconds(&mut settings.patience.stop, text),
    },
    Setting {
        key: "deadlines.archive",
        flag: "archive-deadline",
        variable: "PITLANE_ARCHIVE_DEADLINE",
        value: "SECONDS",
        default: "1800",
        help: "Seconds until the disk of a sandbox must be packed away, or back",
        apply: |settings, text| seconds(&mut settings.patience.archive, text),
    },
    Setting {
        key: "deadlines.resize",
        flag: "resize-deadline",
        variable: "PITLANE_RESIZE_DEADLINE",
        value: "SECONDS",
        default: "600",
        help: "Seconds until a sandbox must have other limits",
        apply: |settings, text| seconds(&mut settings.patience.resize, text),
    },
    Setting {
        key: "deadlines.destroy",
        flag: "destroy-deadline",
        variable: "PITLANE_DESTROY_DEADLINE",
        value: "SECONDS",
        default: "300",
        help: "Seconds until everything a deleted sandbox held must be free; then it is in state error, and tried again later",
        apply: |settings, text| seconds(&mut settings.patience.destroy, text),
    },
];
