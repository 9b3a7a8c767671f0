//! A disk that gets full in the middle of a pull, of a build, of a snapshot of a sandbox.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::client::Client;
use crate::full::write_until_refused;
use crate::ledger::{FILE, Ledger};
use crate::points::contents;
use crate::registries::Halting;
use crate::server::{Server, signal};
use crate::small_disk::{SmallDisk, alone};
use crate::traces::{self, Traces};
use crate::{trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_disk_that_gets_full_in_a_pull_keeps_the_image_away_until_there_is_room", || {
            alone(pull);
        }),
        trial("a_disk_that_gets_full_in_a_build_leaves_no_step_that_is_not_whole", || {
            alone(build);
        }),
        trial("a_disk_that_gets_full_in_a_snapshot_leaves_the_sandbox_and_no_snapshot", || {
            alone(snapshot);
        }),
    ]
}

/// A server on a small disk, with a sandbox that must not notice.
struct Scene {
    server: Server,
    client: Client,
    ledger: Ledger,
    kept: String,
    /// Dropped last: everything is on it.
    disk: SmallDisk,
}

impl Scene {
    fn begin(mib: u64, registry: Option<&Halting>) -> Self {
        let disk = SmallDisk::of_mib(mib);
        let mut server = Server::in_folder(disk.folder(), 0);
        if let Some(registry) = registry {
            server.ask_registry(&registry.name);
        }
        server.start();
        let client = server.client();
        let mut ledger = Ledger::default();
        let kept = ledger.create(&client, "kept").unwrap();
        ledger.upload(&client, ("kept", &kept), FILE, contents(300_000)).unwrap();
        assert!(client.execute(&kept, "sync").unwrap().is_success());
        Self { server, client, ledger, kept, disk }
    }

    /// Fills the disk until not even the database can be written.
    fn fill(&mut self) {
        self.disk.fill_up();
        write_until_refused(&self.client, &mut self.ledger);
    }

    /// What needs no room works.
    fn goes_on(&self) {
        assert!(self.client.download(&self.kept, FILE).unwrap().body == contents(300_000));
        let said = self.client.execute(&self.kept, "echo works").unwrap().json();
        assert_eq!(said["result"], "works\n");
        assert!(self.client.sandboxes().unwrap().iter().any(|(name, ..)| name == "kept"));
    }

    fn show(&self, snapshot: &str) -> Value {
        self.client.get(&format!("/api/snapshots/{snapshot}")).unwrap().json()
    }

    /// Waits until a snapshot is in a state, also in what is written down.
    fn until(&self, snapshot: &str, state: &str) -> Value {
        wait_until(&format!("{snapshot} is {state}"), || {
            let listed = self.client.get("/api/snapshots?limit=200").unwrap().json();
            let items = listed["items"].as_array().cloned().unwrap_or_default();
            items.iter().any(|item| item["name"] == snapshot && item["state"] == state)
        });
        let shown = self.show(snapshot);
        assert_eq!(shown["state"], state, "{shown}");
        shown
    }

    fn forget(&self, snapshot: &str) {
        let id = self.show(snapshot)["id"].as_str().expect("an id").to_owned();
        let deleted = self.client.delete(&format!("/api/snapshots/{id}")).unwrap();
        assert!(deleted.is_success(), "{}", deleted.text());
    }

    /// Checks that nothing is lost, with this server and the next one, deletes everything and checks that nothing is left.
    /// Finished steps of builds stay, as many as `steps` says.
    fn end(self, steps: usize) {
        let Self { disk, server, mut ledger, .. } = self;
        ledger.check(&server);
        server.kill();
        server.start();
        ledger.check(&server);
        let client = server.client();
        for (name, ..) in client.sandboxes().unwrap() {
            ledger.delete(&client, &name).unwrap();
        }
        traces::settle(&server, &[], &[], &[]);
        wait_until("images are gone", || {
            let left = Traces::of(&server).images;
            left.iter().filter(|name| name.starts_with("made-")).count() == steps
                && !left.iter().any(|name| name.contains(".copying-") || name.contains(".doomed-"))
        });
        crate::builds::end(&server);
        drop(server);
        disk.unmount();
    }
}

