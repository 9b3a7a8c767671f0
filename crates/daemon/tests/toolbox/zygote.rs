//! Python that is forked from an interpreter that has started: the same as Python that starts.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use crate::daemon::{Daemon, until};

/// Says whether its process was forked from an interpreter of the daemon's.
const IS_FORKED: &str = "print('/proc/self/fd/3' in open('/proc/self/environ').read())";

/// A variable that is read at the start makes a run start plainly.
const PLAINLY: (&str, &str) = ("LC_OWN_START", "1");

async fn run(daemon: &Daemon, body: &Value) -> Value {
    let (status, answer) = daemon.post("/process/code-run", body).await;
    assert_eq!(status, StatusCode::OK, "{body}: {answer}");
    answer
}

async fn python(daemon: &Daemon, code: &str) -> Value {
    run(daemon, &json!({"code": code, "language": "python"})).await
}

async fn is_forked(daemon: &Daemon) -> bool {
    python(daemon, IS_FORKED).await["result"] == "True\n"
}

/// A daemon whose next run of Python is a fork.
async fn warm(boot: &Value) -> Daemon {
    let daemon = Daemon::start_with(boot, &[]);
    assert!(!is_forked(&daemon).await);
    warm_up(&daemon).await;
    daemon
}

async fn warm_up(daemon: &Daemon) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_forked(daemon).await {
        assert!(Instant::now() < deadline, "no run is forked");
    }
}

