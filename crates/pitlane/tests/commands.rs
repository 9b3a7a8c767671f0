//! The commands as a person types them, against a server whose sandboxes are made up: no root needed.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

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
fn an_operator_makes_keys_of_any_organization_and_nobody_else_does() {
    let server = Server::fake();
    let key = std::fs::read_to_string(format!("{}/admin-key", server.state())).unwrap();
    let url = std::fs::read_to_string(format!("{}/api-url", server.state())).unwrap();
    let address = url.trim().strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST /api/organizations HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{{\"name\":\"team-a\"}}",
        key.trim()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let id = answer.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();

    for (name, organization) in [("by-name", "team-a"), ("by-id", id)] {
        let made = server.run(&["key", "create", name, "--organization", organization], "");
        assert_eq!((made.0, made.2.as_str()), (0, "keep it: it cannot be shown again\n"));
        let theirs = [("PITLANE_API_KEY", made.1.trim())];
        let listed = server.run_with(&theirs, &["sandbox", "ls", "--json"], "");
        assert_eq!(listed, outcome(0, "[]\n", ""));
        let refused = ["key", "create", "x", "--organization", "default"];
        let refused = server.run_with(&theirs, &refused, "");
        let wanted = "error: there is no organization \"default\"\n\
                      hint: a key without manage:organizations knows its own organization alone\n";
        assert_eq!(refused, outcome(1, "", wanted));
    }
    let own = server.run(&["key", "ls"], "").1;
    assert!(!own.contains("by-name") && !own.contains("by-id"), "{own}");
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
    for (shell, word) in
        [("bash", "complete -o"), ("zsh", "#compdef pitlane"), ("fish", "complete --")]
    {
        let written = pitlane(&[], &["completion", shell], "");
        assert!(written.0 == 0 && written.1.contains(word), "{shell}: {written:?}");
    }
    assert_eq!(pitlane(&[], &["completion", "tcsh"], "").0, 2);
}

#[test]
fn names_of_sandboxes_are_completed_by_asking_the_server() {
    let server = Server::fake();
    for name in ["build", "build-2", "zebra"] {
        assert_eq!(server.run(&["sandbox", "create", "--name", name], "").0, 0);
    }
    let completed = |words: &[&str]| {
        let index = words.len() - 1;
        let variables = [
            ("PITLANE_COMPLETE", "bash"),
            ("_CLAP_COMPLETE_INDEX", &index.to_string()),
            ("_CLAP_COMPLETE_COMP_TYPE", "9"),
            ("_CLAP_IFS", "\n"),
        ];
        let answered = server.run_with(&variables, &[&["--"], words].concat(), "");
        let mut lines: Vec<String> = answered.1.lines().map(str::to_owned).collect();
        lines.sort();
        (answered.0, lines)
    };
    assert_eq!(completed(&["pitlane", "sandbox", "st"]), (0, vec!["start".into(), "stop".into()]));
    let builds = vec!["build".to_owned(), "build-2".to_owned()];
    assert_eq!(completed(&["pitlane", "sandbox", "stop", "bu"]), (0, builds));
    assert_eq!(completed(&["pitlane", "sandbox", "cp", "zeb"]), (0, vec!["zebra:".to_owned()]));
}

#[test]
fn several_sandboxes_are_stopped_started_and_deleted_at_once() {
    let server = Server::fake();
    let create = |name: &str| {
        let created = server.run(&["sandbox", "create", "--name", name, "--label", "a=1"], "");
        created.1.trim().to_owned()
    };
    let (one, two) = (create("one"), create("two"));
    let both = format!("{one}\n{two}\n");
    assert_eq!(server.run(&["sandbox", "stop", "one", "two"], ""), outcome(0, &both, ""));
    let states = |state: &str| {
        let listed = ["sandbox", "ls", "--quiet", "--state", state, "--sort", "name"];
        server.run(&listed, "").1
    };
    assert_eq!((states("stopped"), states("started")), (both.clone(), String::new()));

    let started = server.run(&["sandbox", "start", "--label", "a=1", "--json"], "");
    let mut started: serde_json::Value = serde_json::from_str(&started.1).unwrap();
    let ids = started["started"].as_array_mut().unwrap();
    ids.sort_by_key(|id| id != one.as_str());
    assert_eq!(started, serde_json::json!({"started": [one, two]}));

    let gone = server.run(&["sandbox", "rm", &one[..8], "nope", "two"], "");
    assert_eq!((gone.0, gone.1), (4, both));
    assert_eq!(server.run(&["sandbox", "stop", "--all"], ""), outcome(0, "", "there is none\n"));
}

#[test]
fn a_sandbox_has_a_story_of_who_did_what() {
    let server = Server::fake();
    let id = server.run(&["sandbox", "create", "--name", "x"], "").1.trim().to_owned();
    for command in ["stop", "start"] {
        assert_eq!(server.run(&["sandbox", command, "x"], "").0, 0);
    }
    let told = server.run(&["sandbox", "logs", &id[..8], "--json"], "");
    let lines = told.1.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<String> =
        lines.map(|line| format!("{} {} {}", line["state"], line["by"], line["reason"])).collect();
    let wanted = ["started", "stopping", "stopped", "starting", "started"];
    assert_eq!(lines, wanted.map(|state| format!("\"{state}\" \"caller\" null")));
    let recent = server.run(&["sandbox", "logs", "x", "--since", "1h"], "");
    assert_eq!((recent.0, recent.1.lines().count()), (0, 5), "{recent:?}");
    assert!(recent.1.ends_with("  started     by a caller\n"), "{recent:?}");
}

#[test]
fn a_misspelt_name_is_answered_with_similar_ones() {
    let server = Server::fake();
    assert_eq!(server.run(&["sandbox", "create", "--name", "build"], "").0, 0);
    let said = "error: Sandbox with ID or name biuld not found\nhint: did you mean build?\n";
    assert_eq!(server.run(&["sandbox", "info", "biuld"], ""), outcome(4, "", said));
}

#[test]
fn a_key_that_is_kept_is_used_by_later_commands() {
    let server = Server::fake();
    let key = server.run(&["key", "create", "mine", "--expires", "1h"], "").1;
    let ready: serde_json::Value = serde_json::from_str(server.ready_line()).unwrap();
    let url = ready["url"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = [("XDG_CONFIG_HOME", folder.path().to_str().unwrap())];
    let wrong = pitlane(&settings, &["login", url], "dtn_wrong\n");
    assert!(
        wrong.0 == 1 && wrong.2.contains("hint: the server does not know the key"),
        "{wrong:?}"
    );
    let kept = pitlane(&settings, &["login", url], &key);
    let said = format!(
        "{url} takes the key mine; kept in {}/pitlane/config.toml\n",
        folder.path().display()
    );
    assert_eq!(kept, outcome(0, "", &said));
    assert_eq!(pitlane(&settings, &["sandbox", "ls", "--json"], ""), outcome(0, "[]\n", ""));
}
