//! Each of the processes killed while the others live.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Client;
use crate::ledger::{FILE, Ledger, settle};
use crate::points::contents;
use crate::server::{Server, signal};
use crate::{traces, trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("another_launcher_takes_the_place_of_one_that_is_killed", launcher_dies),
        trial("sandboxes_keep_their_network_when_server_and_launcher_are_killed", both_die),
        trial("a_sandbox_whose_daemon_is_killed_is_stopped_and_starts_again", daemon_dies),
        trial("commands_go_on_without_a_server_and_nothing_they_say_is_lost", server_dies),
        trial("a_frozen_sandbox_holds_up_nothing_but_itself", daemon_freezes),
    ]
}

fn result(client: &Client, id: &str, command: &str) -> String {
    let answer = client.execute(id, command).unwrap();
    assert!(answer.is_success(), "{}", answer.text());
    answer.json()["result"].as_str().unwrap().to_owned()
}

fn state(client: &Client, name: &str) -> String {
    let answer = client.get(&format!("/api/sandbox/{name}")).unwrap();
    answer.json()["state"].as_str().unwrap_or_default().to_owned()
}

/// Ends a server whose sandboxes are none's concern any more, and checks that nothing stays.
fn finish(server: &Server) {
    let client = server.client();
    for (name, ..) in client.sandboxes().unwrap() {
        assert!(client.delete(&format!("/api/sandbox/{name}")).unwrap().is_success());
    }
    traces::settle(server, &[], &[], &[]);
    server.terminate();
    traces::gone(server);
}

fn launcher_dies() {
    let server = Server::new(0);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    let id = ledger.create(&client, "before").unwrap();
    let boot = result(&client, &id, "cat /proc/1/stat");
    let old = server.launcher().expect("a launcher");
    signal("KILL", old);
    // Nothing that runs needs it.
    let started = |text: &str| text.split_whitespace().nth(21).map(str::to_owned);
    assert_eq!(started(&result(&client, &id, "cat /proc/1/stat")), started(&boot));
    // What needs one gets another.
    ledger.create(&client, "after").unwrap();
    wait_until("another launcher", || server.launcher().is_some_and(|new| new != old));
    assert!(
        server.log().contains("the launcher had died and was replaced"),
        "{}",
        server.last_words()
    );
    assert_eq!(client.get("/api/health/ready").unwrap().status, 200);
    ledger.change(&client, "before", "stop", "stopped").unwrap();
    ledger.change(&client, "before", "start", "started").unwrap();
    ledger.check(&server);
    // The next server finds both: one that its launcher knows and one that it does not.
    server.kill();
    server.start();
    ledger.check(&server);
    finish(&server);
}

fn both_die() {
    let server = Server::new(0);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    let open = ledger.create(&client, "open").unwrap();
    let isolated = client
        .post("/api/sandbox", &json!({ "name": "isolated", "networkBlockAll": true }))
        .unwrap();
    let isolated = isolated.json()["id"].as_str().unwrap().to_owned();
    let links = "ls /sys/class/net | tr '\\n' ' '; cat /sys/class/net/eth0/carrier";
    let before = (result(&client, &open, links), result(&client, &isolated, links));
    assert!(before.0.contains("eth0") && !before.1.contains("eth0 "), "{before:?}");
    signal("KILL", server.launcher().expect("a launcher"));
    server.kill();
    server.start();
    let client = server.client();
    assert_eq!((result(&client, &open, links), result(&client, &isolated, links)), before);
    assert!(server.log().contains("adopted a sandbox whose launcher has died"));
    finish(&server);
}

/// Process 1 of the only sandbox, as the host sees it.
fn first_process(server: &Server) -> u32 {
    let group = format!("/sys/fs/cgroup/pids/pitlane/{}/slot-0/cgroup.procs", server.id());
    let other = format!("/sys/fs/cgroup/pitlane/{}/slot-0/daemon/cgroup.procs", server.id());
    let text = std::fs::read_to_string(group).or_else(|_| std::fs::read_to_string(other)).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

fn daemon_dies() {
    let server = Server::new(0);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    let id = ledger.create(&client, "mortal").unwrap();
    ledger.upload(&client, ("mortal", &id), FILE, contents(100_000)).unwrap();
    signal("KILL", first_process(&server));
    wait_until("it is stopped", || state(&client, "mortal") == "stopped");
    wait_until("the log says how", || server.log().contains("\"exit\":\"Signal(9)\""));
    settle(&server);
    ledger.change(&client, "mortal", "start", "started").unwrap();
    ledger.check(&server);
    finish(&server);
}

fn daemon_freezes() {
    let server = Server::new(0);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    ledger.create(&client, "frozen").unwrap();
    signal("STOP", first_process(&server));
    // Neither another sandbox nor the next server waits for it.
    ledger.create(&client, "lively").unwrap();
    server.kill();
    let began = Instant::now();
    server.start();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let client = server.client();
    assert_eq!(state(&client, "frozen"), "started");
    // It has no ear for a request to end, so it is ended.
    ledger.change(&client, "frozen", "stop", "stopped").unwrap();
    ledger.change(&client, "frozen", "start", "started").unwrap();
    ledger.check(&server);
    finish(&server);
}

fn server_dies() {
    let mut server = Server::new(0);
    server.start();
    server.stay();
    let client = server.client();
    let id = Ledger::default().create(&client, "busy").unwrap();
    // One whose output is followed over the server's death, and one whose answer is asked for afterwards.
    let counting = "for i in $(seq 300); do echo line $i; sleep 0.01; done; exit 9";
    let followed = server.command(&["sandbox", "exec", "busy", "--", "sh", "-c", counting]);
    let silent = "sleep 1; echo said; exit 5";
    let request = json!({ "command": silent }).to_string();
    let path = format!("/toolbox/{id}/process/execute");
    let asked = client.open("POST", &path, "application/json", request.as_bytes()).unwrap();
    let kept = |client: &Client| -> Vec<(String, Option<i64>, String)> {
        let list = client.get(&format!("/toolbox/{id}/process/kept")).unwrap().json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        list.as_array()
            .unwrap()
            .iter()
            .map(|kept| (text(&kept["command"]), kept["exitCode"].as_i64(), text(&kept["request"])))
            .collect()
    };
    wait_until("both run", || kept(&client).len() == 2);
    server.kill();
    drop(asked);
    server.start();
    let ended = followed.wait_with_output().unwrap();
    let wanted: String = (1..=300).map(|line| format!("line {line}\n")).collect();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!((String::from_utf8(ended.stdout).unwrap(), ended.status.code()), (wanted, Some(9)));
    let client = server.client();
    wait_until("the other ends", || {
        kept(&client).iter().any(|(command, code, _)| command == silent && *code == Some(5))
    });
    let (.., name) = kept(&client).into_iter().find(|(command, ..)| command == silent).unwrap();
    let said = client.get(&format!("/toolbox/{id}/process/kept/{name}")).unwrap();
    assert_eq!(said.body, b"\x01\0\0\0\x05said\n\x03\0\0\0\x04\0\0\0\x05");
    finish(&server);
}
