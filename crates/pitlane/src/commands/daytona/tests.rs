use std::ffi::{OsStr, OsString};

use clap::{CommandFactory as _, Parser as _};
use serde_json::json;

use super::{Command, CommandLine, exec, form, info, is_meant_by, list};

fn sandbox(id: &str, name: &str) -> serde_json::Value {
    json!({
        "id": id, "organizationId": "o", "name": name, "user": "daytona",
        "env": {"TOKEN": "secret"}, "labels": {"pitlane-git-repo": "https://h/a.git"}, "public": false,
        "networkBlockAll": false, "kvm": false, "target": "local", "cpu": 1, "gpu": 0, "memory": 2, "disk": 3,
        "state": "started", "snapshot": "default", "createdAt": "2026-11-21T02:30:00.000Z",
        "lastActivityAt": "2026-11-21T04:58:00.000Z", "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
    })
}

const ID: &str = "0b6ecb4e-0000-4000-8000-000000000000";

#[test]
fn the_command_line_has_no_contradictions() {
    CommandLine::command().debug_assert();
}

#[test]
fn the_name_is_the_last_part_of_what_the_program_was_started_as() {
    for name in ["daytona", "/usr/local/bin/daytona", "./daytona"] {
        assert!(is_meant_by(OsStr::new(name)), "{name}");
    }
    for name in ["pitlane", "/opt/daytona/pitlane", "daytona.old", ""] {
        assert!(!is_meant_by(OsStr::new(name)), "{name}");
    }
}

#[test]
fn a_command_is_one_line_for_a_shell_or_words_that_stay_apart() {
    let line = |words: &[&str]| {
        let words = [&["daytona", "exec", "x"], words].concat();
        let CommandLine { command: Command::Exec(arguments), .. } =
            CommandLine::try_parse_from(words).unwrap()
        else {
            unreachable!()
        };
        (exec::line(&arguments.command).unwrap(), arguments.cwd, arguments.timeout)
    };
    let cases = [
        (&["ls | wc -l"][..], ("ls | wc -l", None, 0)),
        (&["--", "ls | wc -l"], ("ls | wc -l", None, 0)),
        (&["--", "ls", "-l", "a b"], ("ls -l 'a b'", None, 0)),
        (&["--cwd", "/tmp", "--timeout", "5", "--", "make"], ("make", Some("/tmp"), 5)),
        (&["make", "--cwd", "/tmp"], ("make", Some("/tmp"), 0)),
        (&["--", "make", "--cwd", "/tmp"], ("make --cwd /tmp", None, 0)),
    ];
    for (words, (wanted, cwd, timeout)) in cases {
        assert_eq!(line(words), (wanted.to_owned(), cwd.map(str::to_owned), timeout), "{words:?}");
    }
    assert!(CommandLine::try_parse_from(["daytona", "exec", "x"]).is_err());
}

#[test]
fn words_after_mcp_are_passed_on() {
    let words = ["daytona", "mcp", "config", "--help", "-x"];
    let CommandLine { command: Command::Mcp(passed), .. } =
        CommandLine::try_parse_from(words).unwrap()
    else {
        unreachable!()
    };
    assert_eq!(passed.words, ["config", "--help", "-x"].map(OsString::from));
}

#[test]
fn a_list_has_one_word_of_name_and_state_first() {
    let sandboxes = [(ID, "build"), (ID, ID), (ID, "two words"), (ID, "NAME-x"), (ID, "--- x")];
    let sandboxes = sandboxes.map(|(id, name)| serde_json::from_value(sandbox(id, name)).unwrap());
    insta::assert_snapshot!(list::text(&sandboxes));
}

#[test]
fn a_sandbox_is_shown_as_keys_and_values_without_variables() {
    let sandbox = serde_json::from_value(sandbox(ID, "build")).unwrap();
    insta::assert_snapshot!(info::text(&sandbox));
}

#[test]
fn yaml_says_what_json_says() {
    let value = json!({"a": [], "b": [{"c": 1, "d": [true, null]}, "x: y"], "e": {"f": "no"}});
    let text = "\"a\": []\n\"b\":\n  -\n    \"c\": 1\n    \"d\":\n      - true\n      - null\n  - \"x: y\"\n\
                \"e\":\n  \"f\": \"no\"\n";
    assert_eq!(form::yaml(&value), text);
    assert_eq!(form::yaml(&json!([])), "[]\n");
}
