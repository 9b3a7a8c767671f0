//! `POST /process/execute`.

use http::StatusCode;
use serde_json::json;

use crate::daemon::{Daemon, is_running, refusal, until};

#[tokio::test]
async fn both_outputs_come_as_one_text_in_the_order_they_were_written() {
    let daemon = Daemon::start();
    let answer = daemon.execute("echo hi; echo err >&2; echo again; exit 3").await;
    assert_eq!(answer, json!({"exitCode": 3, "result": "hi\nerr\nagain\n"}));
}

#[tokio::test]
async fn a_command_starts_in_the_work_folder_or_where_the_request_says() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("inner")).expect("a folder");
    let folder = daemon.folder().to_str().expect("a path").to_owned();
    assert_eq!(daemon.execute("pwd").await["result"], format!("{folder}\n"));
    for cwd in ["inner".to_owned(), format!("{folder}/inner")] {
        let (_, answer) =
            daemon.post("/process/execute", &json!({"command": "pwd", "cwd": cwd})).await;
        assert_eq!(answer["result"], format!("{folder}/inner\n"));
    }
}

#[tokio::test]
async fn a_blank_command_is_refused() {
    let daemon = Daemon::start();
    let (status, answer) = daemon.post("/process/execute", &json!({"command": " \n\t"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        refusal(answer),
        json!({
            "statusCode": 400, "message": "command is required", "error": "Bad Request",
            "code": "BAD_REQUEST", "source": "DAYTONA_DAEMON", "path": "/process/execute",
            "method": "POST",
        })
    );
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why_and_has_no_exit_code_of_its_own() {
    let daemon = Daemon::start();
    let body = json!({"command": "pwd", "cwd": "/does/not/exist"});
    let (status, answer) = daemon.post("/process/execute", &body).await;
    assert_eq!(status, StatusCode::OK);
    let reason = "cannot start in /does/not/exist: No such file or directory (os error 2)";
    assert_eq!(answer, json!({"exitCode": -1, "result": reason}));
}

#[tokio::test]
async fn the_daemons_descriptors_are_no_folders_to_start_in() {
    let daemon = Daemon::start();
    for number in 0..32 {
        let cwd = format!("/proc/self/fd/{number}");
        let (_, answer) =
            daemon.post("/process/execute", &json!({"command": "pwd", "cwd": cwd})).await;
        assert_eq!(answer["exitCode"], -1, "{answer}");
    }
}

#[tokio::test]
async fn a_command_inherits_its_three_descriptors_and_no_signal_settings() {
    let daemon = Daemon::start();
    let command = "ls /proc/$$/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$ \
                   | tr -d ' ' | sed \"s/^$$\\$/own session/\"";
    let answer = daemon.execute(command).await;
    let wanted = "0\n1\n2\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nown session\n";
    assert_eq!(answer, json!({"exitCode": 0, "result": wanted}));
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    let daemon = Daemon::start();
    let answer = daemon.execute("echo before; kill -9 $$").await;
    assert_eq!(answer, json!({"exitCode": 137, "result": "before\n"}));
}

#[tokio::test]
async fn a_command_may_be_longer_than_any_argument() {
    let daemon = Daemon::start();
    let script = format!(": {}\necho ${{#LONG}}\n", "x".repeat(3 << 20));
    let answer = daemon.execute(&format!("LONG={}\n{script}", "y".repeat(200_000))).await;
    assert_eq!(answer, json!({"exitCode": 0, "result": "200000\n"}));
}

#[tokio::test]
async fn what_is_not_utf8_is_replaced() {
    let daemon = Daemon::start();
    let answer = daemon.execute(r"printf 'a\377b\342\202'").await;
    assert_eq!(answer, json!({"exitCode": 0, "result": "a\u{fffd}b\u{fffd}"}));
}

#[tokio::test]
async fn long_output_is_complete_and_does_not_stay_in_memory() {
    let daemon = Daemon::start();
    // Lines with a character that takes two bytes and one that must be escaped.
    let answer = daemon.execute("yes '0123456789\"ä' | head -n 800000; exit 5").await;
    let wanted = "0123456789\"ä\n".repeat(800_000);
    assert_eq!(answer["exitCode"], 5);
    assert!(answer["result"] == wanted, "the text differs");
    let memory = peak_memory_kib(&daemon);
    assert!(memory < 40_000, "the daemon used {memory} KiB");
}

/// The most memory the daemon ever had.
pub(crate) fn peak_memory_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id()));
    let status = status.expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.expect("a number")
}

