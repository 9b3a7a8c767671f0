//! A server that dies at each of the points that its source names.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Client;
use crate::ledger::{FILE, Ledger, Lost};
use crate::objects::ObjectStore;
use crate::server::{self, Server};
use crate::{traces, trial};

/// Points of volumes that only those pass that are files.
const OF_FILES: [&str; 5] =
    ["volume.drafted", "volume.looped", "volume.made", "volume.removed", "volume.template-drafted"];

/// One test for every point in the source, and another for those that both kinds of volumes pass.
pub(crate) fn trials() -> Vec<Trial> {
    let mut points = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut points);
    assert!(points.len() > 20, "where are the points? {points:?}");
    let has_family = |point: &str, families: &[&str]| {
        point.split_once('.').is_some_and(|(family, _)| families.contains(&family))
    };
    let mut trials = Vec::new();
    for point in points {
        let name = format!("dies_at::{point}");
        if has_family(&point, &["files", "objects"]) {
            trials.push(trial(&name, move || dies_at(&point, Some(&ObjectStore::start()))));
            continue;
        }
        if has_family(&point, &["volume", "volumes"]) && !OF_FILES.contains(&&*point) {
            let (name, point) = (format!("{name}::with_objects"), point.clone());
            trials.push(trial(&name, move || dies_at(&point, Some(&ObjectStore::start()))));
        }
        trials.push(trial(&name, move || dies_at(&point, None)));
    }
    trials
}

/// Finds the points in all source files of a folder.
fn collect(folder: &Path, points: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let name = entry.file_name();
            if name != "tests" && name != "fault" {
                collect(&path, points);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("pitlane_fault::point(\"").skip(1) {
                points.insert(part.split('"').next().unwrap().to_owned());
            }
        }
    }
}

/// What is done beside the plain life of sandboxes, keys and files.
struct Scope {
    contexts: bool,
    volumes: bool,
    snapshots: bool,
    builds: bool,
    pulls: bool,
}

impl Scope {
    /// What passes a point, or may do so. A point that nothing passes is told of by its test.
    fn of(point: &str) -> Self {
        let family = point.split('.').next().unwrap_or_default();
        let is = |families: &[&str]| families.contains(&family);
        let is_row_of = |what: &str| family == "store" && point.contains(what);
        let is_plain = is(&["archive", "create", "destroy", "first-key", "free"])
            || is(&[
                "key",
                "launch",
                "prepare",
                "resize",
                "restore",
                "rotate",
                "start",
                "state-file",
            ])
            || is(&["stop", "store", "wake"]);
        let is_later = family == "create-later";
        let is_special = is_later
            || is(&["attach", "build", "child", "context", "disk", "engine", "files", "image"])
            || is(&["launcher", "objects", "pull", "snapshot", "volume", "volumes"]);
        let is_unknown = !is_plain && !is_special;
        Self {
            contexts: is_unknown || is(&["context"]),
            volumes: is_unknown
                || is(&["attach", "child", "files", "launcher", "objects", "volume", "volumes"])
                || is_row_of("volume"),
            snapshots: is_unknown
                || is(&["build", "disk", "engine", "image", "snapshot"])
                || is_row_of("snapshot"),
            builds: is_unknown || is_later || is(&["build", "image", "snapshot"]),
            pulls: is_unknown || is_later || is(&["pull", "snapshot"]) || is_row_of("registry"),
        }
    }
}

/// Every operation that passes points, one after the other, until the server dies of one.
fn operate(
    client: &Client,
    ledger: &mut Ledger,
    scope: &Scope,
    objects: Option<&ObjectStore>,
) -> Result<(), Lost> {
    ledger.make_key(client, "first")?;
    ledger.make_key(client, "second")?;
    if scope.contexts {
        ledger.put_context(client, "whole", contents(300_000))?;
        ledger.put_context(client, "whole", contents(200_000))?;
        let parts = [contents(5 << 20), contents(6 << 20), contents(100)];
        ledger.put_context_in_parts(client, "parts", &parts)?;
    }
    if scope.volumes {
        ledger.make_volume(client, "volume")?;
        ledger.mount(client, "mounted", "volume", contents(100_000))?;
        ledger.change(client, "mounted", "stop", "stopped")?;
        ledger.change(client, "mounted", "start", "started")?;
        ledger.make_volume(client, "short-lived")?;
        if let Some(objects) = objects {
            objects.fill(client, "short-lived", 6)?;
        }
        ledger.delete_volume(client, "short-lived")?;
    }
    let id = ledger.create(client, "kept")?;
    ledger.upload(client, ("kept", &id), FILE, contents(200_000))?;
    ledger.rotate(client, ("kept", &id))?;
    ledger.preview(client, ("kept", &id))?;
    if scope.snapshots {
        ledger.snapshot(client, "kept", "taken")?;
        ledger.create_from(client, "copy", "taken")?;
        ledger.forget_snapshot(client, "taken")?;
        ledger.delete(client, "copy")?;
    }
    if scope.builds {
        ledger.build(client, "built")?;
        ledger.bake(client, "baked")?;
        ledger.delete(client, "built")?;
        ledger.forget_snapshot(client, "baked")?;
    }
    if scope.pulls {
        ledger.want(client, "unreachable")?;
        ledger.delete(client, "unreachable")?;
    }
    ledger.create(client, "other")?;
    ledger.change(client, "other", "stop", "stopped")?;
    if scope.snapshots {
        ledger.snapshot(client, "other", "rested")?;
        ledger.forget_snapshot(client, "rested")?;
    }
    ledger.change(client, "other", "start", "started")?;
    ledger.change(client, "other", "stop", "stopped")?;
    ledger.resize(client, "other", &json!({ "disk": 4 }))?;
    ledger.change(client, "other", "archive", "archived")?;
    ledger.change(client, "other", "start", "started")?;
    ledger.resize(client, "other", &json!({ "cpu": 2 }))?;
    ledger.change(client, "other", "stop", "stopped")?;
    ledger.create(client, "short")?;
    ledger.delete(client, "short")?;
    ledger.delete(client, "other")?;
    if scope.pulls {
        ledger.pull(client)?;
    }
    ledger.revoke_key(client, "second")
}