/// Programs whose output and exit code must not depend on how their interpreter came to be.
const PROGRAMS: &[(&str, &str)] = &[
    ("one line", "print(1)"),
    ("nothing", ""),
    ("output without an end", "print('a', end='')"),
    ("arguments", "import sys; print(sys.argv, sys.orig_argv)"),
    ("flags", "import sys; print(sys.flags, sys.warnoptions, sys._xoptions)"),
    (
        "paths",
        "import sys; print(sys.path, sys.executable, sys.prefix, sys.base_prefix, sys.path_hooks)",
    ),
    ("caches of paths", "import sys; print(sorted(sys.path_importer_cache))"),
    ("importers", "import sys; print(sys.meta_path)"),
    ("modules", "import sys; print(sorted(sys.modules))"),
    ("names", "print(sorted(globals()), __name__, __doc__, __package__, __spec__, __builtins__)"),
    ("no file", "print('__file__' in globals())"),
    ("main", "if __name__ == '__main__':\n    import __main__; print(__main__.__loader__)"),
    ("folder", "import os; print(os.getcwd())"),
    ("variables", "import os; print(os.environ)"),
    (
        "variables of a child",
        "import os, sys; sys.stdout.flush(); os.system('env | grep -v ^_= | sort')",
    ),
    (
        "input",
        "import sys; print(repr(sys.stdin.read()), sys.stdin.isatty(), sys.stdin.seekable())",
    ),
    ("input that has ended", "input('?')"),
    (
        "streams",
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr): print(s, s.line_buffering, s.write_through, s.fileno(), s.seekable(), s.errors)",
    ),
    (
        "open files",
        "import os\nfor n in range(100):\n    try: print(n, os.get_inheritable(n), os.fstat(n).st_mode)\n    except OSError: pass",
    ),
    ("next descriptor", "print(open('/dev/null').fileno())"),
    (
        "locale",
        "import locale, sys; print(locale.getlocale(), locale.setlocale(locale.LC_CTYPE), sys.getfilesystemencoding(), sys.getdefaultencoding())",
    ),
    ("zone", "import time; print(time.tzname, time.timezone)"),
    (
        "signals",
        "import signal\nfor s in sorted(signal.valid_signals()): print(s, signal.getsignal(s))\nprint(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    ),
    (
        "dispositions",
        "print([l for l in open('/proc/self/status') if l.startswith(('SigI', 'SigC', 'SigB', 'NoNew', 'Cap', 'Uid', 'Gid', 'Groups', 'Umask', 'Threads', 'Seccomp'))])",
    ),
    ("mask of files", "import os; u = os.umask(0); print(oct(u))"),
    ("limits", "import resource; print([resource.getrlimit(n) for n in range(16)])"),
    ("nice", "import os; print(os.nice(0), os.sched_getscheduler(0), os.sched_getaffinity(0))"),
    ("oom score", "print(open('/proc/self/oom_score_adj').read())"),
    ("session", "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))"),
    ("terminal", "import os\ntry: os.open('/dev/tty', os.O_RDWR)\nexcept OSError as e: print(e)"),
    ("children", "import os\ntry: os.wait()\nexcept ChildProcessError as e: print(e)"),
    (
        "threads",
        "import threading as t; print(len(t.enumerate()), t.main_thread() is t.current_thread(), t.get_native_id() == __import__('os').getpid())",
    ),
    ("exit code", "import sys; sys.exit(7)"),
    ("exit with a text", "import sys; sys.exit('a text')"),
    ("exit with nothing", "import sys; sys.exit()"),
    ("exit with a large code", "import sys; sys.exit(513)"),
    ("quit", "quit(4)"),
    ("SystemExit", "raise SystemExit(5)"),
    ("exit at once", "import os; print(1); os._exit(9)"),
    ("a signal", "import os; os.kill(os.getpid(), 9)"),
    ("a signal that ends", "import os; os.kill(os.getpid(), 15)"),
    ("an interrupt", "raise KeyboardInterrupt"),
    ("an interrupt by signal", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"),
    ("abort", "import os; os.abort()"),
    ("a broken pipe", "import os; r, w = os.pipe(); os.close(r); os.write(w, b'x')"),
    ("a fault", "def f():\n    return g()\ndef g():\n    raise ValueError('x')\nf()"),
    (
        "a fault of a fault",
        "try:\n    1 / 0\nexcept Exception as e:\n    raise RuntimeError('y') from e",
    ),
    ("a fault of syntax", "x = (\n"),
    ("a fault of indentation", "if True:\nprint(1)"),
    ("a source that is not text", "x = '\\ud800'; print(x)"),
    ("a module that is missing", "import no_such_module"),
    ("a module beside", "import beside; print(beside.VALUE, beside.__file__)"),
    (
        "frames",
        "import sys, traceback, inspect; print(inspect.stack()); traceback.print_stack(); print(sys._getframe().f_back)",
    ),
    (
        "source lines",
        "import linecache, inspect\ndef f(): pass\nprint(linecache.getline('<stdin>', 1))\ntry: print(inspect.getsource(f))\nexcept Exception as e: print(type(e), e)",
    ),
    (
        "recursion",
        "import sys\ndef f(n):\n    try: return f(n + 1)\n    except RecursionError: return n\nprint(f(0) // 100, sys.getrecursionlimit())",
    ),
    (
        "warnings",
        "import warnings; warnings.warn('w'); warnings.warn('d', DeprecationWarning); print(warnings.filters)",
    ),
    (
        "at the end",
        "import atexit; atexit.register(print, 'bye'); atexit.register(print, 'see you'); print('hello')",
    ),
    ("at the end of a fault", "import atexit; atexit.register(print, 'bye'); 1 / 0"),
    (
        "a thread at the end",
        "import threading, time\ndef f():\n    time.sleep(0.05); print('done')\nthreading.Thread(target=f).start(); print('main')",
    ),
    (
        "a daemon thread at the end",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start(); print('main')",
    ),
    ("a deleted object at the end", "class A:\n    def __del__(self): print('gone')\na = A()"),
    (
        "buffered output",
        "import sys; sys.stdout.write('a'); sys.stderr.write('b'); sys.stdout.write('c')",
    ),
    ("bytes", "import sys; sys.stdout.buffer.write(b'\\xff\\x00')"),
    (
        "processes by fork",
        "import multiprocessing as m\ndef f(q): q.put(6 * 7)\nc = m.get_context('fork'); q = c.Queue(); p = c.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join(); print(p.exitcode)",
    ),
    (
        "processes by spawn",
        "import multiprocessing as m, math\nc = m.get_context('spawn'); p = c.Process(target=math.sqrt, args=(4,)); p.start(); p.join(); print(p.exitcode)",
    ),
    (
        "a program",
        "import subprocess; print(subprocess.run(['sh', '-c', 'cat; echo err >&2; exit 3'], capture_output=True))",
    ),
    (
        "a Python",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv, sys.path)'])",
    ),
    ("another program in its place", "import os; os.execvp('echo', ['echo', 'a'])"),
    (
        "a fork",
        "import os, sys\nif os.fork() == 0: print('child'); sys.exit(0)\nprint(os.wait()[1])",
    ),
    (
        "waiting",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nprint(asyncio.run(f()))",
    ),
    (
        "random numbers differ",
        "import random, secrets, uuid, tempfile; print(random.random() != random.random(), len(secrets.token_hex()), uuid.uuid4().version)",
    ),
    (
        "collection of garbage",
        "import gc; print(gc.isenabled(), gc.get_threshold(), gc.garbage, gc.collect() >= 0)",
    ),
    (
        "hooks",
        "import sys; print(sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile(), sys.breakpointhook)",
    ),
    ("the clock of the process", "import time; print(time.process_time() < 5)"),
    (
        "site",
        "import site, sys; print(site.ENABLE_USER_SITE, site.USER_SITE, site.PREFIXES, 'sitecustomize' in sys.modules)",
    ),
    (
        "socket",
        "import socket, _socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1), socket.error is OSError, _socket.socket in socket.socket.__mro__)",
    ),
    ("faulthandler", "import faulthandler; print(faulthandler.is_enabled())"),
    ("encoding", "print('grün €', '\\N{SNOWMAN}')"),
    ("a source with an encoding", "# -*- coding: latin-1 -*-\nprint(len('ü'))"),
    (
        "pickle of main",
        "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__ is A)",
    ),
    ("dataclasses", "from dataclasses import dataclass\n@dataclass\nclass A: x: int\nprint(A(1))"),
    ("ctypes", "import ctypes; print(ctypes.CDLL(None).getpid() == __import__('os').getpid())"),
];

