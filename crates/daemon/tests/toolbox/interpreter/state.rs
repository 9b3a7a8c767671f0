//! What lasts from run to run, what does not, and what a request may say.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{Heard, Socket, ask, create, failure, printed, run};
use crate::daemon::Daemon;

#[tokio::test]
async fn a_context_keeps_variables_imports_folder_files_and_threads() {
    let daemon = Daemon::start();
    let setup = "import os, threading, queue\nx = 41\ndef f(): return x + 1\n\
                 os.mkdir('sub'); os.chdir('sub')\nfile = open('kept', 'w+')\nfile.write('in a file')\n\
                 asked, answered = queue.Queue(), queue.Queue()\n\
                 thread = threading.Thread(target=lambda: answered.put(asked.get() * 2), daemon=True)\n\
                 thread.start()";
    assert_eq!(printed(&daemon, setup).await, "");
    let code = "x += 1\nfile.seek(0)\nasked.put(4)\n\
                print(f(), os.path.basename(os.getcwd()), file.read(), answered.get(), __name__)";
    assert_eq!(printed(&daemon, code).await, "43 sub in a file 8 __main__\n");
}

#[tokio::test]
async fn contexts_know_nothing_of_each_other() {
    let daemon = Daemon::start();
    let other = create(&daemon, json!({})).await;
    assert_eq!(printed(&daemon, "import sys; x = 1; sys.x = 1").await, "");
    let code = "import sys; print('x' in globals(), hasattr(sys, 'x'))";
    let heard = ask(&daemon, json!({"code": code, "contextId": other})).await;
    assert_eq!(heard, Heard::printed("False False\n"));
    let heard = ask(&daemon, json!({"code": code, "contextId": "default"})).await;
    assert_eq!(heard, Heard::printed("True True\n"));
}

#[tokio::test]
async fn a_last_expression_is_not_printed_and_objects_can_be_displayed() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, "6 * 7").await, "");
    assert_eq!(printed(&daemon, "display('a', [1])").await, "'a'\n[1]\n");
}

#[tokio::test]
async fn variables_of_a_run_are_put_back_after_it() {
    let daemon = Daemon::start_with(&json!({"env": {"OF_SANDBOX": "1"}}), &[]);
    let code = "import os\nprint(os.environ['OF_SANDBOX'], os.environ['NEW'], os.popen('echo $NEW').read().strip())\n\
                os.environ['NEW'] = 'changed'; os.environ['KEPT'] = 'k'\nraise SystemExit";
    let envs = json!({"OF_SANDBOX": "2", "NEW": "grün = x"});
    let heard = ask(&daemon, json!({"code": code, "envs": envs})).await;
    assert_eq!(heard, Heard::printed("2 grün = x grün = x\n"));
    let code = "print(os.environ['OF_SANDBOX'], os.environ.get('NEW'), os.environ['KEPT'])";
    assert_eq!(printed(&daemon, code).await, "1 None k\n");
}

#[tokio::test]
async fn runs_of_one_context_come_one_after_the_other_in_order() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, "import time; seen = []; busy = False").await, "");
    let mut sockets = Vec::new();
    for number in 0..20 {
        let code = format!(
            "assert not busy; busy = True; time.sleep(0.005); seen.append({number}); busy = False"
        );
        sockets.push(Socket::ask(&daemon, &json!({"code": code})).await);
    }
    for socket in sockets {
        assert_eq!(socket.rest().await, Heard::completed());
    }
    assert_eq!(printed(&daemon, "print(sorted(seen) == list(range(20)))").await, "True\n");
    // Those of another context do not wait.
    let other = create(&daemon, json!({})).await;
    let mut busy =
        Socket::ask(&daemon, &json!({"code": "print(1, flush=True); time.sleep(100)"})).await;
    assert_eq!(busy.next().await.expect("a message")["text"], "1\n");
    let heard = ask(&daemon, json!({"code": "print(2)", "contextId": other})).await;
    assert_eq!(heard, Heard::printed("2\n"));
}