fn pull() {
    let registry = Halting::start();
    let mut scene = Scene::begin(1700, Some(&registry));
    let image = format!("{}/app:1", registry.name);
    let wish = json!({ "name": "pulled", "imageName": image });
    let begun = scene.client.post("/api/snapshots", &wish).unwrap();
    assert_eq!(begun.json()["state"], "pulling", "{}", begun.text());
    registry.is_half_way();
    scene.fill();
    registry.go_on();
    let no_room = format!("this machine's disk has no room for image {image}");
    wait_until("the pull ends", || scene.show("pulled")["state"] != "pulling");
    let failed = scene.show("pulled");
    assert_eq!((&failed["state"], &failed["errorReason"]), (&json!("error"), &json!(no_room)));
    scene.goes_on();
    let cache = scene.server.images();
    let pull = |server: &Server| {
        let words = ["image", "pull", "--registry-plain", &registry.name, &image, "--image-cache"];
        let command = server.command(&[&words[..], &[cache.to_str().unwrap()]].concat());
        command.wait_with_output().unwrap()
    };
    let refused = pull(&scene.server);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("0 MiB left"), "{said}");
    let layers = || -> Vec<String> {
        let entries = std::fs::read_dir(cache.join("layers")).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    assert!(!layers().iter().any(|name| name.starts_with(".unpacking")), "{:?}", layers());

    scene.disk.make_room();
    // What happened is written down without anybody's doing.
    scene.until("pulled", "error");
    let id = failed["id"].as_str().unwrap();
    let activated = scene.client.post(&format!("/api/snapshots/{id}/activate"), &json!({}));
    assert!(activated.unwrap().is_success());
    scene.until("pulled", "active");
    scene.forget("pulled");
    assert!(pull(&scene.server).status.success());
    let words = ["image", "rm", &image, "--image-cache", cache.to_str().unwrap()];
    let removed = scene.server.command(&words).wait_with_output().unwrap();
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    assert!(!layers().iter().any(|name| name.len() == 64), "{:?}", layers());
    scene.end(0);
}

/// A step that writes until it cannot any more, and then ends in some way.
fn filling(end: &str) -> String {
    format!(
        "FROM minimal\nUSER root\nRUN echo kept > /kept && sync /kept\nRUN echo filling; i=0; \
         while i=$((i+1)); head -c 1M /dev/urandom > /file.$i && sync /file.$i; do :; done; {end}\n"
    )
}

fn build() {
    let mut scene = Scene::begin(1700, None);
    // One that notices, and one that does not look whether it has written what it wrote.
    let builds = [("notices", "exit 3", "exit code 3"), ("ignores", "exit 0", "no room")];
    for (name, end, reason) in builds {
        let wish = json!({ "name": name, "buildInfo": { "dockerfileContent": filling(end) } });
        let begun = scene.client.post("/api/snapshots", &wish).unwrap();
        assert!(begun.is_success(), "{}", begun.text());
        let logs = format!("/api/snapshots/{name}/build-logs");
        wait_until("the step writes", || {
            scene.client.get(&logs).is_ok_and(|answer| answer.text().contains("\nfilling\n"))
        });
        scene.fill();
        wait_until("the build ends", || scene.show(name)["state"] != "building");
        let failed = scene.show(name);
        assert_eq!(failed["state"], "build_failed", "{failed}");
        let said = failed["errorReason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{failed}");
        scene.goes_on();
        scene.disk.make_room();
        scene.until(name, "build_failed");
        scene.forget(name);
        traces::settle(&scene.server, &[scene.kept.clone()], &[], &[]);
    }

    // Refused from the start, in words on the command line as well.
    scene.disk.leave(900);
    let folder = tempfile::tempdir().unwrap();
    let again =
        "FROM minimal\nUSER root\nRUN echo kept > /kept && sync /kept\nRUN cat /kept > /copy\n";
    std::fs::write(folder.path().join("Dockerfile"), again).unwrap();
    let words = ["image", "build", "--tag", "whole", folder.path().to_str().unwrap()];
    let refused = scene.server.command(&words).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("no room for the build"), "{said}");

    // With room it goes on after the steps that were finished, and those are whole.
    scene.disk.make_room();
    let built = scene.server.command(&words).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success() && said.contains("CACHED"), "{said}");
    scene.ledger.create_from(&scene.client, "of-it", "whole").unwrap();
    let id = scene.client.get("/api/sandbox/of-it").unwrap().json()["id"].clone();
    let read = scene.client.execute(id.as_str().unwrap(), "cat /kept /copy").unwrap().json();
    assert_eq!(read["result"], "kept\nkept\n");
    scene.ledger.delete(&scene.client, "of-it").unwrap();
    scene.forget("whole");
    scene.end(2);
}

