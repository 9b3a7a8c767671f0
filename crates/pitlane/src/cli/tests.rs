use std::ffi::OsString;

use clap::{CommandFactory as _, Parser as _};

use super::{CommandLine, pair, shell_line};

/// The help of a command, in lines as on a terminal of 100 columns.
fn help(names: &[&str]) -> String {
    let mut command = CommandLine::command().term_width(100);
    command.build();
    let mut found = &mut command;
    for name in names {
        found = found.find_subcommand_mut(name).unwrap();
    }
    found.render_long_help().to_string()
}

#[test]
fn the_command_line_has_no_contradictions() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_command_has_help() {
    for names in [
        &[][..],
        &["serve"],
        &["doctor"],
        &["run"],
        &["sandbox"],
        &["sandbox", "create"],
        &["sandbox", "ls"],
        &["sandbox", "info"],
        &["sandbox", "exec"],
        &["sandbox", "shell"],
        &["sandbox", "cp"],
        &["sandbox", "start"],
        &["sandbox", "set"],
        &["sandbox", "resize"],
        &["sandbox", "url"],
        &["sandbox", "logs"],
        &["sandbox", "rm"],
        &["key"],
        &["key", "create"],
        &["volume"],
        &["pool"],
        &["pool", "create"],
        &["mcp", "init"],
        &["mcp", "config"],
        &["login"],
        &["completion"],
        &["version"],
    ] {
        let name = format!("help-{}", [&["pitlane"], names].concat().join("-"));
        insta::assert_snapshot!(name, help(names));
    }
}

#[test]
fn the_hidden_command_and_driver_are_in_no_help() {
    for names in [&[][..], &["serve"]] {
        let help = help(names);
        assert!(!help.contains("launch") && !help.contains("--driver"), "{help}");
    }
}

#[test]
fn a_shell_gives_a_command_the_arguments_that_were_given_here() {
    let cases = [
        (&["ls", "-l", "/tmp"][..], "ls -l /tmp"),
        (&["echo", "a b", ""], "echo 'a b' ''"),
        (
            &["echo", "it's", "$HOME", "`id`", "a;b", "*", "~"],
            r"echo 'it'\''s' '$HOME' '`id`' 'a;b' '*' '~'",
        ),
        (&["A=1", "x\ny"], "'A=1' 'x\ny'"),
        (&["sh", "-c", "ls | wc"], "sh -c 'ls | wc'"),
    ];
    for (arguments, line) in cases {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        assert_eq!(shell_line(&arguments).unwrap(), line);
    }
}

#[test]
fn a_pair_has_a_name() {
    assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
    assert_eq!(pair("A="), Ok(("A".to_owned(), String::new())));
    assert!(pair("=b").is_err() && pair("A").is_err());
}

#[test]
fn what_follows_a_file_belongs_to_the_program() {
    let given =
        CommandLine::try_parse_from(["pitlane", "run", "x.py", "-v", "--json", "a"]).unwrap();
    assert!(!given.json, "--json after the file is the program's");
}
