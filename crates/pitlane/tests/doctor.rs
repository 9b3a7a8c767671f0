//! `pitlane doctor` on this machine: needs root.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What doctor said, and the number of its process.
#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn doctor(folder: &Path, arguments: &[&str]) -> (Output, u32) {
    let state = folder.join("state");
    let child = Command::new(env!("CARGO_BIN_EXE_pitlane"))
        .args(["doctor", "--json", "--listen", "127.0.0.1:0", "--config", "/dev/null"])
        .arg("--state")
        .arg(&state)
        .arg("--image-cache")
        .arg(folder.join("images"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let process = child.id();
    (child.wait_with_output().expect("the program ends"), process)
}

/// The verdict of every check.
fn verdicts(output: &Output) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let checks = report["checks"].as_array().expect("checks");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    checks.iter().map(|check| (text(&check["name"]), text(&check["verdict"]))).collect()
}

#[test]
fn this_machine_can_make_sandboxes_and_doctor_leaves_nothing_behind() {
    assert!(
        rustix::process::geteuid().is_root(),
        "doctor tries what only root can\nhint: run the tests as root"
    );
    let folder = tempfile::tempdir().expect("a folder");
    // Any program for this processor that needs no libraries is as good as the daemon here: it is only looked at.
    let daemon = folder.path().join("daemon");
    let mut program = vec![0u8; 64];
    program.splice(..6, *b"\x7fELF\x02\x01");
    program.splice(18..20, 62u16.to_le_bytes());
    std::fs::write(&daemon, program).expect("a file");
    let daemon = daemon.to_str().expect("a legible path");
    let (output, process) = doctor(folder.path(), &["--daemon", daemon]);
    let mut found = verdicts(&output);
    // What differs from machine to machine and decides nothing.
    for name in ["room", "KVM", "kernel", "open files", "process numbers"] {
        assert!(found.remove(name).is_some(), "{name}");
    }
    // Version 2 of control groups alone has it.
    found.remove("moving processes");
    let good = [
        "root",
        "processor",
        "capabilities",
        "user namespaces",
        "namespaces",
        "system call filters",
        "programs in memory",
        "disks",
        "layers",
        "control groups",
        "nftables",
        "links",
        "port",
        "daemon",
    ];
    let expected: BTreeMap<String, String> = good
        .into_iter()
        .map(|name| (name.to_owned(), "ok".to_owned()))
        .chain(["uplink", "image"].map(|name| (name.to_owned(), "limited".to_owned())))
        .collect();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(0));

    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").expect("control groups").flatten();
    for hierarchy in hierarchies {
        let group = hierarchy.path().join(format!("pitlane-doctor-{process}"));
        assert!(!group.exists(), "{}", group.display());
    }
}

#[test]
fn what_is_missing_fails_with_a_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, _process) =
        doctor(folder.path(), &["--daemon", "/nowhere/daemon", "--image", "windows"]);
    assert_eq!(output.status.code(), Some(1));
    let found = verdicts(&output);
    let failed: Vec<&str> = found
        .iter()
        .filter(|(_, verdict)| *verdict == "failed")
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(failed, ["daemon", "image"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(r#""canMakeSandboxes":false"#), "{text}");
    assert!(text.contains("there is no recipe for it"), "{text}");
}

#[test]
fn a_report_has_what_a_maintainer_needs_and_nothing_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(state.join(name), text).expect("a file");
    write("admin-key", "dtn_verysecret\n");
    write("recent-trouble.log", "{\"level\":\"WARN\",\"message\":\"something went wrong\"}\n");
    let path = folder.path().join("report.txt");
    let report = format!("--report={}", path.display());
    let (output, _process) = doctor(folder.path(), &[&report, "--prepared", "5"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let text = std::fs::read_to_string(&path).expect("a report");
    let mode = std::fs::metadata(&path).expect("a report").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let titles: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let wanted = [
        "Versions",
        "Checks",
        "Settings",
        "Machine",
        "Disks",
        "State",
        "Recent trouble of the server",
        "Log of the launcher",
    ];
    assert_eq!(titles, wanted);
    for line in [
        &format!("pitlane: {} (debug)", env!("CARGO_PKG_VERSION")),
        "sandboxes.prepared: 5   (flag)",
        "sandboxes.max_cpu: 4   (default)",
        "a server runs: no",
        r#"{"level":"WARN","message":"something went wrong"}"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("verysecret"), "{text}");
    let (output, _process) = doctor(folder.path(), &["--report"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("## Checks"));
}
