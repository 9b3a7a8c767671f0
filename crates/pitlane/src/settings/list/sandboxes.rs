//! What sandboxes are, how many wait, and how large they may be.

use pitlane_model::Limits;

use super::values::{parse, positive, set};
use crate::settings::{Setting, Settings};

/// Below are the machine's own users; above, the last sandbox's ids would not fit into 32 bits.
const FIRST_IDS: std::ops::RangeInclusive<u32> = 65_536..=2_147_483_648;

/// Those that wait.
pub(super) const WAITING: [Setting; 2] = [
    Setting {
        key: "sandboxes.prepared",
        flag: "prepared",
        variable: "PITLANE_PREPARED",
        value: "NUMBER",
        default: "8",
        help: "Sandboxes of the default snapshot kept waiting to be taken, disk, network and daemon included; 0 makes each when it is asked for",
        apply: |settings, text| set(&mut settings.prepared, text),
    },
    Setting {
        key: "sandboxes.pool_memory_mib",
        flag: "pool-memory",
        variable: "PITLANE_POOL_MEMORY",
        value: "MIB",
        default: "",
        help: "Memory that sandboxes waiting in all pools together may take, in MiB [default: a quarter of the machine's]",
        apply: |settings, text| {
            settings.pool_memory_mib = Some(parse(text)?);
            Ok(())
        },
    },
];

/// Ids, limits and the name of where they are.
pub(super) const SETTINGS: [Setting; 6] = [
    Setting {
        key: "sandboxes.disk_overcommit",
        flag: "disk-overcommit",
        variable: "PITLANE_DISK_OVERCOMMIT",
        value: "NUMBER",
        default: "100",
        help: "How many times the room left in the state folder may be promised to sandboxes' disks; 1 promises only what is there, 0 sets no bound",
        apply: |settings, text| set(&mut settings.disk_overcommit, text),
    },
    Setting {
        key: "sandboxes.first_id",
        flag: "first-id",
        variable: "PITLANE_FIRST_ID",
        value: "NUMBER",
        default: "2147483648",
        help: "First of the host's user ids that sandboxes get, 65,536 each; servers on one machine should not share them",
        apply: |settings, text| {
            let first = parse(text)?;
            if !FIRST_IDS.contains(&first) {
                return Err(format!("it is between {} and {}", FIRST_IDS.start(), FIRST_IDS.end()));
            }
            settings.first_id = first;
            Ok(())
        },
    },
    Setting {
        key: "sandboxes.max_cpu",
        flag: "max-cpu",
        variable: "PITLANE_MAX_CPU",
        value: "NUMBER",
        default: "4",
        help: "CPUs that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, positive(text)?, of.memory_gib(), of.disk_gib())
        },
    },
    Setting {
        key: "sandboxes.max_memory",
        flag: "max-memory",
        variable: "PITLANE_MAX_MEMORY",
        value: "GIB",
        default: "8",
        help: "Memory that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, of.cpu_count(), positive(text)?, of.disk_gib())
        },
    },
    Setting {
        key: "sandboxes.max_disk",
        flag: "max-disk",
        variable: "PITLANE_MAX_DISK",
        value: "GIB",
        default: "10",
        help: "Disk that one sandbox may ask for",
        apply: |settings, text| {
            let of = settings.maximum;
            limits(settings, of.cpu_count(), of.memory_gib(), positive(text)?)
        },
    },
    Setting {
        key: "sandboxes.target",
        flag: "target",
        variable: "PITLANE_TARGET",
        value: "NAME",
        default: "local",
        help: "Name of this machine as a region, for clients that show one",
        apply: |settings, text| {
            text.clone_into(&mut settings.target);
            Ok(())
        },
    },
];

fn limits(settings: &mut Settings, cpu: u32, memory: u32, disk: u32) -> Result<(), String> {
    let processes = settings.maximum.process_count();
    settings.maximum = Limits::new(cpu, memory, disk, processes).map_err(|why| why.to_string())?;
    Ok(())
}
