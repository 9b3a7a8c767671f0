//! Timeouts, clients that leave, processes that end.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{CONTEXTS, Heard, Socket, ask, create, printed, run};
use crate::daemon::{Daemon, is_running, until};

const KEPT: &str = "execution timed out: the context's state is kept";
const LOST: &str = "execution timed out: the context's state is lost";

fn note(reason: &str) -> String {
    format!("[pitlane: this context was started anew, its state is lost: {reason}]\n")
}

#[tokio::test]
async fn a_timeout_interrupts_and_keeps_the_state() {
    let daemon = Daemon::start();
    let code = "x = 5\nimport time\ntry:\n  time.sleep(1000)\nfinally:\n  y = 6";
    let begun = Instant::now();
    let heard = ask(&daemon, json!({"code": code, "timeout": 1})).await;
    assert_eq!(heard, Heard::closed(4008, KEPT));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(printed(&daemon, "print(x, y)").await, "5 6\n");
    // Also what waits for a program is interrupted, and the program with it.
    let code = "import os; os.system('sleep 1000')";
    let heard = ask(&daemon, json!({"code": code, "timeout": 0.2})).await;
    assert_eq!(heard, Heard::closed(4008, KEPT));
    assert_eq!(printed(&daemon, "print(x)").await, "5\n");
}

#[tokio::test]
async fn what_was_printed_before_a_timeout_is_heard() {
    let daemon = Daemon::start();
    let code = "import time; print('before'); time.sleep(1000)";
    let heard = ask(&daemon, json!({"code": code, "timeout": 1})).await;
    let wanted = Heard { stdout: String::from("before\n"), ..Heard::closed(4008, KEPT) };
    assert_eq!(heard, wanted);
}

#[tokio::test]
async fn code_that_cannot_be_interrupted_is_killed_with_everything_it_started() {
    let daemon = Daemon::start();
    let code = "import os, subprocess, time\n\
                p = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n\
                open('pids', 'w').write(f'{p.pid} {os.getpid()}')\n\
                while True:\n  try: time.sleep(1000)\n  except BaseException: pass";
    let begun = Instant::now();
    let heard = ask(&daemon, json!({"code": code, "timeout": 1})).await;
    assert_eq!(heard, Heard::closed(4008, LOST));
    assert!(begun.elapsed() >= Duration::from_secs(3));
    let pids = daemon.text("pids");
    let (other, own) = pids.split_once(' ').expect("two");
    assert!(!is_running(own));
    // Without control groups, what leaves its session is out of reach.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(other.parse().expect("a number")).expect("a process"),
        rustix::process::Signal::KILL,
    )
    .ok();
    let heard = run(&daemon, "print('x' in globals())").await;
    let reason = "its process was killed: an interruption did not end its run";
    assert_eq!(heard, Heard { stderr: note(reason), ..Heard::printed("False\n") });
    // It is told once.
    assert_eq!(printed(&daemon, "print(1)").await, "1\n");
}