#[tokio::test]
async fn a_fork_is_what_a_new_interpreter_is() {
    let daemon = warm(&json!({})).await;
    std::fs::write(daemon.path("beside.py"), "VALUE = 7").expect("a file");
    std::fs::create_dir(daemon.path("__pycache__")).expect("a folder");
    let mut different = Vec::new();
    for (name, program) in PROGRAMS {
        let address = |answer: &Value| {
            let text = answer["result"].as_str().unwrap_or_default().to_owned();
            json!({"exitCode": answer["exitCode"], "result": without_addresses(&text)})
        };
        let body = |envs: Value| json!({"code": program, "language": "python", "argv": ["a", "b c", "ü"], "envs": envs, "timeout": 20});
        warm_up(&daemon).await;
        let forked = run(&daemon, &body(json!({"OWN": "1"}))).await;
        let plain = run(&daemon, &body(json!({"OWN": "1", PLAINLY.0: PLAINLY.1}))).await;
        let (forked, mut plain) = (address(&forked), address(&plain));
        let text = plain["result"].as_str().unwrap_or_default();
        let text = text.replace(", 'LC_OWN_START': '1'", "").replace("LC_OWN_START=1\n", "");
        let text = text.replace("'LC_OWN_START': '1', ", "");
        plain["result"] = Value::from(text);
        if forked != plain {
            different.push(format!("{name}:\n  forked {forked}\n  plain  {plain}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Processes of interpreters that wait or fork, as the daemon's children.
async fn interpreters(daemon: &Daemon) -> Vec<String> {
    let parent = format!("PPid:\t{}", daemon.id());
    let command = format!(
        "for p in /proc/[0-9]*; do grep -qs '^{parent}$' $p/status && grep -qas '/proc/self/fd/3' \
         $p/environ && echo ${{p#/proc/}}; done; true"
    );
    let answer = daemon.execute(&command).await;
    answer["result"].as_str().unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_interpreter_that_was_killed_or_stopped_delays_and_loses_nothing() {
    let daemon = warm(&json!({})).await;
    for signal in ["KILL", "STOP", "TERM", "INT", "SEGV"] {
        let all = interpreters(&daemon).await;
        assert!(!all.is_empty(), "{signal}");
        daemon.execute(&format!("kill -{signal} {}", all.join(" "))).await;
        let answers = futures_util::future::join_all((0..4).map(|_| python(&daemon, "print(5)")));
        for answer in answers.await {
            assert_eq!(answer, json!({"exitCode": 0, "result": "5\n"}), "{signal}");
        }
        warm_up(&daemon).await;
    }
}

/// What stands in the interpreter's place: it says that it is ready, and what follows when it is asked to fork.
const LIAR: &str = r#"#!/usr/bin/python3 -I
import os, socket, sys
try:
    control = socket.socket(fileno=4)
except OSError:
    os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv[1:])
open("asked", "a").write("started\n")
control.send(b"R")
while True:
    data, descriptors, _, _ = socket.recv_fds(control, 1, 8)
    if not data:
        break
    line = socket.socket(fileno=descriptors[0])
    open("asked", "a").write("asked\n")
    LIE
"#;

#[tokio::test]
async fn an_interpreter_that_lies_is_not_believed() {
    let lies = [
        // It is a child that the daemon knows already.
        "line.send(b'H'); line.recv(8); line.send(b'B')",
        // It is no child of the daemon's, and leads no session.
        "pid = os.fork()\n    if pid == 0: line.send(b'H'); line.recv(8); line.send(b'B'); os._exit(0)",
        // It leads a session, and is no child of the daemon's.
        "pid = os.fork()\n    if pid == 0: os.setsid(); line.send(b'H'); line.recv(8); line.send(b'B'); os._exit(0)",
        "line.send(b'X')",
        "line.close()",
        "control.close(); break",
        "os.kill(os.getpid(), 19)",
    ];
    for lie in lies {
        let folder = tempfile::tempdir().expect("a folder");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let daemon = Daemon::start_with(&json!({"env": {"PATH": path}}), &[]);
        let script = folder.path().join("python3");
        std::fs::write(&script, LIAR.replace("LIE", lie)).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("a mode");
        for _ in 0..2 {
            let wanted = json!({"exitCode": 0, "result": "5\n"});
            assert_eq!(python(&daemon, "print(5)").await, wanted, "{lie}");
        }
        let asked = daemon.path("asked");
        until("it is asked", || {
            std::fs::read_to_string(&asked).is_ok_and(|text| text.contains("asked"))
        })
        .await;
        assert_eq!(python(&daemon, "print(6)").await, json!({"exitCode": 0, "result": "6\n"}));
        assert_eq!(daemon.execute("echo 7").await, json!({"exitCode": 0, "result": "7\n"}));
    }
}

#[tokio::test]
async fn many_forks_at_once_share_nothing() {
    let daemon = warm(&json!({})).await;
    let programs: Vec<_> = (0..24)
        .map(|n| json!({"code": "import sys, os; print(sys.argv[1], os.environ['N'])", "language": "python", "argv": [n.to_string()], "envs": {"N": n.to_string()}}))
        .collect();
    let answers = futures_util::future::join_all(programs.iter().map(|body| run(&daemon, body)));
    for (n, answer) in answers.await.into_iter().enumerate() {
        assert_eq!(answer, json!({"exitCode": 0, "result": format!("{n} {n}\n")}));
    }
}

#[tokio::test]
async fn a_changed_start_ends_the_interpreter() {
    let packages = tempfile::tempdir().expect("a folder");
    let daemon = warm(&json!({"env": {"PYTHONPATH": packages.path()}})).await;
    let customize = "import builtins, os; builtins.CUSTOM = os.environ.get('A', 'none')";
    std::fs::write(packages.path().join("sitecustomize.py"), customize).expect("a file");
    assert_eq!(python(&daemon, "print(CUSTOM)").await["result"], "none\n");
    warm_up(&daemon).await;
    assert_eq!(python(&daemon, "print(CUSTOM)").await["result"], "none\n");
    // It reads variables, so another one means another start.
    let body = json!({"code": "print(CUSTOM)", "language": "python", "envs": {"A": "1"}});
    assert_eq!(run(&daemon, &body).await["result"], "1\n");
    let (status, _) = daemon.post("/env", &json!({"set": {"A": "2"}})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(python(&daemon, "print(CUSTOM)").await["result"], "2\n");
    warm_up(&daemon).await;
    assert_eq!(python(&daemon, "print(CUSTOM)").await["result"], "2\n");
}

#[tokio::test]
async fn a_python_that_comes_first_in_the_path_takes_over() {
    let first = tempfile::tempdir().expect("a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", first.path().display());
    let daemon = warm(&json!({"env": {"PATH": path}})).await;
    let script = first.path().join("python3");
    std::fs::write(&script, "#!/bin/sh\necho mine \"$@\"\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("a mode");
    assert_eq!(python(&daemon, "print(1)").await["result"], "mine -u -\n");
}

#[tokio::test]
async fn start_up_code_that_speaks_or_starts_threads_is_run_each_time() {
    let packages = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start_with(&json!({"env": {"PYTHONPATH": packages.path()}}), &[]);
    for customize in [
        "print('hello')",
        "import threading, time; threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "kept = open('/dev/null')",
    ] {
        std::fs::write(packages.path().join("sitecustomize.py"), customize).expect("a file");
        for _ in 0..4 {
            let answer = python(&daemon, "print(5)").await;
            let text = answer["result"].as_str().unwrap_or_default();
            assert!(
                text.ends_with("5\n")
                    && text.starts_with("hello") == customize.starts_with("print"),
                "{text}"
            );
            assert!(!is_forked(&daemon).await);
        }
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_killed_in_a_fork_as_well() {
    let daemon = warm(&json!({})).await;
    let code = "import os, subprocess\nprint(1)\np = subprocess.Popen(['sleep', '77'], start_new_session=False)\n\
                open('pid', 'w').write(str(p.pid))\nwhile True: pass";
    let body = json!({"code": code, "language": "python", "timeout": 1});
    let (status, _) = daemon.post("/process/code-run", &body).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert!(!crate::daemon::is_running(&daemon.text("pid")));
    warm_up(&daemon).await;
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told_as_ever() {
    let work = tempfile::tempdir().expect("a folder");
    let folder = work.path().join("work");
    std::fs::create_dir(&folder).expect("a folder");
    let daemon = warm(&json!({"workDir": folder})).await;
    std::fs::remove_dir(&folder).expect("no folder");
    let answer = python(&daemon, "print(1)").await;
    let reason =
        format!("cannot start in {}/: No such file or directory (os error 2)", folder.display());
    assert_eq!(answer, json!({"exitCode": -1, "result": reason}));
}

/// Addresses in memory and numbers of processes differ between any two runs.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str("0x…");
        kept.push_str(part.trim_start_matches(|character: char| character.is_ascii_hexdigit()));
    }
    kept
}
