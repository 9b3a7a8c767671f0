//! Processes that are killed in the middle of a snapshot of a running sandbox.

use std::io;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::{Answer, Client};
use crate::ledger::{FILE, Ledger, forget_snapshots};
use crate::points::contents;
use crate::server::{Server, signal};
use crate::{traces, trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_snapshot_is_whole_though_the_launcher_is_killed_meanwhile", launcher_dies),
        trial("a_sandbox_goes_on_when_server_and_launcher_are_killed_in_a_snapshot", both_die),
    ]
}

/// How often a snapshot is begun until one is met in the middle.
const TRIES: usize = 20;

/// Starts a server with a sandbox `taken` that takes a moment to copy, and one beside it.
fn start(server: &Server, ledger: &mut Ledger) -> Client {
    server.start();
    let client = server.client();
    let id = ledger.create(&client, "taken").unwrap();
    ledger.create(&client, "beside").unwrap();
    ledger.upload(&client, ("taken", &id), FILE, contents(200_000)).unwrap();
    let filled = client.execute(&id, "head -c 300000000 /dev/urandom > ~/large").unwrap().json();
    assert_eq!(filled["exitCode"], 0, "{filled}");
    client
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Stops all threads of a process.
fn stop(process: u32) {
    signal("STOP", process);
    wait_until("it is stopped", || {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let mut states = threads.filter_map(|thread| {
            let line = std::fs::read_to_string(thread.path().join("stat")).ok()?;
            line.rsplit(") ").next()?.chars().next()
        });
        states.all(|state| state == 'T')
    });
}

/// Has a snapshot begun, and kills while the sandbox's disk stands still for it and the server is stopped. Answers what
/// the snapshot is called and what its caller was told.
fn in_the_middle(
    server: &Server,
    ledger: &mut Ledger,
    kill: impl Fn(),
) -> (String, io::Result<Answer>) {
    let marks = server.state().join("disks/frozen");
    for number in 0..TRIES {
        let name = format!("try-{number}");
        let (client, wish) = (server.client(), json!({ "name": name }));
        let asked = std::thread::spawn(move || client.post("/api/sandbox/taken/snapshot", &wish));
        wait_until("its disk stands still", || !is_empty(&marks) || asked.is_finished());
        let process = server.pid();
        stop(process);
        let is_met = !is_empty(&marks);
        if is_met {
            kill();
        }
        signal("CONT", process);
        let answer = asked.join().unwrap();
        if is_met {
            return (name, answer);
        }
        assert!(answer.unwrap().is_success());
        ledger.forget_snapshot(&server.client(), &name).unwrap();
    }
    panic!("no snapshot was met in the middle");
}

/// Checks that a snapshot has what the sandbox had.
fn check_copy(client: &Client, ledger: &mut Ledger, snapshot: &str) {
    let copy = format!("of-{snapshot}");
    ledger.create_from(client, &copy, snapshot).unwrap();
    let found = client.get(&format!("/api/sandbox/{copy}")).unwrap().json();
    let id = found["id"].as_str().expect("an id");
    assert!(client.download(id, FILE).unwrap().body == contents(200_000), "{snapshot}");
    let sizes = client.execute(id, "stat -c %s ~/large").unwrap().json();
    assert_eq!(sizes["result"], "300000000\n");
    ledger.delete(client, &copy).unwrap();
}

/// What is there goes on as if nothing had been: sandboxes are written to, stop and start, and have snapshots taken.
fn check_all(server: &Server, ledger: &mut Ledger) {
    ledger.check(server);
    let client = server.client();
    let id = client.get("/api/sandbox/taken").unwrap().json()["id"].as_str().unwrap().to_owned();
    ledger.upload(&client, ("taken", &id), "/home/daytona/later", contents(1000)).unwrap();
    ledger.snapshot(&client, "taken", "next").unwrap();
    check_copy(&client, ledger, "next");
    for name in ["beside", "taken"] {
        ledger.change(&client, name, "stop", "stopped").unwrap();
        ledger.change(&client, name, "start", "started").unwrap();
    }
    ledger.check(server);
    server.kill();
    server.start();
    ledger.check(server);
    forget_snapshots(&server.client()).unwrap();
    ledger.snapshots.clear();
    for name in ["beside", "taken"] {
        ledger.delete(&server.client(), name).unwrap();
    }
    traces::settle(server, &[], &[], &[]);
    traces::free_of_images(server);
    server.terminate();
    traces::gone(server);
}

fn launcher_dies() {
    let server = Server::new(0);
    let mut ledger = Ledger::default();
    let client = start(&server, &mut ledger);
    let old = server.launcher().expect("a launcher");
    let (name, answer) = in_the_middle(&server, &mut ledger, || {
        signal("KILL", old);
        wait_until("it is dead", || server.launcher().is_none());
    });
    let answer = answer.unwrap();
    assert!(answer.is_success(), "{}:\n{}", answer.text(), server.last_words());
    ledger.snapshots.insert(name.clone());
    check_copy(&client, &mut ledger, &name);
    wait_until("another launcher", || server.launcher().is_some_and(|new| new != old));
    check_all(&server, &mut ledger);
}

fn both_die() {
    let server = Server::new(0);
    let mut ledger = Ledger::default();
    start(&server, &mut ledger);
    let (_, answer) = in_the_middle(&server, &mut ledger, || {
        signal("KILL", server.launcher().expect("a launcher"));
        signal("KILL", server.pid());
    });
    assert!(answer.is_err(), "nobody is left to answer");
    server.kill();
    server.start();
    assert!(server.log().contains("a snapshot was interrupted"), "{}", server.last_words());
    check_all(&server, &mut ledger);
}
