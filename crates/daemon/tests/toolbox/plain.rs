//! Commands that need no shell are run as a shell runs them.

use std::os::unix::fs::{PermissionsExt as _, symlink};

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