#[tokio::test]
async fn c_code_is_killed_when_it_does_not_come_back() {
    let daemon = Daemon::start();
    let heard = ask(&daemon, json!({"code": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10 ** 9)", "timeout": 1})).await;
    assert_eq!(heard, Heard::closed(4008, LOST));
    assert_eq!(run(&daemon, "print(1)").await.stdout, "1\n");
}

#[tokio::test]
async fn no_timeout_is_without_end_and_waiting_does_not_count() {
    let daemon = Daemon::start();
    let first =
        Socket::ask(&daemon, &json!({"code": "import time; time.sleep(1.5)", "timeout": 0})).await;
    let second = Socket::ask(&daemon, &json!({"code": "print(2)", "timeout": 1})).await;
    assert_eq!(first.rest().await, Heard::completed());
    assert_eq!(second.rest().await, Heard::printed("2\n"));
    let heard = ask(&daemon, json!({"code": "print(3)", "timeout": 1e300})).await;
    assert_eq!(heard, Heard::printed("3\n"));
}

#[tokio::test]
async fn a_client_that_leaves_interrupts_its_run() {
    let daemon = Daemon::start();
    for closes in [true, false] {
        let code =
            "x = 7\nimport time\ntry:\n  print('begun')\n  time.sleep(1000)\nfinally:\n  y = 8";
        let mut socket = Socket::ask(&daemon, &json!({"code": code})).await;
        assert_eq!(socket.next().await, Some(json!({"type": "stdout", "text": "begun\n"})));
        if closes {
            socket.say(Message::Close(None)).await;
        }
        drop(socket);
        assert_eq!(printed(&daemon, "print(x, y); del x, y").await, "7 8\n");
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_has_nothing_run() {
    let daemon = Daemon::start();
    let code = "import os, time\nran = False\nprint('begun')\nwhile not os.path.exists('go'): time.sleep(0.01)";
    let mut busy = Socket::ask(&daemon, &json!({"code": code})).await;
    assert_eq!(busy.next().await, Some(json!({"type": "stdout", "text": "begun\n"})));
    let mut waiting = Socket::ask(&daemon, &json!({"code": "ran = True"})).await;
    waiting.say(Message::Close(None)).await;
    // The answer to its farewell.
    while waiting.next().await.is_some() {}
    std::fs::write(daemon.path("go"), "").expect("a file");
    assert_eq!(busy.rest().await, Heard::completed());
    assert_eq!(printed(&daemon, "print(ran)").await, "False\n");
}

#[tokio::test]
async fn the_end_of_the_process_is_an_error_and_the_next_run_starts_anew() {
    let daemon = Daemon::start();
    for (code, reason) in [
        (
            "import os; print('last words', flush=True); os._exit(3)",
            "its process ended with exit code 3",
        ),
        (
            "import os; print('last words'); os.kill(os.getpid(), 11)",
            "its process was ended by signal 11",
        ),
        ("import os; print('last words'); os.abort()", "its process was ended by signal 6"),
    ] {
        let heard = run(&daemon, code).await;
        let value = format!("{reason}; the context's state is lost, its next run starts anew");
        let errors = vec![[String::from("InterpreterDied"), value, String::new()]];
        assert_eq!(heard, Heard { errors, ..Heard::printed("last words\n") });
        let heard = run(&daemon, "print('os' in globals())").await;
        assert_eq!(heard, Heard { stderr: note(reason), ..Heard::printed("False\n") });
    }
}

#[tokio::test]
async fn a_process_that_ends_between_runs_is_noticed() {
    let daemon = Daemon::start();
    let id = create(&daemon, json!({})).await;
    let code = "import os, threading, time; threading.Thread(target=lambda: (time.sleep(0.05), os._exit(0))).start()";
    ask(&daemon, json!({"code": code, "contextId": id})).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while daemon.call("GET", CONTEXTS).await.1["contexts"][0]["active"] == json!(true) {
        assert!(Instant::now() < deadline, "it was not noticed");
    }
    let heard = ask(&daemon, json!({"code": "print(1)", "contextId": id})).await;
    let stderr = note("its process ended with exit code 0");
    assert_eq!(heard, Heard { stderr, ..Heard::printed("1\n") });
    assert_eq!(daemon.call("GET", CONTEXTS).await.1["contexts"][0]["active"], json!(true));
}

#[tokio::test]
async fn a_context_that_cannot_start_again_is_tried_again() {
    let daemon = Daemon::start();
    std::fs::create_dir(daemon.path("sub")).expect("a folder");
    let id = create(&daemon, json!({"cwd": "sub"})).await;
    ask(&daemon, json!({"code": "import os; os._exit(1)", "contextId": id})).await;
    std::fs::remove_dir(daemon.path("sub")).expect("a folder");
    let heard = ask(&daemon, json!({"code": "1", "contextId": id})).await;
    let reason = format!(
        "cwd cannot be entered: {}: No such file or directory (os error 2)",
        daemon.path("sub").display()
    );
    // A reason has 123 bytes at most.
    assert_eq!(heard, Heard::closed(1011, &reason[..reason.len().min(123)]));
    std::fs::create_dir(daemon.path("sub")).expect("a folder");
    let heard = ask(&daemon, json!({"code": "print(1)", "contextId": id})).await;
    assert_eq!(
        (heard.stdout.as_str(), heard.stderr),
        ("1\n", note("its process ended with exit code 1"))
    );
}

#[tokio::test]
async fn the_daemon_ends_while_a_run_goes_on() {
    let mut daemon = Daemon::start();
    let code = "import os, time; print(os.getpid()); time.sleep(1000)";
    let mut socket = Socket::ask(&daemon, &json!({"code": code})).await;
    let pid = socket.next().await.expect("a message")["text"].as_str().expect("a text").to_owned();
    daemon.end();
    assert!(!is_running(&pid));
}

#[tokio::test]
async fn a_context_is_made_and_deleted_again_and_again_without_leaving_anything() {
    let daemon = Daemon::start();
    let count = || std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).expect("a list").count();
    for round in 0..3 {
        let ids = futures_util::future::join_all((0..4).map(|_| create(&daemon, json!({})))).await;
        for id in ids {
            let (status, _) = daemon.call("DELETE", &format!("{CONTEXTS}/{id}")).await;
            assert_eq!(status, StatusCode::OK, "{round}");
        }
    }
    // Standard ones, the event loop's, the listener, and some for a waiting Python.
    until("descriptors are closed", || count() < 40).await;
}
