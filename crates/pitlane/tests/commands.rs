//! The commands as a person types them, against a server whose sandboxes are made up: no root needed.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;

use program::{Server, outcome, pitlane};

const NOT_REAL: &str = "this sandbox is not real\n";

#[test]
fn a_sandbox_is_created_listed_shown_used_and_deleted() {
    let server = Server::fake();
    let created = server.run(
        &["sandbox", "create", "--name", "build", "--label", "a=1", "--env", "TOKEN=secret"],
        "",
    );
    let id = created.1.trim().to_owned();
    assert_eq!((created.0, id.len()), (0, 36), "{created:?}");

    assert_eq!(
        server.run(&["sandbox", "ls", "--quiet", "--label", "a=1"], ""),
        outcome(0, &format!("{id}\n"), "")
    );
    assert_eq!(server.run(&["sandbox", "ls", "--quiet", "--label", "a=2"], ""), outcome(0, "", ""));
    let shown = server.run(&["sandbox", "info", "build"], "");
    assert!(shown.1.contains("TOKEN") && !shown.1.contains("secret"), "{shown:?}");
    let shown = server.run(&["--json", "sandbox", "info", "build"], "");
    let shown: serde_json::Value = serde_json::from_str(&shown.1).unwrap();
    assert_eq!(
        (shown["id"].as_str(), shown["state"].as_str()),
        (Some(id.as_str()), Some("started"))
    );

    let ran = server.run(&["sandbox", "exec", "build", "--", "echo", "a b", "$HOME"], "");
    assert_eq!(ran, outcome(0, "echo 'a b' '$HOME'\n", NOT_REAL));
    assert_eq!(
        server.run(&["sandbox", "exec", "build", "--", "exit", "7"], ""),
        outcome(7, "exit 7\n", NOT_REAL)
    );

    assert_eq!(server.run(&["sandbox", "rm", "build"], ""), outcome(0, &format!("{id}\n"), ""));
    assert_eq!(server.run(&["sandbox", "ls", "--json"], ""), outcome(0, "[]\n", ""));
}

#[test]
fn a_program_runs_in_a_sandbox_that_is_gone_afterwards() {
    let server = Server::fake();
    assert_eq!(server.run(&["run", "-"], "exit 3"), outcome(3, "exit 3\n", NOT_REAL));
    let ran = server.run(&["run", "--json", "-"], "print()");
    let ran: serde_json::Value = serde_json::from_str(&ran.1).unwrap();
    assert_eq!((&ran["exitCode"], &ran["stdout"]), (&0.into(), &"print()\n".into()));
    assert_eq!(server.run(&["sandbox", "ls", "--json"], ""), outcome(0, "[]\n", ""));
}

#[test]
fn a_key_is_seen_once_works_and_stops_working_when_revoked() {
    let server = Server::fake();
    let made = server.run(&["key", "create", "ci"], "");
    assert_eq!((made.0, made.2.as_str()), (0, "keep it: it cannot be shown again\n"));
    let key = made.1.trim();
    let listed = server.run(&["key", "ls"], "");
    assert!(listed.1.contains("ci ") && !listed.1.contains(key), "{listed:?}");

    let list = || server.run_with(&[("PITLANE_API_KEY", key)], &["sandbox", "ls", "--json"], "");
    assert_eq!(list(), outcome(0, "[]\n", ""));
    assert_eq!(server.run(&["key", "rm", "ci"], ""), outcome(0, "ci\n", ""));
    let refused = list();
    assert_eq!(refused.0, 1, "{refused:?}");
    assert!(
        refused.2.contains("\nhint: the server does not know the key: set PITLANE_API_KEY"),
        "{refused:?}"
    );
}

#[test]
fn what_is_not_there_has_its_own_exit_code_unless_a_programs_code_is_passed_on() {
    let server = Server::fake();
    let said = "error: Sandbox with ID or name nope not found\n";
    assert_eq!(server.run(&["sandbox", "info", "nope"], ""), outcome(4, "", said));
    assert_eq!(server.run(&["sandbox", "rm", "nope"], ""), outcome(4, "", said));
    assert_eq!(server.run(&["sandbox", "exec", "nope", "--", "true"], ""), outcome(125, "", said));
}

#[test]
fn where_nobody_listens_a_command_says_what_to_do() {
    let url = "http://127.0.0.1:1/api";
    let refused = pitlane(&[("PITLANE_API_KEY", "k")], &["--api-url", url, "sandbox", "ls"], "");
    assert_eq!((refused.0, refused.1.as_str()), (3, ""));
    assert!(refused.2.starts_with("error: cannot reach http://127.0.0.1:1/api\n"), "{refused:?}");
    assert!(refused.2.contains("\nhint: is the server running?"), "{refused:?}");

    let empty = tempfile::tempdir().unwrap();
    let lost =
        pitlane(&[("PITLANE_STATE", empty.path().to_str().unwrap())], &["sandbox", "ls"], "");
    assert_eq!(lost.0, 2);
    assert!(lost.2.contains("\nhint: start a server here with `pitlane serve`"), "{lost:?}");
}

#[test]
fn a_second_server_on_one_state_folder_is_refused_and_the_first_one_serves_on() {
    let server = Server::fake();
    let state = server.state();
    let second = pitlane(
        &[],
        &["serve", "--driver", "fake", "--listen", "127.0.0.1:0", "--state", &state],
        "",
    );
    let said = format!(
        "error: another server uses the state folder {state}\n\
         hint: stop that server, or give this one a folder of its own: --state DIR\n"
    );
    assert_eq!(second, outcome(1, "", &said));
    assert_eq!(server.run(&["sandbox", "ls", "--json"], ""), outcome(0, "[]\n", ""));
}

#[test]
fn a_server_that_is_told_to_stop_ends_well_and_the_next_one_knows_the_keys() {
    let mut server = Server::fake();
    assert_eq!(server.run(&["key", "create", "ci"], "").0, 0);
    assert!(server.end("TERM").success());
    server.start_again();
    let listed = server.run(&["key", "ls"], "");
    assert!(listed.0 == 0 && listed.1.contains("\nci "), "{listed:?}");
}

#[test]
fn the_launcher_is_nothing_for_people() {
    assert_eq!(
        pitlane(&[], &["launch"], ""),
        outcome(2, "", "error: pitlane launch is started by pitlane serve\n")
    );
}

#[test]
fn completions_are_written_for_a_shell() {
    let written = pitlane(&[], &["completion", "bash"], "");
    assert!(written.0 == 0 && written.1.contains("complete -F _pitlane"), "{}", written.2);
}
