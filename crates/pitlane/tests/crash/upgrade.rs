//! An old build replaced by a new one while sandboxes work.
//!
//! The old build is the one that `PITLANE_OLDER` and `PITLANE_OLDER_DAEMON` name. Without them it is a copy of the one
//! under test whose version says 0.0.9, in the server and in the daemon: another file, so that the launcher is another
//! build's, and another answer to who it is, but no other protocol. What an older protocol looks like is written down in
//! the tests of `wire::handshake` and of the engine's launcher, which fail when it changes.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Client;
use crate::ledger::Ledger;
use crate::server::Server;
use crate::{traces, trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("an_upgrade_interrupts_no_command_of_a_hundred_sandboxes", upgrade)]
}

const SANDBOXES: usize = 100;
const NEW: &str = env!("CARGO_PKG_VERSION");
const OLD: &str = "0.0.9";

/// A build that servers and sandboxes have before the upgrade.
struct Build {
    program: PathBuf,
    daemon: PathBuf,
    version: String,
}

/// The build that the operator of the tests names, else one made up in `folder`.
fn old_build(server: &Server, folder: &Path) -> Build {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let Some(program) = named("PITLANE_OLDER") else {
        return Build {
            program: older(server.program(), folder, "pitlane"),
            daemon: older(&server.daemon(), folder, "pitlane-daemon"),
            version: OLD.to_owned(),
        };
    };
    let said = std::process::Command::new(&program).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let version = said.split_whitespace().nth(1).unwrap().to_owned();
    let daemon = named("PITLANE_OLDER_DAEMON").expect("the older build's daemon");
    Build { program, daemon, version }
}

/// A copy of a program that says it is older.
fn older(program: &Path, folder: &Path, name: &str) -> PathBuf {
    let mut bytes = std::fs::read(program).unwrap();
    assert_eq!(NEW.len(), OLD.len());
    let places: Vec<usize> = (0..bytes.len() - NEW.len())
        .filter(|place| bytes[*place..].starts_with(NEW.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{} does not say which version it is", program.display());
    for place in places {
        bytes[place..place + OLD.len()].copy_from_slice(OLD.as_bytes());
    }
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

fn version(client: &Client, id: &str) -> String {
    let answer = client.get(&format!("/toolbox/{id}/version")).unwrap();
    answer.json()["version"].as_str().unwrap_or_default().to_owned()
}

fn upgrade() {
    let builds = tempfile::tempdir().unwrap();
    let mut server = Server::new(0);
    let (program, daemon) = (server.program().to_owned(), server.daemon());
    let old = old_build(&server, builds.path());
    server.become_program(old.program.clone());
    server.use_daemon(&old.daemon);
    server.start();
    let old_launcher = server.launcher().expect("a launcher");
    let client = server.client();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|maker| {
                let client = &client;
                let make = move || -> Vec<String> {
                    (0..SANDBOXES / 4)
                        .map(|number| {
                            let name = format!("s{maker}-{number}");
                            Ledger::default().create(client, &name).expect("a sandbox")
                        })
                        .collect()
                };
                scope.spawn(make)
            })
            .collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(version(&client, &ids[0]), old.version);
    // One command in each, which only ends when it is told to.
    let command = "echo begun; while [ ! -e /tmp/go ]; do sleep 0.2; done; echo ended; exit 4";
    let request = json!({ "command": command }).to_string();
    let running: Vec<_> = ids
        .iter()
        .map(|id| {
            let path = format!("/toolbox/{id}/process/execute");
            client.open("POST", &path, "application/json", request.as_bytes()).unwrap()
        })
        .collect();
    let kept = |client: &Client, id: &str| {
        let list = client.get(&format!("/toolbox/{id}/process/kept")).unwrap().json();
        list.as_array()?.iter().find(|kept| kept["command"] == command).cloned()
    };
    for id in &ids {
        wait_until("it runs", || kept(&client, id).is_some());
    }

    server.terminate();
    drop(running);
    server.become_program(program);
    server.use_daemon(&daemon);
    server.start();
    let client = server.client();
    assert_eq!(server.launcher(), Some(old_launcher), "it is the parent of all that run");
    for id in &ids {
        assert_eq!(version(&client, id), old.version, "the old daemon stays with its sandbox");
        assert!(client.execute(id, "touch /tmp/go").unwrap().is_success());
    }
    for id in &ids {
        let mut record = json!(null);
        wait_until("it ends", || {
            record = kept(&client, id).unwrap_or_default();
            record["isOver"] == true
        });
        assert_eq!(record["exitCode"], 4, "{record}");
        let name = record["request"].as_str().unwrap();
        let said = client.get(&format!("/toolbox/{id}/process/kept/{name}")).unwrap().body;
        let said: Vec<u8> = said.into_iter().filter(u8::is_ascii_alphabetic).collect();
        assert_eq!(String::from_utf8(said).unwrap(), "begunended");
    }
    // Stopping and starting brings the new daemon.
    let mut ledger = Ledger::default();
    ledger.change(&client, &ids[0], "stop", "stopped").unwrap();
    ledger.change(&client, &ids[0], "start", "started").unwrap();
    assert_eq!(version(&client, &ids[0]), NEW);
    for (name, ..) in client.sandboxes().unwrap() {
        ledger.delete(&client, &name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    // With nothing that runs, the next start has a launcher of its own build.
    server.kill();
    server.start();
    assert!(server.launcher().is_some_and(|launcher| launcher != old_launcher));
    server.terminate();
    traces::gone(&server);
}
