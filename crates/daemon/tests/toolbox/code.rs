//! `POST /process/code-run`.

use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;
use serde_json::{Value, json};

use crate::daemon::{Daemon, refusal};

async fn run(daemon: &Daemon, body: Value) -> Value {
    let (status, answer) = daemon.post("/process/code-run", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test]
async fn python_gets_arguments_and_no_input() {
    let daemon = Daemon::start();
    let code = "import sys\nprint(sys.argv, repr(sys.stdin.read()))\nsys.exit(3)";
    let answer =
        run(&daemon, json!({"code": code, "language": "python", "argv": ["a", "b c"]})).await;
    assert_eq!(answer, json!({"exitCode": 3, "result": "['-', 'a', 'b c'] ''\n"}));
}

#[tokio::test]
async fn python_imports_from_the_work_folder_and_names_lines() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("beside.py"), "VALUE = 7").expect("a file");
    let code = "import beside\nprint(beside.VALUE)\nraise ValueError('x')";
    let answer = run(&daemon, json!({"code": code, "language": "python"})).await;
    let wanted = "7\nTraceback (most recent call last):\n  File \"<stdin>\", line 3, in <module>\n\
                  ValueError: x\n";
    assert_eq!(answer, json!({"exitCode": 1, "result": wanted}));
}

#[tokio::test]
async fn code_may_be_larger_than_any_argument() {
    let daemon = Daemon::start();
    let code = format!("x = '{}'\nprint(len(x))", "y".repeat(5_000_000));
    let answer = run(&daemon, json!({"code": code, "language": "python"})).await;
    assert_eq!(answer, json!({"exitCode": 0, "result": "5000000\n"}));
}

#[tokio::test]
async fn javascript_gets_arguments_and_variables() {
    let daemon = Daemon::start();
    let code = "console.log(JSON.stringify(process.argv.slice(1)), process.env.A)";
    let body = json!({"code": code, "language": "javascript", "argv": ["a"], "envs": {"A": "1"}});
    assert_eq!(run(&daemon, body).await, json!({"exitCode": 0, "result": "[\"-\",\"a\"] 1\n"}));
}

/// A daemon whose path has the programs that are given and nothing else.
fn with_programs(programs: &[(&str, &str)]) -> Daemon {
    let folder = tempfile::tempdir().expect("a folder").keep();
    for (name, script) in programs {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\n{script}\n"))
            .expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    Daemon::start_with(&json!({"env": {"PATH": folder}}), &[])
}

#[tokio::test]
async fn typescript_loses_its_types_in_esbuild() {
    let esbuild = "echo \"$@\" > flags; sed 's/: number//'";
    let daemon = with_programs(&[("esbuild", esbuild), ("node", "exec node \"$@\"")]);
    let code = "const x: number = 4; console.log(x, process.argv[2])";
    let body = json!({"code": code, "language": "typescript", "argv": ["a"]});
    assert_eq!(run(&daemon, body).await, json!({"exitCode": 0, "result": "4 a\n"}));
    let flags = "--loader=ts --format=cjs --platform=node --log-level=warning --color=false\n";
    assert_eq!(daemon.text("flags"), flags);
}

#[tokio::test]
async fn typescript_that_waits_at_the_top_becomes_a_module() {
    let esbuild =
        "case $2 in *cjs) echo 'Top-level await is not supported' >&2; exit 1;; esac; cat";
    let daemon = with_programs(&[("esbuild", esbuild), ("node", "exec node \"$@\"")]);
    let body = json!({"code": "console.log(await 5)", "language": "typescript"});
    assert_eq!(run(&daemon, body).await, json!({"exitCode": 0, "result": "5\n"}));
}

#[tokio::test]
async fn typescript_that_esbuild_does_not_understand_is_its_own_fault() {
    let daemon = with_programs(&[("esbuild", "echo '1:1: Unexpected' >&2; exit 1"), ("node", "")]);
    let body = json!({"code": "???", "language": "typescript"});
    assert_eq!(run(&daemon, body).await, json!({"exitCode": 1, "result": "1:1: Unexpected\n"}));
}

#[tokio::test]
async fn a_newer_node_gets_typescript_as_it_is() {
    let transform = "--experimental-transform-types --disable-warning=ExperimentalWarning - a";
    for (version, wanted) in [("v22.18.0", transform), ("v25.1.0", transform), ("v26.0.0", "- a")] {
        let node = format!("case $1 in --version) echo {version};; *) echo \"$@\"; cat;; esac");
        let daemon = with_programs(&[("node", &node)]);
        let body = json!({"code": "let x: number", "language": "typescript", "argv": ["a"]});
        let wanted = json!({"exitCode": 0, "result": format!("{wanted}\nlet x: number")});
        assert_eq!(run(&daemon, body).await, wanted);
    }
}

#[tokio::test]
async fn an_older_node_leaves_typescript_to_ts_node() {
    let npx = "echo \"$1 $2 $4\"; cat \"$3\"; echo \"$3\" > path";
    let daemon = with_programs(&[("node", "echo v20.1.0"), ("npx", npx)]);
    let body = json!({"code": "let x: number\n", "language": "typescript", "argv": ["a"]});
    let wanted = json!({"exitCode": 0, "result": "--no-install ts-node a\nlet x: number\n"});
    assert_eq!(run(&daemon, body).await, wanted);
    let path = daemon.text("path");
    crate::daemon::until("the temporary file is gone", || {
        !std::path::Path::new(path.trim()).exists()
    })
    .await;
}

#[tokio::test]
async fn an_image_without_an_interpreter_is_told_apart_from_code_that_fails() {
    let daemon = with_programs(&[]);
    let answers = ["python", "javascript", "typescript"].map(|language| {
        let daemon = &daemon;
        async move {
            let answer = run(daemon, json!({"code": "1", "language": language})).await;
            (answer["exitCode"].clone(), answer["result"].as_str().unwrap_or_default().to_owned())
        }
    });
    for (answer, word) in
        futures_util::future::join_all(answers).await.into_iter().zip(["python", "node", "node"])
    {
        assert_eq!(answer.0, -1);
        assert!(answer.1.starts_with("cannot ") && answer.1.contains(word), "{}", answer.1);
    }
}

#[tokio::test]
async fn other_languages_are_refused() {
    let daemon = Daemon::start();
    let body = json!({"code": "1", "language": "cobol"});
    let (status, answer) = daemon.post("/process/code-run", &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = "unsupported language \"cobol\": use python, javascript or typescript";
    assert_eq!(refusal(answer)["message"], message);
}

#[tokio::test]
async fn code_that_runs_too_long_is_killed() {
    let daemon = Daemon::start();
    let code = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True: pass";
    let body = json!({"code": code, "language": "python", "timeout": 1});
    let (status, _) = daemon.post("/process/code-run", &body).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert!(!crate::daemon::is_running(&daemon.text("pid")));
}
