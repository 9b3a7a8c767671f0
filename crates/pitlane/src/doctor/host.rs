//! The machine and this process' rights on it.

use std::fs;

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities as own_capabilities};

use super::check::Check;

/// Layers of an overlay can be mounts without a place from here on.
const KERNEL: (u32, u32) = (6, 15);

/// What the launcher and the engine need of root's rights.
const CAPABILITIES: [(CapabilitySet, &str); 11] = [
    (CapabilitySet::SYS_ADMIN, "SYS_ADMIN"),
    (CapabilitySet::NET_ADMIN, "NET_ADMIN"),
    (CapabilitySet::CHOWN, "CHOWN"),
    (CapabilitySet::DAC_OVERRIDE, "DAC_OVERRIDE"),
    (CapabilitySet::FOWNER, "FOWNER"),
    (CapabilitySet::KILL, "KILL"),
    (CapabilitySet::MKNOD, "MKNOD"),
    (CapabilitySet::SETGID, "SETGID"),
    (CapabilitySet::SETPCAP, "SETPCAP"),
    (CapabilitySet::SETUID, "SETUID"),
    (CapabilitySet::SYS_CHROOT, "SYS_CHROOT"),
];

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

pub(super) fn root() -> Check {
    if is_root() {
        Check::good("root", "this process is root's")
    } else {
        let detail = format!("this process is user {}'s", geteuid().as_raw());
        Check::bad("root", detail, "run the same command with sudo")
    }
}

pub(super) fn capabilities() -> Check {
    let name = "capabilities";
    let effective = match own_capabilities(None) {
        Ok(sets) => sets.effective,
        Err(errno) => {
            return Check::bad(name, format!("cannot be read: {errno}"), "use a newer kernel");
        }
    };
    let missing: Vec<&str> = CAPABILITIES
        .into_iter()
        .filter(|(capability, _)| !effective.contains(*capability))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Check::good(name, "all that are needed");
    }
    let detail = format!("this root lacks {}", missing.join(", "));
    Check::bad(name, detail, "run outside of containers, or give the container these capabilities")
}

pub(super) fn processor() -> Check {
    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
    if machine == "x86_64" {
        Check::good("processor", machine)
    } else {
        Check::bad("processor", machine, "use a machine with an x86-64 processor")
    }
}

pub(super) fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let detail = format!("Linux {release}");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= KERNEL => {
            Check::good("kernel", detail)
        }
        // Distributions bring features to older kernels: whether layers work decides, not the number.
        _ => Check::limited(
            "kernel",
            detail,
            format!("if \"layers\" fails, use Linux {}.{} or newer", KERNEL.0, KERNEL.1),
        ),
    }
}

/// A capability is believed after it worked once; nothing uses this one yet, so nothing is tried.
pub(super) fn virtualization() -> Check {
    let opened = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let detail = match opened {
        Ok(_device) => "/dev/kvm opens; whether it can start a machine was not tried".to_owned(),
        Err(cause) => format!("/dev/kvm: {cause}"),
    };
    Check::unused("KVM", detail)
}
