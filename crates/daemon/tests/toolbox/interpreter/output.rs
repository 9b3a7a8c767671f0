//! Output: order, bytes that are no text, amounts, slow readers.

use serde_json::json;

use super::{Heard, Socket, ask, printed, run};
use crate::daemon::{Daemon, until};

#[tokio::test]
async fn both_outputs_are_told_apart() {
    let daemon = Daemon::start();
    let heard = run(&daemon, "import sys\nprint('out')\nprint('err', file=sys.stderr)").await;
    assert_eq!(heard, Heard { stderr: String::from("err\n"), ..Heard::printed("out\n") });
    assert_eq!(run(&daemon, "print('', end='')").await, Heard::completed());
}

#[tokio::test]
async fn output_comes_while_the_run_goes_on() {
    let daemon = Daemon::start();
    let code = "import os, time\nprint('begun')\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('done')";
    let mut socket = Socket::ask(&daemon, &json!({"code": code})).await;
    assert_eq!(socket.next().await, Some(json!({"type": "stdout", "text": "begun\n"})));
    std::fs::write(daemon.path("go"), "").expect("a file");
    assert_eq!(socket.rest().await, Heard::printed("done\n"));
}

#[tokio::test]
async fn programs_and_libraries_print_in_order() {
    let daemon = Daemon::start();
    let code = "import os, subprocess, sys\n\
                print('1', end=''); os.system('printf 2')\n\
                print('3', end=''); subprocess.run(['printf', '4'])\n\
                print('5', end='', flush=True); os.write(1, b'6')\n\
                print('7')\nos.system('echo bad >&2')";
    let heard = run(&daemon, code).await;
    assert_eq!(heard, Heard { stderr: String::from("bad\n"), ..Heard::printed("1234567\n") });
    let code = "import ctypes; libc = ctypes.CDLL(None); libc.printf(b'from C')";
    assert_eq!(printed(&daemon, code).await, "from C");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_and_characters_stay_whole() {
    let daemon = Daemon::start();
    let code = "import sys, time\nw = sys.stdout.buffer\nw.write(b'a\\xffb\\n')\n\
                for byte in 'ü🦀'.encode(): w.write(bytes([byte])); w.flush(); time.sleep(0.003)\n\
                w.write(b'\\xf0\\x9f'); w.flush()";
    assert_eq!(printed(&daemon, code).await, "a\u{fffd}b\nü🦀\u{fffd}");
    // What is cut off belongs to the run that did it.
    assert_eq!(
        printed(&daemon, "w.write(b'\\xa6\\x80 \"\\\\\\0\\x1b'); w.flush()").await,
        "\u{fffd}\u{fffd} \"\\\0\x1b"
    );
    let code = "print('🦀' * 1_000_000, end='')";
    assert_eq!(printed(&daemon, code).await, "🦀".repeat(1_000_000));
}

#[tokio::test]
async fn long_lines_and_much_output_arrive_whole() {
    let daemon = Daemon::start();
    let line = printed(&daemon, "print('x' * (10 << 20))").await;
    assert_eq!(line.len(), (10 << 20) + 1);
    let lines = printed(&daemon, "for n in range(100_000): print(n)").await;
    assert!(lines.lines().map(str::to_owned).eq((0..100_000).map(|n| n.to_string())));
}

pub(super) fn memory_of(daemon: &Daemon) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn much_more_output_than_memory_takes_no_memory() {
    let daemon = Daemon::start();
    printed(&daemon, "import sys; block = 'x' * (1 << 20)").await;
    let before = memory_of(&daemon);
    let code = "for _ in range(256): sys.stdout.write(block)";
    let mut socket = Socket::ask(&daemon, &json!({"code": code})).await;
    let (mut size, mut most) = (0, 0);
    while let Some(message) = socket.next().await {
        if message["type"] == "stdout" {
            size += message["text"].as_str().expect("a text").len();
            if size % (16 << 20) < (1 << 16) {
                most = most.max(memory_of(&daemon));
            }
        }
    }
    assert_eq!(size, 256 << 20);
    assert!(most < before + (16 << 10), "{before} kB before, {most} kB");
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_its_run_wait_until_its_timeout() {
    let daemon = Daemon::start();
    let code = "count = 0\nwhile True:\n  print('x' * 65536)\n  count += 1\n  open('count', 'w').write(str(count))";
    let socket = Socket::ask(&daemon, &json!({"code": code, "timeout": 1})).await;
    // Nothing is read; meanwhile others are served.
    let id = super::create(&daemon, json!({})).await;
    let heard = ask(&daemon, json!({"code": "print(1)", "contextId": id})).await;
    assert_eq!(heard, Heard::printed("1\n"));
    // Waits for its turn, which comes after the timeout.
    let heard = run(&daemon, "print(0 < count < 1000)").await;
    assert_eq!(heard, Heard::printed("True\n"));
    drop(socket);
}

#[tokio::test]
async fn what_a_thread_prints_after_its_run_is_dropped_and_what_it_prints_in_a_run_is_heard() {
    let daemon = Daemon::start();
    let code = "import os, threading, time\ndef talk():\n  while not os.path.exists('after'): time.sleep(0.005)\n\
                \x20 print('between'); open('said', 'w').close()\n\
                \x20 while not os.path.exists('in'): time.sleep(0.005)\n  print('within')\n\
                t = threading.Thread(target=talk); t.start()";
    assert_eq!(printed(&daemon, code).await, "");
    std::fs::write(daemon.path("after"), "").expect("a file");
    let said = daemon.path("said");
    until("it has spoken", || said.exists()).await;
    assert_eq!(printed(&daemon, "open('in', 'w').close(); t.join()").await, "within\n");
}

#[tokio::test]
async fn what_a_background_program_prints_between_runs_does_not_block_it() {
    let daemon = Daemon::start();
    let code = "import subprocess; p = subprocess.Popen('sleep 0.05; head -c 3000000 /dev/zero; touch written', shell=True)";
    assert_eq!(printed(&daemon, code).await, "");
    let written = daemon.path("written");
    until("it has written all", || written.exists()).await;
    assert_eq!(printed(&daemon, "print(p.wait())").await, "0\n");
}
