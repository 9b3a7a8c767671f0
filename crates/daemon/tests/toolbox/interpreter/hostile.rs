//! Code that reaches for what the interpreter itself needs.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Heard, Socket, printed, run};
use crate::daemon::{Daemon, is_running, until};

/// Finds the socket that leads to the daemon.
const FIND: &str = "import os, stat\nsockets = [n for n in range(3, 300) if \
                    os.path.exists(f'/proc/self/fd/{n}') and stat.S_ISSOCK(os.fstat(n).st_mode)]\n";

#[tokio::test]
async fn standard_descriptors_and_streams_are_put_back_for_the_next_run() {
    let daemon = Daemon::start();
    for code in [
        "import os; os.close(1); os.close(2)",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import io, sys; sys.stdout = sys.stderr = io.StringIO(); print('hidden')",
        "import sys; del sys.stdout, sys.stderr",
        "import os; os.closerange(0, 3); f = open('/dev/null', 'w')",
        "import sys; sys.stdin.close()",
    ] {
        run(&daemon, code).await;
        let heard = run(&daemon, "import sys; print('out'); print('err', file=sys.stderr)").await;
        assert_eq!(
            heard,
            Heard { stderr: String::from("err\n"), ..Heard::printed("out\n") },
            "{code}"
        );
    }
}

#[tokio::test]
async fn low_descriptors_belong_to_the_code() {
    let daemon = Daemon::start();
    let code = "import os\nprint(os.open('/dev/null', 0))\nos.closerange(3, 90)\nprint('here')";
    assert_eq!(printed(&daemon, code).await, "3\nhere\n");
}

#[tokio::test]
async fn nonsense_on_the_socket_restarts_that_context_alone() {
    let daemon = Daemon::start();
    for code in [
        "for n in sockets: os.write(n, b'X' * 100)\nimport time; time.sleep(1000)",
        "for n in sockets: os.write(n, b'E' + bytes(8) + b'\\xff' * 4)\nimport time; time.sleep(1000)",
        "for n in sockets: os.write(n, b'C' + (77).to_bytes(8, 'little') + bytes(4))\nimport time; time.sleep(1000)",
        "os.closerange(3, 1000)\nimport time; time.sleep(1000)",
    ] {
        let heard = run(&daemon, &format!("{FIND}{code}")).await;
        assert_eq!(heard.errors.len(), 1, "{code}: {heard:?}");
        assert_eq!(heard.errors[0][0], "InterpreterDied");
        assert!(heard.errors[0][1].contains("used or closed the daemon's socket"), "{heard:?}");
        assert_eq!(heard.close, Some((1000, String::new())));
        let heard = run(&daemon, "print(1)").await;
        assert_eq!(heard.stdout, "1\n", "{code}: {heard:?}");
    }
}

/// Leaves programs behind that write to the daemon's socket without end, when the context's own process has gone.
const FLOOD: &str = r"
import signal, time
begin, gone = os.pipe()
for _ in range(12):
    if os.fork() == 0:
        os.close(gone)
        os.read(begin, 1)
        while True:
            try:
                os.write(sockets[0], bytes(150_000))
            except BlockingIOError:
                pass
os.write(sockets[0], b'E' + (1).to_bytes(8, 'little') + (128 << 10).to_bytes(4, 'little'))
open('floods', 'w')
# Until then the daemon hears nothing.
while open(f'/proc/{os.getppid()}/stat').read().rsplit(') ')[1][0] != 'T':
    time.sleep(0.01)
os.kill(os.getpid(), 9)
";

#[tokio::test]
async fn what_an_ended_context_left_behind_cannot_keep_the_daemon_reading() {
    let daemon = Daemon::start();
    let mut socket = Socket::ask(&daemon, &json!({"code": format!("{FIND}{FLOOD}")})).await;
    let floods = daemon.path("floods");
    until("it begins", || floods.exists()).await;
    let id = Pid::from_raw(i32::try_from(daemon.id()).expect("a number")).expect("a process");
    kill_process(id, Signal::STOP).expect("a process");
    // Each of them has the sole writer's end of the pipe closed when it has gone: a zombie, since nobody waits for it.
    let of = format!("/proc/{}/task/{}/children", daemon.id(), daemon.id());
    until("its process has ended", || {
        let children = std::fs::read_to_string(&of).unwrap_or_default();
        children.split_whitespace().any(|child| !is_running(child))
    })
    .await;
    kill_process(id, Signal::CONT).expect("a process");
    while socket.next().await.is_some() {}
    assert_eq!(run(&daemon, "print(1)").await.stdout, "1\n");
    let most = super::output::memory_of(&daemon);
    assert!(most < 200 << 10, "{most} kB");
}

#[tokio::test]
async fn an_end_that_is_told_twice_restarts_the_context() {
    let daemon = Daemon::start();
    let code = "for n in sockets: os.write(n, b'C' + (1).to_bytes(8, 'little') + bytes(4))";
    let heard = run(&daemon, &format!("{FIND}{code}")).await;
    assert_eq!(heard.close, Some((1000, String::new())));
    // Its second end comes before or in the next run.
    let heard = run(&daemon, "print('sockets' in globals())").await;
    assert!(heard.stdout == "False\n" || heard.errors.len() == 1, "{heard:?}");
    assert_eq!(run(&daemon, "print('sockets' in globals())").await.stdout, "False\n");
}

#[tokio::test]
async fn a_fork_that_comes_back_ends_and_its_parent_goes_on() {
    let daemon = Daemon::start();
    let code = "import os\npid = os.fork()\nif pid: print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))\nelse: print('child')";
    assert_eq!(printed(&daemon, code).await, "child\n0\n");
    let heard = run(&daemon, "pid = os.fork()\nif not pid: raise ValueError('x')\nprint(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))").await;
    assert_eq!(heard.stdout, "1\n");
    assert!(heard.stderr.ends_with("ValueError: x\n"), "{heard:?}");
    let code = "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))";
    assert_eq!(printed(&daemon, code).await, "[1, 2]\n");
}

#[tokio::test]
async fn a_signal_handler_of_the_code_does_not_survive_its_run() {
    let daemon = Daemon::start();
    printed(&daemon, "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)").await;
    let request = serde_json::json!({"code": "import time; time.sleep(1000)", "timeout": 0.2});
    let heard = super::ask(&daemon, request).await;
    assert_eq!(heard, Heard::closed(4008, "execution timed out: the context's state is kept"));
}

#[tokio::test]
async fn an_interruption_between_runs_does_nothing() {
    let daemon = Daemon::start();
    let pid = printed(&daemon, "import os; x = 3; print(os.getpid())").await;
    let pid = Pid::from_raw(pid.trim().parse().expect("a number"));
    kill_process(pid.expect("a process"), Signal::INT).expect("a signal");
    assert_eq!(printed(&daemon, "print(x)").await, "3\n");
}

#[tokio::test]
async fn files_with_names_of_modules_do_not_get_in_the_way() {
    let daemon = Daemon::start();
    for name in ["traceback", "linecache", "tokenize", "re", "enum", "ctypes", "io", "signal"] {
        std::fs::write(daemon.path(&format!("{name}.py")), "raise RuntimeError('mine')")
            .expect("a file");
    }
    assert_eq!(printed(&daemon, "print(1)").await, "1\n");
    let heard = run(&daemon, "1 / 0").await;
    assert_eq!(heard.errors[0][0], "ZeroDivisionError");
    assert!(heard.errors[0][2].contains("    1 / 0\n"), "{heard:?}");
    let heard = run(&daemon, "import signal").await;
    assert_eq!(heard.errors[0][..2], ["RuntimeError", "mine"]);
}
