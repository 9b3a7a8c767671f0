//! Commands that need no shell are run as a shell runs them.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use pitlane_daemon::input::{Place, plain_command};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::daemon::Daemon;

/// The answer of a command that starts one program, and of the same with what only a shell reads.
async fn both(daemon: &Daemon, command: &str, cwd: &str) -> [Value; 2] {
    let mut answers = [Value::Null, Value::Null];
    for (answer, command) in answers.iter_mut().zip([command.to_owned(), format!("{command} #")]) {
        let envs = json!({"COLOUR": "blue", "EMPTY": ""});
        let body = json!({"command": command, "cwd": cwd, "envs": envs});
        (_, *answer) = daemon.post("/process/execute", &body).await;
    }
    answers
}

#[tokio::test]
async fn a_program_without_a_shell_is_told_what_a_shell_tells_it() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("real")).expect("a folder");
    symlink("real", daemon.path("link")).expect("a link");
    for cwd in ["", "real", "link", "link/..", "/"] {
        for command in [
            "/usr/bin/env",
            "sh -c 'echo \"$0 $PWD $OLDPWD $SHLVL $# $-\"; echo \"$@\"; umask; ulimit -a' name 'a  b' \"\" c",
            "python3 -c 'import sys, os, signal; print(sys.argv, sys.executable, os.getcwd(), os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGINT))'",
            "cat",
            "cat /nonexistent",
            "sh -c 'exit 7'",
            "sh -c 'kill -9 $$'",
            "ls -la --color=never /dev/null",
        ] {
            let [plain, shell] = both(&daemon, command, cwd).await;
            let sorted = |answer: &Value| {
                let mut lines: Vec<String> = answer["result"]
                    .as_str()
                    .expect("a result")
                    .lines()
                    .map(str::to_owned)
                    .collect();
                lines.sort();
                (lines, answer["exitCode"].clone())
            };
            assert_eq!(sorted(&plain), sorted(&shell), "{command} in {cwd:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_executed_is_told_by_the_shell() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("script"), "echo \"ran with $1\"; exit 4").expect("a file");
    let script = daemon.path("script").to_str().expect("a path").to_owned();
    let run = async |command: &str| {
        let answer = daemon.execute(command).await;
        let result = answer["result"].as_str().expect("a result").to_owned();
        (answer["exitCode"].as_i64(), result)
    };
    let (code, text) = run("no-such-program --help").await;
    assert_eq!(code, Some(127), "{text}");
    assert!(text.contains("no-such-program: command not found"), "{text}");
    let (code, text) = run(&script).await;
    assert_eq!(code, Some(126), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
    // A text without a first line that names its interpreter is the shell's to read.
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(daemon.path("script"), mode).expect("a mode");
    assert_eq!(run(&format!("{script} 'a b'")).await, (Some(4), "ran with a b\n".to_owned()));
}

#[tokio::test]
async fn variables_with_a_meaning_for_shells_have_it() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("greeting"), "echo hello").expect("a file");
    let greeting = daemon.path("greeting");
    for (envs, wanted) in [
        (json!({"BASH_ENV": greeting}), "hello\nrun\n"),
        (json!({"PATH": "relative:/usr/bin:/bin"}), "run\n"),
        (json!({"SHLVL": "5"}), "run\n"),
    ] {
        let body = json!({"command": "printenv RUN", "envs": envs});
        let mut body = body;
        body["envs"]["RUN"] = "run".into();
        let (_, answer) = daemon.post("/process/execute", &body).await;
        assert_eq!(answer, json!({"exitCode": 0, "result": wanted}), "{envs}");
    }
}

