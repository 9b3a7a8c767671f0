//! The program under the name `daytona`, as scripts and LangSwarm's self-hosted tool call it, against a server whose
//! sandboxes are made up: no root needed.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;

use program::{Server, outcome};

const NOT_REAL: &str = "this sandbox is not real\n";

/// As LangSwarm's tool finds an id in what `create` wrote.
fn id_of(written: &str) -> String {
    let speaks = |line: &&str| {
        let line = line.to_lowercase();
        line.contains("workspace") && (line.contains("created") || line.contains("id"))
    };
    let line = written.lines().find(speaks).unwrap();
    line.split_whitespace().find(|word| word.len() > 8 && word.contains('-')).unwrap().to_owned()
}

#[test]
fn langswarms_commands_do_what_its_tool_reads() {
    let server = Server::fake();
    let version = server.run_as_daytona(&["version"]);
    assert!(version.0 == 0 && version.1.starts_with("daytona "), "{version:?}");

    let created =
        server.run_as_daytona(&["create", "--name", "ml-project", "--env", "ENV=development"]);
    let id = id_of(&created.1);
    assert_eq!((created.0, id.len()), (0, 36), "{created:?}");
    let written =
        format!("Sandbox (or workspace) created: {id}\nName: ml-project\nState: started\n");
    assert_eq!(created.1, written);

    let listed = server.run_as_daytona(&["list"]).1;
    let lines: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(listed.starts_with("NAME"), "{listed}");
    assert_eq!((lines.len(), &lines[1][..3]), (2, &["ml-project", "started", &id][..]));

    for sandbox in ["ml-project", &id] {
        let ran = server.run_as_daytona(&["exec", sandbox, "echo 'a' | wc -l; exit 3"]);
        assert_eq!(ran, outcome(0, "echo 'a' | wc -l; exit 3\n", NOT_REAL));
    }
    assert_eq!(server.run_as_daytona(&["exec", &id, "exit 7"]), outcome(7, "exit 7\n", NOT_REAL));

    let info = server.run_as_daytona(&["info", &id]);
    let keys: Vec<&str> = info.1.lines().map(|line| line.split_once(": ").unwrap().0).collect();
    let wanted =
        ["ID", "Name", "Status", "Language", "Snapshot", "Region", "User", "CPU", "Memory", "Disk"];
    assert_eq!(keys, [&wanted[..], &["Created at", "Last accessed"]].concat());
    assert!(info.1.contains("\nName: ml-project\nStatus: started\nLanguage: python\n"), "{info:?}");

    let deleted = server.run_as_daytona(&["delete", "ml-project", "--force"]);
    assert_eq!(deleted, outcome(0, "Sandbox ml-project deleted\n", ""));
    let gone = server.run_as_daytona(&["delete", "ml-project", "--force"]);
    assert_eq!((gone.0, gone.1.as_str()), (4, ""), "{gone:?}");
    assert_eq!(server.run_as_daytona(&["list"]).1, "NAME  STATE  ID  REGION  CREATED\n");
}

#[test]
fn a_repository_is_cloned_into_a_new_sandbox_and_its_password_is_not_kept() {
    let server = Server::fake();
    let words = ["create", "https://u:pass@h/a.git", "--branch", "it's", "--name", "one"];
    let created = server.run_as_daytona(&words);
    let cloning = r"git clone --quiet '--branch=it'\''s' -- https://u:pass@h/a.git";
    assert_eq!((created.0, created.2), (0, format!("{cloning}\n{NOT_REAL}")));
    let info = server.run_as_daytona(&["info", "one"]);
    assert!(info.1.contains("\nGit repo: https://h/a.git\n"), "{info:?}");
    assert_eq!(server.run_as_daytona(&["create", "--branch", "x"]).0, 2);
}

#[test]
fn daytonas_own_forms_are_understood() {
    let server = Server::fake();
    let created = server.run_as_daytona(&[
        "create",
        "--name",
        "x",
        "-l",
        "a=1",
        "--auto-stop",
        "0",
        "--auto-delete",
        "-1",
    ]);
    let id = id_of(&created.1);
    let ran = server.run_as_daytona(&[
        "exec",
        "x",
        "--cwd",
        "/tmp",
        "--timeout",
        "5",
        "--",
        "echo",
        "a b",
        "$HOME",
    ]);
    assert_eq!(ran, outcome(0, "echo 'a b' '$HOME'\n", NOT_REAL));
    for (command, said) in [("stop", "stopped"), ("start", "started")] {
        let done = server.run_as_daytona(&[command, "x"]);
        assert_eq!(done, outcome(0, &format!("Sandbox x {said}\n"), ""));
    }
    assert_eq!(server.run_as_daytona(&["stop", "x", "--force"]).0, 0);
    let json = server.run_as_daytona(&["info", "x", "-f", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!((&json["id"], &json["autoStopInterval"]), (&id.as_str().into(), &0.into()));
    let yaml = server.run_as_daytona(&["list", "--format", "yaml"]).1;
    assert!(
        yaml.starts_with("-\n  \"") && yaml.contains(&format!("\n  \"id\": \"{id}\"\n")),
        "{yaml}"
    );
    assert_eq!(server.run_as_daytona(&["list", "-f", "json", "--limit", "0"]).1, "[]\n");
    let all = server.run_as_daytona(&["delete", "--all"]);
    assert_eq!(all, outcome(0, &format!("Sandbox {id} deleted\n"), ""));
}

#[test]
fn what_it_does_not_know_it_refuses() {
    let server = Server::fake();
    let said = "error: pitlane has no command \"organization\" under the name daytona\n\
                hint: `daytona --help` lists those it has; `pitlane --help` those under its own name\n";
    assert_eq!(server.run_as_daytona(&["organization", "list"]), outcome(2, "", said));
    assert_eq!(server.run_as_daytona(&["create", "--context", "."]).0, 2);
    assert_eq!(server.run_as_daytona(&["create", "--image", "a b"]).0, 2);
    let said = "error: Sandbox with ID or name nope not found\n";
    assert_eq!(server.run_as_daytona(&["exec", "nope", "true"]), outcome(125, "", said));
    assert_eq!(server.run_as_daytona(&["info", "nope"]), outcome(4, "", said));
    let help = server.run_as_daytona(&["--help"]);
    assert!(help.0 == 0 && help.1.contains("preview-url"), "{help:?}");
    assert_eq!(server.run_as_daytona(&["-v"]).0, 0);
}
