//! A server that is killed while a step of a build runs.

use libtest_mimic::Trial;
use serde_json::json;

use crate::server::Server;
use crate::traces::{self, Traces};
use crate::{trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("a_build_goes_on_after_every_kill_in_a_sandbox_of_its_own", steps_are_killed)]
}

/// How often the server is killed.
const KILLS: usize = 6;

fn steps_are_killed() {
    let server = Server::new(0);
    server.start();
    for number in 0..KILLS {
        let name = format!("built-{number}");
        let dockerfile = format!(
            "FROM minimal\nUSER root\nRUN echo first > /first\nRUN echo begun; sleep 0.5; echo {number} > /second\n"
        );
        let wish = json!({ "name": name, "buildInfo": { "dockerfileContent": dockerfile } });
        let client = server.client();
        let begun = client.post("/api/snapshots", &wish).unwrap();
        assert!(begun.is_success(), "{}", begun.text());
        let logs = format!("/api/snapshots/{name}/build-logs");
        wait_until("the step runs", || {
            client.get(&logs).is_ok_and(|answer| answer.text().contains("\nbegun\n"))
        });
        server.kill();
        server.start();
        let client = server.client();
        let show = || client.get(&format!("/api/snapshots/{name}")).unwrap().json();
        wait_until("the build ends", || {
            !matches!(show()["state"].as_str(), Some("pending" | "building"))
        });
        let built = show();
        assert_eq!(built["state"], "active", "{built}\n{}", server.last_words());
        let made = client.post("/api/sandbox", &json!({ "snapshot": name })).unwrap();
        assert!(made.is_success(), "{}", made.text());
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        let read = client.execute(&id, "cat /first /second").unwrap().json();
        assert_eq!(read["result"], format!("first\n{number}\n"));
        assert!(client.delete(&format!("/api/sandbox/{id}")).unwrap().is_success());
        let id = built["id"].as_str().expect("an id");
        assert!(client.delete(&format!("/api/snapshots/{id}")).unwrap().is_success());
    }
    // Neither the sandboxes that were left nor those that were made instead.
    traces::settle(&server, &[], &[], &[]);
    end(&server);
}

/// Ends a server without sandboxes, and checks that it left nothing but its state folder and finished steps.
pub(crate) fn end(server: &Server) {
    server.terminate();
    wait_until("the launcher ends", || server.launcher().is_none());
    let left = Traces { images: Vec::new(), ..Traces::of(server) };
    assert_eq!(left, Traces::default());
}
