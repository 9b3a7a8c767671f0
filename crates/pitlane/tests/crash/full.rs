//! A state folder whose disk is full.

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Client;
use crate::ledger::{FILE, Ledger};
use crate::points::contents;
use crate::server::Server;
use crate::small_disk::SmallDisk;
use crate::{small_disk, traces, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_full_disk_stops_what_writes_and_nothing_else", || small_disk::alone(full)),
        trial("no_more_disk_is_promised_than_the_operator_allows", overcommit),
    ]
}

fn full() {
    let disk = SmallDisk::of_mib(1500);
    let server = Server::in_folder(disk.folder(), 0);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    let id = ledger.create(&client, "kept").unwrap();
    ledger.upload(&client, ("kept", &id), FILE, contents(300_000)).unwrap();
    assert!(client.execute(&id, "sync").unwrap().is_success());
    ledger.make_key(&client, "first").unwrap();
    ledger.make_volume(&client, "volume").unwrap();
    ledger.mount(&client, "mounted", "volume", contents(300_000)).unwrap();
    let mounted = client.get("/api/sandbox/mounted").unwrap().json()["id"].clone();
    let mounted = mounted.as_str().unwrap();
    assert!(client.execute(mounted, "sync").unwrap().is_success());

    // Too little for another sandbox, enough for everything else.
    disk.leave(800);
    let refused = client.create("refused").unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("disk has no room"), "{}", refused.text());
    let ready = client.get("/api/health/ready").unwrap();
    assert!(ready.status == 503 && ready.text().contains("disk"), "{}", ready.text());
    let snapshot = json!({ "name": "refused" });
    let refused = client.post("/api/sandbox/kept/snapshot", &snapshot).unwrap();
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(refused.text().contains("disk has no room"), "{}", refused.text());
    assert_eq!(client.get("/api/snapshots/refused").unwrap().status, 404);
    let volume = client.post("/api/volumes", &json!({ "name": "no-room" })).unwrap();
    let reason = volume.json()["errorReason"].clone();
    assert_eq!(reason, "this machine's disk has no room for another volume", "{}", volume.text());
    ledger.delete_volume(&client, "no-room").unwrap();
    commands_say_so(&server);
    ledger.delete_volume(&client, "by-command").unwrap();
    ledger.make_key(&client, "second").unwrap();

    nothing_is_left(&client, &mut ledger, &disk, [&id, mounted]);

    // With room again everything works, and nobody had to help.
    disk.make_room();
    assert!(client.execute(&id, "rm -f $HOME/big").unwrap().is_success());
    // A volume may have been spoiled for those that had it; it is sound for those that come.
    ledger.change(&client, "mounted", "stop", "stopped").unwrap();
    crate::wait_until("nobody has it", || traces::Traces::of(&server).volumes.is_empty());
    ledger.change(&client, "mounted", "start", "started").unwrap();
    let write = "rm -f /data/big && head -c 1000000 /dev/urandom > /data/more && sync /data/more; echo code $?";
    assert_eq!(client.execute(mounted, write).unwrap().json()["result"], "code 0\n");
    let refused = client.get("/api/volumes/by-name/refused").unwrap();
    if refused.is_success() {
        ledger.delete_volume(&client, "refused").unwrap();
    }
    ledger.make_key(&client, "third").unwrap();
    ledger.create(&client, "after").unwrap();
    ledger.check(&server);
    server.kill();
    server.start();
    ledger.check(&server);
    let client = server.client();
    ledger.check_volumes(&client);
    for name in ["kept", "after", "mounted"] {
        ledger.delete(&client, name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    assert_eq!(traces::Traces::of(&server).images, Vec::<String>::new());
    server.terminate();
    traces::gone(&server);
    drop(server);
    disk.unmount();
}

/// What asks for room on the command line is refused in words, and by its exit code.
fn commands_say_so(server: &Server) {
    let commands: [(&[&str], &str); 3] = [
        (&["sandbox", "create", "--name", "refused"], "disk has no room for another sandbox"),
        (&["snapshot", "create", "kept", "refused"], "disk has no room"),
        (&["volume", "create", "by-command"], "disk has no room for another volume"),
    ];
    for (arguments, words) in commands {
        let ended = server.command(arguments).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}

/// Has keys made until none can be written any more: what is in the log already may take a few more.
pub(crate) fn write_until_refused(client: &Client, ledger: &mut Ledger) {
    let first = ledger.keys.len();
    let (name, refused) = (first..first + 2000)
        .find_map(|number| {
            let name = format!("n{number}");
            let request = json!({ "name": name, "permissions": ["write:sandboxes"] });
            let answer = client.post("/api/api-keys", &request).unwrap();
            if !answer.is_success() {
                return Some((name, answer));
            }
            let value = answer.json()["value"].as_str().unwrap().to_owned();
            ledger.keys.insert(name, value);
            None
        })
        .expect("a key that cannot be written is refused");
    assert!(refused.status >= 500, "{}", refused.text());
    let keys = client.get("/api/api-keys").unwrap();
    assert!(keys.is_success() && !keys.text().contains(&format!("\"{name}\"")), "{}", keys.text());
}

/// Fills the disk to its end: reading goes on, in sandboxes as well, and nothing is written.
fn nothing_is_left(
    client: &Client,
    ledger: &mut Ledger,
    disk: &SmallDisk,
    [id, mounted]: [&str; 2],
) {
    disk.fill_up();
    write_until_refused(client, ledger);
    assert!(!client.create("refused").unwrap().is_success());
    assert!(
        !client
            .post("/api/sandbox/kept/snapshot", &json!({ "name": "refused" }))
            .unwrap()
            .is_success()
    );
    // Reading goes on, and so do sandboxes; what they write fails there.
    assert_eq!(client.sandboxes().unwrap().len(), 2);
    assert!(client.download(id, FILE).unwrap().body == contents(300_000));
    let write = "dd if=/dev/zero of=$HOME/big bs=1M count=64 conv=fsync 2>&1; echo code $?";
    let wrote = client.execute(id, write).unwrap().json()["result"].as_str().unwrap().to_owned();
    assert!(wrote.contains("code 1"), "{wrote}");
    assert_eq!(client.execute(id, "echo works").unwrap().json()["result"], "works\n");
    // The same with volumes: none is made, and what is written to one fails.
    let made = client.post("/api/volumes", &json!({ "name": "refused" })).unwrap();
    assert_ne!(made.json()["state"], "ready", "{}", made.text());
    let write = write.replace("$HOME", "/data");
    let wrote = client.execute(mounted, &write).unwrap().json();
    assert!(wrote["result"].as_str().unwrap().contains("code 1"), "{wrote}");
}

fn overcommit() {
    let mut server = Server::new(0);
    let status = rustix::fs::statvfs(server.folder()).unwrap();
    let free_gib = ((status.f_bavail * status.f_frsize) >> 30).saturating_sub(1);
    server.say(&["--disk-overcommit", "1"]);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    // Each may write 3 GiB.
    let mut made = 0;
    let refused = loop {
        let answer = client.create(&format!("s{made}")).unwrap();
        if !answer.is_success() {
            break answer;
        }
        made += 1;
        assert!(made * 3 <= free_gib + 3, "{made} disks of 3 GiB in {free_gib} GiB");
    };
    assert!(
        refused.status == 503 && refused.text().contains("disk has no room"),
        "{}",
        refused.text()
    );
    assert!(made * 3 + 6 >= free_gib.saturating_sub(6), "only {made} in {free_gib} GiB");
    // Neither does a disk become larger than there is room for.
    assert!(client.post("/api/sandbox/s1/stop", &json!({})).unwrap().is_success());
    let grown = client.post("/api/sandbox/s1/resize", &json!({"disk": 10})).unwrap();
    assert!(grown.status == 507 && grown.text().contains("disk has no room"), "{}", grown.text());
    // One that goes makes room for another.
    ledger.delete(&client, "s0").unwrap();
    crate::wait_until("its room is free", || client.create("again").unwrap().is_success());
    for (name, ..) in client.sandboxes().unwrap() {
        ledger.delete(&client, &name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    server.terminate();
    traces::gone(&server);
}