/// Bytes that differ from each other.
pub(crate) fn contents(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

/// Every sandbox that is tried dies, and each is told to have failed; the server goes on.
fn check_failure(server: &Server, ledger: &mut Ledger, worked: &Result<(), Lost>) {
    assert!(matches!(worked, Err(Lost::Failed(_))), "{worked:?}");
    assert!(!server.has_died());
    let said = ["process 1 failed", "cannot attach volumes", "cannot start what serves volume"];
    let log = server.log();
    assert!(said.iter().any(|said| log.contains(said)), "{}", server.last_words());
    // It says why it is not there, holds nothing, and can be deleted.
    let failed = server.client().get("/api/sandbox/mounted").unwrap().json();
    assert_eq!(failed["state"], "error");
    assert!(failed["errorReason"].as_str().is_some_and(|why| !why.is_empty()), "{failed}");
    traces::settle(server, &[], &[], &[]);
    ledger.clear_away(&server.client(), "mounted").unwrap();
}

fn dies_at(point: &str, objects: Option<&ObjectStore>) {
    let mut server = Server::new(0);
    if let Some(objects) = objects {
        objects.serve(&mut server);
    }
    let mut ledger = Ledger::default();
    let is_launcher = point.starts_with("launcher.");
    // A child dies: every sandbox's first process, or what puts volumes into one or serves them to it.
    let is_child = ["attach.", "child.", "files."].iter().any(|family| point.starts_with(family));
    let variables = [("PITLANE_DIE_AT", point)];
    let has_started = server.try_start(&variables);
    if has_started {
        let launcher = server.launcher();
        let worked = operate(&server.client(), &mut ledger, &Scope::of(point), objects);
        if is_child {
            check_failure(&server, &mut ledger, &worked);
            assert_eq!(launcher, server.launcher());
            // It would have every sandbox die that it makes.
            server::signal("KILL", launcher.expect("it runs"));
        } else if is_launcher {
            assert!(
                launcher != server.launcher() || server.log().contains("died and was replaced"),
                "no operation reaches {point}: let one ({worked:?})"
            );
        } else {
            crate::wait_until(&format!("some operation reaches {point}"), || server.has_died());
        }
        let ended = server.kill();
        assert_eq!(ended.signal(), Some(9));
    }
    server.forget_log();
    let left = traces::Traces::of(&server).disks;
    server.start();
    ledger.check(&server);
    crate::registries::check(&server);
    // What was there and is gone is named.
    let kept = server.client().sandboxes().unwrap();
    for disk in left {
        let id = disk.split('.').next().unwrap();
        let is_kept = kept.iter().any(|(_, kept, _)| kept == id);
        assert!(is_kept || server.log().contains(id), "{id} went without a word");
    }

    // What was put in order stays so.
    let before = (server.client().sandboxes().unwrap(), traces::Traces::of(&server));
    server.kill();
    server.start();
    ledger.check(&server);
    assert_eq!((server.client().sandboxes().unwrap(), traces::Traces::of(&server)), before);

    ledger.check_volumes(&server.client());
    if let Some(objects) = objects {
        objects.check(&server.client());
    }
    crate::registries::forget(&server);

    // Snapshots are whole or gone; without them nothing is left of their images.
    crate::ledger::forget_snapshots(&server.client()).unwrap();

    // What was stopped starts with what it had, every name can be used again, and no number is lost.
    let client = server.client();
    for (name, id, state) in client.sandboxes().unwrap() {
        if state != "started" && state != "error" {
            ledger.change(&client, &name, "start", "started").unwrap();
            assert!(client.execute(&id, "true").unwrap().is_success());
        }
        ledger.delete(&client, &name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    crate::volumes::forget(&server);
    if let Some(objects) = objects {
        objects.check(&server.client());
    }
    traces::free_of_images(&server);
    for name in ["kept", "other", "short"] {
        ledger.create(&client, name).unwrap();
    }
    let slots: BTreeSet<String> = (0..3).map(|slot| format!("slot-{slot}")).collect();
    assert_eq!(traces::Traces::of(&server).groups, slots);
    for name in ["kept", "other", "short"] {
        ledger.delete(&client, name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    server.terminate();
    traces::gone(&server);
}
