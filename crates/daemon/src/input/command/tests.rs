use std::process::Command;

use proptest::prelude::*;

use super::{Place, PlainCommand, plain_command};

fn plain(place: Place, words: &[&str]) -> PlainCommand {
    let mut words = words.iter().map(|word| (*word).to_owned());
    let name = words.next().unwrap();
    PlainCommand { name, arguments: words.collect(), place }
}

#[test]
fn words_are_what_stands_between_blanks_without_their_quotes() {
    for (command, wanted) in [
        ("node -v", vec!["node", "-v"]),
        (" \tls  -la\t/tmp \n", vec!["ls", "-la", "/tmp"]),
        ("sh -c 'echo \"$HOME\"; exit 3'", vec!["sh", "-c", "echo \"$HOME\"; exit 3"]),
        ("git commit -m \"it's done; really\"", vec!["git", "commit", "-m", "it's done; really"]),
        ("python3 -c ''", vec!["python3", "-c", ""]),
        ("env A=1 B='2 3'", vec!["env", "A=1", "B=2 3"]),
        ("a'b'\"c\"d", vec!["abcd"]),
        ("grep 'two\nlines'", vec!["grep", "two\nlines"]),
        ("cat 'ä'", vec!["cat", "ä"]),
        ("grep ! \"Hello!\" a!b", vec!["grep", "!", "Hello!", "a!b"]),
        ("/bin/echo -n a", vec!["/bin/echo", "-n", "a"]),
    ] {
        assert_eq!(plain_command(command).unwrap(), plain(Place::Path, &wanted), "{command}");
    }
}

#[test]
fn builtins_that_do_what_programs_do_are_the_systems_programs() {
    for (command, wanted) in [
        ("true", vec!["true"]),
        (" false\n", vec!["false"]),
        ("'pwd'", vec!["pwd"]),
        ("echo", vec!["echo"]),
        ("'ec'ho hi", vec!["echo", "hi"]),
        ("echo \"Hello, World!\"", vec!["echo", "Hello, World!"]),
        ("echo a -n 'two\nlines\t' ''", vec!["echo", "a", "-n", "two\nlines\t", ""]),
        ("echo '' -n a='ä'", vec!["echo", "", "-n", "a=ä"]),
    ] {
        assert_eq!(plain_command(command).unwrap(), plain(Place::System, &wanted), "{command}");
    }
}

#[test]
fn whatever_a_shell_would_read_is_left_to_it() {
    for command in [
        "",
        "  ",
        "''",
        "'' a",
        "true --help",
        "true x",
        "false x",
        "pwd -P",
        "pwd x",
        "echo -n",
        "echo -n a",
        "echo - a",
        "echo -- a",
        "echo --help",
        "echo '-e' a",
        "echo 'a\\nb'",
        "echo a '\\'",
        "echo '\u{1}'",
        "echo '\u{1b}[1m'",
        "echo '\u{7f}'",
        "echo '\r'",
        "echo $A",
        "echo a > b",
        "echo *",
        "echo ~",
        "echo ä",
        "printf a",
        "test a",
        ":",
        "cd /tmp",
        "A=1 env",
        "A=1",
        "ls *",
        "ls ~",
        "ls a?",
        "ls > x",
        "a | b",
        "a; b",
        "a & b",
        "a && b",
        "ls $HOME",
        "ls `pwd`",
        "ls \\$",
        "ls #x",
        "ls {a,b}",
        "a\nb",
        "(a)",
        "! a",
        "!a",
        "a! b",
        "ls !(a)",
        "[ a ]",
        "if x",
        "time ls",
        "ls \"$HOME\"",
        "ls \"a\\nb\"",
        "ls 'a",
        "ls \"a",
        "cat ä",
        "-x",
        "+x",
        "%1",
        "ls =ls",
        "l^s",
        "ls\rx",
        "ls '\0'",
    ] {
        assert_eq!(plain_command(command), None, "{command:?}");
    }
}

/// What a program says and how it ends, in `/`; nothing when there is no such program.
#[expect(clippy::disallowed_methods, reason = "shells and programs are what it is compared with")]
fn answer(program: &str, arguments: &[&str]) -> Option<(Option<i32>, Vec<u8>, Vec<u8>)> {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("PWD").current_dir("/");
    let output = command.output().ok()?;
    Some((output.status.code(), output.stdout, output.stderr))
}

fn as_bash_reads(command: &str) -> Vec<u8> {
    let script = format!("shift() {{ :; }}; printf '%s\\0' {command}");
    let (code, stdout, stderr) = answer("bash", &["-c", &script]).unwrap();
    assert_eq!((code, stderr.as_slice()), (Some(0), &b""[..]), "{command:?}");
    stdout
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shell_reads_the_same_words(command in "[a-c]([a-c =/'\"$;~*{},.!\\-]|'[^'\0]{0,3}'){0,12}") {
        if let Some(PlainCommand { name, arguments, .. }) = plain_command(&command) {
            let mut wanted = Vec::new();
            for word in std::iter::once(name).chain(arguments) {
                wanted.extend_from_slice(word.as_bytes());
                wanted.push(0);
            }
            prop_assert_eq!(as_bash_reads(&command), wanted, "{:?}", command);
        }
    }

    #[test]
    fn shells_and_programs_do_the_same(
        command in "(true|false|pwd|echo|\"echo\"|'ec'ho)( |\t){0,2}([a-c neE=/'\"!\\-]|'[^'\0]{0,4}'|\"[^\"\0$`]{0,4}\"){0,6}"
    ) {
        if let Some(PlainCommand { name, arguments, place: Place::System }) = plain_command(&command) {
            let bash = answer("bash", &["-c", &command]);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let applet = [&[name.as_str()], arguments.as_slice()].concat();
            let program = answer(&name, &arguments);
            prop_assert_eq!(&program, &bash, "{:?}", command);
            for other in [answer("dash", &["-c", &command]), answer("busybox", &applet)] {
                prop_assert!(other.is_none() || other == bash, "{:?}: {:?}", command, other);
            }
        }
    }
}