/// What bash itself says to standard output, and its exit code.
#[expect(clippy::disallowed_methods, reason = "a shell is what it is compared with")]
fn by_bash(command: &str, folder: &std::path::Path) -> Value {
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", command]).env_clear().current_dir(folder);
    let output = bash.output().expect("a bash");
    assert!(output.stderr.is_empty(), "{command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("a text");
    json!({"exitCode": output.status.code(), "result": text})
}

#[tokio::test]
async fn what_a_program_does_as_well_is_what_the_shell_would_have_done() {
    let daemon = Daemon::start();
    let commands = "(true|false|pwd|echo|\"echo\"|'ec'ho)( |\t){0,2}\
                    ([a-c neE=/'\"!\\-]|'[^'\0]{0,4}'|\"[^\"\0$`]{0,4}\"){0,6}";
    let commands = proptest::string::string_regex(commands).expect("a pattern");
    let mut runner = TestRunner::deterministic();
    let drawn = std::iter::repeat_with(|| commands.new_tree(&mut runner).expect("a command"));
    let drawn = drawn.map(|tree| tree.current());
    let always = ["true", "false", "pwd", "echo", "echo hello", "echo \"Hello, World!\" -n"];
    for command in always.into_iter().map(str::to_owned).chain(drawn.take(200)) {
        if plain_command(&command).is_none_or(|plain| plain.place != Place::System) {
            continue;
        }
        let wanted = by_bash(&command, daemon.folder());
        assert_eq!(daemon.execute(&command).await, wanted, "{command:?}");
    }
}

#[tokio::test]
async fn a_builtin_is_not_looked_for_in_the_path() {
    let daemon = Daemon::start();
    for name in ["true", "false", "pwd", "echo"] {
        let path = daemon.path(name);
        std::fs::write(&path, "#!/bin/sh\necho impostor\nexit 9\n").expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("a mode");
    }
    let folder = daemon.folder().canonicalize().expect("a folder");
    let folder = folder.to_str().expect("a path");
    let own_first = format!("{folder}:/usr/bin:/bin");
    for path in [own_first.as_str(), "", "relative", "/nonexistent"] {
        for (command, code, result) in [
            ("true", 0, String::new()),
            ("false", 1, String::new()),
            ("pwd", 0, format!("{folder}\n")),
            ("echo hello", 0, "hello\n".to_owned()),
        ] {
            let body = json!({"command": command, "envs": {"PATH": path}});
            let (_, answer) = daemon.post("/process/execute", &body).await;
            assert_eq!(answer, json!({"exitCode": code, "result": result}), "{command} {path:?}");
        }
        let own = format!("{folder}/echo hello");
        let (_, answer) = daemon.post("/process/execute", &json!({"command": own})).await;
        assert_eq!(answer, json!({"exitCode": 9, "result": "impostor\n"}));
    }
}

#[tokio::test]
async fn the_folder_is_told_as_a_shell_tells_it() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("real")).expect("a folder");
    symlink("real", daemon.path("link")).expect("a link");
    let folder = daemon.folder().canonicalize().expect("a folder");
    let folder = folder.to_str().expect("a path");
    for (cwd, pwd, wanted) in [
        ("link", None, format!("{folder}/real\n")),
        ("link", Some(format!("{folder}/link")), format!("{folder}/link\n")),
        ("link", Some("/".to_owned()), format!("{folder}/real\n")),
    ] {
        let envs = pwd.map(|pwd| json!({"PWD": pwd}));
        let body = json!({"command": "pwd", "cwd": cwd, "envs": envs});
        let (_, answer) = daemon.post("/process/execute", &body).await;
        assert_eq!(answer, json!({"exitCode": 0, "result": wanted}), "{cwd}");
    }
}

#[tokio::test]
async fn variables_that_shells_change_are_changed() {
    let daemon = Daemon::start();
    for (name, value) in [
        ("IFS", ","),
        ("PS1", "> "),
        ("PS4", "x"),
        ("OPTIND", "9"),
        ("LINENO", "9"),
        ("PPID", "9"),
        ("BASHPID", "9"),
        ("BASH_VERSION", "9"),
        ("LC_ALL", "nowhere"),
        ("LC_ALL", "C"),
        ("LD_PRELOAD", "/nonexistent/library.so"),
        ("LD_LIBRARY_PATH", "/nonexistent"),
    ] {
        let mut answers = [Value::Null, Value::Null];
        for (answer, end) in answers.iter_mut().zip(["", " #"]) {
            let command = format!("/usr/bin/printenv {name}{end}");
            let body = json!({"command": command, "envs": {name: value}});
            (_, *answer) = daemon.post("/process/execute", &body).await;
        }
        let [plain, shell] = answers;
        assert_eq!(plain, shell, "{name}");
    }
}
