//! What the process that reads archives can reach.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pitlane_image::UNPACK;

use crate::forge::Layer;
use crate::server::FIRST_ID;
use crate::trials;

trials![an_unpacker_has_nothing_but_its_folder];

#[expect(clippy::disallowed_methods, reason = "the process is looked at while it works")]
async fn an_unpacker_has_nothing_but_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(UNPACK)
        .arg(folder.path())
        .args([FIRST_ID.to_string(), (1u64 << 20).to_string(), "100".to_owned()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let archive = Layer::new().file("one", "1").archive();
    let mut input = child.stdin.take().unwrap();
    // The first entry is made before the rest has come: then it is shut in.
    input.write_all(&archive[..1024]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !folder.path().join("one").exists() {
        assert!(Instant::now() < deadline, "it makes nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let process = format!("/proc/{}", child.id());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line");
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let id = FIRST_ID.to_string();
    assert_eq!(of("Uid:"), vec![id.clone(); 4]);
    assert_eq!(of("Gid:"), vec![id; 4]);
    assert_eq!(of("Groups:"), Vec::<String>::new());
    assert_eq!(of("Seccomp:"), ["2"]);
    let capabilities = u64::from_str_radix(&of("CapEff:")[0], 16).unwrap();
    for forbidden in [12, 13, 16, 19, 21, 27, 38, 39] {
        assert_eq!(capabilities & (1 << forbidden), 0, "capability {forbidden}");
    }
    for namespace in ["user", "mnt", "net"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        let its = std::fs::read_link(format!("{process}/ns/{namespace}")).unwrap();
        assert_ne!(own, its, "{namespace}");
    }
    let mounts = std::fs::read_to_string(format!("{process}/mountinfo")).unwrap();
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains("nosuid,nodev,noexec"), "{mounts}");
    let seen = std::fs::read_dir(format!("{process}/root")).unwrap();
    let seen: Vec<_> = seen.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(seen, ["one"]);
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max address space").contains(" 1073741824 "), "{limits}");
    assert!(limit("Max processes").contains(" 1 "), "{limits}");
    input.write_all(&archive[1024..]).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("one")).unwrap(), "1");
}