#[tokio::test]
async fn background_processes_do_not_hold_the_answer_and_can_write_on() {
    let daemon = Daemon::start();
    let command = "(while [ ! -e go ]; do sleep 0.01; done; head -c 300000 /dev/zero; \
                   echo alive > proof) & echo done";
    let answer = daemon.execute(command).await;
    assert_eq!(answer, json!({"exitCode": 0, "result": "done\n"}));
    std::fs::write(daemon.path("go"), "").expect("a file");
    until("the background process wrote all and went on", || daemon.path("proof").exists()).await;
}

#[tokio::test]
async fn a_timeout_kills_the_session_and_all_descendants() {
    let daemon = Daemon::start();
    let command = "sleep 1000 & echo $! >> pids; (setsid sh -c 'echo $$ >> pids; sleep 1000; :'); \
                   echo never > proof";
    let body = json!({"command": command, "timeout": 1});
    let (status, answer) = daemon.post("/process/execute", &body).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        refusal(answer),
        json!({
            "statusCode": 408, "message": "request timeout: command execution timeout",
            "error": "Request Timeout", "code": "PROCESS_EXECUTION_TIMEOUT",
            "source": "DAYTONA_DAEMON", "path": "/process/execute", "method": "POST",
        })
    );
    // Already, not soon: the answer came after the end of the last of them.
    let pids = daemon.text("pids");
    let running: Vec<&str> = pids.lines().filter(|pid| is_running(pid)).collect();
    assert_eq!((pids.lines().count(), running), (2, Vec::new()));
    assert!(!daemon.path("proof").exists());
}

#[tokio::test]
async fn orphans_are_reaped() {
    let daemon = Daemon::start();
    // The daemon adopts the inner one.
    daemon.execute("(sh -c 'echo $$ > orphan' &)").await;
    until("the orphan has begun", || daemon.path("orphan").exists()).await;
    let path = format!("/proc/{}", daemon.text("orphan").trim());
    until("nothing is left of the orphan", || !std::path::Path::new(&path).exists()).await;
}

#[tokio::test]
async fn many_commands_at_once_keep_their_own_codes() {
    let daemon = Daemon::start();
    let commands = (0..40).map(|code| {
        let daemon = &daemon;
        async move { daemon.execute(&format!("echo {code}; exit {code}")).await }
    });
    let answers = futures_util::future::join_all(commands).await;
    let wanted: Vec<_> =
        (0..40).map(|code| json!({"exitCode": code, "result": format!("{code}\n")})).collect();
    assert_eq!(answers, wanted);
}

#[tokio::test]
async fn what_the_toolbox_lacks_is_said_in_json() {
    let daemon = Daemon::start();
    let (status, answer) = daemon.call("GET", "/computeruse/status").await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_IMPLEMENTED, &json!("NOT_IMPLEMENTED")));
    let (status, answer) = daemon.call("GET", "/nothing").await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
    let (status, answer) = daemon.post("/process/execute", &json!({"cmd": "x"})).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_REQUEST_BODY"))
    );
}

#[tokio::test]
async fn folders_and_version_are_told() {
    let daemon = Daemon::start();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(daemon.call("GET", "/version").await.1, json!({"version": version}));
    assert_eq!(daemon.call("GET", "/work-dir/").await.1, json!({"dir": daemon.folder()}));
    let home = daemon.call("GET", "/user-home-dir").await;
    assert_eq!(daemon.call("GET", "/project-dir").await, home);
    assert_eq!(daemon.hello["protocol"], 1);
    assert_eq!(daemon.hello["daemonVersion"], version);
}