#[tokio::test]
async fn too_many_waiting_runs_are_refused() {
    let daemon = Daemon::start();
    let mut busy = Socket::ask(
        &daemon,
        &json!({"code": "print(1, flush=True); input_ = __import__('time').sleep(1000)"}),
    )
    .await;
    assert_eq!(busy.next().await.expect("a message")["text"], "1\n");
    let mut waiting = Vec::new();
    let refused = loop {
        let mut socket = Socket::ask(&daemon, &json!({"code": "pass"})).await;
        // A ping is answered after the request was taken.
        socket.say(Message::Ping(Vec::new().into())).await;
        let answer = futures_util::StreamExt::next(&mut socket.stream).await;
        match answer.expect("an answer").expect("a message") {
            Message::Pong(_) => waiting.push(socket),
            Message::Close(frame) => break frame.expect("a code"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(refused.code), 1013);
    assert_eq!(refused.reason.as_str(), "64 runs wait in this context already: try again later");
    assert_eq!(waiting.len(), 64);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_closed_with_the_reason() {
    let daemon = Daemon::start();
    for (request, code, reason) in [
        (json!({}), 1008, "code is required"),
        (json!({"code": ""}), 1008, "code is required"),
        (json!({"code": null}), 1008, "code is required"),
        (
            json!({"code": "1", "contextId": "nobody"}),
            1008,
            "there is no interpreter context nobody",
        ),
        (json!({"code": "1", "timeout": -1}), 1008, "timeout must not be negative"),
        (
            json!({"code": "1", "envs": {"A-B": "1"}}),
            1008,
            "environment variable name \"A-B\" is not an identifier",
        ),
        (
            json!([1]),
            1002,
            "invalid JSON: invalid type: integer `1`, expected a string at line 1 column 2",
        ),
        (
            json!({"code": 1}),
            1002,
            "invalid JSON: invalid type: integer `1`, expected a string at line 1 column 9",
        ),
    ] {
        assert_eq!(ask(&daemon, request.clone()).await, Heard::closed(code, reason), "{request}");
    }
    let mut socket = Socket::open(&daemon).await;
    socket.say(Message::text("not JSON")).await;
    let wanted = "invalid JSON: expected ident at line 1 column 2";
    assert_eq!(socket.rest().await, Heard::closed(1002, wanted));
    let mut socket = Socket::open(&daemon).await;
    socket.say(Message::binary(r#"{"code": "print(1)", "timeout": 2.5}"#)).await;
    assert_eq!(socket.rest().await, Heard::printed("1\n"));
}

#[tokio::test]
async fn input_finds_no_terminal() {
    let daemon = Daemon::start();
    let [name, value, _] = failure(&daemon, "input('name? ')").await;
    assert_eq!((name.as_str(), value.as_str()), ("EOFError", "EOF when reading a line"));
    assert_eq!(printed(&daemon, "import sys; print(repr(sys.stdin.read()))").await, "''\n");
    assert_eq!(printed(&daemon, "import os; print(os.popen('cat').read() == '')").await, "True\n");
}

#[tokio::test]
async fn asynchronous_code_runs_in_a_loop_of_its_own() {
    let daemon = Daemon::start();
    let code = "import asyncio\nasync def f():\n  await asyncio.sleep(0.01)\n  return 5\nprint(asyncio.run(f()))";
    assert_eq!(printed(&daemon, code).await, "5\n");
    let [name, value, _] = failure(&daemon, "await f()").await;
    assert_eq!(
        (name.as_str(), value.as_str()),
        ("SyntaxError", "'await' outside function (<stdin>, line 1)")
    );
}

#[tokio::test]
async fn code_may_be_large() {
    let daemon = Daemon::start();
    let code = format!("x = '{}'\nprint(len(x))", "ü".repeat(5_000_000));
    assert_eq!(printed(&daemon, &code).await, "5000000\n");
    assert_eq!(run(&daemon, " ").await, Heard::printed(""));
    let [name, ..] = failure(&daemon, "x = '\0'").await;
    assert!(matches!(name.as_str(), "SyntaxError" | "ValueError"), "{name}");
}

#[tokio::test]
async fn a_browser_gets_the_subprotocol_that_it_offers() {
    let daemon = Daemon::start();
    for (offered, wanted) in [
        ("X-Daytona-SDK-Version~0.226.1", Some("X-Daytona-SDK-Version~0.226.1")),
        ("other, X-Daytona-SDK-Version~1", Some("X-Daytona-SDK-Version~1")),
        ("other", None),
    ] {
        let request = http::Request::get("/process/interpreter/execute")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", offered)
            .body(http_body_util::Full::<bytes::Bytes>::default())
            .expect("a request");
        let (answer, _connection) = daemon.send(request).await;
        let chosen = answer.headers().get("sec-websocket-protocol");
        assert_eq!(chosen.map(|name| name.to_str().expect("a text")), wanted, "{offered}");
    }
}