/// How much the sandbox holds of which the snapshot is.
const HELD_MIB: usize = 256;

fn snapshot() {
    let mut scene = Scene::begin(2200, None);
    let write = format!(
        "head -c {HELD_MIB}M /dev/urandom > ~/large && sync && sha256sum < ~/large > ~/sum && sync"
    );
    assert_eq!(scene.client.execute(&scene.kept, &write).unwrap().json()["exitCode"], 0);
    let refused = in_the_middle(&mut scene);
    assert_eq!(refused.0, 507, "{}", refused.1);
    assert!(refused.1.contains("disk has no room"), "{}", refused.1);
    let sandbox = scene.client.get("/api/sandbox/kept").unwrap().json();
    assert_eq!(sandbox["state"], "started", "{sandbox}");
    scene.goes_on();
    scene.disk.make_room();
    wait_until("nothing of the snapshot is left", || {
        scene.client.get("/api/snapshots/taken").unwrap().status == 404
    });
    // It writes again, and a snapshot holds what it held.
    let kept = scene.kept.clone();
    let wrote = scene.client.execute(&kept, "echo more > ~/more && sync ~/more").unwrap().json();
    assert_eq!(wrote["exitCode"], 0, "{wrote}");
    scene.ledger.snapshot(&scene.client, "kept", "taken").unwrap();
    scene.ledger.create_from(&scene.client, "copy", "taken").unwrap();
    let copy = scene.client.get("/api/sandbox/copy").unwrap().json()["id"].clone();
    let look = "test \"$(sha256sum < ~/large)\" = \"$(cat ~/sum)\" && cat ~/more";
    let looked = scene.client.execute(copy.as_str().unwrap(), look).unwrap().json();
    assert_eq!(looked["result"], "more\n", "{looked}");
    scene.ledger.delete(&scene.client, "copy").unwrap();
    scene.ledger.forget_snapshot(&scene.client, "taken").unwrap();
    scene.end(0);
}

/// Has the disk get full while a snapshot is copied, and answers what was said of that.
fn in_the_middle(scene: &mut Scene) -> (u16, String) {
    for _attempt in 0..10 {
        let client = scene.client.clone();
        let taking = std::thread::spawn(move || {
            client.post("/api/sandbox/kept/snapshot", &json!({ "name": "taken" })).unwrap()
        });
        let began = Instant::now();
        while !taking.is_finished() && !copies(&scene.server) {
            assert!(began.elapsed() < Duration::from_secs(30), "no copy is begun");
            std::thread::yield_now();
        }
        // The server stands still until there is no room.
        signal("STOP", scene.server.pid());
        scene.disk.fill_up();
        signal("CONT", scene.server.pid());
        let answer = taking.join().unwrap();
        if !answer.is_success() {
            return (answer.status, answer.text());
        }
        // It was over already.
        scene.disk.make_room();
        let made = scene.show("taken");
        assert_eq!(made["state"], "active", "{made}");
        scene.forget("taken");
        traces::free_of_images(&scene.server);
    }
    panic!("no snapshot is slow enough to be met in the middle");
}

/// Whether something of a copy of a disk is there.
fn copies(server: &Server) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(server.images().join("layers")).into_iter().flatten().flatten();
    let is_copy = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(".copying-")
            && entry.metadata().is_ok_and(|copy| copy.blocks() > 0)
    };
    entries.into_iter().any(|entry| is_copy(&entry))
}
